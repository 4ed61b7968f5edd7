package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
)

// ask makes one request, and returns the body of the answer.
func ask(ctx context.Context, dir, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := fault.Within(ctx, askLimit, "iwx-lb daemon")
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, dir)
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://iwx-lb"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return nil, explain(fault.Late(ctx, err))
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = errors.New(strings.TrimSpace(string(text)))
	}
	return text, fault.Late(ctx, err)
}

// explain tells a daemon that is not there from one that does not answer.
func explain(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return fault.WithCode(errors.New("it does not run"), fault.Busy)
	}
	return err
}

func dial(ctx context.Context, dir string) (net.Conn, error) {
	path, err := short(dir)
	if err != nil {
		return nil, err
	}
	defer path.release()
	var d net.Dialer
	return d.DialContext(ctx, "unix", path.name)
}

// maxSocketPath is what fits into sun_path with its closing zero, unix(7).
const maxSocketPath = 107

// socketPath is a name for the socket that fits.
type socketPath struct {
	name    string
	release func()
}

// short is the name of the socket in dir. One that is too long goes by way of an
// open descriptor of its directory, proc(5).
func short(dir string) (socketPath, error) {
	name := filepath.Join(dir, socketName)
	if len(name) <= maxSocketPath {
		return socketPath{name, func() {}}, nil
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return socketPath{}, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return socketPath{fmt.Sprintf("/proc/self/fd/%d/%s", fd, socketName), func() { unix.Close(fd) }}, nil
}
