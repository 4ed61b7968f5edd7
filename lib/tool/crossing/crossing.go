// Package crossing finds out whether the network between the manager and its nodes
// lets through what direct routing sends: packets with the virtual address as
// their source, which a node answers clients with, and packets for the virtual
// address in frames for a node, which the manager passes on to it.
//
// Both ends are here: what the manager does with all nodes at once, and what each
// of these does. What is sent is vip's, and what follows is preflight's to say. No
// address, route or filter is touched.
package crossing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/panics"
	"iwx/lib/vip"
	"iwx/lib/wait"
)

// How often packets are sent while a trial goes on, and how often at least: one
// that is lost by chance says nothing.
const (
	sendEvery   = 100 * time.Millisecond
	sendsEnough = 10
)

// way is how packets get from this server to another one on its link.
type way struct {
	link string
	own  netip.Addr // this server's address there
	to   net.HardwareAddr
}

// find returns the way to an address. Its error tells that it is on no link of this
// server, or does not answer there.
func find(ctx context.Context, here []host.Address, to netip.Addr) (way, error) {
	at, err := vip.Network(here, to)
	if err != nil {
		return way{}, fmt.Errorf("%s is on no link of this server", to)
	}
	mac, err := host.Holder(ctx, at.Interface, to)
	if err == nil && mac == nil {
		err = fmt.Errorf("no server answers for %s on %s", to, at.Interface)
	}
	return way{at.Interface, at.Addr(), mac}, err
}

// Answer is a node's part in a trial: it sends until ctx ends, or all that it waits
// for has come and it has sent enough, and returns the addresses to which packets
// of the manager's came.
func Answer(ctx context.Context, here []host.Address, trial *cluster.Trial) ([]netip.Addr, error) {
	ear, err := vip.Listen()
	if err != nil {
		return nil, err
	}
	defer ear.Close()
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	var ways []way
	for _, p := range trial.Paths {
		w, err := find(ctx, here, p.Manager)
		if err != nil {
			return nil, err
		}
		ways = append(ways, w)
	}
	sent := make(chan error, 1)
	go func() {
		sent <- panics.Catch(func() error { return repeat(ctx, func() error { return answers(ways, trial) }) })
	}()
	var came []netip.Addr
	for {
		p, err := ear.Next(ctx)
		if err != nil {
			return came, errors.Join(<-sent, unlessOver(err))
		}
		if p.Text == trial.Nonce && !slices.Contains(came, p.To) {
			came = append(came, p.To)
			if len(came) == len(trial.Paths)+1 { // with its own, that is all
				time.AfterFunc(sendsEnough*sendEvery, enough)
			}
		}
	}
}

// answers sends what a client would be answered with, and as much with this
// server's own address.
func answers(ways []way, trial *cluster.Trial) error {
	for i, p := range trial.Paths {
		for _, from := range []netip.Addr{p.VIP, ways[i].own} {
			if err := vip.Send(ways[i].link, ways[i].to, vip.Packet{From: from, To: p.Manager, Text: trial.Nonce}); err != nil {
				return err
			}
		}
	}
	return nil
}

// repeat sends again and again until ctx ends.
func repeat(ctx context.Context, send func() error) error {
	for {
		if err := send(); err != nil {
			return err
		}
		if wait.Sleep(ctx, sendEvery) != nil {
			return nil
		}
	}
}

// unlessOver returns an error that is not the end of the time there was.
func unlessOver(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// client is where the manager's packets come from: an address that is nobody's, as
// the clients' are to the network (RFC 5737, RFC 3849).
func client(vip netip.Addr) netip.Addr {
	if vip.Is4() {
		return netip.AddrFrom4([4]byte{198, 51, 100, 1})
	}
	return netip.MustParseAddr("2001:db8:ffff::1")
}

// Paths returns how a trial of virtual addresses goes on this server, the manager.
// The error names one that is in none of its networks.
func Paths(here []host.Address, vips []netip.Addr) ([]cluster.TrialPath, error) {
	var list []cluster.TrialPath
	for _, addr := range vips {
		at, err := vip.Network(here, addr)
		if err != nil {
			return nil, err
		}
		list = append(list, cluster.TrialPath{VIP: addr, Manager: at.Addr()})
	}
	return list, nil
}

// Peer is a node as the manager's part sees it.
type Peer struct {
	Addr  netip.Addr // its own
	Trial *cluster.Trial
}

// Ask is the manager's part: it sends to all nodes until ctx ends, and returns for
// each, by its nonce, the addresses from which its packets came, and the error that
// kept packets from being sent to it.
func Ask(ctx context.Context, here []host.Address, peers []Peer) (came map[string][]netip.Addr, failed map[string]error, err error) {
	ear, err := vip.Listen()
	if err != nil {
		return nil, nil, err
	}
	defer ear.Close()
	came, failed = map[string][]netip.Addr{}, map[string]error{}
	type end struct {
		nonce string
		err   error
	}
	ends := make(chan end, len(peers))
	for _, p := range peers {
		came[p.Trial.Nonce] = nil
		go func() { ends <- end{p.Trial.Nonce, panics.Catch(func() error { return p.ask(ctx, here) })} }()
	}
	for {
		p, heard := ear.Next(ctx)
		if heard != nil {
			err = unlessOver(heard)
			break
		}
		if list, ours := came[p.Text]; ours && !slices.Contains(list, p.From) {
			came[p.Text] = append(list, p.From)
		}
	}
	for range peers {
		e := <-ends
		failed[e.nonce] = e.err
	}
	return came, failed, err
}

// ask sends one node what a client would, and as much to its own address.
func (p *Peer) ask(ctx context.Context, here []host.Address) error {
	w, err := find(ctx, here, p.Addr)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fault.Hint(err, "direct routing needs one link: iwx-lb edit SERVICE --forwarding tun")
	}
	return repeat(ctx, func() error {
		for _, path := range p.Trial.Paths {
			packet := vip.Packet{From: client(path.VIP), To: path.VIP, Text: p.Trial.Nonce}
			if err := vip.Send(w.link, w.to, packet); err != nil {
				return err
			}
		}
		return vip.Send(w.link, w.to, vip.Packet{From: w.own, To: p.Addr, Text: p.Trial.Nonce})
	})
}
