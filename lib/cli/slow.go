package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// slowAfter is how long a step may take before it is named: longer than any takes on
// an ordinary server, so that a run from cron(8) that goes well prints nothing.
const slowAfter = 3 * time.Second

// Slow names a step, "join the cluster", on standard error if it is not done within
// slowAfter, terminal or not: who waits, or reads the log of a script, sees what for.
// The caller calls done when it is. Steps may be in one another.
func (c *Context) Slow(step string) (done func()) {
	after := c.slowAfter
	if after == 0 {
		after = slowAfter
	}
	before := c.Stderr
	stderr := &shared{w: before}
	c.Stderr = stderr
	timer := time.AfterFunc(after, func() {
		// Whether it is done is known under the lock only.
		stderr.mu.Lock()
		defer stderr.mu.Unlock()
		if !stderr.done {
			fmt.Fprintf(before, "in progress: %s\n", step)
		}
	})
	return func() {
		timer.Stop()
		stderr.mu.Lock()
		defer stderr.mu.Unlock()
		stderr.done = true
		c.Stderr = before
	}
}

// shared is a stream that a step and what waits for it write to.
type shared struct {
	mu   sync.Mutex
	w    io.Writer
	done bool
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
