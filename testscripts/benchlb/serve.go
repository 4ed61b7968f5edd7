package main

import (
	"context"
	"fmt"
	"net/http"
)

// serve is a web server that answers with its name, until ctx is done.
func serve(ctx context.Context, name, addr string) error {
	failed := make(chan error, 1)
	server := &http.Server{Addr: addr, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, name)
	})}
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}
