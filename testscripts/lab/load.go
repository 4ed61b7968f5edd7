package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"iwx/testscripts/load"
)

// asking is the client that asks over and over, at its seat.
type asking struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

// slow is several times what an answer of a server in user mode takes on a busy
// machine, and what TCP waits before it asks for a connection again.
const slow = time.Second

// ask starts the client: a process of this program, since only a process can be
// in the lab's network namespace.
func (s *session) ask(rate int, address string) (*asking, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	a := &asking{cmd: exec.CommandContext(s.ctx, "ip", "netns", "exec", s.lab.net.Name, self, "load", "-rate", strconv.Itoa(rate), address)}
	a.cmd.Stdout, a.cmd.Stderr = &a.out, os.Stderr
	return a, a.cmd.Start()
}

// end ends it, and returns what became of the requests.
func (a *asking) end() (load.Answers, error) {
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return nil, err
	}
	if err := a.cmd.Wait(); err != nil {
		return nil, err
	}
	return load.Read(&a.out)
}

// kill ends it for nothing. One that has ended is left alone.
func (a *asking) kill() {
	a.cmd.Process.Kill()
	a.cmd.Wait()
}

func (s *session) load(ts *testscript.TestScript, neg bool, args []string) {
	never(ts, neg)
	usage(ts, len(args) == 2 && s.asking == nil, "load RATE HOST:PORT; and load-ends before the next")
	rate, err := strconv.Atoi(args[0])
	ts.Check(err)
	s.asking, err = s.ask(rate, args[1])
	ts.Check(err)
	ts.Defer(s.asking.kill)
}

// loadEnds ends the load and keeps what became of the requests. More than so many
// that were lost end the script.
func (s *session) loadEnds(ts *testscript.TestScript, neg bool, args []string) {
	never(ts, neg)
	usage(ts, len(args) == 1 && s.asking != nil, "load-ends LOST, after load")
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	answers, err := s.asking.end()
	ts.Check(err)
	s.asking = nil
	text := summary(answers)
	ts.Logf("[load]\n%s", text)
	ts.Check(os.WriteFile(ts.MkAbs("load"), []byte(text), 0o600))
	if lost := len(answers.Lost()); lost > most || len(answers) == 0 {
		ts.Fatalf("%d of %d requests were lost, at most %d may be", lost, len(answers), most)
	}
}

// summary says what became of the requests, one fact a line: "lost 0".
func summary(answers load.Answers) string {
	text := fmt.Sprintf("asked %d\nlost %d\nslow %d\n", len(answers), len(answers.Lost()), len(answers.Slow(slow)))
	for _, reason := range answers.Reasons() {
		text += "lost: " + reason + "\n"
	}
	servers := answers.Servers()
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		text += fmt.Sprintf("%s %d\n", name, servers[name])
	}
	return text
}
