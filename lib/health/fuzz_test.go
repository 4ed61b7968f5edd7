package health

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"regexp"
	"testing"
	"time"
	"unicode"
)

// tape is a service that says what is on it, whatever it is asked, and then
// closes.
type tape struct {
	net.Conn
	text *bytes.Reader
}

func (t tape) Read(p []byte) (int, error)  { return t.text.Read(p) }
func (t tape) Write(p []byte) (int, error) { return len(p), nil }
func (t tape) SetDeadline(time.Time) error { return nil }
func (t tape) LocalAddr() net.Addr         { return &net.TCPAddr{IP: net.IPv6loopback} }
func (t tape) Close() error                { return nil }

// play returns what is found of a service that says a text, and how much of it
// was read.
func play(kind Kind, level Level, text []byte) (warning string, err error, read int) {
	on := tape{text: bytes.NewReader(text)}
	check := Check{Kind: kind, Level: level}.Filled()
	d := newDialog(on, Target{Addr: netip.MustParseAddrPort("[::1]:1"), Check: check}, time.Now)
	if err = d.open(); err == nil {
		err = d.converse()
	}
	return d.warning, err, len(text) - on.text.Len()
}

// fuzz plays what is found to be good, and what is not, and checks that what is
// found good begins as it has to, and that what is told of the rest can be
// shown.
func fuzz(f *testing.F, kind Kind, good *regexp.Regexp, seeds ...string) {
	for _, seed := range append(seeds, "", "\n", "\r\n\r\n", "x\x00\xff\n") {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, level := range []Level{Speak, Certificate} {
			warning, err, read := play(kind, level, text)
			if !kind.TLS() && read > mostSaid {
				t.Errorf("read %d bytes", read)
			}
			if err == nil && !good.Match(text) {
				t.Errorf("%q is good", text)
			}
			checkTrouble(t, warning, err)
		}
	})
}

func checkTrouble(t *testing.T, warning string, err error) {
	t.Helper()
	var found *trouble
	if err != nil && (!errors.As(err, &found) || found.word != Wrong && found.word != Silent) {
		t.Errorf("%#v", err)
	}
	reason := warning
	if found != nil {
		reason += found.reason
	}
	for _, r := range reason {
		if !unicode.IsPrint(r) {
			t.Errorf("%q cannot be shown", reason)
		}
	}
	if len(reason) > 400 {
		t.Errorf("%d bytes of reason: %s", len(reason), reason)
	}
}

func FuzzSMTP(f *testing.F) {
	fuzz(f, SMTP, regexp.MustCompile(`^(220-.*\n)*220[ \r\n](.*\n)*(250-.*\n)*250[ \r\n]`),
		"220 hello\r\n250-mail\r\n250 STARTTLS\r\n220 go on\r\n", "220-a\n220 b\n250\n", "421 later\r\n", "220\r\n250\r\n221 bye\r\n", "220 a\r\n2500 b\r\n")
}

func FuzzPOP3(f *testing.F) {
	fuzz(f, POP3, regexp.MustCompile(`(?i)^\+OK[ \r\n].*\n?((-ERR)[ \r\n]|\+OK[ \r\n](.*\n)*\.\r?\n)`),
		"+OK\r\n+OK\r\nUSER\r\n.\r\n+OK\r\n", "+OK hello\n-ERR what\n", "-ERR later\r\n", "+OK\r\n+OK\r\nSTLS\r\n.\r\n+OK\r\n")
}

func FuzzIMAP(f *testing.F) {
	fuzz(f, IMAP, regexp.MustCompile(`(?i)^\* (OK|PREAUTH)[ \r\n].*\n?(\*[ \r\n].*\n?)*a OK[ \r\n]`),
		"* OK ready\r\n* CAPABILITY IMAP4rev1 STARTTLS\r\na OK\r\na OK\r\n", "* PREAUTH\na OK\n", "* BYE\r\n", "* OK\r\n* BYE\r\na OK\r\n")
}

func FuzzHTTP(f *testing.F) {
	fuzz(f, HTTP, regexp.MustCompile(`^HTTP/1\.[^ ]* [1-3]\d\d[ \r\n](.*\n)*\r?\n`),
		"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", "HTTP/1.0 399\n\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204\r\n\r\n", "HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP/2 200\r\n\r\n")
}

func FuzzTLS(f *testing.F) {
	fuzz(f, HTTPS, regexp.MustCompile(`^\x16\x03`), "\x16\x03\x03\x00\x04\x02\x00\x00\x00", "\x15\x03\x03\x00\x02\x02\x28", "HTTP/1.1 400 Bad Request\r\n\r\n")
}

func FuzzStatuses(f *testing.F) {
	for _, seed := range []string{"200-399", "200,301-302", "", "99", "-", "200-", "399-200"} {
		f.Add(seed, 200)
	}
	f.Fuzz(func(t *testing.T, text string, status int) {
		list, err := parseStatuses(text)
		if (err == nil) == (len(list) == 0) {
			t.Errorf("%q: %v, %v", text, list, err)
		}
		c := Check{Status: text}
		if c.accepts(status) && (status < 100 || status > 599) {
			t.Errorf("%q accepts %d", text, status)
		}
	})
}

// What is read of a service without an end is what a person can say in a
// minute.
func TestDialogIsBounded(t *testing.T) {
	for kind, text := range map[Kind]string{SMTP: "220-x\r\n", IMAP: "* OK\r\n", POP3: "+OK\r\n", HTTP: "HTTP/1.1 100 \r\n"} {
		long := bytes.Repeat([]byte(text), 1<<17)
		if _, err, read := play(kind, Speak, long); err == nil || read > mostSaid {
			t.Errorf("%s: %d bytes, %v", kind, read, err)
		}
	}
}
