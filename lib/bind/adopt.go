package bind

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"iwx/lib/fault"
)

// Stanza is what a zone kept by hand needs in its statement, for the nodes to be
// given it and to be told of changes.
func Stanza() string {
	return fmt.Sprintf("allow-transfer { key %q; }; also-notify { %q; }; notify-delay 0;", KeyName, NodesName)
}

// Adoptable fails unless named serves the zone, and gives it to who has the key.
func (s *Server) Adoptable(ctx context.Context, zone, key string) error {
	if err := validName(zone); err != nil {
		return err
	}
	out, err := s.ask(ctx, "zonestatus", zone)
	if err != nil || !strings.Contains(out, "serial:") {
		return fault.Hint(fault.New(fault.Failed, "named does not serve the zone %s", zone), "give it a zone statement in %s with: type primary; %s", s.include, Stanza())
	}
	c, err := s.dial(ctx, s.Address, key)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := c.transfer(zone); err != nil {
		return fault.Hint(fault.New(fault.Failed, "named does not give the zone %s to the nodes: %v", zone, err), "add to its statement in BIND's configuration: %s", Stanza())
	}
	return nil
}

// Notifies reports whether the statement of a zone kept by hand names the nodes:
// else they learn of changes only as often as its SOA says.
func (s *Server) Notifies(zone string) (bool, error) {
	found, err := s.statement(zone, s.config, 0)
	if err != nil || found == nil {
		return false, err
	}
	for _, st := range found.block {
		if st.is("also-notify") {
			for _, member := range st.block {
				if member.is(NodesName) {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// statement returns that of a zone; nil without one.
func (s *Server) statement(zone, file string, depth int) (*statement, error) {
	text, err := read(file)
	if err != nil || depth > maxDepth {
		return nil, err
	}
	for _, st := range parse(text) {
		if st.is("include") && len(st.words) == 2 {
			if found, err := s.statement(zone, s.included(st.words[1]), depth+1); found != nil || err != nil {
				return found, err
			}
		}
		if st.is("zone") && len(st.words) > 1 && strings.EqualFold(strings.TrimSuffix(st.words[1], "."), zone) {
			return &st, nil
		}
	}
	return nil, nil
}

// ByHand reports whether the administrator keeps a zone in BIND himself, which takes
// no second one of that name.
func (s *Server) ByHand(zone string) (bool, error) {
	zones, err := s.byHand(s.config, 0)
	return zones[zone], err
}

// byHand returns the zones that have a statement of the administrator's own.
func (s *Server) byHand(file string, depth int) (map[string]bool, error) {
	zones := map[string]bool{}
	text, err := read(file)
	if err != nil || depth > maxDepth || file == s.ours() {
		return zones, err
	}
	for _, st := range parse(text) {
		if st.is("include") && len(st.words) == 2 {
			more, err := s.byHand(s.included(st.words[1]), depth+1)
			if err != nil {
				return nil, err
			}
			maps.Copy(zones, more)
		}
		if st.is("zone") && len(st.words) > 1 {
			zones[strings.ToLower(strings.TrimSuffix(st.words[1], "."))] = true
		}
	}
	return zones, nil
}
