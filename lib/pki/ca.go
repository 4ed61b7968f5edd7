package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"time"

	"iwx/lib/fault"
)

// organization marks the CA certificates of iwx.
const organization = "iwx cluster CA"

// CA is a cluster's certificate authority with its private key. Only the
// manager has one. It is read-only and may be used by several goroutines.
type CA struct {
	Cert *x509.Certificate
	key  crypto.Signer
}

// NewCA makes the authority of a cluster, valid for CALife from now.
func NewCA(clusterID string, now time.Time) (*CA, error) {
	if err := CheckID(clusterID); err != nil {
		return nil, err
	}
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{organization}, CommonName: clusterID},
		NotBefore:             now.Add(-Backdate),
		NotAfter:              now.Add(CALife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
		// Whoever puts this CA into a system-wide store trusts it for
		// nothing outside the cluster.
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{clusterID},
	}
	cert, err := issue(t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &CA{Cert: cert, key: key}, nil
}

// ClusterID returns the id of the cluster that ca is the authority of. It fails
// for a certificate that is not an iwx CA.
func ClusterID(ca *x509.Certificate) (string, error) {
	o := ca.Subject.Organization
	if !ca.IsCA || len(o) != 1 || o[0] != organization || CheckID(ca.Subject.CommonName) != nil {
		return "", fault.New(fault.Failed, "certificate %q is not the CA of an iwx cluster", ca.Subject)
	}
	return ca.Subject.CommonName, nil
}

// ClusterID returns the id of the cluster.
func (ca *CA) ClusterID() string { return ca.Cert.Subject.CommonName }

// SignManager issues the manager's certificate: serverAuth, LeafLife from now.
func (ca *CA) SignManager(pub crypto.PublicKey, now time.Time) (*x509.Certificate, error) {
	return ca.sign(pub, ManagerName(ca.ClusterID()), x509.ExtKeyUsageServerAuth, now)
}

// SignNode issues a node's certificate for a signing request in DER: clientAuth,
// LeafLife from now. Of the request only the key is taken, once it has proved
// possession of it; names and usages are decided here. Bytes come in and a
// certificate goes out, so that signing can live in a process of its own.
func (ca *CA) SignNode(csr []byte, nodeID string, now time.Time) (*x509.Certificate, error) {
	if err := CheckID(nodeID); err != nil {
		return nil, err
	}
	pub, err := ParseCSR(csr)
	if err != nil {
		return nil, err
	}
	return ca.sign(pub, NodeName(nodeID, ca.ClusterID()), x509.ExtKeyUsageClientAuth, now)
}

// sign issues a leaf that never outlives the CA.
func (ca *CA) sign(pub crypto.PublicKey, name string, usage x509.ExtKeyUsage, now time.Time) (*x509.Certificate, error) {
	if err := checkKey(pub); err != nil {
		return nil, err
	}
	if now.After(ca.Cert.NotAfter) {
		return nil, fault.New(fault.Failed, "cluster CA expired on %s", ca.Cert.NotAfter.Format(time.DateOnly))
	}
	notAfter := now.Add(LeafLife)
	if notAfter.After(ca.Cert.NotAfter) {
		notAfter = ca.Cert.NotAfter
	}
	return issue(&x509.Certificate{
		// Common names are limited to 64 bytes (RFC 5280 appendix A), which
		// two ids can exceed; the DNS name is what counts.
		Subject:               pkix.Name{CommonName: shortName(name)},
		DNSNames:              []string{name},
		NotBefore:             now.Add(-Backdate),
		NotAfter:              notAfter,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{usage},
	}, ca.Cert, pub, ca.key)
}

func issue(t, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	t.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func shortName(name string) string { return name[:min(len(name), 64)] }

// NewCSR returns a signing request in DER (PKCS #10, RFC 2986) for key. It
// carries no names: the CA would not copy them.
func NewCSR(key crypto.Signer) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
}

// ParseCSR checks a signing request in DER and its signature and returns the
// public key it is for.
func ParseCSR(der []byte) (crypto.PublicKey, error) {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fault.New(fault.Failed, "certificate request: %w", err)
	}
	if err := checkKey(csr.PublicKey); err != nil {
		return nil, fault.New(fault.Failed, "certificate request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fault.New(fault.Failed, "certificate request is not signed by its own key: %w", err)
	}
	return csr.PublicKey, nil
}
