package cli

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Context is what a verb has of the world outside: a context that a signal
// cancels, streams, clock, environment and the server's root. It is itself the
// context.Context to pass on.
type Context struct {
	context.Context

	Tool   string    // name of the tool, for messages and hints
	Args   []string  // as given to Main
	Root   string    // absolute directory of the server's files; "" is /
	Stdin  io.Reader // its reads end with the context
	Stdout io.Writer // results only; a failed write makes the tool fail
	Stderr io.Writer // everything else
	Now    func() time.Time
	Getenv func(string) string

	streams   streams
	slowAfter time.Duration // 0: use the constant
}

// streams are the process's own, as given to Main.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Streams returns the process's own streams, to hand to a command that is to
// find the terminal where the tool found it. For the tool's results use Stdout.
func (c *Context) Streams() (in io.Reader, out, err io.Writer) {
	return c.streams.in, c.streams.out, c.streams.err
}

// Printf writes a result to standard output.
func (c *Context) Printf(format string, args ...any) error {
	_, err := fmt.Fprintf(c.Stdout, format, args...)
	return err
}

// Notef writes a line to standard error that is worth knowing but is no result.
func (c *Context) Notef(format string, args ...any) {
	fmt.Fprintf(c.Stderr, format+"\n", args...)
}

// Warnf writes a line to standard error about something that needs a look,
// with the tool's name in front.
func (c *Context) Warnf(format string, args ...any) {
	fmt.Fprintf(c.Stderr, c.Tool+": warning: "+format+"\n", args...)
}

// recorder remembers the first error of a writer, so that a full disk behind
// standard output is reported even where a verb does not look.
type recorder struct {
	w   io.Writer
	err error
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.w.Write(p)
	r.err = err
	return n, err
}
