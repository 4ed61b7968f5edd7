// Package pki is the trust of a cluster: its certificate authority, the
// certificates of manager and nodes, the TLS settings both sides use, and the
// key that signs the log of commands.
//
// It is not a general authority. It issues two kinds of leaf, for one cluster,
// with names of its own choosing:
//
//	manager  serverAuth only, DNS name manager.<cluster-id>
//	node     clientAuth only, DNS name <node-id>.node.<cluster-id>
//
// so that no node can pose as the manager. The CA itself is constrained to
// names below <cluster-id> (RFC 5280 §4.2.1.10). Cluster and node ids are
// single DNS labels in lower case, at most 63 bytes.
//
// Keys are ECDSA P-256, which every TLS 1.3 implementation must accept
// (RFC 8446 §9.1); the log key is Ed25519 (RFC 8032). Randomness is
// crypto/rand's; the time is always passed in.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"strings"
	"time"

	"iwx/lib/fault"
)

// Lifetimes of certificates.
const (
	CALife   = 20 * 365 * 24 * time.Hour
	LeafLife = 90 * 24 * time.Hour
	// Backdate is how far before its making a certificate is valid, for
	// servers whose clocks are behind the manager's.
	Backdate = time.Hour
)

// PinSize is the length of a pin in bytes.
const PinSize = sha256.Size

// Pin is the SHA-256 of a certificate's public key (its DER-encoded
// SubjectPublicKeyInfo, as RFC 7469 §2.4 has it), which a join token carries.
type Pin [PinSize]byte

// PinOf returns the pin of cert.
func PinOf(cert *x509.Certificate) Pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// String returns the pin in hexadecimal.
func (p Pin) String() string { return hex.EncodeToString(p[:]) }

// ManagerName returns the DNS name in the manager's certificate.
func ManagerName(clusterID string) string { return "manager." + clusterID }

// NodeName returns the DNS name in a node's certificate.
func NodeName(nodeID, clusterID string) string { return nodeID + ".node." + clusterID }

// NewID returns a random id for a cluster or node: 26 lower-case letters and
// digits, 128 bits or more. Two never meet.
func NewID() string { return strings.ToLower(rand.Text()) }

// CheckID reports whether id can stand in a certificate: one DNS label of
// lower-case letters, digits and inner hyphens.
func CheckID(id string) error {
	valid := id != "" && len(id) <= 63 && strings.Trim(id, "-") == id
	for _, r := range id {
		valid = valid && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-')
	}
	if !valid {
		return fault.New(fault.Usage, "id %.80q is not a lower-case DNS label", id)
	}
	return nil
}

// NewKey returns a key for a server or a CA.
func NewKey() (crypto.Signer, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// checkKey accepts P-256, P-384 and Ed25519. Others are slow, weak or unknown
// to some TLS stack.
func checkKey(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return nil
		}
		return fault.New(fault.Failed, "key on curve %s, want P-256, P-384 or Ed25519", k.Curve.Params().Name)
	case ed25519.PublicKey:
		return nil
	}
	return fault.New(fault.Failed, "key of type %T, want P-256, P-384 or Ed25519", pub)
}

// newSerial returns 127 random bits with the next one set: positive, and of one
// length (RFC 5280 §4.1.2.2 allows 160 bits).
func newSerial() (*big.Int, error) {
	limit := new(big.Int).Lsh(big.NewInt(1), 127)
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return nil, err
	}
	return n.Or(n, limit), nil
}

// RenewAt returns when cert is to be renewed: a point between 50 and 80 % of
// its life, by random in [0, 1), so that nodes that joined together do not all
// come back in one minute. Keep the result; another call draws another point.
func RenewAt(cert *x509.Certificate, random float64) time.Time {
	life := cert.NotAfter.Sub(cert.NotBefore)
	return cert.NotBefore.Add(time.Duration(float64(life) * (0.5 + 0.3*random)))
}
