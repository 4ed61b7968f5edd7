package setuptool

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/fault"
	"iwx/lib/flock"
	"iwx/lib/host"
	"iwx/lib/pki"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

// The units under systemd: the daemon's, and the manager's daily backup.
const (
	unit        = local.DaemonUnit
	backupTimer = "iwx-backup.timer"
)

// here is the server that the tool runs on, in whatever stage of setup it is. Store is
// nil until there is a state, and Identity is nil until the setup has finished.
type here struct {
	*local.Server
	c       *cli.Context
	Facts   host.Facts
	Begun   bool // there is a state file
	Keys    pki.Store
	Address netip.Addr // of this server, below a root directory of its own
}

// look finds out what this server is, and reads its facts. Below a root
// directory of its own, address says what the server's own one is; quorum is
// another that it has, if valid.
func look(c *cli.Context, address, quorum netip.Addr) (*here, error) {
	h, err := lookAt(c)
	if err != nil {
		return nil, err
	}
	if h.Config, err = conf.Load(c, h.Paths.Config); err != nil {
		h.Close()
		return nil, err
	}
	if err := h.readFacts(address, quorum); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// readFacts reads what there is to know of the server; see look.
func (h *here) readFacts(address, quorum netip.Addr) error {
	given, err := h.addresses(address, quorum)
	if err != nil {
		return err
	}
	if err := h.giveIdentity(); err != nil {
		return err
	}
	h.Facts, err = host.Read(h.Root, given...)
	return err
}

// lookAt finds out what this server is by its state alone.
func lookAt(c *cli.Context) (*here, error) {
	paths := host.At(c.Root)
	h := &here{Server: &local.Server{Paths: paths}, c: c, Keys: pki.Store{Dir: paths.PKI}}
	if _, err := os.Lstat(h.State); errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	h.Begun = true
	var err error
	if h.Store, err = state.OpenAt(c, h.Paths); err != nil {
		return nil, err
	}
	h.Identity, err = h.Store.Identity(c)
	if err != nil && !errors.Is(err, state.ErrNotSetUp) {
		h.Close()
		return nil, err
	}
	return h, nil
}

// addresses returns the ones that are given: below a root directory of its own
// a server has those alone.
func (h *here) addresses(address, quorum netip.Addr) ([]netip.Addr, error) {
	if !h.Own() {
		if address.IsValid() {
			return nil, fault.New(fault.Usage, "--address %s is for servers below a root directory; this one has its own", address)
		}
		return nil, nil
	}
	if !address.IsValid() && h.Identity != nil {
		address = h.Identity.Address
	}
	if !address.IsValid() {
		return nil, fault.New(fault.Usage, "with --root, give the server its address: --address IP")
	}
	h.Address = address
	if !quorum.IsValid() && h.Identity != nil && h.Identity.Role == cluster.RoleManager {
		quorum = h.Identity.Manager.Addr()
	}
	if !quorum.IsValid() || quorum == address {
		return []netip.Addr{address}, nil
	}
	return []netip.Addr{quorum, address}, nil
}

// giveIdentity makes a directory a server: it gets a machine-id and a host name,
// as a real one has them before iwx comes.
func (h *here) giveIdentity() error {
	if !h.Own() {
		return nil
	}
	if _, err := host.EnsureMachineID(h.Root); err != nil {
		return err
	}
	if _, err := os.Lstat(h.Hostname); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name := strings.ToLower(filepath.Base(h.Root))
	if cluster.CheckName(name) != nil {
		name = "localhost"
	}
	return host.SetHostname(h.Root, name)
}

// shortName is the first label of the host name.
func (h *here) shortName() string {
	name, _, _ := strings.Cut(strings.ToLower(h.Facts.Hostname), ".")
	return name
}

// who is what this server is, for sentences.
func (h *here) who() string { return who(h.Identity) }

func who(id *cluster.Identity) string {
	if id.Role == cluster.RoleManager {
		return "the manager of cluster " + id.ClusterName + ", on " + id.Manager.String()
	}
	return "node " + id.Name + " of cluster " + id.ClusterName
}

// systemd reports whether units are ours to enable here.
func (h *here) systemd() bool { return !h.Own() && host.Booted() }

// lock makes this the only setup at work on the server. It holds flock(2) on
// the directory itself, so that nothing has to be cleaned up. The directory
// must exist.
func (h *here) lock() (release func(), err error) {
	dir, err := os.Open(h.Lib)
	if err != nil {
		return nil, err
	}
	err = flock.TryLock(dir)
	if errors.Is(err, flock.ErrTaken) {
		err = fault.Hint(fault.New(fault.Busy, "another iwx-cluster-setup is at work on this server"), "wait for it, then try again")
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return func() { dir.Close() }, nil
}

// refusal returns what the manager said no with, nil if it did not.
func refusal(err error) *cluster.Refusal {
	var r *cluster.Refusal
	errors.As(err, &r)
	return r
}

// isMissing reports whether a file is not there.
func isMissing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// ip is an address given as a flag.
type ip struct{ netip.Addr }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *ip) UnmarshalText(text []byte) (err error) {
	if a.Addr, err = netip.ParseAddr(string(text)); err != nil {
		return fmt.Errorf("%q is not an IP address", text)
	}
	return nil
}
