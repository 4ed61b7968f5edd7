package state_test

import (
	"testing"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/state"
)

// command is a draft of an ordinary size.
func command(b *testing.B) state.Draft {
	b.Helper()
	c := queue.Command{Argv: []string{"apt-get", "-y", "install", "php-gd"}, QueuedBy: "root", QueuedAt: at(1700000000000)}
	body, err := c.Encode()
	must(b, err)
	return state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: body}
}

// perSecond reports how many things were done a second, n in each iteration.
func perSecond(b *testing.B, n int, unit string) {
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), unit)
}

// BenchmarkAppendOne appends entries one at a time, each of them on the disk
// before the next.
func BenchmarkAppendOne(b *testing.B) {
	s := newManager(b)
	d := command(b)
	for b.Loop() {
		if _, err := s.Append(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, 1, "entries/s")
}

// BenchmarkAppendMany is BenchmarkAppendOne from 16 callers at once.
func BenchmarkAppendMany(b *testing.B) {
	s := newManager(b)
	d := command(b)
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Append(b.Context(), d); err != nil {
				b.Error(err)
				return
			}
		}
	})
	perSecond(b, 1, "entries/s")
}

// BenchmarkAppendBulk appends a thousand entries in each transaction.
func BenchmarkAppendBulk(b *testing.B) {
	const many = 1000
	s := newManager(b)
	drafts := make([]state.Draft, many)
	for i := range drafts {
		drafts[i] = command(b)
	}
	for b.Loop() {
		if _, err := s.Append(b.Context(), drafts...); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, many, "entries/s")
}

// BenchmarkJournalCommit writes what a node writes for each entry that it
// replays: the end of one attempt, and the beginning of the next.
func BenchmarkJournalCommit(b *testing.B) {
	_, j := newNode(b)
	seq := uint64(0)
	for b.Loop() {
		seq++
		ended := cluster.Attempt{Epoch: 1, Seq: seq, Attempt: 1, Started: 1, Ended: 2, Outcome: cluster.OutcomeDone}
		next := &replay.Open{Boot: "boot", Attempt: cluster.Attempt{Epoch: 1, Seq: seq + 1, Attempt: 1, Started: 3}}
		if err := j.Commit(b.Context(), &replay.Changes{Ended: &ended, Settled: seq, Begun: next}); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, 1, "entries/s")
}
