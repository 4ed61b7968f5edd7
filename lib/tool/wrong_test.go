package tool_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"iwx/lib/cli"
)

// rawPhrases match error texts of libraries, which no administrator should see.
func rawPhrases() []*regexp.Regexp {
	var list []*regexp.Regexp
	for _, text := range []string{
		`\bEOL\b`, `<nil>`, `strconv`, `context (deadline exceeded|canceled)`, `\bparsing `, `parse "`, `invalid syntax`,
		`but got`, `valid \d+ bit`, `expecting`, `<arg>`, `^[a-z-]+: <`, `\(type `, `netip\.|ParseAddr|ParsePrefix`,
		`\b(stat|lstat|open|read|chdir) /`, `no such file or directory`, `use of closed`, `signal: `, `i/o timeout`, `goroutine`, `%!`,
		`time: `, `unexpected token`, `missing flags`, `sql`, `internal error`,
	} {
		list = append(list, regexp.MustCompile(text))
	}
	return list
}

// TestWrongCommands passes wrong values to every flag and argument of every tool, on
// a server that is not set up and on a manager, and checks that the output is for
// people.
func TestWrongCommands(t *testing.T) {
	for name, tool := range tools() {
		t.Run(name, func(t *testing.T) {
			t.Setenv("IWX_ROOT", t.TempDir())
			wrongCommands(t, tool)
		})
	}
	for _, name := range []string{"iwx-lb", "iwx-node", "iwx-queue", "iwx-site"} {
		t.Run(name+" on a manager", func(t *testing.T) {
			t.Setenv("IWX_ROOT", t.TempDir())
			ended(t, tools()["iwx-cluster-setup"], "manager", "--quorum-ip", "127.0.0.1", "--address", "127.0.0.2", "--name", "c")
			if text := ended(t, tools()["iwx-cluster-setup"], "status"); !strings.Contains(text, "127.0.0.1") {
				t.Fatalf("no manager: %s", text)
			}
			wrongCommands(t, tools()[name])
		})
	}
}

func wrongCommands(t *testing.T, tool cli.Tool) {
	commands, err := cli.WrongCommands(tool)
	if err != nil || len(commands) < 5 {
		t.Fatalf("%d command lines, %v", len(commands), err)
	}
	raw := rawPhrases()
	for _, args := range commands {
		if slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--root=") }) {
			continue // below this directory, or that of another
		}
		if slices.ContainsFunc(args, func(a string) bool { return slices.Contains([]string{"daemon", "endpoint", "--follow", "--watch"}, a) }) {
			continue // it goes on until a signal
		}
		text := ended(t, tool, args...)
		for _, phrase := range raw {
			if found := phrase.FindString(text); found != "" {
				t.Errorf("%q: %q in:\n%s", args, found, text)
			}
		}
	}
}

// ended runs a tool, which must end by itself, and returns its output.
func ended(t *testing.T, tool cli.Tool, args ...string) string {
	t.Helper()
	done := make(chan string, 1)
	go func() {
		var out bytes.Buffer
		cli.Main(tool, args, strings.NewReader(""), &out, &out)
		done <- out.String()
	}()
	select {
	case text := <-done:
		return text
	case <-time.After(time.Minute):
		t.Fatalf("%s %q does not end", tool.Name, args)
		return ""
	}
}
