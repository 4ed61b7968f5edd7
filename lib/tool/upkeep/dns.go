package upkeep

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"iwx/lib/bind"
	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/dns"
	"iwx/lib/profile"
	"iwx/lib/systemd"
	"iwx/lib/tool/local"
)

// KindDNS is the kind of the item that has a server serve the cluster's zones.
const KindDNS = "dns"

// DNS is what the cluster's name servers are to serve; nil leaves them alone.
type DNS struct {
	Zones  func() ([]bind.Zone, error) // renders them; the error tells of one that is not valid
	Others []string                    // zones that are kept by hand
	Key    string
}

// lookDNS reads what is to be served; nil where BIND is not used. Unless it is asked
// for, it is not touched before there is a zone.
func (c *Cluster) lookDNS(ctx context.Context, s *local.Server) error {
	provider := s.Config.DNS.Provider
	if provider == "none" || provider == "" && bind.Find(s.Root, nil) == nil {
		return nil
	}
	others, err := s.Store.AdoptedZones(ctx)
	if err != nil {
		return err
	}
	zones, err := c.Zones(ctx, s)
	if err != nil || provider == "" && len(zones)+len(others) == 0 {
		return err
	}
	key, err := s.Store.TransferKey(ctx, newTransferKey)
	c.DNS = &DNS{Others: others, Key: key, Zones: func() ([]bind.Zone, error) { return c.render(s, zones) }}
	return err
}

