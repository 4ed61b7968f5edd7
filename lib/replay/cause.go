package replay

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
)

// causeBytes limits the length of a cause, which is one line, as printed.
const causeBytes = 300

// The number of lines to search at the beginning and at the end of an output.
const (
	firstLines = 50
	lastLines  = 150
)

// Cause returns why an attempt failed, in one line that is fit for a terminal:
// why it could not be run, else the line of its output that says what went wrong,
// else how it ended.
func Cause(a *cluster.Attempt) string {
	if a.Outcome == cluster.OutcomeUnknown {
		return "cut short, outcome unknown"
	}
	line := a.Error
	if line == "" {
		line = findCause(a.Stdout, a.Stderr)
	}
	line = short(line)
	switch how := Ending(a); {
	case line == "":
		return how
	case a.Outcome == cluster.OutcomeTimeout:
		return how + ": " + line
	default:
		return line
	}
}

// rank is the likelihood that a line says why a command failed.
type rank int

const (
	aside   rank = iota // a warning, a hint, a prompt, progress, a trace
	plain               // anything else
	summary             // says that something failed; another line says what
	named               // "program: message"
	worded              // contains a word for a failure: cannot, denied, no such file
	marked              // is marked as an error
)

// findCause returns the line that says what went wrong: one of the best rank.
// Among several it takes the last program that has any, since a script goes on
// after errors that do not matter to it. Of that program's lines it takes the
// first, since one error causes others. Without any it returns the last line.
func findCause(stdout, stderr attempt.Output) string {
	lines, best := bestLine(outputLines(stderr))
	if best < named {
		// Many programs write their errors to standard output.
		if out, also := bestLine(outputLines(stdout)); also > best && also >= summary || lines == "" {
			return out
		}
	}
	return lines
}

func bestLine(lines []string) (string, rank) {
	ranks := make([]rank, len(lines))
	best := -1
	usage, traceback := false, false
	for i, line := range lines {
		indented := line[0] == ' ' || line[0] == '\t'
		usage = usageLine.MatchString(line) || usage && indented
		traceback = strings.HasPrefix(line, "Traceback (") || traceback && indented
		switch ranks[i] = rankOf(line); {
		case usage && !indented:
			ranks[i] = plain
		case usage, traceback:
			ranks[i] = aside
		}
		if best < 0 || ranks[i] >= ranks[best] {
			best = i
		}
	}
	if best < 0 {
		return "", aside
	}
	top := ranks[best]
	if top > plain {
		for i := best - 1; i >= 0; i-- {
			if ranks[i] == top && program(lines[i]) != program(lines[best]) {
				break
			}
			if ranks[i] == top {
				best = i
			}
		}
	}
	line := strings.TrimSpace(lines[best])
	if strings.HasSuffix(line, ":") && best+1 < len(lines) && top > plain {
		line += " " + strings.TrimSpace(lines[best+1])
	}
	return line, top
}

// program returns the program name at the beginning of a line, as in "cp: no
// space left", or "" if there is none.
func program(line string) string {
	if m := nameFirst.FindStringSubmatch(line); m != nil {
		return m[1]
	}
	return ""
}

var (
	nameFirst = regexp.MustCompile(`^([\p{L}\d_./+@-]+)(?:\[\d+\])?(?::\d+)*: +\S`)
	usageLine = regexp.MustCompile(`(?i)^(\S+: )?usage:`)

	// An unanswered question, with the text after it on its line.
	answered = regexp.MustCompile(`(?i)^(?:.*?(?:\[default=[^\]]*\]|\[y/n\]|\[yes/no[^\]]*\]|\(yes/no\)) ?\??|(?:\[sudo\] |enter |new )*(?:password|passphrase)[^:()]*:) *(\S)`)

	// The time, the program and the place in a file may come before the word.
	remark   = regexp.MustCompile(`^(?:[\d/:.,tz+-]+ )*(?:php |npm )?(?:\S+: )?\[?(?:warning|warn|notice|info|note|hint|debug|deprecated|deprecation)\b ?[:\])!]`)
	progress = regexp.MustCompile(`^[\d: .%k/m|gb-]+$|\d ?%(?:[^\pL]|$)|\[(?:y/n|yes/no)[^\]]*\]\s*[?:]?\s*$|(?:password|passphrase)[^:]*:\s*$|\?\s*$`)
	openssl  = regexp.MustCompile(`^[0-9a-f]{8,}:error:[0-9a-f]+:`)
	failure  = regexp.MustCompile(`^[\w.:]*(?:error|exception)(?:: |$)`) // as Python names them

	// Text that contains a word for an error and is not one.
	noError = regexp.MustCompile(`\b(?:no|0|without|any|previous|more|following) errors?\b|\berrors?[ _.-](?:log|page|report|document|handler)\w*|\berror_\w+`)
)

// Lines that say nothing about a failure, by their beginning and by their
// content. These and all below are in lower case.
var (
	asideStarts = []string{
		"w: ", "n: ", "i: ", "npm warn ", "npm notice ", "+ ", "++ ", // apt, npm, sh -x
		"synchronizing state of ", "executing: /", "created symlink ", "removed ",
		"(reading database ", "preparing to unpack ", "unpacking ", "setting up ", "processing triggers ", "selecting previously ",
		"get:", "hit:", "ign:", "reading package lists", "reading state information", "building dependency tree",
		"debconf: ", "locale: cannot set ", "perl: warning", "mesg: ", "stdin: is not a tty", "tput: ", "sudo: unable to resolve host", "invoke-rc.d: policy-rc.d",
		"try '", "try `", "try \"", "try: ", "see '", "see `", "see \"", "run '", "run `", "run \"", "use '", "use `", "use \"",
		"for more ", "for further ", "for details", "more info", "please ", "did you mean",
		"goroutine ", "exit status ", "caused by:", "\tat ", "    at ", "  file \"",
	}
	asideParts = []string{"may have more information", "for details.", "for more information", "a complete log of this run"}
)

