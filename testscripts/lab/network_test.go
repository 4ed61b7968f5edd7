package main

import (
	"os"
	"slices"
	"sync"
	"testing"
)

// TestDialLeavesTheProcessOutside: the lab is not in its network, whose processes
// it ends, however often it has connected there.
func TestDialLeavesTheProcessOutside(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("making network namespaces needs root")
	}
	n, err := NewNetwork(t.Context(), "iwx-lab-dial")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() {
			if conn, err := n.dial(t.Context(), "127.0.0.1:1"); err == nil {
				conn.Close()
				t.Error("somebody answers")
			}
		})
	}
	group.Wait()
	if pids := n.processes(); slices.Contains(pids, os.Getpid()) {
		t.Fatal("Close would end this process")
	}
}
