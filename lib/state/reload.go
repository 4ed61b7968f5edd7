package state

import (
	"context"
	"database/sql"
	"time"
)

// Reload is how the reloads of one program of this server stand. Requests are numbered
// from 1.
type Reload struct {
	Kind      string // of program: "web"
	Name      string // within its kind; of a web server, as in site.Order
	Requested uint64 // the last request
	Urgent    bool   // a request after Tried does not wait for the interval
	Tried     uint64 // the last request at the last try
	Loaded    uint64 // the last request at the last try that succeeded
	Last      time.Time
	Error     string // of the last try, whose time is Last; "" if it succeeded
}

// Pending reports whether the program has not loaded what was requested last.
func (r *Reload) Pending() bool { return r.Requested > r.Loaded }

// retryReload is the least time before a reload that failed is tried again, unless it is
// requested again.
const retryReload = 30 * time.Second

// Left returns the time until the next try may begin, so that there is at most one in an
// interval; 0 if it may begin at once.
func (r *Reload) Left(interval time.Duration, now time.Time) time.Duration {
	switch {
	case now.Before(r.Last): // the clock was set back
		return 0
	case r.Requested == r.Tried:
		interval = max(interval, retryReload)
	case r.Urgent:
		return 0
	}
	return max(0, r.Last.Add(interval).Sub(now))
}

// RequestReload requests a reload of a program, and returns the number of the request.
func (s *Store) RequestReload(ctx context.Context, kind, name string, urgent bool) (request uint64, err error) {
	err = s.update(ctx, func(t *tx) error {
		return t.row(`INSERT INTO reload (kind, name, requested, urgent, tried, loaded, last, error) VALUES (?1, ?2, 1, ?3, 0, 0, 0, '')
			ON CONFLICT DO UPDATE SET requested = requested + 1, urgent = max(urgent, ?3) RETURNING requested`, []any{kind, name, urgent}, []any{&request})
	})
	return request, err
}

// Reloads returns the reloads of all programs that one was ever requested for.
func (s *Store) Reloads(ctx context.Context) (list []Reload, err error) {
	err = s.view(ctx, func(t *tx) error {
		return t.each(`SELECT kind, name, requested, urgent, tried, loaded, last, error FROM reload ORDER BY kind, name`, nil, func(row *sql.Rows) error {
			var r Reload
			var last int64
			err := row.Scan(&r.Kind, &r.Name, &r.Requested, &r.Urgent, &r.Tried, &r.Loaded, &last, &r.Error)
			r.Last = instant(last)
			list = append(list, r)
			return err
		})
	})
	return list, err
}

// Reload returns the reloads of one program; without a request, they have only its name.
func (s *Store) Reload(ctx context.Context, kind, name string) (Reload, error) {
	list, err := s.Reloads(ctx)
	for _, r := range list {
		if r.Kind == kind && r.Name == name {
			return r, err
		}
	}
	return Reload{Kind: kind, Name: name}, err
}

// SaveReload records the outcome of a try: r with Tried, Loaded, Last and Error as they
// are after it. What was requested meanwhile stays requested. Repeating it is safe.
func (s *Store) SaveReload(ctx context.Context, r *Reload) error {
	return s.set(ctx, `UPDATE reload SET tried = ?3, loaded = ?4, last = ?5, error = ?6, urgent = CASE requested WHEN ?3 THEN 0 ELSE urgent END
		WHERE kind = ?1 AND name = ?2`, r.Kind, r.Name, r.Tried, r.Loaded, millis(r.Last), r.Error)
}
