package lbtool

import (
	"fmt"
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
	case "probe":
		return append(m.completeServer(), m.completePolicy()...)
	case "service":
		return completeService()
	case "engine":
		return completeEngine()
	}
	return m.completeTerm(kind)
}

func completeService() (list []cli.Candidate) {
	for _, name := range lb.Groups() {
		list = append(list, cli.Candidate{Value: name, Help: "the usual ones at once"})
	}
	for _, s := range lb.Services() {
		list = append(list, cli.Candidate{Value: s.Name, Help: fmt.Sprintf("port %d", s.Port)})
	}
	return list
}

func completeEngine() (list []cli.Candidate) {
	for _, a := range lb.Abilities() {
		list = append(list, cli.Candidate{Value: a.Engine})
	}
	return list
}

func (m *manager) completeVIP() (list []cli.Candidate) {
	for _, v := range m.VIPs {
		list = append(list, cli.Candidate{Value: v.Addr.String(), Help: strings.Join(servicesAt(&m.Setup, v.Addr), ", ")})
	}
	return list
}

func (m *manager) completeServer() (list []cli.Candidate) {
	for _, s := range m.Servers {
		help := "node"
		if s.Manager {
			help = "the manager"
		}
		list = append(list, cli.Candidate{Value: s.Name, Help: help})
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
