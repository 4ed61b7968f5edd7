package bind

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"iwx/lib/backoff"
	"iwx/lib/fault"
	"iwx/lib/wait"
)

// Times of telling named.
const (
	startLimit = 10 * time.Second // to start, which takes a second or two
	loadLimit  = 10 * time.Second // to load new zones
	fetchLimit = 10 * time.Second // to fetch the catalog for the first time
)

// askWaits are the waits between checks whether named is ready. Each check is a
// process.
func askWaits() backoff.Waits {
	return backoff.Waits{First: 20 * time.Millisecond, Most: 500 * time.Millisecond}
}

// batch is how many zones are reloaded one by one; of more, all are looked at.
const batch = 20

// ask has named do or tell something, rndc(8).
func (s *Server) ask(ctx context.Context, words ...string) (string, error) {
	if exists(s.rndc) {
		words = append([]string{"-c", s.rndc}, words...)
	}
	return s.run(ctx, "rndc", words...)
}

// running reports whether named answers rndc, and starts it where that is ours to
// do.
func (s *Server) running(ctx context.Context) (started bool, err error) {
	if _, err = s.ask(ctx, "status"); err == nil {
		return false, nil
	}
	if s.Systemd == nil {
		return false, fault.Hint(fmt.Errorf("named does not run: %w", err), "named -c %s", s.config)
	}
	err = s.Systemd(ctx, func(units Systemd) error {
		state, err := units.ActiveState(ctx, Unit)
		if err == nil && state != "active" {
			started, err = true, units.EnableNow(ctx, Unit)
		}
		return err
	})
	if err != nil {
		return started, fault.Hint(fmt.Errorf("cannot start named: %w", err), "journalctl -u %s", Unit)
	}
	return started, until(ctx, startLimit, func() error {
		_, err := s.ask(ctx, "status")
		return err
	})
}

// Start starts named unless it runs.
func (s *Server) Start(ctx context.Context) error {
	_, err := s.running(ctx)
	return err
}

// until waits for something to succeed; its last error is told.
func until(ctx context.Context, limit time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tries := backoff.Tries{Waits: askWaits()}
	var last error
	err := wait.Until(ctx, tries.Failed, func() (bool, error) {
		last = try()
		return last == nil, nil
	})
	if err != nil {
		return fault.Hint(last, "journalctl -u %s", Unit)
	}
	return nil
}

// tell has named take over what was written. The catalog comes last: a node asks
// at once for what is new in it, and waits for minutes if it is not there.
func (s *Server) tell(ctx context.Context, p *plan) error {
	started, err := s.running(ctx)
	if err != nil {
		return err
	}
	if !started {
		if err := s.reload(ctx, p); err != nil {
			return err
		}
	}
	if err := s.allLoaded(ctx, p.fresh); err != nil {
		return err
	}
	if !p.catalog || started {
		return nil
	}
	if err := s.reloadZone(ctx, Catalog); err != nil {
		return err
	}
	// A node that is refused at the very moment it is told forgets that it was.
	_, err = s.ask(ctx, "notify", Catalog)
	return err
}

// reload has named read its configuration, and the zones that changed.
func (s *Server) reload(ctx context.Context, p *plan) error {
	if p.pending || len(p.changed) > batch {
		_, err := s.ask(ctx, "reload")
		return err
	}
	if p.conf || len(p.fresh)+len(p.gone) > 0 {
		if _, err := s.ask(ctx, "reconfig"); err != nil {
			return err
		}
	}
	for _, name := range p.changed {
		if err := s.reloadZone(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) reloadZone(ctx context.Context, name string) error {
	return until(ctx, loadLimit, func() error {
		_, err := s.ask(ctx, "reload", name)
		return err
	})
}

// allLoaded waits until named serves zones. It is asked by DNS, where that is
// answered, which needs no process for each.
func (s *Server) allLoaded(ctx context.Context, zones []string) error {
	c, err := s.dial(ctx, s.Address, "")
	if err == nil {
		defer c.close()
	}
	for _, zone := range zones {
		if err == nil && c.serves(ctx, zone) {
			continue
		}
		if err := s.loaded(ctx, zone); err != nil {
			return err
		}
	}
	return nil
}

// loaded waits until named serves a zone.
func (s *Server) loaded(ctx context.Context, name string) error {
	return until(ctx, loadLimit, func() error {
		out, err := s.ask(ctx, "zonestatus", name)
		if err == nil && !strings.Contains(out, "serial:") {
			err = errors.New("not loaded")
		}
		if err != nil {
			return fmt.Errorf("named does not serve the zone %s: %w", name, err)
		}
		return nil
	})
}

// faultsOf takes from what named-checkzone said the lines that name a fault, and
// the name of the file.
func faultsOf(text, file string) string {
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(text, file, "line")) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.Contains(line, "not loaded due to errors") && !strings.Contains(line, "loading from master file") {
			lines = append(lines, line)
		}
	}
	if lines == nil {
		return strings.TrimSpace(text)
	}
	return strings.Join(lines, "; ")
}
