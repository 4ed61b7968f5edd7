package queuetool

import (
	"fmt"
	"slices"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/queue"
)

// named returns the members of those names, each once, in the order given. The
// error lists the members there are.
func named(nodes []cluster.Node, names []string) ([]cluster.Node, error) {
	var found []cluster.Node
	for _, name := range names {
		i := slices.IndexFunc(nodes, func(n cluster.Node) bool { return n.Name == name })
		if i < 0 {
			return nil, unknownNode(nodes, name)
		}
		if !slices.ContainsFunc(found, func(n cluster.Node) bool { return n.Name == name }) {
			found = append(found, nodes[i])
		}
	}
	return found, nil
}

func unknownNode(nodes []cluster.Node, name string) error {
	err := fault.New(fault.Usage, "no node is called %q", name)
	if len(nodes) == 0 {
		return fault.Hint(err, "there are no nodes yet: iwx-node add NAME")
	}
	return fault.Hint(err, "nodes: %s", nameList(nodes))
}

// nameList is "web1, web2", cut short where there are many.
func nameList(nodes []cluster.Node) string {
	const most = 12
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	return cli.Some(names, most)
}

func countNodes(n int) string { return cli.Count(n, "node", "nodes") }

// targetNames is who an entry is for, in words.
func targetNames(t queue.Targets, names map[string]string) string {
	return scopeNames(t, names) + atATime(t)
}

// atATime says how many nodes replay an entry at the same time, if not all may.
func atATime(t queue.Targets) string {
	if t.Rolling == 0 {
		return ""
	}
	return fmt.Sprintf(", %d at a time", t.Rolling)
}

func scopeNames(t queue.Targets, names map[string]string) string {
	switch t.Scope {
	case queue.ScopeBaseline:
		return "all, and those that join later"
	case queue.ScopeMembers:
		return "all"
	}
	list := make([]string, len(t.Nodes))
	for i, id := range t.Nodes {
		list[i] = names[id]
		if list[i] == "" {
			list[i] = id
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
