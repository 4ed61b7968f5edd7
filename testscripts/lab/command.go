package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// session is one script at work in the lab.
type session struct {
	lab *Lab
	ctx context.Context // ends with the script's time

	asking *asking         // the client, between load and load-ends
	told   strings.Builder // what is printed beneath the script's line
}

// scriptCommand is a command of the script language.
type scriptCommand = func(*testscript.TestScript, bool, []string)

// Commands are those of the script language, beside testscript's own (exec,
// stdin, stdout, stderr, cmp, env, …):
//
//	cluster [NODE...]       bring up the manager and these nodes, joined and current;
//	                        recovery.key is what setup printed
//	servers NAME...         bring up these, with iwx installed and not set up, beside
//	                        those that the script has brought up before
//	on SERVER CMD...        run there; "! on" wants it to fail
//	client CMD...           run at the client's seat, on the cluster's network
//	given FILE on|client …  run it with this file as its standard input
//	exits CODE on|client …  want this exit code
//	wait-for on|client …    run again and again until it succeeds;
//	wait-for RE on|client …   … until its standard output matches, whatever its code
//	copy FILE SERVER:PATH   copy a file there, with its mode
//	install SERVER FILE.deb install a package, or upgrade to it
//	cut SERVER, reconnect SERVER  its link to the cluster's network
//	power-off SERVER        a power cut: what is not synced is lost
//	power-on SERVER         and the power is back
//	shut-down SERVER        switched off in order
//	reboot SERVER           and wait until it is up again
//	load RATE HOST:PORT     ask from the client's seat, so many times a second
//	load-ends LOST          until here; no more requests than this may be lost. What
//	                        became of them is in the file load
//	report FILE             print figures beneath the script's line, when it passes too
//	measure BALANCER EVENT SERVER...  figures of what becomes of servers, printed at the end
//	tests SERVER PACKAGE [VARIABLE=VALUE...]
//	                        run a package's tests there with those that are tagged lab
//
// "exec on SERVER CMD... &" runs in the background until "wait".
func (s *session) Commands() map[string]scriptCommand {
	return map[string]scriptCommand{
		"cluster":   s.cluster,
		"servers":   s.servers,
		"on":        s.remote("on"),
		"client":    s.remote("client"),
		"given":     s.given,
		"exits":     s.exits,
		"wait-for":  s.waitFor,
		"copy":      s.copy,
		"install":   s.install,
		"cut":       s.forServer(func(v *Server) error { return v.Link(s.ctx, false) }),
		"reconnect": s.forServer(func(v *Server) error { return v.Link(s.ctx, true) }),
		"power-off": s.forServer(func(v *Server) error { v.Cut(); return nil }),
		"power-on":  s.forServer(func(v *Server) error { return v.On(s.ctx) }),
		"shut-down": s.forServer(func(v *Server) error { return v.ShutDown(s.ctx) }),
		"reboot":    s.forServer(func(v *Server) error { return v.Reboot(s.ctx) }),
		"load":      s.load,
		"load-ends": s.loadEnds,
		"report":    s.report,
		"measure":   s.measure,
		"tests":     s.tests,
	}
}

func (s *session) cluster(ts *testscript.TestScript, neg bool, nodes []string) {
	never(ts, neg)
	key, err := s.lab.Cluster(s.ctx, nodes)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("recovery.key"), key, 0o600))
}

func (s *session) servers(ts *testscript.TestScript, neg bool, names []string) {
	never(ts, neg)
	usage(ts, len(names) > 0, "servers NAME...")
	ts.Check(s.lab.Fresh(s.ctx, names))
}

// remote is the command on, or client.
func (s *session) remote(place string) scriptCommand {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		s.verdict(ts, neg, nil, append([]string{place}, args...))
	}
}

// given runs a command with a file as its standard input.
func (s *session) given(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, len(args) > 1, "given FILE on SERVER CMD...")
	s.verdict(ts, neg, strings.NewReader(ts.ReadFile(args[0])), args[1:])
}

