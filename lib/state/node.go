package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/netip"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/host"
)

const nodeColumns = `id, name, membership, address, machine_id, facts, cert_serial, cert_expires, start,
	joined_at, ended_at, ended_by, last_seen, silent_since, refused, status, paused, retry, retry_seq, look,
	connects, former, heard_since, facts_at, fetched`

func scanNode(r *sql.Rows) (cluster.Node, error) {
	var n cluster.Node
	var address, facts, status, connects, former string
	var expires, joined, ended, seen, silent, heard, sent int64
	err := r.Scan(&n.ID, &n.Name, &n.Membership, &address, &n.MachineID, &facts, &n.CertSerial, &expires, &n.Start,
		&joined, &ended, &n.EndedBy, &seen, &silent, &n.Refused, &status, &n.Paused, &n.Retry, &n.RetrySeq, &n.Look,
		&connects, &former, &heard, &sent, &n.Fetched)
	if err != nil {
		return n, err
	}
	n.Address, n.Connects, n.Former = parseAddr(address), parseAddr(connects), parseAddr(former)
	n.HeardSince, n.FactsAt = instant(heard), instant(sent)
	n.CertExpires, n.JoinedAt, n.EndedAt = instant(expires), instant(joined), instant(ended)
	n.LastSeen, n.SilentSince = instant(seen), instant(silent)
	if err := json.Unmarshal([]byte(facts), &n.Facts); err != nil {
		return n, err
	}
	return n, json.Unmarshal([]byte(status), &n.Status)
}

func (t *tx) nodes(where string, args ...any) ([]cluster.Node, error) {
	var list []cluster.Node
	err := t.each(`SELECT `+nodeColumns+` FROM node `+where, args, func(r *sql.Rows) error {
		n, err := scanNode(r)
		list = append(list, n)
		return err
	})
	return list, err
}

// belongs is SQL for cluster.Membership.Belongs.
const belongs = `membership IN ('member', 'leaving')`

// Members returns the nodes that belong to the cluster, by name, with those that
// are leaving.
func (s *Store) Members(ctx context.Context) (list []cluster.Node, err error) {
	err = s.view(ctx, func(t *tx) error {
		list, err = t.members()
		return err
	})
	return list, err
}

func (t *tx) members() ([]cluster.Node, error) {
	return t.nodes(`WHERE ` + belongs + ` ORDER BY name`)
}

// Nodes returns every node there ever was, members first, by name.
func (s *Store) Nodes(ctx context.Context) (list []cluster.Node, err error) {
	err = s.view(ctx, func(t *tx) error {
		list, err = t.nodes(`ORDER BY NOT ` + belongs + `, name, joined_at DESC`)
		return err
	})
	return list, err
}

// Rosters returns what the daemon needs to know of every node there ever was,
// without statuses and facts: it asks often.
func (s *Store) Rosters(ctx context.Context) ([]cluster.Roster, error) {
	var list []cluster.Roster
	err := s.view(ctx, func(t *tx) error {
		return t.each(`SELECT id, name, membership, address, start, ended_at, ended_by, last_seen, paused, retry, retry_seq, look, trial, tail, former, awaited, went_back FROM node`, nil, func(r *sql.Rows) error {
			var n cluster.Roster
			var address, former string
			var ended, seen int64
			var tail, back string
			err := r.Scan(&n.ID, &n.Name, &n.Membership, &address, &n.Start, &ended, &n.EndedBy, &seen, &n.Orders.Paused, &n.Orders.Retry, &n.Orders.RetrySeq, &n.Orders.Look, &n.Orders.Trial, &tail, &former, &n.Awaited, &back)
			if err != nil {
				return err
			}
			n.Address, n.Former = parseAddr(address), parseAddr(former)
			n.EndedAt, n.LastSeen = instant(ended), instant(seen)
			if n.WentBack, err = decodeWentBack(back); err != nil {
				return err
			}
			list = append(list, n)
			return decodeTail(tail, &list[len(list)-1].Tail)
		})
	})
	return list, err
}

