package preflight

import (
	"bufio"
	"context"
	"encoding/hex"
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

// owners are the processes that have the sockets open.
func owners(sys string, inodes []string) (list []program) {
	if len(inodes) == 0 {
		return nil
	}
	fds, _ := filepath.Glob(filepath.Join(sys, "proc/[0-9]*/fd/*")) // the pattern is a good one
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || !slices.Contains(inodes, target) {
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

// listening returns the sockets ("socket:[inode]", as /proc/PID/fd shows them)
// of a transport, tcp or udp, that listen where addr would.
func listening(sys, transport string, addr netip.AddrPort) (inodes []string) {
	state := "0A" // TCP_LISTEN of the kernel's tcp_states.h
	if transport == "udp" {
		state = "07" // TCP_CLOSE: of a socket that is bound, and not connected
	}
	for _, version := range []string{"", "6"} {
		inodes = append(inodes, listeningIn(filepath.Join(sys, "proc/self/net", transport+version), state, addr)...)
	}
	return inodes
}

// listeningIn returns the sockets of one table of /proc/net that are in the state.
func listeningIn(table, state string, addr netip.AddrPort) (inodes []string) {
	f, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		field := strings.Fields(lines.Text())
		if len(field) < 10 || field[3] != state {
			continue
		}
		local, err := parseSocketAddr(field[1])
		if err != nil || local.Port() != addr.Port() {
			continue
		}
		if a := local.Addr().Unmap(); a == addr.Addr() || a.IsUnspecified() {
			inodes = append(inodes, "socket:["+field[9]+"]")
		}
	}
	return inodes
}

// parseSocketAddr reads "0100007F:09B0". The kernel prints the address as
// 32-bit words in the machine's byte order, the port as a number; all machines
// that iwx is built for are little-endian.
func parseSocketAddr(text string) (netip.AddrPort, error) {
	addr, port, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	raw, err := hex.DecodeString(addr)
	if err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("socket address %q", text)
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	a, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a, uint16(n)), nil
}
