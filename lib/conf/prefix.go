package conf

import (
	"fmt"
	"net/netip"
	"strings"
)

// readPrefixes reads addresses and networks with spaces between; an address is a
// network of one.
func readPrefixes(text string) (list []netip.Prefix, err error) {
	for _, word := range strings.Fields(text) {
		prefix, err := netip.ParsePrefix(word)
		if addr, lone := netip.ParseAddr(word); lone == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is neither an address nor a network such as 192.0.2.0/24", word)
		case prefix != prefix.Masked():
			return nil, fmt.Errorf("%q is an address within %s; write one of the two", word, prefix.Masked())
		}
		list = append(list, prefix)
	}
	return list, nil
}

// checkPrefixes wants addresses and networks.
func checkPrefixes(text string) string {
	if _, err := readPrefixes(text); err != nil {
		return err.Error()
	}
	return ""
}
