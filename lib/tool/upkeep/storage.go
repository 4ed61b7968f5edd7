package upkeep

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"iwx/lib/lb"
	"iwx/lib/nfs"
	"iwx/lib/preflight"
	"iwx/lib/profile"
	"iwx/lib/state"
	"iwx/lib/systemd"
	"iwx/lib/tool/local"
)

// exports are the items of a manager that serves the shared storage itself: one
// for each share, open to the addresses of the members and nobody else. A member
// that moves to another address has both until it has moved.
func (c *Cluster) exports() ([]profile.Item, error) {
	if c.Own || c.Config.Storage.Server != "" {
		return nil, nil
	}
	var clients []netip.Addr
	for i := range c.Members {
		for _, a := range []netip.Addr{c.Members[i].Address, c.Members[i].Former} {
			if a.IsValid() {
				clients = append(clients, a)
			}
		}
	}
	slices.SortFunc(clients, netip.Addr.Compare)
	clients = slices.Compact(clients)
	var items []profile.Item
	for _, path := range c.Config.Storage.Paths() {
		item, err := nfs.ExportItem(c.Identity.ClusterID, path, clients)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// mounts are the items of a server that mounts the shares from another one. The
// manager is such a server if the storage is outside the cluster.
func (c *Cluster) mounts(manager bool) ([]profile.Item, error) {
	storage := c.Config.Storage
	server := storage.Server
	if c.Own || !storage.Enabled || manager && server == "" {
		return nil, nil
	}
	if server == "" {
		server = c.Identity.Manager.Addr().String()
	}
	var items []profile.Item
	for _, share := range storage.Shares {
		item, err := nfs.MountItem(server, share.Source(), share.Path)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// storage are the appliers of the shared storage.
func storage(s *local.Server, prober *nfs.Prober) map[string]profile.Applier {
	return map[string]profile.Applier{
		nfs.KindExport: &nfs.Exporter{
			File: nfs.ExportsFile, Table: nfs.TableFile, Command: preflight.Command, Systemd: withUnits,
		},
		nfs.KindMount: &nfs.Mounter{
			UnitDir: nfs.UnitDir, Mountinfo: nfs.Mountinfo, Systemd: withUnits,
			SourcePorts: nfs.SourcePortsDir, Services: servicePorts(),
			Try: func(ctx context.Context, source string) error {
				return nfs.Try(ctx, preflight.Command, s.Run, source)
			},
			Look: func(ctx context.Context, m nfs.Mount) nfs.Health {
				return prober.Look(ctx, []nfs.Mount{m})[0]
			},
		},
	}
}

// servicePorts returns the ports of the services with a name.
func servicePorts() (ports []uint16) {
	for _, service := range lb.Services() {
		ports = append(ports, service.Port)
	}
	return ports
}

// withUnits implements nfs.Systemd.
func withUnits(ctx context.Context, use func(nfs.Units) error) error {
	bus, err := systemd.Connect(ctx)
	if err != nil {
		return err
	}
	defer bus.Close()
	return use(bus)
}

// NewProber returns what looks how this server's mounts are doing.
func NewProber(now func() time.Time) *nfs.Prober {
	return &nfs.Prober{Mountinfo: nfs.Mountinfo, Probe: nfs.Statfs, Now: now}
}

// Mounts returns the mounts that this server is to have. The journal knows
// them, so that this answers whatever the storage does.
func Mounts(ctx context.Context, store *state.Store) ([]nfs.Mount, error) {
	saved, err := store.Profile().Load(ctx)
	if err != nil {
		return nil, err
	}
	return nfs.MountsOf(saved.Desired.Document), nil
}

// NewWatcher returns what looks how the mounts that this server is to have are
// doing, for as long as its daemon runs.
func NewWatcher(store *state.Store, now func() time.Time, log *slog.Logger) *nfs.Watcher {
	prober := NewProber(now)
	prober.Log = log
	return nfs.NewWatcher(prober, func(ctx context.Context) ([]nfs.Mount, error) { return Mounts(ctx, store) }, log)
}

// healthLimit is how long a tool waits for a mount to answer: less than a daemon
// does, so that a page about a dead server still comes at once.
const healthLimit = time.Second

// Health looks how the mounts of a server's profile are doing, now.
func Health(ctx context.Context, doc profile.Document, now func() time.Time) []nfs.Health {
	prober := NewProber(now)
	prober.Limit = healthLimit
	return prober.Look(ctx, nfs.MountsOf(doc))
}
