package cluster

import (
	"errors"
	"fmt"

	"iwx/lib/profile"
)

// profiles returns what every member is to be told of its profile. Where that
// cannot be found out, a node keeps the one it has: the queue does not wait.
func (m *Manager) profiles(is *Identity, members []Roster, old map[string]*profile.Revision) map[string]*profile.Revision {
	if m.Profiles == nil {
		return nil
	}
	documents, err := m.Profiles(is, members)
	next := map[string]*profile.Revision{}
	for _, n := range members {
		doc, found := documents[n.ID]
		if wrong := doc.Check(); wrong != nil {
			err = errors.Join(err, fmt.Errorf("node %s: %w", n.Name, wrong))
			found = false
		}
		if found {
			rev := doc.Revision()
			next[n.ID] = &rev
		} else if old[n.ID] != nil {
			next[n.ID] = old[n.ID]
		}
	}
	m.tellWrong(err)
	return next
}

// tellWrong logs what is wrong with the profiles, when that changes.
func (m *Manager) tellWrong(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != m.wrong && text != "" {
		m.Log.Error("cannot make the nodes' profiles; they keep their present ones", "error", err)
	}
	m.wrong = text
}

// profileFor returns what the node lacks of its profile, nil for nothing. A
// node that does not tell a version would not understand one.
func (v *view) profileFor(id string, req *PollRequest) *profile.Revision {
	rev := v.profile[id]
	if rev == nil || req.Profile == "" || req.Profile == rev.Version {
		return nil
	}
	return rev
}
