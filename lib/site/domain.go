package site

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"iwx/lib/fault"
)

// names is how domains are read: mapped to lower case and NFC as browsers do
// (UTS #46), held to the lengths of RFC 1035 §2.3.4, to letters, digits and
// hyphens (RFC 1123 §2.1), and to the rules for each script (RFC 5892, 5893).
func names() *idna.Profile {
	return idna.New(idna.MapForLookup(), idna.BidiRule(), idna.ValidateLabels(true), idna.CheckHyphens(true), idna.CheckJoiners(true),
		idna.StrictDomainName(true), idna.VerifyDNSLength(true), idna.Transitional(false))
}

// ParseDomain reads a domain as people write it, in any script, and returns it
// in A-labels, lower case, without a final dot: "bücher.example" becomes
// "xn--bcher-kva.example". An error is of wrong usage.
func ParseDomain(text string) (string, error) {
	bad := func(why string) error {
		return fault.Hint(fault.New(fault.Usage, "%.300q is not a domain: %s", text, why), "a domain is written example.org, without http:// and without a path")
	}
	name := strings.TrimSuffix(strings.TrimSpace(text), ".")
	if _, err := netip.ParseAddr(name); err == nil {
		return "", bad("it is an address")
	}
	ascii, err := names().ToASCII(name)
	if again, failed := names().ToASCII(ascii); failed != nil || again != ascii {
		err = errors.Join(err, failed, errors.New("unstable")) // what is not UTF-8, say
	}
	switch {
	case name == "":
		return "", bad("it is empty")
	case err != nil:
		return "", bad(why(name))
	case !strings.Contains(ascii, "."):
		return "", bad("it has one label only")
	}
	if last := ascii[strings.LastIndexByte(ascii, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return "", bad("its last label is a number") // RFC 3696 §2: it could be taken for an address
	}
	return ascii, nil
}

// why says what is wrong with a name that idna refuses, whose own errors speak
// of code points.
func why(name string) string {
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return "a label is empty"
		case len(label) > 63 && isASCII(label):
			return "a label is longer than 63 characters"
		case strings.Trim(label, "-") != label:
			return "a label begins or ends with a hyphen"
		}
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return r < 0x80 && !isLDH(r) && r != '.' }); i >= 0 {
		return fmt.Sprintf("%q may not be in it", name[i])
	}
	if len(name) > 253 && isASCII(name) {
		return "it is longer than 253 characters"
	}
	return "it does not keep to the rules for internationalised names"
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) }

// isLDH reports whether a character may stand in a host name.
func isLDH(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-'
}

// Display is a domain as people read it, in its own script; what cannot be
// shown so is returned as it is.
func Display(domain string) string {
	text, err := names().ToUnicode(domain)
	if err != nil {
		return domain
	}
	return text
}

// ParseAliases reads the further names of a domain: sorted, without the domain
// itself and without doubles.
func ParseAliases(domain string, texts []string) ([]string, error) {
	var list []string
	for _, text := range texts {
		name, err := ParseDomain(text)
		if err != nil {
			return nil, err
		}
		if name != domain {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
