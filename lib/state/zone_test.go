package state_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"iwx/lib/dns"
	"iwx/lib/site"
	"iwx/lib/state"
)

// revision returns the revision of the zones, and whether there are some.
func revision(t *testing.T, s *state.Store) (uint64, bool) {
	t.Helper()
	n, some, err := s.ZonesRevision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n, some
}

// TestZonesRevision: every write that changes the zones raises it, and no other does.
func TestZonesRevision(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	sites := func(specs ...site.Spec) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.ChangeSites(ctx, &state.SiteChange{Specs: specs, WebServer: "nginx"})
			return err
		}
	}
	zone := func(z dns.Zone) func(context.Context) error {
		return func(ctx context.Context) error { return s.PutZone(ctx, &z) }
	}
	mx := dns.Set{Name: dns.Apex, Type: "MX", TTL: 300, Data: []string{"10 mail.a.example."}}
	a, b := aSite("a.example", "a", 20000), aSite("b.example", "b", 20001, "www.b.example")
	suspended, moved := a, b
	suspended.Suspended, suspended.Certificate = true, "cafe"
	moved.Aliases = []string{"b.example.org"}
	gone := func(spec site.Spec) site.Spec { spec.Gone = true; return spec }
	last, some := revision(t, s)
	if last == 0 || some {
		t.Errorf("at first revision %d, zones %v", last, some)
	}
	for _, step := range []struct {
		name    string
		write   func(context.Context) error
		changes bool
		some    bool
	}{
		{"a zone that is kept and no site's", zone(dns.Zone{Name: "a.example", Sets: []dns.Set{mx}}), true, false},
		{"a zone that stands alone", zone(dns.Zone{Name: "c.example", Alone: true}), true, true},
		{"the same again", zone(dns.Zone{Name: "c.example", Alone: true}), false, true},
		{"it goes", func(ctx context.Context) error { return s.DeleteZone(ctx, "c.example") }, true, false},
		{"and again", func(ctx context.Context) error { return s.DeleteZone(ctx, "c.example") }, false, false},
		{"a zone is adopted", func(ctx context.Context) error { return s.AdoptZone(ctx, "d.example") }, true, true},
		{"and again", func(ctx context.Context) error { return s.AdoptZone(ctx, "d.example") }, false, true},
		{"it is released", func(ctx context.Context) error { _, err := s.ReleaseZone(ctx, "d.example"); return err }, true, false},
		{"and again", func(ctx context.Context) error { _, err := s.ReleaseZone(ctx, "d.example"); return err }, false, false},
		{"a site", sites(a), true, true},
		{"two, of which one is new", sites(a, b), true, true},
		{"something of a site that is not a name", sites(suspended), false, true},
		{"another alias", sites(moved), true, true},
		{"its order", sites(moved), false, true},
		{"a site is being deleted", sites(gone(moved)), true, true},
		{"a record of a site's zone", zone(dns.Zone{Name: "a.example", Sets: nil}), true, true},
		{"what is not about zones", func(ctx context.Context) error { return s.SetBackup(ctx, state.Backup{Name: "x"}) }, false, true},
		{"a site is forgotten, with its names", func(ctx context.Context) error {
			_, err := s.ChangeSites(ctx, &state.SiteChange{Ended: []string{"b.example"}})
			return err
		}, true, true},
		{"the last one is being deleted", sites(gone(a)), true, false},
		{"it is back", sites(a), true, true},
	} {
		if err := step.write(t.Context()); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		now, some := revision(t, s)
		if changed := now > last; changed != step.changes || now < last || some != step.some {
			t.Errorf("%s: revision %d after %d, zones %v", step.name, now, last, some)
		}
		last = now
	}
	// A write that fails raises nothing.
	b.Aliases = []string{"a.example"}
	if err := sites(aSite("e.example", "e", 20005), b)(t.Context()); err == nil {
		t.Error("a name was given away twice")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.AdoptZone(ended, "d.example"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if now, _ := revision(t, s); now != last {
		t.Errorf("revision %d after %d, and nothing was changed", now, last)
	}
}

// TestSiteNames: they are those by which zones are made.
func TestSiteNames(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	gone := aSite("gone.example", "gone", 20001, "www.gone.example")
	gone.Gone = true
	for _, step := range []struct {
		specs []site.Spec
		want  []string
	}{
		{nil, nil},
		{[]site.Spec{aSite("b.example", "b", 20000, "www.b.example", "a.example"), gone}, []string{"a.example", "b.example", "www.b.example"}},
		{[]site.Spec{aSite("b.example", "b", 20000, "c.example")}, []string{"b.example", "c.example"}},
		{[]site.Spec{aSite("d.example", "d", 20002, "a.example")}, []string{"a.example", "b.example", "c.example", "d.example"}},
	} {
		if _, err := s.ChangeSites(t.Context(), &state.SiteChange{Specs: step.specs}); err != nil {
			t.Fatal(err)
		}
		if got, err := s.SiteNames(t.Context()); err != nil || !slices.Equal(got, step.want) {
			t.Errorf("got %q, %v, want %q", got, err, step.want)
		}
	}
}
