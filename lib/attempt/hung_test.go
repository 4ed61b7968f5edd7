package attempt

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/testenv"
)

// Processes that a command leaves: those that are ended are listed, and so are
// those that cannot be.

func TestLeftIsNamed(t *testing.T) {
	stay := filepath.Join(t.TempDir(), "a stay) R\n") // a difficult file name
	if err := os.Symlink("/bin/sleep", stay); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, script, note string }{
		{"nothing", "sleep 0.01; echo x | cat", ""},
		{"a daemon", "setsid nohup sleep 987 >/dev/null 2>&1 & up $!", `^ended 1 process that was left: pid \d+ sleep$`},
		{"a failure", "sleep 987 & up $!; exit 3", `^ended 1 process that was left: pid \d+ sleep$`},
		{"more than one", "sleep 987 & up $!; (sleep 987 & up $!)", `^ended 2 processes that were left: pid \d+ sleep, pid \d+ sleep$`},
		{"many", "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 987 & up $!; done", `^ended 10 processes that were left: (pid \d+ sleep, ){7}pid \d+ sleep and 2 more$`},
		{"an odd name", `"` + stay + `" 987 & up $!`, `^ended 1 process that was left: pid \d+ a stay\) R\\x0a$`},
	}
	// A process gets its name when the program replaces the shell.
	const up = "up() { while grep -qE '^(sh|setsid|nohup)$' /proc/$1/comm; do sleep 0.01; done; }\n"
	eachRunner(t, func(t *testing.T, _ string, r Runner) {
		for _, tt := range tests {
			got := runWith(t, r, sh(up+tt.script))
			if got.Outcome != Exited || got.Note != tt.note && (tt.note == "" || !regexp.MustCompile(tt.note).MatchString(got.Note)) {
				t.Errorf("%s: %v, note %q, want %q", tt.name, got.Outcome, got.Note, tt.note)
			}
		}
	})
	// Processes that a timeout ends are not listed: the timeout says it all.
	spec := sh("sleep 987 & wait")
	spec.Timeout = 100 * time.Millisecond
	if r := run(t, newChild(t, t.TempDir(), nil), spec); r.Outcome != TimedOut || r.Note != "" {
		t.Errorf("%v, note %q", r.Outcome, r.Note)
	}
}

// frozen returns a file system on which every writer hangs until thaw.
func frozen(t *testing.T) (dir string, thaw func()) {
	t.Helper()
	dir = t.TempDir()
	image := filepath.Join(t.TempDir(), "image")
	for _, argv := range [][]string{
		{"truncate", "-s", "8M", image},
		{"mkfs.ext4", "-q", "-F", image},
		{"mount", "-o", "loop", image, dir},
		{"fsfreeze", "-f", dir},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Skipf("freezing a file system takes root, ext4 and a loop device: %v: %v: %s", argv, err, out)
		}
		if argv[0] == "mount" {
			t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
		}
	}
	thawed := false
	thaw = func() {
		if thawed {
			return
		}
		thawed = true
		if out, err := exec.Command("fsfreeze", "-u", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	t.Cleanup(thaw)
	return dir, thaw
}

// hungWait is the time that a command has to reach the point where it hangs.
func hungWait() time.Duration { return testenv.Limit(2 * time.Second) }

// hangs runs a script that hangs on a frozen file system, DIR, and then thaws it.
func hangs(t *testing.T, attempts string, r Runner, script string, timeout time.Duration) (hung *Hung, result Result) {
	t.Helper()
	dir, thaw := frozen(t)
	spec := sh(strings.ReplaceAll(script, "DIR", dir))
	spec.Timeout, spec.KillAfter = timeout, 100*time.Millisecond
	running := start(t, r, spec)
	testenv.Until(t, "it is told that something hangs", func() bool {
		var err error
		if hung, err = Look(attempts, testID); err != nil {
			t.Fatal(err)
		}
		return hung != nil
	})
	thaw()
	result = await(t, running)
	if h, err := r.Hung(testID); h != nil || err != nil {
		t.Errorf("after its end: %+v, %v", h, err)
	}
	return hung, result
}

func TestHung(t *testing.T) {
	eachRunner(t, func(t *testing.T, attempts string, r Runner) {
		began := time.Now()
		hung, got := hangs(t, attempts, r, "exec touch DIR/x", hungWait())
		if !regexp.MustCompile(`^pid \d+ touch cannot be killed, state D$`).MatchString(hung.Processes) || !hung.TimedOut {
			t.Errorf("%+v", hung)
		}
		if over := hung.Since.Sub(began); over < hungWait()-time.Second || hung.Since.After(time.Now()) {
			t.Errorf("over its time since %v after the start", over)
		}
		if got.Outcome != TimedOut {
			t.Errorf("in the end: %v", got.Outcome)
		}
	})
}

func TestHungLeftovers(t *testing.T) {
	tests := []struct {
		name, script string
		timeout      time.Duration
		hung         string
		outcome      Outcome
		note         string
	}{
		{"two of them", "touch DIR/x & touch DIR/y & wait", hungWait(),
			`^2 processes cannot be killed: pid \d+ touch \(state D\), pid \d+ touch \(state D\)$`, TimedOut, "^$"},
		{"left by a command", `touch DIR/x & until grep -q '^State:.D' /proc/$!/status; do sleep 0.01; done; exit 3`, 0,
			`^pid \d+ touch cannot be killed, state D$`, Exited, `^ended 1 process that was left: pid \d+ touch$`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			hung, got := hangs(t, dir, newChild(t, dir, nil), tt.script, tt.timeout)
			if !regexp.MustCompile(tt.hung).MatchString(hung.Processes) || hung.TimedOut != (tt.outcome == TimedOut) {
				t.Errorf("%+v", hung)
			}
			if got.Outcome != tt.outcome || !regexp.MustCompile(tt.note).MatchString(got.Note) {
				t.Errorf("in the end: %v, note %q", got.Outcome, got.Note)
			}
		})
	}
}

