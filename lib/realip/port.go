package realip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"iwx/lib/fault"
)

// vacant fails unless a program can be told to listen there: some do not outlive
// a reload with an address that they do not get. label is the type that SELinux
// has for the ports of such programs.
func vacant(ctx context.Context, at netip.AddrPort, label string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at.String())
	if errors.Is(err, syscall.EADDRINUSE) {
		return fault.Hint(fault.New(fault.Failed, "another program has port %d", at.Port()), "ss -ltnp 'sport = :%d'", at.Port())
	}
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	return labelled(ctx, at.Port(), label)
}

// labelled fails where SELinux enforces a policy by which such programs do not get
// the port, semanage-port(8).
func labelled(ctx context.Context, port uint16, label string) error {
	if enforce, err := os.ReadFile("/sys/fs/selinux/enforce"); err != nil || strings.TrimSpace(string(enforce)) != "1" {
		return nil
	}
	out, err := exec.CommandContext(ctx, "semanage", "port", "-l").Output()
	if err == nil && hasLabel(string(out), port, label) {
		return nil
	}
	return fault.Hint(fault.New(fault.Failed, "SELinux does not let port %d be listened at", port), "semanage port -a -t %s -p tcp %d", label, port)
}

// hasLabel looks into lines such as "http_port_t  tcp  80, 81, 8008-8010".
func hasLabel(list string, port uint16, label string) bool {
	for line := range strings.Lines(list) {
		fields := strings.Fields(strings.ReplaceAll(line, ",", " "))
		if len(fields) > 2 && fields[0] == label && fields[1] == "tcp" && slices.ContainsFunc(fields[2:], func(span string) bool { return within(span, port) }) {
			return true
		}
	}
	return false
}

// within reports whether a port is in "80" or "8008-8010".
func within(span string, port uint16) bool {
	low, high, isRange := strings.Cut(span, "-")
	if !isRange {
		high = low
	}
	from, err := strconv.ParseUint(low, 10, 16)
	to, err2 := strconv.ParseUint(high, 10, 16)
	return err == nil && err2 == nil && uint16(from) <= port && port <= uint16(to)
}
