package replay_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
)

// machine is a server on which commands run without processes: it keeps what
// outlives a daemon, the commands under way and their files, and counts what
// was executed. It implements attempt.Runner.
type machine struct {
	mu    sync.Mutex
	files map[attempt.ID]*execution
	runs  []attempt.ID // every command that was really started, in order

	succeeded map[uint64]int // how often each entry did
	cut       map[uint64]int // how often nobody could tell afterwards

	// command says what a command does: how it ends, and after how long.
	command func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration)
	// hung is what cannot be ended of a command under way.
	hung *attempt.Hung
	// broken makes Start fail, as when no process can be had.
	broken error
}

// execution is a command and what is to be found of it.
type execution struct {
	id     attempt.ID
	state  attempt.State // as found once it has ended
	result attempt.Result
	ended  chan struct{}
	timer  *time.Timer
}

func newMachine() *machine {
	return &machine{
		files:     map[attempt.ID]*execution{},
		succeeded: map[uint64]int{},
		cut:       map[uint64]int{},
		command:   func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration) { return exit(0), 0 },
	}
}

// exit is the result of a command that ended by itself.
func exit(code int) attempt.Result {
	return attempt.Result{Outcome: attempt.Exited, Code: code, Duration: time.Millisecond}
}

func (m *machine) Start(ctx context.Context, id attempt.ID, spec attempt.Spec) (attempt.Running, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(ctx.Err(), m.broken); err != nil {
		return nil, err
	}
	if m.files[id] != nil {
		return nil, errors.New("attempt " + id.String() + " has files")
	}
	result, after := m.command(id, spec)
	e := &execution{id: id, state: attempt.CutShort, ended: make(chan struct{})}
	m.files[id] = e
	m.runs = append(m.runs, id)
	e.timer = time.AfterFunc(after, func() { m.end(e, attempt.Finished, result) })
	return e, nil
}

// end ends a command, unless it has ended.
func (m *machine) end(e *execution, state attempt.State, result attempt.Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-e.ended:
		return
	default:
	}
	e.state, e.result = state, result
	if result.Outcome == attempt.Exited && result.Code == 0 {
		m.succeeded[e.id.Seq]++
	}
	close(e.ended)
}

// Wait implements attempt.Running.
func (e *execution) Wait(ctx context.Context) (attempt.Result, error) {
	select {
	case <-e.ended:
		return e.result, nil
	case <-ctx.Done():
		return attempt.Result{}, ctx.Err()
	}
}

func (m *machine) Find(_ context.Context, id attempt.ID) (attempt.Found, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.files[id]
	if e == nil {
		return attempt.Found{State: attempt.NeverStarted}, nil
	}
	select {
	case <-e.ended:
		return attempt.Found{State: e.state, Result: e.result}, nil
	default:
		return attempt.Found{State: attempt.Alive, Running: e}, nil
	}
}

func (m *machine) Hung(id attempt.ID) (*attempt.Hung, error) {
	found, err := m.Find(context.Background(), id)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil || found.State != attempt.Alive {
		return nil, err
	}
	return m.hung, nil
}

// hang has the command under way hang from now on.
func (m *machine) hang(h *attempt.Hung) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hung = h
}

func (m *machine) List() ([]attempt.ID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []attempt.ID
	for id := range m.files {
		ids = append(ids, id)
	}
	return ids, nil
}

func (m *machine) Remove(id attempt.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, id)
	return nil
}

func (m *machine) Mode() string { return "process group" }

// leaveFiles puts files there as of an attempt in the given state, as a daemon
// that was killed leaves them.
func (m *machine) leaveFiles(id attempt.ID, state attempt.State, result attempt.Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := &execution{id: id, state: state, result: result, ended: make(chan struct{})}
	close(e.ended)
	m.files[id] = e
}

// cutPower ends everything that runs. Of what lately ended, nothing may be on
// the disk: lose says so for each attempt.
func (m *machine) cutPower(lose func() bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, e := range m.files {
		select {
		case <-e.ended:
		default:
			e.timer.Stop()
			e.result.Outcome = attempt.Unknown
			m.cut[id.Seq]++
			close(e.ended)
		}
		if lose() {
			m.cut[id.Seq]++
			delete(m.files, id)
		}
	}
}

// ran returns what was executed, as "SEQ.ATTEMPT" words.
func (m *machine) ran() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var words []string
	for _, id := range m.runs {
		words = append(words, id.String())
	}
	return strings.Join(words, " ")
}

// chain makes records that follow one another, as a manager does.
type chain struct {
	head    queue.Position
	records []queue.Record
}

func (c *chain) append(kind queue.Kind, targets queue.Targets, body []byte) uint64 {
	r := queue.Next(c.head, 1, kind, targets, body)
	c.records = append(c.records, r)
	c.head = r.Position()
	return r.Seq
}

// add appends a command for every node.
func (c *chain) add(cmd queue.Command) uint64 {
	if cmd.Argv == nil {
		cmd.Argv = []string{"true"}
	}
	return c.append(queue.KindCommand, queue.Members(), encoded(&cmd))
}

// encoded is the body of a command that is known to be small.
func encoded(cmd *queue.Command) []byte {
	body, err := cmd.Encode()
	if err != nil {
		panic(err)
	}
	return body
}

func (c *chain) void(seq uint64, targets queue.Targets) uint64 {
	v := queue.Void{Seq: seq, Disposition: queue.Skipped, Who: "root"}
	return c.append(queue.KindVoid, targets, v.Encode())
}

// page returns what follows record after, as it travels: at most limit records.
func (c *chain) page(after uint64, limit int) []queue.Record {
	rest := c.records[min(after, uint64(len(c.records))):]
	return append([]queue.Record(nil), rest[:min(len(rest), limit)]...)
}

// resolve is the Spec of a Replayer on a machine.
func resolve(_ queue.OpID, _ int, c *queue.Command) (attempt.Spec, error) {
	if c.User == "nobody-here" {
		return attempt.Spec{}, errors.New("no user nobody-here")
	}
	return attempt.Spec{Argv: c.Argv, Env: c.Env}, nil
}

// newReplayer returns the replayer of node "n1" on m, with virtual time.
func newReplayer(j replay.Journal, m attempt.Runner, boot string, log *slog.Logger) *replay.Replayer {
	return (&replay.Replayer{
		Journal: j, Runner: m, Spec: resolve, Node: "n1", Start: 1, Boot: boot, Version: "test",
		Interval: func() time.Duration { return 5 * time.Minute }, Now: time.Now, Alive: func() {}, Log: log,
	}).New()
}

// silent is a logger for tests that do not look at the log.
func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// daemon is a Replayer that runs, until stop.
type daemon struct {
	*replay.Replayer
	t    *testing.T
	stop func() // ends it, and waits for its end; repeatable
}

func startDaemon(t *testing.T, r *replay.Replayer) *daemon {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var once sync.Once
	d := &daemon{Replayer: r, t: t, stop: func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("the replayer ended: %v", err)
			}
		})
	}}
	synctest.Wait() // it has read its journal
	return d
}

// deliver hands in a page that says it is the last.
func (d *daemon) deliver(orders cluster.Orders, records ...queue.Record) {
	d.t.Helper()
	if _, err := d.Deliver(d.t.Context(), &queue.Page{Records: records}, orders, 0); err != nil {
		d.t.Fatalf("deliver: %v", err)
	}
}
