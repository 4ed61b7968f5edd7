// Package profile is the node profile: what the cluster itself needs of a
// server, such as mounts, exports and addresses, as a list of items, and how a
// server converges to it.
//
// It is level triggered, unlike the command queue: what counts is the document
// that was received last, not those before it, and converging again to what is
// reached is nothing. It does not know what an item is: for each kind there is
// an Applier, in the package of that field. The idea is that of promise theory
// (M. Burgess, "Configurable immunity", 2004): compute the difference, correct
// it, report it.
package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"iwx/lib/fault"
)

// Bounds of a document, so that an answer which carries one stays small.
const (
	MaxItems = 256
	MaxSize  = 256 << 10 // bytes, as JSON
	maxName  = 4096      // PATH_MAX, limits.h(0P)
)

// None is the version that a node tells which knows of profiles and has not
// received one.
const None = "none"

// Item is one thing that the cluster needs of a server. Its name is unique
// within its kind: a mount's is the mount point, "/srv/iwx".
type Item struct {
	Kind string          `json:"kind"`
	Name string          `json:"name"`
	Spec json.RawMessage `json:"spec,omitempty"` // the kind's own
}

// String returns the item for sentences: "mount /srv/iwx".
func (i Item) String() string { return i.Kind + " " + i.Name }

// Make returns an item with a spec, which is marshalled to JSON.
func Make(kind, name string, spec any) (Item, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return Item{}, fmt.Errorf("%s %s: %w", kind, name, err)
	}
	return Item{Kind: kind, Name: name, Spec: data}, nil
}

// Decode unmarshals the item's spec into one of its kind. Fields that are not
// known are an error: a newer iwx may mean something by them.
func (i Item) Decode(spec any) error {
	d := json.NewDecoder(strings.NewReader(string(i.Spec)))
	d.DisallowUnknownFields()
	if err := d.Decode(spec); err != nil {
		return fault.Hint(fmt.Errorf("%s: its description cannot be read: %w", i, err), "install the manager's version of iwx here")
	}
	return nil
}

// same reports whether both are one item, whatever they say of it.
func (i Item) same(other Item) bool { return i.Kind == other.Kind && i.Name == other.Name }

// equal reports whether the items are the same in all.
func (i Item) equal(other Item) bool { return i.same(other) && string(i.Spec) == string(other.Spec) }

// Digest returns a digest of the item's kind, name and spec, 12 hexadecimal digits. It
// is the same on the server that receives the item, also where that does not know all
// of a newer author's fields.
func (i Item) Digest() string {
	data, err := json.Marshal([]any{i.Kind, i.Name, i.Spec})
	if err != nil {
		return "" // such an item is not sent: see Check
	}
	return digest(data)
}

// digest returns the first 12 hexadecimal digits of the SHA-256.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:12]
}

// Document is all that the cluster needs of one server. Items are applied in
// order and taken back in reverse.
type Document struct {
	Items []Item `json:"items"`
}

// Version returns a digest of the document's JSON, 12 hexadecimal digits. It is no
// counter: a restored manager, which has forgotten what it counted, still tells
// documents apart.
func (d Document) Version() string {
	data, err := d.encode()
	if err != nil {
		return "" // such a document is not sent: see Check
	}
	return digest(data)
}

// encode returns the document's JSON, in which the space between tokens is gone.
func (d Document) encode() ([]byte, error) {
	if d.Items == nil {
		d.Items = []Item{}
	}
	return json.Marshal(d)
}

// Check reports what is wrong with a document, all of it.
func (d Document) Check() error {
	var faults []error
	seen := map[string]bool{}
	for _, item := range d.Items {
		switch {
		case item.Kind == "" || item.Name == "":
			faults = append(faults, fmt.Errorf("profile: item %q has no kind or no name", item))
		case len(item.Kind)+len(item.Name) > maxName:
			faults = append(faults, fmt.Errorf("profile: the name of %.40s… is longer than %d bytes", item, maxName))
		case seen[item.String()]:
			faults = append(faults, fmt.Errorf("profile: %s is in it twice", item))
		case len(item.Spec) > 0 && !json.Valid(item.Spec):
			faults = append(faults, fmt.Errorf("profile: the description of %s is not JSON", item))
		}
		seen[item.String()] = true
	}
	if data, err := d.encode(); err == nil && len(data) > MaxSize {
		faults = append(faults, fmt.Errorf("profile: it has %d bytes, and %d are the most", len(data), MaxSize))
	}
	if len(d.Items) > MaxItems {
		faults = append(faults, fmt.Errorf("profile: it has %d items, and %d are the most", len(d.Items), MaxItems))
	}
	return errors.Join(faults...)
}

// Revision is a document with the version that its author gave it. It travels
// and is kept like this: a server that does not know all of a newer author's
// fields would compute another version.
type Revision struct {
	Version string `json:"version"`
	Document
}

// Revision returns the document with its version.
func (d Document) Revision() Revision { return Revision{Version: d.Version(), Document: d} }

// compact returns the items with the space in their specs removed, so that
// what is kept can be compared with what is received.
func (d Document) compact() (Document, error) {
	data, err := d.encode()
	if err != nil {
		return Document{}, err
	}
	var out Document
	return out, json.Unmarshal(data, &out)
}
