package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/queue"
)

// Standings returns how the members' queues stand, by name, without their
// facts and certificates: it is for those who look often. A node that
// is leaving replays nothing more and is not among them.
func (s *Store) Standings(ctx context.Context) ([]cluster.Node, error) {
	return s.standings(ctx, `membership = 'member'`)
}

// QueuedAt returns the time at which record seq of the log was queued, or that
// of the first later record with a time; zero if there is none.
func (s *Store) QueuedAt(ctx context.Context, seq uint64) (at time.Time, err error) {
	err = s.view(ctx, func(t *tx) error {
		return t.each(`SELECT body, coalesce((SELECT max(at) FROM void WHERE record = log.seq), 0) FROM log
			WHERE seq >= ? AND (kind = ? AND body IS NOT NULL OR seq IN (SELECT record FROM void)) ORDER BY seq LIMIT 1`, []any{seq, queue.KindCommand}, func(r *sql.Rows) error {
			var body []byte
			var voided int64
			if err := r.Scan(&body, &voided); err != nil {
				return err
			}
			if at = instant(voided); !at.IsZero() {
				return nil
			}
			c, err := queue.DecodeCommand(body)
			if err == nil {
				at = c.QueuedAt
			}
			return err
		})
	})
	return at, err
}

// EpochBegan returns the time at which the manager began the epoch in force, by
// setup (zero), restore, recover or accept.
func (s *Store) EpochBegan(ctx context.Context) (at time.Time, err error) {
	err = s.view(ctx, func(t *tx) error {
		return t.each(`SELECT body FROM log WHERE seq = (SELECT since FROM epoch ORDER BY epoch DESC LIMIT 1) AND kind = ? AND body IS NOT NULL`, []any{queue.KindEpoch}, func(r *sql.Rows) error {
			var body []byte
			if err := r.Scan(&body); err != nil {
				return err
			}
			e, err := queue.DecodeEpoch(body)
			if err == nil {
				at = instant(e.At)
			}
			return err
		})
	})
	return at, err
}

// Facts returns the facts that a node last reported.
func (s *Store) Facts(ctx context.Context, id string) (facts host.Facts, err error) {
	err = s.view(ctx, func(t *tx) error {
		nodes, err := t.nodes(`WHERE id = ?`, id)
		if err == nil && len(nodes) > 0 {
			facts = nodes[0].Facts
		}
		return err
	})
	return facts, err
}

// Baseline returns how far a node is with the entries that were kept for those
// who join: of those before its own first one, which are not withdrawn.
func (s *Store) Baseline(ctx context.Context, n *cluster.Node) (cluster.Progress, error) {
	var p cluster.Progress
	err := s.view(ctx, func(t *tx) error {
		return t.each(`SELECT seq, targets FROM log WHERE kind = ? AND erased = 0 AND seq < ?
			AND NOT EXISTS (SELECT 1 FROM void WHERE void.seq = log.seq AND void.node IN ('', ?))`, []any{queue.KindCommand, n.Start, n.ID}, func(r *sql.Rows) error {
			var seq uint64
			var encoded []byte
			if err := r.Scan(&seq, &encoded); err != nil {
				return err
			}
			targets, err := queue.DecodeTargets(encoded)
			if err != nil || targets.Scope != queue.ScopeBaseline {
				return err
			}
			if p.Total++; n.Settled(seq) {
				p.Done++
			}
			return nil
		})
	})
	return p, err
}

// Present is Standings with the nodes that are leaving.
func (s *Store) Present(ctx context.Context) ([]cluster.Node, error) {
	return s.standings(ctx, belongs)
}

// Unsettled is Standings of the members that are not done with entry seq.
func (s *Store) Unsettled(ctx context.Context, seq uint64) ([]cluster.Node, error) {
	return s.standings(ctx, `membership = 'member' AND coalesce(json_extract(status, '$.done'), 0) < ?`, seq)
}

func (s *Store) standings(ctx context.Context, where string, args ...any) ([]cluster.Node, error) {
	var list []cluster.Node
	err := s.view(ctx, func(t *tx) (err error) {
		list, err = t.standings(where, args...)
		return err
	})
	return list, err
}

func (t *tx) standings(where string, args ...any) ([]cluster.Node, error) {
	var list []cluster.Node
	err := t.each(`SELECT id, name, membership, start, joined_at, ended_at, ended_by, last_seen, silent_since, refused, status, paused, retry, retry_seq, look, tail, address, connects, former, heard_since, fetched, awaited, went_back
			FROM node WHERE `+where+` ORDER BY name`, args, func(r *sql.Rows) error {
		var n cluster.Node
		var joined, ended, seen, silent, heard int64
		var status, tail, address, connects, former, back string
		err := r.Scan(&n.ID, &n.Name, &n.Membership, &n.Start, &joined, &ended, &n.EndedBy, &seen, &silent, &n.Refused, &status, &n.Paused, &n.Retry, &n.RetrySeq, &n.Look, &tail, &address, &connects, &former, &heard, &n.Fetched, &n.Awaited, &back)
		if err != nil {
			return err
		}
		n.JoinedAt, n.EndedAt, n.LastSeen, n.SilentSince = instant(joined), instant(ended), instant(seen), instant(silent)
		n.Address, n.Connects, n.Former, n.HeardSince = parseAddr(address), parseAddr(connects), parseAddr(former), instant(heard)
		if n.WentBack, err = decodeWentBack(back); err != nil {
			return err
		}
		list = append(list, n)
		last := &list[len(list)-1]
		return errors.Join(json.Unmarshal([]byte(status), &last.Status), decodeTail(tail, &last.Tail))
	})
	return list, err
}
