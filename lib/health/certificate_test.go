package health

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate returns one for a name that signs itself, from begin to end from
// now on.
func certificate(t *testing.T, name string, begin, end time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(begin), NotAfter: now.Add(end)}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else if name != "" {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// writeCertificate writes cert.pem and key.pem.
func writeCertificate(t *testing.T, dir string, cert tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// secured is a service over TLS.
func secured(cert tls.Certificate, service func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		service(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}))
	}
}

// upgraded is a service that says its lines, and goes on over TLS.
func upgraded(cert tls.Certificate, lines ...string) func(net.Conn) {
	return func(conn net.Conn) {
		buffer := make([]byte, 512)
		for _, line := range lines {
			io.WriteString(conn, line)
			conn.Read(buffer)
			if line == lines[len(lines)-2] {
				break
			}
		}
		io.WriteString(conn, lines[len(lines)-1])
		over := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}})
		over.Read(buffer)
		io.WriteString(over, "221 bye\r\n")
		over.Close()
	}
}

const day = 24 * time.Hour

func TestProbeCertificate(t *testing.T) {
	for _, tt := range []struct {
		name, of   string
		begin, end time.Duration
		host       string
		warning    string
	}{
		{"good", "mail.example", -day, 90 * day, "mail.example", ""},
		{"good for any name", "mail.example", -day, 90 * day, "", ""},
		{"of an address", "192.0.2.1", -day, 90 * day, "192.0.2.1", ""},
		{"a wildcard", "*.example", -day, 90 * day, "mail.example", ""},
		{"another name", "www.example", -day, 90 * day, "mail.example", "certificate is not for mail.example, but for www.example"},
		{"no name", "", -day, 90 * day, "mail.example", "certificate is not for mail.example, but for no name"},
		{"expired", "mail.example", -90 * day, -3*day - time.Hour, "mail.example", "certificate expired 3 days ago"},
		{"just expired", "mail.example", -90 * day, -time.Hour - time.Minute, "mail.example", "certificate expired 1 hour ago"},
		{"expires soon", "mail.example", -87 * day, 3*day + time.Hour, "mail.example", "certificate expires in 3 days"},
		{"a short life, half over", "mail.example", -3 * day, 3 * day, "mail.example", ""},
		{"a short life, nearly over", "mail.example", -6 * day, 23*time.Hour + time.Minute, "mail.example", "certificate expires in 23 hours"},
		{"not yet", "mail.example", 2*day + time.Hour, 90 * day, "mail.example", "certificate is not valid for another 2 days"},
	} {
		cert := certificate(t, tt.of, tt.begin, tt.end)
		web := serve(t, "127.0.0.1", secured(cert, hears("HTTP/1.1 200 OK\r\n\r\n")))
		mail := serve(t, "::1", upgraded(cert, "220 hello\r\n", "250-mail\r\n250 STARTTLS\r\n", "220 go on\r\n"))
		pop := serve(t, "127.0.0.1", upgraded(cert, "+OK\r\n", "+OK\r\nSTLS\r\n.\r\n", "+OK go on\r\n"))
		imap := serve(t, "127.0.0.1", upgraded(cert, "* OK\r\n", "* CAPABILITY IMAP4rev1 STARTTLS\r\na OK\r\n", "a OK go on\r\n"))
		for kind, addr := range map[Kind]netip.AddrPort{HTTPS: web, SMTP: mail, POP3: pop, IMAP: imap} {
			r := probe(t, kind, addr, func(c *Check) { c.Level, c.Host = Certificate, tt.host })
			if r.Reason != tt.warning || (r.Word == Warned) != (tt.warning != "") || !r.Word.Up() {
				t.Errorf("%s, %s: %s: %s", kind, tt.name, r.Word, r.Reason)
			}
			if r := probe(t, kind, addr, func(c *Check) { c.Level = Speak }); r.Word != Good {
				t.Errorf("%s, %s, protocol alone: %s: %s", kind, tt.name, r.Word, r.Reason)
			}
		}
	}
}

// What goes wrong on the way to a certificate is for a warning: the service
// works for who asks for none.
func TestProbeStartTLSLiars(t *testing.T) {
	for _, tt := range []struct {
		name    string
		kind    Kind
		service func(net.Conn)
		warning string
	}{
		{"not offered", SMTP, says("220 hello\r\n", "250 mail\r\n", "221 bye\r\n"), "offers no STARTTLS"},
		{"not offered", POP3, says("+OK\r\n", "-ERR\r\n", "+OK\r\n"), "offers no STLS"},
		{"refused", SMTP, says("220 hello\r\n", "250 STARTTLS\r\n", "454 no entropy\r\n"), `STARTTLS: answered STARTTLS with "454 no entropy"`},
		{"silent", POP3, says("+OK\r\n", "+OK\r\nSTLS\r\n.\r\n"), "STLS: connected, no answer to STLS within 300 ms"},
		{"silent after it", IMAP, says("* OK\r\n", "* CAPABILITY STARTTLS\r\na OK\r\n", "a OK\r\n"), "STARTTLS: connected, no TLS handshake within 300 ms"},
		{"no TLS", SMTP, says("220 hello\r\n", "250 STARTTLS\r\n", "220 go on\r\n", "what?\r\n"), `STARTTLS: does not speak TLS: it began with "what?"`},
	} {
		t.Run(string(tt.kind)+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			r := probe(t, tt.kind, serve(t, "127.0.0.1", tt.service), func(c *Check) {
				c.Level = Certificate
				if strings.HasSuffix(tt.warning, "within 300 ms") {
					c.Timeout = silence
				}
			})
			if r.Word != Warned || r.Reason != tt.warning {
				t.Errorf("%s: %s", r.Word, r.Reason)
			}
		})
	}
}

func TestProbeHandshakeRefused(t *testing.T) {
	addr := serve(t, "127.0.0.1", func(conn net.Conn) {
		none := tls.Server(conn, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, io.EOF }})
		none.Handshake()
	})
	if r := probe(t, HTTPS, addr, nil); r.Word != Wrong || r.Reason != "refused the TLS handshake: internal error" {
		t.Errorf("%s: %s", r.Word, r.Reason)
	}
}
