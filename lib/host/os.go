package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// OS is the operating system, from os-release(5).
type OS struct {
	ID      string   `json:"id"`             // "debian", "rocky"
	Version string   `json:"version"`        // VERSION_ID, "12"; "" on rolling releases
	Like    []string `json:"like,omitempty"` // ID_LIKE, nearest first
}

// String returns "debian 12".
func (o OS) String() string { return strings.TrimSpace(o.ID + " " + o.Version) }

// IsLike reports whether the system is family or derived from it.
func (o OS) IsLike(family string) bool {
	return o.ID == family || slices.Contains(o.Like, family)
}

// os reads the root's own os-release if it has one, else the machine's.
func (s source) os() (OS, error) {
	for _, path := range []string{
		s.paths.OSRelease,
		filepath.Join(s.sys, "etc/os-release"),
		filepath.Join(s.sys, "usr/lib/os-release"),
	} {
		data, err := os.ReadFile(path)
		if err == nil {
			return parseOSRelease(string(data)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return OS{}, err
		}
	}
	// os-release(5): without the file, the id is "linux".
	return OS{ID: "linux"}, nil
}

// parseOSRelease takes the last assignment of a key, as a shell would. Quotes
// are removed; the fields wanted here hold nothing that needs more.
func parseOSRelease(text string) OS {
	o := OS{ID: "linux"}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			o.ID = value
		case "VERSION_ID":
			o.Version = value
		case "ID_LIKE":
			o.Like = strings.Fields(value)
		}
	}
	return o
}
