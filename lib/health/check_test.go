package health

import (
	"strings"
	"testing"
	"time"
)

func TestDefaults(t *testing.T) {
	for _, kind := range Kinds() {
		c := Defaults(kind)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if got := (Check{Kind: kind}).Filled(); got != c {
			t.Errorf("%s: filled is %+v, default %+v", kind, got, c)
		}
	}
	if got := (Check{}).Filled(); got != Defaults(TCP) {
		t.Errorf("of no kind: %+v", got)
	}
}

func TestFilledKeepsWhatWasGiven(t *testing.T) {
	given := Check{Kind: HTTPS, Level: Speak, Interval: 3 * time.Second, Connect: time.Second, Timeout: time.Minute, Fall: 7, Rise: 8, Slow: -1, Host: "a.example", Path: "/up", Status: "204"}
	if got := given.Filled(); got != given {
		t.Errorf("%+v", got)
	}
	if c := (Check{Kind: IMAP, Level: Connect}).Filled(); c.Interval != connectInterval {
		t.Errorf("connections alone are made every %v", c.Interval)
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		change func(*Check)
		want   string
	}{
		{func(c *Check) { c.Kind = "gopher" }, `check: kind "gopher" is not one of tcp, http, https, smtp,`},
		{func(c *Check) { c.Level = "deep" }, `check: level "deep" is not one of connect, protocol, certificate`},
		{func(c *Check) { c.Kind = TCP }, `check: level "protocol" is for services whose protocol is known; kind tcp has connect alone`},
		{func(c *Check) { c.Level = Certificate }, `check: level "certificate" is for services with TLS, and kind http has none`},
		{func(c *Check) { c.Interval = time.Millisecond }, "check: interval 1ms is out of range 100ms..1h0m0s"},
		{func(c *Check) { c.Connect = -1 }, "check: connect -1ns is out of range 1ms..1m0s"},
		{func(c *Check) { c.Timeout = time.Hour }, "check: timeout 1h0m0s is out of range 1ms..1m0s"},
		{func(c *Check) { c.Fall = -1 }, "check: fall -1 is out of range 1..100"},
		{func(c *Check) { c.Rise = 101 }, "check: rise 101 is out of range 1..100"},
		{func(c *Check) { c.Slow = 2 * time.Hour }, "check: slow 2h0m0s is over 1h0m0s"},
		{func(c *Check) { c.Host = "a\r\nX: y" }, `check: host "a\r\nX: y" has a space or a control character in it`},
		{func(c *Check) { c.Path = "up" }, `check: path "up" is not a path of a URL`},
		{func(c *Check) { c.Path = "/a b" }, `check: path "/a b" is not a path of a URL`},
		{func(c *Check) { c.Status = "200-" }, `check: status "200-" is neither a status from 100 to 599 nor a range of them`},
		{func(c *Check) { c.Status = "200,99" }, `check: status "99" is neither`},
		{func(c *Check) { c.Status = "399-200" }, `check: status "399-200" is neither`},
	} {
		c := Defaults(HTTP)
		tt.change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
	two := Defaults(HTTP)
	two.Fall, two.Status = 0, ""
	if err := two.Validate(); err == nil || strings.Count(err.Error(), "check: ") != 2 {
		t.Errorf("two faults: %v", err)
	}
}

func TestAccepts(t *testing.T) {
	for _, tt := range []struct {
		status string
		yes    []int
		no     []int
	}{
		{"200-399", []int{200, 301, 399}, []int{199, 400, 503}},
		{"204", []int{204}, []int{200, 205}},
		{"200, 301-302,401", []int{200, 301, 302, 401}, []int{201, 300, 303}},
	} {
		c := Check{Status: tt.status}
		for _, s := range tt.yes {
			if !c.accepts(s) {
				t.Errorf("%s does not accept %d", tt.status, s)
			}
		}
		for _, s := range tt.no {
			if c.accepts(s) {
				t.Errorf("%s accepts %d", tt.status, s)
			}
		}
	}
}
