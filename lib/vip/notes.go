package vip

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"

	"iwx/lib/atomicfile"
)

// notes is what of the kernel's was changed since the boot, and is to be as it
// was in the end. They are written before the change.
type notes struct {
	Addresses map[netip.Addr]string `json:"addresses,omitempty"` // where they were put: the interface
	Settings  map[string]*noted     `json:"settings,omitempty"`
}

// noted is a setting that is not as it was.
type noted struct {
	Was   string       `json:"was"`
	Is    string       `json:"is"`
	Users []netip.Addr `json:"users"` // the virtual addresses that need it
}

// readNotes returns the notes in a file; without one there are none.
func readNotes(path string) (*notes, error) {
	n := &notes{}
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, n)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if n.Addresses == nil {
		n.Addresses = map[netip.Addr]string{}
	}
	if n.Settings == nil {
		n.Settings = map[string]*noted{}
	}
	return n, nil
}

// write replaces the file, or removes it when there is nothing to note.
func (n *notes) write(path string) error {
	if len(n.Addresses)+len(n.Settings) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, data, 0o600)
}

// uses reports whether it is noted that addr needs the setting as it is.
func (n *noted) uses(addr netip.Addr) bool { return slices.Contains(n.Users, addr) }

func (n *noted) add(addr netip.Addr) {
	if !n.uses(addr) {
		n.Users = append(n.Users, addr)
	}
}

// drop forgets that addr needs it, and reports whether nobody does any more.
func (n *noted) drop(addr netip.Addr) (last bool) {
	n.Users = slices.DeleteFunc(n.Users, func(a netip.Addr) bool { return a == addr })
	return len(n.Users) == 0
}
