package upkeep

import (
	"cmp"
	"fmt"
	"slices"

	"iwx/lib/backup"
	"iwx/lib/cluster"
	"iwx/lib/nfs"
	"iwx/lib/profile"
	"iwx/lib/realip"
)

// Eligibility is whether a server may take traffic.
type Eligibility struct {
	Unready string // why it may not be added, "" if it may
	Unfit   string // why it may not keep the traffic that it has, "" if it may
}

// Eligible returns whether a server may take traffic. items are its profile as it is
// desired now, and status is what the server last reported of it, nil before the first
// report. baseline is nil once the server has replayed the baseline; with a Total of 0
// it is not known how much is left. A queue that halts does not count.
func Eligible(items []profile.Item, status *profile.Status, mounts []nfs.Health, baseline *cluster.Progress) (is Eligibility) {
	// Without its shared storage, a server has no sites.
	for _, m := range mounts {
		if m.Word != nfs.Healthy && is.Unfit == "" {
			is.Unfit = fmt.Sprintf("%s is %s", m.Path, m.Word)
			if m.Error != "" {
				is.Unfit += ": " + m.Error
			}
		}
	}

	// What it has not applied of its profile, and of its first commands.
	needed := func(i profile.Item) bool { return matters(i.Kind) }
	switch {
	case status == nil:
		is.Unready = "it has not reported its profile yet"
	case status.Error != "" && slices.ContainsFunc(items, needed):
		is.Unready = "its profile is not applied: " + status.Error
	default:
		is.Unready = cmp.Or(unapplied(items, status), unreplayed(baseline))
	}
	return is
}

// unapplied returns which item is not applied that matters, and why. What has to be
// taken back does not matter.
func unapplied(items []profile.Item, status *profile.Status) string {
	for _, r := range status.Unapplied(items, matters) {
		switch {
		case r.Removal:
		case r.Error != "":
			return fmt.Sprintf("its profile is not applied: %s: %s", &r, r.Error)
		default:
			return fmt.Sprintf("its profile is not applied: %s is %s", &r, r.Word)
		}
	}
	return ""
}

func unreplayed(baseline *cluster.Progress) string {
	switch {
	case baseline == nil:
		return ""
	case baseline.Total == 0:
		return "it is new, and has not replayed the baseline yet"
	}
	return fmt.Sprintf("it is new, and has replayed %d of %d entries of the baseline", baseline.Done, baseline.Total)
}

// matters reports whether clients of a server's services notice that an item of
// this kind is not applied there. They do not notice copies of backups, and have other
// servers to ask for names. What a server exports is a directory of its own, and it
// serves clients also while it does not know their addresses.
func matters(kind string) bool {
	return kind != backup.CopyKind && kind != KindDNS && kind != nfs.KindExport && kind != realip.Kind
}
