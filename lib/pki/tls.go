package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync/atomic"
	"time"

	"iwx/lib/fault"
)

// Credentials are this server's certificate and key as TLS wants them. Set
// replaces them under live connections; new handshakes use the new ones. The
// zero value holds none.
type Credentials struct {
	current atomic.Pointer[tls.Certificate]
}

// NewCredentials returns credentials that hold cert.
func NewCredentials(cert *tls.Certificate) *Credentials {
	c := new(Credentials)
	c.Set(cert)
	return c
}

// Set replaces the certificate.
func (c *Credentials) Set(cert *tls.Certificate) { c.current.Store(cert) }

// Leaf returns the certificate in use, nil if there is none.
func (c *Credentials) Leaf() *x509.Certificate {
	if cert := c.current.Load(); cert != nil {
		return cert.Leaf
	}
	return nil
}

func (c *Credentials) server(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := c.current.Load(); cert != nil {
		return cert, nil
	}
	return nil, errors.New("no server certificate")
}

// client answers with an empty certificate when there is none: the manager's
// handler then says what is missing, which an alert could not.
func (c *Credentials) client(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if cert := c.current.Load(); cert != nil {
		return cert, nil
	}
	return new(tls.Certificate), nil
}

// ServerConfig returns the manager's side of TLS. Client certificates are asked
// for and their possession is proved, but whether they are good is left to the
// handler (VerifyClient at every request): a refused handshake cannot tell the
// node why, and connections outlive a deletion.
func ServerConfig(creds *Credentials, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		Time:           now,
		GetCertificate: creds.server,
		ClientAuth:     tls.RequestClientCert,
		NextProtos:     []string{"h2", "http/1.1"},
		// A resumed session would carry the certificate of the first
		// handshake past its renewal.
		SessionTicketsDisabled: true,
	}
}

// ClientConfig returns a node's side of TLS: only the manager of the cluster
// that ca belongs to is believed. now may be the node's clock, or during a join
// the manager's, so that a wrong clock is told in seconds rather than
// as an expired certificate.
func ClientConfig(ca *x509.Certificate, creds *Credentials, now func() time.Time) (*tls.Config, error) {
	cluster, err := ClusterID(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		Time:                 now,
		RootCAs:              roots,
		ServerName:           ManagerName(cluster),
		GetClientCertificate: creds.client,
	}, nil
}

// FetchConfig returns TLS settings that believe anyone. They serve one purpose:
// to fetch the CA certificate, which is then held against the pin of the token.
// No secret may pass over such a connection.
func FetchConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}
}

// CheckPin reports, with what to do, that ca is not the one the token names.
func CheckPin(ca *x509.Certificate, pin Pin) error {
	got := PinOf(ca)
	if got == pin {
		return nil
	}
	err := fault.New(fault.Failed, "manager shows a CA with pin %.16s…, the token says %.16s…", got, pin)
	return fault.Hint(err, "someone else may be answering at this address; "+
		"if the manager was set up anew, make a new token there: iwx-node add NAME")
}
