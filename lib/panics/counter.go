package panics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"iwx/lib/atomicfile"
)

// Count holds the number of panics that a daemon has caught since its server was set
// up, and the last of them.
type Count struct {
	Daemon string    `json:"daemon"` // "iwx-queued"
	Panics int       `json:"panics"`
	Last   time.Time `json:"last"`
	Work   string    `json:"work"`  // of the last: "probe of web2 imap"
	Error  string    `json:"error"` // the value of the panic
	Place  string    `json:"place"` // as in Panic
}

// String returns the count as text, without the time: "3 panics, the last in
// probe of web2 imap: index out of range, at iwx/lib/health.article (dialog.go:150)".
func (c Count) String() string {
	what := "1 panic, in"
	if c.Panics != 1 {
		what = fmt.Sprintf("%d panics, the last in", c.Panics)
	}
	return fmt.Sprintf("%s %s: %s, at %s", what, c.Work, c.Error, c.Place)
}

// Limits for a panic that repeats.
const (
	logEvery   = time.Minute // the stack of one place
	writeEvery = time.Second
	mostError  = 300 // bytes
)

// Counter counts the panics of one daemon, across its runs. It keeps the count in a
// file of its own, so that it does not depend on the state database. One daemon at a
// time writes the file. Its methods are safe for concurrent use.
type Counter struct {
	path string
	now  func() time.Time

	mu      sync.Mutex
	count   Count
	written time.Time
	dirty   bool                 // count is not in the file
	logged  map[string]time.Time // by place
}

// NewCounter returns the counter of a daemon, starting from its file in dir. The first
// panic creates the directory. If the file cannot be read, the count starts at 0.
func NewCounter(dir, daemon string, now func() time.Time) *Counter {
	c := &Counter{path: filepath.Join(dir, daemon+".json"), now: now, logged: map[string]time.Time{}}
	c.count, _ = read(c.path)
	c.count.Daemon = daemon
	return c
}

// Count returns the count so far.
func (c *Counter) Count() Count {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// Logger returns a log that counts the panics logged to it, and drops a panic whose
// place was logged within the last minute.
func (c *Counter) Logger(log *slog.Logger) *slog.Logger {
	return slog.New(&handler{log.Handler(), c})
}

// Close writes the count to the file if it has changed.
func (c *Counter) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write()
}

// take counts a panic, and reports whether to log it. If the file cannot be written, it
// returns the error, keeps the count, and writes it with the next panic.
func (c *Counter) take(p *Panic, work string) (loud bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	text := p.Error()
	if len(text) > mostError {
		text = strings.ToValidUTF8(text[:mostError], "") + "…"
	}
	c.count = Count{Daemon: c.count.Daemon, Panics: c.count.Panics + 1, Last: now, Work: work, Error: text, Place: p.Place}
	c.dirty = true
	if now.Sub(c.written) >= writeEvery {
		err = c.write()
	}
	if last, was := c.logged[p.Place]; was && now.Sub(last) < logEvery {
		return false, err
	}
	c.logged[p.Place] = now
	return true, err
}

// write writes the count if it has changed. The caller holds c.mu.
func (c *Counter) write() error {
	if !c.dirty {
		return nil
	}
	data, err := json.Marshal(c.count)
	if err == nil {
		err = atomicfile.MkdirAll(filepath.Dir(c.path), 0o700)
	}
	if err == nil {
		err = atomicfile.Write(c.path, data, 0o600)
	}
	c.written, c.dirty = c.now(), err != nil
	return err
}

// Read returns the counts of all daemons that have files in dir, sorted by name, and
// none if no panic was ever caught. If a file cannot be read, it returns the error
// together with the other counts.
func Read(dir string) (list []Count, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, name := range names {
		c, failed := read(name)
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Count) int { return strings.Compare(a.Daemon, b.Daemon) })
	return list, err
}

func read(path string) (c Count, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return Count{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// handler counts the records that carry a panic.
type handler struct {
	slog.Handler
	counter *Counter
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	var caught *Panic
	work := ""
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case keyPanic:
			caught, _ = a.Value.Any().(*Panic)
		case "work":
			work = a.Value.String()
		}
		return true
	})
	if caught == nil {
		return h.Handler.Handle(ctx, r)
	}
	loud, err := h.counter.take(caught, work)
	if loud {
		r.AddAttrs(slog.Int("panics", h.counter.Count().Panics))
		if err != nil {
			r.AddAttrs(slog.Any("not_written", err))
		}
		return h.Handler.Handle(ctx, r)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Handler.WithAttrs(attrs), h.counter}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name), h.counter}
}
