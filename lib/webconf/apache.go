package webconf

import (
	"slices"
	"strings"
)

// parseApache reads the text of an apache configuration: a directive in each
// line, which a backslash at its end continues; sections; comments only where a
// line begins (httpd's "Configuration Files"). Names of directives may be in any
// case.
func parseApache(text string) ([]directive, error) {
	type open struct {
		d    directive
		list []directive // around it
	}
	var stack []open
	var list []directive
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		number := i + 1
		line := strings.TrimRight(lines[i], "\r")
		for strings.HasSuffix(line, `\`) && i+1 < len(lines) {
			i++
			line = line[:len(line)-1] + strings.TrimRight(lines[i], "\r")
		}
		line = strings.TrimSpace(line)
		name, closing := strings.CutPrefix(line, "</")
		switch {
		case line == "" || line[0] == '#':
			continue
		case closing:
			name = strings.ToLower(strings.TrimRight(name, "> \t"))
			if len(stack) == 0 || stack[len(stack)-1].d.name != name {
				return nil, &syntaxError{number, "unexpected " + shown("</"+name+">", nil)}
			}
			top := stack[len(stack)-1]
			top.d.body = list
			list, stack = append(top.list, top.d), stack[:len(stack)-1]
		case line[0] == '<':
			if len(stack) == mostNested {
				return nil, &syntaxError{number, "sections are nested too deep"}
			}
			stack = append(stack, open{apacheDirective(strings.TrimSuffix(line[1:], ">"), number), list})
			list = nil
		default:
			list = append(list, apacheDirective(line, number))
		}
	}
	if len(stack) > 0 {
		top := stack[len(stack)-1].d
		return nil, &syntaxError{top.line, "section <" + top.text + "> is not closed"}
	}
	return list, nil
}

func apacheDirective(line string, number int) directive {
	args := apacheWords(line)
	if len(args) == 0 {
		args = []string{""}
	}
	return directive{name: strings.ToLower(args[0]), text: shown(args[0], args[1:]), args: args[1:], line: number}
}

// apacheWords splits a line as ap_getword_conf does: white space separates,
// quotes of either kind hold together, and in them a backslash quotes the quote
// and itself.
func apacheWords(line string) (words []string) {
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words
		}
		if line[0] != '"' && line[0] != '\'' {
			n := strings.IndexAny(line, " \t")
			if n < 0 {
				n = len(line)
			}
			words, line = append(words, line[:n]), line[n:]
			continue
		}
		var b strings.Builder
		i := 1
		for ; i < len(line) && line[i] != line[0]; i++ {
			if line[i] == '\\' && i+1 < len(line) && (line[i+1] == line[0] || line[i+1] == '\\') {
				i++
			}
			b.WriteByte(line[i])
		}
		words, line = append(words, b.String()), line[min(i+1, len(line)):]
	}
}

// expandApache puts variables into a directive, takes what it defines, and
// reports whether it is a section whose content alone counts. Which modules are
// loaded is not asked: more is read then, never less.
func expandApache(c *config, d *directive) bool {
	for i, arg := range d.args {
		d.args[i] = c.variables(arg)
	}
	arg := ""
	if len(d.args) > 0 {
		arg = d.args[0]
	}
	switch d.name {
	case "serverroot":
		c.base = arg
	case "define":
		c.defined[arg] = strings.Join(d.args[min(1, len(d.args)):], " ")
	case "undefine":
		delete(c.defined, arg)
	case "ifdefine":
		_, defined := c.defined[strings.TrimPrefix(arg, "!")]
		if defined == strings.HasPrefix(arg, "!") {
			d.body = nil
		}
		return true
	}
	return slices.Contains([]string{"ifmodule", "ifversion", "iffile", "ifdirective", "ifsection"}, d.name)
}

// variables replaces ${NAME} by what NAME was defined as; others stay.
func (c *config) variables(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		name, after, closed := strings.Cut(rest, "}")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		value, defined := c.defined[name]
		if !closed || !defined {
			b.WriteString("${")
			text = rest
			continue
		}
		b.WriteString(value)
		text = after
	}
}
