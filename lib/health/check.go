package health

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a Check has that was given nothing. A server that vanishes is out after
// the interval between two knocks and Fall times Connect: within a second.
const (
	webInterval     = 2 * time.Second // a line in the access log each time
	mailInterval    = 5 * time.Second // two or three lines in the mail log
	connectInterval = knockInterval   // nothing in any log

	defaultConnect = 250 * time.Millisecond
	defaultTimeout = 2 * time.Second
	defaultSlow    = 10 * time.Second
	defaultFall    = 2
	defaultRise    = 3
)

// Kinds returns every kind of service that is known.
func Kinds() []Kind {
	return []Kind{TCP, HTTP, HTTPS, SMTP, Submission, SMTPS, POP3, POP3S, IMAP, IMAPS}
}

// TLS reports whether the service speaks TLS from the first byte.
func (k Kind) TLS() bool { return k == HTTPS || k == SMTPS || k == POP3S || k == IMAPS }

// web reports whether the service speaks HTTP.
func (k Kind) web() bool { return k == HTTP || k == HTTPS }

// Defaults returns the check of a service that was given no settings. Kinds
// with TLS from the first byte have their certificate looked at as well: it is
// there anyway, and what is wrong with it only warns.
func Defaults(kind Kind) Check {
	c := Check{
		Kind: kind, Level: Speak, Interval: mailInterval,
		Connect: defaultConnect, Timeout: defaultTimeout,
		Fall: defaultFall, Rise: defaultRise, Slow: defaultSlow,
	}
	switch {
	case kind == TCP:
		c.Level, c.Interval = Connect, connectInterval
	case kind.TLS():
		c.Level = Certificate
	}
	if kind.web() {
		c.Interval, c.Path, c.Status = webInterval, "/", "200-399"
	}
	return c
}

// Filled returns the check with what has the zero value taken from Defaults of
// its kind; of no kind, it is TCP's. Repeating it changes nothing.
func (c Check) Filled() Check {
	if c.Kind == "" {
		c.Kind = TCP
	}
	d := Defaults(c.Kind)
	if c.Level == Connect {
		d.Interval = connectInterval
	}
	fill(&c.Level, d.Level)
	fill(&c.Interval, d.Interval)
	fill(&c.Connect, d.Connect)
	fill(&c.Timeout, d.Timeout)
	fill(&c.Fall, d.Fall)
	fill(&c.Rise, d.Rise)
	fill(&c.Slow, d.Slow)
	fill(&c.Path, d.Path)
	fill(&c.Status, d.Status)
	return c
}

func fill[T comparable](at *T, value T) {
	var zero T
	if *at == zero {
		*at = value
	}
}

// Validate returns what is wrong with the settings of a filled check, all of it
// joined, each naming the setting and the bad value; nil if nothing is.
func (c Check) Validate() error {
	return errors.Join(
		c.validKind(),
		within("interval", c.Interval, 100*time.Millisecond, time.Hour),
		within("connect", c.Connect, time.Millisecond, time.Minute),
		within("timeout", c.Timeout, time.Millisecond, time.Minute),
		within("fall", c.Fall, 1, 100),
		within("rise", c.Rise, 1, 100),
		c.validSlow(),
		c.validHTTP(),
	)
}

func (c *Check) validKind() error {
	levels := []Level{Connect, Speak, Certificate}
	switch {
	case !slices.Contains(Kinds(), c.Kind):
		return fmt.Errorf("check: kind %q is not one of %s", c.Kind, list(Kinds()))
	case !slices.Contains(levels, c.Level):
		return fmt.Errorf("check: level %q is not one of %s", c.Level, list(levels))
	case c.Kind == TCP && c.Level != Connect:
		return fmt.Errorf("check: level %q is for services whose protocol is known; kind tcp has %s alone", c.Level, Connect)
	case c.Kind == HTTP && c.Level == Certificate:
		return fmt.Errorf("check: level %q is for services with TLS, and kind http has none", c.Level)
	}
	return nil
}

func list[T ~string](words []T) string {
	text := make([]string, len(words))
	for i, w := range words {
		text[i] = string(w)
	}
	return strings.Join(text, ", ")
}

func within[T time.Duration | int](name string, value, least, most T) error {
	if value < least || value > most {
		return fmt.Errorf("check: %s %v is out of range %v..%v", name, value, least, most)
	}
	return nil
}

func (c *Check) validSlow() error {
	if c.Slow > time.Hour {
		return fmt.Errorf("check: slow %v is over %v", c.Slow, time.Hour)
	}
	return nil
}

// validHTTP looks at what goes into a request as it is.
func (c *Check) validHTTP() error {
	var err error
	if strings.ContainsFunc(c.Host, notVisible) {
		err = fmt.Errorf("check: host %q has a space or a control character in it", c.Host)
	}
	if !c.Kind.web() {
		return err
	}
	if !strings.HasPrefix(c.Path, "/") || strings.ContainsFunc(c.Path, notVisible) {
		err = errors.Join(err, fmt.Errorf("check: path %q is not a path of a URL", c.Path))
	}
	if _, e := parseStatuses(c.Status); e != nil {
		err = errors.Join(err, e)
	}
	return err
}

func notVisible(r rune) bool { return r <= ' ' || r >= 0x7f }

// statuses is a range of HTTP statuses, both ends included.
type statuses struct{ from, to int }

// parseStatuses reads accepted statuses: "200", "200-399", "200,301-302".
func parseStatuses(text string) ([]statuses, error) {
	var spans []statuses
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from < 100 || to > 599 || from > to {
			return nil, fmt.Errorf("check: status %q is neither a status from 100 to 599 nor a range of them", part)
		}
		spans = append(spans, statuses{from, to})
	}
	return spans, nil
}

// accepts reports whether the status of an HTTP answer is one of the check's.
func (c *Check) accepts(status int) bool {
	spans, err := parseStatuses(c.Status)
	return err == nil && slices.ContainsFunc(spans, func(s statuses) bool { return s.from <= status && status <= s.to })
}
