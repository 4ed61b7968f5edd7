package host

import (
	"errors"
	"io/fs"
	"os"
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

// readUsers lists the ordinary users of a passwd file, none if there is no
// file. Lines that are not accounts (NIS markers, damage) are passed over, as
// getpwent(3) does.
func readUsers(path string) ([]User, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var users []User
	for line := range strings.Lines(string(data)) {
		if u, ok := parseUser(strings.TrimSpace(line)); ok {
			users = append(users, u)
		}
	}
	return users, nil
}

// parseUser reads name:password:uid:gid:…, passwd(5).
func parseUser(line string) (User, bool) {
	field := strings.Split(line, ":")
	if len(field) < 4 || field[0] == "" || strings.ContainsAny(field[0][:1], "#+-") {
		return User{}, false
	}
	uid, err := strconv.ParseUint(field[2], 10, 32)
	if err != nil || uid < FirstUID || uid > LastUID {
		return User{}, false
	}
	gid, err := strconv.ParseUint(field[3], 10, 32)
	if err != nil {
		return User{}, false
	}
	return User{Name: field[0], UID: uint32(uid), GID: uint32(gid)}, true
}
