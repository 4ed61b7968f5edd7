package host

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// Accounts are the names and the ids, of users and groups alike, that a server
// has given out.
type Accounts struct {
	Names map[string]bool
	IDs   map[uint32]bool
}

// ReadAccounts returns the accounts in passwd(5) and group(5) of the server of
// the paths. A missing file has none; what is no account in them is passed over.
func ReadAccounts(p Paths) (*Accounts, error) {
	a := &Accounts{Names: map[string]bool{}, IDs: map[uint32]bool{}}
	for _, path := range []string{p.Passwd, p.Group} {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(data)) {
			a.add(strings.TrimSpace(line))
		}
	}
	return a, nil
}

// add takes a line of either file: both begin name:password:id.
func (a *Accounts) add(line string) {
	name, rest, _ := strings.Cut(line, ":")
	_, rest, _ = strings.Cut(rest, ":")
	id, _, _ := strings.Cut(rest, ":")
	if u, ok := parseUser(name + "::" + id + ":" + id); ok {
		a.Names[u.Name], a.IDs[u.UID] = true, true
	}
}