// verdict runs a command, and ends the script when it did not come to what was
// wanted. A program that is not there, or a server that is not reached, is no
// failure that a script wants.
func (s *session) verdict(ts *testscript.TestScript, neg bool, stdin io.Reader, args []string) {
	s.target(ts, args)
	err := s.run(ts, stdin, ts.Stdout(), ts.Stderr(), args)
	code, ran := exitCode(err)
	if neg == (err == nil) || neg && (!ran || code == 127) {
		ts.Fatalf("%s: %v", strings.Join(args, " "), orSuccess(err))
	}
}

// run runs a command in its place, which is its first word.
func (s *session) run(ts *testscript.TestScript, stdin io.Reader, stdout, stderr io.Writer, args []string) error {
	if args[0] == "on" {
		return s.server(ts, args[1]).Run(s.ctx, Command{Args: args[2:], Stdin: stdin, Stdout: stdout, Stderr: stderr})
	}
	cmd := exec.CommandContext(s.ctx, filepath.Join(s.lab.bin(), args[0]), args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Dir = stdin, stdout, stderr, ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"), "PWD="+cmd.Dir)
	return cmd.Run()
}

// exitCode returns the code of a command that ran, and whether it did.
func exitCode(err error) (code int, ran bool) {
	var local *exec.ExitError
	var remote exited
	switch {
	case err == nil:
		return 0, true
	case errors.As(err, &local):
		return local.ExitCode(), true
	case errors.As(err, &remote):
		return int(remote), true
	}
	return 0, false
}

// target checks that a command is one that runs somewhere, on a server there is.
func (s *session) target(ts *testscript.TestScript, args []string) {
	usage(ts, len(args) > 1, "on SERVER CMD... | client CMD...")
	switch args[0] {
	case "client":
	case "on":
		usage(ts, len(args) > 2, "on SERVER CMD...")
		s.server(ts, args[1])
	default:
		ts.Fatalf("%s: only what runs on a server or at the client's seat can be asked for here", args[0])
	}
}

func (s *session) server(ts *testscript.TestScript, name string) *Server {
	server, known := s.lab.servers[name]
	if !known {
		ts.Fatalf("there is no server %s in the lab", name)
	}
	return server
}

// forServer is a command that takes one server, or several one after another.
func (s *session) forServer(do func(*Server) error) scriptCommand {
	return func(ts *testscript.TestScript, neg bool, names []string) {
		never(ts, neg)
		usage(ts, len(names) > 0, "a server, or several")
		for _, name := range names {
			ts.Check(do(s.server(ts, name)))
		}
	}
}

func (s *session) exits(ts *testscript.TestScript, neg bool, args []string) {
	never(ts, neg)
	usage(ts, len(args) > 1, "exits CODE on|client ...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	s.target(ts, args[1:])
	err = s.run(ts, nil, ts.Stdout(), ts.Stderr(), args[1:])
	code, ran := exitCode(err)
	if !ran {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// waitLimit is how long a script waits for one event: ten times the boot time of a
// server on an idle machine.
const waitLimit = 10 * time.Minute

// waitFor repeats a command until it is as wanted. The script goes on with the
// output of the last try.
func (s *session) waitFor(ts *testscript.TestScript, neg bool, args []string) {
	never(ts, neg)
	usage(ts, len(args) > 1, "wait-for [RE] on|client ...")
	pattern := ""
	if args[0] != "on" && args[0] != "client" {
		pattern, args = args[0], args[1:]
	}
	wanted := matcher(ts, pattern)
	s.target(ts, args)
	deadline := time.After(s.lab.wait)
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		var out, errs bytes.Buffer
		err := s.run(ts, nil, &out, &errs, args)
		done := wanted(out.Bytes(), err)
		failed := ""
		if !done {
			select {
			case <-tick.C:
				continue
			case <-s.ctx.Done():
				failed = s.ctx.Err().Error()
			case <-deadline:
				failed = fmt.Sprintf("not within %v: %s", s.lab.wait, strings.Join(args, " "))
			}
		}
		ts.Stdout().Write(out.Bytes())
		ts.Stderr().Write(errs.Bytes())
		if failed != "" {
			ts.Fatalf("%s", failed)
		}
		return
	}
}

// copy brings a file of the script to a server.
func (s *session) copy(ts *testscript.TestScript, neg bool, args []string) {
	never(ts, neg)
	usage(ts, len(args) == 2, "copy FILE SERVER:PATH")
	name, path, ok := strings.Cut(args[1], ":")
	usage(ts, ok && filepath.IsAbs(path), "copy FILE SERVER:/PATH")
	ts.Check(s.send(s.server(ts, name), ts.MkAbs(args[0]), path))
}

// send writes a file of this machine to a path on a server, with its mode. It
// goes by the directory that both see: through the login a package takes minutes.
func (s *session) send(to *Server, file, path string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	const name = "handed-over"
	defer os.Remove(filepath.Join(s.lab.share(), name))
	if err := command(s.ctx, "cp", file, filepath.Join(s.lab.share(), name)); err != nil {
		return err
	}
	mode := "0" + strconv.FormatInt(int64(info.Mode().Perm()), 8)
	_, err = to.Do(s.ctx, nil, "install", "-D", "-m", mode, "/lab/"+name, path)
	return err
}

func (s *session) install(ts *testscript.TestScript, neg bool, args []string) {
	never(ts, neg)
	usage(ts, len(args) == 2, "install SERVER FILE.deb")
	to := s.server(ts, args[0])
	path := "/var/tmp/" + filepath.Base(args[1])
	ts.Check(s.send(to, ts.MkAbs(args[1]), path))
	_, err := to.Do(s.ctx, nil, "dpkg", "--install", path)
	ts.Check(err)
}

// report keeps a file of figures for the script's report; stdout is that of the last
// command.
func (s *session) report(ts *testscript.TestScript, neg bool, args []string) {
	never(ts, neg)
	usage(ts, len(args) == 1, "report FILE")
	s.told.WriteString(ts.ReadFile(args[0]))
}

// tests builds a package's tests and runs them on a server.
func (s *session) tests(ts *testscript.TestScript, neg bool, args []string) {
	never(ts, neg)
	usage(ts, len(args) >= 2, "tests SERVER PACKAGE [VARIABLE=VALUE...]")
	const program = "/root/lab.test"
	build := exec.CommandContext(s.ctx, "go", "test", "-c", "-tags", "lab", "-o", ts.MkAbs("lab.test"), args[1])
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		ts.Fatalf("%s: %v\n%s", args[1], err, out)
	}
	ts.Check(s.send(s.server(ts, args[0]), ts.MkAbs("lab.test"), program))
	run := slices.Concat([]string{"env"}, args[2:], []string{program, "-test.v"})
	out, err := s.server(ts, args[0]).Do(s.ctx, nil, run...)
	ts.Logf("%s", out)
	ts.Check(err)
}

// never refuses "!" before a command that cannot be expected to fail.
func never(ts *testscript.TestScript, neg bool) {
	if neg {
		ts.Fatalf("this command does not take !")
	}
}

func usage(ts *testscript.TestScript, right bool, text string) {
	if !right {
		ts.Fatalf("usage: %s", text)
	}
}

// orSuccess is what a command came to.
func orSuccess(err error) any {
	if err == nil {
		return "succeeded, and should not have"
	}
	return err
}

// matcher returns whether a command was as wanted: it succeeded, or when there is
// a pattern a line of its standard output matches.
func matcher(ts *testscript.TestScript, pattern string) func(stdout []byte, err error) bool {
	if pattern == "" {
		return func(_ []byte, err error) bool { return err == nil }
	}
	re, err := regexp.Compile("(?m)" + pattern)
	ts.Check(err)
	return func(stdout []byte, _ error) bool { return re.Match(stdout) }
}
