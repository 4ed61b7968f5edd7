package attempt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"iwx/lib/attempt/shim"
	"iwx/lib/testenv"
)

// shimPath is the program that the tests run, built once by TestMain.
var shimPath string

func TestMain(m *testing.M) {
	if dir := os.Getenv(daemonVariable); dir != "" {
		os.Exit(daemon(dir))
	}
	if os.Getenv(usageVariable) != "" {
		os.Exit(shim.Main(time.Now))
	}
	os.Exit(buildAndRun(m))
}

// usageVariable makes this process a shim. Having it in the test's own binary
// also tells the cache of go test when the shim has changed.
const usageVariable = "IWX_ATTEMPT_TEST_USAGE"

func TestShimUsage(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	for _, tt := range []struct {
		args []string
		code int
		text string
	}{
		{nil, 2, "usage: iwx-attempt DIRECTORY [LOCKED-DESCRIPTOR]"},
		{[]string{"a", "3", "b"}, 2, "usage: iwx-attempt DIRECTORY [LOCKED-DESCRIPTOR]"},
		{[]string{missing}, 1, "open " + missing + "/spec: no such file or directory"},
		{[]string{missing, "x"}, 1, `descriptor "x" is not a number`},
		{[]string{missing, "77"}, 1, "fstat descriptor 77: bad file descriptor"},
	} {
		cmd := exec.Command(self, tt.args...)
		cmd.Env = []string{usageVariable + "=1"}
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != tt.code || string(out) != "iwx-attempt: "+tt.text+"\n" {
			t.Errorf("%q: exit code %d, %q; want %d, %q", tt.args, code, out, tt.code, tt.text)
		}
	}
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "iwx-attempt")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shimPath = filepath.Join(dir, "iwx-attempt")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", shimPath, "iwx/cmd/iwx-attempt")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s%v\n", out, err)
		return 1
	}
	return m.Run()
}

// path is the PATH that the tests' commands get.
const path = "PATH=/usr/bin:/bin"

// eachMode runs a test with control groups, where this machine lets us have
// them, and without.
func eachMode(t *testing.T, f func(t *testing.T, c *Child)) {
	t.Run("group", func(t *testing.T) {
		groups, err := OpenGroups(owner)
		if err != nil {
			t.Skip("no control groups: ", err)
		}
		f(t, newChild(t, t.TempDir(), groups))
	})
	t.Run("session", func(t *testing.T) { f(t, newChild(t, t.TempDir(), nil)) })
}

func newChild(t testing.TB, dir string, groups *Groups) *Child {
	t.Helper()
	c, err := NewChild(dir, shimPath, groups)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func sh(script string) Spec {
	return Spec{Argv: []string{"/bin/sh", "-c", script}, Env: []string{path}, Umask: 0o022}
}

var testID = ID{Epoch: 1, Seq: 42, Attempt: 3}

// run runs spec to its end.
func run(t testing.TB, c *Child, spec Spec) Result {
	t.Helper()
	running, err := c.Start(t.Context(), testID, spec)
	if err != nil {
		t.Fatal(err)
	}
	r := await(t, running)
	if err := c.Remove(testID); err != nil {
		t.Error(err)
	}
	return r
}

func await(t testing.TB, running Running) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Wait())
	defer cancel()
	r, err := running.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// pids reads the process ids that a command wrote to a file, one a line, and
// fails unless there are n.
func pids(t testing.TB, file string, n int) []int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []int
	for _, field := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pid)
	}
	if len(list) != n {
		t.Fatalf("%s holds %d process ids, want %d", file, len(list), n)
	}
	return list
}

