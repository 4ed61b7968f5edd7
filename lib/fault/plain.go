package fault

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Plain returns the text of err for an administrator, without the terms of Go's
// libraries: "open x.pem: no such file or directory" becomes "x.pem does not exist",
// and "context deadline exceeded" becomes "no answer in time". Use Within where the
// text can name what did not answer, and the time limit.
func Plain(err error) string {
	text := err.Error()
	each(err, func(one error) {
		plain := ""
		switch e := one.(type) {
		case *fs.PathError:
			plain = plainPath(e.Path, e.Err)
		case *os.LinkError:
			plain = plainPath(e.New, e.Err)
		case *net.OpError:
			if e.Addr != nil && e.Err != nil {
				plain = e.Addr.String() + ": " + cause(e.Err)
			}
		}
		if plain != "" {
			text = strings.ReplaceAll(text, one.Error(), plain)
		}
	})
	return strings.NewReplacer(
		context.DeadlineExceeded.Error(), "no answer in time",
		os.ErrDeadlineExceeded.Error(), "no answer in time",
		context.Canceled.Error(), "interrupted",
		net.ErrClosed.Error(), "the connection was closed",
		"signal: killed", "it was killed",
	).Replace(text)
}

// each calls use for err and for every error that it wraps, the outermost first.
func each(err error, use func(error)) {
	use(err)
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			each(inner, use)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			each(inner, use)
		}
	}
}

// plainPath describes what is wrong with a file.
func plainPath(path string, err error) string {
	switch {
	case path == "":
		return "the name of the file is empty"
	case errors.Is(err, fs.ErrNotExist):
		return path + " does not exist"
	}
	return path + ": " + cause(err)
}

// cause returns the kernel's text for an error of a system call, without the
// call.
func cause(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}

// Within is context.WithTimeout, and names the work in the error that Late
// returns: "apache2ctl -t did not answer within 1m0s" for what "apache2ctl -t".
func Within(parent context.Context, limit time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(parent, limit, New(TimedOut, "%s did not answer within %s", what, limit))
}

// Late replaces an error that came after the time limit of Within by one that says
// so. It returns other errors, and nil, unchanged.
func Late(ctx context.Context, err error) error {
	var late *Error
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.As(context.Cause(ctx), &late) {
		return late
	}
	return err
}
