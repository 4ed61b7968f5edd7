package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"iwx/lib/fault"
)

// Limits on one command. An answer is a line for each server.
const (
	answerLimit = 5 * time.Second
	answerBytes = 16 << 20
)

// errNobody means that no HAProxy listens on the socket.
var errNobody = errors.New("haproxy does not run")

// socket is the path of a socket that takes commands, by the management guide,
// "Unix Socket commands".
type socket string

// ask sends a command and returns the whole answer, as far as HAProxy gives one.
// It takes some tenths of a millisecond. Without a HAProxy that listens, or when
// it ends before it has answered, the error is errNobody.
func (s socket) ask(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", string(s))
	if err != nil {
		return "", trouble(command, err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", trouble(command, err)
	}
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", trouble(command, err)
	}
	// Else the master would wait for more.
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return "", trouble(command, err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, answerBytes))
	if err != nil {
		return "", trouble(command, err)
	}
	return string(answer), nil
}

func trouble(command string, err error) error {
	for _, gone := range []error{syscall.ENOENT, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.ENOTCONN} {
		if errors.Is(err, gone) {
			return errNobody
		}
	}
	return fmt.Errorf("ask haproxy: %s: %w", command, err)
}

// do sends a command that changes something. HAProxy answers with nothing, or
// with a sentence when it is done and with another when it is not: good are those
// that are no error.
func (s socket) do(ctx context.Context, command string, good ...string) error {
	answer, err := s.ask(ctx, command)
	if err != nil {
		return err
	}
	return refusal(command, answer, good)
}

func refusal(command, answer string, good []string) error {
	answer = strings.Join(strings.Fields(answer), " ")
	if answer == "" || slices.ContainsFunc(good, func(g string) bool { return strings.HasPrefix(answer, g) }) {
		return nil
	}
	return fault.New(fault.Failed, "haproxy: %s: %s", command, strings.TrimRight(answer, "."))
}

// field returns the value of a "name: value" line of show info.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+": "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
