package attempt

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"iwx/lib/attempt/process"
	"iwx/lib/attempt/record"
	"iwx/lib/testenv"
)

// What is learned after something was killed. The daemon of these tests is this
// test binary, executed again.

// daemonVariable holds the directory of attempts if this process is the daemon.
const daemonVariable = "IWX_ATTEMPT_TEST_DAEMON"

// ownerVariable holds the owner of the control groups of such a daemon.
const ownerVariable = "IWX_ATTEMPT_TEST_OWNER"

// owner is the owner of the control groups of this test and its daemons. Two runs of the
// tests at the same time must not end each other's commands.
var owner = cmp.Or(os.Getenv(ownerVariable), fmt.Sprint("test", os.Getpid()))

// daemon starts the command that its first argument is, says so, and waits to be
// killed.
func daemon(dir string) int {
	groups, _ := OpenGroups(owner)
	if os.Args[3] == "session" {
		groups = nil
	}
	c, err := NewChild(dir, os.Args[1], groups)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if _, err := c.Start(context.Background(), testID, sh(os.Args[2])); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("started")
	select {}
}

// startDaemon starts a daemon that has started the script.
func startDaemon(t *testing.T, dir, mode, script string) *os.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, shimPath, script, mode)
	cmd.Env = append(os.Environ(), daemonVariable+"="+dir, ownerVariable+"="+owner)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "started\n" {
		t.Fatalf("daemon: %q, %v", line, err)
	}
	return cmd.Process
}

// eachModeDaemon is eachMode with the mode's name and directory.
func eachModeDaemon(t *testing.T, f func(t *testing.T, mode, dir string, c *Child)) {
	for _, mode := range []string{"group", "session"} {
		t.Run(mode, func(t *testing.T) {
			groups, err := OpenGroups(owner)
			if mode == "group" && err != nil {
				t.Skip("no control groups: ", err)
			}
			if mode == "session" {
				groups = nil
			}
			dir := t.TempDir()
			f(t, mode, dir, newChild(t, dir, groups))
		})
	}
}

