// Package preflight checks whether a server meets the requirements of iwx
// before anything is written on it.
//
// A Check is one answer under a stable name; names appear in scripts and after
// --ignore and are never renamed. All checks are run, also after a failure. The
// probes of this server are here (Server.Probes); what a manager finds when it
// compares a joining node with itself is join's, in the same form.
//
// Nothing is changed: a probe reads files and system calls, asks a firewall's own
// tool for its rules, and at most binds a port, or mounts for a moment, out of the
// way, what an NFS server outside the cluster is to share.
package preflight

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"iwx/lib/fault"
)

// Status is the outcome of a check.
type Status string

// The outcomes, from good to bad.
const (
	Skip Status = "skip" // does not apply here
	OK   Status = "ok"
	Warn Status = "warn" // something will not work later, or could not be told
	Fail Status = "fail" // iwx would not work
)

// rank orders outcomes for Verdict.
func (s Status) rank() int {
	return slices.Index([]Status{Skip, OK, Warn, Fail}, s)
}

// Check is the answer of one probe. Its JSON form is documented and sent from
// manager to node.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Detail string `json:"detail"`           // what was found
	Remedy string `json:"remedy,omitempty"` // the command to run, or what to do
}

// The names of all checks.
const (
	NameRoot        = "root"
	NameSystemd     = "systemd"
	NameOS          = "os"
	NameAddresses   = "addresses"
	NameQuorumIP    = "quorum-ip"
	NamePorts       = "ports"
	NameDisk        = "disk"
	NameClockSync   = "clock-sync"
	NameSourcePorts = "source-ports"
	NameContainer   = "container"
	NameFirewall    = "firewall"
	NameSELinux     = "selinux"
	NameNFSClient   = "nfs-client"
	NameNFSServer   = "nfs-server"
	NameStorage     = "storage"
	NameWebServer   = "web-server"
	NameDNS         = "dns"
	NameIPVS        = "ipvs"
	NameState       = "state"

	NameOSVersion = "os-version"
	NameArch      = "arch"
	NameSegment   = "segment"
	NameClock     = "clock"
	NameVersion   = "version"
	NameMachineID = "machine-id"
	NameName      = "name"
	NameUIDs      = "uids"
)

// Names returns the names of all checks: those of a server by itself, then
// those of a node beside its manager.
func Names() []string {
	return []string{
		NameRoot, NameSystemd, NameOS, NameAddresses, NameQuorumIP, NamePorts, NameDisk, NameClockSync, NameSourcePorts,
		NameContainer, NameFirewall, NameSELinux, NameNFSClient, NameNFSServer, NameStorage, NameWebServer, NameDNS, NameIPVS, NameState,
		NameOSVersion, NameArch, NameSegment, NameClock, NameVersion, NameMachineID, NameName, NameUIDs,
	}
}

// CheckNames fails with the valid names if one of names is not the name of a
// check.
func CheckNames(names []string) error {
	for _, n := range names {
		if !slices.Contains(Names(), n) {
			err := fault.New(fault.Usage, "no check is called %q", n)
			return fault.Hint(err, "the checks are: %s", strings.Join(Names(), ", "))
		}
	}
	return nil
}

// Ignore returns checks with the named failures made warnings. The checks
// given are not changed.
func Ignore(checks []Check, names []string) []Check {
	checks = slices.Clone(checks)
	for i, c := range checks {
		if c.Status == Fail && slices.Contains(names, c.Name) {
			checks[i].Status = Warn
			checks[i].Detail += " (ignored)"
		}
	}
	return checks
}

// Verdict returns the worst outcome among checks, Skip if there are none.
func Verdict(checks []Check) Status {
	worst := Skip
	for _, c := range checks {
		if c.Status.rank() > worst.rank() {
			worst = c.Status
		}
	}
	return worst
}

// Err returns nil unless a check failed, else one error that lists every
// failure on a line of its own and hints at --ignore.
func Err(checks []Check) error {
	var lines, names []string
	for _, c := range checks {
		if c.Status != Fail {
			continue
		}
		line := c.Name + ": " + c.Detail
		if c.Remedy != "" {
			line += "; " + c.Remedy
		}
		lines, names = append(lines, line), append(names, "--ignore "+c.Name)
	}
	if lines == nil {
		return nil
	}
	err := fault.New(fault.Failed, "%s", strings.Join(lines, "\n"))
	return fault.Hint(err, "fix the cause, or go on at your own risk with %s", strings.Join(names, " "))
}

// Probe is a check to be made. Run must return within its context's time or
// soon after; what it returns late is not looked at.
type Probe struct {
	Name string
	Run  func(ctx context.Context) Result
}

// Result is a Check without its name.
type Result struct {
	Status Status
	Detail string
	Remedy string
}

// Run makes all probes at once and returns their checks in the order given. One
// that is not done within limit is a warning: a hung mount must not hide what
// the others found. Its goroutine stays until the kernel lets it go.
func Run(ctx context.Context, probes []Probe, limit time.Duration) []Check {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	checks := make([]Check, len(probes))
	var all sync.WaitGroup
	for i, p := range probes {
		all.Go(func() { checks[i] = p.check(ctx) })
	}
	all.Wait()
	return checks
}

func (p Probe) check(ctx context.Context) Check {
	done := make(chan Result, 1)
	go func() { done <- p.Run(ctx) }()
	var r Result
	select {
	case r = <-done:
	case <-ctx.Done():
		// Both may be ready; an answer is worth more than the deadline.
		select {
		case r = <-done:
		default:
			r = warn("", "no answer in time")
		}
	}
	return Check{Name: p.Name, Status: r.Status, Detail: r.Detail, Remedy: r.Remedy}
}
