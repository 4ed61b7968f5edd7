package cli

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// Exampled is a verb whose help ends with examples: whole command lines, one
// per line.
type Exampled interface{ Examples() string }

// helpText is the help of the tool or of one of its verbs. It fits a page;
// the manual has the rest.
func helpText(n *kong.Node, t Tool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s\n\n", usageLine(n))
	fmt.Fprintf(&b, "%s\n", sentence(n.Help))
	if n.Detail != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(n.Detail))
	}
	section(&b, "verbs", verbRows(n))
	section(&b, "arguments", argumentRows(n))
	section(&b, "flags", flagRows(n))
	if e, ok := examples(n); ok {
		b.WriteString("\nexamples:\n")
		for line := range strings.Lines(strings.TrimSpace(e)) {
			b.WriteString("  " + strings.TrimSpace(line) + "\n")
		}
	}
	b.WriteByte('\n')
	if len(visibleVerbs(n)) > 0 {
		fmt.Fprintf(&b, "%s VERB --help describes one verb.\n", n.FullPath())
	}
	fmt.Fprintf(&b, "The manual is %s(8).\n", t.Name)
	return b.String()
}

func usageLine(n *kong.Node) string {
	line := n.FullPath() + " [FLAG]..."
	for _, f := range visibleFlags(n) {
		if f.Required {
			line += " --" + f.Name + " " + placeholder(f)
		}
	}
	if len(visibleVerbs(n)) > 0 {
		if n.DefaultCmd != nil {
			return line + " [VERB]"
		}
		return line + " VERB"
	}
	for _, p := range n.Positional {
		line += " " + argument(p)
	}
	return line
}

// argument is "NAME", "[NAME]", "NAME..." or "[NAME]...".
func argument(p *kong.Positional) string {
	name := strings.ToUpper(p.Name)
	if !p.Required {
		name = "[" + name + "]"
	}
	if p.PassthroughMode != kong.PassThroughModeNone {
		name = "[--] " + name
	}
	if p.Target.Kind() == reflect.Slice { // IsCumulative is false for Argv
		name += "..."
	}
	return name
}

func visibleVerbs(n *kong.Node) []*kong.Node {
	var list []*kong.Node
	for _, child := range n.Children {
		if !child.Hidden && child.Type == kong.CommandNode {
			list = append(list, child)
		}
	}
	return list
}

// visibleFlags are those of the node, then those that it inherits.
func visibleFlags(n *kong.Node) []*kong.Flag {
	var list []*kong.Flag
	for ; n != nil; n = n.Parent {
		for _, f := range n.Flags {
			if !f.Hidden {
				list = append(list, f)
			}
		}
	}
	return list
}

func placeholder(f *kong.Flag) string {
	if f.PlaceHolder != "" {
		return f.PlaceHolder
	}
	return strings.ToUpper(f.Name)
}

func isSwitch(f *kong.Flag) bool { return f.IsBool() || f.IsCounter() }

func section(b *strings.Builder, title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	width = min(width, 26)
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, row := range rows {
		left := row[0]
		if len(left) > width {
			fmt.Fprintf(b, "  %s\n", left)
			left = ""
		}
		for i, line := range wrap(row[1], 78-width-4) {
			if i > 0 {
				left = ""
			}
			fmt.Fprintf(b, "  %-*s  %s\n", width, left, line)
		}
	}
}

func verbRows(n *kong.Node) [][2]string {
	var rows [][2]string
	for _, v := range visibleVerbs(n) {
		rows = append(rows, [2]string{v.Name, phrase(v.Help)})
	}
	return rows
}

func argumentRows(n *kong.Node) [][2]string {
	var rows [][2]string
	for _, p := range n.Positional {
		if p.Help != "" {
			rows = append(rows, [2]string{strings.ToUpper(p.Name), phrase(p.Help) + defaultNote(p)})
		}
	}
	return rows
}

func flagRows(n *kong.Node) [][2]string {
	var rows [][2]string
	for _, f := range visibleFlags(n) {
		left := "    --" + f.Name
		if f.Short != 0 {
			left = "-" + string(f.Short) + ", --" + f.Name
		}
		if !isSwitch(f) {
			left += " " + placeholder(f)
		}
		rows = append(rows, [2]string{left, phrase(f.Help) + defaultNote(f.Value)})
	}
	return rows
}

// defaultNote names a default that is not simply off, empty or zero.
func defaultNote(v *kong.Value) string {
	if !tellingDefault(v) {
		return ""
	}
	return " (" + v.Default + ")"
}

func tellingDefault(v *kong.Value) bool {
	switch v.Default {
	case "", "false", "0", "0s":
		return false
	}
	return v.HasDefault
}

func examples(n *kong.Node) (string, bool) {
	if !n.Target.IsValid() || !n.Target.CanAddr() {
		return "", false
	}
	e, ok := n.Target.Addr().Interface().(Exampled)
	if !ok {
		return "", false
	}
	return e.Examples(), true
}

// phrase is help without the full stop, to stand in a list.
func phrase(help string) string { return strings.TrimSuffix(help, ".") }

// sentence is help with a capital and a full stop, to stand alone.
func sentence(help string) string {
	if help == "" {
		return ""
	}
	return strings.ToUpper(help[:1]) + phrase(help[1:]) + "."
}

// wrap breaks text into lines of at most width columns, where words allow.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
