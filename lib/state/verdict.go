package state

import (
	"context"
	"database/sql"
	"encoding/json"

	"iwx/lib/health"
)

// Verdicts returns the verdicts that were saved last, by lb.TargetID.
func (s *Store) Verdicts(ctx context.Context) (map[string]health.Verdict, error) {
	all := map[string]health.Verdict{}
	err := s.view(ctx, func(t *tx) error {
		return t.each(`SELECT target, verdict FROM verdict`, nil, func(r *sql.Rows) error {
			var target, text string
			if err := r.Scan(&target, &text); err != nil {
				return err
			}
			var v health.Verdict
			err := json.Unmarshal([]byte(text), &v)
			all[target] = v
			return err
		})
	})
	return all, err
}

// SaveVerdicts replaces the verdicts by these.
func (s *Store) SaveVerdicts(ctx context.Context, all map[string]health.Verdict) error {
	texts := make(map[string]string, len(all))
	for target, v := range all {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		texts[target] = string(text)
	}
	return s.update(ctx, func(t *tx) error {
		if _, err := t.exec(`DELETE FROM verdict`); err != nil {
			return err
		}
		for target, text := range texts {
			if _, err := t.exec(`INSERT INTO verdict (target, verdict) VALUES (?, ?)`, target, text); err != nil {
				return err
			}
		}
		return nil
	})
}
