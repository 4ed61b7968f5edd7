package vhost

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iwx/lib/attempt/process"
	"iwx/lib/testenv"
)

// start starts a web server of installed, and waits until it has a worker. It returns
// its main process.
func start(t *testing.T, s *Server) *exec.Cmd {
	t.Helper()
	config := s.at(s.config)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	pid := func(text string) string { return strings.ReplaceAll(text, s.Root+"/run/pid", s.at(s.pid)) }
	command := exec.Command("nginx", "-c", config, "-g", "daemon off;")
	if s.Syntax == "nginx" {
		write(t, config, pid(string(text)))
		write(t, s.at(s.pid), "")
	} else {
		write(t, s.at(s.pid), "")
		if err := os.Remove(s.at(s.pid)); err != nil {
			t.Fatal(err)
		}
		listen := strings.ReplaceAll(string(text), "Listen 127.0.0.1:8", "Listen "+vacantPort(t)+"\nUser www-data\nGroup www-data\nMutex file:"+s.Root+"/run")
		write(t, config, pid(listen))
		command = exec.Command("apache2", "-f", config, "-DFOREGROUND")
	}
	command.Stderr = t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	testenv.Until(t, s.Name+" starts", func() bool {
		pid, err := s.mainProcess(t.Context())
		list, _ := process.Children(command.Process.Pid)
		return err == nil && pid == command.Process.Pid && len(list) > 0
	})
	return command
}

func vacantPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestReload: a running server has a new worker when Reload returns. What it does not
// accept it never loads, whoever wrote it, and the files of a Put that was killed are put
// back.
func TestReload(t *testing.T) {
	for name, s := range installed(t) {
		t.Run(name, func(t *testing.T) {
			main := start(t, s)
			before, err := process.Children(main.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if is, err := process.Children(main.Process.Pid); err != nil || is[0].StartTicks <= before[0].StartTicks {
				t.Errorf("there is no new worker: %v, after %v, %v", is, before, err)
			}

			// A file that somebody else broke.
			bad := filepath.Join(filepath.Dir(s.File("x")), "bad.conf")
			write(t, bad, "nonsense on stilts;\n")
			if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "nonsense") {
				t.Errorf("loaded a configuration that is not valid: %v", err)
			}
			if err := os.Remove(bad); err != nil {
				t.Fatal(err)
			}

			// A file that a Put wrote, which was killed before its test.
			change := []Change{{Domain: "killed.example", Text: "more nonsense;\n"}}
			if err := s.save(change); err != nil {
				t.Fatal(err)
			}
			if err := s.write(change); err != nil {
				t.Fatal(err)
			}
			if err := s.Reload(t.Context()); err != nil {
				t.Errorf("the old files were not put back: %v", err)
			}
			if _, err := os.Stat(s.File("killed.example")); err == nil {
				t.Errorf("%s is still there", s.File("killed.example"))
			}
			if pid, err := s.mainProcess(t.Context()); err != nil || pid != main.Process.Pid {
				t.Errorf("process %d, %v; want %d", pid, err, main.Process.Pid)
			}
		})
	}
}

// TestReloadThatFails: a reload that the server does not survive fails, and so does one
// after which it has no new worker. One that has ended before is left alone.
func TestReloadThatFails(t *testing.T) {
	for name, s := range installed(t) {
		t.Run(name, func(t *testing.T) {
			killed := exec.Command("sleep", "1000") // ends at SIGUSR1, and at SIGHUP
			if err := killed.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- killed.Wait() }()
			write(t, s.at(s.pid), fmt.Sprintln(killed.Process.Pid))
			if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), name+" has ended at its reload") {
				t.Errorf("%v", err)
			}
			<-ended
			if err := s.Reload(t.Context()); err != nil {
				t.Errorf("one that has ended before: %v", err)
			}

			write(t, s.at(s.pid), "1\n")
			if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "instead of a process id") {
				t.Errorf("%v", err)
			}

			deaf := exec.Command("sh", "-c", `trap "" USR1 HUP; sleep 1000 & echo; wait`)
			out, err := deaf.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := deaf.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				list, _ := process.Children(deaf.Process.Pid)
				_ = deaf.Process.Kill()
				for _, p := range list {
					if it, err := os.FindProcess(p.PID); err == nil {
						_ = it.Kill()
					}
				}
				_ = deaf.Wait()
			}()
			if _, err := out.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			write(t, s.at(s.pid), fmt.Sprintln(deaf.Process.Pid))
			s.patience = 100 * time.Millisecond
			if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "has started no worker within 100ms") {
				t.Errorf("%v", err)
			}
		})
	}
}
