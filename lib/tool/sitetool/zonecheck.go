package sitetool

import (
	"context"
	"slices"
	"strings"

	"iwx/lib/bind"
	"iwx/lib/dns"
	"iwx/lib/site"
	"iwx/lib/tool/upkeep"
)

// checkZones reports what is wrong with the zones that get names of the sites of a
// change, before anything is changed.
func (m *manager) checkZones(ctx context.Context, specs []site.Spec) error {
	look, err := upkeep.Look(ctx, m.Server)
	if err != nil || look.Config.DNS.Provider == "none" {
		return err
	}
	in, err := look.Surroundings(m.Server)
	if err != nil {
		return err
	}
	list, err := m.zonesAfter(ctx, look, specs)
	if err != nil {
		return err
	}
	for i := range list {
		if _, err := dns.Render(&list[i], in); err != nil {
			return err
		}
	}
	return m.checkNew(ctx, look, in, list)
}

// checkNew wants BIND to have none of the zones that are not there yet, and
// named-checkzone to take one of them: they are all of one template.
func (m *manager) checkNew(ctx context.Context, look *upkeep.Cluster, in *dns.Surroundings, list []dns.Zone) error {
	b := served(look, m.Server)
	if b == nil && look.Config.DNS.Provider == "bind" {
		return bind.Missing()
	}
	have, err := look.Zones(ctx, m.Server)
	if err != nil || b == nil {
		return err
	}
	list = slices.DeleteFunc(list, func(z dns.Zone) bool {
		return slices.ContainsFunc(have, func(o dns.Zone) bool { return o.Name == z.Name })
	})
	var wrong errorList
	for i := range list {
		if err := notByHand(b, list[i].Name); err != nil {
			wrong.add(err)
		}
	}
	if len(list) == 0 || len(wrong) > 0 {
		return wrong.join()
	}
	text, err := dns.Render(&list[0], in)
	if err != nil {
		return err
	}
	return b.CheckZone(ctx, list[0].Name, text(1))
}

// zonesAfter returns the zones that have names of the sites, once they are as the
// specs say.
func (m *manager) zonesAfter(ctx context.Context, look *upkeep.Cluster, specs []site.Spec) ([]dns.Zone, error) {
	rows, err := m.Store.Sites(ctx)
	if err != nil {
		return nil, err
	}
	changed := map[string]bool{}
	var names, others []string
	for i := range specs {
		changed[specs[i].Domain] = true
		if !specs[i].Gone {
			names = append(names, specs[i].Names()...)
		}
	}
	for i := range rows {
		if !rows[i].Gone && !changed[rows[i].Domain] {
			others = append(others, rows[i].Names()...)
		}
	}
	list, err := look.ZonesOf(ctx, m.Server, slices.Concat(names, others))
	return slices.DeleteFunc(list, func(z dns.Zone) bool {
		return !slices.ContainsFunc(names, func(name string) bool {
			return name == z.Name || strings.HasSuffix(name, "."+z.Name)
		})
	}), err
}
