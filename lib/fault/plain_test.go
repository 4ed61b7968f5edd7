package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPlain(t *testing.T) {
	dir := t.TempDir()
	_, missing := os.Open(filepath.Join(dir, "x.pem"))
	_, stat := os.Stat(filepath.Join(dir, "y"))
	_, empty := os.Open("")
	_, notDir := os.ReadFile(dir)
	rename := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b"))
	_, refused := net.Dial("tcp", "127.0.0.1:1")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, closed := l.Accept()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{missing, dir + "/x.pem does not exist"},
		{stat, dir + "/y does not exist"},
		{empty, "the name of the file is empty"},
		{notDir, dir + ": is a directory"},
		{rename, dir + "/b does not exist"},
		{refused, "127.0.0.1:1: connection refused"},
		{closed, l.Addr().String() + ": the connection was closed"},
		{fmt.Errorf("line 4: %w", Hint(missing, "x")), "line 4: " + dir + "/x.pem does not exist"},
		{errors.Join(missing, fmt.Errorf("and %w", stat)), dir + "/x.pem does not exist\nand " + dir + "/y does not exist"},
		{fmt.Errorf("ask: %v", context.DeadlineExceeded), "ask: no answer in time"},
		{fmt.Errorf("ask: %w", os.ErrDeadlineExceeded), "ask: no answer in time"},
		{errors.New("weight 300 is out of range 0..255"), "weight 300 is out of range 0..255"},
	} {
		if got := Plain(tt.err); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestWithin(t *testing.T) {
	ctx, cancel := Within(t.Context(), time.Millisecond, "sleep")
	defer cancel()
	err := Late(ctx, exec.CommandContext(ctx, "sleep", "60").Run())
	if err == nil || err.Error() != "sleep did not answer within 1ms" || CodeOf(err) != TimedOut {
		t.Errorf("%v, %d", err, CodeOf(err))
	}
	if err := Late(ctx, nil); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	// A failure within the time limit, and a signal from outside, are
	// unchanged.
	ctx, cancel = Within(t.Context(), time.Hour, "false")
	if err := Late(ctx, errors.New("exit status 1")); err.Error() != "exit status 1" {
		t.Errorf("in time: %v", err)
	}
	cancel()
	if err := Late(ctx, errors.New("signal: killed")); strings.Contains(err.Error(), "within") {
		t.Errorf("interrupted: %v", err)
	}
}