// blinded starts a script, and once that has made the file ready, keeps its shim from
// opening files, /proc included, until see is called.
func blinded(t *testing.T, c *Child, spec Spec) (running Running, see func()) {
	t.Helper()
	spec.Dir, spec.KillAfter = t.TempDir(), 100*time.Millisecond
	running = start(t, c, spec)
	testenv.Until(t, "the command runs", func() bool { _, err := os.Stat(filepath.Join(spec.Dir, "ready")); return err == nil })
	page, err := c.page(testID)
	if err != nil {
		t.Fatal(err)
	}
	limit := func(cur uint64) {
		t.Helper()
		var is unix.Rlimit
		err := unix.Prlimit(page.Mark.PID, unix.RLIMIT_NOFILE, nil, &is)
		is.Cur = cur
		if err == nil {
			err = unix.Prlimit(page.Mark.PID, unix.RLIMIT_NOFILE, &is, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	limit(0)
	if err := os.WriteFile(filepath.Join(spec.Dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return running, func() { limit(256) }
}

// TestTimeoutWithoutProcessTable: a command whose time is up ends even if the table of
// processes cannot be read then.
func TestTimeoutWithoutProcessTable(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"SIGTERM ends it":   "touch ready; exec sleep 987",
		"SIGKILL ends it":   "trap '' TERM; touch ready; while :; do sleep 987; done",
		"its children also": "sleep 987 & sleep 987 & touch ready; wait",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := sh(script)
			spec.Timeout = time.Second
			running, _ := blinded(t, newChild(t, t.TempDir(), nil), spec)
			if r := await(t, running); r.Outcome != TimedOut || r.Error != "" {
				t.Errorf("%v, %q", r.Outcome, r.Error)
			}
		})
	}
}

// TestLeftoversWithoutProcessTable: while the table of processes cannot be read, the
// shim waits for what a command left, and reports nothing; then it ends that.
func TestLeftoversWithoutProcessTable(t *testing.T) {
	t.Parallel()
	c := newChild(t, t.TempDir(), nil)
	running, see := blinded(t, c, sh("setsid sleep 987 & until grep -q '^sleep$' /proc/$!/comm; do sleep 0.01; done; touch ready; until [ -e go ]; do sleep 0.01; done; exit 3"))
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // twice what a report takes
	defer cancel()
	if r, err := running.Wait(ctx); err == nil {
		t.Fatalf("it ended while something is left: %+v", r)
	}
	if h, err := c.Hung(testID); h != nil || err != nil {
		t.Errorf("reported: %+v, %v", h, err)
	}
	see()
	if r := await(t, running); r.Outcome != Exited || r.Code != 3 || r.Error != "" {
		t.Errorf("in the end: %+v", r)
	}
}
