package bind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"iwx/lib/fault"
)

// askLimit is how long an answer may take: the servers are in one network.
const askLimit = 2 * time.Second

// fudge is how far clocks may be apart, in seconds, RFC 8945 §5.2.3.
const fudge = 300

// client asks one name server, signing with the key if there is one.
type client struct {
	conn net.Conn
	keys map[string]string
	at   netip.AddrPort
	now  func() time.Time
	lost bool // the connection, as serves found
}

// dial connects to a name server over TCP, which loses nothing.
func (s *Server) dial(ctx context.Context, addr netip.Addr, key string) (*client, error) {
	o, err := s.readOptions()
	if err != nil {
		return nil, err
	}
	if !addr.IsValid() { // a node does not know its own
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	at := netip.AddrPortFrom(addr, o.port)
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.String())
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, at: at, now: s.Now}
	if key != "" {
		c.keys = map[string]string{dns.Fqdn(KeyName): key}
	}
	return c, nil
}

func (c *client) close() { c.conn.Close() }

func (c *client) sign(m *dns.Msg) {
	if c.keys == nil {
		return
	}
	m.SetTsig(dns.Fqdn(KeyName), dns.HmacSHA256, fudge, c.now().Unix())
}

// unserved is an answer that says that the server does not have the zone.
type unserved struct {
	zone string
	code int
}

func (e *unserved) Error() string {
	return fmt.Sprintf("the zone %s is answered with %s", e.zone, dns.RcodeToString[e.code])
}

// serial asks for the serial of a zone that the server is an authority for.
func (c *client) serial(ctx context.Context, zone string) (uint32, error) {
	ask := new(dns.Msg)
	ask.SetQuestion(dns.Fqdn(zone), dns.TypeSOA)
	ask.RecursionDesired = false
	c.sign(ask)
	over := &dns.Conn{Conn: c.conn, TsigSecret: c.keys} // one would sign the next question with the last answer
	answer, _, err := (&dns.Client{Timeout: askLimit, TsigSecret: c.keys}).ExchangeWithConnContext(ctx, ask, over)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.at, err)
	}
	for _, rr := range answer.Answer {
		if soa, is := rr.(*dns.SOA); is && answer.Authoritative {
			return soa.Serial, nil
		}
	}
	return 0, &unserved{zone, answer.Rcode}
}

// serves reports whether the server is an authority for a zone, as far as it
// answers: once it does not, it is not asked again.
func (c *client) serves(ctx context.Context, zone string) bool {
	if c.lost {
		return false
	}
	_, err := c.serial(ctx, zone)
	var no *unserved
	c.lost = err != nil && !errors.As(err, &no)
	return err == nil
}

// transfer fetches a zone, RFC 5936, over a connection of its own.
func (c *client) transfer(zone string) (list []dns.RR, err error) {
	ask := new(dns.Msg)
	ask.SetAxfr(dns.Fqdn(zone))
	c.sign(ask)
	tr := &dns.Transfer{TsigSecret: c.keys, DialTimeout: askLimit, ReadTimeout: askLimit}
	parts, err := tr.In(ask, c.at.String())
	if err != nil {
		return nil, err
	}
	for part := range parts {
		if part.Error != nil {
			err = errors.Join(err, fmt.Errorf("%s: transfer of %s: %w", c.at, zone, part.Error))
		}
		list = append(list, part.RR...)
	}
	return list, err
}

// catalogued returns the zones that the catalog names.
func catalogued(records []dns.RR) (zones []string) {
	for _, rr := range records {
		ptr, is := rr.(*dns.PTR)
		if is && strings.HasSuffix(ptr.Hdr.Name, ".zones."+dns.Fqdn(Catalog)) {
			zones = append(zones, strings.TrimSuffix(ptr.Ptr, "."))
		}
	}
	slices.Sort(zones)
	return zones
}

// Answers fails if named does not serve the catalog at this server's own address,
// where the others ask it.
func (s *Server) Answers(ctx context.Context, key string) error {
	return s.unanswered(s.hasCatalog(ctx, key))
}

