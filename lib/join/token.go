// Package join is what a new node and the manager say to each other before they
// trust one another: the token that carries that trust from one terminal to
// the other, and the comparison of what both servers are.
//
// The token holds all that a node needs to reach the manager and to know that
// it is the right one. It is a secret until used. The package neither stores
// tokens nor talks over the network.
package join

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"net/netip"

	"iwx/lib/pki"
)

// ID names a token in lists and in the store. It is not secret.
type ID [8]byte

// String returns the id as 16 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Secret is the 128-bit part of a token that proves its possession. It does not
// show itself when printed or logged.
type Secret [16]byte

// String hides the secret.
func (Secret) String() string { return "(hidden)" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "(hidden)" }

// LogValue hides the secret from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue("(hidden)") }

// Hash is what the manager keeps of a secret. The secret has 128 random bits,
// so that a plain hash cannot be searched backwards.
type Hash [sha256.Size]byte

// Hash returns the hash of the secret.
func (s Secret) Hash() Hash {
	return sha256.Sum256(append([]byte("iwx join secret v1"), s[:]...))
}

// Admits reports in constant time whether s is the secret of h.
func (h Hash) Admits(s Secret) bool {
	got := s.Hash()
	return subtle.ConstantTimeCompare(got[:], h[:]) == 1
}

// Token is an invitation to one new node.
type Token struct {
	Manager netip.AddrPort // where the API listens: quorum IP and port
	Pin     pki.Pin        // of the cluster CA
	ID      ID
	Secret  Secret
}

// NewToken makes a token with a random id and secret.
func NewToken(manager netip.AddrPort, pin pki.Pin) Token {
	t := Token{Manager: netip.AddrPortFrom(manager.Addr().Unmap(), manager.Port()), Pin: pin}
	rand.Read(t.ID[:]) // never fails, crypto/rand
	rand.Read(t.Secret[:])
	return t
}

// String hides the secret; Text is what is handed to the new node.
func (t Token) String() string { return "token " + t.ID.String() }

// The bytes of a token, version 1, big-endian:
//
//	 1      length of the address, 4 or 16
//	 4, 16  address
//	 2      port
//	32      pin
//	 8      id
//	16      secret
//	 4      start of SHA-256 over checkDomain and all before
const (
	fixedSize   = 1 + 2 + pki.PinSize + 8 + 16
	checkSize   = 4
	checkDomain = "iwx join token v1"
)

// Text returns the token as one line without spaces: "iwx1-" and 108 letters
// and digits for IPv4, 127 for IPv6.
func (t Token) Text() string { return prefix + alphabet.EncodeToString(t.marshal()) }

func (t Token) marshal() []byte {
	addr := t.Manager.Addr().AsSlice()
	b := append([]byte{byte(len(addr))}, addr...)
	b = binary.BigEndian.AppendUint16(b, t.Manager.Port())
	b = append(b, t.Pin[:]...)
	b = append(b, t.ID[:]...)
	b = append(b, t.Secret[:]...)
	return append(b, checksum(b)...)
}

func checksum(b []byte) []byte {
	sum := sha256.Sum256(append([]byte(checkDomain), b...))
	return sum[:checkSize]
}

// size returns how many bytes a token has whose first byte this is, 0 if none
// starts so.
func size(first byte) int {
	if first != 4 && first != 16 {
		return 0
	}
	return fixedSize + int(first) + checkSize
}

// unmarshal reads bytes whose number matches their first, and checks them.
func unmarshal(b []byte) (Token, bool) {
	body := b[:len(b)-checkSize]
	if !bytes.Equal(checksum(body), b[len(body):]) {
		return Token{}, false
	}
	addr, rest := body[1:1+body[0]], body[1+body[0]:]
	a, _ := netip.AddrFromSlice(addr)
	t := Token{Manager: netip.AddrPortFrom(a, binary.BigEndian.Uint16(rest))}
	rest = rest[2:]
	rest = rest[copy(t.Pin[:], rest):]
	rest = rest[copy(t.ID[:], rest):]
	copy(t.Secret[:], rest)
	// One token has one text: an IPv4 address in 16 bytes is not ours.
	return t, !a.Is4In6()
}
