package health

import (
	"net"
	"strings"
	"time"
)

// inPeace is for how long an answer to a goodbye is waited for.
const inPeace = 500 * time.Millisecond

// smtp has a greeting, EHLO and QUIT (RFC 5321 §3.1, §3.2, §4.1.1.10).
func (d *dialog) smtp() error {
	d.expect("greeting")
	if _, err := d.reply("220"); err != nil {
		return err
	}
	if err := d.ask("EHLO " + d.literal()); err != nil {
		return err
	}
	offers, err := d.reply("250")
	if err != nil {
		return err
	}
	if d.startsTLS() {
		return d.secure("STARTTLS", offers, func() error { _, err := d.reply("220"); return err })
	}
	d.leave()
	return nil
}

// reply reads a reply of SMTP, and returns its lines: "250-first", "250 last"
// (RFC 5321 §4.2.1).
func (d *dialog) reply(code string) ([]string, error) {
	var lines []string
	for {
		line, err := d.line()
		if err != nil {
			return nil, err
		}
		rest, ok := strings.CutPrefix(line, code)
		if !ok || rest != "" && rest[0] != ' ' && rest[0] != '-' {
			return nil, d.wrong(line)
		}
		lines = append(lines, line)
		if rest == "" || rest[0] == ' ' {
			return lines, nil
		}
	}
}

// literal is this server's name for EHLO: its address, which any server is to
// take from one without a name (RFC 5321 §4.1.3).
func (d *dialog) literal() string {
	local, ok := d.conn.LocalAddr().(*net.TCPAddr)
	switch {
	case !ok:
		return "[127.0.0.1]"
	case local.IP.To4() == nil:
		return "[IPv6:" + local.IP.String() + "]"
	}
	return "[" + local.IP.String() + "]"
}

// pop3 has a greeting, CAPA and QUIT (RFC 1939 §4, RFC 2449 §5). A server that
// knows no CAPA says -ERR, which is an answer too.
func (d *dialog) pop3() error {
	d.expect("greeting")
	if err := d.ok(); err != nil {
		return err
	}
	if err := d.ask("CAPA"); err != nil {
		return err
	}
	offers, err := d.capa()
	if err != nil {
		return err
	}
	if d.startsTLS() {
		return d.secure("STLS", offers, d.ok)
	}
	d.leave()
	return nil
}

// ok reads a line of POP3 that is to be +OK.
func (d *dialog) ok() error {
	line, err := d.line()
	if err == nil && word(line) != "+OK" {
		err = d.wrong(line)
	}
	return err
}

// capa reads the answer to CAPA. After a PROXY header, -ERR may be what was said
// to that, by a service that expects none.
func (d *dialog) capa() ([]string, error) {
	line, err := d.line()
	switch {
	case err != nil:
		return nil, err
	case word(line) == "-ERR" && !d.check.Proxy:
		return nil, nil
	case word(line) != "+OK":
		return nil, d.wrong(line)
	}
	return d.lines(".")
}

// imap has a greeting, CAPABILITY and LOGOUT (RFC 9051 §7.1, §6.1.1, §6.1.3).
func (d *dialog) imap() error {
	d.expect("greeting")
	line, err := d.line()
	if err != nil {
		return err
	}
	if greeting := prefix(line, 2); greeting != "* OK" && greeting != "* PREAUTH" {
		return d.wrong(line)
	}
	if err := d.ask("CAPABILITY"); err != nil {
		return err
	}
	offers, err := d.tagged()
	if err != nil {
		return err
	}
	if d.startsTLS() {
		return d.secure("STARTTLS", offers, func() error { _, err := d.tagged(); return err })
	}
	d.leave()
	return nil
}

// tagged reads to the end of an answer of IMAP, and returns what was said
// before that.
func (d *dialog) tagged() ([]string, error) {
	var before []string
	for {
		line, err := d.line()
		switch {
		case err != nil:
			return nil, err
		case prefix(line, 2) == "A OK":
			return before, nil
		case word(line) != "*" || prefix(line, 2) == "* BYE":
			return nil, d.wrong(line)
		}
		before = append(before, line)
	}
}

// word is the first word of a line, in capitals; prefix its first words.
func word(line string) string { return prefix(line, 1) }

func prefix(line string, words int) string {
	fields := strings.SplitN(line, " ", words+1)
	return strings.ToUpper(strings.Join(fields[:min(words, len(fields))], " "))
}

// startsTLS reports whether the conversation is to go over to TLS, for the
// sake of the certificate.
func (d *dialog) startsTLS() bool {
	return d.check.Level == Certificate && !d.check.Kind.TLS()
}

// secure goes over to TLS, if that is offered, and leaves. The service works,
// whatever comes of it: trouble is for a warning.
func (d *dialog) secure(verb string, offers []string, ready func() error) error {
	if !strings.Contains(strings.ToUpper(strings.Join(offers, "\n")), verb) {
		d.warning = "offers no " + verb
		d.leave()
		return nil
	}
	err := d.ask(verb)
	if err == nil {
		err = ready()
	}
	if err == nil {
		err = d.handshake()
	}
	if err != nil {
		d.warning = verb + ": " + err.Error()
		return nil
	}
	d.leave()
	return nil
}

// ask sends a command, and begins to wait for its answer.
func (d *dialog) ask(command string) error {
	verb, _, _ := strings.Cut(command, " ")
	if d.check.Kind == IMAP || d.check.Kind == IMAPS {
		command = "a " + command // its tag
	}
	return d.send("answer to "+verb, command+"\r\n")
}

// leave says goodbye. The service has answered as it should: what it says to
// that changes nothing, and is only waited for so that it ends in peace.
func (d *dialog) leave() {
	goodbye := "QUIT"
	if d.check.Kind == IMAP || d.check.Kind == IMAPS {
		goodbye = "LOGOUT"
	}
	if d.ask(goodbye) == nil {
		d.conn.SetDeadline(d.now().Add(min(inPeace, d.check.Timeout)))
		d.line()
	}
}
