package preflight

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"iwx/lib/sockets"
)

// daemonProgram holds the port after an earlier setup, and is no obstacle to
// running it again.
const daemonProgram = "iwx-queued"

// ports binds the API's port, as the daemon will, and lets it go again. An address
// that is not up yet is not mistaken for a port that is taken.
func (s Server) ports(ctx context.Context) Result {
	addr := netip.AddrPortFrom(s.QuorumIP, s.Port)
	err := sockets.TryBind(ctx, addr)
	switch {
	case err == nil:
		return ok("port %d is free on %s", s.Port, s.QuorumIP)
	case errors.Is(err, unix.EADDRINUSE):
		return s.portTaken(addr)
	}
	return fail("", "cannot listen on %s: %v", addr, err)
}

func (s Server) portTaken(addr netip.AddrPort) Result {
	p, found := listenerOn(s.Sys, addr)
	switch {
	case !found:
		return fail(fmt.Sprintf("ss -ltnp 'sport = :%d'", addr.Port()),
			"port %d on %s is taken by another program", addr.Port(), addr.Addr())
	case p.name == daemonProgram && s.Existing.Same:
		return ok("%s is listening on %s", daemonProgram, addr)
	}
	return fail(fmt.Sprintf("stop it, or set [cluster] port in %s", s.Paths.Config),
		"port %d on %s is taken by %s (pid %d)", addr.Port(), addr.Addr(), p.name, p.pid)
}

// program is a process that listens.
type program struct {
	pid  int
	name string // comm, at most 15 bytes
}

// listenerOn finds who listens on addr or on all addresses, through proc(5).
// Without root only one's own processes can be found.
func listenerOn(sys string, addr netip.AddrPort) (program, bool) {
	found := owners(sys, listening(sys, "tcp", addr))
	if len(found) == 0 {
		return program{}, false
	}
	return found[0], true
}

// owners are the processes that have the sockets of the links open.
func owners(sys string, links []string) (list []program) {
	if len(links) == 0 {
		return nil
	}
	fds, _ := filepath.Glob(filepath.Join(sys, "proc/[0-9]*/fd/*")) // the pattern is a good one
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || !slices.Contains(links, target) {
			continue
		}
		dir := filepath.Dir(filepath.Dir(fd))
		pid, err := strconv.Atoi(filepath.Base(dir))
		comm, err2 := os.ReadFile(filepath.Join(dir, "comm"))
		if err == nil && err2 == nil {
			list = append(list, program{pid, strings.TrimSpace(string(comm))})
		}
	}
	return list
}

// listening returns the links of the sockets of a transport, tcp or udp, that listen
// where addr would.
func listening(sys, transport string, addr netip.AddrPort) (links []string) {
	for _, l := range sockets.Listeners(filepath.Join(sys, "proc/self/net"), transport) {
		if l.At.Port() == addr.Port() && (l.At.Addr() == addr.Addr() || l.At.Addr().IsUnspecified()) {
			links = append(links, l.Link)
		}
	}
	return links
}
