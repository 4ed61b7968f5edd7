package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	domain "iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/state"
)

// programs measures what every call pays: start-up and size.
func (b *bench) programs() error {
	entries, err := os.ReadDir(b.bin)
	if err != nil {
		return err
	}
	var sizes []string
	var starts []time.Duration
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		sizes = append(sizes, fmt.Sprintf("%s %.1f", e.Name(), float64(info.Size())/(1<<20)))
		if e.Name() == "iwx-attempt" {
			continue
		}
		s, err := measure(31, command(filepath.Join(b.bin, e.Name()), "--version"))
		if err != nil {
			return err
		}
		b.report("start-up of "+e.Name(), "20 ms", "%s", s)
		starts = append(starts, s.median())
	}
	b.readme.row("start-up of a tool, the fastest / the slowest", "%s / %s", figure(slices.Min(starts)), figure(slices.Max(starts)))
	b.report("sizes in MiB", "", "%s", strings.Join(sizes, ", "))
	return nil
}

func command(args ...string) func() error {
	return func() error {
		cmd := exec.Command(args[0], args[1:]...)
		return cmd.Run()
	}
}

// newManager makes a manager's state by hand.
func newManager(root string) (*state.Store, error) {
	paths := host.At(root)
	if err := os.MkdirAll(paths.Lib, 0o700); err != nil {
		return nil, err
	}
	ctx := context.Background()
	s, err := state.Create(ctx, paths.State)
	if err != nil {
		return nil, err
	}
	return s, s.SetIdentity(ctx, &domain.Identity{
		Role: domain.RoleManager, ClusterID: "bench", ClusterName: "bench", Name: "manager",
		Manager: netip.MustParseAddrPort("127.0.0.1:2480"), LogKey: []byte{1}, SetupAt: time.Now(),
	})
}

// log measures durable adds: one commit each, in this process; one by a run of the
// tool; and in bulk through the tool. What they may cost at least is what the disk
// takes to write a page and sync it.
func (b *bench) log() error {
	root := filepath.Join(b.dir, "log")
	s, err := newManager(root)
	if err != nil {
		return err
	}
	defer s.Close()
	body, err := (&queue.Command{Argv: []string{"/bin/true"}, QueuedAt: time.Now()}).Encode()
	if err != nil {
		return err
	}
	const adds = 2000
	one, err := measure(5, func() error {
		for range adds {
			if _, err := s.Append(context.Background(), state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: body}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	disk, err := b.disk(adds)
	if err != nil {
		return err
	}
	b.report("4 KiB written and synced a second, on the same disk", "", "%.0f  (%d: %s)", adds/disk.median().Seconds(), adds, disk)
	b.report("durable adds a second, one at a time", "3,500", "%.0f  (%d adds: %s)", adds/one.median().Seconds(), adds, one)

	tool, err := measure(31, func() error {
		cmd := exec.Command(filepath.Join(b.bin, "iwx-queue"), "add", "--", "/bin/true")
		cmd.Env = append(os.Environ(), "IWX_ROOT="+root)
		return cmd.Run()
	})
	if err != nil {
		return err
	}
	b.report("iwx-queue add, without --wait", "", "%s", tool)

	const lines = 100_000
	bulk := strings.Repeat("/bin/true\n", lines)
	many, err := measure(5, func() error {
		cmd := exec.Command(filepath.Join(b.bin, "iwx-queue"), "add", "-")
		cmd.Env = append(os.Environ(), "IWX_ROOT="+root)
		cmd.Stdin = strings.NewReader(bulk)
		return cmd.Run()
	})
	if err != nil {
		return err
	}
	b.report("durable adds a second, in bulk (iwx-queue add -)", "100,000", "%.0f  (%d adds: %s)", lines/many.median().Seconds(), lines, many)
	b.readme.row("`iwx-queue add`, without `--wait`", "%s", figure(tool.median()))
	b.readme.row("durable adds a second, 100,000 in one run of `iwx-queue add -`", "%s", count(lines/many.median().Seconds()))
	b.readme.row("the same, with a commit for each, within one process", "%s, on a disk that syncs %s pages a second",
		count(adds/one.median().Seconds()), count(adds/disk.median().Seconds()))
	return nil
}

// disk writes and syncs pages one at a time.
func (b *bench) disk(pages int) (spread, error) {
	f, err := os.Create(filepath.Join(b.dir, "disk"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	page := make([]byte, 4096)
	return measure(5, func() error {
		for range pages {
			if _, err := f.Write(page); err != nil {
				return err
			}
			if err := syscall.Fdatasync(int(f.Fd())); err != nil {
				return err
			}
		}
		return nil
	})
}

// status measures the node status page of a large, old cluster.
func (b *bench) status() error {
	const nodes, rows = 200, 100_000
	root := filepath.Join(b.dir, "status")
	s, err := newManager(root)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, now := context.Background(), time.Now()
	for i := range nodes {
		id := fmt.Sprintf("n%d", i)
		token := &domain.Token{ID: id, Name: "web" + id, Hash: []byte{1}, From: domain.FromNow, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		if err := s.AddToken(ctx, token); err != nil {
			return err
		}
		err := s.Admit(ctx, id, func(t *domain.Token, _ []domain.Node, _ uint64) ([]domain.Node, error) {
			return []domain.Node{{ID: id, Name: t.Name, Membership: domain.Member, MachineID: id, Start: 1, JoinedAt: now}}, nil
		})
		if err != nil {
			return err
		}
		attempts := make([]domain.Attempt, rows/nodes)
		for j := range attempts {
			attempts[j] = domain.Attempt{Epoch: 1, Seq: uint64(j + 1), Attempt: 1, Started: now.UnixMilli(), Ended: now.UnixMilli(), Outcome: domain.OutcomeDone}
		}
		status := domain.Status{Word: replay.WordCurrent, Epoch: 1, Done: rows / nodes, Head: rows / nodes}
		if err := s.SaveReport(ctx, id, now, status, attempts); err != nil {
			return err
		}
	}
	cmd := func() error {
		c := exec.Command(filepath.Join(b.bin, "iwx-node"), "status")
		c.Env = append(os.Environ(), "IWX_ROOT="+root)
		out, err := c.Output()
		if strings.Count(string(out), "web") < nodes {
			return fmt.Errorf("iwx-node status: %w: %.200s", err, out)
		}
		return nil // its verdict is that nobody is there, exit 3
	}
	t, err := measure(21, cmd)
	if err != nil {
		return err
	}
	b.readme.row(fmt.Sprintf("`iwx-node status`, %d nodes, 100,000 attempts", nodes), "%s", figure(t.median()))
	b.report(fmt.Sprintf("iwx-node status, %d nodes, %d history rows", nodes, rows), "50 ms", "%s", t)
	return nil
}
