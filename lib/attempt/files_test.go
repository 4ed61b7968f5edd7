package attempt

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"iwx/lib/attempt/process"
	"iwx/lib/attempt/record"
	"iwx/lib/testenv"
)

// What is on disk when a daemon is killed between two steps of Start, and what a
// shim makes of it that is started by somebody else.

// created returns the files of one attempt whose daemon was killed before it
// forked.
func created(t *testing.T, spec Spec) files {
	t.Helper()
	f, err := openFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file, err := f.create(testID, "", &spec)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := f.locked(testID); !held || err != nil {
		t.Fatalf("not locked before the fork: %v, %v", held, err)
	}
	file.Close() // as the kernel does
	return f
}

func state(t *testing.T, f files) (State, Result) {
	t.Helper()
	if held, err := f.locked(testID); held || err != nil {
		t.Fatalf("locked: %v, %v", held, err)
	}
	s, _, r, err := f.settled(testID)
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

func TestKilledBeforeFork(t *testing.T) {
	f := created(t, Spec{Argv: []string{"true"}})
	if s, _ := state(t, f); s != NeverStarted {
		t.Errorf("state is %v", s)
	}
	info, err := os.Stat(f.specPath(testID))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the spec file: %v, %v", info.Mode(), err)
	}
	// Killed in the middle of writing: whatever is there means the same.
	page, err := record.EncodePage("")
	if err != nil {
		t.Fatal(err)
	}
	whole := append(page, (&Spec{Argv: []string{"true"}}).Encode()...)
	for size := len(whole) - 1; size >= 0; size -= 97 {
		if err := os.WriteFile(f.specPath(testID), whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if s, _ := state(t, f); s != NeverStarted {
			t.Errorf("%d bytes: state is %v", size, s)
		}
	}
	if err := os.Remove(f.specPath(testID)); err != nil {
		t.Fatal(err)
	}
	if s, _ := state(t, f); s != NeverStarted {
		t.Errorf("directory alone: state is %v", s)
	}
	for range 2 {
		if err := f.remove(testID); err != nil {
			t.Error(err)
		}
	}
	if s, _ := state(t, f); s != NeverStarted {
		t.Errorf("nothing at all: state is %v", s)
	}
}

// runShim runs the shim as a service manager does: without a descriptor. The
// wrapper is a command line to start it through, or nil.
func runShim(t *testing.T, f files, wrapper ...string) (code int, stderr string) {
	t.Helper()
	var text strings.Builder
	argv := append(wrapper, shimPath, f.dir(testID))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = &text
	cmd.Run()
	return cmd.ProcessState.ExitCode(), text.String()
}

func TestShimLocksByItself(t *testing.T) {
	f := created(t, Spec{Argv: []string{"/bin/sh", "-c", "echo here; exit 2"}})
	if code, stderr := runShim(t, f); code != 0 || stderr != "" {
		t.Errorf("shim: exit code %d, %q", code, stderr)
	}
	s, r := state(t, f)
	if s != Finished || r.Outcome != Exited || r.Code != 2 || string(r.Stdout.Head) != "here\n" {
		t.Errorf("%v: %v, code %d, output %q", s, r.Outcome, r.Code, r.Stdout.Head)
	}
	// A second start of the same attempt does nothing.
	code, stderr := runShim(t, f)
	if want := "iwx-attempt: " + f.dir(testID) + ": this attempt was started before\n"; code != 1 || stderr != want {
		t.Errorf("second start: exit code %d, %q", code, stderr)
	}
	if _, r := state(t, f); r.Stdout.Size != int64(len("here\n")) {
		t.Errorf("second start: output %q", r.Stdout.Head)
	}
}

// Blocked and ignored signals are inherited, unless somebody sees to it.
func TestShimShedsSignals(t *testing.T) {
	f := created(t, sh("grep -E 'Sig(Ign|Blk)' /proc/self/status; env"))
	code, stderr := runShim(t, f, "env", "--block-signal=USR1,TERM", "--ignore-signal=HUP,TTOU,RTMAX")
	if code != 0 || stderr != "" {
		t.Fatalf("shim: exit code %d, %q", code, stderr)
	}
	const clean = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
	if _, r := state(t, f); !strings.HasPrefix(string(r.Stdout.Head), clean) || strings.Contains(string(r.Stdout.Head), "IWX") {
		t.Errorf("got %q", r.Stdout.Head)
	}
}

// What the shim's user may not kill is told, and does not hang the queue.
func TestUnkillable(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making a set-user-id program takes root")
	}
	dir := t.TempDir()
	open(t, dir)
	sleep := copyProgram(t, dir, "sleep", 0o755)
	// Like sudo: what it runs is root's altogether.
	sudo := copyProgram(t, dir, "setpriv", 0o755|os.ModeSetuid)
	f := created(t, Spec{
		Argv:      []string{sudo, "--reuid=0", sleep, "1000"},
		Timeout:   testenv.Limit(500 * time.Millisecond),
		KillAfter: 10 * time.Millisecond,
	})
	for _, name := range []string{f.dir(testID), f.specPath(testID)} {
		if err := os.Chown(name, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	open(t, string(f))
	open(t, filepath.Dir(shimPath))
	code, stderr := runShim(t, f, "setpriv", "--reuid=12345", "--regid=12345", "--clear-groups")
	if code != 0 || stderr != "" {
		t.Fatalf("shim: exit code %d, %q", code, stderr)
	}
	_, r := state(t, f)
	const want = "cannot end some processes of the command: operation not permitted"
	if r.Outcome != TimedOut || r.Code != -1 || r.Error != want || r.Ended.IsZero() {
		t.Errorf("got %v, code %d, %q", r.Outcome, r.Code, r.Error)
	}
	if n := killAll(t, sleep); n != 1 {
		t.Errorf("%d processes were left, want the one", n)
	}
}

// copyProgram copies a program of the system into dir, with the given mode.
func copyProgram(t *testing.T, dir, name string, mode os.FileMode) string {
	t.Helper()
	program, err := os.ReadFile("/usr/bin/" + name)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, name)
	// Writing to a file takes its set-user-id bit away.
	if err := errors.Join(os.WriteFile(to, program, 0o755), os.Chmod(to, mode)); err != nil {
		t.Fatal(err)
	}
	return to
}

// open lets everybody into a temporary directory and the one it is in.
func open(t *testing.T, dir string) {
	t.Helper()
	for dir != filepath.Clean(os.TempDir()) && dir != "/" {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		dir = filepath.Dir(dir)
	}
}

// killAll kills the processes that run the program and returns their number.
func killAll(t *testing.T, program string) (n int) {
	t.Helper()
	table, err := process.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range table {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID))
		if err == nil && exe == program {
			syscall.Kill(p.PID, syscall.SIGKILL)
			n++
		}
	}
	return n
}

