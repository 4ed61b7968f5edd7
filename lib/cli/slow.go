package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// slowAfter is the time after which a running step is printed. It is longer than any
// step takes on an ordinary server, so that a successful run from cron(8) prints
// nothing.
const slowAfter = 3 * time.Second

// Slow prints the name of a step, "join the cluster", on standard error if it takes
// longer than slowAfter, terminal or not: it tells a waiting user, or the reader of a
// script's log, what runs. The caller calls done at the end of the step. Steps may be
// nested.
func (c *Context) Slow(step string) (done func()) {
	after := c.slowAfter
	if after == 0 {
		after = slowAfter
	}
	before := c.Stderr
	stderr := &shared{w: before}
	c.Stderr = stderr
	timer := time.AfterFunc(after, func() {
		// Check done only while holding the lock.
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

// shared is a stream to which both a step and Slow write.
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
