package upkeep

import (
	"context"
	"io"
	"time"

	"iwx/lib/backup"
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
		client, err := s.ManagerClient(ctx, nil, now)
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
	client, err := s.ManagerClient(ctx, nil, now)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return client.Certificate(ctx, digest)
}
