package setuptool

import (
	"iwx/lib/cli"
	"iwx/lib/host"
	"iwx/lib/preflight"
)

// complete offers the names of checks and the addresses of this server.
func complete(c *cli.Context, kind string) []cli.Candidate {
	var list []cli.Candidate
	switch kind {
	case "check":
		for _, name := range preflight.Names() {
			list = append(list, cli.Candidate{Value: name})
		}
	case "address":
		facts, err := host.Read("")
		if err != nil {
			return nil
		}
		for _, a := range facts.Addresses {
			if !a.Loopback && !a.Addr().IsLinkLocalUnicast() {
				list = append(list, cli.Candidate{Value: a.Addr().String(), Help: "on " + a.Interface})
			}
		}
	}
	return list
}
