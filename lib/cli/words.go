package cli

import (
	"fmt"
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

// ShellError is an operator or a substitution that only a shell can perform.
// A caller hints at sh -c.
type ShellError struct {
	Token  string // |, &, ;, <, >, (, ), ` or $(
	Column int    // where it stands, in bytes from 1
}

// Error names the operator and its place.
func (e *ShellError) Error() string {
	return fmt.Sprintf("%s at column %d needs a shell", e.Token, e.Column)
}

// Words splits a line into the words of a command, with the quotes, backslashes
// and comments of sh (POSIX XCU 2.2 and 2.3). Nothing is expanded: $HOME and *
// stay as written. Bytes that are not UTF-8 are kept. A line that is empty or a
// comment has no words. The errors are *QuoteError and *ShellError.
func Words(line string) ([]string, error) {
	s := splitter{line: line}
	for s.i < len(line) {
		if err := s.step(line[s.i]); err != nil {
			return nil, err
		}
	}
	s.end()
	return s.words, nil
}

// splitter is a place in a line that is being split.
type splitter struct {
	line   string
	i      int
	words  []string
	word   strings.Builder
	inWord bool // also for "", which is a word
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
			return &ShellError{token, s.i + 1}
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
			return &ShellError{token, s.i + 1}
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
