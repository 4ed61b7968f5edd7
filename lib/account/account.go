// Package account is the system users of sites: made, changed and removed with
// the shadow tools, useradd(8) and its like, with the same id on every server,
// and their homes on the shared storage.
//
// Which users there are to be is package site's to say. An account of the same
// name that is not the site's, by its id, is never touched.
package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"iwx/lib/atomicfile"
	"iwx/lib/fault"
	"iwx/lib/site"
)

// Accounts are the users and groups of a server. Below a root directory of its
// own they are those in its files, by --prefix of the shadow tools.
type Accounts struct {
	Root string   // "" for the server itself
	Lock *os.File // given to the tools, which keep it locked if iwx is killed; nil: none
}

// expired is the date of usermod(8) with which an account cannot be logged in
// to, by a key either: the day after the epoch.
const expired = "1"

// entry is what a server has of an account; the fields of passwd(5), and of
// shadow(5) the expiry.
type entry struct {
	found           bool
	uid, gid        string
	home, shell     string
	expires         string
	group, groupGID string // the group of the user's name, "" if there is none
}

// Ensure makes the user of a site and its group, or changes what differs:
// shell, home, and whether it is suspended. It is idempotent. An account of that
// name with another id, or of that id with another name, is an error.
func (a Accounts) Ensure(ctx context.Context, spec site.Spec) error {
	e, err := a.Book().look(&spec)
	if err != nil {
		return err
	}
	if err := a.makeFiles(); err != nil {
		return err
	}
	if !e.found {
		return a.make(ctx, &spec, e.group != "")
	}
	if e.group == "" {
		if err := a.run(ctx, "groupadd", "--gid", fmt.Sprint(spec.UID), spec.User); err != nil {
			return err
		}
	}
	var flags []string
	for _, d := range e.differences(&spec) {
		flags = append(flags, d.flag, d.value)
	}
	if flags == nil {
		return nil
	}
	return a.run(ctx, "usermod", append(flags, spec.User)...)
}

// make makes a user, and its group where there is none, in one run of useradd(8):
// its range for groups is that id alone. It has no subordinate ids: a site needs
// none, and by the defaults of login.defs(5) there are enough for 9,155 users.
func (a Accounts) make(ctx context.Context, spec *site.Spec, group bool) error {
	id := fmt.Sprint(spec.UID)
	args := []string{"--uid", id, "--no-create-home", "--home-dir", spec.Home, "--shell", spec.Shell,
		"--comment", spec.Domain, "--expiredate", expiry(spec), "--key", "SUB_UID_COUNT=0", "--key", "SUB_GID_COUNT=0"}
	if group {
		args = append(args, "--no-user-group", "--gid", id)
	} else {
		args = append(args, "--user-group", "--key", "GID_MIN="+id, "--key", "GID_MAX="+id)
	}
	return a.run(ctx, "useradd", append(args, spec.User)...)
}

// Remove deletes the user of a site and its group; the home stays. It is
// idempotent. An account of that name with another id is not the site's, and
// stays.
func (a Accounts) Remove(ctx context.Context, spec site.Spec) error {
	id := fmt.Sprint(spec.UID)
	e := a.Book().read(&spec)
	if e.found && e.uid == id {
		if err := a.run(ctx, "userdel", "--force", spec.User); err != nil {
			return err
		}
		e = a.Book().read(&spec) // the group went too, where login.defs(5) says so
	}
	if e.group != "" && e.groupGID == id {
		return a.run(ctx, "groupdel", spec.User)
	}
	return nil
}

// Account is a user as the server has it.
type Account struct {
	Name, Home, Shell string
	UID               uint32
	Alone             bool // its group has its name and id, and is nobody else's
	Expires           bool
}

// ByID returns the user of an id; nil if there is none.
func (a Accounts) ByID(uid uint32) *Account { return a.Book().byID(uid) }

// expiry is the field of shadow(5): a suspended account is expired.
func expiry(spec *site.Spec) string {
	if spec.Suspended {
		return expired
	}
	return ""
}

// makeFiles makes, below a root directory of its own, the files that the shadow
// tools want to find.
func (a Accounts) makeFiles() error {
	if a.Root == "" {
		return nil
	}
	etc := filepath.Join(a.Root, "etc")
	if err := os.MkdirAll(etc, 0o755); err != nil {
		return err
	}
	for name, mode := range map[string]fs.FileMode{"passwd": 0o644, "group": 0o644, "shadow": 0o600, "gshadow": 0o600} {
		path := filepath.Join(etc, name)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			if err := atomicfile.Write(path, nil, mode); err != nil {
				return err
			}
		}
	}
	return nil
}

// run runs one of the shadow tools; the error carries what it wrote. It is not
// cut short by a signal to iwx: a killed one leaves lock files behind.
func (a Accounts) run(ctx context.Context, tool string, args ...string) error {
	if a.Root != "" {
		args = append([]string{"--prefix", a.Root}, args...)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), tool, args...)
	if a.Lock != nil {
		cmd.ExtraFiles = []*os.File{a.Lock}
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fault.Hint(fault.New(fault.Failed, "%s is not installed", tool), "apt-get install passwd, or dnf install shadow-utils")
	}
	text := strings.TrimSpace(string(out))
	return fault.New(fault.Failed, "%s %s: %s (%w)", tool, args[len(args)-1], text, err)
}
