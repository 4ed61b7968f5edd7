package host

import "slices"

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
// none if there is no file.
func readUsers(path string) (ordinary, service []User, err error) {
	entries, err := ReadEntries(path)
	for _, e := range entries {
		u, ok := e.user()
		switch {
		case !ok:
		case u.UID >= FirstUID && u.UID <= LastUID:
			ordinary = append(ordinary, u)
		case slices.Contains(services(), u.Name):
			service = append(service, u)
		}
	}
	return ordinary, service, err
}

// user returns the user of an entry of passwd(5), whose fourth field is the primary
// group. ok is false if an id is missing or not a number.
func (e Entry) user() (u User, ok bool) {
	uid, ok := e.ID()
	gid, ok2 := e.number(3)
	return User{Name: e[0], UID: uid, GID: gid}, ok && ok2
}
