package pki

import (
	"bytes"
	"crypto"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iwx/lib/fault"
)

func testStore(t *testing.T) Store {
	return Store{Dir: filepath.Join(t.TempDir(), "pki")}
}

func TestStoreKeepsWhatIsThere(t *testing.T) {
	s := testStore(t)
	ca, err := s.EnsureCA("c1", start)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.EnsureCA("c1", start.AddDate(1, 0, 0))
	if err != nil || !again.Cert.Equal(ca.Cert) {
		t.Errorf("a second EnsureCA made another CA (%v)", err)
	}
	if _, err := s.EnsureCA("c2", start); err == nil {
		t.Error("the CA of c1 was taken for c2's")
	}
	key, err1 := s.EnsureKey()
	key2, err2 := s.EnsureKey()
	if err1 != nil || err2 != nil || !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key2.Public()) {
		t.Errorf("EnsureKey is not stable: %v %v", err1, err2)
	}
	log1, err1 := s.EnsureLogKey()
	log2, err2 := s.EnsureLogKey()
	if err1 != nil || err2 != nil || !log1.Equal(log2) {
		t.Errorf("EnsureLogKey is not stable: %v %v", err1, err2)
	}
	pub, err := s.LogPublic()
	if err != nil || !pub.Equal(LogPublic(log1)) {
		t.Errorf("log.pub is not the half of log.key: %v", err)
	}
}

func TestStoreRoundTrip(t *testing.T) {
	s := testStore(t)
	ca := testCA(t, "c1")
	if err := s.SaveRoot(ca.Cert); err != nil {
		t.Fatal(err)
	}
	key, err := s.EnsureKey()
	if err != nil {
		t.Fatal(err)
	}
	cert := nodeCert(t, ca, "n1", key, start)
	if err := s.SaveCertificate(cert); err != nil {
		t.Fatal(err)
	}
	got, err := s.Certificate()
	if err != nil || !got.Leaf.Equal(cert) || !bytes.Equal(got.Certificate[0], cert.Raw) {
		t.Errorf("certificate after a round trip: %v", err)
	}
	root, err := s.Root()
	if err != nil || !root.Equal(ca.Cert) {
		t.Errorf("root after a round trip: %v", err)
	}
	if err := s.SaveCertificate(nodeCert(t, ca, "n1", testKey(t), start)); err == nil {
		t.Error("a certificate for another key was stored")
	}
	if after, err := s.Certificate(); err != nil || !after.Leaf.Equal(cert) {
		t.Errorf("the refused certificate replaced the old one: %v", err)
	}
}

func TestStoreModes(t *testing.T) {
	s := testStore(t)
	if _, err := s.EnsureCA("c1", start); err != nil {
		t.Fatal(err)
	}
	if _, err := s.EnsureLogKey(); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(s.Dir, func(path string, d fs.DirEntry, err error) error {
		fi, err := os.Stat(path)
		if err == nil && fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, fi.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoreInterrupted(t *testing.T) {
	s := testStore(t)
	if _, err := s.EnsureCA("c1", start); err != nil {
		t.Fatal(err)
	}
	// Killed between key and certificate.
	if err := os.Remove(s.path(caCertFile)); err != nil {
		t.Fatal(err)
	}
	ca, err := s.EnsureCA("c1", start)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.CA(); err != nil || !got.Cert.Equal(ca.Cert) {
		t.Errorf("the CA made after an interruption: %v", err)
	}
	// The certificate alone is not an interruption: nodes already trust it.
	if err := os.Remove(s.path(caKeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.EnsureCA("c1", start); err == nil || fault.HintOf(err) == "" {
		t.Errorf("a lost CA key: %v", err)
	}
	if root, err := s.Root(); err != nil || !root.Equal(ca.Cert) {
		t.Errorf("the certificate of the lost key was touched: %v", err)
	}
}

func TestStoreDamage(t *testing.T) {
	full := testStore(t)
	ca, err := full.EnsureCA("c1", start)
	if err != nil {
		t.Fatal(err)
	}
	key, err := full.EnsureKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := full.SaveCertificate(nodeCert(t, ca, "n1", key, start)); err != nil {
		t.Fatal(err)
	}
	if _, err := full.EnsureLogKey(); err != nil {
		t.Fatal(err)
	}
	load := map[string]func(Store) error{
		caCertFile:     func(s Store) error { _, err := s.CA(); return err },
		caKeyFile:      func(s Store) error { _, err := s.EnsureCA("c1", start); return err },
		serverCertFile: func(s Store) error { _, err := s.Certificate(); return err },
		serverKeyFile:  func(s Store) error { _, err := s.EnsureKey(); return err },
		logKeyFile:     func(s Store) error { _, err := s.EnsureLogKey(); return err },
		logPublicFile:  func(s Store) error { _, err := s.LogPublic(); return err },
	}
	junk := "-----BEGIN %s-----\nAAAA\n-----END %s-----\n"
	for file, load := range load {
		if err := load(full); err != nil {
			t.Fatalf("%s before the damage: %v", file, err)
		}
		good, err := os.ReadFile(full.path(file))
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{
			"", "not PEM", strings.ReplaceAll(junk, "%s", certBlock),
			strings.ReplaceAll(junk, "%s", keyBlock), strings.ReplaceAll(junk, "%s", publicBlock),
		} {
			if err := os.WriteFile(full.path(file), []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			err := load(full)
			if err == nil || !strings.Contains(err.Error(), full.path(file)) || fault.HintOf(err) == "" {
				t.Errorf("%s holding %q: %v (hint %q)", file, bad, err, fault.HintOf(err))
			}
			if kept, _ := os.ReadFile(full.path(file)); string(kept) != bad {
				t.Errorf("%s was overwritten", file)
			}
		}
		if err := os.WriteFile(full.path(file), good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStoreMixedPair(t *testing.T) {
	s, other := testStore(t), testStore(t)
	for _, store := range []Store{s, other} {
		if _, err := store.EnsureCA("c1", start); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(other.path(caKeyFile), s.path(caKeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CA(); err == nil || !strings.Contains(err.Error(), "ca.crt: is not for the key in ca.key") {
		t.Errorf("a CA with another's key: %v", err)
	}
}
