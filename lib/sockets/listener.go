package sockets

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Listener is a socket that listens, or with UDP one that is bound and not connected.
type Listener struct {
	At   netip.AddrPort // an IPv4 address is not mapped to IPv6
	Link string         // "socket:[inode]", the target of its links in /proc/PID/fd
}

// Listeners returns those of a transport, "tcp" or "udp", with IPv4 and IPv6, in the
// tables of a directory such as /proc/self/net. Lines that are not sockets are skipped,
// and so is a table that cannot be read: a kernel without IPv6 has none for it.
func Listeners(dir, transport string) (list []Listener) {
	state := "0A" // TCP_LISTEN of the kernel's net/tcp_states.h
	if transport == "udp" {
		state = "07" // TCP_CLOSE
	}
	for _, table := range []string{transport, transport + "6"} {
		text, _ := os.ReadFile(filepath.Join(dir, table))
		for line := range strings.Lines(string(text)) {
			// sl local_address rem_address st queues timer retrnsmt uid timeout inode …
			field := strings.Fields(line)
			if len(field) < 10 || field[3] != state {
				continue
			}
			if at, err := parseAddress(field[1]); err == nil {
				list = append(list, Listener{at, "socket:[" + field[9] + "]"})
			}
		}
	}
	return list
}

// parseAddress reads "0100007F:09B0". The kernel prints the address as
// 32-bit words in the machine's byte order, the port as a number; all machines
// that iwx is built for are little-endian.
func parseAddress(text string) (netip.AddrPort, error) {
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
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), nil
}
