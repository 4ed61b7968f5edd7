package cli

import "github.com/alecthomas/kong"

// WrongCommands returns wrong command lines of the tool, for tests. It passes each
// flag and argument of each visible verb without a value, and with values that are
// wrong for most. Not every line fails: a flag that takes any text accepts nonsense.
func WrongCommands(t Tool) (lines [][]string, err error) {
	var g globals
	parser, err := t.parser(&g)
	if err != nil {
		return nil, err
	}
	var visit func(n *kong.Node, path []string)
	visit = func(n *kong.Node, path []string) {
		add := func(args ...string) { lines = append(lines, append(append([]string{}, path...), args...)) }
		add()
		for _, f := range n.Flags {
			name := "--" + f.Name
			add(name)
			add(name, "--no-such-flag")
			for _, value := range wrongValues() {
				add(name + "=" + value)
			}
		}
		for range n.Positional {
			for _, value := range wrongValues() {
				add(value)
				add(value, value)
			}
		}
		for _, child := range visibleVerbs(n) {
			visit(child, append(append([]string{}, path...), child.Name))
		}
	}
	visit(parser.Model.Node, nil)
	return lines, nil
}

// wrongValues returns texts that are no address, number, duration, name or file.
func wrongValues() []string {
	return []string{"", "nonsense", "-5x", "99999999999999999999", "/nonexistent/file", "a=b,\xff"}
}
