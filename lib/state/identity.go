package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
)

// ErrNotSetUp is in the chain of the error for a server that has a state file
// but no identity yet: setup was cut short.
var ErrNotSetUp = errors.New("setup has not finished")

// Identity returns what this server is.
func (s *Store) Identity(ctx context.Context) (*cluster.Identity, error) {
	var id *cluster.Identity
	err := s.view(ctx, func(t *tx) (err error) {
		id, err = t.identity()
		return err
	})
	return id, err
}

func (t *tx) identity() (*cluster.Identity, error) {
	var id cluster.Identity
	var role, manager, others, address string
	var setupAt int64
	err := t.row(`SELECT role, cluster_id, cluster_name, node_id, name, machine_id, manager, others, address, log_key, start, recovery, setup_at FROM identity`, nil,
		[]any{&role, &id.ClusterID, &id.ClusterName, &id.NodeID, &id.Name, &id.MachineID, &manager, &others, &address, &id.LogKey, &id.Start, &id.Recovery, &setupAt})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.Hint(fault.New(fault.Failed, "this server is not part of a cluster yet: %w", ErrNotSetUp),
			"run the iwx-cluster-setup command again; it goes on where it stopped")
	}
	if err != nil {
		return nil, err
	}
	id.Role, id.SetupAt = cluster.Role(role), instant(setupAt)
	id.Manager, _ = netip.ParseAddrPort(manager)
	id.Others = parseAddresses(others)
	id.Address, _ = netip.ParseAddr(address)
	return &id, nil
}

// SetIdentity records what this server is, in place of what it was. On a
// manager it opens the first epoch, on a node its journal.
func (s *Store) SetIdentity(ctx context.Context, id *cluster.Identity) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT OR REPLACE INTO identity
			(id, role, cluster_id, cluster_name, node_id, name, machine_id, manager, others, address, log_key, start, recovery, setup_at)
			VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			string(id.Role), id.ClusterID, id.ClusterName, id.NodeID, id.Name, id.MachineID, id.Manager.String(), addressesText(id.Others), addr(id.Address),
			blob(id.LogKey), id.Start, id.Recovery, millis(id.SetupAt))
		if err != nil {
			return err
		}
		if id.Role == cluster.RoleManager {
			_, err = t.exec(`INSERT OR IGNORE INTO epoch (epoch, since) VALUES (1, 1)`)
			return err
		}
		if _, err = t.exec(`INSERT OR IGNORE INTO journal (id) VALUES (1)`); err == nil {
			_, err = t.exec(`INSERT OR IGNORE INTO contact (id) VALUES (1)`)
		}
		return err
	})
}

// SetManager records where the API is: at the quorum IP and, while that moves,
// at the others too.
func (s *Store) SetManager(ctx context.Context, manager netip.AddrPort, others ...netip.AddrPort) error {
	return s.set(ctx, `UPDATE identity SET manager = ?, others = ?`, manager.String(), addressesText(others))
}

// EndMove forgets the other addresses of the API, if manager is the quorum IP
// still.
func (s *Store) EndMove(ctx context.Context, manager netip.AddrPort) error {
	return s.set(ctx, `UPDATE identity SET others = '' WHERE manager = ?`, manager.String())
}

func addressesText(addresses []netip.AddrPort) string {
	text := make([]string, len(addresses))
	for i, at := range addresses {
		text[i] = at.String()
	}
	return strings.Join(text, " ")
}

func parseAddresses(text string) []netip.AddrPort {
	var addresses []netip.AddrPort
	for _, field := range strings.Fields(text) {
		if at, err := netip.ParseAddrPort(field); err == nil {
			addresses = append(addresses, at)
		}
	}
	return addresses
}

// addr is the text of an address that may not be there.
func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// blob is b for a column that is NOT NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Undo is one thing that setup did to the server, outside the state.
type Undo struct {
	Kind   string // "file", "unit", …; setup and reset agree on the words
	Target string
	At     time.Time
}

// RecordUndo notes what is about to be done, so that reset can undo it.
// Noting it twice is nothing.
func (s *Store) RecordUndo(ctx context.Context, kind, target string, now time.Time) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT OR IGNORE INTO undo (kind, target, at) VALUES (?, ?, ?)`, kind, target, millis(now))
		return err
	})
}

// Undos returns what was recorded, the last first.
func (s *Store) Undos(ctx context.Context) ([]Undo, error) {
	var list []Undo
	err := s.view(ctx, func(t *tx) error {
		return t.each(`SELECT kind, target, at FROM undo ORDER BY id DESC`, nil, func(r *sql.Rows) error {
			var u Undo
			var at int64
			if err := r.Scan(&u.Kind, &u.Target, &at); err != nil {
				return err
			}
			u.At = instant(at)
			list = append(list, u)
			return nil
		})
	})
	return list, err
}

// Snapshot writes a copy of the file to path, which must not exist, as of one
// moment, while others go on writing. The copy is 0600.
func (s *Store) Snapshot(ctx context.Context, path string) error {
	c, err := s.connect(ctx)
	if err != nil {
		return s.explain(err)
	}
	defer c.close()
	return s.copyTo(ctx, c, path)
}

func (s *Store) copyTo(ctx context.Context, c *conn, path string) error {
	// SQLite fills an empty file, and would make one that anyone can read.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	_, err = c.raw.ExecContext(ctx, `VACUUM INTO ?`, path)
	return s.explain(err)
}
