package cli

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	tests := []struct {
		line string
		want []string
	}{
		{"", nil},
		{"   # only a comment", nil},
		{"apt-get  -y\tinstall php-gd # why", []string{"apt-get", "-y", "install", "php-gd"}},
		{`echo 'a b' "c d" e\ f`, []string{"echo", "a b", "c d", "e f"}},
		{`'a'"b"c`, []string{"abc"}},
		{`"" ''`, []string{"", ""}},
		{`"a\"b\\c\$d\x"`, []string{`a"b\c$d\x`}},
		{`'a\b|>$(x)'`, []string{`a\b|>$(x)`}},
		{`"a|b;c"`, []string{"a|b;c"}},
		{`\| \$\( \'`, []string{"|", "$(", "'"}},
		{`$HOME/* a#b ~`, []string{"$HOME/*", "a#b", "~"}},
		{"x\xff\xfe\r\n", []string{"x\xff\xfe"}},
	}
	for _, tt := range tests {
		got, err := Words(tt.line)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, %v", tt.line, got, err)
		}
	}
}

func TestWordsErrors(t *testing.T) {
	tests := []struct{ line, want string }{
		{`a 'b`, `' at column 3 is not closed`},
		{`a "b\"`, `" at column 3 is not closed`},
		{`"`, `" at column 1 is not closed`},
		{`a\`, `backslash at column 2 has nothing to quote`},
		{`a | b`, `| at column 3 needs a shell`},
		{`a>b`, `> at column 2 needs a shell`},
		{`a <b`, `< at column 3 needs a shell`},
		{`a; b`, `; at column 2 needs a shell`},
		{`a &`, `& at column 3 needs a shell`},
		{`(a)`, `( at column 1 needs a shell`},
		{`a $(b)`, `$( at column 3 needs a shell`},
		{"a \"`b`\"", "` at column 4 needs a shell"},
		{`"x $(b)"`, `$( at column 4 needs a shell`},
	}
	for _, tt := range tests {
		words, err := Words(tt.line)
		if err == nil || err.Error() != tt.want || words != nil {
			t.Errorf("%q: got %q, %v", tt.line, words, err)
		}
		var shell *ShellError
		if errors.As(err, &shell) != strings.HasSuffix(tt.want, "needs a shell") {
			t.Errorf("%q: type %T", tt.line, err)
		}
	}
}

// TestCommandWords: an expansion in a command is an error.
func TestCommandWords(t *testing.T) {
	for line, token := range map[string]string{
		"rm -f /srv/cache/*.tmp": "*",
		"rm a?":                  "?",
		"touch f[12]":            "[",
		"touch {a,b}":            "{",
		"seq {1..3}":             "{",
		"} x":                    "}",
		"ls ~":                   "~",
		"ls ~bob/x":              "~",
		"! test -e x":            "!",
		"echo $HOME":             "$HOME",
		"echo ${HOME}":           "${",
		"echo a$1":               "$1",
		"echo $?":                "$?",
		"echo $'a'":              "$'",
		`touch "$HOME/x"`:        "$HOME",
		`touch "a ${x}"`:         "${",
		`'printf' "%s" "$x"`:     "$x",
	} {
		words, err := CommandWords(line)
		var shell *ShellError
		if !errors.As(err, &shell) || shell.Token != token || shell.Quotable == (token == "$'") || words != nil {
			t.Errorf("%s: got %q, %v", line, words, err)
		}
	}
	for line, want := range map[string][]string{
		`rm '*.tmp' "a?" \*`:               {"rm", "*.tmp", "a?", "*"},
		`find / -name '*.o' -exec rm {} +`: {"find", "/", "-name", "*.o", "-exec", "rm", "{}", "+"},
		`xargs -I{} cp {}.a {}.b`:          {"xargs", "-I{}", "cp", "{}.a", "{}.b"},
		`[ -e /x ]`:                        {"[", "-e", "/x", "]"},
		`find . ! -name x`:                 {"find", ".", "!", "-name", "x"},
		`cp a a~`:                          {"cp", "a", "a~"},
		`grep foo$ x`:                      {"grep", "foo$", "x"},
		`grep "a$" x`:                      {"grep", "a$", "x"},
		`echo '$HOME' \$HOME "\$HOME"`:     {"echo", "$HOME", "$HOME", "$HOME"},
		`sh -c "echo $HOME"`:               {"sh", "-c", "echo $HOME"},
		`/bin/bash -c "ls $1" x y`:         {"/bin/bash", "-c", "ls $1", "x", "y"},
		`# rm *`:                           nil,
		`date +%s`:                         {"date", "+%s"},
	} {
		if got, err := CommandWords(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, %v", line, got, err)
		}
	}
}

// FuzzWords checks that words quoted for sh come back as they were.
func FuzzWords(f *testing.F) {
	f.Add("a", "it's")
	f.Add("", "\"\\$(x)`|")
	f.Add("\xff\x00", "#\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
		got, err := Words(quote(a) + " \t" + quote(b) + " # c")
		if err != nil || !slices.Equal(got, []string{a, b}) {
			t.Errorf("%q %q: got %q, %v", a, b, got, err)
		}
		if got, err := CommandWords(quote(a) + " " + quote(b)); err != nil || !slices.Equal(got, []string{a, b}) {
			t.Errorf("a command of %q %q: got %q, %v", a, b, got, err)
		}
		words, err := Words(a)
		if err != nil && words != nil {
			t.Errorf("%q: words with an error", a)
		}
	})
}
