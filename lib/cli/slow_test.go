package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

// TestSlow: a step that takes longer is printed once, and so is a nested one; a step
// that ends in time is not.
func TestSlow(t *testing.T) {
	r, w := io.Pipe()
	defer r.Close()
	c := sampleContext(w)
	c.slowAfter = time.Millisecond
	lines := make(chan string)
	go func() {
		var text bytes.Buffer
		one := make([]byte, 1)
		for {
			if _, err := r.Read(one); err != nil {
				close(lines)
				return
			}
			if text.WriteByte(one[0]); one[0] == '\n' {
				lines <- text.String()
				text.Reset()
			}
		}
	}()
	next := func() string {
		t.Helper()
		select {
		case line := <-lines:
			return line
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was printed")
			return ""
		}
	}
	outer := c.Slow("join the cluster")
	if line := next(); line != "in progress: join the cluster\n" {
		t.Errorf("printed %q", line)
	}
	inner := c.Slow("start the daemon")
	if line := next(); line != "in progress: start the daemon\n" {
		t.Errorf("printed %q", line)
	}
	go c.Notef("a note")
	if line := next(); line != "a note\n" {
		t.Errorf("printed %q", line)
	}
	inner()
	outer()

	// Done in time.
	c.slowAfter = time.Hour
	c.Slow("quick")()
	if c.Stderr != io.Writer(w) {
		t.Error("standard error is not what it was")
	}
	w.Close()
	for line := range lines {
		t.Errorf("printed %q too", strings.TrimSpace(line))
	}
}
