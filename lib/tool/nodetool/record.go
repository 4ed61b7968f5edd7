package nodetool

import (
	"fmt"
	"net/netip"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/panics"
	"iwx/lib/tool/nodestatus"
)

// record is a node as list and show print it.
type record struct {
	cluster.Node
	head uint64 // of the manager's log
	now  time.Time
}

// recordTable is all there is to know of a node. A list has the membership only
// when former nodes are in it.
func recordTable(former bool) cli.Table[record] {
	type column = cli.Column[record]
	columns := []column{
		{Name: "node", Value: func(r record) any { return r.Name }},
		{Name: "membership", Value: func(r record) any { return string(r.Membership) }, Detail: !former},
		{Name: "state", Value: func(r record) any { return nodestatus.Mark(&r.Node) }},
		{Name: "address", Value: func(r record) any { return address(r.Address) }},
		{Name: "os", Value: func(r record) any { return r.Facts.OS.String() }, Spare: true},
		{Name: "version", Value: func(r record) any { return r.Status.Version }, Spare: true},
		{Name: "joined", Value: func(r record) any { return r.JoinedAt }, Spare: true},
		{Name: "last_seen", Value: func(r record) any { return r.LastSeen }},
	}
	columns = append(columns, queueColumns()...)
	columns = append(columns, profileColumns()...)
	columns = append(columns, serverColumns()...)
	return cli.Table[record]{Singular: "node", Plural: "nodes", Columns: append(columns, memberColumns()...)}
}

// queueColumns tell how the node's queue is doing.
func queueColumns() []cli.Column[record] {
	blocked := func(get func(*cluster.Blocked) any) func(record) any {
		return func(r record) any {
			if r.Status.Blocked == nil {
				return nil
			}
			return get(r.Status.Blocked)
		}
	}
	return []cli.Column[record]{
		{Name: "connects_from", Value: func(r record) any { return address(r.Connects) }, Detail: true},
		{Name: "former_address", Value: func(r record) any { return address(r.Former) }, Detail: true},
		{Name: "not_fetched", Value: func(r record) any { return nodestatus.NotFetched(&r.Node) }, Detail: true},
		{Name: "silent_since", Value: func(r record) any { return r.SilentSince }, Detail: true},
		{Name: "done", Value: func(r record) any { return cli.ID(r.Status.Done) }, Detail: true},
		{Name: "head", Value: func(r record) any { return cli.ID(r.head) }, Detail: true},
		{Name: "baseline", Value: func(r record) any { return nodestatus.Baseline(&r.Node) }, Detail: true},
		{Name: "caught_up", Value: func(r record) any { return caughtUp(r.Status.CaughtUp) }, Detail: true},
		{Name: "paused", Value: func(r record) any { return r.Paused }, Detail: true},
		{Name: "running", Value: func(r record) any { return entry(r.Status.Running) }, Detail: true},
		{Name: "running_since", Value: func(r record) any { return cluster.Instant(r.Status.RunningSince) }, Detail: true},
		{Name: "blocked_at", Value: blocked(func(b *cluster.Blocked) any { return cli.ID(b.Seq) }), Detail: true},
		{Name: "error", Value: blocked(func(b *cluster.Blocked) any { return b.Error }), Detail: true},
		{Name: "exit_code", Value: blocked(func(b *cluster.Blocked) any { return b.Code }), Detail: true},
		{Name: "attempts", Value: blocked(func(b *cluster.Blocked) any { return b.Attempts }), Detail: true},
		{Name: "first_failure", Value: blocked(func(b *cluster.Blocked) any { return cluster.Instant(b.FirstFailure) }), Detail: true},
		{Name: "next_retry", Value: blocked(func(b *cluster.Blocked) any { return cluster.Instant(b.RetryAt) }), Detail: true},
		{Name: "will_not_heal", Value: blocked(func(b *cluster.Blocked) any { return b.WillNotHeal }), Detail: true},
	}
}

