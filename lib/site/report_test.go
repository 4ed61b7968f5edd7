package site

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestDigest(t *testing.T) {
	a := Spec{Site: Site{Domain: "a.example", User: "a", UID: 20000}, VHost: "of a"}
	b := Spec{Site: Site{Domain: "b.example", User: "b", UID: 20001}, VHost: "of b"}
	gone := Spec{Site: Site{Domain: "c.example"}, Gone: true}
	is := Digest([]Spec{a, b})
	later := a
	later.CreatedAt, later.CreatedBy = time.Unix(1, 0), "somebody"
	for _, same := range [][]Spec{{b, a}, {b, gone, later}} {
		if Digest(same) != is {
			t.Errorf("the digest of %+v differs", same)
		}
	}
	seen := []string{is}
	for _, change := range []func(*Spec){
		func(s *Spec) { s.Domain = "d.example" }, func(s *Spec) { s.User = "d" }, func(s *Spec) { s.UID++ },
		func(s *Spec) { s.Shell = "/bin/sh" }, func(s *Spec) { s.Certificate = "cafe" },
		func(s *Spec) { s.Suspended = true }, func(s *Spec) { s.VHost = "other" }, func(s *Spec) { s.Gone = true },
	} {
		other := b
		change(&other)
		digest := Digest([]Spec{a, other})
		if slices.Contains(seen, digest) || len(digest) != 32 {
			t.Errorf("%+v has digest %q too", other, digest)
		}
		seen = append(seen, digest)
	}
}

func TestReportIsBounded(t *testing.T) {
	var r Report
	for range MostFaults + 3 {
		r.Add(Fault{Domain: "a.example", What: strings.Repeat("ä", 10000)})
	}
	if len(r.Faults) != MostFaults || r.More != 3 || r.Amiss() != MostFaults+3 || len(r.Faults[0].What) > 310 || !utf8.ValidString(r.Faults[0].What) {
		t.Errorf("%d faults of %d bytes, and %d more", len(r.Faults), len(r.Faults[0].What), r.More)
	}
	r = Report{}
	r.Fail(errors.New("two\n lines"))
	if r.Error != "two lines" {
		t.Errorf("%q", r.Error)
	}
}
