package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
)

// AddToken stores an invitation. An open one for the same name is revoked by
// it: of two tokens in two mails, the later is meant.
func (s *Store) AddToken(ctx context.Context, k *cluster.Token) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE token SET revoked_at = ? WHERE name = ? AND used_at = 0 AND revoked_at = 0`, millis(k.CreatedAt), k.Name)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO token (id, name, hash, address, start_from, rejoin, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			k.ID, k.Name, k.Hash, addr(k.Address), string(k.From), k.Rejoin, millis(k.CreatedAt), millis(k.ExpiresAt))
		return err
	})
}

// Tokens returns every invitation, the newest first.
func (s *Store) Tokens(ctx context.Context) (list []cluster.Token, err error) {
	err = s.view(ctx, func(t *tx) error {
		list, err = t.tokens(`ORDER BY created_at DESC, id`)
		return err
	})
	return list, err
}

func (t *tx) tokens(where string, args ...any) ([]cluster.Token, error) {
	var list []cluster.Token
	err := t.each(`SELECT id, name, hash, address, start_from, rejoin, created_at, expires_at, revoked_at, used_at, used_by, key_hash, node FROM token `+where, args,
		func(r *sql.Rows) error {
			var k cluster.Token
			var address string
			var created, expires, revoked, used int64
			err := r.Scan(&k.ID, &k.Name, &k.Hash, &address, &k.From, &k.Rejoin, &created, &expires, &revoked, &used, &k.UsedBy, &k.KeyHash, &k.NodeID)
			k.Address, _ = netip.ParseAddr(address)
			k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.UsedAt = instant(created), instant(expires), instant(revoked), instant(used)
			list = append(list, k)
			return err
		})
	return list, err
}

// RevokeToken makes an open invitation void.
// One that is revoked already is left alone; one that was used is an error.
func (s *Store) RevokeToken(ctx context.Context, id string, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		list, err := t.tokens(`WHERE id = ?`, id)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return fault.Hint(fault.New(fault.Failed, "there is no token %q", id), "iwx-node token list")
		}
		found := &list[0]
		if !found.UsedAt.IsZero() {
			return fault.Hint(fault.New(fault.Failed, "token %s has been used: %s joined with it", id, found.Name), "iwx-node delete %s", found.Name)
		}
		_, err = t.exec(`UPDATE token SET revoked_at = ? WHERE id = ? AND revoked_at = 0`, millis(at), id)
		return err
	})
}

// Admit lets decide turn a token into a member, in one transaction with the
// reading of both. token is nil when there is none of that id. decide is called
// with the writers' turn held: it must not wait for anything.
func (s *Store) Admit(ctx context.Context, tokenID string, decide cluster.Decide) error {
	return s.update(ctx, func(t *tx) error {
		tokens, err := t.tokens(`WHERE id = ?`, tokenID)
		if err != nil {
			return err
		}
		nodes, err := t.nodes(``)
		if err != nil {
			return err
		}
		head, err := t.head()
		if err != nil {
			return err
		}
		var token *cluster.Token
		if len(tokens) > 0 {
			token = &tokens[0]
		}
		saved, err := decide(token, nodes, head.Seq)
		if err != nil || len(saved) == 0 {
			return err
		}
		for i := range saved {
			if err := t.checkReplaced(&saved[i]); err != nil {
				return err
			}
			if err := t.saveNode(&saved[i]); err != nil {
				return err
			}
		}
		_, err = t.exec(`UPDATE token SET used_at = ?, used_by = ?, key_hash = ?, node = ? WHERE id = ?`,
			millis(token.UsedAt), token.UsedBy, token.KeyHash, token.NodeID, token.ID)
		return err
	})
}

// checkReplaced refuses to let a server without its state replace a node that has
// sent records which this manager lost: recover takes them from members alone.
func (t *tx) checkReplaced(n *cluster.Node) error {
	if n.Membership.Belongs() {
		return nil
	}
	nodes, err := t.standings(`id = ?`, n.ID)
	if err != nil || len(nodes) == 0 {
		return err
	}
	tail := &nodes[0].Tail
	if tail.First == 0 || tail.Accepted {
		return nil
	}
	return cluster.Refuse(cluster.RefusedChecks,
		fmt.Sprintf("on the manager, take them back: iwx-queue recover\nor give them up: iwx-queue accept %s", n.Name),
		"the manager has not yet taken back the entries from %d on that it lost and has from node %s", tail.First, n.Name)
}

// saveNode stores a node. Of one that is known, what is not in nodeColumns stays: the
// records that it sent of a log which this manager lost, for example.
func (t *tx) saveNode(n *cluster.Node) error {
	facts, err := json.Marshal(n.Facts)
	if err != nil {
		return err
	}
	status, err := json.Marshal(n.Status)
	if err != nil {
		return err
	}
	var set []string
	for column := range strings.SplitSeq(nodeColumns, ",") {
		column = strings.TrimSpace(column)
		set = append(set, column+" = excluded."+column)
	}
	_, err = t.exec(`INSERT INTO node (`+nodeColumns+`) VALUES (?`+strings.Repeat(`, ?`, len(set)-1)+`)
		ON CONFLICT (id) DO UPDATE SET `+strings.Join(set, `, `),
		n.ID, n.Name, string(n.Membership), addr(n.Address), n.MachineID, string(facts), n.CertSerial, millis(n.CertExpires), n.Start,
		millis(n.JoinedAt), millis(n.EndedAt), n.EndedBy, millis(n.LastSeen), millis(n.SilentSince), n.Refused, string(status),
		n.Paused, n.Retry, n.RetrySeq, n.Look,
		addr(n.Connects), addr(n.Former), millis(n.HeardSince), millis(n.FactsAt), n.Fetched)
	return err
}
