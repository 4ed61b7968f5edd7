// Package panics catches the panic of one unit of work where the work began: a
// probe, a request or an item of a profile fails with an error, and the daemon goes
// on.
//
// A caught panic is an error of type *Panic. It is logged once, with its stack, even
// if several callers pass it to Log. A log with a [Counter] counts it.
//
// Do not use it for work whose state a panic may corrupt: a panic in the loop of a
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
	Value any    // the value given to panic
	Place string // the function that panicked: "iwx/lib/health.article (dialog.go:150)"
	Stack string // the place, and the functions that led there: "PLACE < PLACE < …"

	logged atomic.Bool
}

// Error returns the value of the panic as an error message.
func (p *Panic) Error() string { return fmt.Sprintf("internal error: panic: %v", p.Value) }

// Unwrap returns the value of the panic if that is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Catch runs f and returns its error, or a *Panic if f panics. A *Panic that another
// goroutine raises again with panic(err) keeps its place.
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

// Try is Catch, and also logs the panic. work names the unit of work in the log:
// "probe of web2 imap".
func Try(log *slog.Logger, work string, f func() error) error {
	err := Catch(f)
	Log(log, work, err)
	return err
}

// Log logs the panic that err is or wraps, unless it is logged already. It ignores any
// other error, which the caller handles. log may be nil, as in a tool, which prints the
// error.
func Log(log *slog.Logger, work string, err error) {
	var p *Panic
	if log != nil && errors.As(err, &p) && p.logged.CompareAndSwap(false, true) {
		log.Error("a panic was caught", "work", work, keyPanic, p, "stack", p.Stack)
	}
}

// keyPanic is the attribute of a log record that holds a *Panic.
const keyPanic = "panic"

// mostFrames limits a stack, such as that of an endless recursion.
const mostFrames = 64

// of makes a Panic from the value that recover returned. The deferred function that
// recovered must call it: the frames that led to the panic follow the first
// runtime.gopanic.
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
