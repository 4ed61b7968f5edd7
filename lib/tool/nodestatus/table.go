package nodestatus

import (
	"cmp"
	"fmt"

	"iwx/lib/cli"
	"iwx/lib/cluster"
)

// Table is the page's columns.
func Table() cli.Table[Row] {
	blocked := func(value func(*cluster.Blocked) any) func(Row) any {
		return func(r Row) any {
			if r.Status.Blocked == nil {
				return nil
			}
			return value(r.Status.Blocked)
		}
	}
	return cli.Table[Row]{Singular: "node", Plural: "nodes", Columns: []cli.Column[Row]{
		{Name: "node", Value: func(r Row) any { return r.Name }},
		{Name: "state", Value: func(r Row) any { return Mark(&r.Node) }},
		{Name: "position", Value: func(r Row) any { return cli.Fraction{Done: r.Status.Done, Total: r.Last} }},
		{Name: "lag", Value: func(r Row) any { return r.Last - min(r.Status.Done, r.Last) }, Spare: true},
		{Name: "baseline", Value: func(r Row) any { return Baseline(&r.Node) }, Rare: true},
		{Name: "entry", Value: blocked(func(b *cluster.Blocked) any { return cli.ID(b.Seq) }), Rare: true},
		{Name: "attempts", Value: blocked(func(b *cluster.Blocked) any { return b.Attempts }), Rare: true},
		{Name: "next_retry", Value: blocked(func(b *cluster.Blocked) any { return cluster.Instant(b.RetryAt) }), Rare: true},
		{Name: "since", Value: func(r Row) any { return r.since() }, Rare: true},
		{Name: "running", Value: func(r Row) any { return running(r.Status.Running) }, Rare: true},
		{Name: "running_since", Value: func(r Row) any { return cluster.Instant(r.Status.RunningSince) }, Rare: true},
		{Name: "profile", Value: func(r Row) any { return r.profile() }, Rare: true},
		{Name: "storage", Value: func(r Row) any { return r.storage() }, Rare: true},
		{Name: "sites", Value: func(r Row) any { return r.sites() }, Rare: true},
		{Name: "last_seen", Value: func(r Row) any { return r.LastSeen }},
		{Name: "version", Value: func(r Row) any { return r.Status.Version }, Spare: true},
		{Name: "error", Value: func(r Row) any { return r.Trouble() }, Fold: true, Rare: true},
		{Name: "not_fetched", Value: func(r Row) any { return NotFetched(&r.Node) }, Detail: true},
		{Name: "address", Value: func(r Row) any { return addressText(r.Address) }, Detail: true},
		{Name: "connects_from", Value: func(r Row) any { return addressText(r.Connects) }, Detail: true},
		{Name: "paused", Value: func(r Row) any { return r.Paused }, Detail: true},
		{Name: "exit", Value: blocked(func(b *cluster.Blocked) any { return b.Code }), Detail: true},
		{Name: "will_not_heal", Value: blocked(func(b *cluster.Blocked) any { return b.WillNotHeal }), Detail: true},
		{Name: "refused", Value: func(r Row) any { return r.Refused }, Detail: true},
		{Name: "profile_desired", Value: func(r Row) any { return r.Profile().Desired }, Detail: true},
		{Name: "profile_reached", Value: func(r Row) any { return r.Profile().Reached }, Detail: true},
	}}
}

// profile is the word for a profile that is not applied, nil for one that is.
func (r Row) profile() any {
	if s := r.Profile(); !s.Current() {
		return ProfileMark(s)
	}
	return nil
}

// Trouble is what a leaving node waits for, why the node is halted, why a
// request was refused, or what of its profile is not applied, of its storage not
// healthy, or of its sites amiss.
func (r Row) Trouble() string {
	b := r.Status.Blocked
	switch first, last := r.Tail.First, r.Tail.Last.Seq; {
	case r.NotConnected():
		return "has not connected since this manager was restored"
	case r.Status.Leaving != nil:
		return r.Status.Leaving.Waits
	case first > 0 && Grave(r.Status.Word) && b == nil:
		return fmt.Sprintf("has entries %d-%d that this manager lost", first, last)
	case b == nil && r.Refused == "":
		return cmp.Or(FetchTrouble(&r.Node), waitTrouble(&r.Node), AddressTrouble(&r.Node), r.Back(), profileTrouble(r.Profile()), StorageTrouble(r.Status.Mounts), SitesTrouble(&r.Node))
	case b == nil:
		return r.Refused
	case b.WillNotHeal:
		return b.Error + " (will not heal by itself)"
	}
	return b.Error
}

// Back returns that the node is back at an older state, while that needs
// attention, or "".
func (r Row) Back() string {
	back := r.ReportBack(r.now)
	if back == nil {
		return ""
	}
	return fmt.Sprintf("went back from entry %d to %d %s ago and repeats the entries after it", back.From, back.To, cli.Age(r.now.Sub(cluster.Instant(back.At))))
}

// Baseline is how far a new node is with the baseline, "3/12"; nil for others.
func Baseline(n *cluster.Node) any {
	if n.Baseline == nil {
		return nil
	}
	return cli.Fraction{Done: uint64(n.Baseline.Done), Total: uint64(n.Baseline.Total)}
}

// running is the number of the entry under way, nil for none.
func running(seq uint64) any {
	if seq == 0 {
		return nil
	}
	return cli.ID(seq)
}
