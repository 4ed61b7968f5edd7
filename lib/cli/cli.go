// Package cli is the face that every tool of the suite shares: its streams, exit
// codes and hints, help, tables for people and for scripts, questions, and the
// completions of the shells.
//
// A tool is a value: a name, a kong grammar and what its dynamic completions
// are. Main turns it into a process: it parses the arguments, runs the verb and
// reports its error. What a verb does is not in this package.
//
// It is the only importer of kong and of tablewriter.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"iwx/lib/fault"
	"iwx/lib/input"
)

// Tool is one program of the suite.
type Tool struct {
	Name    string // "iwx-queue"
	Summary string // one line, lower case, no full stop: "the command queue of the cluster"

	// Grammar returns a pointer to a fresh kong grammar. Each verb is a struct
	// with a method Run(*Context) error. The flags --root, --version and --help
	// are added to every grammar.
	Grammar func() any

	// Complete returns the values that the shell offers for a flag or argument
	// with the tag complete:"KIND". It has 150 ms, and says nothing on errors.
	// May be nil.
	Complete func(c *Context, kind string) []Candidate
}

// Candidate is one value that the shell offers.
type Candidate struct {
	Value string // inserted as it is
	Help  string // shown beside it, may be ""
}

// globals are the flags that every tool has.
type globals struct {
	Root    string      `env:"IWX_ROOT" placeholder:"DIR" complete:"dir" help:"Directory that holds this server's files, instead of /."`
	Version versionFlag `help:"Print the version."`
	Help    helpFlag    `short:"h" help:"Print this help."`
}

// The flags that answer by themselves stop the parse with these.
var (
	errHelp    = errors.New("help was asked for")
	errVersion = errors.New("the version was asked for")
)

type helpFlag bool

// BeforeReset runs before kong misses a required flag or argument.
func (helpFlag) BeforeReset() error { return errHelp }

type versionFlag bool

// BeforeReset runs before kong misses a required flag or argument.
func (versionFlag) BeforeReset() error { return errVersion }

// Main runs the tool with args (without the program's name) and returns the
// exit code of the process. SIGINT and SIGTERM cancel the verb's context once; a
// second one ends the process as if no handler were there.
func Main(t Tool, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	ctx, stop := untilSignal(context.Background())
	defer stop()
	c := &Context{
		Context: ctx,
		Tool:    t.Name,
		Args:    args,
		Stdin:   input.Reader(ctx, stdin),
		Stdout:  &recorder{w: stdout},
		Stderr:  stderr,
		Now:     time.Now,
		Getenv:  os.Getenv,
		streams: streams{stdin, stdout, stderr},
	}
	defer func() {
		if p := recover(); p != nil {
			code = c.reportPanic(p)
		}
	}()
	return c.finish(t.run(c, args))
}

// untilSignal returns a context that the first SIGINT or SIGTERM cancels, with
// the signal as its cause.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals) // the next one has its default effect
			cancel(interrupted{s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(context.Canceled)
	}
}

// interrupted is the cause of a context that a signal cancelled.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return "interrupted (" + i.signal.String() + ")" }

// run parses args and runs the verb they name.
func (t Tool) run(c *Context, args []string) error {
	if len(args) > 1 && args[0] == "__complete" {
		return t.candidates(c, args[1])
	}
	if len(args) > 1 && args[0] == "__completion" {
		return t.printCompletion(c, args[1])
	}
	var g globals
	parser, err := t.parser(&g)
	if err != nil {
		return err
	}
	if len(args) == 0 && needsVerb(parser.Model.Node) {
		fmt.Fprint(c.Stderr, helpText(parser.Model.Node, t))
		return Exit(fault.Usage)
	}
	parsed, err := parser.Parse(helpLast(args))
	if err != nil {
		return t.answer(c, err)
	}
	if err := refuseEmpty(t, parsed); err != nil {
		return err
	}
	if c.Root, err = absolute(g.Root); err != nil {
		return err
	}
	return parsed.Run(c)
}

// parser builds the kong parser of the tool.
func (t Tool) parser(g *globals) (*kong.Kong, error) {
	return kong.New(t.Grammar(),
		kong.Name(t.Name),
		kong.Description(t.Summary),
		kong.NoDefaultHelp(),
		kong.Embed(g),
		kong.TypeMapper(durationType, kong.MapperFunc(decodeDuration)),
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeString)),
	)
}

func needsVerb(n *kong.Node) bool { return len(n.Children) > 0 && n.DefaultCmd == nil }

// helpLast turns "help VERB" into "VERB --help".
func helpLast(args []string) []string {
	if len(args) == 0 || args[0] != "help" {
		return args
	}
	return append(append([]string{}, args[1:]...), "--help")
}

// absolute makes a root that is not "" absolute, so that it means the same
// after a change of directory.
func absolute(root string) (string, error) {
	if root == "" {
		return "", nil
	}
	return filepath.Abs(root)
}

// answer handles an error of the parser: help and version are printed, all else
// is wrong usage.
func (t Tool) answer(c *Context, err error) error {
	node := (*kong.Node)(nil)
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		node = parse.Context.Selected()
		if node == nil {
			node = parse.Context.Model.Node
		}
	}
	switch {
	case errors.Is(err, errHelp) && node != nil:
		_, err := io.WriteString(c.Stdout, helpText(node, t))
		return err
	case errors.Is(err, errVersion):
		return c.Printf("%s %s\n", t.Name, Version)
	}
	err = usageError(t, node, err)
	if isDaemon(node) || isDaemon(firstVerb(node, c.Args)) {
		err = fault.WithCode(err, fault.Config)
	}
	return err
}

// Daemon is a verb that systemd runs, or the grammar of a tool that is one. Wrong usage
// of it has the exit code fault.Config: systemd must not repeat a wrong command line.
type Daemon interface{ Daemon() }

func isDaemon(n *kong.Node) bool {
	if n == nil || !n.Target.IsValid() || !n.Target.CanAddr() {
		return false
	}
	_, is := n.Target.Addr().Interface().(Daemon)
	return is
}

// firstVerb returns the verb of n that the first possible argument names, or nil. The
// parser does not get as far if a flag before it is wrong.
func firstVerb(n *kong.Node, args []string) *kong.Node {
	if n == nil {
		return nil
	}
	for _, arg := range args {
		for _, child := range n.Children {
			if child.Name == arg {
				return child
			}
		}
	}
	return nil
}

// reportPanic prints one line about a panic in a verb; the stack only for those
// who ask, since it tells an administrator nothing.
func (c *Context) reportPanic(p any) int {
	fmt.Fprintf(c.Stderr, "%s: internal error: %v\n", c.Tool, p)
	if c.Getenv("IWX_DEBUG") != "" {
		c.Stderr.Write(debug.Stack())
	} else {
		fmt.Fprintln(c.Stderr, "hint: IWX_DEBUG=1 prints where; please report it")
	}
	return int(fault.Failed)
}
