// Package bind has BIND 9 serve the cluster's zones: the manager's named as their
// primary, each node's as a secondary that follows a catalog zone (RFC 9432), with
// transfers and notifies signed by TSIG (RFC 8945).
//
// What it writes lies in files of its own beside the administrator's, whose
// configuration gets two lines that include them and is otherwise left alone. It
// passes named-checkconf(8), and each zone named-checkzone(8), before named is told
// by rndc(8); what does not pass is taken back.
//
// It neither knows what is in a zone (package dns) nor which zones there are. The
// statements are those of the BIND 9.18 reference manual, chapter 8.
package bind

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"iwx/lib/fault"
)

// Catalog is the name of the catalog zone: a domain that is nobody's, RFC 2606 §2.
const Catalog = "catalog.iwx.invalid"

// KeyName is the name of the key that signs transfers, and NodesName that of the
// list of the nodes: an administrator's own zones may use both.
const (
	KeyName   = "iwx"
	NodesName = "iwx-nodes"
)

// Unit is named's under systemd, on Debian and on RHEL.
const Unit = "named.service"

// Zone is a zone of which the manager is the primary.
type Zone struct {
	Name string // without a final dot
	// Text renders the zone file, RFC 1035 §5, with a serial. It says the same each
	// time but for that, which grows as often as something else has changed.
	Text func(serial uint32) string
}

// Primary is what the manager's BIND is to serve.
type Primary struct {
	Zones       []Zone
	Others      []string     // zones that the administrator keeps in BIND by hand, for the nodes too
	Secondaries []netip.Addr // the nodes
	Key         string       // hmac-sha256, base64
}

// Secondary is how a node's BIND follows the manager's.
type Secondary struct {
	Primaries []netip.Addr `json:"primaries"` // addresses of the manager
	Key       string       `json:"key"`       // hmac-sha256, base64; shown nowhere
}

// Systemd is what of systemd a Server uses.
type Systemd interface {
	EnableNow(ctx context.Context, units ...string) error
	ActiveState(ctx context.Context, unit string) (string, error)
}

// Server is the BIND of this server. Its methods block for as long as the programs
// take that they run; what they do can be repeated. No two may run at a time.
type Server struct {
	layout
	Root    string     // "" or the directory that stands for "/"
	Address netip.Addr // this server's own, at which it is asked; zero: 127.0.0.1
	Now     func() time.Time
	// Command runs a program and returns its standard output.
	Command func(ctx context.Context, name string, args ...string) ([]byte, error)
	// Systemd uses systemd; nil where named is somebody else's to run.
	Systemd func(ctx context.Context, use func(Systemd) error) error
}

// layout is where a distribution has things, below the root.
type layout struct {
	config  string // named.conf(5)
	include string // the file that includes ours
	dir     string // of our configuration, which named reads
	zones   string // of the primary's zone files, which named reads
	copies  string // of a secondary's, which named writes
	rndc    string // rndc.conf(5), if there is one
}

// layouts are those that are known. The directories are those that the
// distribution's AppArmor or SELinux policy lets named use.
func layouts(root string) []layout {
	at := func(p string) string { return filepath.Join("/", root, p) }
	return []layout{
		{at("etc/bind/named.conf"), at("etc/bind/named.conf.local"), at("etc/bind"), at("var/lib/bind/iwx"), at("var/cache/bind/iwx"), at("etc/bind/rndc.conf")},
		{at("etc/named.conf"), at("etc/named.conf"), at("etc/named"), at("var/named/iwx"), at("var/named/slaves/iwx"), at("etc/rndc.conf")},
	}
}

// Find returns the BIND that is installed below root; nil without one. The caller
// gives it an Address, and Systemd.
func Find(root string, now func() time.Time) *Server {
	for _, l := range layouts(root) {
		if _, err := os.Stat(l.config); err != nil {
			continue
		}
		if _, err := os.Stat(l.include); err != nil {
			l.include = l.config
		}
		return &Server{layout: l, Root: root, Now: now, Command: Command}
	}
	return nil
}

// Missing is the error of a server without BIND.
func Missing() error {
	return fault.Hint(fault.New(fault.Failed, "BIND is not installed on this server"),
		"apt-get install bind9, or dnf install bind; dns.provider = \"none\" leaves DNS alone")
}

// ours are the files of our configuration: what named.conf includes, and what its
// options do.
func (s *Server) ours() string    { return filepath.Join(s.dir, "iwx.conf") }
func (s *Server) options() string { return filepath.Join(s.dir, "iwx.options") }

// pending is there while named has still to be told of what was written.
func (s *Server) pending() string { return filepath.Join(s.dir, "iwx.pending") }

// zoneFile is where a zone lies. The names of RFC 2317 have a slash.
func (s *Server) zoneFile(name string) string {
	return filepath.Join(s.zones, strings.ReplaceAll(name, "/", "_")+zoneSuffix)
}

const zoneSuffix = ".zone"

// least is the oldest BIND that has catalog zones of version 2.
const least = 18

// modern fails if BIND is too old: "BIND 9.18.49-1~deb12u3-Debian (Extended …".
func (s *Server) modern(ctx context.Context) error {
	out, err := s.run(ctx, "named", "-v")
	if err != nil {
		return err
	}
	var version string
	if field := strings.Fields(out); len(field) > 1 {
		version = field[1]
	}
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	if n, err := strconv.Atoi(minor); major != "9" || err != nil || n < least {
		return fault.Hint(fault.New(fault.Failed, "BIND %s is installed, and 9.%d or newer is needed", version, least), "dnf install bind9.%d", least)
	}
	return nil
}

// run runs a program, the last words of which are the error if it fails.
func (s *Server) run(ctx context.Context, name string, args ...string) (string, error) {
	out, err := s.Command(ctx, name, args...)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}
