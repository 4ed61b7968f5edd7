package panics

import (
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"net/http"
	"strings"
)

// Handler answers requests by h. The connection of one that panics is closed with
// no answer, or half of one, which no peer takes for a whole. http.ErrAbortHandler
// is no fault: it is how a handler says that (net/http).
func Handler(log *slog.Logger, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := Catch(func() error { h.ServeHTTP(w, r); return nil })
		if err == nil {
			return
		}
		if !errors.Is(err, http.ErrAbortHandler) {
			Log(log, fmt.Sprintf("request %s %.200q", r.Method, r.URL.Path), err)
		}
		panic(http.ErrAbortHandler)
	})
}

// ErrorLog returns the ErrorLog of an http.Server: it logs all but what strangers
// do wrong when they begin to speak TLS, which is no news. A panic that the server
// caught itself, outside of its handler, is one like any other.
func ErrorLog(log *slog.Logger) *stdlog.Logger { return stdlog.New(errorLog{log}, "", 0) }

type errorLog struct{ log *slog.Logger }

// Write takes one message, which is all of a call of the server's logger.
func (l errorLog) Write(text []byte) (int, error) {
	first, rest, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	switch {
	case strings.HasPrefix(first, "http: TLS handshake error "):
	case strings.HasPrefix(first, "http: panic serving "):
		Log(l.log, "connection to a server of HTTP", &Panic{Value: first, Place: placeIn(rest), Stack: rest})
	default:
		l.log.Warn("the server of HTTP reports an error", "error", first)
	}
	return len(text), nil
}

// placeIn finds the function that panicked in a stack of debug.Stack: the first
// after the last "panic(" that is not the runtime's.
func placeIn(stack string) (place string) {
	after := false
	for line := range strings.Lines(stack) {
		switch {
		case strings.HasPrefix(line, "panic("):
			after, place = true, ""
		case after && place == "" && !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, "runtime."):
			place = line[:max(0, strings.LastIndexByte(line, '('))]
		}
	}
	return place
}
