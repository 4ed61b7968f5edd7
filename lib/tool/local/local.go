// Package local is the server that a tool is run on: its paths, settings, state
// and identity, and what it may be asked to do. It is what every tool opens
// first.
package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"iwx/lib/atomicfile"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/state"
)

// Server is this server, with its state open.
type Server struct {
	host.Paths
	Config   conf.Config
	Store    *state.Store
	Identity *cluster.Identity
}

// Open opens the server below the context's root. The caller must Close it.
func Open(c *cli.Context) (*Server, error) {
	paths := host.At(c.Root)
	config, err := conf.Load(c, paths.Config)
	if err != nil {
		return nil, err
	}
	store, err := state.OpenAt(c, paths)
	if err != nil {
		return nil, err
	}
	id, err := store.Identity(c)
	if err != nil {
		store.Close()
		return nil, err
	}
	return &Server{Paths: paths, Config: config, Store: store, Identity: id}, nil
}

// OpenManager is Open for what only the manager can do. On a node the error
// says so and names the manager.
func OpenManager(c *cli.Context, what string) (*Server, error) {
	s, err := Open(c)
	if err != nil {
		return nil, err
	}
	err = s.CheckManager(what)
	if err == nil {
		err = s.CheckFence(c, fault.Failed)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// CheckManager fails on a node. The error says so, names the manager, and ends with
// what only the manager can do.
func (s *Server) CheckManager(what string) error {
	if s.IsManager() {
		return nil
	}
	return fault.Hint(
		fault.New(fault.Failed, "this server is node %s of cluster %s; %s", s.Identity.Name, s.Identity.ClusterName, what),
		"do it on the manager, at %s", s.Identity.Manager.Addr())
}

// CheckFence fails, with the exit code, on a manager whose place another has taken.
func (s *Server) CheckFence(ctx context.Context, code fault.Code) error {
	fence, err := s.Store.Fence(ctx)
	if err != nil {
		return err
	}
	return fence.Err(code)
}

// Close closes the state, if it is open.
func (s *Server) Close() error {
	if s.Store == nil {
		return nil
	}
	return s.Store.Close()
}

// MakeRun creates the run directory, in which the processes of a server agree
// on its state. A daemon calls it before it opens the state. Without a state it
// creates nothing.
func MakeRun(paths host.Paths) error {
	if _, err := os.Lstat(paths.State); err != nil {
		return nil // Open reports why
	}
	return atomicfile.MkdirAll(paths.Run, 0o700)
}

// Times of KeepState.
const (
	checkEvery      = time.Second
	checkpointEvery = 10 * time.Second
)

// KeepState guards the state of a daemon. It fails, which ends the daemon, when
// another file has taken the state's name; the restarted daemon opens the new
// file. KeepState also checkpoints the write-ahead log into the database file.
//
// If rescue is set, a state that no longer has a name is saved before that, with the time
// of now in its name. Only iwx-queued does so: who removes a state on purpose, as reset
// does, stops it first.
func (s *Server) KeepState(ctx context.Context, log *slog.Logger, now func() time.Time, rescue bool) error {
	check, checkpoint := time.NewTicker(checkEvery), time.NewTicker(checkpointEvery)
	defer check.Stop()
	defer checkpoint.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-check.C:
			if err := s.Store.Check(); err != nil {
				if rescue {
					s.rescue(ctx, log, now())
				}
				return err
			}
		case <-checkpoint.C:
			err := s.Store.Checkpoint(ctx)
			if err != nil && !failed && ctx.Err() == nil {
				log.Error("cannot write back the state's write-ahead log", "error", err)
			}
			failed = err != nil
		}
	}
}

func (s *Server) rescue(ctx context.Context, log *slog.Logger, now time.Time) {
	switch path, err := s.Store.Rescue(ctx, now); {
	case err != nil:
		log.Error("cannot save a copy of the lost state", "error", err)
	case path != "":
		log.Warn("saved a copy of the lost state", "file", path)
	}
}

// IsManager reports whether this server is the cluster manager.
func (s *Server) IsManager() bool { return s.Identity.Role == cluster.RoleManager }

// Poke tells the daemon of this server that the state has changed. If none is
// running, nothing is lost: it reads the state when it starts.
func (s *Server) Poke() { daemon.Poke(s.Run) }

// PokeBalance tells both daemons that what is asked for of load balancing has
// changed: iwx-lb daemon, and iwx-queued for the profiles of the servers.
func (s *Server) PokeBalance() {
	daemon.Poke(s.Balance)
	s.Poke()
}

// Queued returns iwx-queued on this server.
func (s *Server) Queued() Daemon { return Queued(s.Paths) }

// Balancer returns iwx-lb daemon on this server.
func (s *Server) Balancer() Daemon { return Balancer(s.Paths) }

// WarnIdle is that of iwx-queued.
func (s *Server) WarnIdle(c *cli.Context, so string) bool { return s.Queued().WarnIdle(c, so) }

// DaemonBegan returns the time at which iwx-queued started on this server, or
// zero if it does not run.
func (s *Server) DaemonBegan() time.Time { return daemon.Since(s.Run) }

// LastContact returns the time of the last contact with a peer. seen is the time that
// was saved. The result is now if the peer has not been silent since then and the
// daemon that saved it runs: the connection between the two is always open, and the
// saved time may be as old as a poll.
func (s *Server) LastContact(seen, silent, now time.Time) time.Time {
	began := s.DaemonBegan()
	if began.IsZero() || seen.Before(began) || !silent.IsZero() {
		return seen
	}
	return now
}

// NodeNames returns the members' names by id, and with the nodes that are gone
// as "NAME (deleted)".
func (s *Server) NodeNames(c *cli.Context) (map[string]string, error) {
	names := map[string]string{}
	if !s.IsManager() {
		names[s.Identity.NodeID] = s.Identity.Name
		return names, nil
	}
	nodes, err := s.Store.Nodes(c)
	for _, n := range nodes {
		names[n.ID] = n.Name
		if !n.Membership.Belongs() {
			names[n.ID] += " (" + string(n.Membership) + ")"
		}
	}
	return names, err
}

// Operator names who runs the tool, for the record: the user who logged in, and
// who became root with sudo(8), if so.
func Operator(c *cli.Context) string {
	name := fmt.Sprint(os.Getuid())
	if u, err := host.LookupUser(c, name); err == nil {
		name = u.Name
	}
	if by := c.Getenv("SUDO_USER"); by != "" && by != name {
		return by + " as " + name
	}
	return name
}

// LibexecDir returns where the programs are that only iwx itself runs: beside
// the tools' own directory as they were installed, or beside the tool itself
// in a build directory.
func LibexecDir() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(self)
	for _, candidate := range []string{filepath.Join(filepath.Dir(dir), "libexec", "iwx"), filepath.Join(filepath.Dir(dir), "lib", "iwx"), dir} {
		if _, err := os.Stat(filepath.Join(candidate, "iwx-attempt")); err == nil {
			return candidate, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return "", fault.Hint(fault.New(fault.Failed, "iwx-attempt is neither in libexec nor beside %s", self), "install iwx again")
}

// Ago returns how long ago a moment was, for sentences: "3m ago".
func Ago(c *cli.Context, t time.Time) string {
	return strings.TrimSuffix(cli.Age(c.Now().Sub(t)), " ") + " ago"
}
