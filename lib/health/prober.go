package health

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// Prober probes services over the network.
type Prober struct {
	Now func() time.Time
}

// Probe probes a target once, at the level of its check, and can be called by
// many goroutines. It ends by itself, after Connect and Timeout for each answer
// at the latest, or soon after ctx is done; and it reads no more than 32 KiB of
// what the service says, besides a TLS handshake.
//
// At level Connect it knocks: the kernel of the server answers, and is told at
// once, in the place of the handshake's last packet, that the connection is
// off. The service never sees it, so that it fills no log and wakes nobody; a
// service that does not accept what waits already is seen, since its kernel
// then keeps silent.
func (p *Prober) Probe(ctx context.Context, t Target) Result {
	t.Check = t.Check.Filled()
	began := p.Now()
	warning, err := p.ask(ctx, t)
	at := p.Now()
	result := Result{Word: Good, At: at, Took: at.Sub(began)}
	var cause *trouble
	switch {
	case errors.As(err, &cause):
		result.Word, result.Reason = cause.word, cause.reason
	case err != nil:
		result.Word, result.Reason = Wrong, err.Error()
	case warning != "":
		result.Word, result.Reason = Warned, warning
	}
	return result
}

// ask has the conversation, and returns what is to be warned of.
func (p *Prober) ask(ctx context.Context, t Target) (warning string, err error) {
	conn, err := connect(ctx, t, p.Now().Add(t.Check.Connect))
	if err != nil {
		return "", notConnected(err, t.Check.Connect)
	}
	defer conn.Close()
	if t.Check.Level == Connect {
		return "", nil
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	d := newDialog(conn, t, p.Now)
	if err := d.open(); err != nil {
		return "", err
	}
	err = d.converse()
	return d.warning, err
}

// trouble is why a probe did not get the answer it should.
type trouble struct {
	word   Word
	reason string
}

func (t *trouble) Error() string { return t.reason }

// notConnected reports what an error of connect says of the service: nothing, if
// this server is at fault.
func notConnected(err error, within time.Duration) *trouble {
	var no syscall.Errno
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return &trouble{Silent, "no connection within " + span(within)}
	case !errors.As(err, &no):
		return &trouble{Unasked, err.Error()}
	}
	switch no {
	case syscall.ECONNREFUSED:
		return &trouble{Refused, "connection refused"}
	case syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETUNREACH, syscall.ENETDOWN:
		return &trouble{Unreachable, no.Error()}
	case syscall.ECONNRESET:
		return &trouble{Wrong, "the connection was reset at once"}
	}
	return &trouble{Unasked, no.Error()}
}

// open sends what comes before all else, and shakes hands where TLS comes first.
func (d *dialog) open() error {
	if d.check.Proxy {
		if _, err := d.conn.Write(proxyHeader()); err != nil {
			return d.failed(err)
		}
	}
	if d.check.Kind.TLS() {
		return d.handshake()
	}
	return nil
}

// proxyHeader is a header of the PROXY protocol, version 2, for a connection of
// the proxy's own: command LOCAL, no addresses ("The PROXY protocol", §2.2).
func proxyHeader() []byte { return []byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00") }

// converse speaks the protocol of the service.
func (d *dialog) converse() error {
	switch d.check.Kind {
	case HTTP, HTTPS:
		return d.http()
	case SMTP, Submission, SMTPS:
		return d.smtp()
	case POP3, POP3S:
		return d.pop3()
	case IMAP, IMAPS:
		return d.imap()
	}
	return nil
}

// handshake shakes hands, and goes on over TLS. Who signed the certificate is
// not asked: many a cluster signs its own, and clients there know.
func (d *dialog) handshake() error {
	config := &tls.Config{
		InsecureSkipVerify: true,
		CurvePreferences:   []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}, // no post-quantum keys: nothing is secret, and they cost
	}
	if net.ParseIP(d.check.Host) == nil {
		config.ServerName = d.check.Host
	}
	if d.check.Kind == HTTPS {
		config.NextProtos = []string{"http/1.1"}
	}
	d.expect("TLS handshake")
	conn := tls.Client(d.conn, config)
	if err := conn.Handshake(); err != nil {
		return d.noHandshake(err)
	}
	if d.check.Level == Certificate {
		d.warning = d.judge(conn.ConnectionState().PeerCertificates)
	}
	d.over(conn)
	return nil
}
