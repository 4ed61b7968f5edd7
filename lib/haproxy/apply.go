package haproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/atomicfile"
	"iwx/lib/backoff"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/lb"
	"iwx/lib/sockets"
	"iwx/lib/wait"
)

// Limits on what HAProxy is waited for.
const (
	checkLimit = time.Minute      // reading a configuration
	loadLimit  = time.Minute      // until a new worker answers
	endLimit   = 30 * time.Second // until one that was told to end does
)

// lookWaits are the waits between checks whether HAProxy is done.
func lookWaits() backoff.Waits {
	return backoff.Waits{First: 5 * time.Millisecond, Most: 250 * time.Millisecond}
}

// Apply implements lb.Engine. Servers are changed at once. Services are changed
// all together, with one reload, after the configuration was found to be good;
// one whose address and port another program has is left out, the others are set
// up, and the error names it. With no operations, a configuration that could not be
// written before is.
func (e *Engine) Apply(ctx context.Context, ops []lb.Operation) error {
	e.changing.Lock()
	defer e.changing.Unlock()
	if len(ops) == 0 && !e.unsaved {
		return nil
	}
	e.hurry(ctx, ops)
	has, err := e.observe(ctx)
	if err != nil {
		return err
	}
	want := has.table()
	anew := false // a service is set up that is there, maybe with other servers
	for _, op := range ops {
		_, there := has.services[op.Key]
		anew = anew || there && op.Verb == lb.AddService
		want.Apply(op)
		if err := e.change(ctx, &has, op); err != nil {
			return err
		}
	}
	e.sweep(ctx, &has)
	taken := e.leaveOut(ctx, has, want)
	return errors.Join(taken, e.settle(ctx, has, want, anew))
}

// hurryAtOnce is of how many servers the commands go in one line, of which HAProxy
// takes 16 KiB: with the longest names and IPv6 each has some 400 bytes.
const hurryAtOnce = 25

// hurry takes servers that are to go out of balancing before HAProxy is asked for all
// that it has, which takes longer the more that is. It does so where nothing is to
// come in first: no pool may be empty meanwhile. What it cannot do is done, or told,
// by the change itself.
func (e *Engine) hurry(ctx context.Context, ops []lb.Operation) {
	var commands []string
	for _, op := range ops {
		if op.Verb != lb.DeleteServer {
			return
		}
		s := server{key: op.Key, name: serverName(op.Addr, op.Real)}
		commands = append(commands, s.retired())
	}
	for batch := range slices.Chunk(commands, hurryAtOnce) {
		_, _ = e.stats.ask(ctx, strings.Join(batch, "; "))
	}
}

// settle makes the worker have the services, whose servers it has already.
func (e *Engine) settle(ctx context.Context, has worker, want lb.Table, anew bool) error {
	switch {
	case len(want) == 0 && !has.running:
		return nil
	case len(want) == 0:
		return e.stop(ctx)
	}
	text := e.text(want)
	if has.running && !anew && markOf(text) == has.mark {
		err := e.write(text)
		e.unsaved = err != nil
		return err
	}
	return e.load(ctx, has, text)
}

// change tells the worker of a server, if it has the service. Repeating it
// changes nothing.
func (e *Engine) change(ctx context.Context, has *worker, op lb.Operation) error {
	v, there := has.services[op.Key]
	if !there {
		return nil
	}
	s, found := has.find(op.Key, op.Addr)
	switch {
	case op.Verb == lb.DeleteServer && found:
		return e.remove(ctx, s)
	case op.Verb != lb.AddServer && op.Verb != lb.EditServer:
		return nil
	case !found:
		return e.add(ctx, has, op, v)
	}
	return e.set(ctx, s, op.Real.Weight)
}

// add makes a server known. It is in maintenance until it is set.
func (e *Engine) add(ctx context.Context, has *worker, op lb.Operation, v lb.Virtual) error {
	s := server{key: op.Key, addr: op.Addr, name: serverName(op.Addr, op.Real), weight: op.Real.Weight, maint: true}
	err := e.stats.do(ctx, "add server "+s.path()+" "+serverValues(op.Addr, v, op.Real), "New server registered")
	if err != nil {
		return err
	}
	has.servers = append(has.servers, s)
	if err := e.stats.do(ctx, "enable health "+s.path()); err != nil {
		return err
	}
	return e.set(ctx, s, op.Real.Weight)
}

