package attempt

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"iwx/lib/testenv"
)

// Output of a command: none is lost, the command is never delayed, and it takes
// little room.

// eachRunner runs a test with every runner there is.
func eachRunner(t *testing.T, f func(t *testing.T, dir string, r Runner)) {
	eachModeDaemon(t, func(t *testing.T, _, dir string, c *Child) { f(t, dir, c) })
	t.Run("unit", func(t *testing.T) {
		dir := t.TempDir()
		f(t, dir, newUnit(t, dir, newSupervisor()))
	})
}

// runWith is run for any runner.
func runWith(t *testing.T, r Runner, spec Spec) Result {
	t.Helper()
	result := await(t, start(t, r, spec))
	if err := r.Remove(testID); err != nil {
		t.Error(err)
	}
	return result
}

// TestReopenedOutputs: a command that opens its outputs by name, or passes them
// to several programs, appends to them.
func TestReopenedOutputs(t *testing.T) {
	tests := []struct{ name, script, stdout, stderr string }{
		{"redirection", "echo first >&2; echo second >/dev/stderr; echo third >&2; exit 3", "", "first\nsecond\nthird\n"},
		{"stdout by name", "echo first; echo second >/dev/stdout; echo third", "first\nsecond\nthird\n", ""},
		{"tee", "echo error >&2; echo data | tee /dev/stderr; exit 3", "data\n", "error\ndata\n"},
		{"by descriptor", "echo first >&2; echo second >/proc/self/fd/2; echo third >/dev/fd/2", "", "first\nsecond\nthird\n"},
		{"dd", "echo first; printf 'second\\n' | dd of=/dev/stdout bs=1 2>/dev/null; echo third", "first\nsecond\nthird\n", ""},
		{"two writers", "for n in 1 2; do (for i in 1 2 3 4 5 6 7 8; do echo line; done >/dev/stdout) & done; wait",
			strings.Repeat("line\n", 16), ""},
		{"a log that is opened anew", "for i in 1 2 3; do sh -c 'echo from $$ >/dev/null; exec >/dev/stderr; echo line'; done", "", "line\nline\nline\n"},
		{"both into one", "echo out; exec >/dev/stderr; echo err", "out\n", "err\n"},
	}
	eachRunner(t, func(t *testing.T, _ string, r Runner) {
		for _, tt := range tests {
			for _, uid := range []uint32{0, 12345} {
				if uid != 0 && os.Geteuid() != 0 {
					continue
				}
				spec := sh(tt.script)
				spec.SetUser, spec.UID, spec.GID = uid != 0, uid, uid
				got := runWith(t, r, spec)
				if string(got.Stdout.Head) != tt.stdout || string(got.Stderr.Head) != tt.stderr {
					t.Errorf("%s, uid %d: stdout %q, stderr %q; want %q, %q", tt.name, uid, got.Stdout.Head, got.Stderr.Head, tt.stdout, tt.stderr)
				}
			}
		}
	})
}

// counted returns size bytes, each different from its neighbours, so that a
// shift shows.
func counted(size int) []byte {
	b := new(bytes.Buffer)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(b, "%d ", i)
	}
	return b.Bytes()[:size]
}

// isPartsOf checks that an output has the beginning and the end of want, at the
// size that must be kept.
func isPartsOf(t *testing.T, what string, out Output, want []byte) {
	t.Helper()
	if out.Size != int64(len(want)) || !bytes.HasPrefix(want, out.Head) || !bytes.HasSuffix(want, out.Tail) {
		t.Errorf("%s: size %d, want %d, or head or tail differ", what, out.Size, len(want))
	}
	if kept := min(len(want), 2*Keep); len(out.Head)+len(out.Tail) != kept {
		t.Errorf("%s: %d and %d bytes kept, want %d", what, len(out.Head), len(out.Tail), kept)
	}
}

