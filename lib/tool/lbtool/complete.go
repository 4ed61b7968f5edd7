package lbtool

import (
	"strings"

	"iwx/lib/cli"
	"iwx/lib/lb"
)

// complete offers the servers, virtual IPs and policies there are.
func complete(c *cli.Context, kind string) []cli.Candidate {
	m, err := open(c)
	if err != nil {
		return nil
	}
	defer m.Close()
	switch kind {
	case "vip":
		return m.completeVIP()
	case "node":
		return m.completeServer()
	case "policy":
		return m.completePolicy()
	}
	return nil
}

func (m *manager) completeVIP() (list []cli.Candidate) {
	for _, v := range m.VIPs {
		list = append(list, cli.Candidate{Value: v.Addr.String(), Help: strings.Join(servicesAt(&m.Setup, v.Addr), ", ")})
	}
	return list
}

func (m *manager) completeServer() (list []cli.Candidate) {
	for _, s := range m.servers {
		help := "node"
		if s.id == lb.ManagerID {
			help = "the manager"
		}
		list = append(list, cli.Candidate{Value: s.name, Help: help})
	}
	return list
}

func (m *manager) completePolicy() (list []cli.Candidate) {
	for i := range m.Policies {
		p := &m.Policies[i]
		list = append(list, cli.Candidate{Value: p.Name(), Help: "on " + p.VIP.String()})
	}
	return list
}
