package main

import (
	"context"
	"errors"
	"iwx/lib/testenv"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScriptsSayWhatTheyProve reads the first lines, and the first command of
// each: without servers of its own a script would get those of the one before.
func TestScriptsSayWhatTheyProve(t *testing.T) {
	scripts, err := filepath.Glob("*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	seen := map[string]string{}
	for _, name := range scripts {
		proves, err := Proves(name)
		if err != nil {
			t.Error(err)
		}
		if seen[proves] != "" {
			t.Errorf("%s and %s prove the same: %s", seen[proves], name, proves)
		}
		seen[proves] = name
		if first := firstCommand(t, name); first != "cluster" && first != "servers" {
			t.Errorf("%s begins with %s, not with servers of its own: cluster ... or servers ...", name, first)
		}
	}
}

func firstCommand(t *testing.T, script string) string {
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(f[0], "#") && f[0] != "env" {
			return f[0]
		}
	}
	return "nothing"
}

// here runs a command of a server on this machine.
func here(ctx context.Context, _ *Server, c Command) error {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return exited(127) // as a shell says it
	}
	return err
}

// local is a lab without servers, whose "on" and "client" run here.
func local(t *testing.T) *session {
	l := &Lab{dir: t.TempDir(), servers: map[string]*Server{}, reach: here, wait: testenv.Wait()}
	for _, h := range hosts() {
		l.servers[h.name] = &Server{host: h, lab: l}
	}
	if err := os.Mkdir(l.bin(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.bin(), "client"), []byte("#!/bin/sh\nexec \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return &session{lab: l, ctx: t.Context()}
}

func TestCommands(t *testing.T) {
	tests := []struct {
		script string
		want   string // in the log, or "" when it passes
	}{
		{"on web1 echo hello\nstdout '^hello$'", ""},
		{"! on web1 false", ""},
		{"on web1 false", "exit status 1"},
		{"! on web1 true", "succeeded, and should not have"},
		{"! on web1 no-such-program", "exit status 127"},
		{"on web1 echo x\ngiven stdout on web1 tr x y\nstdout '^y$'", ""},
		{"given nofile on web1 cat", "nofile: no such file"},
		{"on web9 true", "there is no server web9"},
		{"on web1", "usage: on SERVER CMD..."},
		{"client echo $WEB1 $QUORUM\nstdout '^10.77.0.11 10.77.0.10$'", ""},
		{"exits 3 on web1 sh -c 'exit 3'", ""},
		{"exits 3 on web1 sh -c 'exit 4'", "exit code 4, want 3"},
		{"exits 0 client true", ""},
		{"exits 0 sh -c true", "sh: only what runs on a server"},
		{"wait-for on web1 sh -c 'test -e '$WORK'/done || { touch '$WORK'/done; false; }'", ""},
		{"wait-for '^two$' on web1 sh -c 'echo one; test ! -e '$WORK'/n || echo two; touch '$WORK'/n; exit 3'\nstdout one\nstdout two", ""},
		{"wait-for on web1 false", "not within 300ms: on web1 false"},
		{"wait-for '(' on web1 false", "missing closing )"},
		{"wait-for soon", "usage: wait-for"},
		{"copy nofile web1:/x", "nofile: no such file"},
		{"copy file web1", "usage: copy FILE SERVER:/PATH"},
		{"! cluster web1", "does not take !"},
		{"load 50", "usage: load RATE HOST:PORT"},
		{"load-ends 0", "usage: load-ends LOST, after load"},
		{"tests web1", "usage: tests SERVER PACKAGE [VARIABLE=VALUE...]"},
		{"tests web1 iwx/lib/nothing", "iwx/lib/nothing"},
		{"power-off web9", "there is no server web9"},
		{"power-off web1", ""}, // it is off
		{"no-such-command", "unknown command"},
		{"skip", "skipped:"},
	}
	for _, tt := range tests {
		s := local(t)
		if strings.HasPrefix(tt.want, "not within") {
			s.lab.wait = 300 * time.Millisecond
		}
		file := filepath.Join(s.lab.dir, "try.txtar")
		if err := os.WriteFile(file, []byte("# tries\n"+tt.script+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := s.lab.script(s.ctx, file)
		if r.failed != (tt.want != "") || !strings.Contains(r.log, tt.want) {
			t.Errorf("%s\nfailed %v, log:\n%s\nwant %q", tt.script, r.failed, r.log, tt.want)
		}
	}
}

func TestScriptThatSaysNothing(t *testing.T) {
	s := local(t)
	file := filepath.Join(s.lab.dir, "mute.txtar")
	if err := os.WriteFile(file, []byte("servers web1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.lab.script(s.ctx, file); !r.failed || !strings.Contains(r.log, "does not say what it proves") {
		t.Errorf("failed %v, log: %s", r.failed, r.log)
	}
}

func TestVerdictPassesOtherPanics(t *testing.T) {
	defer func() {
		if r := recover(); r != "mine" {
			t.Errorf("recovered %v", r)
		}
	}()
	(&verdict{}).Run("x", func(testscript.T) { panic("mine") })
}

func TestQuoteAll(t *testing.T) {
	words := []string{"echo", "", "it's", "$HOME `id` \\ \"", "a\nb", "*"}
	out, err := exec.Command("sh", "-c", `printf '%s|' `+strings.Join(quoteAll(words), " ")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Join(words, "|") + "|"; string(out) != want {
		t.Errorf("the shell saw %q, want %q", out, want)
	}
}

func TestHosts(t *testing.T) {
	addresses, names := map[string]bool{}, map[string]bool{}
	for _, h := range hosts() {
		for address := range strings.SplitSeq(h.addresses(), ",") {
			if _, err := netip.ParsePrefix(address); err != nil {
				t.Error(err)
			}
			if addresses[address] {
				t.Errorf("%s is given twice", address)
			}
			addresses[address] = true
		}
		// The name of a network interface has at most 15 characters: NAME-s is one.
		if names[h.name] || len(h.name) > 13 {
			t.Errorf("%s: twice, or too long", h.name)
		}
		names[h.name] = true
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-name", "two", "-run", "^a", "-limit", "5m"})
	if err != nil || o.name != "two" || o.run != "^a" || o.limit != 5*time.Minute {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"-name", "a/b"}, {"-name", ""}, {"-run", "("}, {"join"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	if _, err := lockFile(filepath.Join(t.TempDir(), "no", "lock"), 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
