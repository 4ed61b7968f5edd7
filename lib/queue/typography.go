package queue

import (
	"strings"
	"unicode/utf8"
)

// lintTypography finds dashes and quotation marks that a word processor or a web page
// put in place of those of a shell. A shell splits “a b” into two arguments, and no
// program takes –y for -y. An argument with blanks has been quoted, so it is text.
func lintTypography(s *simple, _ []string) *Finding {
	for _, arg := range s.args() {
		first, size := utf8.DecodeRuneInString(arg)
		last, _ := utf8.DecodeLastRuneInString(arg)
		what := ""
		switch {
		case strings.ContainsAny(arg, " \t\n"):
		case strings.ContainsRune("‐‑‒–—―−", first) && len(arg) > size:
			what = "begins with a dash that is not the - of an option"
		case strings.ContainsRune("“”„‟«»‘‚‛", first), strings.ContainsRune("“”‟«»‘‛", last):
			what = "has typographic quotation marks, which no shell removes"
		}
		if what != "" {
			return &Finding{Name: "typography", Detail: Quote(arg) + " " + what, Remedy: "type it again, with - and ' or \""}
		}
	}
	return nil
}
