package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"iwx/lib/profile"
)

// ProfileJournal is what this server has done of its profile. It implements
// profile.Journal.
type ProfileJournal struct{ store *Store }

var _ profile.Journal = ProfileJournal{}

// Profile returns the journal of this server's profile.
func (s *Store) Profile() ProfileJournal { return ProfileJournal{s} }

// Load implements profile.Journal.
func (j ProfileJournal) Load(ctx context.Context) (*profile.Saved, error) {
	saved := &profile.Saved{}
	err := j.store.view(ctx, func(t *tx) error {
		if err := t.profile(saved); err != nil {
			return err
		}
		return t.each(`SELECT kind, name, spec FROM profile_item ORDER BY id`, nil, func(r *sql.Rows) error {
			var item profile.Item
			var spec string
			err := r.Scan(&item.Kind, &item.Name, &spec)
			if spec != "" {
				item.Spec = json.RawMessage(spec)
			}
			saved.Begun = append(saved.Begun, item)
			return err
		})
	})
	return saved, err
}

// profile fills in the document and the status, if there are any.
func (t *tx) profile(saved *profile.Saved) error {
	var document, status string
	err := t.row(`SELECT version, document, status FROM profile`, nil, []any{&saved.Desired.Version, &document, &status})
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(document), &saved.Desired.Document)
	}
	if err == nil {
		err = json.Unmarshal([]byte(status), &saved.Status)
	}
	return err
}

// Receive implements profile.Journal.
func (j ProfileJournal) Receive(ctx context.Context, rev profile.Revision) error {
	document, err := json.Marshal(rev.Document)
	if err != nil {
		return err
	}
	return j.store.set(ctx, `INSERT INTO profile (id, version, document) VALUES (1, ?, ?)
		ON CONFLICT (id) DO UPDATE SET version = excluded.version, document = excluded.document`, rev.Version, string(document))
}

// Begin implements profile.Journal.
func (j ProfileJournal) Begin(ctx context.Context, item profile.Item) error {
	return j.store.set(ctx, `INSERT INTO profile_item (kind, name, spec) VALUES (?, ?, ?)
		ON CONFLICT (kind, name) DO UPDATE SET spec = excluded.spec`, item.Kind, item.Name, string(item.Spec))
}

// End implements profile.Journal.
func (j ProfileJournal) End(ctx context.Context, item profile.Item) error {
	return j.store.set(ctx, `DELETE FROM profile_item WHERE kind = ? AND name = ?`, item.Kind, item.Name)
}

// Report implements profile.Journal.
func (j ProfileJournal) Report(ctx context.Context, status profile.Status) error {
	text, err := json.Marshal(status)
	if err != nil {
		return err
	}
	return j.store.set(ctx, `UPDATE profile SET status = ?`, string(text))
}