// set gives a server its weight; see server for what 0 is.
func (e *Engine) set(ctx context.Context, s server, weight int) error {
	state, number := "set server "+s.path()+" state ", fmt.Sprintf("set server %s weight %d", s.path(), weight)
	if weight == 0 {
		return e.stats.do(ctx, state+"maint; "+number)
	}
	return e.stats.do(ctx, number+"; "+state+"ready")
}

// remove takes a server away: what it has goes on, and sweep removes it later.
func (e *Engine) remove(ctx context.Context, s server) error {
	if err := e.stats.do(ctx, s.retired()); err != nil {
		return err
	}
	return e.drop(ctx, s)
}

// drop removes a server in maintenance, unless it has connections.
func (e *Engine) drop(ctx context.Context, s server) error {
	return e.stats.do(ctx, "del server "+s.path(), "Server deleted", "Server still has connections")
}

// sweep drops the servers that were deleted when they had connections, if they now
// have none. One that stays does no harm, so nothing is said of it.
func (e *Engine) sweep(ctx context.Context, has *worker) {
	for _, s := range has.servers {
		if s.leaving() {
			_ = e.drop(ctx, s)
		}
	}
}

// load gives HAProxy a configuration, and starts it if need be.
func (e *Engine) load(ctx context.Context, has worker, text string) error {
	program, err := e.program()
	if err != nil {
		return err
	}
	if err := e.directories(); err != nil {
		return err
	}
	if err := e.check(ctx, program, text); err != nil {
		return err
	}
	if has.running {
		return e.reload(ctx, markOf(text))
	}
	return e.start(ctx, markOf(text))
}

// Available reports whether HAProxy is installed on the server of paths.
func Available(paths host.Paths) error {
	_, err := layoutAt(paths).program()
	return err
}

// program finds HAProxy.
func (l layout) program() (string, error) {
	for _, name := range l.programs {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fault.Hint(fault.New(fault.Failed, "haproxy is not installed on this server"), "apt-get install haproxy")
}

// directories makes what the instance lives in.
func (e *Engine) directories() error {
	if err := atomicfile.MkdirAll(e.dir, 0o700); err != nil {
		return err
	}
	return e.runner.prepare()
}

// leaveOut takes the services out of want whose port another program has, and
// tells which: HAProxy would not come up at all.
func (e *Engine) leaveOut(ctx context.Context, has worker, want lb.Table) error {
	var failed []error
	for _, key := range slices.SortedFunc(maps.Keys(want), netip.AddrPort.Compare) {
		if _, ours := has.services[key]; ours {
			continue
		}
		// As HAProxy does: with SO_REUSEPORT a worker listens beside the one before it.
		if err := sockets.TryBind(ctx, key, unix.SO_REUSEPORT); errors.Is(err, unix.EADDRINUSE) {
			err := fault.New(fault.Failed, "%s: another program on this server has port %d", want[key].Name, key.Port())
			failed = append(failed, fault.Hint(err, "ss -ltnp 'sport = :%d'", key.Port()))
			delete(want, key)
		}
	}
	return errors.Join(failed...)
}

// check has HAProxy read a configuration, and leaves it as the draft.
func (e *Engine) check(ctx context.Context, program, text string) error {
	if err := atomicfile.Write(e.draft, []byte(text), 0o600); err != nil {
		return err
	}
	ctx, cancel := fault.Within(ctx, checkLimit, "haproxy -c")
	defer cancel()
	return runProgram(ctx, program, "-c", "-f", e.draft)
}

// runProgram runs HAProxy to its end, or until it has detached itself. The error
// has what it complains of.
func runProgram(ctx context.Context, program string, args ...string) error {
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/"
	cmd.Stderr = &complaint
	if err := cmd.Run(); err != nil {
		if late := fault.Late(ctx, err); late != err {
			return late
		}
		return fault.New(fault.Failed, "haproxy %s: %w: %s", strings.Join(args, " "), err, alerts(complaint.String()))
	}
	return nil
}

// alerts returns the lines that tell what is wrong.
func alerts(text string) string {
	var list []string
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, "[ALERT]"); found {
			_, what, _ := strings.Cut(rest, " : ")
			list = append(list, strings.TrimSpace(what))
		}
	}
	if list == nil {
		return strings.TrimSpace(text)
	}
	return strings.Join(list, "; ")
}

