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

// DNS is what the cluster's name servers are to be configured with, and what, beside
// the cluster itself, its zones are made from; nil leaves DNS alone.
type DNS struct {
	Revision uint64 // of the zones in the state
	Template string // of a site's zone; "" is dns.DefaultTemplate
	Fault    string // why the template cannot be read, which applying the item reports
	Key      string // of the transfers: hmac-sha256, base64
}

// loadDNS reads what there is to serve; nil where BIND is not used. Unless it is asked
// for, it is not touched before there is a zone.
func loadDNS(ctx context.Context, s *local.Server) (*DNS, error) {
	provider := s.Config.DNS.Provider
	if provider == "none" || provider == "" && bind.Find(s.Root, nil) == nil {
		return nil, nil
	}
	revision, some, err := s.Store.ZonesRevision(ctx)
	if err != nil || provider == "" && !some {
		return nil, err
	}
	d := &DNS{Revision: revision}
	if d.Template, err = zoneTemplate(s); err != nil {
		d.Fault = err.Error()
	}
	d.Key, err = s.Store.TransferKey(ctx, newTransferKey)
	return d, err
}

// zoneTemplate reads the administrator's template of a site's zone, "" if there is none.
func zoneTemplate(s *local.Server) (string, error) {
	text, err := os.ReadFile(filepath.Join(s.Templates, "default.zone"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(text), err
}

// Zones returns the zones of the sites that are not being deleted, and those of the
// administrator's; without those that are kept in BIND by hand.
func (c *Cluster) Zones(ctx context.Context, s *local.Server) ([]dns.Zone, error) {
	names, err := s.Store.SiteNames(ctx)
	if err != nil {
		return nil, err
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

// Surroundings are what the zones say of this cluster, and the template they are
// made from.
func (c *Cluster) Surroundings(s *local.Server) (*dns.Surroundings, error) {
	template, err := zoneTemplate(s)
	return c.surroundings(template), err
}

func (c *Cluster) surroundings(template string) *dns.Surroundings {
	in := &dns.Surroundings{
		Template:    template,
		Nameservers: c.Config.DNS.Names(), Hostmaster: c.Config.DNS.Hostmaster,
		Servers: []dns.Host{{Name: c.Identity.Name, Addrs: []netip.Addr{c.own()}}},
		Web:     c.reachedAt("http", "https"), Mail: c.reachedAt("smtp"),
	}
	for i := range c.Members {
		if n := &c.Members[i]; n.Membership == cluster.Member && n.Address.IsValid() {
			in.Servers = append(in.Servers, dns.Host{Name: n.Name, Addrs: []netip.Addr{n.Address}})
		}
	}
	return in
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

// Primary returns what the manager's BIND is to serve, with all zones rendered; nil
// leaves it alone. The error names the first zone that is not valid.
func (c *Cluster) Primary(ctx context.Context, s *local.Server) (*bind.Primary, error) {
	if c.DNS == nil {
		return nil, nil
	}
	others, err := s.Store.AdoptedZones(ctx)
	if err != nil {
		return nil, err
	}
	zones, err := c.Zones(ctx, s)
	if err != nil {
		return nil, err
	}
	in, err := c.Surroundings(s)
	if err != nil {
		return nil, err
	}
	p := &bind.Primary{Others: others, Secondaries: c.secondaries(), Key: c.DNS.Key}
	for i := range zones {
		text, err := dns.Render(&zones[i], in)
		if err != nil {
			return nil, err
		}
		p.Zones = append(p.Zones, bind.Zone{Name: zones[i].Name, Text: text})
	}
	return p, nil
}

// secondaries are the addresses of the nodes.
func (c *Cluster) secondaries() (list []netip.Addr) {
	for i := range c.Members {
		if n := &c.Members[i]; n.Address.IsValid() {
			list = append(list, n.Address)
		}
	}
	return list
}

// servesZones is the item of the manager. Its spec is a digest of all that Primary makes
// the zones from; they are rendered only where the item is checked or applied.
func (c *Cluster) servesZones() ([]profile.Item, error) {
	if c.DNS == nil {
		return nil, nil
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %q %q %q", c.DNS.Revision, *c.surroundings(c.DNS.Template), c.secondaries(), c.DNS.Fault)
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
	for _, at := range c.Identity.ManagerAddresses() {
		spec.Primaries = append(spec.Primaries, at.Addr())
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
	want, err := c.Primary(ctx, s)
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
