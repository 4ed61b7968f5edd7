package join

import (
	"encoding/base32"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"iwx/lib/fault"
	"iwx/lib/input"
)

// prefix is what a token of this version begins with.
const prefix = "iwx1-"

// maxInput is far more than a token with its comments; what is longer is some
// other file.
const maxInput = 64 << 10

// alphabet is Crockford's base 32 in lower case: no letter can be taken for a
// digit, and a double click selects all of it. crockford.com/base32.html
var alphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// start is where a token of any version begins. The hyphen is in no alphabet,
// so that two tokens in a row show.
var start = regexp.MustCompile(`iwx([0-9]{1,9})-`)

// ParseToken reads a token as people hand it over: space and quotes around it,
// line breaks within, lines that start with #, and either case are all
// accepted, and so are o for 0 and i or l for 1. It may stand in other text: after
// "token: ", in a quoted mail, in all that iwx-node add printed. Empty input,
// something else, two tokens, a newer version, a cut and a mistyped token each
// have an error of their own, with a hint and the code Usage. The text is never
// part of an error: it may be secret.
func ParseToken(text string) (Token, error) {
	if len(text) > maxInput {
		return Token{}, notAToken()
	}
	text = squeeze(string(input.Text([]byte(text))))
	if strings.Trim(text, quotes+" ") == "" {
		return Token{}, refuse("the token is empty", "make one on the manager: iwx-node add NAME")
	}
	var tokens []Token
	err := notAToken()
	newer := false
	for i, found := range start.FindAllStringSubmatchIndex(text, -1) {
		token, wrong := parseAt(text, found)
		switch {
		case wrong == nil && !slices.Contains(tokens, token):
			tokens = append(tokens, token)
		case wrong != nil && i == 0:
			err = wrong
		}
		newer = newer || text[found[0]:found[1]] != prefix
	}
	switch {
	case len(tokens) == 0:
		return Token{}, err
	case len(tokens) > 1 || newer:
		return Token{}, refuse("more than one token was given", "give the one that was made for this server")
	}
	return tokens[0], nil
}

// quotes are the quotation marks that may surround a token.
const quotes = "\"'`“”‘’"

// squeeze drops comments and the marks of quoted mail, replaces each run of
// white space by one space, and unifies letters.
func squeeze(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		line = strings.TrimLeft(line, "> \t")
		if !strings.HasPrefix(line, "#") {
			kept = append(kept, strings.Fields(line)...)
		}
	}
	return strings.ToLower(strings.Join(kept, " "))
}

// parseAt reads the token whose start is at found. Its first byte gives its
// length, and no letter or digit may follow. If that fails, the error is about
// all the text that follows.
func parseAt(text string, found []int) (Token, error) {
	if text[found[0]:found[1]] != prefix {
		return Token{}, otherVersion(text[found[2]:found[3]])
	}
	rest := text[found[1]:]
	var digits strings.Builder
	for i, r := range rest {
		if r == ' ' {
			continue
		}
		if n := length(digits.String()); n > 0 && digits.Len() == n && (rest[i-1] == ' ' || notADigit(r) && !unicode.IsLetter(r)) {
			if token, err := decode(digits.String()); err == nil {
				return token, nil
			}
			break
		}
		digits.WriteRune(r)
	}
	return decode(strings.Trim(strings.ReplaceAll(rest, " ", ""), quotes))
}

// length returns the number of digits of the token that begins with these
// digits, or 0 if there are too few to say.
func length(digits string) int {
	if len(digits) < 2 {
		return 0
	}
	first, err := alphabet.DecodeString(unify(digits[:2]))
	if err != nil || size(first[0]) == 0 {
		return 0
	}
	return alphabet.EncodedLen(size(first[0]))
}

// unify replaces digits that look alike by the intended one.
func unify(digits string) string {
	return strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(digits)
}

func decode(digits string) (Token, error) {
	digits = unify(digits)
	if at := strings.IndexFunc(digits, notADigit); at >= 0 {
		return Token{}, mistyped("has a character that no token has, at place %d", len(prefix)+at+1)
	}
	// The first byte, two digits, tells how long the token is.
	if len(digits) < 2 {
		return Token{}, truncated(len(digits), 0)
	}
	first, err := alphabet.DecodeString(digits[:2])
	if err != nil || size(first[0]) == 0 {
		return Token{}, mistyped("does not begin as a token does")
	}
	want := alphabet.EncodedLen(size(first[0]))
	switch {
	case len(digits) < want:
		return Token{}, truncated(len(digits), want)
	case len(digits) > want:
		return Token{}, mistyped("is %d characters too long", len(digits)-want)
	}
	raw, err := alphabet.DecodeString(digits)
	if err != nil {
		return Token{}, mistyped("does not decode")
	}
	t, valid := unmarshal(raw)
	// Unused bits of the last digit must be zero, or two texts were one token.
	if !valid || alphabet.EncodeToString(raw) != digits {
		return Token{}, mistyped("has a wrong checksum")
	}
	return t, nil
}

func notADigit(r rune) bool {
	switch {
	case r >= '0' && r <= '9', r >= 'a' && r <= 'z' && r != 'u':
		return false
	}
	return true
}

func refuse(what, hint string) error {
	return fault.Hint(fault.New(fault.Usage, "%s", what), "%s", hint)
}

func notAToken() error {
	return refuse("this is not a join token", "a token begins with "+prefix+"; make one on the manager: iwx-node add NAME")
}

func otherVersion(version string) error {
	return refuse("the token is of version "+version+", and this iwx knows version 1 only",
		"install the manager's version of iwx here")
}

func mistyped(format string, args ...any) error {
	err := fault.New(fault.Usage, "the token is mistyped: it "+format, args...)
	return fault.Hint(err, "copy it again, whole, from the manager's terminal")
}

func truncated(have, want int) error {
	what := fault.New(fault.Usage, "the token is cut short: %d of %d characters", len(prefix)+have, len(prefix)+want)
	if want == 0 {
		what = fault.New(fault.Usage, "the token is cut short: %d characters", len(prefix)+have)
	}
	return fault.Hint(what, "copy it again, whole, from the manager's terminal")
}
