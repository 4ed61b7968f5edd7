package queue

import (
	"strings"
	"testing"

	"iwx/lib/fault"
)

func TestCheckWords(t *testing.T) {
	installed := func(name string) bool { return name == "time" || name == "/opt/my app/run" }
	for _, c := range []struct {
		argv []string
		want string // in the error
		hint string // in the hint
	}{
		{[]string{"ls | wc"}, `"ls | wc" is a whole command in one argument`, "sh -c 'ls | wc'"},
		{[]string{"ls -l"}, `"ls -l" is a whole command in one argument`, "iwx-queue add -- ls -l"},
		{[]string{"/usr/bin/ls -l /x"}, "a whole command in one argument", "iwx-queue add -- /usr/bin/ls -l /x"},
		{[]string{"A=b", "cmd"}, "A=b in front of a command needs a shell", "--env A=b"},
		{[]string{"PATH+=:/x", "cmd"}, "needs a shell", "--env"},
		{[]string{"A=b"}, "sets a variable that no command gets", "--env A=b"},
		{[]string{"cd", "/x"}, "cd is not a program", "--cwd DIR"},
		{[]string{"export", "A=b"}, "export is not a program", "--env KEY=VALUE"},
		{[]string{".", "/x"}, ". is not a program", "bash -c '. /x && COMMAND'"},
		{[]string{"exec", "reboot", "now"}, "exec is not a program", "iwx-queue add -- reboot now"},
		{[]string{"ulimit", "-n", "9"}, "ulimit is not a program", "sh -c 'ulimit -n 9'"},
		{[]string{"if", "true"}, "if is not a program", ""},
		{[]string{"type", "ls"}, "type is not a program", ""},
		{[]string{"echo\u00a0a"}, `no program is called "echo\u00a0a": it holds U+00A0`, "type the command again"},
		{[]string{"tr\u200bue", "x"}, "it holds U+200B", ""},
		{[]string{"\x1a"}, "it holds U+001A", ""},
		{[]string{"true\f"}, "it holds U+000C", ""},
		{[]string{"\x1b[31mls", "-l"}, "it holds U+001B", ""},
		{[]string{"\ufefftrue"}, "it holds U+FEFF", ""},
		{[]string{"$", "apt-get", "update"}, `"$" is the prompt of a shell`, "add -- apt-get update"},
		{[]string{"#", "ls", "a b"}, "is the prompt", "add -- ls 'a b'"},
		{[]string{"%", "ls"}, "is the prompt", ""},
		{[]string{"root@web1:~#", "ls"}, "is the prompt", ""},
		{[]string{"bob@web1:/etc$", "ls"}, "is the prompt", ""},
		{[]string{"manager#", "ls"}, "is the prompt", ""},
		{[]string{"bash-5.2$", "ls"}, "is the prompt", ""},
		{[]string{"ls", "|", "wc"}, "argument '|' needs a shell: ls", "sh -c 'ls | wc'"},
		{[]string{"ls", "-l", "|", "wc", "-l"}, "argument '|'", ""},
		{[]string{"make", "2>&1"}, "argument '2>&1'", ""},
		{[]string{"make", "&&", "make", "install"}, "argument '&&'", ""},
		{[]string{"make", ";", "true"}, "argument ';'", ""},
		{[]string{"make", "&"}, "argument '&'", ""},
		{[]string{"echo", "x", ">>", "/etc/hosts"}, "argument '>>'", ""},
		{[]string{"make", "2>/dev/null"}, "argument '2>/dev/null'", ""},
		{[]string{"sudo", "ls", "|", "wc"}, "argument '|' needs a shell: sudo", ""},
		{[]string{"grep", "foo", "/x", "|", "wc"}, "argument '|'", ""},
		{[]string{"find", "/x", "|", "wc"}, "argument '|'", ""},
		{[]string{"|", "wc"}, "argument '|'", ""},
	} {
		err := CheckWords(c.argv, true, installed)
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), c.hint) {
			t.Errorf("%q: got %v, hint %q", c.argv, err, fault.HintOf(err))
		}
	}
	for _, argv := range [][]string{
		{"find", "/", "-name", "*.tmp"},
		{"find", "/x", "-exec", "rm", "{}", ";"},
		{"sudo", "find", "/x", "-exec", "rm", "{}", ";"},
		{"expr", "1", "|", "0"},
		{"expr", "1", "<", "2"},
		{"[", "a", "<", "b", "]"},
		{"cut", "-d", "|", "-f", "1", "/x"},
		{"sudo", "-u", "bob", "cut", "-d", ";", "-f", "1", "/x"},
		{"sort", "-t", "|", "/x"},
		{"awk", "-F", ";", "{print}", "/x"},
		{"tr", "|", ";"},
		{"grep", "-c", ">", "/x"},
		{"sed", "-n", ";", "/x"},
		{"mytool", "--separator", "|"},
		{"sh", "-c", "echo $1", "sh", "|", "x"},
		{"sh", "-c", "a | b"},
		{"echo", "a;b", "x>y"},
		{"test", "-e", "/x"},
		{"true"}, {"printf", "x"}, {"kill", "1"}, {"echo"},
		{"time", "true"},
		{"caf\xe9", "x"}, {"prüfe", "x"}, {"g++", "x"}, {"only-on-nodes@1", "x"}, {"/opt/c#/bin/run", "x"},
		{"/opt/my app/run"},
		{"only-on-nodes", "a b"},
		{"a-b=c", "x"}, // no name of a variable
		{"/opt/x=y"},
	} {
		if err := CheckWords(argv, true, installed); err != nil {
			t.Errorf("%q: %v", argv, err)
		}
	}
	// In a line that no shell has read, the quotes say what is meant.
	if err := CheckWords([]string{"mytool", "|", "x"}, false, installed); err != nil {
		t.Errorf("a quoted operator in a line: %v", err)
	}
	if err := CheckWords([]string{"cd", "/x"}, false, installed); err == nil {
		t.Error("cd in a line was taken")
	}
}
