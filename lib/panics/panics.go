// Package panics ends the panic of one unit of work where the work began: a
// probe, a request, an item of a profile fails with an error, and the daemon that
// does it for somebody else goes on.
//
// What was caught is an error of type *Panic. It is logged once, with its stack,
// however many hands it goes through, and a log that has a [Counter] counts it.
//
// Work whose state may be spoilt by a panic does not belong in here: the loop of a
// daemon's member ends the daemon, and the service manager starts it again.
package panics

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
)

// Panic is the error of work that panicked.
type Panic struct {
	Value any    // what it panicked with
	Place string // the function that panicked: "iwx/lib/health.article (dialog.go:150)"
	Stack string // the place, and the functions that led there: "PLACE < PLACE < …"

	logged atomic.Bool
}

// Error returns what it panicked with, in one sentence.
func (p *Panic) Error() string { return fmt.Sprintf("internal error: panic: %v", p.Value) }

// Unwrap returns what it panicked with, if that is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Catch runs f and returns its error, or a *Panic. A panic that was caught before,
// and goes on in another goroutine by panic(err), keeps its place.
func Catch(f func() error) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *Panic:
			err = v
		default:
			err = of(v)
		}
	}()
	return f()
}

// Try is Catch for who has a log: a panic is logged too. work says in the log what
// was done, and for whom: "probe of web2 imap".
func Try(log *slog.Logger, work string, f func() error) error {
	err := Catch(f)
	Log(log, work, err)
	return err
}

// Log logs the panic that err is, or wraps, unless that has been done. Any other
// error is ignored: it is for the caller. log is nil where there is none, as in a
// tool, which prints the error.
func Log(log *slog.Logger, work string, err error) {
	var p *Panic
	if log != nil && errors.As(err, &p) && p.logged.CompareAndSwap(false, true) {
		log.Error("a panic was caught", "work", work, keyPanic, p, "stack", p.Stack)
	}
}

// keyPanic is the attribute of a log's record that holds a *Panic.
const keyPanic = "panic"

// mostFrames bounds a stack; one of endless recursion is cut off.
const mostFrames = 64

// of makes a Panic of what recover returned, in the deferred function that called
// it: the frames that led to the panic follow the first runtime.gopanic.
func of(value any) *Panic {
	pcs := make([]uintptr, mostFrames)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	var places []string
	led := false
	for {
		f, more := frames.Next()
		if led && (len(places) > 0 || !strings.HasPrefix(f.Function, "runtime.")) {
			places = append(places, fmt.Sprintf("%s (%s:%d)", f.Function, f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line))
		}
		led = led || f.Function == "runtime.gopanic"
		if !more {
			break
		}
	}
	p := &Panic{Value: value, Stack: strings.Join(places, " < ")}
	p.Place, _, _ = strings.Cut(p.Stack, " < ")
	return p
}
