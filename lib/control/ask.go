package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
	"iwx/lib/sockets"
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
	name, release, err := sockets.Name(dir, socketName)
	if err != nil {
		return nil, err
	}
	defer release()
	var d net.Dialer
	return d.DialContext(ctx, "unix", name)
}
