package upkeep_test

import (
	"testing"

	"iwx/lib/backup"
	"iwx/lib/cluster"
	"iwx/lib/nfs"
	"iwx/lib/profile"
	"iwx/lib/realip"
	"iwx/lib/tool/upkeep"
	"iwx/lib/vip"
)

// TestUnready has what keeps a server from being added.
func TestUnready(t *testing.T) {
	item := func(kind, name, spec string) profile.Item {
		i, err := profile.Make(kind, name, spec)
		must(t, err)
		return i
	}
	result := func(i profile.Item, word, why string) profile.Result {
		return profile.Result{Kind: i.Kind, Name: i.Name, Digest: i.Digest(), Word: word, Error: why}
	}
	mount, held := item(nfs.KindMount, "/srv/iwx", "1"), item(vip.Kind, "192.0.2.10", "1")
	remount := item(nfs.KindMount, "/srv/iwx", "2")
	ignored := []profile.Item{item(backup.CopyKind, "daily", "1"), item(upkeep.KindDNS, "zones", "1"), item(nfs.KindExport, "/srv/iwx", "1"), item(realip.Kind, "http", "1")}
	applied := result(mount, profile.WordApplied, "")
	old := applied
	old.Digest = ""
	removal := profile.Result{Kind: nfs.KindMount, Name: "/srv/old", Word: profile.WordFailed, Error: "busy", Removal: true}
	for _, tt := range []struct {
		name     string
		items    []profile.Item
		status   *profile.Status
		baseline *cluster.Progress
		want     string
	}{
		{"nothing is reported", []profile.Item{mount}, nil, nil, "it has not reported its profile yet"},
		{"applied", []profile.Item{mount}, &profile.Status{Items: []profile.Result{applied}}, nil, ""},
		{"nothing is needed", nil, &profile.Status{}, nil, ""},
		{"the item is another by now", []profile.Item{remount}, &profile.Status{Items: []profile.Result{applied}}, nil, "its profile is not applied: mount /srv/iwx is pending"},
		{"an older iwx reports", []profile.Item{remount}, &profile.Status{Items: []profile.Result{old}}, nil, ""},
		{"an item is new", []profile.Item{mount, held}, &profile.Status{Items: []profile.Result{applied}}, nil, "its profile is not applied: vip 192.0.2.10 is pending"},
		{"a mount fails", []profile.Item{mount}, &profile.Status{Items: []profile.Result{result(mount, profile.WordFailed, "no such host")}}, nil, "its profile is not applied: mount /srv/iwx: no such host"},
		{"an address waits", []profile.Item{held}, &profile.Status{Items: []profile.Result{result(held, profile.WordPending, "")}}, nil, "its profile is not applied: vip 192.0.2.10 is pending"},
		{"what does not matter is not known there", append(ignored, mount), &profile.Status{Items: []profile.Result{applied}}, nil, ""},
		{"and fails", append(ignored, mount), &profile.Status{Items: []profile.Result{applied, result(ignored[0], profile.WordFailed, "full"), result(ignored[1], profile.WordFailed, "no BIND")}}, nil, ""},
		{"what cannot be taken back", []profile.Item{mount}, &profile.Status{Items: []profile.Result{applied, removal}}, nil, ""},
		{"what is to be taken back", nil, &profile.Status{Items: []profile.Result{applied}}, nil, ""},
		{"nothing could be looked at", []profile.Item{mount}, &profile.Status{Error: "locked", Items: []profile.Result{applied}}, nil, "its profile is not applied: locked"},
		{"and nothing matters", ignored, &profile.Status{Error: "locked"}, nil, ""},
		{"it is new", []profile.Item{mount}, &profile.Status{Items: []profile.Result{applied}}, &cluster.Progress{Done: 3, Total: 4}, "it is new, and has replayed 3 of 4 entries of the baseline"},
		{"it is new, by its own word", nil, &profile.Status{}, &cluster.Progress{}, "it is new, and has not replayed the baseline yet"},
	} {
		if got := upkeep.Eligible(tt.items, tt.status, nil, tt.baseline); got.Unready != tt.want || got.Unfit != "" {
			t.Errorf("%s: got %+v, want %q", tt.name, got, tt.want)
		}
	}
}

// TestUnfit has what keeps a server from going on.
func TestUnfit(t *testing.T) {
	for _, tt := range []struct {
		mounts []nfs.Health
		want   string
	}{
		{nil, ""},
		{[]nfs.Health{{Path: "/srv/iwx", Word: nfs.Healthy}}, ""},
		{[]nfs.Health{{Path: "/srv/iwx", Word: nfs.Healthy}, {Path: "/srv/mail", Word: nfs.Hung}}, "/srv/mail is hung"},
		{[]nfs.Health{{Path: "/srv/iwx", Word: nfs.Missing, Error: "it is not mounted"}, {Path: "/srv/mail", Word: nfs.Hung}}, "/srv/iwx is missing: it is not mounted"},
		{[]nfs.Health{{Path: "/srv/iwx", Word: "what a newer iwx reports"}}, "/srv/iwx is what a newer iwx reports"},
	} {
		if got := upkeep.Eligible(nil, &profile.Status{}, tt.mounts, nil); got.Unfit != tt.want || got.Unready != "" {
			t.Errorf("got %+v, want %q", got, tt.want)
		}
	}
}
