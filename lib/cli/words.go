package cli

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// QuoteError is a quote or a backslash that nothing follows.
type QuoteError struct {
	Quote  byte // ', " or \
	Column int  // where it stands, in bytes from 1
}

// Error names the quote and its place.
func (e *QuoteError) Error() string {
	if e.Quote == '\\' {
		return fmt.Sprintf("backslash at column %d has nothing to quote", e.Column)
	}
	return fmt.Sprintf("%c at column %d is not closed", e.Quote, e.Column)
}

// ShellError reports syntax that only a shell understands: an operator, a
// substitution, or in a command an expansion. Callers hint at sh -c.
type ShellError struct {
	Token    string // such as |, ;, $(, $HOME or *
	Column   int    // its place, in bytes from 1
	Quotable bool   // it may be meant literally, and then needs quotes
}

// Error names the operator and its place.
func (e *ShellError) Error() string {
	return fmt.Sprintf("%s at column %d needs a shell", e.Token, e.Column)
}

// Words splits a line into words, with the quotes, backslashes and comments of
// sh (POSIX XCU 2.2 and 2.3). It expands nothing: $HOME and * stay as written.
// Bytes that are not UTF-8 are kept. An empty line or a comment has no words.
// The errors are *QuoteError and *ShellError.
func Words(line string) ([]string, error) {
	s := splitter{line: line}
	return s.split()
}

// CommandWords is Words for a command as typed into a shell. What a shell would
// expand is a *ShellError, since the command would get the characters
// themselves. $HOME in double quotes is one too, unless the command is a shell
// that expands it.
func CommandWords(line string) ([]string, error) {
	s := splitter{line: line, command: true}
	words, err := s.split()
	if err == nil && s.expansion != nil && !isShell(words[0]) {
		return nil, s.expansion
	}
	return words, err
}

func isShell(program string) bool {
	return slices.Contains([]string{"sh", "bash", "dash", "ash", "ksh", "zsh"}, path.Base(program))
}

// splitter is a place in a line that is being split.
type splitter struct {
	line      string
	command   bool // see CommandWords
	i         int
	words     []string
	word      strings.Builder
	inWord    bool        // also for "", which is a word
	expansion *ShellError // the first one in double quotes
}

func (s *splitter) split() ([]string, error) {
	for s.i < len(s.line) {
		if err := s.step(s.line[s.i]); err != nil {
			return nil, err
		}
	}
	s.end()
	return s.words, nil
}

// step reads what starts with the byte c.
func (s *splitter) step(c byte) error {
	switch {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		s.end()
		s.i++
	case c == '#' && !s.inWord:
		s.i = len(s.line)
	case c == '\'':
		return s.single()
	case c == '"':
		return s.double()
	case c == '\\':
		if s.i+1 == len(s.line) {
			return &QuoteError{c, s.i + 1}
		}
		s.add(s.line[s.i+1])
		s.i += 2
	default:
		if token := s.operator(c, "|&;<>()"); token != "" {
			return &ShellError{Token: token, Column: s.i + 1}
		}
		if token := s.expands(c); token != "" && s.command {
			return &ShellError{Token: token, Column: s.i + 1, Quotable: token != "$'" && token != `$"`}
		}
		s.add(c)
		s.i++
	}
	return nil
}

// operator returns the token at the current place that needs a shell, or "".
// Substitutions do in quotes too, the others are given.
func (s *splitter) operator(c byte, others string) string {
	switch {
	case c == '$' && strings.HasPrefix(s.line[s.i:], "$("):
		return "$("
	case c == '`', strings.IndexByte(others, c) >= 0:
		return string(c)
	}
	return ""
}

// expands returns the token at the current place that a shell would expand in
// an unquoted word, or "". It skips what every shell leaves as it is: {} and [
// as words, ~ within a word, and a $ without a name after it.
func (s *splitter) expands(c byte) string {
	rest := s.line[s.i:]
	switch c {
	case '*', '?':
		return string(c)
	case '[', ']':
		if isWord := !s.inWord && (len(rest) == 1 || strings.IndexByte(" \t\r\n", rest[1]) >= 0); !isWord {
			return string(c)
		}
	case '{':
		if !strings.HasPrefix(rest, "{}") {
			return "{"
		}
	case '}':
		if !s.inWord || !strings.HasSuffix(s.line[:s.i], "{") {
			return "}"
		}
	case '~':
		if !s.inWord {
			return "~"
		}
	case '!':
		if !s.inWord && len(s.words) == 0 {
			return "!"
		}
	case '$':
		return parameter(rest, true)
	}
	return ""
}

// parameter returns the expansion at the beginning of text, which begins with
// $: $NAME, ${, $1 and the like, and if unquoted also $'…' and $"…".
func parameter(text string, unquoted bool) string {
	name := text[1:]
	end := strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	switch {
	case end < 0 && name != "":
		return text
	case end > 0:
		return text[:end+1]
	case name != "" && (strings.IndexByte("{[@*#?$!-", name[0]) >= 0 || unquoted && strings.IndexByte("'\"", name[0]) >= 0):
		return text[:2]
	}
	return ""
}

// single reads '…', in which every byte is itself.
func (s *splitter) single() error {
	text, _, closed := strings.Cut(s.line[s.i+1:], "'")
	if !closed {
		return &QuoteError{'\'', s.i + 1}
	}
	s.word.WriteString(text)
	s.inWord = true
	s.i += len(text) + 2
	return nil
}

// double reads "…", in which a backslash quotes only $ ` " \ and newline.
func (s *splitter) double() error {
	start := s.i
	s.inWord = true
	for s.i++; s.i < len(s.line); s.i++ {
		c := s.line[s.i]
		if c == '"' {
			s.i++
			return nil
		}
		if c == '\\' && s.i+1 < len(s.line) && strings.IndexByte("$`\"\\\n", s.line[s.i+1]) >= 0 {
			s.i++
			c = s.line[s.i]
		} else if token := s.operator(c, ""); token != "" {
			return &ShellError{Token: token, Column: s.i + 1}
		} else if c == '$' && s.command && s.expansion == nil {
			if token := parameter(s.line[s.i:], false); token != "" {
				s.expansion = &ShellError{Token: token, Column: s.i + 1, Quotable: true}
			}
		}
		s.add(c)
	}
	return &QuoteError{'"', start + 1}
}

func (s *splitter) add(c byte) {
	s.word.WriteByte(c)
	s.inWord = true
}

func (s *splitter) end() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}
