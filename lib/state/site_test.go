package state_test

import (
	"strings"
	"testing"
	"time"

	"iwx/lib/queue"
	"iwx/lib/site"
	"iwx/lib/state"
)

func aSite(domain, user string, uid uint32, aliases ...string) site.Spec {
	return site.Spec{Site: site.Site{Domain: domain, Aliases: aliases, User: user, UID: uid, Home: "/srv/iwx/home/" + user}, VHost: "of " + domain}
}

func order() *state.Draft {
	return &state.Draft{Kind: queue.KindCommand, Targets: queue.Targets{Scope: queue.ScopeBaseline}, Body: []byte("order")}
}

func TestChangeSites(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	ctx := t.Context()
	if err := s.BeginSites(ctx, &site.Intent{Begun: []site.Begun{{Spec: aSite("example.org", "example", 20000), NewHome: true}}}); err != nil {
		t.Fatal(err)
	}
	if i, err := s.SiteIntent(ctx); err != nil || i == nil || len(i.Begun) != 1 || !i.Begun[0].NewHome {
		t.Fatalf("%+v, %v", i, err)
	}
	with := aSite("example.org", "example", 20000, "www.example.org")
	with.Certificate = "cafe"
	op, err := s.ChangeSites(ctx, &state.SiteChange{WebServer: "nginx", Specs: []site.Spec{with}, LastUID: 20000, Certificates: map[string][]byte{"cafe": []byte("pem"), "stray": []byte("pem")}, Draft: order()})
	if err != nil || op.Seq != 1 {
		t.Fatalf("%v, %v", op, err)
	}
	if i, err := s.SiteIntent(ctx); err != nil || i != nil {
		t.Errorf("the intent is left: %+v, %v", i, err)
	}
	if row, err := s.SiteNamed(ctx, "www.example.org"); err != nil || row == nil || row.Domain != "example.org" || row.Seq != 1 || row.VHost != "of example.org" {
		t.Errorf("%+v, %v", row, err)
	}
	if here, err := s.SitesHere(ctx); err != nil || len(here) != 1 || here[0].WebServer != "nginx" || here[0].VHost != with.VHost {
		t.Errorf("%+v, %v", here, err)
	}
	if has, err := s.HasSites(ctx); err != nil || !has {
		t.Errorf("%v, %v", has, err)
	}
	if last, err := s.LastUID(ctx); err != nil || last != 20000 {
		t.Errorf("%d, %v", last, err)
	}
	if pem, err := s.SiteCertificate(ctx, "cafe"); err != nil || string(pem) != "pem" {
		t.Errorf("%q, %v", pem, err)
	}
	if pem, err := s.SiteCertificate(ctx, "stray"); err != nil || pem != nil {
		t.Errorf("a certificate that no site has is kept: %q, %v", pem, err)
	}
}

func TestSiteNamesClash(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	ctx := t.Context()
	if _, err := s.ChangeSites(ctx, &state.SiteChange{Specs: []site.Spec{aSite("example.org", "example", 20000, "www.example.org")}}); err != nil {
		t.Fatal(err)
	}
	for _, clash := range []site.Spec{aSite("www.example.org", "www1", 20001), aSite("b.org", "b", 20001, "example.org"), aSite("c.org", "example", 20001), aSite("d.org", "d", 20000)} {
		_, err := s.ChangeSites(ctx, &state.SiteChange{Specs: []site.Spec{aSite("good.org", "good", 20009), clash}, Draft: order()})
		if err == nil {
			t.Fatalf("%s was taken", clash.Domain)
		}
		if clash.UID != 20000 && clash.User != "example" && !strings.Contains(err.Error(), "is a name of site example.org already") {
			t.Error(err)
		}
	}
	if sites, err := s.Sites(ctx); err != nil || len(sites) != 1 {
		t.Errorf("%d sites, %v: a refused change left something", len(sites), err)
	}
	if head, err := s.Head(ctx); err != nil || head.Seq != 0 {
		t.Errorf("the nodes are told of a refused change: %d, %v", head.Seq, err)
	}
}

func TestDeleteSite(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	ctx := t.Context()
	spec := aSite("example.org", "example", 20000)
	spec.Certificate = "cafe"
	change := func(c *state.SiteChange) {
		t.Helper()
		if _, err := s.ChangeSites(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	change(&state.SiteChange{Specs: []site.Spec{spec}, Certificates: map[string][]byte{"cafe": []byte("pem")}, Draft: order()})
	spec.Gone = true
	change(&state.SiteChange{Specs: []site.Spec{spec}, Purge: true, Draft: order()})
	row, err := s.SiteNamed(ctx, "example.org")
	if err != nil || row == nil || !row.Gone || !row.Purge || row.Seq != 2 {
		t.Fatalf("%+v, %v", row, err)
	}
	if here, err := s.SitesHere(ctx); err != nil || len(here) != 1 || here[0].Gone {
		t.Errorf("the manager let go before the nodes: %+v, %v", here, err)
	}
	change(&state.SiteChange{Ended: []string{"example.org"}})
	if row, err := s.SiteNamed(ctx, "example.org"); err != nil || row != nil {
		t.Errorf("%+v, %v", row, err)
	}
	if here, err := s.SitesHere(ctx); err != nil || len(here) != 0 {
		t.Errorf("%+v, %v", here, err)
	}
	if pem, err := s.SiteCertificate(ctx, "cafe"); err != nil || pem != nil {
		t.Errorf("%q, %v", pem, err)
	}
}

func TestSitesApplied(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	ctx := t.Context()
	at := time.UnixMilli(1000)
	op := state.SiteOp{WebServer: "apache2", Op: queue.OpID{Epoch: 1, Seq: 7}, Specs: []site.Spec{aSite("a.org", "a", 20000), aSite("b.org", "b", 20001)}, At: at}
	for range 2 {
		if err := s.SitesApplied(ctx, &op); err != nil {
			t.Fatal(err)
		}
	}
	if done, err := s.OpDone(ctx, op.Op, op.Digest); err != nil || !done {
		t.Errorf("%v, %v", done, err)
	}
	op.Specs[0].Gone = true
	if err := s.SitesApplied(ctx, &op); err != nil {
		t.Fatal(err)
	}
	if here, err := s.SitesHere(ctx); err != nil || len(here) != 1 || here[0].Domain != "b.org" || here[0].WebServer != "apache2" {
		t.Errorf("%+v, %v", here, err)
	}
}