// caughtUp reports what the node made up for when it was last back from a long
// silence.
func caughtUp(u *cluster.CaughtUp) any {
	if u == nil {
		return nil
	}
	return fmt.Sprintf("%s after %s of silence, at %s", cli.Count(u.Entries, "entry", "entries"),
		cli.Duration(time.Duration(u.Silence)*time.Millisecond), cluster.Instant(u.At).Local().Format(time.DateTime))
}

// serverColumns tell what kind of server it is.
func serverColumns() []cli.Column[record] {
	return []cli.Column[record]{
		{Name: "hostname", Value: func(r record) any { return r.Facts.Hostname }, Detail: true},
		{Name: "machine_id", Value: func(r record) any { return r.MachineID }, Detail: true},
		{Name: "arch", Value: func(r record) any { return r.Facts.Arch }, Detail: true},
		{Name: "kernel", Value: func(r record) any { return r.Facts.Kernel }, Detail: true},
		{Name: "container", Value: func(r record) any { return r.Facts.Container }, Detail: true},
		{Name: "addresses", Value: addresses, Detail: true},
		{Name: "containment", Value: func(r record) any { return r.Status.Mode }, Detail: true},
	}
}

// memberColumns tell of its place in the cluster.
func memberColumns() []cli.Column[record] {
	return []cli.Column[record]{
		{Name: "id", Value: func(r record) any { return r.ID }, Detail: true},
		{Name: "start", Value: func(r record) any { return cli.ID(r.Start) }, Detail: true},
		{Name: "certificate", Value: func(r record) any { return r.CertSerial }, Detail: true},
		{Name: "certificate_expires", Value: func(r record) any { return cli.Date(r.CertExpires) }, Detail: true},
		{Name: "refused", Value: func(r record) any { return r.Refused }, Detail: true},
		{Name: "ended", Value: func(r record) any { return r.EndedAt }, Detail: true},
		{Name: "ended_by", Value: func(r record) any { return r.EndedBy }, Detail: true},
	}
}

// profileColumns tell how the node stands with its profile, its storage and its
// sites, and what its daemon has caught.
func profileColumns() []cli.Column[record] {
	return []cli.Column[record]{
		{Name: "profile", Value: func(r record) any { return nodestatus.ProfileMark(r.Profile()) }, Detail: true},
		{Name: "profile_desired", Value: func(r record) any { return r.Profile().Desired }, Detail: true},
		{Name: "profile_reached", Value: func(r record) any { return r.Profile().Reached }, Detail: true},
		{Name: "profile_items", Value: func(r record) any { return nodestatus.ProfileItems(r.Profile(), r.now) }, Detail: true},
		{Name: "storage", Value: func(r record) any { return nodestatus.StorageMark(r.Status.Mounts) }, Detail: true},
		{Name: "mounts", Value: func(r record) any { return nodestatus.StorageItems(r.Status.Mounts, r.now) }, Detail: true},
		{Name: "sites", Value: func(r record) any { return nodestatus.SitesMark(r.Status.Sites) }, Detail: true},
		{Name: "site_faults", Value: func(r record) any { return nodestatus.SitesItems(r.Status.Sites) }, Detail: true},
		{Name: "panics", Value: func(r record) any { return nodestatus.Panics(nodePanics(&r.Node), r.now) }, Detail: true},
	}
}

// nodePanics returns the panic counts of a node's daemon.
func nodePanics(n *cluster.Node) []panics.Count {
	if n.Status.Panics == nil {
		return nil
	}
	return []panics.Count{*n.Status.Panics}
}

// address returns an address, or nil for none.
func address(a netip.Addr) any {
	if !a.IsValid() {
		return nil
	}
	return a.String()
}

func addresses(r record) any {
	var list []string
	for _, a := range r.Facts.Addresses {
		list = append(list, fmt.Sprintf("%s on %s", a.Prefix, a.Interface))
	}
	return list
}

// entry is the number of an entry, nil for none.
func entry(seq uint64) any {
	if seq == 0 {
		return nil
	}
	return cli.ID(seq)
}
