package setuptool

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/tool/nodestatus"
)

// TestReportNodes: the first node whose queue is not as it should be is reported,
// and each node that is not at its address.
func TestReportNodes(t *testing.T) {
	row := func(name, word string) nodestatus.Row {
		return nodestatus.Row{Node: cluster.Node{Name: name, Membership: cluster.Member, LastSeen: time.Unix(1, 0), Status: cluster.Status{Word: word}}}
	}
	silent, moved, behind, late := row("web3", "current"), row("web6", "current"), row("web7", "current"), row("web8", "current")
	silent.SilentSince = time.Unix(2, 0)
	moved.Displaced, moved.Address, moved.Connects = true, netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("192.0.2.77")
	behind.Fetch, late.Fetch = &cluster.Fetch{Seq: 4, For: time.Minute}, &cluster.Fetch{Seq: 4, For: time.Hour}
	r := &report{}
	reportNodes(r, []nodestatus.Row{row("web2", "current"), behind, moved, row("web5", "paused"), silent, row("web1", "halted"), late})
	want := []problem{
		{"node web3 is unreachable", "iwx-node status"},
		{"node web6 connects from 192.0.2.77, not from its address 192.0.2.11", nodestatus.AddressHint(&moved.Node)},
	}
	if !slices.Equal(r.problems, want) {
		t.Errorf("%q", r.problems)
	}
	r = &report{}
	if reportNodes(r, []nodestatus.Row{late}); !slices.Equal(r.problems, []problem{{"node web8 has not fetched entry 4 for 1h", "iwx-node status"}}) {
		t.Errorf("%q", r.problems)
	}
	r = &report{}
	if reportNodes(r, []nodestatus.Row{row("web2", "current"), behind}); r.problems != nil {
		t.Errorf("%q", r.problems)
	}
}