// adopt makes the draft the configuration.
func (e *Engine) adopt() error {
	if err := os.Rename(e.draft, e.config); err != nil {
		return err
	}
	return atomicfile.SyncDir(e.dir)
}

// reload has a new worker take over, with the draft, whose mark is given. When it
// does not come about, the configuration before comes back: the worker before goes
// on in any case.
func (e *Engine) reload(ctx context.Context, mark string) error {
	before, err := os.ReadFile(e.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	states, err := e.stats.ask(ctx, "show servers state")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(e.states, []byte(states), 0o600); err != nil {
		return err
	}
	// For the next worker alone: what it tells is old soon.
	defer os.Remove(e.states)
	if err := e.adopt(); err != nil {
		return err
	}
	err = e.turn(ctx, mark)
	if err == nil || before == nil {
		return err
	}
	return errors.Join(err, e.write(string(before)), e.turn(ctx, markOf(string(before))))
}

// turn reloads, and waits until the worker with a mark answers.
func (e *Engine) turn(ctx context.Context, mark string) error {
	was, err := e.master.status(ctx)
	if err != nil {
		return err
	}
	// It may end the connection before it has answered, as it starts anew.
	if _, err := e.master.ask(ctx, "reload"); err != nil && !errors.Is(err, errNobody) {
		return err
	}
	return e.await(ctx, mark, &was)
}

// await waits until the worker with a mark answers, and the master, which comes
// after it. It ends early when the reload since which the master was so is known
// to have failed.
func (e *Engine) await(ctx context.Context, mark string, was *status) error {
	return until(ctx, loadLimit, "haproxy does not come up", e.runner.hint(), func(ctx context.Context) (bool, error) {
		info, err := e.stats.ask(ctx, "show info")
		is, err2 := e.master.status(ctx)
		if err2 == nil && was != nil && is.reloads > was.reloads && is.failed {
			return false, fault.Hint(fault.New(fault.Failed, "haproxy does not take its new configuration"), "%s", e.runner.hint())
		}
		return err == nil && err2 == nil && field(info, "description") == mark, nil
	})
}

// until asks over and over whether something has come about, which HAProxy does
// not tell of itself.
func until(ctx context.Context, limit time.Duration, or, hint string, is func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tries := backoff.Tries{Waits: lookWaits()}
	var failed error
	err := wait.Until(ctx, tries.Failed, func() (done bool, err error) {
		done, failed = is(ctx)
		return done, failed
	})
	if err != nil && failed == nil {
		err = fault.Hint(fault.New(fault.TimedOut, "%s: %w", or, err), "%s", hint)
	}
	return err
}

// start starts an instance with the draft, whose mark is given. One that is still
// ending its connections would be in the way, and is ended.
func (e *Engine) start(ctx context.Context, mark string) error {
	if err := e.runner.end(ctx); err != nil {
		return err
	}
	if err := e.adopt(); err != nil {
		return err
	}
	if err := e.runner.start(ctx); err != nil {
		return err
	}
	return e.await(ctx, mark, nil)
}

// stop takes no new connections. The instance ends with the last that it has.
func (e *Engine) stop(ctx context.Context) error {
	if err := os.Remove(e.config); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := e.runner.leave(ctx); err != nil {
		return err
	}
	return until(ctx, endLimit, "haproxy goes on to take connections", e.runner.hint(), func(ctx context.Context) (bool, error) {
		_, err := e.stats.ask(ctx, "show info")
		return errors.Is(err, errNobody), nil
	})
}
