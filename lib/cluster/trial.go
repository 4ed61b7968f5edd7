package cluster

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Trial asks a node to take part in finding out what the network between it and
// its manager lets through: it sends the manager packets that have the virtual
// addresses as their source, as its answers to clients would with direct routing,
// and reports which of those that the manager sends to the virtual addresses came.
// Nothing is changed by it. Its text is Orders.Trial.
type Trial struct {
	Until time.Time // it is over then, to the millisecond
	Nonce string    // in every packet of this trial and this node, and nowhere else
	Paths []TrialPath
}

// TrialPath is a virtual address, and the manager's own one of that family and
// network.
type TrialPath struct{ VIP, Manager netip.Addr }

// TrialReport is what a node tells of a trial, once it is over there.
type TrialReport struct {
	Nonce string       `json:"nonce"`
	Came  []netip.Addr `json:"came,omitempty"`  // the addresses to which packets came, its own among them
	Error string       `json:"error,omitempty"` // why it could not take part
}

// String returns the trial as an order.
func (t *Trial) String() string {
	words := []string{strconv.FormatInt(t.Until.UnixMilli(), 10), t.Nonce}
	for _, p := range t.Paths {
		words = append(words, p.VIP.String()+"="+p.Manager.String())
	}
	return strings.Join(words, " ")
}

// ParseTrial reads what String has written.
func ParseTrial(text string) (*Trial, error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return nil, fmt.Errorf("trial %.80q: a time and a nonce were expected", text)
	}
	until, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("trial %.80q: %w", text, err)
	}
	t := &Trial{Until: Instant(until), Nonce: words[1]}
	for _, word := range words[2:] {
		vip, manager, _ := strings.Cut(word, "=")
		var p TrialPath
		if p.VIP, err = netip.ParseAddr(vip); err == nil {
			p.Manager, err = netip.ParseAddr(manager)
		}
		if err != nil {
			return nil, fmt.Errorf("trial %.80q: %w", text, err)
		}
		t.Paths = append(t.Paths, p)
	}
	return t, nil
}

// trial returns the order of that name as it is to be told: none to a node that
// does not know it, and none that is over.
func (o *Orders) trial(req *PollRequest, now time.Time) string {
	if o.Trial == "" || !req.Trials {
		return ""
	}
	if t, err := ParseTrial(o.Trial); err != nil || !now.Before(t.Until) {
		return ""
	}
	return o.Trial
}
