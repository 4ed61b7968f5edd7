package lbtool

import (
	"net/netip"
	"slices"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/lb"
	"iwx/lib/vip"
)

type vipVerbs struct {
	Add    vipAddVerb    `cmd:"" help:"Have the manager hold a virtual IP."`
	Delete vipDeleteVerb `cmd:"" help:"Give a virtual IP up."`
	List   vipListVerb   `cmd:"" help:"List the virtual IPs."`
}

type vipAddVerb struct {
	IP string `arg:"" name:"ip" help:"An address of this server's network that no host has."`
}

// Examples implements cli.Exampled.
func (*vipAddVerb) Examples() string {
	return `iwx-lb vip add 192.0.2.80
iwx-lb vip add 2001:db8::80`
}

// Run writes the address down, and waits until the manager's profile has it held.
// One that is
// there already is no error.
func (v *vipAddVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	addr, err := parseVIP(v.IP)
	if err != nil {
		return err
	}
	if m.holds(addr) {
		c.Notef("virtual IP %s is there already; nothing changed", addr)
		return nil
	}
	if err := m.mayHold(c, addr); err != nil {
		return err
	}
	err = m.Change(c, func(setup *lb.Setup) error {
		if !slices.ContainsFunc(setup.VIPs, func(v lb.VIP) bool { return v.Addr == addr }) {
			setup.VIPs = append(setup.VIPs, lb.VIP{Addr: addr, AddedAt: c.Now()})
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.Notef("added virtual IP %s", addr)
	if !m.WarnIdle(c, "no server holds the address until it does") && len(m.Policies) == 0 {
		c.Notef("hint: iwx-lb add web")
	}
	return m.Hold(c)
}

// parseVIP reads an address that clients can ask at.
func parseVIP(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return addr, fault.Hint(fault.New(fault.Usage, "virtual IP %q is not an IP address", text), "such as 192.0.2.80 or 2001:db8::80")
	case addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast():
		return addr, fault.New(fault.Usage, "virtual IP %s is not an address that clients can ask at", addr)
	}
	return addr.Unmap(), nil
}

// holds reports whether the address is one of the virtual IPs.
func (m *manager) holds(addr netip.Addr) bool {
	return slices.ContainsFunc(m.VIPs, func(v lb.VIP) bool { return v.Addr == addr })
}

// mayHold says why an address cannot be a virtual IP here: it is a server's own,
// it is in none of this one's networks, or another host has it.
func (m *manager) mayHold(c *cli.Context, addr netip.Addr) error {
	if err := m.isNobodys(c, addr); err != nil {
		return err
	}
	facts, err := host.Read(m.Root)
	if err != nil {
		return err
	}
	if !m.Own() {
		return vip.Usable(c, facts.Addresses, addr, host.Holder)
	}
	if !slices.ContainsFunc(facts.Addresses, func(a host.Address) bool { return a.Prefix.Contains(addr) }) {
		return fault.Hint(fault.New(fault.Failed, "virtual IP %s is in none of this server's networks", addr), "they are %s", networks(facts.Addresses))
	}
	return nil
}

// isNobodys refuses the addresses that the servers of the cluster have.
func (m *manager) isNobodys(c *cli.Context, addr netip.Addr) error {
	whose := ""
	for _, at := range m.Identity.ManagerAddresses() {
		if at.Addr() == addr {
			whose = "the quorum IP, where the nodes find the manager"
		}
	}
	if addr == m.Identity.Address {
		whose = "the manager's own address"
	}
	members, err := m.Store.Members(c)
	for _, n := range members {
		if n.Address == addr || n.Former == addr {
			whose = "the address of node " + n.Name
		}
	}
	if whose == "" || err != nil {
		return err
	}
	return fault.Hint(fault.New(fault.Failed, "virtual IP %s is %s", addr, whose), "choose an address that no server has: iwx-lb vip add IP")
}

// networks are those of the addresses, for a sentence.
func networks(list []host.Address) string {
	var names []string
	for _, a := range list {
		name := a.Prefix.Masked().String() + " on " + a.Interface
		if !slices.Contains(names, name) && !a.Addr().IsLinkLocalUnicast() {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

type vipDeleteVerb struct {
	cli.Yes
	IP string `arg:"" name:"ip" complete:"vip" help:"The virtual IP."`
}

// Run takes the address back from all servers. One with policies stays.
func (v *vipDeleteVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	addr, err := parseVIP(v.IP)
	if err != nil {
		return err
	}
	if !m.holds(addr) {
		c.Notef("there is no virtual IP %s; nothing changed", addr)
		return nil
	}
	if err := inUse(&m.Setup, addr); err != nil {
		return err
	}
	if err := c.Confirm(v.Yes.Yes, "give up virtual IP %s?", addr); err != nil {
		return err
	}
	err = m.Change(c, func(setup *lb.Setup) error {
		setup.VIPs = slices.DeleteFunc(setup.VIPs, func(v lb.VIP) bool { return v.Addr == addr })
		return inUse(setup, addr)
	})
	if err == nil {
		c.Notef("deleted virtual IP %s", addr)
	}
	return err
}

// inUse says which policies a virtual IP has.
func inUse(setup *lb.Setup, addr netip.Addr) error {
	names := servicesAt(setup, addr)
	if names == nil {
		return nil
	}
	return fault.Hint(fault.New(fault.Failed, "virtual IP %s has policies: %s", addr, cli.Some(names, 5)),
		"iwx-lb delete %s --vip %s", strings.Join(names, " "), addr)
}

// servicesAt are the names of the services of a virtual IP.
func servicesAt(setup *lb.Setup, addr netip.Addr) (names []string) {
	for i := range setup.Policies {
		if p := &setup.Policies[i]; p.VIP == addr {
			names = append(names, p.Name())
		}
	}
	return names
}

type vipListVerb struct {
	cli.Output
}

// Run lists the virtual IPs.
func (v *vipListVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	if len(m.VIPs) == 0 && v.Human() {
		c.Notef("no virtual IPs yet: iwx-lb vip add IP")
		return nil
	}
	return vipTable(&m.Setup).Write(c, v.Output, m.VIPs)
}

func vipTable(setup *lb.Setup) cli.Table[lb.VIP] {
	return cli.Table[lb.VIP]{Singular: "vip", Plural: "vips", Columns: []cli.Column[lb.VIP]{
		{Name: "vip", Value: func(v lb.VIP) any { return v.Addr.String() }},
		{Name: "services", Value: func(v lb.VIP) any { return servicesAt(setup, v.Addr) }},
		{Name: "added", Value: func(v lb.VIP) any { return v.AddedAt }},
	}}
}
