// Package haproxy balances with HAProxy 2.6 or later: an instance of its own,
// beside which any other on the server goes on as it is.
//
// HAProxy is told of servers and weights through its runtime socket (management
// guide, "Unix Socket commands"), which loses no connection and starts nothing.
// It is reloaded for virtual services alone: the new worker takes over the
// sockets that listen, the old one goes on with the connections it has. The
// configuration file always says what the runtime was told, so that a reload, a
// crash or a boot brings back the same.
//
// Whether a server works is decided elsewhere, by health. What HAProxy sees on
// its own while it connects bridges the time until then: a connection that
// fails is tried with another server, and a server that failed three times in a
// row gets no new one until it can be connected to again. The table that
// Observe returns tells nothing of that, so nobody fights over it.
//
// The instance outlives this process. It is the unit iwx-haproxy.service, and
// below a root directory of its own, or without systemd, a process that runs in
// the background.
package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"iwx/lib/atomicfile"
	"iwx/lib/host"
	"iwx/lib/lb"
)

// Engine is HAProxy, as an lb.Engine. Its methods may be called by several
// goroutines.
type Engine struct {
	layout
	stats  socket
	master master
	runner runner

	changing sync.Mutex // held by Apply
	unsaved  bool       // the worker was told more than the configuration says
}

var _ lb.Engine = (*Engine)(nil)

// New returns the engine that has its files at paths. Nothing is read, made or
// started before Apply has a virtual service to set up.
func New(paths host.Paths) *Engine {
	at := layoutAt(paths)
	e := &Engine{layout: at, stats: socket(at.stats), master: master{socket(at.master)}}
	if paths.Own() || !host.Booted() {
		e.runner = background{at, e.master}
	} else {
		e.runner = unit{e.master}
	}
	return e
}

// layout is where an instance has its files.
type layout struct {
	programs []string // HAProxy, by any of these names
	dir      string   // of the configuration
	run      string   // of the sockets
	config   string
	draft    string // of a configuration, until it proves fit
	stats    string // socket of the worker
	master   string // socket of the master
	pid      string // of the master, where it is a process in the background
	peer     string // socket on which a worker hands its tables to the next
	states   string // what the servers are like, for the next worker
	user     string // that the worker runs as; "" for no other
}

func layoutAt(paths host.Paths) layout {
	l := layout{
		// The directories of daemons are not in everybody's PATH.
		programs: []string{"haproxy", "/usr/sbin/haproxy", "/usr/local/sbin/haproxy"},
		dir:      paths.HAProxy,
		run:      paths.HAProxyRun,
		config:   filepath.Join(paths.HAProxy, "haproxy.cfg"),
		draft:    filepath.Join(paths.HAProxy, "draft.cfg"),
		stats:    filepath.Join(paths.HAProxyRun, "stats"),
		master:   filepath.Join(paths.HAProxyRun, "master"),
		pid:      filepath.Join(paths.HAProxyRun, "pid"),
		peer:     filepath.Join(paths.HAProxyRun, "peer"),
		states:   filepath.Join(paths.HAProxyRun, "states"),
	}
	if !paths.Own() {
		l.user = "haproxy"
	}
	return l
}

// Name implements lb.Engine.
func (e *Engine) Name() string { return "haproxy" }

// Schedulers implements lb.Engine.
func (e *Engine) Schedulers() []string {
	ability, _ := lb.AbilityOf(e.Name())
	return ability.Schedulers
}

// Forwardings implements lb.Engine.
func (e *Engine) Forwardings() []lb.Forwarding {
	ability, _ := lb.AbilityOf(e.Name())
	return ability.Forwardings
}

// Observe implements lb.Engine: the services that the running worker has been
// given, and the servers that it has. HAProxy that does not run has none.
func (e *Engine) Observe(ctx context.Context) (lb.Table, error) {
	w, err := e.observe(ctx)
	if err != nil {
		return nil, err
	}
	return w.table(), nil
}

// worker is what the running worker has.
type worker struct {
	running  bool
	mark     string // of its configuration: see mark
	services lb.Table
	servers  []server // also those that are on their way out
}

// table is the worker's services with their servers.
func (w *worker) table() lb.Table {
	table := lb.Table{}
	for key, v := range w.services {
		v.Servers = map[netip.AddrPort]lb.Real{}
		table[key] = v
	}
	for _, s := range w.servers {
		if v, there := table[s.key]; there && !s.leaving() {
			v.Servers[s.addr] = s.real()
		}
	}
	return table
}

// find returns the worker's server for an address, whatever its name.
func (w *worker) find(key, addr netip.AddrPort) (server, bool) {
	for _, s := range w.servers {
		if s.key == key && s.addr == addr {
			return s, true
		}
	}
	return server{}, false
}

// observe asks the worker. What its services are like is in the file, of which
// the worker knows the mark; when that is another, as after a crash in the
// middle of a change, nothing is known of them, and they are set up anew.
func (e *Engine) observe(ctx context.Context) (worker, error) {
	answer, err := e.stats.ask(ctx, "show info; "+showStates)
	if errors.Is(err, errNobody) {
		return worker{}, nil
	}
	if err != nil {
		return worker{}, err
	}
	info, states, _ := strings.Cut(answer, "\n\n")
	w := worker{running: true, mark: field(info, "description")}
	text, err := os.ReadFile(e.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return worker{}, err
	}
	if markOf(string(text)) == w.mark {
		w.services = parse(string(text))
	}
	w.servers, err = parseStates(states)
	return w, err
}

// Sessions implements lb.Engine. A connection is counted until both sides have
// closed it, with the worker that took it: also one from before a reload.
func (e *Engine) Sessions(ctx context.Context) ([]lb.Sessions, error) {
	all := map[[2]netip.AddrPort]int{}
	err := e.everyWorker(ctx, func(_ int, servers []server) error {
		for _, s := range servers {
			all[[2]netip.AddrPort{s.key, s.addr}] += s.sessions
		}
		return nil
	})
	var list []lb.Sessions
	for at, n := range all {
		list = append(list, lb.Sessions{Key: at[0], Addr: at[1], Active: n})
	}
	slices.SortFunc(list, func(a, b lb.Sessions) int {
		if c := a.Key.Compare(b.Key); c != 0 {
			return c
		}
		return a.Addr.Compare(b.Addr)
	})
	return list, err
}

// End implements lb.Engine: the connections to a server are closed, in every
// service and every worker. A worker from before a reload would hold those to a
// dead server for as long as its clients wait.
func (e *Engine) End(ctx context.Context, dead netip.AddrPort) error {
	return e.everyWorker(ctx, func(pid int, servers []server) error {
		for _, s := range servers {
			if s.addr != dead || s.sessions == 0 {
				continue
			}
			if err := e.master.endSessions(ctx, pid, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// everyWorker calls f with the servers of each worker, those of before a reload
// included. One that ends meanwhile is passed over.
func (e *Engine) everyWorker(ctx context.Context, f func(pid int, servers []server) error) error {
	status, err := e.master.status(ctx)
	if errors.Is(err, errNobody) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, pid := range status.workers {
		stat, err := e.master.askWorker(ctx, pid, showSessions)
		if err != nil {
			return err
		}
		servers, err := parseSessions(stat)
		if err != nil {
			continue // the master says that it is gone, in words
		}
		if err := f(pid, servers); err != nil {
			return fmt.Errorf("worker %d: %w", pid, err)
		}
	}
	return nil
}

// write makes text the configuration that the next start reads.
func (e *Engine) write(text string) error {
	return atomicfile.Write(e.config, []byte(text), 0o600)
}
