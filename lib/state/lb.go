package state

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"

	"iwx/lib/lb"
)

// Balancing returns all that was asked for of load balancing; of a server that
// was asked for nothing, the zero Setup.
func (s *Store) Balancing(ctx context.Context) (lb.Setup, error) {
	var setup lb.Setup
	err := s.view(ctx, func(t *tx) (err error) {
		setup, err = t.balancing()
		return err
	})
	return setup, err
}

func (t *tx) balancing() (setup lb.Setup, err error) {
	err = t.row(`SELECT engine, external, stopped FROM balancing`, nil, []any{&setup.Engine, &setup.External, &setup.Stopped})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return setup, err
	}
	if setup.VIPs, err = t.vips(); err != nil {
		return setup, err
	}
	if setup.Policies, err = t.policies(); err != nil {
		return setup, err
	}
	setup.Drains, err = t.drains()
	return setup, err
}

func (t *tx) vips() (list []lb.VIP, err error) {
	err = t.each(`SELECT addr, added_at FROM vip`, nil, func(r *sql.Rows) error {
		var text string
		var added int64
		if err := r.Scan(&text, &added); err != nil {
			return err
		}
		addr, err := netip.ParseAddr(text)
		list = append(list, lb.VIP{Addr: addr, AddedAt: instant(added)})
		return err
	})
	slices.SortFunc(list, func(a, b lb.VIP) int { return a.Addr.Compare(b.Addr) })
	return list, err
}

func (t *tx) policies() (list []lb.Policy, err error) {
	err = t.each(`SELECT policy FROM policy`, nil, func(r *sql.Rows) error {
		var text string
		if err := r.Scan(&text); err != nil {
			return err
		}
		var p lb.Policy
		err := json.Unmarshal([]byte(text), &p)
		list = append(list, p)
		return err
	})
	slices.SortFunc(list, func(a, b lb.Policy) int {
		return cmp.Or(a.VIP.Compare(b.VIP), cmp.Compare(a.Port, b.Port))
	})
	return list, err
}

func (t *tx) drains() (list []lb.Drain, err error) {
	err = t.each(`SELECT server, service, since, who, 0 AS entry FROM drain
		UNION ALL SELECT node, '', since, 'entry ' || seq, seq FROM turn WHERE drained = 1
		ORDER BY server, service, entry`, nil, func(r *sql.Rows) error {
		var d lb.Drain
		var since int64
		err := r.Scan(&d.Server, &d.Service, &since, &d.Who, &d.Entry)
		d.Since = instant(since)
		list = append(list, d)
		return err
	})
	return list, err
}

// ChangeBalancing has fn change what was asked for of load balancing: it is
// given all of it as it is now, and what it returns is written. Nobody else's
// change comes between. An error of fn changes nothing.
func (s *Store) ChangeBalancing(ctx context.Context, fn func(lb.Setup) (lb.Setup, error)) error {
	return s.update(ctx, func(t *tx) error {
		was, err := t.balancing()
		if err != nil {
			return err
		}
		is, err := fn(was)
		if err != nil {
			return err
		}
		return t.saveBalancing(is)
	})
}

// saveBalancing replaces what there is: it is a handful of rows.
func (t *tx) saveBalancing(setup lb.Setup) error {
	for _, table := range []string{"policy", "vip", "drain"} { // policies refer to virtual IPs
		if _, err := t.exec(`DELETE FROM ` + table); err != nil {
			return err
		}
	}
	_, err := t.exec(`INSERT INTO balancing (id, engine, external, stopped) VALUES (1, ?, ?, ?)
		ON CONFLICT DO UPDATE SET engine = excluded.engine, external = excluded.external, stopped = excluded.stopped`,
		setup.Engine, setup.External, setup.Stopped)
	for _, v := range setup.VIPs {
		if err == nil {
			_, err = t.exec(`INSERT INTO vip (addr, added_at) VALUES (?, ?)`, v.Addr.String(), millis(v.AddedAt))
		}
	}
	for i := range setup.Policies {
		if err == nil {
			err = t.addPolicy(&setup.Policies[i])
		}
	}
	if err == nil {
		err = t.saveDrains(setup.Drains)
	}
	return err
}

// saveDrains writes the drains into the emptied table; those that an entry made
// are its turns', which go on without.
func (t *tx) saveDrains(list []lb.Drain) error {
	_, err := t.exec(`UPDATE turn SET drained = 0 WHERE drained = 1`)
	for _, d := range list {
		switch {
		case err != nil:
			return err
		case d.Entry != 0:
			_, err = t.exec(`UPDATE turn SET drained = 1 WHERE seq = ? AND node = ?`, d.Entry, d.Server)
		default:
			_, err = t.exec(`INSERT INTO drain (server, service, since, who) VALUES (?, ?, ?, ?)`, d.Server, d.Service, millis(d.Since), d.Who)
		}
	}
	return err
}

func (t *tx) addPolicy(p *lb.Policy) error {
	text, err := json.Marshal(p)
	if err == nil {
		_, err = t.exec(`INSERT INTO policy (vip, port, policy) VALUES (?, ?, ?)`, p.VIP.String(), p.Port, string(text))
	}
	return err
}
