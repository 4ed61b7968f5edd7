package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/site"
)

// SiteRow is a site as the manager keeps it.
type SiteRow struct {
	site.Spec
	Seq   uint64 // the last entry of the queue about it, 0 for none
	Purge bool   // of one that is being deleted (Gone): its home goes too
}

// Sites returns the sites, by domain, with those that are being deleted.
func (s *Store) Sites(ctx context.Context) (list []SiteRow, err error) {
	err = s.view(ctx, func(t *tx) error {
		list, err = t.sites(``)
		return err
	})
	return list, err
}

// HasSites reports whether there is a site, or one that is being deleted.
func (s *Store) HasSites(ctx context.Context) (has bool, err error) {
	err = s.view(ctx, func(t *tx) error {
		return t.row(`SELECT EXISTS (SELECT 1 FROM site)`, nil, []any{&has})
	})
	return has, err
}

// notGone is SQL for a site that is not being deleted.
const notGone = `coalesce(json_extract(spec, '$.gone'), 0) = 0`

// SiteNames returns the names of the sites that are not being deleted, sorted.
func (s *Store) SiteNames(ctx context.Context) (names []string, err error) {
	err = s.view(ctx, func(t *tx) error {
		return t.each(`SELECT name FROM site_name JOIN site USING (domain) WHERE `+notGone+` ORDER BY name`, nil, func(r *sql.Rows) error {
			var name string
			err := r.Scan(&name)
			names = append(names, name)
			return err
		})
	})
	return names, err
}

// SiteNamed returns the site that answers to a name, its domain or an alias; nil
// if none does.
func (s *Store) SiteNamed(ctx context.Context, name string) (row *SiteRow, err error) {
	err = s.view(ctx, func(t *tx) error {
		list, err := t.sites(`WHERE domain IN (SELECT domain FROM site_name WHERE name = ?)`, name)
		if len(list) > 0 {
			row = &list[0]
		}
		return err
	})
	return row, err
}

func (t *tx) sites(where string, args ...any) (list []SiteRow, err error) {
	err = t.each(`SELECT spec, seq, purge FROM site `+where+` ORDER BY domain`, args, func(r *sql.Rows) error {
		var row SiteRow
		var text string
		if err := r.Scan(&text, &row.Seq, &row.Purge); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(text), &row.Spec)
		list = append(list, row)
		return err
	})
	return list, err
}

