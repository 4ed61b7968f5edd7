package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testCA(t *testing.T, cluster string) *CA {
	t.Helper()
	ca, err := NewCA(cluster, start)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func testKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func testCSR(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	csr, err := NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// nodeCert signs a node of ca at a time.
func nodeCert(t *testing.T, ca *CA, id string, key crypto.Signer, at time.Time) *x509.Certificate {
	t.Helper()
	cert, err := ca.SignNode(testCSR(t, key), id, at)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestIDs(t *testing.T) {
	for _, id := range []string{"a", "web-1", NewID(), strings.Repeat("a", 63)} {
		if err := CheckID(id); err != nil {
			t.Errorf("CheckID(%q) = %v", id, err)
		}
	}
	for _, id := range []string{"", "A", "a.b", "-a", "a-", "ä", "a b", strings.Repeat("a", 64)} {
		if CheckID(id) == nil {
			t.Errorf("CheckID(%q) accepted", id)
		}
	}
	if NewID() == NewID() {
		t.Error("two ids are the same")
	}
}

func TestCertificates(t *testing.T) {
	ca := testCA(t, "c1")
	if id, err := ClusterID(ca.Cert); err != nil || id != "c1" {
		t.Fatalf("ClusterID = %q, %v", id, err)
	}
	manager, err := ca.SignManager(testKey(t).Public(), start)
	if err != nil {
		t.Fatal(err)
	}
	node := nodeCert(t, ca, "n1", testKey(t), start)
	for _, tt := range []struct {
		cert  *x509.Certificate
		name  string
		usage x509.ExtKeyUsage
	}{
		{manager, "manager.c1", x509.ExtKeyUsageServerAuth},
		{node, "n1.node.c1", x509.ExtKeyUsageClientAuth},
	} {
		if len(tt.cert.DNSNames) != 1 || tt.cert.DNSNames[0] != tt.name {
			t.Errorf("names %v, want %s", tt.cert.DNSNames, tt.name)
		}
		if len(tt.cert.ExtKeyUsage) != 1 || tt.cert.ExtKeyUsage[0] != tt.usage || tt.cert.IsCA {
			t.Errorf("%s: usages %v, CA %v", tt.name, tt.cert.ExtKeyUsage, tt.cert.IsCA)
		}
		if !tt.cert.NotBefore.Equal(start.Add(-time.Hour)) || !tt.cert.NotAfter.Equal(start.Add(90*24*time.Hour)) {
			t.Errorf("%s: valid %s to %s", tt.name, tt.cert.NotBefore, tt.cert.NotAfter)
		}
		if bits := tt.cert.SerialNumber.BitLen(); bits != 128 {
			t.Errorf("%s: serial of %d bits", tt.name, bits)
		}
	}
	if PinOf(ca.Cert) == PinOf(testCA(t, "c1").Cert) {
		t.Error("two CAs have one pin")
	}
}

func TestLeafNeverOutlivesCA(t *testing.T) {
	ca := testCA(t, "c1")
	late := ca.Cert.NotAfter.Add(-time.Hour)
	if cert := nodeCert(t, ca, "n1", testKey(t), late); !cert.NotAfter.Equal(ca.Cert.NotAfter) {
		t.Errorf("leaf until %s, CA until %s", cert.NotAfter, ca.Cert.NotAfter)
	}
	if _, err := ca.SignNode(testCSR(t, testKey(t)), "n1", ca.Cert.NotAfter.Add(time.Second)); err == nil {
		t.Error("an expired CA signs")
	}
}

func TestNamesOfRequestAreNotCopied(t *testing.T) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "manager.c1"}, DNSNames: []string{"manager.c1"},
	}, testKey(t))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := testCA(t, "c1").SignNode(csr, "n1", start)
	if err != nil {
		t.Fatal(err)
	}
	if cert.Subject.CommonName != "n1.node.c1" || len(cert.DNSNames) != 1 || cert.DNSNames[0] != "n1.node.c1" {
		t.Errorf("subject %s, names %v", cert.Subject, cert.DNSNames)
	}
}

func TestSigningRequests(t *testing.T) {
	p384, err1 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	p224, err2 := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	_, ed, err3 := ed25519.GenerateKey(rand.Reader)
	weak, err4 := rsa.GenerateKey(rand.Reader, 2048)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		t.Fatal(err1, err2, err3, err4)
	}
	forged := testCSR(t, testKey(t))
	forged[len(forged)-1] ^= 1
	tests := []struct {
		name string
		csr  []byte
		want string // in the error, "" for success
	}{
		{"P-256", testCSR(t, testKey(t)), ""},
		{"P-384", testCSR(t, p384), ""},
		{"Ed25519", testCSR(t, ed), ""},
		{"P-224", testCSR(t, p224), "P-224"},
		{"RSA", testCSR(t, weak), "rsa"},
		{"forged", forged, "not signed by its own key"},
		{"noise", []byte("noise"), "certificate request"},
		{"empty", nil, "certificate request"},
	}
	ca := testCA(t, "c1")
	for _, tt := range tests {
		_, err := ca.SignNode(tt.csr, "n1", start)
		if tt.want == "" && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want …%s…", tt.name, err, tt.want)
		}
	}
	if _, err := ca.SignNode(testCSR(t, testKey(t)), "n1.evil", start); err == nil {
		t.Error("a node id of two labels was signed")
	}
	if _, err := NewCA("No", start); err == nil {
		t.Error("a CA for an unfit cluster id was made")
	}
}

