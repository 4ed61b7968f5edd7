package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// logDir is where failed scripts leave what is known about them.
func (l *Lab) logDir() string {
	if l.logs != "" {
		return l.logs
	}
	return filepath.Join(l.dir, "failed")
}

// questions are what every server is asked after a failed script, by the name of
// the file for the answer.
func questions() map[string]string {
	return map[string]string{
		"journal": "journalctl --boot --no-pager --output=short-precise",
		"units":   "systemctl list-units --no-pager --all 'iwx*' '*.mount' '*.automount'; systemctl --failed --no-pager",
		"network": "ip address; ip route; ss -tnlp",
		"iwx": `for c in 'iwx-cluster-setup status' 'iwx-queue status' 'iwx-queue list' 'iwx-queue log' 'iwx-queue history'; do
			echo "# $c"; timeout 20 $c 2>&1; echo "exit code $?"; done; cat /etc/iwx/iwx.toml`,
	}
}

// evidence keeps the consoles, and the answers of the servers that still run.
func (l *Lab) evidence(ctx context.Context, r result) {
	dir := filepath.Join(l.logDir(), r.name)
	os.RemoveAll(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return
	}
	write := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
		}
	}
	write("script.log", []byte(r.log))
	for _, s := range l.servers {
		if console, err := os.ReadFile(s.file("console")); err == nil {
			write(s.name+".console", console)
		}
		for question, line := range questions() {
			if s.running() {
				write(s.name+"."+question, s.ask(ctx, line))
			}
		}
	}
	fmt.Println("     consoles, journals and the state of iwx:", dir)
}

// ask returns what a shell line says on the server, within a minute.
func (s *Server) ask(ctx context.Context, line string) []byte {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var out bytes.Buffer // of one writer at a time: both streams come over one connection
	if err := s.Run(ctx, Command{Args: []string{"sh", "-c", line + " 2>&1"}, Stdout: &out}); err != nil {
		fmt.Fprintf(&out, "\n%v\n", err)
	}
	return out.Bytes()
}

func (s *Server) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kernel != nil
}