// parseAddr parses an address of the state; "" is the zero address.
func parseAddr(text string) netip.Addr {
	a, _ := netip.ParseAddr(text)
	return a
}

// heard is SQL that records a contact with a node at ?1. Columns on the right
// have their values from before.
const heard = `last_seen = ?1, silent_since = 0, heard_since = CASE WHEN silent_since <> 0 OR heard_since = 0 THEN ?1 ELSE heard_since END`

// SaveContact records a contact with a node, and the address that it connects
// from.
func (s *Store) SaveContact(ctx context.Context, id string, seen time.Time, from netip.Addr) error {
	return s.set(ctx, `UPDATE node SET `+heard+`, connects = ?2 WHERE id = ?3`, millis(seen), addr(from), id)
}

// SaveFetched records, by node id, the last record that nodes have received. It
// never lowers what is recorded; SaveStanding does, when a node went back.
func (s *Store) SaveFetched(ctx context.Context, fetched map[string]uint64) error {
	return s.update(ctx, func(t *tx) error {
		for id, seq := range fetched {
			if _, err := t.exec(`UPDATE node SET fetched = max(fetched, ?) WHERE id = ?`, seq, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// SaveFacts records the facts that a node reports. Its machine-id, which is its
// identity in the cluster, and its users, from which sites are planned, stay as
// they were when it joined.
func (s *Store) SaveFacts(ctx context.Context, id string, at time.Time, facts host.Facts) error {
	return s.update(ctx, func(t *tx) error {
		nodes, err := t.nodes(`WHERE id = ?`, id)
		if err != nil || len(nodes) == 0 {
			return err
		}
		joined := &nodes[0].Facts
		facts.MachineID, facts.Users, facts.Services = joined.MachineID, joined.Users, joined.Services
		text, err := json.Marshal(facts)
		if err == nil {
			_, err = t.exec(`UPDATE node SET facts = ?, facts_at = ? WHERE id = ?`, string(text), millis(at), id)
		}
		return err
	})
}

// SetAddress gives a member another address, and records the one that the
// shares stay exported to until ForgetFormer. Repeating it changes nothing.
func (s *Store) SetAddress(ctx context.Context, id string, to, former netip.Addr) error {
	return s.set(ctx, `UPDATE node SET address = ?1, former = ?2 WHERE id = ?3 AND address <> ?1 AND membership = 'member'`, addr(to), addr(former), id)
}

// ForgetFormer forgets the former address of a node, unless it has changed
// meanwhile.
func (s *Store) ForgetFormer(ctx context.Context, id string, former netip.Addr) error {
	return s.set(ctx, `UPDATE node SET former = '' WHERE id = ? AND former = ?`, id, addr(former))
}

func (t *tx) saveStatus(id string, seen time.Time, status cluster.Status) error {
	text, err := json.Marshal(status)
	if err == nil {
		_, err = t.exec(`UPDATE node SET `+heard+`, status = ?2 WHERE id = ?3`, millis(seen), string(text), id)
	}
	return err
}

// SaveSilence records that the nodes have been silent since the times given. Nodes
// that are known to be silent already keep the earlier time, and those that
// connected meanwhile are not silent.
func (s *Store) SaveSilence(ctx context.Context, since map[string]time.Time) error {
	return s.update(ctx, func(t *tx) error {
		for id, at := range since {
			if _, err := t.exec(`UPDATE node SET silent_since = ?1 WHERE id = ?2 AND silent_since = 0 AND last_seen <= ?1`, millis(at), id); err != nil {
				return err
			}
		}
		return nil
	})
}

// SaveRefused records that another server was refused the node's place; ""
// forgets it.
func (s *Store) SaveRefused(ctx context.Context, id, text string) error {
	return s.set(ctx, `UPDATE node SET refused = ? WHERE id = ?`, text, id)
}

// SaveCertificate records the certificate that a node holds.
func (s *Store) SaveCertificate(ctx context.Context, id, serial string, expires time.Time) error {
	return s.set(ctx, `UPDATE node SET cert_serial = ?, cert_expires = ? WHERE id = ?`, serial, millis(expires), id)
}

func (s *Store) set(ctx context.Context, query string, args ...any) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(query, args...)
		return err
	})
}

// StartLeaving has a member told that it is to leave. A node that is leaving, or
// gone, stays as it is.
func (s *Store) StartLeaving(ctx context.Context, id, by string, at time.Time) error {
	return s.set(ctx, `UPDATE node SET membership = 'leaving', ended_by = ?, ended_at = ? WHERE id = ? AND membership = 'member'`, by, millis(at), id)
}

// EndMembership takes a member out: it left, or was deleted. A node that is
// out already stays as it is. What is sensitive and waited for this node alone
// is erased, and it is no longer drained.
func (s *Store) EndMembership(ctx context.Context, id string, how cluster.Membership, by string, at time.Time) error {
	var erased int64
	err := s.update(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE node SET membership = ?, ended_by = ?, ended_at = ? WHERE id = ? AND `+belongs,
			string(how), by, millis(at), id)
		if err == nil {
			_, err = t.exec(`DELETE FROM drain WHERE server = ?`, id)
		}
		if err == nil {
			_, err = t.exec(`DELETE FROM turn WHERE node = ?`, id)
		}
		if err == nil {
			erased, err = t.eraseSettled()
		}
		return err
	})
	if err == nil && erased > 0 {
		err = s.forget(ctx)
	}
	return err
}

// Pause holds the nodes' queues still, or lets them go on.
func (s *Store) Pause(ctx context.Context, ids []string, paused bool) error {
	return s.update(ctx, func(t *tx) error {
		for _, id := range ids {
			if _, err := t.exec(`UPDATE node SET paused = ? WHERE id = ?`, paused, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Retry asks the nodes to try again, now, the entries that they halt at: node
// id to sequence number. The request counts on from the time of day, so that a
// restored manager, which has forgotten some, is not taken to repeat them.
func (s *Store) Retry(ctx context.Context, halted map[string]uint64, now time.Time) error {
	return s.update(ctx, func(t *tx) error {
		for id, seq := range halted {
			if _, err := t.exec(`UPDATE node SET retry = max(retry + 1, ?), retry_seq = ? WHERE id = ?`, millis(now), seq, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// AskLook asks the nodes to look at what they have of the sites, and returns the
// number that a node which has done so tells, or a higher one. It counts on from
// the time of day, as Retry does.
func (s *Store) AskLook(ctx context.Context, ids []string, now time.Time) (number uint64, err error) {
	err = s.update(ctx, func(t *tx) error {
		number = uint64(millis(now))
		for _, id := range ids {
			var last uint64
			if err := t.row(`SELECT look FROM node WHERE id = ?`, []any{id}, []any{&last}); err != nil {
				return err
			}
			number = max(number, last+1)
		}
		for _, id := range ids {
			if _, err := t.exec(`UPDATE node SET look = ? WHERE id = ?`, number, id); err != nil {
				return err
			}
		}
		return nil
	})
	return number, err
}

// AskTrial gives nodes, by id, an order to take part in a trial (cluster.Trial);
// those of other nodes are taken back.
func (s *Store) AskTrial(ctx context.Context, trials map[string]string) error {
	return s.update(ctx, func(t *tx) error {
		if _, err := t.exec(`UPDATE node SET trial = '' WHERE trial <> ''`); err != nil {
			return err
		}
		for id, trial := range trials {
			if _, err := t.exec(`UPDATE node SET trial = ? WHERE id = ?`, trial, id); err != nil {
				return err
			}
		}
		return nil
	})
}