func (s *Server) hasCatalog(ctx context.Context, key string) error {
	c, err := s.dial(ctx, s.Address, key)
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.serial(ctx, Catalog)
	return err
}

func (s *Server) unanswered(err error) error {
	if err == nil {
		return nil
	}
	return fault.Hint(fmt.Errorf("named does not answer: %w", err), "look at listen-on in %s, at journalctl -u %s, and for another program at port 53: ss -lntup sport = :53", s.config, Unit)
}

// Fetched waits until a node's named serves the catalog, and has it ask the manager
// again meanwhile: refused once, because the manager did not serve it yet, it would
// wait for a minute by itself, and for twice as long each time.
func (s *Server) Fetched(ctx context.Context, want *Secondary) error {
	var no *unserved
	err := until(ctx, fetchLimit, func() error {
		err := s.hasCatalog(ctx, want.Key)
		if errors.As(err, &no) {
			_, failed := s.ask(ctx, "refresh", Catalog)
			return errors.Join(err, failed)
		}
		return err
	})
	if err == nil || !errors.As(err, &no) {
		return s.unanswered(err)
	}
	up, refused := s.upstream(ctx, want)
	if refused != nil {
		return refused
	}
	if up == nil {
		return fault.Hint(fault.New(fault.Failed, "the manager's named does not answer, and its zones were not fetched yet"), "on the manager: iwx-cluster-setup status")
	}
	up.close()
	return fault.Hint(fmt.Errorf("the manager's zones were not fetched: %w", err), "journalctl -u %s", Unit)
}

// Behind returns the zones of which this server has an older state than the
// manager, or none. They are none while the manager does not answer: what is here
// is served then.
func (s *Server) Behind(ctx context.Context, want *Secondary) (zones []string, err error) {
	up, err := s.upstream(ctx, want)
	if err != nil || up == nil {
		return nil, err
	}
	defer up.close()
	here, err := s.dial(ctx, s.Address, want.Key)
	if err != nil {
		return nil, err
	}
	defer here.close()
	return behind(ctx, up, here)
}

// upstream connects to the first of the manager's addresses that answers; nil if
// none does.
func (s *Server) upstream(ctx context.Context, want *Secondary) (*client, error) {
	for _, addr := range want.Primaries {
		c, err := s.dial(ctx, addr, want.Key)
		if err != nil {
			continue
		}
		if _, err = c.serial(ctx, Catalog); err == nil {
			return c, nil
		}
		c.close()
		var lost net.Error
		if !errors.As(err, &lost) && !errors.Is(err, io.EOF) {
			return nil, fault.Hint(fmt.Errorf("the manager's named does not give its zones: %w", err), "on the manager: iwx-cluster-setup status")
		}
	}
	return nil, nil
}

func behind(ctx context.Context, up, here *client) (zones []string, err error) {
	records, err := up.transfer(Catalog)
	if err != nil {
		return nil, err
	}
	for _, zone := range append([]string{Catalog}, catalogued(records)...) {
		newest, err := up.serial(ctx, zone)
		var no *unserved
		if errors.As(err, &no) {
			continue // only the manager can fix it
		}
		if err != nil {
			return nil, err
		}
		have, err := here.serial(ctx, zone)
		if errors.As(err, &no) || err == nil && older(have, newest) {
			zones = append(zones, zone)
		} else if err != nil {
			return nil, err
		}
	}
	return zones, nil
}

// older compares serials, RFC 1982 §3.2.
func older(a, b uint32) bool { return a != b && int32(b-a) > 0 }

// Refresh has named ask the manager for zones now. Those that it does not know
// come with the catalog, which is first.
func (s *Server) Refresh(ctx context.Context, zones []string) error {
	for _, zone := range zones {
		if _, err := s.ask(ctx, "refresh", zone); err != nil && zone == Catalog {
			return err
		}
	}
	return nil
}
