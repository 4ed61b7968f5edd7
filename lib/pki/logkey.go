package pki

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"

	"iwx/lib/fault"
)

// headDomain keeps signatures over heads from being taken for anything else.
const headDomain = "iwx log head v1"

// Head is the newest record of a cluster's log that a signature vouches for,
// and through the hash chain everything before it.
type Head struct {
	ClusterID string
	Epoch     uint64
	Seq       uint64
	Hash      [32]byte // of record Seq
}

// message is what is signed: each field with its length before it (uint32,
// big-endian), so that no two heads have the same bytes.
func (h Head) message() []byte {
	var m []byte
	field := func(b []byte) {
		m = binary.BigEndian.AppendUint32(m, uint32(len(b)))
		m = append(m, b...)
	}
	field([]byte(headDomain))
	field([]byte(h.ClusterID))
	field(binary.BigEndian.AppendUint64(nil, h.Epoch))
	field(binary.BigEndian.AppendUint64(nil, h.Seq))
	field(h.Hash[:])
	return m
}

// NewLogKey returns a new key for signing the log.
func NewLogKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

// LogPublic returns the public half of a log key.
func LogPublic(key ed25519.PrivateKey) ed25519.PublicKey {
	return key.Public().(ed25519.PublicKey)
}

// SignHead returns the 64-byte signature of a head. The same head gives the
// same signature.
func SignHead(key ed25519.PrivateKey, h Head) []byte { return ed25519.Sign(key, h.message()) }

// VerifyHead fails unless sig is the log key's signature of h.
func VerifyHead(pub ed25519.PublicKey, h Head, sig []byte) error {
	if len(pub) != ed25519.PublicKeySize || !ed25519.Verify(pub, h.message(), sig) {
		return fault.New(fault.Failed, "log head %d:%d is not signed by the manager's log key", h.Epoch, h.Seq)
	}
	return nil
}
