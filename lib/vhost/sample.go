package vhost

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Sample is a site that is none, for a template to be rendered for.
type Sample struct {
	Name string // what is special about it: "plain", "aliases", "certificate", "suspended"
	Fields
}

// Samples returns one site of each kind that a template has to do with. Their
// homes, and a certificate, are made in the directory scratch; user is theirs, and
// exists where that matters to the web server.
func Samples(scratch, user string, now time.Time) ([]Sample, error) {
	home := filepath.Join(scratch, "home")
	plain := Fields{Domain: "sample.example", User: user, Home: home, Root: filepath.Join(home, "public_html")}
	if err := os.MkdirAll(plain.Root, 0o755); err != nil {
		return nil, err
	}
	plain.Names = []string{plain.Domain}
	aliases, certificate, suspended := plain, plain, plain
	aliases.Aliases = []string{"www.sample.example", "xn--bcher-kva.example"}
	aliases.Names = slices.Concat(plain.Names, aliases.Aliases)
	certificate.Certificate = filepath.Join(scratch, "certificate.pem")
	suspended.Suspended = true
	return []Sample{{"plain", plain}, {"aliases", aliases}, {"certificate", certificate}, {"suspended", suspended}},
		writeCertificate(certificate.Certificate, plain.Names, now)
}

// writeCertificate writes a certificate for the names that nobody has signed, with
// its key, good for an hour.
func writeCertificate(path string, names []string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	draft := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, draft, draft, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	return os.WriteFile(path, text, 0o600)
}
