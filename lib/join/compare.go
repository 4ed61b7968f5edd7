package join

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"iwx/lib/host"
	"iwx/lib/preflight"
)

// MaxSkew is how far apart the clocks of manager and node may be. Times in
// histories and logs would otherwise mislead; it is well above what the one
// second of an HTTP date can make of clocks that agree.
const MaxSkew = 5 * time.Second

// Manager is what the manager knows of itself.
type Manager struct {
	Facts    host.Facts
	QuorumIP netip.Addr
	Version  string // of iwx, "0.1.0"
}

// Candidate is a server that wants to become a node.
type Candidate struct {
	Name    string // as in iwx-node add NAME
	Facts   host.Facts
	Version string
	Skew    time.Duration // node's clock minus the manager's
}

// Member is a node, or the manager itself, that is already in the cluster.
type Member struct {
	Name      string
	MachineID string
}

// Compare checks whether a candidate fits its manager and the members. All
// checks are made; apply preflight.Ignore to the result. A candidate that is
// already a member under the same name is one that joins again, and fits.
func Compare(m Manager, c Candidate, members []Member) []preflight.Check {
	checks := []preflight.Check{
		compareOS(m.Facts.OS, c.Facts.OS),
		compareArch(m.Facts.Arch, c.Facts.Arch),
		compareSegment(m, c.Facts),
		compareClock(c.Skew),
		compareVersion(m.Version, c.Version),
		compareMachineID(m, c, members),
		compareName(c, members),
		compareUsers(m.Facts, c.Facts),
	}
	return checks
}

func ok(name, format string, args ...any) preflight.Check {
	return preflight.Check{Name: name, Status: preflight.OK, Detail: fmt.Sprintf(format, args...)}
}

func fail(name, remedy, format string, args ...any) preflight.Check {
	return preflight.Check{Name: name, Status: preflight.Fail, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
}

// compareOS wants the same release, since commands such as a package
// installation are replayed word for word. Minor releases of the RHEL family
// get the same packages over time, so they only warn.
func compareOS(m, n host.OS) preflight.Check {
	const name = preflight.NameOSVersion
	if m.ID == n.ID && m.Version == n.Version {
		return ok(name, "%s on both", m)
	}
	c := fail(name, "install "+m.String()+" on the node", "the manager runs %s, the node %s", m, n)
	if m.ID == n.ID && m.IsLike("rhel") && majorOf(m.Version) == majorOf(n.Version) {
		c.Status, c.Remedy = preflight.Warn, "bring both to the same minor release: dnf -y upgrade"
	}
	return c
}

func majorOf(version string) string {
	major, _, _ := strings.Cut(version, ".")
	return major
}

func compareArch(m, n string) preflight.Check {
	if m == n {
		return ok(preflight.NameArch, "%s on both", m)
	}
	return fail(preflight.NameArch, "use a server of the manager's architecture", "the manager is %s, the node %s", m, n)
}

// compareSegment looks for an address of the node in the quorum IP's network:
// direct routing works within one segment only.
func compareSegment(m Manager, n host.Facts) preflight.Check {
	const name = preflight.NameSegment
	quorum, found := m.Facts.Find(m.QuorumIP)
	if !found {
		return fail(name, "on the manager: ip -brief address", "the quorum IP %s is on no interface of the manager", m.QuorumIP)
	}
	network := quorum.Prefix.Masked()
	var all []string
	for _, a := range n.Addresses {
		if network.Contains(a.Addr()) && a.Loopback == quorum.Loopback {
			return ok(name, "%s is in %s", a.Addr(), network)
		}
		all = append(all, a.Prefix.String())
	}
	return fail(name, fmt.Sprintf("give the node an address in %s: ip address add ADDRESS/%d dev DEVICE", network, network.Bits()),
		"the quorum IP is in %s, the node has %s", network, strings.Join(all, " "))
}

func compareClock(skew time.Duration) preflight.Check {
	const name = preflight.NameClock
	seconds := skew.Abs().Seconds()
	if skew.Abs() <= MaxSkew {
		return ok(name, "the clocks are less than %.0f s apart", MaxSkew.Seconds())
	}
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	return fail(name, preflight.SyncClocks, "the node's clock is %.0f s %s the manager's", seconds, direction)
}

func compareMachineID(m Manager, c Candidate, members []Member) preflight.Check {
	const name = preflight.NameMachineID
	const remedy = "on a copied server: rm /etc/machine-id && systemd-machine-id-setup && reboot"
	id := c.Facts.MachineID
	if id == "" {
		return fail(name, "systemd-machine-id-setup", "the node has no machine-id")
	}
	if id == m.Facts.MachineID {
		return fail(name, remedy, "the node has the manager's machine-id")
	}
	for _, other := range members {
		if other.MachineID == id && other.Name != c.Name {
			return fail(name, remedy+"; on a renamed one, on the manager: iwx-node delete "+other.Name,
				"the node is already a member as %s", other.Name)
		}
	}
	return ok(name, "%s is new or known under this name", id)
}

// compareName refuses a second server under the name of a member. Case does
// not tell names apart, as in DNS.
func compareName(c Candidate, members []Member) preflight.Check {
	for _, other := range members {
		if strings.EqualFold(other.Name, c.Name) && other.MachineID != c.Facts.MachineID {
			return fail(preflight.NameName,
				fmt.Sprintf("choose another name, or if it replaces that server: iwx-node delete %s", other.Name),
				"another server is a member under the name %s", other.Name)
		}
	}
	return ok(preflight.NameName, "%s is free", c.Name)
}

// compareUsers finds accounts that would make files on the shared storage
// belong to different people, or services, on the two servers.
func compareUsers(m, n host.Facts) preflight.Check {
	var conflicts []string
	for _, theirs := range n.Users {
		for _, ours := range m.Users {
			if ours.UID == theirs.UID && ours.Name != theirs.Name {
				conflicts = append(conflicts, fmt.Sprintf("uid %d is %s on the manager and %s on the node", ours.UID, ours.Name, theirs.Name))
			}
		}
	}
	conflicts = append(conflicts, sameNames(m.Users, n.Users, "uid", uid)...)
	conflicts = append(conflicts, sameNames(m.Services, n.Services, "uid", uid)...)
	conflicts = append(conflicts, sameNames(m.Services, n.Services, "gid", gid)...)
	if conflicts == nil {
		return ok(preflight.NameUIDs, "no account has two meanings")
	}
	slices.Sort(conflicts)
	return fail(preflight.NameUIDs, "on the node: usermod -u UID NAME, groupmod -g GID NAME, and chown what belongs to it", "%s", strings.Join(conflicts, "; "))
}

func uid(u host.User) uint32 { return u.UID }

func gid(u host.User) uint32 { return u.GID }

// sameNames finds accounts of one name that have different ids.
func sameNames(m, n []host.User, what string, id func(host.User) uint32) (conflicts []string) {
	for _, theirs := range n {
		for _, ours := range m {
			if ours.Name == theirs.Name && id(ours) != id(theirs) {
				conflicts = append(conflicts, fmt.Sprintf("%s has %s %d on the manager and %d on the node", ours.Name, what, id(ours), id(theirs)))
			}
		}
	}
	return conflicts
}
