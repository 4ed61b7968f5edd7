package site

import (
	"slices"
	"strings"
	"testing"

	"iwx/lib/fault"
)

func TestParseDomain(t *testing.T) {
	for text, want := range map[string]string{
		"example.org":                    "example.org",
		" Example.ORG. ":                 "example.org",
		"Bücher.example":                 "xn--bcher-kva.example",
		"straße.de":                      "xn--strae-oqa.de", // not strasse: UTS #46, non-transitional
		"例え.jp":                          "xn--r8jz45g.jp",
		"xn--bcher-kva.example":          "xn--bcher-kva.example",
		"a-b.co.uk":                      "a-b.co.uk",
		"1.2.3.example":                  "1.2.3.example",
		strings.Repeat("a", 63) + ".org": strings.Repeat("a", 63) + ".org",
	} {
		if got, err := ParseDomain(text); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestNotADomain(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "it is empty",
		".":                                  "it is empty",
		"example":                            "one label",
		"192.0.2.1":                          "an address",
		"2001:db8::1":                        "an address",
		"example.42":                         "its last label is a number",
		"http://example.org":                 `':' may not be in it`,
		"exam ple.org":                       `' ' may not be in it`,
		"*.example.org":                      `'*' may not be in it`,
		"_dmarc.example.org":                 `'_' may not be in it`,
		"example..org":                       "a label is empty",
		"-a.org":                             "begins or ends with a hyphen",
		"a-.org":                             "begins or ends with a hyphen",
		strings.Repeat("a", 64) + ".org":     "longer than 63",
		strings.Repeat("abcdefg.", 33) + "x": "longer than 253",
		"xn--zzzzzzzzzz999.org":              "internationalised",
		"a\x00b.org":                         `'\x00' may not be in it`,
	} {
		got, err := ParseDomain(text)
		if err == nil || !strings.Contains(err.Error(), want) || fault.CodeOf(err) != fault.Usage || fault.HintOf(err) == "" {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func FuzzParseDomain(f *testing.F) {
	for _, s := range []string{"example.org", "Bücher.example", "xn--bcher-kva.example", "a..b", "\xff.org", "ا.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := ParseDomain(text)
		if err != nil {
			return
		}
		if again, err := ParseDomain(name); err != nil || again != name {
			t.Errorf("%q became %q, and that %q, %v", text, name, again, err)
		}
		if back, err := ParseDomain(Display(name)); err != nil || back != name {
			t.Errorf("%q is shown as %q, which is read as %q, %v", name, Display(name), back, err)
		}
		if len(name) > 253 || strings.ContainsFunc(name, func(r rune) bool { return r != '.' && !isLDH(r) }) {
			t.Errorf("%q became %q", text, name)
		}
	})
}

func TestParseAliases(t *testing.T) {
	got, err := ParseAliases("example.org", []string{"WWW.example.org", "b.example", "example.org", "www.example.org"})
	if err != nil || !slices.Equal(got, []string{"b.example", "www.example.org"}) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ParseAliases("example.org", []string{"a b"}); err == nil {
		t.Error("an alias that is no domain was taken")
	}
}

func TestUserFor(t *testing.T) {
	taken := func(name string) bool { return name == "shop" || name == "shop2" || name == "averylongnameofa" }
	for domain, want := range map[string]string{
		"example.org":                  "example",
		"shop.example.org":             "shop3",
		"1und1.example":                "s1und1",
		"my-shop.example":              "myshop",
		"xn--bcher-kva.example":        "xnbcherkva",
		"averylongnameofashop.example": "averylongnameof2",
		"www.example":                  "www2",
		"root.example":                 "root2",
	} {
		if got := UserFor(domain, taken); got != want {
			t.Errorf("%s: %q, want %q", domain, got, want)
		}
		if err := CheckUser(UserFor(domain, taken)); err != nil {
			t.Errorf("%s: %v", domain, err)
		}
	}
}

func TestCheckUser(t *testing.T) {
	for _, name := range []string{"ann", "ann-2", "a_b", strings.Repeat("a", 31)} {
		if err := CheckUser(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "Ann", "2ann", "-ann", "ann.b", "ann b", "ann\n", "ann:", strings.Repeat("a", 32), "root", "www-data", "postmaster"} {
		if err := CheckUser(name); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNextID(t *testing.T) {
	ids := UIDs{First: 20000, Last: 20003}
	used := map[uint32]bool{20001: true}
	for _, tt := range []struct{ last, want uint32 }{{0, 20000}, {19999, 20000}, {20000, 20002}, {20002, 20003}, {20003, 20000}, {30000, 20000}} {
		if got, err := ids.Next(tt.last, func(id uint32) bool { return used[id] }); err != nil || got != tt.want {
			t.Errorf("after %d: %d, %v; want %d", tt.last, got, err, tt.want)
		}
	}
	if _, err := ids.Next(0, func(uint32) bool { return true }); err == nil || !strings.Contains(err.Error(), "all ids from 20000 to 20003 are used") {
		t.Errorf("of a used up range: %v", err)
	}
}

func example() Spec {
	return Spec{Site: Site{
		Domain: "example.org", Aliases: []string{"www.example.org"}, User: "example", UID: 20000,
		Home: "/srv/iwx/home/example", Root: "/srv/iwx/home/example/public_html", Shell: "/usr/sbin/nologin", Template: "default",
	}}
}

func TestCheckSite(t *testing.T) {
	good := example()
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Site){
		"domain":      func(s *Site) { s.Domain = "Example.org" },
		"alias":       func(s *Site) { s.Aliases = []string{"a b"} },
		"user":        func(s *Site) { s.User = "root" },
		"uid":         func(s *Site) { s.UID = 0 },
		"home":        func(s *Site) { s.Home = "/" },
		"home path":   func(s *Site) { s.Home = "/srv/../etc" },
		"home line":   func(s *Site) { s.Home = "/srv/a\nb"; s.Root = s.Home + "/r" },
		"root":        func(s *Site) { s.Root = "/srv/iwx/home/example2/www" },
		"root itself": func(s *Site) { s.Root = s.Home },
		"shell":       func(s *Site) { s.Shell = "sh" },
		"template":    func(s *Site) { s.Template = "../x" },
		"certificate": func(s *Site) { s.Certificate = "../../etc/passwd" },
	} {
		s := example()
		spoil(&s.Site)
		if err := s.Check(); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOrder(t *testing.T) {
	o := &Order{WebServer: "apache2", Specs: []Spec{example()}}
	data, err := o.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeOrder(data)
	if err != nil || len(got.Specs) != 1 || got.Specs[0].Domain != "example.org" || got.WebServer != "apache2" {
		t.Errorf("%+v, %v", got, err)
	}
	twin := example()
	twin.Domain, twin.Aliases = "example.com", nil
	for _, bad := range []Order{{WebServer: "caddy"}, {Specs: []Spec{example(), example()}}, {Specs: []Spec{example(), twin}}, {Specs: []Spec{{}}}} {
		data, _ := bad.Encode()
		if _, err := DecodeOrder(data); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%s: %v", data, err)
		}
	}
	if _, err := DecodeOrder([]byte("{")); err == nil {
		t.Error("half an order was read")
	}
}

func FuzzDecodeOrder(f *testing.F) {
	data, _ := (&Order{Specs: []Spec{example()}}).Encode()
	f.Add(data)
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := DecodeOrder(data)
		if err != nil {
			return
		}
		for i := range o.Specs {
			if s := &o.Specs[i]; s.UID < 1000 || strings.Contains(s.Home+s.Root+s.Shell+s.User, "\n") {
				t.Errorf("%+v", s)
			}
		}
	})
}
