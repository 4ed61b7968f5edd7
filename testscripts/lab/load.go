package main

import (
	"bytes"
	"fmt"
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

// slow is the time that an answer of a server in user mode takes on a busy
// machine, twice.
const slow = time.Second

// load starts the client: a process of this program, since only a process can be
// in the lab's network namespace.
func (s *session) load(ts *testscript.TestScript, neg bool, args []string) {
	never(ts, neg)
	usage(ts, len(args) == 2 && s.asking == nil, "load RATE HOST:PORT; and load-ends before the next")
	self, err := os.Executable()
	ts.Check(err)
	a := &asking{cmd: exec.CommandContext(s.ctx, "ip", "netns", "exec", s.lab.net.Name, self, "load", "-rate", args[0], args[1])}
	a.cmd.Stdout, a.cmd.Stderr = &a.out, os.Stderr
	ts.Check(a.cmd.Start())
	s.asking = a
	ts.Defer(func() {
		if s.asking == a {
			a.cmd.Process.Kill()
			a.cmd.Wait()
		}
	})
}

// loadEnds ends it and prints what became of the requests. More than so many that
// were lost end the script.
func (s *session) loadEnds(ts *testscript.TestScript, neg bool, args []string) {
	never(ts, neg)
	usage(ts, len(args) == 1 && s.asking != nil, "load-ends LOST, after load")
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	a := s.asking
	ts.Check(a.cmd.Process.Signal(syscall.SIGTERM))
	ts.Check(a.cmd.Wait())
	s.asking = nil
	answers, err := load.Read(&a.out)
	ts.Check(err)
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
	names := make([]string, 0, len(servers))
	for name := range servers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		text += fmt.Sprintf("%s %d\n", name, servers[name])
	}
	return text
}
