package attempt

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a command is given: exactly what its spec says.

func TestArgvIsBytes(t *testing.T) {
	args := []string{"a\nb", "\xff\xfe", "", " $HOME $$ %h ", "ü", strings.Repeat("x", 100_000)}
	spec := Spec{Argv: append([]string{"/usr/bin/printf", `%s\0`}, args...)}
	r := run(t, newChild(t, t.TempDir(), nil), spec)
	got := string(r.Stdout.Head) + string(r.Stdout.Tail)
	if want := strings.Join(args, "\x00") + "\x00"; got != want {
		t.Errorf("arguments arrived as %.200q", got)
	}
}

func TestEnvironmentIsWhole(t *testing.T) {
	t.Setenv("IWX_LEAK", "from the daemon")
	spec := Spec{Argv: []string{"/usr/bin/env", "-0"}, Env: []string{"A=1\n2", "B=\xff", path}}
	r := run(t, newChild(t, t.TempDir(), nil), spec)
	if got, want := string(r.Stdout.Head), "A=1\n2\x00B=\xff\x00"+path+"\x00"; got != want {
		t.Errorf("environment is %q, want %q", got, want)
	}
	spec.Env = nil
	if r := run(t, newChild(t, t.TempDir(), nil), spec); r.Stdout.Size != 0 {
		t.Errorf("empty environment is %q", r.Stdout.Head)
	}
}

func TestStdin(t *testing.T) {
	input := bytes.Repeat([]byte("0123456\xff"), 1<<20)
	spec := sh("cat | sha256sum")
	spec.Stdin = input
	r := run(t, newChild(t, t.TempDir(), nil), spec)
	if want := fmt.Sprintf("%x  -\n", sha256.Sum256(input)); string(r.Stdout.Head) != want {
		t.Errorf("sum of the input is %q, want %q", r.Stdout.Head, want)
	}
	if r := run(t, newChild(t, t.TempDir(), nil), sh("wc -c; readlink /proc/self/fd/0")); string(r.Stdout.Head) != "0\n/dev/null\n" {
		t.Errorf("without input: %q", r.Stdout.Head)
	}
}

func TestSurroundings(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"descriptors", "ls /proc/self/fd | wc -l", "4\n"}, // three, and the directory
		{"working directory", "pwd", "/\n"},
		{"umask", "umask", "0027\n"},
		{"no terminal", "(exec 3</dev/tty) 2>/dev/null || echo none", "none\n"},
		{"ignored signals", "grep -E 'Sig(Ign|Blk)' /proc/self/status", "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"},
		{"limits", "ulimit -n; ulimit -c", "1024\n0\n"},
		{"stderr can be opened", "echo x >/dev/stderr && echo opened", "opened\n"},
		{"own process group", `read a b c d group rest </proc/self/stat; [ $group = $$ ] && echo own`, "own\n"},
	}
	c := newChild(t, t.TempDir(), nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec := sh(tt.script)
			spec.Umask = 0o027
			if r := run(t, c, spec); string(r.Stdout.Head) != tt.want {
				t.Errorf("got %q, want %q; stderr %q", r.Stdout.Head, tt.want, r.Stderr.Head)
			}
		})
	}
}

// A umask that forbids everything must not keep the daemon from the outputs.
func TestUmaskSparesOutputs(t *testing.T) {
	spec := sh("echo seen; umask")
	spec.Umask = 0o777
	if r := run(t, newChild(t, t.TempDir(), nil), spec); string(r.Stdout.Head) != "seen\n0777\n" {
		t.Errorf("outcome %v, output %q", r.Outcome, r.Stdout.Head)
	}
}

func TestUserSwitch(t *testing.T) {
	home := t.TempDir()
	spec := sh("id -u; id -g; id -G; pwd; echo x >/dev/stderr")
	spec.SetUser, spec.UID, spec.GID, spec.Groups = true, 12345, 12346, []uint32{12346, 12347}
	c := newChild(t, t.TempDir(), nil)
	if os.Geteuid() != 0 {
		r := run(t, c, spec)
		want := fmt.Sprintf("cannot run as uid 12345: only root can, and this is uid %d", os.Geteuid())
		if r.Outcome != NotStarted || r.Code != 126 || r.Error != want {
			t.Errorf("got %v, code %d, %q", r.Outcome, r.Code, r.Error)
		}
		return
	}
	r := run(t, c, spec)
	if got := string(r.Stdout.Head); got != "12345\n12346\n12346 12347\n/\n" || r.Code != 0 {
		t.Errorf("identity is %q, code %d, stderr %q", got, r.Code, r.Stderr.Head)
	}
	t.Run("directory of another", func(t *testing.T) {
		private := filepath.Join(home, "private")
		if err := os.Mkdir(private, 0o700); err != nil {
			t.Fatal(err)
		}
		spec.Dir = private
		r := run(t, c, spec)
		if want := `working directory "` + private + `": permission denied`; r.Code != 126 || r.Error != want {
			t.Errorf("got %v, code %d, %q", r.Outcome, r.Code, r.Error)
		}
	})
	t.Run("program of another", func(t *testing.T) {
		program := filepath.Join("/tmp", fmt.Sprintf("iwx-attempt-test-%d", os.Getpid()))
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(program)
		spec.Dir, spec.Argv = "/", []string{program}
		r := run(t, c, spec)
		if want := `exec: "` + program + `": permission denied`; r.Code != 126 || r.Error != want {
			t.Errorf("got %v, code %d, %q", r.Outcome, r.Code, r.Error)
		}
	})
}
