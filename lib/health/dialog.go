package health

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	mostSaid   = 32 << 10 // bytes that a service may say in all
	mostQuoted = 60       // bytes of an answer that are told
)

// dialog is a conversation with a service. Each answer has the check's Timeout,
// all of it, however slowly it comes. It waits for something from its first moment
// to its last: before the service has been asked anything, for what it says first.
type dialog struct {
	conn  net.Conn // for TLS, where there is, not what is below
	check Check
	addr  string // of the service, as a Host field has it
	now   func() time.Time

	said    *io.LimitedReader // what the service may still say
	text    *bufio.Reader
	waits   string // what it waits for: "greeting", "answer to EHLO"; never ""
	before  int64  // said.N when it began to wait
	warning string // of its certificate
}

func newDialog(conn net.Conn, t Target, now func() time.Time) *dialog {
	d := &dialog{check: t.Check, now: now, addr: hostField(t)}
	d.over(conn)
	d.expect(t.Check.Kind.first())
	return d
}

// first returns what a service of this kind sends first.
func (k Kind) first() string {
	switch {
	case k.TLS():
		return "TLS handshake"
	case k == HTTP:
		return "answer to GET"
	case k == TCP:
		return "answer"
	}
	return "greeting"
}

// hostField is a target's Host field: what the check says, or its address, with
// the port if it is not the usual one (RFC 9110 §7.2).
func hostField(t Target) string {
	switch {
	case t.Check.Host != "":
		return t.Check.Host
	case t.Check.Kind == HTTP && t.Addr.Port() == 80, t.Check.Kind == HTTPS && t.Addr.Port() == 443:
		if t.Addr.Addr().Is6() {
			return "[" + t.Addr.Addr().String() + "]"
		}
		return t.Addr.Addr().String()
	}
	return t.Addr.String()
}

// over has the conversation go on over another connection.
func (d *dialog) over(conn net.Conn) {
	d.conn = conn
	d.said = &io.LimitedReader{R: conn, N: mostSaid}
	d.text = bufio.NewReaderSize(d.said, 1<<10)
}

// expect begins to wait for something. It ends the deadline of the previous wait, or
// that of the connection.
func (d *dialog) expect(what string) {
	d.waits, d.before = what, d.said.N
	d.conn.SetDeadline(d.now().Add(d.check.Timeout))
}

// send sends text, and begins to wait for something.
func (d *dialog) send(waits, text string) error {
	d.expect(waits)
	if _, err := io.WriteString(d.conn, text); err != nil {
		return d.failed(err)
	}
	return nil
}

// line reads a line, without its end. That of net/textproto takes half a line
// for a whole one where the rest does not come, which is what is asked here.
func (d *dialog) line() (string, error) {
	line, err := d.text.ReadString('\n')
	if err != nil {
		return "", d.failed(err)
	}
	return strings.TrimSuffix(line[:len(line)-1], "\r"), nil
}

// lines reads lines up to one that is last, which is not among those returned.
func (d *dialog) lines(last string) ([]string, error) {
	var list []string
	for {
		line, err := d.line()
		if err != nil || line == last {
			return list, err
		}
		list = append(list, line)
	}
}

// wrong is an answer that is not the right one.
func (d *dialog) wrong(answer string) error {
	if what, isAnswer := strings.CutPrefix(d.waits, "answer to "); isAnswer {
		return &trouble{Wrong, "answered " + what + " with " + quote(answer)}
	}
	return &trouble{Wrong, "greeted with " + quote(answer)}
}

// failed is an answer that did not come, or not to its end.
func (d *dialog) failed(err error) error {
	part := ""
	if d.said.N < d.before {
		part = "only part of "
	}
	what := part + article(d.waits)
	switch {
	case d.said.N <= 0:
		return &trouble{Wrong, fmt.Sprintf("%s of more than %d KiB", article(d.waits), mostSaid>>10)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		if part == "" {
			what = "no " + d.waits
		}
		return &trouble{Silent, fmt.Sprintf("connected, %s within %s", what, span(d.check.Timeout))}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return &trouble{Wrong, "connected, then reset: no " + d.waits}
	case errors.Is(err, os.ErrClosed), errors.Is(err, net.ErrClosed):
		return &trouble{Unasked, "the probe was cut short: no " + d.waits}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if part == "" {
			return &trouble{Wrong, "connected, then closed: no " + d.waits}
		}
		return &trouble{Wrong, "connected, then closed: " + what}
	}
	return &trouble{Wrong, d.waits + ": " + err.Error()}
}

// noHandshake is a TLS handshake that came to nothing.
func (d *dialog) noHandshake(err error) error {
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return &trouble{Wrong, "does not speak TLS: it began with " + quote(string(record.RecordHeader[:]))}
	}
	if text, ok := strings.CutPrefix(err.Error(), "remote error: tls: "); ok {
		return &trouble{Wrong, "refused the TLS handshake: " + text}
	}
	return d.failed(err)
}

// article puts one before a noun: "a greeting".
func article(noun string) string {
	if strings.IndexAny(noun, "aeiou") == 0 {
		return "an " + noun
	}
	return "a " + noun
}

// quote returns what a service said, for a sentence: quoted, and not too long.
func quote(said string) string {
	if len(said) > mostQuoted {
		said = said[:mostQuoted] + "…"
	}
	return strconv.QuoteToASCII(said)
}

// span is a duration in a person's words: "2 s", "250 ms".
func span(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return strconv.FormatFloat(d.Seconds(), 'g', 3, 64) + " s"
}
