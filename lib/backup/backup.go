// Package backup writes and reads the one file that a manager can be restored
// from.
//
// The file is an age file (age-encryption.org/v1) for one X25519 recipient, the
// recovery key that setup shows once; inside is a tar (POSIX ustar) whose first
// member, manifest.json, lists the others with their sizes and hashes. So
//
//	age -d -i recovery.key cluster.backup | tar -xv
//
// opens it where iwx is not at hand. What the files mean is the caller's
// matter, and so is a consistent snapshot of each.
//
// Encryption hides the content and shows every change to it, but does not tell
// who wrote the file: whoever has the recipient can. It is kept on the manager,
// readable by root.
//
// This is the only package that imports age.
package backup

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"filippo.io/age"

	"iwx/lib/fault"
)

// FormatVersion is the newest manifest that this package reads and the one it
// writes.
const FormatVersion = 1

// manifestName is the first member of the archive.
const manifestName = "manifest.json"

// Limits on what a reader believes before anything is verified.
const (
	maxManifest = 1 << 20
	maxFiles    = 10000
)

// Manifest describes a backup. Readers ignore fields they do not know; a
// change they could not ignore raises Format.
type Manifest struct {
	Format      int       `json:"format"` // set by Write
	ClusterID   string    `json:"cluster_id"`
	ClusterName string    `json:"cluster_name"`
	QuorumIP    string    `json:"quorum_ip"`
	Epoch       uint64    `json:"epoch,string"`
	HeadSeq     uint64    `json:"head_seq,string"` // last record of the log
	HeadHash    string    `json:"head_hash"`       // hexadecimal
	Created     time.Time `json:"created"`
	Version     string    `json:"version"` // of iwx
	Host        string    `json:"host"`    // where it was made
	Files       []Entry   `json:"files"`   // in the order of the archive; set by Write
}

// Entry is one file of a backup.
type Entry struct {
	Name   string      `json:"name"` // relative, with slashes
	Mode   fs.FileMode `json:"mode"` // permission bits
	Size   int64       `json:"size"` // bytes
	SHA256 string      `json:"sha256"`
}

// NewRecoveryKey makes the key that backups are encrypted to: the identity is
// shown to the administrator once and never stored, the recipient is kept.
func NewRecoveryKey() (identity, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", err
	}
	return id.String(), id.Recipient().String(), nil
}

func parseRecipient(text string) (*age.X25519Recipient, error) {
	r, err := age.ParseX25519Recipient(text)
	if err != nil {
		return nil, fault.New(fault.Usage, "%.80q is not the public half of a recovery key (age1…)", text)
	}
	return r, nil
}

// parseIdentity reads a recovery key as typed, or from a file that age-keygen(1)
// could have written. The text is secret and never part of an error.
func parseIdentity(text string) (*age.X25519Identity, error) {
	var key []byte
	for line := range bytes.Lines([]byte(text)) {
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		if key != nil {
			return nil, notARecoveryKey()
		}
		key = line
	}
	id, err := age.ParseX25519Identity(string(bytes.ToUpper(key)))
	if err != nil {
		return nil, notARecoveryKey()
	}
	return id, nil
}

// CheckKey returns an error if text cannot be a recovery key. The error never
// contains the text.
func CheckKey(text string) error {
	_, err := parseIdentity(text)
	return err
}

func notARecoveryKey() error {
	err := fault.New(fault.Usage, "this is not a recovery key")
	return fault.Hint(err, "a recovery key is one line that begins with AGE-SECRET-KEY-1; "+
		"iwx-cluster-setup showed it when the manager was set up")
}

// The ways in which a file is refused, for errors.Is.
var (
	ErrNotABackup = errors.New("not an iwx backup")
	ErrTruncated  = errors.New("the backup is cut short")
	ErrDamaged    = errors.New("the backup is damaged")
	ErrWrongKey   = errors.New("the recovery key does not open this backup")
	ErrNewer      = errors.New("the backup is of a newer format")
)

// check reports whether a manifest can be followed. Everything in it counts as
// damage, except a newer format.
func (m *Manifest) check() error {
	if m.Format > FormatVersion {
		err := fmt.Errorf("%w: %d, this iwx knows %d", ErrNewer, m.Format, FormatVersion)
		return fault.Hint(err, "install iwx %.40s or newer", m.Version)
	}
	if m.Format < 1 || len(m.Files) > maxFiles {
		return fmt.Errorf("%w: manifest of format %d with %d files", ErrDamaged, m.Format, len(m.Files))
	}
	seen := map[string]bool{manifestName: true}
	for _, e := range m.Files {
		if err := e.check(); err != nil {
			return err
		}
		if seen[e.Name] {
			return fmt.Errorf("%w: %q is listed twice", ErrDamaged, e.Name)
		}
		seen[e.Name] = true
	}
	return nil
}

// maxName is what fits into a ustar header without its prefix field.
const maxName = 100

func (e Entry) check() error {
	sum, err := hex.DecodeString(e.SHA256)
	switch {
	case !fs.ValidPath(e.Name) || e.Name == "." || len(e.Name) > maxName || path.Clean(e.Name) != e.Name:
		return fmt.Errorf("%w: name %.120q", ErrDamaged, e.Name)
	case e.Size < 0 || e.Mode&^fs.ModePerm != 0 || err != nil || len(sum) != 32:
		return fmt.Errorf("%w: entry %q", ErrDamaged, e.Name)
	}
	return nil
}

func (m *Manifest) marshal() ([]byte, error) {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	if len(data) > maxManifest {
		return nil, fmt.Errorf("manifest of %d bytes, at most %d", len(data), maxManifest)
	}
	return append(data, '\n'), nil
}
