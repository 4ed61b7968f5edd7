package host

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Entry is the fields of a line of passwd(5), group(5) or shadow(5). The first is the
// name, and never empty.
type Entry []string

// parseEntry splits a line. ok is false for a line without an entry: an empty one, a
// comment, or one that includes or excludes entries of NIS ("+", "-name", see
// nsswitch.conf(5), compat mode).
func parseEntry(line string) (e Entry, ok bool) {
	line = strings.TrimLeft(strings.TrimRight(line, "\n"), " \t") // as getpwent(3) does
	e = strings.Split(line, ":")
	return e, e[0] != "" && !strings.ContainsAny(e[0][:1], "#+-")
}

// ReadEntries returns the entries of a file such as passwd(5), in its order. Lines
// without an entry are skipped. A missing file has no entries.
func ReadEntries(path string) (list []Entry, err error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		if e, ok := parseEntry(line); ok {
			list = append(list, e)
		}
	}
	return list, nil
}

// ID returns the id of a user or group, the third field. ok is false if it is missing
// or not a number of 32 bits.
func (e Entry) ID() (id uint32, ok bool) { return e.number(2) }

func (e Entry) number(field int) (n uint32, ok bool) {
	if len(e) <= field {
		return 0, false
	}
	wide, err := strconv.ParseUint(e[field], 10, 32)
	return uint32(wide), err == nil
}

// Accounts are the names and the ids, of users and groups alike, that a server
// has given out.
type Accounts struct {
	Names map[string]bool
	IDs   map[uint32]bool
}

// ReadAccounts returns the accounts in passwd(5) and group(5) of the server of
// the paths. A missing file has none; entries without an id are skipped.
func ReadAccounts(p Paths) (*Accounts, error) {
	a := &Accounts{Names: map[string]bool{}, IDs: map[uint32]bool{}}
	for _, path := range []string{p.Passwd, p.Group} {
		entries, err := ReadEntries(path)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if id, ok := e.ID(); ok {
				a.Names[e[0]], a.IDs[id] = true, true
			}
		}
	}
	return a, nil
}
