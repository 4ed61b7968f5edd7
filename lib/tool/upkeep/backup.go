package upkeep

import (
	"context"
	"io"
	"net/netip"
	"time"

	"iwx/lib/api"
	"iwx/lib/backup"
	"iwx/lib/pki"
	"iwx/lib/profile"
	"iwx/lib/tool/local"
)

// Shelf is where a server keeps the daily backups of its cluster.
func Shelf(s *local.Server) backup.Shelf {
	return backup.Shelf{Dir: s.Backups, Cluster: s.Identity.ClusterName}
}

// lastBackup is what the nodes are to have copies of. The file may be gone, as
// after a restore, and then they keep those they have.
func lastBackup(ctx context.Context, s *local.Server) (*backup.Copy, error) {
	keep := s.Config.Backup.Keep
	if keep == 0 {
		return nil, nil
	}
	last, err := s.Store.LastBackup(ctx)
	if last == nil {
		return nil, err
	}
	f, size, err := Shelf(s).Open(last.Name)
	if err != nil {
		return &backup.Copy{Keep: keep}, nil
	}
	f.Close()
	if size != last.Size {
		return &backup.Copy{Keep: keep}, nil
	}
	return &backup.Copy{File: last.Name, Size: last.Size, SHA256: last.SHA256, Keep: keep}, nil
}

// copies has the nodes keep copies of the manager's backups, once there is one.
func (c *Cluster) copies() ([]profile.Item, error) {
	if c.Backup == nil {
		return nil, nil
	}
	item, err := c.Backup.Item()
	return []profile.Item{item}, err
}

// copier keeps a node's copies.
func copier(s *local.Server, now func() time.Time) backup.Copier {
	return backup.Copier{Shelf: Shelf(s), Now: now, Fetch: func(ctx context.Context, name string, w io.Writer) error {
		is, err := s.Store.Identity(ctx) // the quorum IP may have moved meanwhile
		if err != nil {
			return err
		}
		client, err := managerClient(s, now, is.Doors())
		if err != nil {
			return err
		}
		defer client.Close()
		return client.Backup(ctx, name, w)
	}}
}

// FetchCertificate asks the manager for a certificate of a site with its key;
// nil if no site has that one any more.
func FetchCertificate(ctx context.Context, s *local.Server, now func() time.Time, digest string) ([]byte, error) {
	client, err := managerClient(s, now, s.Identity.Doors())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return client.Certificate(ctx, digest)
}

// managerClient asks the manager at one of the addresses, as the node that this
// server is, with the certificate of this moment.
func managerClient(s *local.Server, now func() time.Time, doors []netip.AddrPort) (*api.Client, error) {
	keys := pki.Store{Dir: s.PKI}
	ca, err := keys.Root()
	if err != nil {
		return nil, err
	}
	cert, err := keys.Certificate()
	if err != nil {
		return nil, err
	}
	config, err := pki.ClientConfig(ca, pki.NewCredentials(cert), now)
	if err != nil {
		return nil, err
	}
	return api.NewClient(doors, s.Identity.Address, config), nil
}