func TestVerifyClient(t *testing.T) {
	ca, other := testCA(t, "c1"), testCA(t, "c2")
	twin := testCA(t, "c1") // same name, other key
	good := nodeCert(t, ca, "n1", testKey(t), start)
	manager, err := ca.SignManager(testKey(t).Public(), start)
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	tests := []struct {
		name string
		cert *x509.Certificate
		now  time.Time
		want Reason
	}{
		{"good", good, start, ""},
		{"clock an hour behind", good, start.Add(-time.Hour), ""},
		{"last second", good, good.NotAfter, ""},
		{"none", nil, start, NoCertificate},
		{"expired", good, start.Add(91 * day), Expired},
		{"not yet", good, start.Add(-day), NotYetValid},
		{"manager's", manager, start, WrongUsage},
		{"foreign", nodeCert(t, twin, "n1", testKey(t), start), start, ForeignCA},
		{"foreign and expired", nodeCert(t, twin, "n1", testKey(t), start), start.Add(91 * day), ForeignCA},
		{"moved here", nodeCert(t, other, "n1", testKey(t), start), start, OtherCluster},
		{"the CA itself", ca.Cert, start, Malformed},
	}
	for _, tt := range tests {
		var chain []*x509.Certificate
		if tt.cert != nil {
			chain = append(chain, tt.cert)
		}
		id, err := VerifyClient(ca.Cert, chain, tt.now)
		if ReasonOf(err) != tt.want || (err == nil) != (id == "n1") {
			t.Errorf("%s: id %q, reason %q (%v), want %q", tt.name, id, ReasonOf(err), err, tt.want)
		}
	}
	_, err = VerifyClient(ca.Cert, []*x509.Certificate{good}, start.Add(91*day))
	if want := "certificate expired at 2026-05-30T12:00:00Z"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// A leaf that the CA's key signed, but with names the CA would not give.
func TestVerifyClientUnfitNames(t *testing.T) {
	ca := testCA(t, "c1")
	for _, name := range []string{"n1.c1", "a.n1.node.c1", "N1.node.c1", "manager.c1"} {
		cert, err := ca.sign(testKey(t).Public(), name, x509.ExtKeyUsageClientAuth, start)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := VerifyClient(ca.Cert, []*x509.Certificate{cert}, start); ReasonOf(err) != Malformed {
			t.Errorf("%s: id %q, %v", name, id, err)
		}
	}
	outside, err := ca.sign(testKey(t).Public(), "www.example.net", x509.ExtKeyUsageClientAuth, start)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyClient(ca.Cert, []*x509.Certificate{outside}, start); ReasonOf(err) != Malformed {
		t.Errorf("a name outside the constraint: %v", err)
	}
}

func TestRenewAt(t *testing.T) {
	cert := nodeCert(t, testCA(t, "c1"), "n1", testKey(t), start)
	life := cert.NotAfter.Sub(cert.NotBefore)
	for random, percent := range map[float64]int64{0: 50, 0.5: 65, 1: 80} {
		want := cert.NotBefore.Add(life / 100 * time.Duration(percent))
		if got := RenewAt(cert, random); got.Sub(want).Abs() > time.Second {
			t.Errorf("RenewAt(%v) = %s, want %s", random, got, want)
		}
	}
}

func TestLogHead(t *testing.T) {
	key, err := NewLogKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewLogKey()
	if err != nil {
		t.Fatal(err)
	}
	head := Head{ClusterID: "c1", Epoch: 1, Seq: 42, Hash: [32]byte{1, 2, 3}}
	sig := SignHead(key, head)
	if err := VerifyHead(LogPublic(key), head, sig); err != nil {
		t.Fatal(err)
	}
	for name, changed := range map[string]Head{
		"cluster": {"c2", 1, 42, head.Hash},
		"epoch":   {"c1", 2, 42, head.Hash},
		"seq":     {"c1", 1, 43, head.Hash},
		"hash":    {"c1", 1, 42, [32]byte{1, 2, 4}},
	} {
		if VerifyHead(LogPublic(key), changed, sig) == nil {
			t.Errorf("the signature holds for another %s", name)
		}
	}
	if VerifyHead(LogPublic(other), head, sig) == nil {
		t.Error("another key's signature was accepted")
	}
	if VerifyHead(nil, head, sig) == nil || VerifyHead(LogPublic(key), head, nil) == nil {
		t.Error("an empty key or signature was accepted")
	}
}

// BenchmarkVerifyClient is what every request of a node costs the manager.
func BenchmarkVerifyClient(b *testing.B) {
	ca, err1 := NewCA("c1", start)
	key, err2 := NewKey()
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	csr, err := NewCSR(key)
	if err != nil {
		b.Fatal(err)
	}
	cert, err := ca.SignNode(csr, "n1", start)
	if err != nil {
		b.Fatal(err)
	}
	chain := []*x509.Certificate{cert}
	for b.Loop() {
		if _, err := VerifyClient(ca.Cert, chain, start); err != nil {
			b.Fatal(err)
		}
	}
}
