package bind

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// statement is one of named.conf(5), with its words and what is in its braces. It
// is read to find the place for our lines; named-checkconf judges it.
type statement struct {
	words  []string
	block  []statement
	inside int // offset behind the opening brace; 0 without one
}

// is reports whether the statement begins with the word.
func (st statement) is(word string) bool { return len(st.words) > 0 && st.words[0] == word }

// parse reads statements. What is not one is read as far as it goes.
func parse(text string) []statement {
	p := &parser{text: text}
	return p.statements()
}

type parser struct {
	text string
	at   int
}

// statements reads until the brace that closes the block, or the end.
func (p *parser) statements() (list []statement) {
	var st statement
	for {
		switch word := p.next(); word {
		case "", "}":
			return list
		case ";":
			if len(st.words) > 0 || st.inside > 0 {
				list = append(list, st)
			}
			st = statement{}
		case "{":
			inside := p.at
			st.block = append(st.block, p.statements()...)
			if st.inside == 0 {
				st.inside = inside
			}
		default:
			st.words = append(st.words, strings.Trim(word, `"`))
		}
	}
}

// next returns the next word, string or sign; "" at the end.
func (p *parser) next() string {
	p.skip()
	if p.at >= len(p.text) {
		return ""
	}
	from := p.at
	switch rest := p.text[from:]; rest[0] {
	case '{', '}', ';':
		p.at++
	case '"':
		end := strings.IndexByte(rest[1:], '"')
		if end < 0 {
			end = len(rest) - 2
		}
		p.at += end + 2
	default:
		end := strings.IndexAny(rest, "{};\" \t\r\n")
		if end < 0 {
			end = len(rest)
		}
		p.at += end
	}
	return p.text[from:p.at]
}

// skip passes over space and the three kinds of comments.
func (p *parser) skip() {
	for p.at < len(p.text) {
		rest := p.text[p.at:]
		switch {
		case strings.HasPrefix(rest, "/*"):
			p.over(rest, "*/")
		case strings.HasPrefix(rest, "//"), rest[0] == '#':
			p.over(rest, "\n")
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			p.at++
		default:
			return
		}
	}
}

func (p *parser) over(rest, end string) {
	if i := strings.Index(rest, end); i >= 0 {
		p.at += i + len(end)
		return
	}
	p.at = len(p.text)
}

// opts are the administrator's options.
type opts struct {
	file   string // where they are; "" if nowhere
	inside int    // offset in it behind the brace
	names  map[string]bool
	port   uint16
}

// readOptions looks for the options in named.conf and what it includes.
func (s *Server) readOptions() (opts, error) {
	o := opts{names: map[string]bool{}, port: 53}
	return o, s.findOptions(&o, s.config, 0)
}

// maxDepth is of includes: more is a circle.
const maxDepth = 16

func (s *Server) findOptions(o *opts, file string, depth int) error {
	text, err := os.ReadFile(file)
	if err != nil || depth > maxDepth {
		return err
	}
	for _, st := range parse(string(text)) {
		switch {
		case st.is("options") && st.inside > 0:
			o.file, o.inside = file, st.inside
			s.collect(o, st.block, depth)
		case st.is("include") && len(st.words) == 2:
			if err := s.findOptions(o, s.included(st.words[1]), depth+1); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}

// included is the file of an include statement.
func (s *Server) included(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.dir, name)
}

// collect notes which options are set. Those of our own file are not the
// administrator's.
func (s *Server) collect(o *opts, block []statement, depth int) {
	for _, st := range block {
		if st.is("include") && len(st.words) == 2 {
			text, err := os.ReadFile(s.included(st.words[1]))
			if err == nil && s.included(st.words[1]) != s.options() && depth < maxDepth {
				s.collect(o, parse(string(text)), depth+1)
			}
			continue
		}
		if len(st.words) > 0 {
			o.names[st.words[0]] = true
		}
		if st.is("port") && len(st.words) == 2 {
			if n, err := strconv.ParseUint(st.words[1], 10, 16); err == nil {
				o.port = uint16(n)
			}
		}
	}
}

// includeLine is what makes named read one of our files.
func includeLine(file string) string {
	return fmt.Sprintf("include \"%s\"; // iwx(7)\n", file)
}

// withLine returns a file's text with the line at an offset; as it is if the line
// is there.
func withLine(text, line string, at int) string {
	if strings.Contains(text, line) {
		return text
	}
	before, after := text[:at], text[at:]
	if before != "" && !strings.HasSuffix(before, "\n") {
		before += "\n"
	}
	return before + line + strings.TrimPrefix(after, "\n")
}

// withoutLine takes the line out again.
func withoutLine(text, line string) string { return strings.ReplaceAll(text, line, "") }
