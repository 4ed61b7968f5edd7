// Package fault is the error of iwx: what went wrong, the next command to run,
// and the exit code that a script sees.
//
// An error without a fault in its chain is an ordinary failure (exit code 1)
// without a hint. Faults wrap like any error: the outermost hint and code win.
package fault

import (
	"errors"
	"fmt"
)

// Code is a process exit code. The numbers are the same in every tool of the
// suite and are documented in iwx(7).
type Code int

// The exit codes of every tool. A daemon never exits with Usage: the Go runtime also
// exits with 2, after a panic, a fatal error, SIGQUIT and SIGABRT, the signal of
// systemd's watchdog.
const (
	OK        Code = 0   // done, or nothing to do
	Failed    Code = 1   // failed
	Usage     Code = 2   // wrong usage or configuration
	Unhealthy Code = 3   // it ran, and what it looked at is not as it should be
	Busy      Code = 4   // busy or unreachable, try again
	Config    Code = 78  // a daemon: wrong usage or configuration; no restart until it is fixed (EX_CONFIG, sysexits(3))
	TimedOut  Code = 124 // timed out; the message says whether the work goes on
	Internal  Code = 125 // iwx itself failed inside iwx-queue run
)

// Error is an error with an exit code and a hint.
type Error struct {
	Code Code   // zero means: take the wrapped error's, else Failed
	Hint string // the next command to run, or ""
	Err  error  // never nil
}

// Error returns the text of the wrapped error, without the hint.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *Error) Unwrap() error { return e.Err }

// New returns an error with an exit code; format and args are as in
// fmt.Errorf, %w included. With code 0 the code is that of what %w wraps.
func New(code Code, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// Hint wraps err with the next command to run. Hint of nil is nil.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Hint: fmt.Sprintf(format, args...), Err: err}
}

// WithCode wraps err with an exit code. WithCode of nil is nil.
func WithCode(err error, code Code) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Err: err}
}

// CodeOf returns the exit code of err: that of the outermost fault in its
// chain that has one, OK for nil, else Failed.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	for e := (*Error)(nil); errors.As(err, &e); err = e.Err {
		if e.Code != 0 {
			return e.Code
		}
	}
	return Failed
}

// HintOf returns the hint of the outermost fault in err's chain that has one,
// or "".
func HintOf(err error) string {
	for e := (*Error)(nil); errors.As(err, &e); err = e.Err {
		if e.Hint != "" {
			return e.Hint
		}
	}
	return ""
}