// Zones returns the zones of the sites that are not being deleted, and those of the
// administrator's; without those that are kept in BIND by hand.
func (c *Cluster) Zones(ctx context.Context, s *local.Server) ([]dns.Zone, error) {
	sites, err := s.Store.Sites(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range sites {
		if !sites[i].Gone {
			names = append(names, sites[i].Names()...)
		}
	}
	return c.ZonesOf(ctx, s, names)
}

// ZonesOf is Zones for the names that sites have.
func (c *Cluster) ZonesOf(ctx context.Context, s *local.Server, names []string) ([]dns.Zone, error) {
	kept, err := s.Store.Zones(ctx)
	if err != nil {
		return nil, err
	}
	others, err := s.Store.AdoptedZones(ctx)
	return dns.Needed(names, kept, others), err
}

// render makes zones ready for BIND; the error tells of the first that is not valid.
func (c *Cluster) render(s *local.Server, zones []dns.Zone) (list []bind.Zone, err error) {
	in, err := c.Surroundings(s)
	if err != nil {
		return nil, err
	}
	for i := range zones {
		text, err := dns.Render(&zones[i], in)
		if err != nil {
			return list, err
		}
		list = append(list, bind.Zone{Name: zones[i].Name, Text: text})
	}
	return list, nil
}

// Surroundings are what the zones say of this cluster, and the template they are
// made from.
func (c *Cluster) Surroundings(s *local.Server) (*dns.Surroundings, error) {
	template, err := os.ReadFile(filepath.Join(s.Templates, "default.zone"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	in := &dns.Surroundings{
		Template:    string(template),
		Nameservers: c.Config.DNS.Names(), Hostmaster: c.Config.DNS.Hostmaster,
		Servers: []dns.Host{{Name: c.Identity.Name, Addrs: []netip.Addr{c.own()}}},
		Web:     c.reachedAt("http", "https"), Mail: c.reachedAt("smtp"),
	}
	for i := range c.Members {
		if n := &c.Members[i]; n.Membership == cluster.Member && n.Address.IsValid() {
			in.Servers = append(in.Servers, dns.Host{Name: n.Name, Addrs: []netip.Addr{n.Address}})
		}
	}
	return in, nil
}

// own is the manager's own address; of an older cluster the quorum IP.
func (c *Cluster) own() netip.Addr {
	if c.Identity.Address.IsValid() {
		return c.Identity.Address
	}
	return c.Identity.Manager.Addr()
}

// reachedAt is where clients reach the services: their virtual IPs, else all there
// are, else the manager.
func (c *Cluster) reachedAt(services ...string) (list []netip.Addr) {
	for i := range c.Balancing.Policies {
		if p := &c.Balancing.Policies[i]; slices.Contains(services, p.Service) {
			list = append(list, p.VIP)
		}
	}
	if list == nil {
		for _, v := range c.Balancing.VIPs {
			list = append(list, v.Addr)
		}
	}
	if list == nil {
		list = append(list, c.own())
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// newTransferKey is of the size of the hash, RFC 2104 §3.
func newTransferKey() string {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // it never fails
	return base64.StdEncoding.EncodeToString(key)
}

// Primary is what the manager's BIND is to serve; nil for nothing. The error tells of
// a zone that is not valid.
func (c *Cluster) Primary() (*bind.Primary, error) {
	if c.DNS == nil {
		return nil, nil
	}
	zones, err := c.DNS.Zones()
	p := &bind.Primary{Zones: zones, Others: c.DNS.Others, Key: c.DNS.Key}
	for i := range c.Members {
		if n := &c.Members[i]; n.Address.IsValid() {
			p.Secondaries = append(p.Secondaries, n.Address)
		}
	}
	return p, err
}

// servesZones is the item of the manager. It holds a digest alone: what counts is
// in the state, and another digest has it looked at.
func (c *Cluster) servesZones() ([]profile.Item, error) {
	p, invalid := c.Primary() // which the item tells when it is applied
	if p == nil {
		return nil, nil
	}
	sum := sha256.New()
	for _, z := range p.Zones {
		fmt.Fprintln(sum, z.Name, z.Text(0))
	}
	fmt.Fprintln(sum, p.Others, p.Secondaries, invalid)
	item, err := profile.Make(KindDNS, "zones", hex.EncodeToString(sum.Sum(nil))[:12])
	return []profile.Item{item}, err
}

// followsZones is the item of a node.
func (c *Cluster) followsZones() ([]profile.Item, error) {
	if c.DNS == nil {
		return nil, nil
	}
	spec := bind.Secondary{Key: c.DNS.Key}
	if addr := c.Identity.Address; addr.IsValid() {
		spec.Primaries = append(spec.Primaries, addr)
	}
	for _, door := range c.Identity.Doors() {
		spec.Primaries = append(spec.Primaries, door.Addr())
	}
	item, err := profile.Make(KindDNS, "zones", spec)
	return []profile.Item{item}, err
}

// Names returns the BIND of this server.
func Names(s *local.Server, now func() time.Time) (*bind.Server, error) {
	b := bind.Find(s.Root, now)
	if b == nil {
		return nil, bind.Missing()
	}
	b.Address = s.Identity.Address
	if !s.Own() {
		b.Systemd = func(ctx context.Context, use func(bind.Systemd) error) error {
			conn, err := systemd.Connect(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			return use(conn)
		}
	}
	return b, nil
}

// Zones has the manager's BIND serve what the state says, now. The caller holds the
// lock of the profile, or is its applier.
func Zones(ctx context.Context, s *local.Server, now func() time.Time) error {
	b, want, err := zones(ctx, s, now)
	if err != nil || want == nil {
		return err
	}
	return b.Serve(ctx, want)
}

// zones looks by the settings that are in the file now: a daemon has read them again,
// and passes on to its appliers what it began with.
func zones(ctx context.Context, s *local.Server, now func() time.Time) (*bind.Server, *bind.Primary, error) {
	config, err := conf.Load(ctx, s.Paths.Config)
	if err != nil {
		return nil, nil, err
	}
	fresh := *s
	fresh.Config = config
	c, err := Look(ctx, &fresh)
	if err != nil || c.DNS == nil {
		return nil, nil, err
	}
	b, err := Names(s, now)
	if err != nil {
		return nil, nil, err
	}
	want, err := c.Primary()
	return b, want, err
}

// primary is the applier of KindDNS on the manager.
type primary struct {
	server *local.Server
	now    func() time.Time
}

// Check implements profile.Applier.
func (a *primary) Check(ctx context.Context, _ profile.Item) (change string, err error) {
	b, want, err := zones(ctx, a.server, a.now)
	if err != nil || want == nil {
		return "", err
	}
	if change, err := b.Unserved(want); change != "" || err != nil {
		return change, err
	}
	if b.Answers(ctx, want.Key) != nil {
		return "have BIND answer", nil
	}
	return "", nil
}

// Apply implements profile.Applier.
func (a *primary) Apply(ctx context.Context, _ profile.Item) error {
	b, want, err := zones(ctx, a.server, a.now)
	if err != nil || want == nil {
		return err
	}
	if err := b.Serve(ctx, want); err != nil {
		return err
	}
	if err := b.Start(ctx); err != nil {
		return err
	}
	return b.Answers(ctx, want.Key)
}

// Remove implements profile.Applier.
func (a *primary) Remove(ctx context.Context, _ profile.Item) error {
	return leaveZones(ctx, a.server, a.now)
}

// leaveZones takes everything back; a BIND that is gone took it along.
func leaveZones(ctx context.Context, s *local.Server, now func() time.Time) error {
	b, err := Names(s, now)
	if err != nil {
		return nil
	}
	return b.Leave(ctx)
}

// secondary is the applier of KindDNS on a node.
type secondary struct {
	server *local.Server
	now    func() time.Time
}

func (a *secondary) begin(item profile.Item) (*bind.Server, *bind.Secondary, error) {
	var want bind.Secondary
	if err := item.Decode(&want); err != nil {
		return nil, nil, err
	}
	b, err := Names(a.server, a.now)
	return b, &want, err
}

// Check implements profile.Applier.
func (a *secondary) Check(ctx context.Context, item profile.Item) (change string, err error) {
	b, want, err := a.begin(item)
	if err != nil {
		return "", err
	}
	if change, err := b.Unfollowed(want); change != "" || err != nil {
		return change, err
	}
	if b.Answers(ctx, want.Key) != nil {
		return "have BIND answer", nil
	}
	behind, err := b.Behind(ctx, want)
	if n := len(behind); n > 0 {
		return fmt.Sprintf("fetch %d changed zones", n), nil
	}
	return "", err
}

// Apply implements profile.Applier.
func (a *secondary) Apply(ctx context.Context, item profile.Item) error {
	b, want, err := a.begin(item)
	if err != nil {
		return err
	}
	if err := b.Follow(ctx, want); err != nil {
		return err
	}
	if err := b.Start(ctx); err != nil {
		return err
	}
	if err := b.Fetched(ctx, want); err != nil {
		return err
	}
	behind, err := b.Behind(ctx, want)
	if err != nil {
		return err
	}
	return b.Refresh(ctx, behind)
}

// Remove implements profile.Applier.
func (a *secondary) Remove(ctx context.Context, _ profile.Item) error {
	return leaveZones(ctx, a.server, a.now)
}