func TestOutputOfTwoParts(t *testing.T) {
	c := newChild(t, t.TempDir(), nil)
	for _, size := range []int{0, 1, Keep, Keep + 1, 2*Keep - 1, 2 * Keep, 2*Keep + 1, 3*Keep - 1, 3 * Keep, 5*Keep + 7777, 1 << 20} {
		// Use pieces of all kinds of sizes, so that they cross all borders.
		for _, block := range []string{"4096", "61441", "1M"} {
			spec := sh("dd bs=" + block + " status=none; echo end >&2")
			spec.Stdin = counted(size)
			r := run(t, c, spec)
			isPartsOf(t, fmt.Sprintf("%d bytes by %s", size, block), r.Stdout, spec.Stdin)
			if string(r.Stderr.Head) != "end\n" || r.Note != "" {
				t.Errorf("stderr is %q, note %q", r.Stderr.Head, r.Note)
			}
		}
	}
}

// A large output takes little disk while the command runs, on any file system,
// and the command is not ended by SIGPIPE.
func TestOutputIsBounded(t *testing.T) {
	for _, kind := range []string{"here", "ramfs"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			if kind != "here" {
				dir = mount(t, kind, "")
			}
			c := newChild(t, dir, nil)
			file := filepath.Join(dir, testID.String(), "stdout")
			r := run(t, c, sh("echo first; head -c 300M /dev/zero; stat -c %s "+file+" >&2; echo last"))
			if want := int64(300<<20 + len("first\nlast\n")); r.Outcome != Exited || r.Code != 0 || r.Stdout.Size != want {
				t.Fatalf("got %v, code %d, signal %d, size %d, want %d", r.Outcome, r.Code, r.Signal, r.Stdout.Size, want)
			}
			if !strings.HasPrefix(string(r.Stdout.Head), "first\n") || !strings.HasSuffix(string(r.Stdout.Tail), "\x00last\n") {
				t.Error("head or tail is not what was written")
			}
			if n, err := strconv.Atoi(strings.TrimSpace(string(r.Stderr.Head))); err != nil || n > 2*Keep+4096 {
				t.Errorf("the file holds %q bytes", r.Stderr.Head)
			}
		})
	}
}

// TestEndlessOutput: an endless output does not delay the timeout, and output
// between SIGTERM and the end is kept.
func TestEndlessOutput(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Child) {
		spec := sh("trap 'echo ending >&2; exit 7' TERM; yes & yes >&2 & wait")
		spec.Timeout = testenv.Limit(500 * time.Millisecond)
		r := run(t, c, spec)
		if r.Outcome != TimedOut || r.Code != 7 {
			t.Errorf("got %v, code %d", r.Outcome, r.Code)
		}
		if r.Stdout.Size <= 2*Keep || len(r.Stdout.Tail) != Keep || !strings.HasPrefix(string(r.Stdout.Head), "y\ny\n") {
			t.Errorf("size %d, %d bytes at the end", r.Stdout.Size, len(r.Stdout.Tail))
		}
		if !strings.Contains(string(r.Stderr.Tail), "ending\n") {
			t.Error("what was said at the end is not kept")
		}
	})
}

// A command that closes its outputs goes on, and is reported as it ends.
func TestClosedOutputs(t *testing.T) {
	c := newChild(t, t.TempDir(), nil)
	for script, want := range map[string]string{
		"exec >&-; echo error >&2; sleep 0.2; exit 3":              "error\n",
		"exec 2>&-; sleep 0.2; exit 3":                             "",
		"echo error >&2; exec >&- 2>&- <&-; sleep 0.2; exit 3":     "error\n",
		"exec >/dev/null; exec 2>/dev/null; (sleep 0.1) &\nexit 3": "",
	} {
		if r := run(t, c, sh(script)); r.Outcome != Exited || r.Code != 3 || string(r.Stderr.Head) != want {
			t.Errorf("%s: %v, code %d, stderr %q", script, r.Outcome, r.Code, r.Stderr.Head)
		}
	}
}

