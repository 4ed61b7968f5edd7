package ipvs

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// connection is a line of /proc/net/ip_vs_conn.
type connection struct {
	client  netip.AddrPort
	virtual netip.AddrPort
	server  netip.AddrPort
	state   string // "ESTABLISHED", as ipvsadm -L -c tells
}

// open reports whether the client takes the connection for one that is in use.
func (c connection) open() bool {
	return slices.Contains([]string{"ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK"}, c.state)
}

// End ends the connections that were open to a real server when Apply deleted it,
// by having each client ask for it.
//
// The manager resets what it does not know at the client's next packet (see
// Apply). A client that only waits for an answer sends none. So it is sent one
// from the virtual service that cannot belong to the connection, to which TCP
// answers with where it stands (RFC 9293 §3.10.7.4), and gets the reset for that.
// To a client whose connection lives on the same does no harm.
//
// It ends nothing that another Engine deleted. Kernels before 5.9 tell the
// connections to a deleted server still, and those are ended too.
func (e *Engine) End(ctx context.Context, dead netip.AddrPort) error {
	byVirtual := map[netip.Addr][]connection{}
	add := func(c connection) {
		if c.server == dead && c.open() {
			byVirtual[c.virtual.Addr()] = append(byVirtual[c.virtual.Addr()], c)
		}
	}
	if err := readTable(e.table, add); err != nil {
		return fmt.Errorf("end the connections to %s: %w", dead, err)
	}
	e.mu.Lock()
	for _, c := range e.left[dead] {
		add(c)
	}
	delete(e.left, dead)
	e.mu.Unlock()
	var err error
	for vip, list := range byVirtual {
		err = errors.Join(err, wake(ctx, vip, list))
	}
	return err
}

// wake sends every client of the connections, all of one virtual address, two
// segments half the sequence space apart: one of them at least is outside its
// window. They are lost as any packet may be: nothing tells.
func wake(ctx context.Context, vip netip.Addr, list []connection) error {
	network := "ip4:tcp"
	if vip.Is6() {
		network = "ip6:tcp"
	}
	socket, err := (&net.ListenConfig{}).ListenPacket(ctx, network, vip.String())
	if err != nil {
		return fmt.Errorf("reset connections on %s: %w", vip, err)
	}
	defer socket.Close()
	for _, c := range list {
		to := &net.IPAddr{IP: c.client.Addr().AsSlice()}
		for _, sequence := range []uint32{0, 1 << 31} {
			if _, e := socket.WriteTo(segment(c.virtual, c.client, sequence), to); e != nil {
				err = fmt.Errorf("reset the connection of %s to %s: %w", c.client, c.virtual, e)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return err
}

// segment is a TCP header with nothing set but ACK (RFC 9293 §3.1).
func segment(from, to netip.AddrPort, sequence uint32) []byte {
	const ack, words = 0x10, 5
	b := binary.BigEndian.AppendUint16(nil, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint32(b, sequence)
	b = append(b, 0, 0, 0, 0, words<<4, ack, 0, 0, 0, 0, 0, 0)
	binary.BigEndian.PutUint16(b[16:], checksum(from.Addr(), to.Addr(), b))
	return b
}

// checksum is that of TCP, over the addresses too (RFC 9293 §3.1, RFC 8200 §8.1).
func checksum(from, to netip.Addr, segment []byte) uint16 {
	b := slices.Concat(from.AsSlice(), to.AsSlice(), []byte{0, protocolTCP, 0, byte(len(segment))}, segment)
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// readTable calls f for every TCP connection of the kernel's list.
func readTable(name string, f func(connection)) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return readConnections(file, f)
}

// readConnections calls f for every TCP connection of the list. Lines of other
// protocols, and of none that are known, are passed over.
func readConnections(r io.Reader, f func(connection)) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if c, ok := parseConnection(lines.Text()); ok {
			f(c)
		}
	}
	return lines.Err()
}

// parseConnection reads a line: protocol, then address and port of client,
// virtual service and real server, in hexadecimal, then the state.
func parseConnection(line string) (c connection, ok bool) {
	words := strings.Fields(line)
	if len(words) < 8 || words[0] != "TCP" {
		return c, false
	}
	for i, at := range []*netip.AddrPort{&c.client, &c.virtual, &c.server} {
		if *at, ok = parseEnd(words[1+2*i], words[2+2*i]); !ok {
			return c, false
		}
	}
	c.state = words[7]
	return c, true
}

// parseEnd reads an address, "C0000201" or "2001:0db8:…:0001", and a port, "0050".
func parseEnd(addr, port string) (netip.AddrPort, bool) {
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	if b, err := hex.DecodeString(addr); err == nil && len(b) == 4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), uint16(p)), true
	}
	a, err := netip.ParseAddr(strings.Trim(addr, "[]"))
	return netip.AddrPortFrom(a, uint16(p)), err == nil && a.Is6()
}
