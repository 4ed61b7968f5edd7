package panics

import (
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"net/http"
	"strings"
)

// Handler serves requests with h. If h panics, it logs the panic and closes the
// connection. The peer gets no answer or a truncated one, which it can recognize as
// such. A panic with http.ErrAbortHandler, by which a handler aborts (net/http), is not
// logged.
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

// ErrorLog returns the ErrorLog of an http.Server. It drops failed TLS handshakes,
// which any stranger can cause. It logs a panic that the server itself caught, outside
// of its handler, like any other panic.
func ErrorLog(log *slog.Logger) *stdlog.Logger { return stdlog.New(errorLog{log}, "", 0) }

type errorLog struct{ log *slog.Logger }

// Write logs one message: the server's logger makes one call for each.
func (l errorLog) Write(text []byte) (int, error) {
	first, rest, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	switch {
	case strings.HasPrefix(first, "http: TLS handshake error "):
	case strings.HasPrefix(first, "http: panic serving "):
		Log(l.log, "HTTP connection", &Panic{Value: first, Place: placeIn(rest), Stack: rest})
	default:
		l.log.Warn("HTTP server error", "error", first)
	}
	return len(text), nil
}

// placeIn returns the function that panicked, from a stack of debug.Stack: the first
// function after the last "panic(" that is not in the runtime.
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