func TestOutcomes(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	orphan := filepath.Join(dir, "orphan")
	if err := os.WriteFile(orphan, []byte("#!/nonexistent/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := func(argv ...string) Spec {
		return Spec{Argv: argv, Env: []string{"PATH=/usr/bin:/bin:" + dir}}
	}
	in := func(dir string, s Spec) Spec { s.Dir = dir; return s }
	tests := []struct {
		name    string
		spec    Spec
		outcome Outcome
		code    int
		signal  int
		error   string
	}{
		{"success", cmd("true"), Exited, 0, 0, ""},
		{"failure", cmd("false"), Exited, 1, 0, ""},
		{"code", sh("exit 77"), Exited, 77, 0, ""},
		{"highest code", sh("exit 255"), Exited, 255, 0, ""},
		{"term", sh("kill -TERM $$"), Signalled, -1, 15, ""},
		{"kill of the group", sh("kill -KILL 0"), Signalled, -1, 9, ""},
		{"not in PATH", cmd("nosuch"), NotStarted, 127, 0,
			`exec: "nosuch": not found in PATH "/usr/bin:/bin:` + dir + `"`},
		{"no PATH", Spec{Argv: []string{"true"}}, NotStarted, 127, 0,
			`exec: "true": not found in PATH ""`},
		{"no such file", cmd("/no/such"), NotStarted, 127, 0, `exec: "/no/such": no such file or directory`},
		{"not executable", cmd(plain), NotStarted, 126, 0, `exec: "` + plain + `": permission denied`},
		{"not executable in PATH", cmd("plain"), NotStarted, 126, 0,
			`exec: "plain": ` + plain + `: permission denied`},
		{"no interpreter", cmd("orphan"), NotStarted, 126, 0,
			`exec: "orphan": no such file or directory (the interpreter that it names is missing)`},
		{"a directory", cmd("/usr"), NotStarted, 126, 0, `exec: "/usr": permission denied`},
		{"no working directory", in("/no/such", cmd("true")), NotStarted, 126, 0,
			`working directory "/no/such": no such file or directory`},
		{"relative PATH", in("/usr", Spec{Argv: []string{"true"}, Env: []string{"PATH=bin"}}), Exited, 0, 0, ""},
		{"relative program", in("/usr/bin", cmd("./true")), Exited, 0, 0, ""},
	}
	c := newChild(t, filepath.Join(dir, "attempts"), nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, c, tt.spec)
			if r.Outcome != tt.outcome || r.Code != tt.code || r.Signal != tt.signal || r.Error != tt.error {
				t.Errorf("got %v, code %d, signal %d, error %q; want %v, %d, %d, %q",
					r.Outcome, r.Code, r.Signal, r.Error, tt.outcome, tt.code, tt.signal, tt.error)
			}
			if stderr := string(r.Stderr.Head); tt.error != "" && stderr != "iwx-attempt: "+tt.error+"\n" {
				t.Errorf("stderr is %q", stderr)
			}
			if r.Started.IsZero() != (tt.outcome == NotStarted) || r.Ended.IsZero() {
				t.Errorf("started %v, ended %v", r.Started, r.Ended)
			}
		})
	}
}

func TestResultTimes(t *testing.T) {
	before := time.Now().Truncate(time.Millisecond)
	r := run(t, newChild(t, t.TempDir(), nil), sh("sleep 0.2; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"))
	if r.Started.Before(before) || r.Ended.Before(r.Started) || r.Ended.After(time.Now()) {
		t.Errorf("started %v, ended %v, test began %v", r.Started, r.Ended, before)
	}
	if r.Duration < 200*time.Millisecond || r.Duration > time.Minute {
		t.Errorf("duration %v", r.Duration)
	}
	if r.CPU <= 0 || r.CPU > r.Duration {
		t.Errorf("cpu time %v of %v", r.CPU, r.Duration)
	}
	if r.MaxRSS < 100<<10 || r.MaxRSS > 1<<30 {
		t.Errorf("maximal resident size %d", r.MaxRSS)
	}
}

func TestStartRefuses(t *testing.T) {
	c := newChild(t, t.TempDir(), nil)
	env := func(v string) Spec { s := sh("true"); s.Env = []string{v}; return s }
	for name, spec := range map[string]Spec{
		"no argv":          {},
		"empty program":    {Argv: []string{""}},
		"NUL in argv":      {Argv: []string{"true", "a\x00b"}},
		"NUL in env":       env("A=\x00"),
		"NUL in dir":       {Argv: []string{"true"}, Dir: "/\x00"},
		"negative timeout": {Argv: []string{"true"}, Timeout: -1},
	} {
		if _, err := c.Start(t.Context(), testID, spec); err == nil {
			t.Errorf("%s: started", name)
		}
	}
	if ids, err := c.List(); len(ids) != 0 || err != nil {
		t.Errorf("refused attempts left %v, %v", ids, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Start(ctx, testID, sh("true")); !errors.Is(err, context.Canceled) {
		t.Errorf("Start after cancel: %v", err)
	}
}

func TestStartRefusesSecondStart(t *testing.T) {
	c := newChild(t, t.TempDir(), nil)
	running, err := c.Start(t.Context(), testID, sh("echo once"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Start(t.Context(), testID, sh("echo twice")); !errors.Is(err, os.ErrExist) {
		t.Errorf("second start: %v", err)
	}
	if r := await(t, running); string(r.Stdout.Head) != "once\n" {
		t.Errorf("output of the first start is %q", r.Stdout.Head)
	}
}

func TestNoShim(t *testing.T) {
	if _, err := NewChild(t.TempDir(), "/no/such/shim", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("NewChild: %v", err)
	}
	// One that vanishes later leaves nothing behind.
	eachMode(t, func(t *testing.T, c *Child) {
		copied := filepath.Join(t.TempDir(), "shim")
		if err := os.Link(shimPath, copied); err != nil {
			t.Skip(err)
		}
		broken, err := NewChild(t.TempDir(), copied, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer broken.Close()
		os.Remove(copied)
		if _, err := broken.Start(t.Context(), testID, sh("true")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Start: %v", err)
		}
		if ids, _ := broken.List(); len(ids) != 0 {
			t.Errorf("left %v", ids)
		}
	})
}

func TestParseID(t *testing.T) {
	if id, err := ParseID("1-42-3"); id != testID || err != nil {
		t.Errorf("ParseID: %v, %v", id, err)
	}
	for _, bad := range []string{"", "1-2", "1-2-3-4", "01-2-3", "1-2-3 ", "a-b-c", "1--2-3", "lost+found"} {
		if id, err := ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) is %v", bad, id)
		}
	}
}
