package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	for line := range strings.Lines(strings.TrimRight(err.Error(), "\n")) {
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
	text := err.Error()
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