func find(t *testing.T, c *Child) Found {
	t.Helper()
	found, err := c.Find(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestDaemonKilledInMidCommand(t *testing.T) {
	eachModeDaemon(t, func(t *testing.T, mode, dir string, c *Child) {
		scratch := t.TempDir()
		gate, count := filepath.Join(scratch, "gate"), filepath.Join(scratch, "count")
		daemon := startDaemon(t, dir, mode, fmt.Sprintf(
			"echo before; echo ran >>%s; until [ -e %s ]; do sleep 0.01; done; echo done; exit 4", count, gate))
		testenv.Until(t, "the command runs", func() bool { _, err := os.Stat(count); return err == nil })
		daemon.Kill()
		daemon.Wait()
		found := find(t, c)
		if found.State != Alive {
			t.Fatalf("state is %v", found.State)
		}
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r := await(t, found.Running)
		if r.Outcome != Exited || r.Code != 4 || string(r.Stdout.Head) != "before\ndone\n" {
			t.Errorf("adopted: %v, code %d, output %q", r.Outcome, r.Code, r.Stdout.Head)
		}
		// Asking again changes nothing.
		if found := find(t, c); found.State != Finished || found.Result.Code != 4 {
			t.Errorf("found %v, code %d", found.State, found.Result.Code)
		}
		if b, _ := os.ReadFile(count); string(b) != "ran\n" {
			t.Errorf("the command ran %d times", strings.Count(string(b), "ran"))
		}
		noGroupLeft(t)
	})
}

func TestDaemonKilledResultFound(t *testing.T) {
	eachModeDaemon(t, func(t *testing.T, mode, dir string, c *Child) {
		daemon := startDaemon(t, dir, mode, "exit 7")
		daemon.Kill()
		daemon.Wait()
		testenv.Until(t, "the shim ends", func() bool { return find(t, c).State != Alive })
		if found := find(t, c); found.State != Finished || found.Result.Code != 7 {
			t.Errorf("found %v, code %d", found.State, found.Result.Code)
		}
		noGroupLeft(t)
	})
}

// shims returns the shims that run for attempts in dir.
func shims(t *testing.T, dir string) []int {
	t.Helper()
	table, err := process.List()
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, p := range table {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
		args := strings.Split(string(line), "\x00")
		if err == nil && len(args) > 1 && args[0] == shimPath && strings.HasPrefix(args[1], dir+"/") {
			found = append(found, p.PID)
		}
	}
	return found
}

func TestShimKilled(t *testing.T) {
	eachModeDaemon(t, func(t *testing.T, mode, dir string, c *Child) {
		file := filepath.Join(t.TempDir(), "pids")
		running, err := c.Start(t.Context(), testID, sh(fmt.Sprintf(`
			echo before
			sh -c 'echo $$ >>%[1]s; exec sleep 1000' &
			echo $$ >>%[1]s
			sleep 1000`, file)))
		if err != nil {
			t.Fatal(err)
		}
		testenv.Until(t, "both processes run", func() bool {
			b, _ := os.ReadFile(file)
			return strings.Count(string(b), "\n") == 2
		})
		testenv.Until(t, "what was written is kept", func() bool {
			b, _ := os.ReadFile(filepath.Join(dir, testID.String(), "stdout"))
			return string(b) == "before\n"
		})
		for _, pid := range shims(t, dir) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		r := await(t, running)
		if r.Outcome != Unknown || r.Code != -1 || r.Error == "" || string(r.Stdout.Head) != "before\n" {
			t.Errorf("got %v, code %d, %q, output %q", r.Outcome, r.Code, r.Error, r.Stdout.Head)
		}
		for _, pid := range pids(t, file, 2) {
			testenv.Until(t, "the leftovers are gone", func() bool { return !alive(pid) })
		}
		if found := find(t, c); found.State != CutShort || found.Result.Outcome != Unknown {
			t.Errorf("found %v, %v", found.State, found.Result.Outcome)
		}
		noGroupLeft(t)
	})
}

// A stop of the daemon or a Ctrl-C reaches the shim and must not matter.
func TestShimIsDeaf(t *testing.T) {
	dir := t.TempDir()
	c := newChild(t, dir, nil)
	gate := filepath.Join(t.TempDir(), "gate")
	running, err := c.Start(t.Context(), testID, sh("echo up; until [ -e "+gate+" ]; do sleep 0.01; done"))
	if err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, "the command runs", func() bool {
		info, err := os.Stat(filepath.Join(dir, testID.String(), "stdout"))
		return err == nil && info.Size() > 0
	})
	list := shims(t, dir)
	if len(list) != 1 {
		t.Fatalf("%d shims run", len(list))
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if err := syscall.Kill(list[0], sig); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := await(t, running); r.Outcome != Exited || r.Code != 0 {
		t.Errorf("got %v, code %d, signal %d", r.Outcome, r.Code, r.Signal)
	}
}

// damage writes over the spec file of a finished attempt at offset, and returns
// what is then found.
func damage(t *testing.T, offset int64, b []byte) Found {
	t.Helper()
	dir := t.TempDir()
	c := newChild(t, dir, nil)
	running, err := c.Start(t.Context(), testID, sh("exit 0"))
	if err != nil {
		t.Fatal(err)
	}
	await(t, running)
	file, err := os.OpenFile(filepath.Join(dir, testID.String(), "spec"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(b, offset); err != nil {
		t.Fatal(err)
	}
	return find(t, c)
}

func TestTornResult(t *testing.T) {
	for _, at := range []int64{0, 5, 10, 40} { // magic, kind, payload, further in
		found := damage(t, record.ResultOffset+at, []byte("?"))
		if found.State != CutShort || found.Result.Outcome != Unknown {
			t.Errorf("byte %d: %v, %v", at, found.State, found.Result.Outcome)
		}
	}
	if found := damage(t, record.ResultOffset+20, make([]byte, 200)); found.State != CutShort {
		t.Errorf("second half missing: %v", found.State)
	}
}

// noGroupLeft fails if the control group of the attempt exists.
func noGroupLeft(t *testing.T) {
	t.Helper()
	groups, err := OpenGroups(owner)
	if err != nil {
		return
	}
	if _, err := os.Stat(groups.path(testID)); err == nil {
		t.Errorf("%s was left", groups.path(testID))
	}
}

// A daemon that was killed between making the control group and forking leaves
// it behind, and perhaps not even empty.
func TestGroupInTheWay(t *testing.T) {
	groups, err := OpenGroups(owner)
	if err != nil {
		t.Skip("no control groups: ", err)
	}
	group, err := groups.create(testID)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	squatter := exec.Command("sleep", "1000")
	squatter.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	if err := squatter.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- squatter.Wait() }()
	c := newChild(t, t.TempDir(), groups)
	r := run(t, c, sh("grep ^0:: /proc/self/cgroup"))
	if want := groupPrefix + owner + "-" + testID.String() + "\n"; !strings.HasSuffix(string(r.Stdout.Head), want) {
		t.Errorf("the command ran in %q, want %q", r.Stdout.Head, want)
	}
	if err := <-ended; err == nil {
		t.Error("the squatter ended by itself")
	}
	if c.Mode() != "cgroup" {
		t.Errorf("mode is now %q", c.Mode())
	}
	noGroupLeft(t)
}

// Where a process cannot be started in a control group, commands run without.
func TestGroupsGivenUp(t *testing.T) {
	c := newChild(t, t.TempDir(), &Groups{dir: t.TempDir()}) // no control groups there
	if r := run(t, c, sh("echo ran")); string(r.Stdout.Head) != "ran\n" {
		t.Errorf("got %v, output %q", r.Outcome, r.Stdout.Head)
	}
	if c.Mode() != "process group" {
		t.Errorf("mode is %q", c.Mode())
	}
}