// TestOutputInOtherHands: a process that does not belong to the command has its
// output open, such as a service that was passed the descriptor. What it writes
// at once is kept. It does not delay the end of the attempt, and is not ended.
func TestOutputInOtherHands(t *testing.T) {
	eachRunner(t, func(t *testing.T, _ string, r Runner) {
		scratch := t.TempDir()
		gate, file := filepath.Join(scratch, "gate"), filepath.Join(scratch, "pid")
		running := start(t, r, sh(fmt.Sprintf("echo before; echo $$ >%[1]s.new; mv %[1]s.new %[1]s; until [ -e %[2]s ]; do sleep 0.01; done", file, gate)))
		testenv.Until(t, "the command runs", func() bool { _, err := os.Stat(file); return err == nil })
		other, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/1", pids(t, file, 1)[0]), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if _, err := other.WriteString("from elsewhere\n"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := await(t, running); got.Outcome != Exited || got.Code != 0 || string(got.Stdout.Head) != "before\nfrom elsewhere\n" {
			t.Errorf("%v, code %d, output %q", got.Outcome, got.Code, got.Stdout.Head)
		}
	})
}

// TestOutputOnFullDisk: the command goes on while its output cannot be kept.
func TestOutputOnFullDisk(t *testing.T) {
	size := 5*Keep + 1234
	tests := []struct {
		name, script string
		note         string
	}{
		{"until the end", "cat /dev/zero >FILL 2>/dev/null; cat; exit 9", "not all of its stdout could be kept: no space left on device"},
		{"for a while", "cat /dev/zero >FILL 2>/dev/null; cat; rm FILL; exit 9", ""},
		{"after its head", "head -c 70000; cat /dev/zero >FILL 2>/dev/null; cat; rm FILL; exit 9", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := mount(t, "tmpfs", "size=4m")
			c := newChild(t, dir, nil)
			spec := sh(strings.ReplaceAll(tt.script, "FILL", dir+"/fill"))
			spec.Stdin = counted(size)
			r := run(t, c, spec)
			if r.Outcome != Exited || r.Code != 9 || r.Note != tt.note {
				t.Errorf("%v, code %d, note %q", r.Outcome, r.Code, r.Note)
			}
			if tt.note == "" {
				isPartsOf(t, tt.name, r.Stdout, spec.Stdin)
			} else if r.Stdout.Size != int64(size) {
				t.Errorf("size %d, want %d", r.Stdout.Size, size)
			}
		})
	}
}

// TestShimKilledOutput: the part of a long output that a killed shim has read
// is kept, in order.
func TestShimKilledOutput(t *testing.T) {
	for _, size := range []int{100, 2*Keep + 1, 7*Keep + 99} {
		dir := t.TempDir()
		c := newChild(t, dir, nil)
		spec := sh("cat; sleep 1000")
		spec.Stdin = counted(size)
		running := start(t, c, spec)
		file := filepath.Join(dir, testID.String(), "stdout")
		testenv.Until(t, "the output is read", func() bool {
			o, err := readOutput(file, -1)
			return err == nil && o.Size == int64(size)
		})
		for _, pid := range shims(t, dir) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		r := await(t, running)
		if r.Outcome != Unknown {
			t.Errorf("got %v", r.Outcome)
		}
		isPartsOf(t, "killed", r.Stdout, spec.Stdin)
	}
}

// TestOutputOfOlderShim: before the pipes, the file was the output, with a hole in
// the middle.
func TestOutputOfOlderShim(t *testing.T) {
	for _, size := range []int{0, 5, 2 * Keep, 2*Keep + 16, 9 * Keep} {
		file := filepath.Join(t.TempDir(), "stdout")
		if err := os.WriteFile(file, counted(size), 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := readOutput(file, -1)
		if err != nil {
			t.Fatal(err)
		}
		isPartsOf(t, "plain file", o, counted(size))
	}
}
