package lbtool

import (
	"iwx/lib/cli"
	"iwx/lib/tool/balancing"
)

// manager is this server, with what the verbs here do on it.
type manager struct{ *balancing.Manager }

// open opens this server, which has to be the manager. The caller must Close it.
func open(c *cli.Context) (*manager, error) {
	m, err := balancing.Open(c)
	if err != nil {
		return nil, err
	}
	return &manager{m}, nil
}

// warnIdle tells, if so, that nothing comes of a change yet.
func (m *manager) warnIdle(c *cli.Context) {
	m.Balancer().WarnIdle(c, "nothing changes until it does")
}
