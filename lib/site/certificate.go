package site

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"iwx/lib/fault"
)

// Pair is a certificate with those that it was signed with, and its key.
type Pair struct {
	PEM     []byte    // the certificates, the site's own first, then the key
	Digest  string    // 32 hexadecimal digits, of the PEM
	Expires time.Time // when the site's own does
}

// ParsePair reads a certificate and its key, both in PEM, for a site of these
// names. Errors are of wrong usage: what is no certificate or key, a key of
// another certificate, a name that the certificate is not for, one that has
// expired or is not valid yet.
func ParsePair(cert, key []byte, names []string, now time.Time) (*Pair, error) {
	both, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fault.New(fault.Usage, "the certificate and its key: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
	own, err := x509.ParseCertificate(both.Certificate[0])
	if err != nil {
		return nil, fault.New(fault.Usage, "the certificate cannot be read: %w", err)
	}
	if now.After(own.NotAfter) {
		return nil, fault.New(fault.Usage, "the certificate has expired, on %s", own.NotAfter.UTC().Format(time.DateOnly))
	}
	if now.Before(own.NotBefore) {
		return nil, fault.New(fault.Usage, "the certificate is not valid before %s", own.NotBefore.UTC().Format(time.DateTime))
	}
	if err := covers(own, names); err != nil {
		return nil, err
	}
	text := append(append(bytes.TrimSpace(cert), '\n'), append(bytes.TrimSpace(key), '\n')...)
	return &Pair{PEM: text, Digest: PairDigest(text), Expires: own.NotAfter}, nil
}

// PairDigest returns the digest of a pair's PEM.
func PairDigest(pem []byte) string {
	sum := sha256.Sum256(pem)
	return hex.EncodeToString(sum[:16])
}

// Covers wants the certificate of a pair to be for all of the names.
func Covers(pair []byte, names []string) error {
	block, _ := pem.Decode(pair)
	if block == nil {
		return fault.New(fault.Failed, "the certificate cannot be read")
	}
	own, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fault.New(fault.Failed, "the certificate cannot be read: %w", err)
	}
	return covers(own, names)
}

func covers(own *x509.Certificate, names []string) error {
	for _, name := range names {
		if own.VerifyHostname(name) != nil {
			return fault.Hint(fault.New(fault.Usage, "the certificate is not for %s", name), "it is for %s", said(own))
		}
	}
	return nil
}

// said are the names that a certificate is for.
func said(c *x509.Certificate) string {
	if len(c.DNSNames) == 0 {
		return "no name at all"
	}
	const most = 5
	text := strings.Join(c.DNSNames[:min(most, len(c.DNSNames))], ", ")
	if more := len(c.DNSNames) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