func TestShimRefusesTornSpec(t *testing.T) {
	f := created(t, Spec{Argv: []string{"/bin/sh", "-c", "echo here"}})
	info, err := os.Stat(f.specPath(testID))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(f.specPath(testID), info.Size()-1); err != nil {
		t.Fatal(err)
	}
	if code, stderr := runShim(t, f); code != 1 || stderr != "iwx-attempt: attempt record is torn or damaged\n" {
		t.Errorf("shim: exit code %d, %q", code, stderr)
	}
	if s, _ := state(t, f); s != NeverStarted {
		t.Errorf("state is %v", s)
	}
}

func TestNewerVersionIsAnError(t *testing.T) {
	f := created(t, Spec{Argv: []string{"true"}})
	file, err := os.OpenFile(f.specPath(testID), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	mark := (&record.Mark{PID: 1}).Encode()
	mark[4]++
	if _, err := file.WriteAt(mark, record.MarkOffset); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := f.settled(testID); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("settled: %v", err)
	}
}

func TestSessionOfAnother(t *testing.T) {
	sleep := exec.Command("sleep", "1000")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { sleep.Process.Kill(); sleep.Wait() }()
	// The mark's process id is in use by a process that is not the shim, and
	// none of its session has our pipes open.
	endSession(record.Page{Mark: &record.Mark{PID: sleep.Process.Pid}, Pipes: record.Pipes{1, 2}})
	if err := sleep.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a stranger was killed: %v", err)
	}
}

func TestGroupDir(t *testing.T) {
	const hybrid = "30 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n" +
		"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
	const inside = "41 31 0:38 /box /sys/fs/my\\040group rw - cgroup2 cgroup2 rw\n"
	tests := []struct{ name, mounts, own, want string }{
		{"hybrid", hybrid, "8:pids:/x\n0::/system.slice/iwx.service\n", "/sys/fs/cgroup/unified/system.slice/iwx.service"},
		{"root", hybrid, "0::/\n", "/sys/fs/cgroup/unified"},
		{"mounted in part", inside, "0::/box/a\n", "/sys/fs/my group/a"},
		{"outside the mount", inside, "0::/other\n", ""},
		{"version 1 alone", "30 23 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n", "8:pids:/\n", ""},
		{"no group", hybrid, "8:pids:/x\n", ""},
	}
	for _, tt := range tests {
		got, err := groupDir(tt.mounts, tt.own)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
	if err := endGroup(t.TempDir()); err == nil {
		t.Error("a directory that is no group of ours was removed")
	}
}

// TestFilesRemoved: of a command whose files are removed while it runs, the outcome is
// unknown: it is no failure, which would be tried again.
func TestFilesRemoved(t *testing.T) {
	eachRunner(t, func(t *testing.T, dir string, r Runner) {
		at := t.TempDir()
		spec := sh("touch ready; until [ -e go ]; do sleep 0.01; done")
		spec.Dir = at
		running := start(t, r, spec)
		testenv.Until(t, "the command runs", func() bool { _, err := os.Stat(filepath.Join(at, "ready")); return err == nil })
		if err := os.RemoveAll(filepath.Join(dir, testID.String())); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := await(t, running); got.Outcome != Unknown || got.Error != "the files of the attempt were removed while it ran" {
			t.Errorf("%v, %q", got.Outcome, got.Error)
		}
	})
}
