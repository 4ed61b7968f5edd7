package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// clusterName is the cluster's name in the lab.
const clusterName = "lab"

// Cluster brings up a manager and the named nodes, freshly installed, and joins
// them. It returns the recovery key when all nodes are current.
func (l *Lab) Cluster(ctx context.Context, nodes []string) (recovery []byte, err error) {
	if err := l.Fresh(ctx, append([]string{"manager"}, nodes...)); err != nil {
		return nil, err
	}
	manager := l.servers["manager"]
	recovery, err = manager.Do(ctx, nil, "iwx-cluster-setup", "manager", "--name", clusterName,
		"--quorum-ip", fmt.Sprint(clusterNet, quorum))
	if err != nil {
		return nil, err
	}
	if err := l.each(nodes, func(s *Server) error { return l.join(ctx, s) }); err != nil {
		return nil, err
	}
	return recovery, l.current(ctx, len(nodes))
}

// join makes a server a node, with a token from the manager.
func (l *Lab) join(ctx context.Context, s *Server) error {
	token, err := l.servers["manager"].Do(ctx, nil, "iwx-node", "add", s.name)
	if err != nil {
		return err
	}
	// On a busy machine the manager may not answer in time: as its message says,
	// that is tried again.
	const unreachable = 4
	for range 3 {
		if _, err = s.Do(ctx, token, "iwx-cluster-setup", "node", "-"); !errors.Is(err, exited(unreachable)) {
			break
		}
	}
	return err
}

// current waits until that many nodes are, and all of them, current.
func (l *Lab) current(ctx context.Context, nodes int) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	want := strings.Repeat("current\n", nodes)
	for {
		out, err := l.servers["manager"].Do(ctx, nil, "iwx-node", "status", "-H", "-o", "state")
		if err == nil && string(out) == want {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the nodes are not current: %q, %v", out, err)
		}
		time.Sleep(500 * time.Millisecond)
	}
}
