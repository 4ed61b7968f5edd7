package balancing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/lb"
	"iwx/lib/tool/local"
)

// Drain is a server that is to get no new connections, of some services or
// (none) of all.
type Drain struct {
	Node     string   // the server's name
	Services []string // lb.Policy.Name
}

// String is the drain for sentences: "web2", "http, imap on web2".
func (d Drain) String() string {
	if len(d.Services) == 0 {
		return d.Node
	}
	return cli.Some(d.Services, 5) + " on " + d.Node
}

// Begin drains. Doing it again changes nothing.
func (d Drain) Begin(c *cli.Context, m *Manager) error {
	id, err := m.Find(d.Node)
	if err != nil {
		return err
	}
	changed := false
	err = m.Change(c, func(setup *lb.Setup) error {
		changed = false
		for _, service := range d.all() {
			if drained(setup, id, service) {
				continue
			}
			setup.Drains = append(setup.Drains, lb.Drain{Server: id, Service: service, Since: c.Now(), Who: local.Operator(c)})
			changed = true
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case !changed:
		c.Notef("%s: drained already; nothing changed", d)
	default:
		c.Notef("%s: gets no new connections", d)
	}
	return nil
}

// all are the services as a lb.Drain has them: "" for every one.
func (d Drain) all() []string {
	if len(d.Services) == 0 {
		return []string{""}
	}
	return d.Services
}

// drained reports whether there is such a drain already, or a wider one. One
// that an entry made for the server's turn ends with that, and is none to rely
// on.
func drained(setup *lb.Setup, server, service string) bool {
	return slices.ContainsFunc(setup.Drains, func(d lb.Drain) bool {
		return d.Server == server && (d.Service == service || d.Service == "") && d.Entry == 0
	})
}

// wholly reports whether the server is drained of all services, by whomever.
func wholly(setup *lb.Setup, server string) bool {
	return slices.ContainsFunc(setup.Drains, func(d lb.Drain) bool { return d.Server == server && d.Service == "" })
}

// End lets the server have new connections again: for all services, if none is
// named, with those that were drained one by one.
func (d Drain) End(c *cli.Context, m *Manager) error {
	id, err := m.Find(d.Node)
	if err != nil {
		return err
	}
	changed := false
	err = m.Change(c, func(setup *lb.Setup) error {
		if len(d.Services) > 0 && wholly(setup, id) {
			return fault.Hint(fault.New(fault.Failed, "%s is drained of all services", d.Node), "iwx-lb undrain %s", d.Node)
		}
		was := len(setup.Drains)
		setup.Drains = slices.DeleteFunc(slices.Clone(setup.Drains), func(e lb.Drain) bool {
			return e.Server == id && (len(d.Services) == 0 || slices.Contains(d.Services, e.Service))
		})
		changed = len(setup.Drains) < was
		return nil
	})
	switch {
	case err != nil:
		return err
	case !changed:
		c.Notef("%s: not drained; nothing changed", d)
	default:
		c.Notef("%s: gets new connections again", d)
	}
	return nil
}

// Wait waits until no connection is left, no longer than limit, if that is not
// 0. The error, exit code 124, says what still holds it.
func (d Drain) Wait(c *cli.Context, m *Manager, limit time.Duration) error {
	id, err := m.Find(d.Node)
	if err != nil {
		return err
	}
	progress := c.Progress()
	defer progress.Clear()
	var left []string
	err = m.Await(c, limit, func(r *lb.Report) bool {
		var seen bool
		left, seen = d.left(r, id)
		progress.Show(append([]string{d.String() + ": waiting for the connections to end"}, left...)...)
		return seen && len(left) == 0
	})
	progress.Clear()
	switch {
	case errors.Is(err, context.DeadlineExceeded) && c.Err() == nil:
		return fault.Hint(
			fault.New(fault.TimedOut, "after %s %s still has connections: %s; it stays drained", cli.Duration(limit), d, strings.Join(left, ", ")),
			"wait again: iwx-lb drain %[1]s --wait\nput it back: iwx-lb undrain %[1]s", strings.Join(append([]string{d.Node}, d.Services...), " "))
	case err != nil:
		return fault.New(0, "wait until %s is drained: %w; it stays drained", d, err)
	}
	c.Notef("%s: no connection is left", d)
	return nil
}

// left are the services that still have connections, "http: 3". The daemon has
// seen the drain when the engine gives the server nothing new.
func (d Drain) left(r *lb.Report, id string) (left []string, seen bool) {
	seen = !r.Blind
	for i := range r.Services {
		s := &r.Services[i]
		if len(d.Services) > 0 && !slices.Contains(d.Services, s.Policy.Name()) {
			continue
		}
		for _, m := range s.Members {
			if m.Server != id {
				continue
			}
			fallback := m.Manager && s.Standby != ""
			seen = seen && m.Draining && (!m.In || m.Weight == 0 || fallback || r.External)
			if m.Active > 0 && !fallback {
				left = append(left, fmt.Sprintf("%s on %s: %d", s.Policy.Name(), s.Policy.VIP, m.Active))
			}
		}
	}
	return left, seen
}
