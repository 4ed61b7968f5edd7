package nfs

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"iwx/lib/panics"
)

// Words for a mount.
const (
	Healthy = "healthy"
	Hung    = "hung"    // it is mounted, and the server does not answer
	Missing = "missing" // it is not mounted, or what is mounted cannot be used
)

// ProbeLimit is how long a server has to answer for a mount to be healthy.
const ProbeLimit = 4 * time.Second

// probeGrace is how long a probe that was killed may take to be gone; only one
// that the kernel does not let go takes longer.
const probeGrace = 500 * time.Millisecond

// Health is how a mount is doing. Its JSON form travels from node to manager.
type Health struct {
	Path  string `json:"path"`
	Word  string `json:"word"`
	Error string `json:"error,omitempty"` // one line, with Missing
	Since int64  `json:"since"`           // when it came to have the word, unix milliseconds
}

// stale reports whether the server does not know the file handle of what is
// mounted: ESTALE, in the words of strerror(3).
func (h Health) stale() bool {
	return h.Word == Missing && strings.HasSuffix(h.Error, "Stale file handle")
}

// Mount is a mount as it should be.
type Mount struct {
	Path   string
	Source string
}

// Prober looks how mounts are doing. Its methods may be called by many
// goroutines.
type Prober struct {
	Mountinfo string // "/proc/self/mountinfo" but in tests
	// Probe looks at a path in another process, which it kills when ctx ends.
	// It returns when that process is gone, which may be much later.
	Probe func(ctx context.Context, path string) error
	Limit time.Duration // 0: ProbeLimit
	Now   func() time.Time
	Log   *slog.Logger // of panics; nil in a tool

	mu   sync.Mutex
	left map[string]bool   // probes that could not be ended
	last map[string]Health // what was found last
}

// Look returns how the mounts are doing, in their order, within little more than
// the limit. A mount whose last probe cannot even be killed gets no second one.
func (p *Prober) Look(ctx context.Context, mounts []Mount) []Health {
	info, err := os.ReadFile(p.Mountinfo)
	found := make([]Health, len(mounts))
	var all sync.WaitGroup
	for i, m := range mounts {
		found[i] = Health{Path: m.Path, Word: Missing, Error: "it is not mounted"}
		if err != nil {
			found[i].Error = err.Error()
			continue
		}
		if here := At(ParseMounts(string(info)), m.Path); len(here) == 0 || !here[0].nfs() {
			continue
		} else if here[0].Source != m.Source {
			found[i].Error = here[0].Source + " is mounted instead"
			continue
		}
		all.Go(func() { found[i].Word, found[i].Error = p.probe(ctx, m.Path) })
	}
	all.Wait()
	return p.date(found)
}

// probe asks one mount's server.
func (p *Prober) probe(ctx context.Context, path string) (word, text string) {
	if !p.enter(path) {
		return Hung, ""
	}
	limit := p.Limit
	if limit == 0 {
		limit = ProbeLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := panics.Try(p.Log, "look at "+path, func() error { return p.Probe(ctx, path) })
		p.leave(path)
		done <- err
	}()
	select {
	case err := <-done:
		return verdict(ctx, err)
	case <-ctx.Done():
	}
	// A tool that ended before the probe was killed would leave it behind.
	grace := time.NewTimer(probeGrace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
	}
	return Hung, ""
}

func verdict(ctx context.Context, err error) (word, text string) {
	switch {
	case err == nil:
		return Healthy, ""
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return Hung, ""
	}
	return Missing, err.Error()
}

func (p *Prober) enter(path string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left[path] {
		return false
	}
	if p.left == nil {
		p.left = map[string]bool{}
	}
	p.left[path] = true
	return true
}

func (p *Prober) leave(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.left, path)
}

// date tells since when each mount has its word, and forgets those that are no
// longer looked at.
func (p *Prober) date(found []Health) []Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.last
	p.last = map[string]Health{}
	for i, h := range found {
		found[i].Since = p.Now().UnixMilli()
		if was, known := last[h.Path]; known && was.Word == h.Word {
			found[i].Since = was.Since
		}
		p.last[h.Path] = found[i]
	}
	return found
}

// Statfs asks the file system at path how it is, statfs(2), in a process of its
// own, stat(1), for Prober.Probe.
func Statfs(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, "stat", "--file-system", "--format=%T", "--", path)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C"}
	_, err := cmd.Output()
	return withStderr(err)
}

// withStderr puts what a program said last into its error.
func withStderr(err error) error {
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(exit.Stderr)), "\n")
	if text := strings.TrimSpace(lines[len(lines)-1]); text != "" {
		return errors.New(text)
	}
	return err
}