// LastUID returns the id that a site was given last, 0 if none ever was.
func (s *Store) LastUID(ctx context.Context) (uid uint32, err error) {
	err = s.view(ctx, func(t *tx) error {
		err := t.row(`SELECT last FROM site_uid`, nil, []any{&uid})
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return uid, err
}

// SiteChange is what one run of iwx-site makes of the sites, all of it or
// nothing.
type SiteChange struct {
	Specs        []site.Spec       // new and changed; one that is Gone is being deleted from now on
	WebServer    string            // that has them on the manager, as in site.Order
	Purge        bool              // of those: their homes go too
	LastUID      uint32            // the id that was given last; 0 if none was
	Certificates map[string][]byte // by digest, with their keys, those that are new
	Draft        *Draft            // what the nodes are told; nil: nothing
	Ended        []string          // domains that are forgotten: every server has let go of them
}

// ChangeSites makes the change, with its entry of the queue, and ends the
// intent. What the manager itself has of the sites (SitesHere) follows.
// Certificates that no site has any more are removed. The error of a name that
// another site has says which.
func (s *Store) ChangeSites(ctx context.Context, c *SiteChange) (op queue.OpID, err error) {
	err = s.update(ctx, func(t *tx) error {
		op, err = t.changeSites(c)
		return err
	})
	return op, err
}

func (t *tx) changeSites(c *SiteChange) (op queue.OpID, err error) {
	if c.Draft != nil {
		if op, err = t.appendNew([]Draft{*c.Draft}); err != nil {
			return op, err
		}
	}
	for i := range c.Specs {
		if err := t.putSite(&SiteRow{Spec: c.Specs[i], Seq: op.Seq, Purge: c.Purge}, c.WebServer); err != nil {
			return op, err
		}
	}
	for _, domain := range c.Ended {
		if err := t.endSite(domain); err != nil {
			return op, err
		}
	}
	if c.LastUID != 0 {
		if _, err := t.exec(`INSERT INTO site_uid (id, last) VALUES (1, ?) ON CONFLICT DO UPDATE SET last = excluded.last`, c.LastUID); err != nil {
			return op, err
		}
	}
	if err := t.putCertificates(c.Certificates); err != nil {
		return op, err
	}
	_, err = t.exec(`DELETE FROM intent`)
	return op, err
}

// putSite writes a site with its names, and that the manager has it on its web
// server; one that is being deleted it still has.
func (t *tx) putSite(row *SiteRow, server string) error {
	text, err := json.Marshal(row.Spec)
	if err != nil {
		return err
	}
	if _, err := t.exec(`INSERT INTO site (domain, user, uid, spec, seq, purge) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
		ON CONFLICT (domain) DO UPDATE SET user = ?2, uid = ?3, spec = ?4, seq = CASE ?5 WHEN 0 THEN seq ELSE ?5 END, purge = ?6`,
		row.Domain, row.User, row.UID, string(text), row.Seq, row.Purge && row.Gone); err != nil {
		return err
	}
	// Leave the names alone that stay: each change raises the revision of the zones.
	names, err := json.Marshal(row.Names())
	if err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM site_name WHERE domain = ?1 AND name NOT IN (SELECT value FROM json_each(?2))`, row.Domain, string(names)); err != nil {
		return err
	}
	for _, name := range row.Names() {
		if err := t.claimName(name, row.Domain); err != nil {
			return err
		}
	}
	if row.Gone {
		return nil
	}
	return t.putHere([]site.Spec{row.Spec}, server)
}

func (t *tx) claimName(name, domain string) error {
	var other string
	switch err := t.row(`SELECT domain FROM site_name WHERE name = ?`, []any{name}, []any{&other}); {
	case err == nil && other == domain:
		return nil
	case err == nil:
		return fault.Hint(fault.New(fault.Failed, "%s is a name of site %s already", name, other), "iwx-site show %s", other)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	_, err := t.exec(`INSERT INTO site_name (name, domain) VALUES (?, ?)`, name, domain)
	return err
}

func (t *tx) endSite(domain string) error {
	if err := t.endZones(domain); err != nil {
		return err
	}
	for _, table := range []string{"site", "site_here"} {
		if _, err := t.exec(`DELETE FROM `+table+` WHERE domain = ?`, domain); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) putCertificates(pems map[string][]byte) error {
	for digest, pem := range pems {
		if _, err := t.exec(`INSERT OR IGNORE INTO certificate (digest, pem) VALUES (?, ?)`, digest, pem); err != nil {
			return err
		}
	}
	_, err := t.exec(`DELETE FROM certificate WHERE digest NOT IN (SELECT coalesce(json_extract(spec, '$.certificate'), '') FROM site)`)
	return err
}

// SiteCertificate returns a certificate with its key, as PEM; nil if no site has
// that one.
func (s *Store) SiteCertificate(ctx context.Context, digest string) (pem []byte, err error) {
	err = s.view(ctx, func(t *tx) error {
		err := t.row(`SELECT pem FROM certificate WHERE digest = ?`, []any{digest}, []any{&pem})
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return pem, err
}

// BeginSites writes what is about to be changed on this manager. There is one
// intent at a time: who writes it has the lock and has settled the last one. It
// fails as MayAppend does, since an entry of the queue follows.
func (s *Store) BeginSites(ctx context.Context, intent *site.Intent) error {
	text, err := json.Marshal(intent)
	if err != nil {
		return err
	}
	return s.update(ctx, func(t *tx) error {
		if err := t.mayAppend(); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO intent (id, intent) VALUES (1, ?)`, string(text))
		return err
	})
}

// SiteIntent returns what was begun and has not ended; nil if nothing was.
func (s *Store) SiteIntent(ctx context.Context) (intent *site.Intent, err error) {
	err = s.view(ctx, func(t *tx) error {
		var text string
		err := t.row(`SELECT intent FROM intent`, nil, []any{&text})
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil {
			err = json.Unmarshal([]byte(text), &intent)
		}
		return err
	})
	return intent, err
}

// EndSites forgets the intent: it has been undone. Repeating it is safe.
func (s *Store) EndSites(ctx context.Context) error { return s.set(ctx, `DELETE FROM intent`) }
