package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"iwx/lib/fault"
)

// Exit returns an error that ends the tool with this code and prints nothing:
// for a verb that has said everything already, or passes on the code of a
// command. Exit of 0 is nil.
func Exit(code fault.Code) error {
	if code == fault.OK {
		return nil
	}
	return &fault.Error{Code: code, Err: errSilent}
}

var errSilent = errors.New("already reported")

// finish reports the error of a verb and returns the exit code.
func (c *Context) finish(err error) int {
	out, _ := c.Stdout.(*recorder)
	if err == nil && out != nil && out.err != nil {
		err = fmt.Errorf("standard output: %w", out.err)
	}
	switch stopped := (interrupted{}); {
	case err == nil:
		return int(fault.OK)
	case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		// The reader has seen enough, as in `iwx-queue log | head`. This is the
		// code a shell shows for a process that SIGPIPE ended.
		return 128 + int(syscall.SIGPIPE)
	case errors.Is(err, errSilent):
		return int(fault.CodeOf(err))
	case errors.Is(err, context.Canceled) && errors.As(context.Cause(c), &stopped):
		fmt.Fprintf(c.Stderr, "%s: %v\n", c.Tool, stopped)
		return 128 + int(stopped.signal)
	}
	c.report(err)
	return int(fault.CodeOf(err))
}

// report prints an error with its hint; joined ones each with their own.
func (c *Context) report(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			c.report(one)
		}
		return
	}
	for line := range strings.Lines(strings.TrimRight(fault.Plain(err), "\n")) {
		fmt.Fprintf(c.Stderr, "%s: %s\n", c.Tool, printable(strings.TrimRight(line, "\n")))
	}
	if hint := fault.HintOf(err); hint != "" {
		for line := range strings.Lines(strings.TrimRight(hint, "\n")) {
			fmt.Fprintf(c.Stderr, "hint: %s\n", printable(strings.TrimRight(line, "\n")))
		}
	}
}

// usageError is an error of kong with the way to the help; where a verb is
// missing or unknown it names the ones there are.
func usageError(t Tool, node *kong.Node, err error) error {
	path := t.Name
	if node != nil {
		path = node.FullPath()
	}
	hint := path + " --help"
	var verbs []string
	if node != nil {
		for _, child := range visibleVerbs(node) {
			verbs = append(verbs, child.Name)
		}
	}
	text := plainUsage(err.Error())
	if len(verbs) > 0 && (strings.HasPrefix(text, "unexpected argument") || strings.HasPrefix(text, "expected one of")) {
		hint = "verbs of " + path + ": " + strings.Join(verbs, ", ") + "\n" + hint
	}
	if strings.HasPrefix(text, "expected one of") {
		text = "a verb is missing" // kong lists them, cut short; the hint has all
	}
	if name, missing := strings.CutPrefix(text, `expected "<`); missing {
		name, _, _ = strings.Cut(name, ">")
		text = "an argument is missing: " + strings.ToUpper(name)
	}
	return fault.Hint(fault.New(fault.Usage, "%s", text), "%s", hint)
}

// plainUsage rewords kong's message about an argument, which is meant for Go
// programmers, for users: "--timeout: expected duration value but got "EOL" (<EOL>)"
// becomes "--timeout: a value is missing". It compares text, since kong has no types
// for its errors.
func plainUsage(text string) string {
	for _, r := range []struct{ kong, plain string }{
		{`^<([^>]+)>: `, `$1: `},
		{`expected \S+ value but got "EOL" \(<EOL>\)`, `a value is missing`},
		{`expected \S+ value but got "(.*)" \((?:long|short) flag.*\); perhaps try (--[^=]+)=.*`, `a value is missing before $1; if that is the value: $2=$1`},
		{`expected \S+ value but got "(.*)" \((?:long|short) flag.*\)`, `a value is missing before $1`},
		{`expected \S+ value but got ".*" \(.*\)`, `a value is missing`},
		{`missing value, expecting ".*"`, `a value is missing`},
		{`expected a valid 16 bit uint but got (".*")`, `$1 is not a whole number from 0 to 65535`},
		{`expected a valid \d+ bit uint but got (".*")`, `$1 is not a whole number, 0 or more`},
		{`expected a valid \d+ bit int but got (".*")`, `$1 is not a whole number`},
		{`expected an? (?:int|float) but got (".*") \(.*\)`, `$1 is not a number`},
		{`bool value must be .* but got (".*")`, `it takes no value, or true or false, not $1`},
		{`expected "<key>=<value>" but got (".*")`, `$1 is not NAME=VALUE`},
		{`^<?([a-z-]+)>? must be one of (.*?)(?:,"")? but got (".*")`, `$1 $3 is none of $2`},
		{`^missing flags: `, `required, and missing: `},
		{`^unexpected flag argument (".*")`, `a flag that takes no value has $1`},
		{`^unexpected token (\S+).*`, `unexpected argument $1`},
		{`^missing positional arguments (.*)`, `arguments are missing: $1`},
	} {
		text = regexp.MustCompile(r.kong).ReplaceAllString(text, r.plain)
	}
	return text
}
