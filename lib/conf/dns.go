package conf

import (
	"fmt"
	"regexp"
	"strings"
)

// DNS is the [dns] table.
type DNS struct {
	Provider    string `toml:"provider" default:"" rule:"provider" doc:"What serves the zones: bind, or none to leave DNS alone. Empty: BIND where the manager has it, from the first zone on."`
	Nameservers string `toml:"nameservers" default:"" rule:"nameservers" doc:"Names that the zones give as their name servers, with spaces between. Empty: one in each zone for the manager and for each node."`
	Hostmaster  string `toml:"hostmaster" default:"" rule:"hostmaster" doc:"Mail address of who looks after the zones. Empty: hostmaster in each zone."`
}

// Names returns the fixed names of the name servers, without final dots.
func (d DNS) Names() (names []string) {
	for _, name := range strings.Fields(d.Nameservers) {
		names = append(names, strings.ToLower(strings.TrimSuffix(name, ".")))
	}
	return names
}

func checkProvider(name string) string {
	if name == "" || name == "bind" || name == "none" {
		return ""
	}
	return fmt.Sprintf("%q is neither bind nor none", name)
}

// isHostName holds a name of a host against RFC 952 and RFC 1123 §2.1.
func isHostName(name string) bool {
	label := `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`
	full := regexp.MustCompile(`^` + label + `(\.` + label + `)+$`)
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return len(name) <= 253 && full.MatchString(name)
}

func checkNameservers(text string) string {
	for _, name := range strings.Fields(text) {
		if !isHostName(name) {
			return fmt.Sprintf("%q is not the name of a host, such as ns1.example.net", name)
		}
	}
	return ""
}

func checkHostmaster(text string) string {
	user, domain, _ := strings.Cut(text, "@")
	if text == "" || user != "" && isHostName(domain) && !strings.ContainsAny(user, " \t\"();\\") {
		return ""
	}
	return fmt.Sprintf("%q is not a mail address, such as hostmaster@example.net", text)
}
