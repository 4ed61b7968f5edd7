package queuedtool

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"iwx/lib/api"
	"iwx/lib/backoff"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/sockets"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

// Times of the manager's daemon.
const (
	lookEvery  = time.Second     // at the state, for when a poke was lost
	sweepEvery = 2 * time.Second // for nodes that have gone silent
	stuckAfter = 30 * time.Second
)

// retryWaits are the waits after a failed read of the state.
func retryWaits() backoff.Waits { return backoff.Waits{First: lookEvery, Most: 20 * time.Second} }

// manager is the daemon of the cluster manager.
type manager struct {
	*server
	ca        *x509.Certificate
	rules     *cluster.Manager
	pools     *pools
	worker    *daemon.Worker
	listeners *listeners
	told      string // the status line last told to systemd
	served    *local.Served
}

func (d *server) runManager(c *cli.Context) error {
	m, err := d.manager(c)
	if err != nil {
		return err
	}
	return m.serve(c)
}

// compareLimit is the time limit for comparing all accounts of a joining node.
const compareLimit = 10 * time.Second

func (d *server) manager(c *cli.Context) (*manager, error) {
	m := &manager{server: d}
	signer, err := m.signer()
	if err != nil {
		return nil, err
	}
	facts := func() (host.Facts, error) { return host.Read(d.Root, m.addresses()...) }
	if _, err := facts(); err != nil {
		return nil, err
	}
	m.ca = signer.CA.Cert
	m.rules = &cluster.Manager{
		Store: d.Store, Signer: signer, Identity: d.Identity, Facts: facts,
		Version: cli.Version, Now: c.Now, Log: d.log,
		Profiles: m.profiles, OpenBackup: upkeep.Shelf(d.Server).Open, Pulse: m.handOn,
		SiteCertificate: d.Store.SiteCertificate,
	}
	if !d.Own() { // with another root, the machine's accounts belong to another server
		m.rules.Known = func(ctx context.Context, here, there []host.User) ([]host.User, error) {
			return host.Known(ctx, here, there, compareLimit)
		}
	}
	m.pools = &pools{manager: m}
	m.rules.Balancer = m.pools
	return m, nil
}

// serve answers the nodes until ctx ends.
func (m *manager) serve(ctx context.Context) error {
	if err := m.rules.Refresh(ctx); err != nil {
		return err
	}
	if err := m.rules.Fenced().Err(fault.Unhealthy); err != nil {
		return err
	}
	m.listeners = newListeners(&api.Server{Rules: m.rules, CA: m.ca, Creds: m.creds, Now: m.c.Now, Log: m.log}, m.log)
	defer m.listeners.close()
	if err := m.listeners.set(ctx, m.rules.Where().ManagerAddresses()); err != nil {
		return err
	}
	var err error
	if m.served, err = local.OpenServed(m.Paths); err != nil {
		return err
	}
	defer m.served.Close()
	m.worker = m.dog.Worker("watch", stuckAfter)
	m.log.Info("serving the cluster", "cluster", m.Identity.ClusterName, "address", m.Identity.Manager)
	m.tell(ctx)
	if err := m.served.Write(m.rules.Head()); err != nil {
		return err
	}
	_ = m.try(ctx, "cannot make the manager's own profile", m.keep) // the next look tries again
	daemon.Ready()
	mounts := upkeep.NewWatcher(m.Store, m.c.Now, m.log)
	return m.run(
		daemon.Member{Name: "api", Run: m.listeners.run},
		daemon.Member{Name: "watch", Run: m.watch},
		daemon.Member{Name: "pools", Run: m.pools.run},
		daemon.Member{Name: "mounts", Run: mounts.Run},
		daemon.Member{Name: "standing", Run: func(ctx context.Context) error { return m.standing(ctx, mounts.Health, nil) }},
	)
}

func (m *manager) signer() (*cluster.Keys, error) {
	ca, err := m.keys.CA()
	if err != nil {
		return nil, err
	}
	logKey, err := m.keys.LogKey()
	if err != nil {
		return nil, err
	}
	return &cluster.Keys{CA: ca, Log: logKey, Cluster: m.Identity.ClusterID, Now: m.c.Now}, nil
}

// addresses are this server's, where they were given at setup; none stands for
// those of its interfaces.
func (m *manager) addresses() []netip.Addr {
	if !m.Own() {
		return nil
	}
	given := []netip.Addr{m.Identity.Address}
	for _, at := range m.Identity.ManagerAddresses() {
		given = append(given, at.Addr())
	}
	return given
}

// listen opens the API's port. The address need not be on an interface yet, so that
// the order of things at boot does not matter.
func listen(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	config := net.ListenConfig{
		Control:         sockets.FreeBind(),
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	l, err := config.Listen(ctx, "tcp", at.String())
	if err != nil {
		return nil, fault.Hint(fmt.Errorf("the API cannot be served: %w", err),
			"see who has the port: ss -ltnp 'sport = :%d'", at.Port())
	}
	return l, nil
}

// watch lets the polls see what the tools write, and finds silent nodes.
func (m *manager) watch(ctx context.Context) error {
	version, err := m.Store.Watch(ctx)
	if err != nil {
		return err
	}
	defer version.Close()
	look, sweep := time.NewTimer(lookEvery), time.NewTicker(sweepEvery)
	defer look.Stop()
	defer sweep.Stop()
	tries := backoff.Tries{Waits: retryWaits()}
	var seen int64
	behind := false // something that follows from the state is not done
	for {
		m.worker.Alive()
		if err := m.rules.Fenced().Err(fault.Unhealthy); err != nil {
			return err // ends the daemon, which is not started again with this exit code
		}
		asked := true
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			_ = m.try(ctx, "cannot record silent nodes", m.rules.Sweep)
			continue
		case <-m.waker.C:
		case <-look.C:
			asked = false
		}
		began := m.c.Now()
		err := m.try(ctx, "cannot read the state", func(ctx context.Context) error {
			now, err := version.Read(ctx)
			if err != nil || !asked && now == seen {
				return err
			}
			if err = m.rules.Refresh(ctx); err == nil {
				seen, behind = now, true
			}
			return err
		})
		if err == nil && behind {
			err = m.try(ctx, "cannot apply a change of the state", m.follow)
			behind = err != nil
		}
		if errors.Is(err, cluster.ErrWentBack) {
			return err // the data in memory belongs to another state
		}
		if took := m.c.Now().Sub(began); err != nil {
			look.Reset(tries.Failed(took))
		} else {
			tries.Reset()
			look.Reset(backoff.Pace(lookEvery, took))
		}
	}
}

// follow does what follows from a change of the state.
func (m *manager) follow(ctx context.Context) error {
	m.tell(ctx)
	return errors.Join(m.served.Write(m.rules.Head()), m.move(ctx), m.keep(ctx), m.readCertificate())
}

// tell sets the line that systemctl status shows.
func (m *manager) tell(ctx context.Context) {
	head, members := m.rules.Summary()
	text := fmt.Sprintf("manager of %s: %s, %s", m.Identity.ClusterName,
		cli.Count(members, "node", "nodes"), cli.Count(head, "entry", "entries"))
	if text != m.told {
		daemon.Status(text)
		m.told = text
	}
}
