package host

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The uids of ordinary users: Debian Policy §9.2.2 and login.defs(5). Those
// below belong to the system, and those above to containers and "nobody".
const (
	FirstUID = 1000
	LastUID  = 64999
)

// User is a local account.
type User struct {
	Name string `json:"name"`
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
}

// services are the accounts of the services that a cluster carries. Some of
// their ids are given out in the order of installation, adduser.conf(5), and
// what they own on the shared storage has to be theirs on every server.
func services() []string {
	return []string{
		"apache", "bind", "courier", "dovecot", "dovenull", "exim", "Debian-exim", "ftp", "mail", "mailman", "list",
		"named", "nginx", "opendkim", "postdrop", "postfix", "proftpd", "rspamd", "_rspamd", "vmail", "www-data",
	}
}

// readUsers lists, of a passwd file, the ordinary users and those of services;
// none if there is no file. Lines that are not accounts (NIS markers, damage) are
// passed over, as getpwent(3) does.
func readUsers(path string) (ordinary, service []User, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for line := range strings.Lines(string(data)) {
		u, ok := parseUser(strings.TrimSpace(line))
		switch {
		case !ok:
		case u.UID >= FirstUID && u.UID <= LastUID:
			ordinary = append(ordinary, u)
		case slices.Contains(services(), u.Name):
			service = append(service, u)
		}
	}
	return ordinary, service, nil
}

// parseUser reads name:password:uid:gid:…, passwd(5).
func parseUser(line string) (User, bool) {
	field := strings.Split(line, ":")
	if len(field) < 4 || field[0] == "" || strings.ContainsAny(field[0][:1], "#+-") {
		return User{}, false
	}
	uid, err := strconv.ParseUint(field[2], 10, 32)
	if err != nil {
		return User{}, false
	}
	gid, err := strconv.ParseUint(field[3], 10, 32)
	if err != nil {
		return User{}, false
	}
	return User{Name: field[0], UID: uint32(uid), GID: uint32(gid)}, true
}