// Lines that say that something failed, while another line says what.
var summaryParts = []string{
	"errors were encountered while processing", "returned an error code", "returned error exit", "script returned error",
	"make: *** [", "make: target ", "compilation terminated", "begin failed--", "action '-t' failed", "action 'configtest' failed",
	"exiting now", "test failed", "parsing failed", "rsync error: ", "error: aborting due to", "error: could not compile", "error: process didn't exit",
	"npm err! code", "build failed", "the check failed and the old ", "returned non-zero exit status", "unable to fetch some archives", "some index files failed", "unable to correct problems",
}

// Words that mark a line as an error, and words that occur in errors.
var (
	markedWords = words(`error errors err fatal panic emerg crit critical alert
		fehler erreur errore erro błąd fout fel ошибка`)
	wordedWords = words(`cannot can't couldn't couldn’t unable fail failed fails failure denied refused refusing doesn't don't invalid unknown
		unrecognized unrecognised unexpected unsupported missing timeout unreachable illegal undefined abort aborted aborting killed required
		conflict conflicts unterminated broken corrupt corrupted mismatch expired eof rejected forbidden unauthorized bad wrong exception locked must`)
	wordedParts = []string{
		"can not ", "could not ", "does not ", "did not ", "do not ", "not found", "no such ", "not permitted", "not allowed", "not supported",
		"not available", "not a ", "not in ", "not installed", "not enough", "not recoverable", "already exists", "already in use", "timed out", "out of memory",
		"no space", "too many", "too long", "too large", "end of file", "segmentation fault", "core dumped",
	}
)

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

func rankOf(line string) rank {
	lower := strings.ToLower(line)
	text := lower
	if strings.Contains(lower, "error") {
		text = noError.ReplaceAllString(lower, "")
	}
	within := func(part string) bool { return strings.Contains(lower, part) }
	switch {
	case slices.ContainsFunc(asideStarts, func(start string) bool { return strings.HasPrefix(lower, start) }),
		slices.ContainsFunc(asideParts, within), remark.MatchString(lower), mostlyEscaped(line):
		return aside
	case slices.ContainsFunc(summaryParts, within), strings.HasPrefix(lower, "make[") && within("*** ["), openssl.MatchString(lower):
		return summary
	case strings.HasPrefix(lower, "e: "), hasWord(text, markedWords), failure.MatchString(text):
		return marked
	case hasWord(text, wordedWords), slices.ContainsFunc(wordedParts, within):
		return worded
	case progress.MatchString(lower): // a line that says that something is wrong ranks higher
		return aside
	case nameFirst.MatchString(line):
		return named
	}
	return plain
}

func hasWord(text string, set map[string]bool) bool {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' && r != '’' }) {
		if set[strings.Trim(word, "'’")] {
			return true
		}
	}
	return false
}

// mostlyEscaped reports whether a printable line represents binary data.
func mostlyEscaped(line string) bool { return strings.Count(line, `\x`)*12 > len(line) }

// colour matches the sequences by which programs set colours and the title of a
// terminal; ECMA-48.
var colour = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[()][0-9A-Za-z]|[=>78cDEHMNOZ])")

// outputLines returns the lines of an output that are not blank, as they are
// printed. A carriage return ends a line, as in a progress bar. A line that
// ends with a colon is joined with the indented line after it.
func outputLines(o attempt.Output) []string {
	text := append(o.Head[:len(o.Head):len(o.Head)], o.Tail...)
	if o.LeftOut() > 0 {
		text = append(append(o.Head[:len(o.Head):len(o.Head)], '\n'), o.Tail...)
	}
	raw := bytes.FieldsFunc(colour.ReplaceAll(text, nil), func(r rune) bool { return r == '\n' || r == '\r' || r == '\f' || r == '\v' })
	if len(raw) > firstLines+lastLines {
		raw = append(raw[:firstLines:firstLines], raw[len(raw)-lastLines:]...)
	}
	var lines []string
	for _, r := range raw {
		r = bytes.TrimRight(r[:min(len(r), 2*causeBytes)], " \t\x00")
		line := attempt.Output{Head: r, Size: int64(len(r))}.String()
		line = answered.ReplaceAllString(line, "$1")
		if strings.TrimSpace(line) == "" {
			continue
		}
		last := len(lines) - 1
		if last >= 0 && strings.HasSuffix(lines[last], ":") && (line[0] == ' ' || line[0] == '\t') && !strings.HasPrefix(lines[last], "Traceback") {
			lines[last] += " " + strings.TrimSpace(line)
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

// short cuts a line that is too long, between characters and never within an
// escape sequence.
func short(line string) string {
	line = strings.Join(strings.FieldsFunc(line, func(r rune) bool { return r == '\n' || r == '\t' || r == '\r' }), " ")
	if len(line) <= causeBytes {
		return line
	}
	cut := causeBytes - len("…")
	for !utf8.RuneStart(line[cut]) {
		cut--
	}
	if at := strings.LastIndexByte(line[:cut], '\\'); at >= 0 && cut-at < len(`\u0000`) {
		cut = at
	}
	return line[:cut] + "…"
}
