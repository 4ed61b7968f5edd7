package dns_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"iwx/lib/dns"
)

func addrs(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// around is a cluster of a manager and a node.
func around() *dns.Surroundings {
	return &dns.Surroundings{
		Servers: []dns.Host{{"Manager", addrs("192.0.2.9")}, {"web1.lan", addrs("192.0.2.11", "2001:db8::11")}},
		Web:     addrs("192.0.2.80", "2001:db8::80"), Mail: addrs("192.0.2.25"),
	}
}

// TestNeeded: a name beneath a zone is in it, unless it has a zone of its own.
func TestNeeded(t *testing.T) {
	kept := []dns.Zone{{Name: "blog.kept.example"}, {Name: "gone.example"}, {Name: "alone.example", Alone: true}, {Name: "hand.example", Alone: true}}
	for _, tt := range []struct{ names, want string }{
		{"", "alone.example[][]"},
		{"example.org", "alone.example[][] example.org[][]"},
		{"www.example.org example.org shop.example.org", "alone.example[][] example.org[shop www][]"},
		{"shop.example.org", "alone.example[][] shop.example.org[][]"},
		{"example.org notexample.org", "alone.example[][] example.org[][] notexample.org[][]"},
		{"www.alone.example", "alone.example[www][]"},
		{"kept.example blog.kept.example a.blog.kept.example", "alone.example[][] blog.kept.example[a][] kept.example[][blog]"},
		{"hand.example", "alone.example[][]"},
	} {
		var got []string
		for _, z := range dns.Needed(strings.Fields(tt.names), kept, []string{"hand.example"}) {
			got = append(got, fmt.Sprintf("%s%v%v", z.Name, z.Hosts, z.Cuts))
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.names, got, tt.want)
		}
	}
}

