package webconf

import "strings"

// parseNginx reads the text of an nginx configuration: words that end at white
// space, a semicolon or a brace; quotes; backslashes; comments to the end of
// the line. As in nginx, ${ does not begin a block.
func parseNginx(text string) ([]directive, error) {
	p := &nginxParser{text: text, line: 1}
	list, err := p.block(0)
	if err == nil && p.i < len(text) {
		err = p.bad("unexpected }")
	}
	return list, err
}

type nginxParser struct {
	text string
	i    int
	line int
}

func (p *nginxParser) bad(what string) error { return &syntaxError{p.line, what} }

// block reads directives up to a closing brace, which it leaves, or the end.
func (p *nginxParser) block(depth int) (list []directive, err error) {
	if depth > mostNested {
		return nil, p.bad("blocks are nested too deep")
	}
	var words []string
	line := 0
	for {
		word, mark, err := p.next()
		if err != nil {
			return nil, err
		}
		switch {
		case mark == 0:
			if words == nil {
				line = p.line
			}
			words = append(words, word)
			continue
		case mark != ';' && mark != '{': // the end of the block
			if words != nil {
				return nil, p.bad("directive " + words[0] + " has no end")
			}
			return list, nil
		case words == nil:
			return nil, p.bad("unexpected " + string(mark))
		}
		d := directive{name: words[0], text: shown(words[0], words[1:]), args: words[1:], line: line}
		if mark == '{' {
			if d.body, err = p.block(depth + 1); err != nil {
				return nil, err
			}
			if p.i == len(p.text) {
				return nil, &syntaxError{line, "block of " + d.name + " is not closed"}
			}
			p.i++
		}
		list, words = append(list, d), nil
	}
}

// end is the mark of the end of the text.
const end = 1

// next returns the next word, or the mark that stands there: ; { } or the end. A
// closing brace is left to stand.
func (p *nginxParser) next() (word string, mark byte, err error) {
	p.skip()
	if p.i == len(p.text) {
		return "", end, nil
	}
	switch c := p.text[p.i]; c {
	case ';', '{':
		p.i++
		return "", c, nil
	case '}':
		return "", c, nil
	case '"', '\'':
		return p.quoted(c)
	}
	start := p.i
	for ; p.i < len(p.text); p.i++ {
		switch c := p.text[p.i]; {
		case c == '\\' && p.i+1 < len(p.text):
			p.i++
		case c == '{' && p.text[p.i-1] == '$' && p.i > start:
			n := strings.IndexByte(p.text[p.i:], '}')
			if n < 0 {
				return "", 0, p.bad("${ is not closed")
			}
			p.i += n
		case strings.IndexByte(" \t\r\n;{", c) >= 0:
			return p.text[start:p.i], 0, nil
		}
	}
	return p.text[start:], 0, nil
}

// skip passes over white space and comments.
func (p *nginxParser) skip() {
	for ; p.i < len(p.text); p.i++ {
		switch p.text[p.i] {
		case '\n':
			p.line++
		case ' ', '\t', '\r':
		case '#':
			n := strings.IndexByte(p.text[p.i:], '\n')
			if n < 0 {
				n = len(p.text) - p.i
			}
			p.i += n - 1
		default:
			return
		}
	}
}

// quoted reads a word in quotes, in which a backslash quotes the quote and
// itself.
func (p *nginxParser) quoted(quote byte) (word string, mark byte, err error) {
	var b strings.Builder
	start := p.line
	for p.i++; p.i < len(p.text); p.i++ {
		c := p.text[p.i]
		switch {
		case c == quote:
			p.i++
			return b.String(), 0, nil
		case c == '\n':
			p.line++
		case c == '\\' && p.i+1 < len(p.text) && (p.text[p.i+1] == quote || p.text[p.i+1] == '\\'):
			p.i++
			c = p.text[p.i]
		}
		b.WriteByte(c)
	}
	return "", 0, &syntaxError{start, "a quote is not closed"}
}
