package pki

import (
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"iwx/lib/atomicfile"
	"iwx/lib/fault"
)

// The files of a Store. Keys are PKCS #8, all files PEM (RFC 7468).
const (
	caCertFile     = "ca.crt"
	caKeyFile      = "ca.key" // manager only
	serverCertFile = "server.crt"
	serverKeyFile  = "server.key"
	logKeyFile     = "log.key" // manager only
	logPublicFile  = "log.pub"
)

// PEM block types.
const (
	certBlock   = "CERTIFICATE"
	keyBlock    = "PRIVATE KEY"
	publicBlock = "PUBLIC KEY"
)

// Store is a directory of keys and certificates, mode 0700 with files 0600.
//
// Every Ensure method returns what is there, or makes and stores it: a setup
// that was killed at any point can be run again. A file that is there but
// unusable is an error, never overwritten.
type Store struct{ Dir string }

// EnsureCA returns the CA. The key is stored before the certificate: one
// without the other has signed nothing, and is replaced. A CA of another
// cluster is an error.
func (s Store) EnsureCA(clusterID string, now time.Time) (*CA, error) {
	ca, err := s.CA()
	if err == nil && ca.ClusterID() != clusterID {
		return nil, fault.New(fault.Failed, "%s: is the CA of cluster %s, not %s", s.path(caCertFile), ca.ClusterID(), clusterID)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return ca, err
	}
	if _, err := os.Lstat(s.path(caCertFile)); err == nil {
		err := fault.New(fault.Failed, "%s: the CA certificate is there but its key %s is gone", s.path(caCertFile), caKeyFile)
		return nil, fault.Hint(err, "iwx-cluster-setup restore FILE")
	}
	if ca, err = NewCA(clusterID, now); err != nil {
		return nil, err
	}
	if err := s.saveKey(caKeyFile, ca.key); err != nil {
		return nil, err
	}
	return ca, s.SaveRoot(ca.Cert)
}

// CA loads the CA with its key.
func (s Store) CA() (*CA, error) {
	cert, err := s.Root()
	if err != nil {
		return nil, err
	}
	key, err := s.loadKey(caKeyFile)
	if err != nil {
		return nil, err
	}
	if err := s.checkPair(caCertFile, cert, caKeyFile, key); err != nil {
		return nil, err
	}
	return &CA{Cert: cert, key: key}, nil
}

// Root loads the CA's certificate.
func (s Store) Root() (*x509.Certificate, error) {
	cert, err := s.loadCert(caCertFile)
	if err != nil {
		return nil, err
	}
	if _, err := ClusterID(cert); err != nil {
		return nil, fault.New(fault.Failed, "%s: %w", s.path(caCertFile), err)
	}
	return cert, nil
}

// SaveRoot stores the CA's certificate.
func (s Store) SaveRoot(ca *x509.Certificate) error {
	return s.save(caCertFile, certBlock, ca.Raw)
}

// EnsureKey returns this server's own key. A renewal keeps it, so that storing
// the new certificate, one rename, is the whole change.
func (s Store) EnsureKey() (crypto.Signer, error) {
	key, err := s.loadKey(serverKeyFile)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = NewKey(); err != nil {
		return nil, err
	}
	return key, s.saveKey(serverKeyFile, key)
}

// SaveCertificate stores this server's own certificate. It must be for the
// stored key.
func (s Store) SaveCertificate(cert *x509.Certificate) error {
	key, err := s.loadKey(serverKeyFile)
	if err != nil {
		return err
	}
	if err := s.checkPair(serverCertFile, cert, serverKeyFile, key); err != nil {
		return err
	}
	return s.save(serverCertFile, certBlock, cert.Raw)
}

// Certificate loads this server's own certificate and key, for Credentials.
func (s Store) Certificate() (*tls.Certificate, error) {
	cert, err := s.loadCert(serverCertFile)
	if err != nil {
		return nil, err
	}
	key, err := s.loadKey(serverKeyFile)
	if err != nil {
		return nil, err
	}
	if err := s.checkPair(serverCertFile, cert, serverKeyFile, key); err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}

// EnsureLogKey returns the key that signs the log.
func (s Store) EnsureLogKey() (ed25519.PrivateKey, error) {
	key, err := s.LogKey()
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = NewLogKey(); err != nil {
			return nil, err
		}
		err = s.saveKey(logKeyFile, key)
	}
	if err != nil {
		return nil, err
	}
	return key, s.SaveLogPublic(LogPublic(key))
}

// LogKey loads the key that signs the log.
func (s Store) LogKey() (ed25519.PrivateKey, error) {
	key, err := s.loadKey(logKeyFile)
	if err != nil {
		return nil, err
	}
	if k, ok := key.(ed25519.PrivateKey); ok {
		return k, nil
	}
	return nil, s.unusable(logKeyFile, errors.New("not an Ed25519 key"))
}

// LogPublic loads the key that log signatures are verified with.
func (s Store) LogPublic() (ed25519.PublicKey, error) {
	der, err := s.load(logPublicFile, publicBlock)
	if err != nil {
		return nil, err
	}
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, s.unusable(logPublicFile, err)
	}
	if k, ok := pub.(ed25519.PublicKey); ok {
		return k, nil
	}
	return nil, s.unusable(logPublicFile, errors.New("not an Ed25519 key"))
}

// SaveLogPublic stores the key that log signatures are verified with.
func (s Store) SaveLogPublic(pub ed25519.PublicKey) error {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return err
	}
	return s.save(logPublicFile, publicBlock, der)
}

func (s Store) path(name string) string { return filepath.Join(s.Dir, name) }

func (s Store) loadKey(name string) (crypto.Signer, error) {
	der, err := s.load(name, keyBlock)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, s.unusable(name, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, s.unusable(name, errors.New("not a signing key"))
	}
	return signer, nil
}

func (s Store) saveKey(name string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return s.save(name, keyBlock, der)
}

func (s Store) loadCert(name string) (*x509.Certificate, error) {
	der, err := s.load(name, certBlock)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, s.unusable(name, err)
	}
	return cert, nil
}

// load returns the content of the one PEM block that a file must hold.
func (s Store) load(name, block string) ([]byte, error) {
	data, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Hint(err, "iwx-cluster-setup status")
	}
	if err != nil {
		return nil, err
	}
	b, _ := pem.Decode(data)
	if b == nil || b.Type != block {
		return nil, s.unusable(name, errors.New("no PEM block "+block))
	}
	return b.Bytes, nil
}

func (s Store) save(name, block string, der []byte) error {
	if err := atomicfile.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	return atomicfile.Write(s.path(name), pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der}), 0o600)
}

// checkPair fails unless cert is for key.
func (s Store) checkPair(certName string, cert *x509.Certificate, keyName string, key crypto.Signer) error {
	pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if ok && pub.Equal(cert.PublicKey) {
		return nil
	}
	return s.unusable(certName, errors.New("is not for the key in "+keyName))
}

// unusable names a file and the ways on: a manager has its backups, a node can
// always join again.
func (s Store) unusable(name string, err error) error {
	err = fault.New(fault.Failed, "%s: %w", s.path(name), err)
	return fault.Hint(err, "on the manager: iwx-cluster-setup restore FILE; on a node: join again with a new token")
}
