package setuptool

import (
	"context"

	"iwx/lib/ipvs"
	"iwx/lib/lb"
)

// Engines to choose from.
const (
	inKernel = "ipvs" // keeps the clients' addresses, and replies pass the manager by
	inProxy  = "haproxy"
)

// engineStep chooses what is to balance services: the kernel where it can, else
// HAProxy. A choice that was made stays.
func (h *here) engineStep() step {
	name, _ := h.engine(h.c)
	return step{
		what: "have " + name + " balance services",
		done: func() (bool, error) {
			if h.Store == nil {
				return false, nil
			}
			setup, err := h.Store.Balancing(h.c)
			return setup.Engine != "", err
		},
		do: func() error {
			return h.Store.ChangeBalancing(h.c, func(setup lb.Setup) (lb.Setup, error) {
				is, _, err := setup.UseEngine(name)
				return is, err
			})
		},
	}
}

// engine is what can balance on this server, and why the kernel cannot. Below a
// root directory the kernel is not touched.
func (h *here) engine(ctx context.Context) (name string, why error) {
	if h.Own() {
		return inProxy, nil
	}
	if why = ipvs.Available(ctx); why != nil {
		return inProxy, why
	}
	return inKernel, nil
}

// sayEngine reports what was chosen.
func (h *here) sayEngine() {
	name, why := h.engine(h.c)
	if why != nil {
		h.c.Notef("%s balances services: %v", name, why)
		return
	}
	h.c.Notef("%s balances services", name)
}
