package site

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// issue makes a certificate with its key, in PEM.
func issue(t *testing.T, from, until time.Time, names ...string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	draft := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until, DNSNames: names}
	der, err := x509.CreateCertificate(rand.Reader, draft, draft, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func TestParsePair(t *testing.T) {
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	from, until := now.AddDate(0, -1, 0), now.AddDate(0, 1, 0)
	cert, key := issue(t, from, until, "example.org", "*.example.org")
	p, err := ParsePair(cert, key, []string{"example.org", "www.example.org"}, now)
	if err != nil || len(p.Digest) != 32 || !p.Expires.Equal(until) || !strings.Contains(string(p.PEM), "PRIVATE KEY") {
		t.Fatalf("%+v, %v", p, err)
	}
	if again, err := ParsePair(append(cert, '\n'), key, nil, now); err != nil || again.Digest != p.Digest {
		t.Errorf("blank lines count: %v", err)
	}
	if err := Covers(p.PEM, []string{"example.org"}); err != nil {
		t.Error(err)
	}
	if err := Covers(p.PEM, []string{"example.net"}); err == nil {
		t.Error("a certificate is for any name")
	}
	if err := Covers(nil, nil); err == nil {
		t.Error("no certificate was read")
	}
	_, stranger := issue(t, from, until, "example.org")
	for _, tt := range []struct {
		cert, key []byte
		name      string
		now       time.Time
		want      string
	}{
		{cert, stranger, "example.org", now, "private key does not match public key"},
		{cert, []byte("no key"), "example.org", now, "failed to find any PEM data in key input"},
		{[]byte("no"), key, "example.org", now, "failed to find any PEM data in certificate input"},
		{cert, key, "example.com", now, "the certificate is not for example.com"},
		{cert, key, "example.org", until.AddDate(0, 0, 1), "the certificate has expired, on 2026-12-24"},
		{cert, key, "example.org", from.AddDate(0, 0, -1), "the certificate is not valid before 2026-10-24"},
	} {
		if _, err := ParsePair(tt.cert, tt.key, []string{tt.name}, tt.now); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v; want %q", err, tt.want)
		}
	}
}