// mustRender renders a zone, and returns its records as another library reads them.
func mustRender(t *testing.T, z *dns.Zone, in *dns.Surroundings) string {
	t.Helper()
	text, err := dns.Render(z, in)
	if err != nil {
		t.Fatal(err)
	}
	parser := miekg.NewZoneParser(strings.NewReader(text(7)), "", "")
	var b strings.Builder
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		b.WriteString(strings.ReplaceAll(rr.String(), "\t", " ") + "\n")
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRender(t *testing.T) {
	zone := &dns.Zone{Name: "example.org", Hosts: []string{"shop", "www"}, Cuts: []string{"blog"}}
	want := `example.org. 300 IN SOA ns-manager.example.org. hostmaster.example.org. 7 900 120 2419200 300
example.org. 300 IN NS ns-manager.example.org.
example.org. 300 IN NS ns-web1-lan.example.org.
example.org. 300 IN A 192.0.2.80
example.org. 300 IN AAAA 2001:db8::80
example.org. 300 IN MX 10 mail.example.org.
blog.example.org. 300 IN NS ns-manager.blog.example.org.
blog.example.org. 300 IN NS ns-web1-lan.blog.example.org.
ns-manager.blog.example.org. 300 IN A 192.0.2.9
ns-web1-lan.blog.example.org. 300 IN A 192.0.2.11
ns-web1-lan.blog.example.org. 300 IN AAAA 2001:db8::11
mail.example.org. 300 IN A 192.0.2.25
ns-manager.example.org. 300 IN A 192.0.2.9
ns-web1-lan.example.org. 300 IN A 192.0.2.11
ns-web1-lan.example.org. 300 IN AAAA 2001:db8::11
shop.example.org. 300 IN A 192.0.2.80
shop.example.org. 300 IN AAAA 2001:db8::80
www.example.org. 300 IN A 192.0.2.80
www.example.org. 300 IN AAAA 2001:db8::80
`
	if got := mustRender(t, zone, around()); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	in := around()
	in.Nameservers, in.Hostmaster, in.Mail = []string{"ns1.example.net"}, "dns.team@example.net", nil
	in.Template = "{{range .Web}}* {{.Type}} {{.Addr}}\n{{end}}"
	want = `example.org. 300 IN SOA ns1.example.net. dns\.team.example.net. 7 900 120 2419200 300
example.org. 300 IN NS ns1.example.net.
*.example.org. 300 IN A 192.0.2.80
*.example.org. 300 IN AAAA 2001:db8::80
`
	if got := mustRender(t, &dns.Zone{Name: "example.org"}, in); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestTemplates: one that cannot be used says why.
func TestTemplates(t *testing.T) {
	for text, want := range map[string]string{
		"{{":                           "unclosed action",
		"{{.Nobody}}":                  "can't evaluate field Nobody",
		"www A nobody":                 "bad A",
		"www.example.net. A 192.0.2.1": `"www.example.net." is not a name in zone example.org: it is outside`,
		"@ CNAME www\nwww A 192.0.2.1": "example.org is a zone itself and cannot be a CNAME",
	} {
		in := around()
		in.Template = text
		if _, err := dns.Render(&dns.Zone{Name: "example.org"}, in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// do makes a change to a zone as the tool does: "add www A 192.0.2.1".
func do(z *dns.Zone, line string) (bool, error) {
	w := strings.Fields(line)
	key := dns.Key{}
	var err error
	if key.Name, err = dns.ParseName(z.Name, w[1]); err != nil {
		return false, err
	}
	if len(w) > 2 {
		if key.Type, err = dns.ParseType(w[2]); err != nil {
			return false, err
		}
	}
	data := ""
	if len(w) > 3 {
		if data, err = dns.ParseData(z.Name, key.Type, w[3:]); err != nil {
			return false, err
		}
	}
	switch w[0] {
	case "add":
		return z.Add(around(), key, data, nil)
	case "edit":
		return z.Edit(around(), key, data, nil)
	}
	n, err := z.Delete(around(), key, data)
	return n > 0, err
}

// TestChanges holds what a name has after changes: what was touched follows the
// cluster no longer, the rest does.
func TestChanges(t *testing.T) {
	for _, tt := range []struct{ changes, name, want string }{
		{"add shop A 192.0.2.1", "shop", "A 192.0.2.1"},
		{"add www A 192.0.2.1", "www", "A 192.0.2.80, A 192.0.2.1, AAAA 2001:db8::80"},
		{"edit www A 192.0.2.1", "www", "A 192.0.2.1, AAAA 2001:db8::80"},
		{"delete www AAAA", "www", "A 192.0.2.80"},
		{"delete www", "www", ""},
		{"delete www|add www A 192.0.2.1", "www", "A 192.0.2.1"},
		{"add www CNAME example.org", "www", "CNAME example.org."},
		{"add www CNAME web", "www", "CNAME web.example.org."},
		{"edit @ MX 5 mx.example.net", "@ MX", "MX 5 mx.example.net."},
		{"delete @ MX", "@ MX", ""},
		{"edit @ MX 0 .", "@ MX", "MX 0 ."},
		{"add @ NS ns.example.net", "@ NS", "NS ns-manager.example.org., NS ns-web1-lan.example.org., NS ns.example.net."},
		{"add _dmarc TXT v=DMARC1; p=none", "_dmarc", `TXT "v=DMARC1; p=none"`},
		{"add *.dev A 192.0.2.1|add @ MX 5 x.dev.example.org", "*.dev", "A 192.0.2.1"},
		{"add bücher A 192.0.2.1", "xn--bcher-kva", "A 192.0.2.1"},
		{"add a CNAME bücher.example", "a", "CNAME xn--bcher-kva.example."},
		{"add WWW.Example.ORG. A 192.0.2.1|delete www a 192.0.2.80", "www", "A 192.0.2.1, AAAA 2001:db8::80"},
		{"add _sip._tcp SRV 0 5 5060 mail", "_sip._tcp", "SRV 0 5 5060 mail.example.org."},
		{"add ns.sub A 192.0.2.1|add sub NS ns.sub.example.org", "sub", "NS ns.sub.example.org."},
		{`add @ CAA 0 issue "ca.example"`, "@ CAA", `CAA 0 issue "ca.example"`},
	} {
		z := &dns.Zone{Name: "example.org"}
		for line := range strings.SplitSeq(tt.changes, "|") {
			if changed, err := do(z, line); err != nil || !changed {
				t.Fatalf("%s: %v, %v", line, changed, err)
			}
		}
		if got := at(t, z, tt.name); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.changes, got, tt.want)
		}
		mustRender(t, z, around())
	}
}

// at lists what is at a name, "www", or of one type there, "@ MX".
func at(t *testing.T, z *dns.Zone, what string) string {
	t.Helper()
	sets, err := z.Compose(around())
	if err != nil {
		t.Fatal(err)
	}
	name, kind, one := strings.Cut(what, " ")
	var list []string
	for _, set := range sets {
		for _, data := range set.Data {
			if set.Name == name && (!one || set.Type == kind) {
				list = append(list, set.Type+" "+data)
			}
		}
	}
	return strings.Join(list, ", ")
}

// TestDoubts: a valid record that is most likely a mistake gives a warning; other
// records of a site's name give none.
func TestDoubts(t *testing.T) {
	for _, tt := range []struct{ changes, want string }{
		{"add shop TXT kept", ""},
		{"add shop MX 10 mail", ""},
		{"add shop AAAA 2001:db8::7", "shop.example.org is a name of a site, and its A record of the cluster, 192.0.2.80, is replaced"}, // the administrator then owns the addresses
		{"add blog CNAME elsewhere.example.net", ""},
		{"add a.b A 192.0.2.7|add c CNAME b", ""}, // b is there, as what is above a.b
		{"add *.dev A 192.0.2.7|add c CNAME x.dev", ""},
		{"add c CNAME nosuch", "c.example.org is a CNAME of nosuch.example.org, which is not in the zone"},
		{"add c DNAME nosuch", "c.example.org is a DNAME of nosuch.example.org, which is not in the zone"},
		{"add shop CNAME elsewhere.example.net", "shop.example.org is a name of a site, and its A record of the cluster, 192.0.2.80, is replaced; " +
			"shop.example.org is a name of a site, and its AAAA record of the cluster, 2001:db8::80, is replaced"},
		{"edit shop A 192.0.2.7", "shop.example.org is a name of a site, and its A record of the cluster, 192.0.2.80, is replaced; " +
			"shop.example.org is a name of a site, and its AAAA record of the cluster, 2001:db8::80, is replaced"},
	} {
		z := &dns.Zone{Name: "example.org", Hosts: []string{"shop"}}
		before, err := z.Compose(around())
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(tt.changes, "|") {
			if changed, err := do(z, line); err != nil || !changed {
				t.Fatalf("%s: %v, %v", line, changed, err)
			}
		}
		doubts, err := z.Doubts(around(), before)
		if got := strings.Join(doubts, "; "); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.changes, got, err, tt.want)
		}
	}
}

// TestSame: a change that changes nothing says so.
func TestSame(t *testing.T) {
	z := &dns.Zone{Name: "example.org"}
	for _, line := range []string{"add www A 192.0.2.80", "edit www A 192.0.2.80"} {
		if changed, err := do(z, line); changed || err != nil || len(z.Sets) > 0 {
			t.Errorf("%s: %v, %v, %v", line, changed, err, z.Sets)
		}
	}
	ttl := uint32(60)
	if changed, err := z.Edit(around(), dns.Key{"www", "A"}, "", &ttl); !changed || err != nil || z.Sets[0].TTL != 60 || len(z.Sets[0].Data) != 1 {
		t.Errorf("%v, %v, %v", changed, err, z.Sets)
	}
}

// TestBad: what makes a zone invalid is refused, and says what it is.
func TestBad(t *testing.T) {
	for _, tt := range []struct{ changes, want string }{
		{"add @ CNAME www", "example.org is a zone itself and cannot be a CNAME"},
		{"add a A 192.0.2.1|add a CNAME b", "a.example.org has a CNAME and other records: a CNAME stands alone"},
		{"add a CNAME b|add a A 192.0.2.1", "a.example.org has a CNAME and other records: a CNAME stands alone"},
		{"add a CNAME b|add a CNAME c", "a.example.org has 2 CNAME records: there can be one"},
		{"add a CNAME www|add @ MX 10 a", "example.org MX names a.example.org., which is a CNAME"},
		{"add @ MX 10 nobody", "example.org MX names nobody.example.org., which has no address"},
		{"add @ NS ns", "example.org NS names ns.example.org., which has no address"},
		{"add *.b CNAME www|add @ MX 10 a.b.example.org", "example.org MX names a.b.example.org., which is a CNAME"},
		{"delete mail A", "example.org MX names mail.example.org., which has no address"},
		{"delete @ NS", "zone example.org has no name server"},
		{"delete shop", "shop.example.org has no such record: shop"},
		{"edit shop A 192.0.2.1", "shop.example.org has no such record: shop A"},
		{"add www.example.net. A 192.0.2.1", `"www.example.net." is not a name in zone example.org: it is outside`},
		{"add a..b A 192.0.2.1", `"a..b" is not a name in zone example.org: "" cannot be a part of it`},
		{"add a.*.b A 192.0.2.1", `"*" cannot be a part of it`},
		{"add a$ A 192.0.2.1", `"a$" cannot be a part of it`},
		{"add " + strings.Repeat("a", 64) + " A 192.0.2.1", "it is too long"},
		{"add www SOA x", "the SOA record is made by itself"},
		{"add www RRSIG x", `"RRSIG" is not a type of record that a zone may have`},
		{"add www A 192.0.2.300", `"192.0.2.300" is not valid in a record of type A`},
		{"add www A 2001:db8::1", "is not valid in a record of type A"},
		{"add www A 192.0.2.1 192.0.2.2", "is not valid in a record of type A"},
		{"add www AAAA 192.0.2.1", "is not valid in a record of type AAAA"},
		{"add @ MX mail", "is not valid in a record of type MX"},
		{"add @ MX 70000 mail", "is not valid in a record of type MX"},
	} {
		z := &dns.Zone{Name: "example.org"}
		var err error
		for line := range strings.SplitSeq(tt.changes, "|") {
			_, err = do(z, line)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.changes, err, tt.want)
		}
	}
}

