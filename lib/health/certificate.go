package health

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// expiresSoon is when a certificate warns of its end: where it is renewed as it
// should be, at two thirds of its life, it never comes to that. One with a
// short life warns in its last sixth.
const expiresSoon = 14 * 24 * time.Hour

// judge returns what is to be warned of in a certificate, "" if nothing is.
func (d *dialog) judge(chain []*x509.Certificate) string {
	if len(chain) == 0 {
		return "shows no certificate"
	}
	leaf, now := chain[0], d.now()
	left := leaf.NotAfter.Sub(now)
	switch {
	case left <= 0:
		return "certificate expired " + days(-left) + " ago"
	case now.Before(leaf.NotBefore):
		return "certificate is not valid for another " + days(leaf.NotBefore.Sub(now))
	case d.check.Host != "" && leaf.VerifyHostname(d.check.Host) != nil:
		return fmt.Sprintf("certificate is not for %s, but for %s", d.check.Host, names(leaf))
	case left < min(expiresSoon, leaf.NotAfter.Sub(leaf.NotBefore)/6):
		return "certificate expires in " + days(left)
	}
	return ""
}

// names are those that a certificate is for.
func names(leaf *x509.Certificate) string {
	list := leaf.DNSNames
	for _, ip := range leaf.IPAddresses {
		list = append(list, ip.String())
	}
	if len(list) == 0 {
		return "no name"
	}
	return plain(strings.Join(list, ", "))
}

// days is a duration in days, or in hours if there are few.
func days(d time.Duration) string {
	switch hours := int(d.Hours()); {
	case hours >= 48:
		return fmt.Sprintf("%d days", hours/24)
	case hours == 1:
		return "1 hour"
	default:
		return fmt.Sprintf("%d hours", hours)
	}
}
