package attempt

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"iwx/lib/attempt/record"
	"iwx/lib/attempt/shim"
)

// What is on disk when a daemon is killed between two steps of Start.

var id = ID{Epoch: 7, Seq: 8, Attempt: 9}

// created returns the files of one attempt whose daemon was killed before it
// forked.
func created(t *testing.T, spec Spec) files {
	t.Helper()
	f, err := openFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file, err := f.create(id, "", &spec)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := f.locked(id); !held || err != nil {
		t.Fatalf("not locked before the fork: %v, %v", held, err)
	}
	file.Close() // as the kernel does
	return f
}

func state(t *testing.T, f files) (State, Result) {
	t.Helper()
	if held, err := f.locked(id); held || err != nil {
		t.Fatalf("locked: %v, %v", held, err)
	}
	s, _, r, err := f.settled(id)
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
	info, err := os.Stat(f.specPath(id))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the spec file: %v, %v", info.Mode(), err)
	}
	// Killed in the middle of writing: whatever is there means the same.
	for size := info.Size() - 1; size >= 0; size -= 97 {
		if err := os.Truncate(f.specPath(id), size); err != nil {
			t.Fatal(err)
		}
		if s, _ := state(t, f); s != NeverStarted {
			t.Errorf("%d bytes: state is %v", size, s)
		}
	}
	if err := os.Remove(f.specPath(id)); err != nil {
		t.Fatal(err)
	}
	if s, _ := state(t, f); s != NeverStarted {
		t.Errorf("directory alone: state is %v", s)
	}
	for range 2 {
		if err := f.remove(id); err != nil {
			t.Error(err)
		}
	}
	if s, _ := state(t, f); s != NeverStarted {
		t.Errorf("nothing at all: state is %v", s)
	}
}

// runShim runs the shim as a service manager does: without a descriptor.
func runShim(t *testing.T, f files) (code int, stderr string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "iwx-attempt")
	if out, err := exec.Command("go", "build", "-o", program, "iwx/cmd/iwx-attempt").CombinedOutput(); err != nil {
		t.Fatalf("%s%v", out, err)
	}
	var text strings.Builder
	cmd := exec.Command(program, f.dir(id))
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
	if want := "iwx-attempt: " + f.dir(id) + ": this attempt was started before\n"; code != 1 || stderr != want {
		t.Errorf("second start: exit code %d, %q", code, stderr)
	}
	if _, r := state(t, f); r.Stdout.Size != int64(len("here\n")) {
		t.Errorf("second start: output %q", r.Stdout.Head)
	}
}

func TestShimRefusesTornSpec(t *testing.T) {
	f := created(t, Spec{Argv: []string{"/bin/sh", "-c", "echo here"}})
	info, err := os.Stat(f.specPath(id))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(f.specPath(id), info.Size()-1); err != nil {
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
	file, err := os.OpenFile(f.specPath(id), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	mark := (&record.Mark{PID: 1}).Encode()
	mark[4]++
	if _, err := file.WriteAt(mark, record.MarkOffset); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := f.settled(id); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("settled: %v", err)
	}
}

func TestSessionOfAnother(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, shim.StdoutFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sleep := exec.Command("sleep", "1000")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { sleep.Process.Kill(); sleep.Wait() }()
	// The mark's process id is in use by a process that is not the shim, and
	// none of its session holds our outputs.
	endSession(&record.Mark{PID: sleep.Process.Pid}, dir)
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
