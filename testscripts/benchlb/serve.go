package main

import (
	"context"
	"fmt"
	"net/http"
)

// serve is a web server that says its name, at each of the addresses.
func serve(ctx context.Context, name string, addrs []string) error {
	failed := make(chan error, len(addrs))
	for _, addr := range addrs {
		server := &http.Server{Addr: addr, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, name)
		})}
		go func() { failed <- server.ListenAndServe() }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}
