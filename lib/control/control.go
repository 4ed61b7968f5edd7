// Package control is the socket at which iwx-lb daemon is asked how balancing is
// doing, and told what a server sees of its own services. It is HTTP and JSON on
// a Unix socket, for root alone; who can connect is believed.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"iwx/lib/health"
	"iwx/lib/lb"
	"iwx/lib/panics"
	"iwx/lib/sockets"
)

// socketName is that of the socket in the daemon's run directory.
const socketName = "control"

// The requests.
const (
	pathStatus = "/status" // GET: lb.Report
	pathPulse  = "/pulse"  // POST: Pulse
)

// Bounds of a request.
const (
	mostBody  = 1 << 20 // bytes
	readLimit = 10 * time.Second
	askLimit  = 10 * time.Second
)

// Pulse is what a server sees of its own services.
type Pulse struct {
	Server string       `json:"server"` // lb.Server.ID
	Pulse  health.Pulse `json:"pulse"`
}

// Daemon is what answers.
type Daemon interface {
	Report(ctx context.Context) lb.Report
	Hear(server string, p health.Pulse) // does not block
}

// Serve answers at the socket in dir, which exists and is 0700, until ctx ends.
// The socket of a daemon that is gone is replaced: who calls holds the lock that
// there is one daemon. ready is called once it can be asked.
func Serve(ctx context.Context, dir string, d Daemon, log *slog.Logger, ready func()) error {
	l, err := listen(dir)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: panics.Handler(log, handler(d)), ErrorLog: panics.ErrorLog(log),
		ReadTimeout: readLimit, BaseContext: func(net.Listener) context.Context { return ctx },
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	ready()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

func listen(dir string) (net.Listener, error) {
	name, release, err := sockets.Name(dir, socketName)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	defer release()
	if err := os.Remove(filepath.Join(dir, socketName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", filepath.Join(dir, socketName), err)
	}
	l.SetUnlinkOnClose(false) // its short name may be another's by then; the next daemon replaces it
	if err := os.Chmod(filepath.Join(dir, socketName), 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}

func handler(d Daemon) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathStatus, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(d.Report(r.Context())) // who asked may be gone
	})
	mux.HandleFunc("POST "+pathPulse, func(w http.ResponseWriter, r *http.Request) {
		var p Pulse
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostBody)).Decode(&p); err != nil {
			http.Error(w, "pulse: "+err.Error(), http.StatusBadRequest)
			return
		}
		d.Hear(p.Server, p.Pulse)
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// Status asks the daemon whose run directory is dir. The error has exit code 4
// if none runs there.
func Status(ctx context.Context, dir string) (lb.Report, error) {
	var report lb.Report
	body, err := ask(ctx, dir, http.MethodGet, pathStatus, nil)
	if err == nil {
		err = json.Unmarshal(body, &report)
	}
	if err != nil {
		return lb.Report{}, fmt.Errorf("ask iwx-lb daemon: %w", err)
	}
	return report, nil
}

// Tell tells the daemon whose run directory is dir what a server sees. The error
// has exit code 4 if none runs there.
func Tell(ctx context.Context, dir string, p Pulse) error {
	body, err := json.Marshal(p)
	if err == nil {
		_, err = ask(ctx, dir, http.MethodPost, pathPulse, body)
	}
	if err != nil {
		return fmt.Errorf("notify iwx-lb daemon: %w", err)
	}
	return nil
}
