package dns

import (
	"slices"
	"strings"

	"iwx/lib/fault"
)

// Add puts a record into its set, which follows the cluster no longer. A ttl is
// the whole set's; nil leaves it. It reports false if the record is there already.
func (z *Zone) Add(s *Surroundings, key Key, data string, ttl *uint32) (changed bool, err error) {
	set, err := z.set(s, key)
	if err != nil {
		return false, err
	}
	has := slices.Contains(set.Data, data)
	if has && (ttl == nil || *ttl == set.TTL) {
		return false, nil
	}
	if !has {
		set.Data = append(slices.Clone(set.Data), data)
	}
	return true, z.put(s, set, ttl)
}

// Edit has a set hold one record alone, or with data "" the TTL alone changed.
// It reports false if that is so already.
func (z *Zone) Edit(s *Surroundings, key Key, data string, ttl *uint32) (changed bool, err error) {
	set, err := z.set(s, key)
	if err != nil {
		return false, err
	}
	if len(set.Data) == 0 {
		return false, z.missing(key)
	}
	was := set
	if data != "" {
		set.Data = []string{data}
	}
	if slices.Equal(set.Data, was.Data) && (ttl == nil || *ttl == was.TTL) {
		return false, nil
	}
	return true, z.put(s, set, ttl)
}

// Delete takes away a record, with data "" its set, or with no type either all
// that is at the name. It returns how many records went.
func (z *Zone) Delete(s *Surroundings, key Key, data string) (n int, err error) {
	list, err := z.Compose(s)
	if err != nil {
		return 0, err
	}
	for _, set := range list {
		if set.Name != key.Name || key.Type != "" && set.Type != key.Type {
			continue
		}
		had := len(set.Data)
		set.Data = slices.DeleteFunc(slices.Clone(set.Data), func(d string) bool { return data == "" || strings.EqualFold(d, data) })
		if had == len(set.Data) {
			continue
		}
		n += had - len(set.Data)
		if err := z.keep(s, set); err != nil {
			return n, err
		}
	}
	if n == 0 {
		return 0, z.missing(key)
	}
	return n, z.valid(s)
}

func (z *Zone) missing(key Key) error {
	return fault.Hint(fault.New(fault.Failed, "%s has no such record: %s", whole(key.Name, z.Name), strings.TrimSpace(key.Name+" "+key.Type)), "iwx-site dns list %s", z.Name)
}

// set is the set of a key as it is now, without Data if there is none.
func (z *Zone) set(s *Surroundings, key Key) (Set, error) {
	list, err := z.Compose(s)
	if i := slices.IndexFunc(list, func(o Set) bool { return o.Key() == key }); i >= 0 {
		return list[i], err
	}
	return Set{Name: key.Name, Type: key.Type, TTL: DefaultTTL}, err
}

// put keeps a set, and tells what makes the zone invalid then.
func (z *Zone) put(s *Surroundings, set Set, ttl *uint32) error {
	if z.beyond(set.Name) && set.Type != "NS" && set.Type != "DS" {
		return fault.New(fault.Usage, "%s lies in another zone beneath %s", whole(set.Name, z.Name), z.Name)
	}
	if ttl != nil {
		set.TTL = *ttl
	}
	if err := z.keep(s, set); err != nil {
		return err
	}
	return z.valid(s)
}

// keep replaces a set by the administrator's. An empty one is kept where there would
// be something by itself, which it takes away.
func (z *Zone) keep(s *Surroundings, set Set) error {
	z.Sets = slices.DeleteFunc(slices.Clone(z.Sets), func(o Set) bool { return o.Key() == set.Key() })
	if len(set.Data) == 0 {
		list, err := z.natural(s)
		if err != nil || !slices.ContainsFunc(list, func(o Set) bool { return o.Key() == set.Key() }) {
			return err
		}
	}
	z.Sets = append(z.Sets, set)
	slices.SortFunc(z.Sets, compareSets)
	return nil
}

func (z *Zone) valid(s *Surroundings) error {
	_, err := Render(z, s)
	return err
}
