package bind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"iwx/lib/fault"
)

// said is a program that failed, with all that it said.
type said struct {
	text string
	err  error
}

func (e *said) Error() string {
	if e.text == "" {
		return e.err.Error()
	}
	return e.text
}

func (e *said) Unwrap() error { return e.err }

// Command runs a program with nothing on standard input and in the C locale, for
// Server.Command, and kills it when ctx ends. Its error is what the program said.
func Command(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.WaitDelay = time.Second // a grandchild may hold the pipe
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, Missing()
	}
	if late := fault.Late(ctx, err); late != err {
		return nil, late
	}
	if err != nil {
		return nil, &said{text: strings.TrimSpace(stdout.String() + stderr.String()), err: fmt.Errorf("%s: %w", name, err)}
	}
	return stdout.Bytes(), nil
}