func TestTTL(t *testing.T) {
	for text, want := range map[string]string{"0": "0", "300": "300", "1h": "3600", "1h30m": "5400", "2147483647": "2147483647",
		"2147483648": "", "-1": "", "1.5s": "", "x": "", "": ""} {
		got, err := dns.ParseTTL(text)
		if want == "" && err == nil || want != "" && fmt.Sprint(got) != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

// TestText: a text of any length is in strings that DNS has.
func TestText(t *testing.T) {
	for _, text := range []string{"v=spf1 mx -all", `a "b" \ c; d`, strings.Repeat("k", 255), strings.Repeat("k", 256), strings.Repeat("kü", 400)} {
		data, err := dns.ParseData("example.org", "TXT", []string{text})
		if err != nil {
			t.Fatal(err)
		}
		rr, err := miekg.NewRR("x. TXT " + data)
		if err != nil {
			t.Fatal(err)
		}
		strs := rr.(*miekg.TXT).Txt
		packed := make([]byte, miekg.Len(rr)+1)
		if _, err := miekg.PackRR(rr, packed, 0, nil, false); err != nil {
			t.Errorf("%.20q in %d strings: %v", text, len(strs), err)
		}
		if got := (len(text) + 254) / 255; len(strs) != got {
			t.Errorf("%.20q is in %d strings, want %d", text, len(strs), got)
		}
	}
}

func TestRead(t *testing.T) {
	text := `$TTL 1h
example.org. SOA ns hostmaster 1 2 3 4 5
@ NS ns1.example.net.
www A 192.0.2.1
www 60 A 192.0.2.2
www A 192.0.2.1
sub NS ns.sub
ns.sub A 192.0.2.3
www RRSIG A 8 3 3600 20300101000000 20200101000000 1 example.org. AAAA
`
	if _, err := dns.Read(strings.NewReader(text), ""); err == nil {
		t.Error("names that are not whole are read without a zone")
	}
	f, err := dns.Read(strings.NewReader(text), "example.org")
	if err != nil {
		t.Fatal(err)
	}
	want := []dns.Set{
		{Name: "www", Type: "A", TTL: 60, Data: []string{"192.0.2.1", "192.0.2.2"}},
		{Name: "sub", Type: "NS", TTL: 3600, Data: []string{"ns.sub.example.org."}},
		{Name: "ns.sub", Type: "A", TTL: 3600, Data: []string{"192.0.2.3"}},
	}
	if fmt.Sprint(f.Sets) != fmt.Sprint(want) || !slices.Equal(f.LeftOut, []string{"SOA", "NS", "RRSIG"}) {
		t.Errorf("%v, without %v", f.Sets, f.LeftOut)
	}
	if f, err := dns.Read(strings.NewReader("$ORIGIN Example.ORG.\n@ SOA ns hostmaster 1 2 3 4 5\n"), ""); err != nil || f.Zone != "example.org" {
		t.Errorf("%+v, %v", f, err)
	}
	for text, want := range map[string]string{
		"www A 192.0.2.1\nwww A nobody\n": "bad A A",
		"www A ":                          "the A record holds nothing",
		"$INCLUDE /etc/passwd\n":          "$INCLUDE",
		"www.example.net. A 192.0.2.1\n":  "it is outside",
		"www CH TXT x\n":                  "class CH is not IN",
		"www 4294967295 A 192.0.2.1\n":    "out of range",
		"$GENERATE 1-65535 a$ A 192.0.2.1\n$GENERATE 1-65535 b$ A 192.0.2.1\n": "more than 100000 records",
	} {
		if _, err := dns.Read(strings.NewReader(text), "example.org"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

// FuzzData: what is taken is one record, and reads as the same again; whatever a
// zone has been given, its file is read by others.
func FuzzData(f *testing.F) {
	for _, seed := range []string{"A\x00192.0.2.1", "TXT a\"b", "MX 10 mail", "CAA 0 issue \"x\"", "TXT \"a\" \"b\"", "SRV 0 5 5060 sip.example.net", "TXT ;", "HTTPS 1 . alpn=h2", "CNAME ( b"} {
		kind, data, _ := strings.Cut(seed, " ")
		f.Add("www", kind, data)
	}
	f.Fuzz(func(t *testing.T, name, kind, data string) {
		kind, err := dns.ParseType(kind)
		if err != nil {
			return
		}
		got, err := dns.ParseData("example.org", kind, []string{data})
		if err != nil {
			return
		}
		name, err = dns.ParseName("example.org", name)
		if err != nil {
			return
		}
		if again, err := dns.ParseName("example.org", name); err != nil || again != name {
			t.Errorf("name %q: %q, %v", name, again, err)
		}
		if again, err := dns.ParseData("example.org", kind, []string{got}); err != nil || again != got {
			t.Errorf("%s %q is %q, and that %q, %v", kind, data, got, again, err)
		}
		z := &dns.Zone{Name: "example.org", Alone: true}
		if _, err := z.Add(around(), dns.Key{Name: name, Type: kind}, got, nil); err == nil {
			mustRender(t, z, around())
		}
	})
}

// FuzzRead: a file that is taken, and makes a valid zone, reads as the same again.
func FuzzRead(f *testing.F) {
	f.Add("@ SOA a b 1 2 3 4 5\nwww A 192.0.2.1\n* CNAME www\n")
	f.Add("$TTL 5\n$ORIGIN a.example.org.\n@ 60 TXT \"x;y\" (\n z )\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "$GENERATE") {
			return // many records of few bytes
		}
		file, err := dns.Read(strings.NewReader(text), "example.org")
		if err != nil {
			return
		}
		z := &dns.Zone{Name: "example.org", Alone: true, Sets: file.Sets}
		if out, err := dns.Render(z, around()); err == nil {
			if _, err := dns.Read(strings.NewReader(out(1)), "example.org"); err != nil {
				t.Errorf("%v in\n%s", err, out(1))
			}
		}
	})
}
