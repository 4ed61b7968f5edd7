package attempt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"iwx/lib/testenv"
)

// How commands end, and what is left of them: nothing.

func TestTimeoutEndsEverything(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Child) {
		file := filepath.Join(t.TempDir(), "pids")
		// Deaf to TERM, a grandchild in a session of its own, and one that was
		// disowned by a double fork.
		spec := sh(fmt.Sprintf(`
			trap '' TERM
			stay='echo $$ >>%s; while :; do sleep 1; done'
			setsid sh -c "$stay" &
			(setsid sh -c "$stay" &) &
			sh -c "$stay"`, file))
		spec.Timeout, spec.KillAfter = testenv.Limit(1500*time.Millisecond), 200*time.Millisecond
		r := run(t, c, spec)
		if r.Outcome != TimedOut || r.Signal != int(syscall.SIGKILL) || r.Code != -1 {
			t.Errorf("got %v, code %d, signal %d", r.Outcome, r.Code, r.Signal)
		}
		if least := spec.Timeout + spec.KillAfter; r.Duration < least {
			t.Errorf("ended after %v, before %v", r.Duration, least)
		}
		for _, pid := range pids(t, file, 3) {
			if alive(pid) {
				t.Errorf("process %d survived the timeout", pid)
			}
		}
	})
}

func TestTimeoutAsksFirst(t *testing.T) {
	spec := sh(`trap 'echo asked; exit 5' TERM; while :; do sleep 0.05; done`)
	spec.Timeout, spec.KillAfter = testenv.Limit(500*time.Millisecond), time.Hour
	r := run(t, newChild(t, t.TempDir(), nil), spec)
	if r.Outcome != TimedOut || r.Code != 5 || string(r.Stdout.Head) != "asked\n" {
		t.Errorf("got %v, code %d, output %q", r.Outcome, r.Code, r.Stdout.Head)
	}
}

func TestTimeoutReachesStopped(t *testing.T) {
	spec := sh(`trap 'exit 6' TERM; kill -STOP $$`)
	spec.Timeout, spec.KillAfter = testenv.Limit(500*time.Millisecond), time.Hour
	if r := run(t, newChild(t, t.TempDir(), nil), spec); r.Outcome != TimedOut || r.Code != 6 {
		t.Errorf("got %v, code %d, signal %d", r.Outcome, r.Code, r.Signal)
	}
}

func TestLeftoversEnd(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Child) {
		file := filepath.Join(t.TempDir(), "pids")
		spec := sh(fmt.Sprintf(`
			stay='echo $$ >>%[1]s; exec sleep 1000'
			setsid sh -c "$stay" >/dev/null 2>&1 &
			(sh -c "$stay" &)
			sh -c "trap '' TERM; $stay" &
			while [ $(wc -l <%[1]s) -lt 3 ]; do sleep 0.01; done
			exit 3`, file))
		spec.KillAfter = 100 * time.Millisecond
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r := run(t, c, spec)
		if r.Outcome != Exited || r.Code != 3 {
			t.Errorf("got %v, code %d; the leftovers must not change it", r.Outcome, r.Code)
		}
		for _, pid := range pids(t, file, 3) {
			if alive(pid) {
				t.Errorf("process %d was left running", pid)
			}
		}
	})
}

// mount mounts a file system for the test, or skips it.
func mount(t *testing.T, kind, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("iwx-test", dir, kind, 0, options); err != nil {
		t.Skip("mounting takes root: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestDiskFull(t *testing.T) {
	dir := mount(t, "tmpfs", "size=1m")
	c := newChild(t, dir, nil)
	// The result has its place from the start.
	r := run(t, c, sh("cat /dev/zero >"+dir+"/fill 2>/dev/null; exit 9"))
	if r.Outcome != Exited || r.Code != 9 {
		t.Errorf("got %v, code %d", r.Outcome, r.Code)
	}
	fill(t, filepath.Join(dir, "fill"))
	if _, err := c.Start(t.Context(), testID, sh("true")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Start on a full disk: %v", err)
	}
	if ids, err := c.List(); len(ids) != 0 || err != nil {
		t.Errorf("left %v, %v", ids, err)
	}
}

// fill appends to a file until its disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

func TestWaitCanBeCalledOff(t *testing.T) {
	c := newChild(t, t.TempDir(), nil)
	gate := filepath.Join(t.TempDir(), "gate")
	running, err := c.Start(t.Context(), testID, sh("until [ -e "+gate+" ]; do sleep 0.01; done; echo through"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.Find(t.Context(), testID)
	if err != nil || found.State != Alive {
		t.Fatalf("Find: %v, %v", found.State, err)
	}
	for _, waiter := range []Running{running, found.Running} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		if _, err := waiter.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait: %v", err)
		}
		cancel()
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, waiter := range []Running{running, found.Running} {
		if r := await(t, waiter); string(r.Stdout.Head) != "through\n" {
			t.Errorf("output %q", r.Stdout.Head)
		}
	}
}

func TestOutputString(t *testing.T) {
	tests := []struct {
		name string
		out  Output
		want string
	}{
		{"empty", Output{}, ""},
		{"text", Output{Head: []byte("a\tb\n"), Size: 4}, "a\tb\n"},
		{"rune across the parts", Output{Head: []byte("\xc3"), Tail: []byte("\xbc"), Size: 2}, "ü"},
		{"left out", Output{Head: []byte("a"), Tail: []byte("z"), Size: 1236}, "a\n… 1234 bytes left out …\nz"},
		{"terminal", Output{Head: []byte("\x1b[2J\r\x7f\u009b\xff"), Size: 9}, `\x1b[2J\x0d\x7f\u009b\xff`},
	}
	for _, tt := range tests {
		if got := tt.out.String(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
