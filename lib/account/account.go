// Package account is the system users of sites: made, changed and removed with
// the shadow tools, useradd(8) and its like, with the same id on every server,
// and their homes on the shared storage.
//
// Which users there are to be is package site's to say. An account of the same
// name that is not the site's, by its id, is never touched.
package account

import (
	"bytes"
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

// Check tells what Ensure would do, in the imperative, "" for nothing, and
// whether it would fail. It changes nothing.
func (a Accounts) Check(ctx context.Context, spec site.Spec) (change string, err error) {
	e, err := a.look(&spec)
	if err != nil {
		return "", err
	}
	switch id := fmt.Sprint(spec.UID); {
	case spec.Gone && e.found && e.uid == id:
		return "delete user " + spec.User, nil
	case spec.Gone:
		return "", nil
	case !e.found:
		return fmt.Sprintf("make user %s (%d)", spec.User, spec.UID), nil
	case len(e.differences(&spec)) > 0:
		return "change user " + spec.User, nil
	}
	return "", nil
}

// Ensure makes the user of a site and its group, or changes what differs:
// shell, home, and whether it is suspended. It is idempotent. An account of that
// name with another id, or of that id with another name, is an error.
func (a Accounts) Ensure(ctx context.Context, spec site.Spec) error {
	e, err := a.look(&spec)
	if err != nil {
		return err
	}
	id := fmt.Sprint(spec.UID)
	if err := a.makeFiles(); err != nil {
		return err
	}
	if e.group == "" {
		if err := a.run(ctx, "groupadd", "--gid", id, spec.User); err != nil {
			return err
		}
	}
	if !e.found {
		err = a.run(ctx, "useradd", "--uid", id, "--gid", id, "--no-create-home", "--no-user-group", "--home-dir", spec.Home,
			"--shell", spec.Shell, "--comment", spec.Domain, "--expiredate", expiry(&spec), spec.User)
		return err
	}
	if flags := e.differences(&spec); len(flags) > 0 {
		return a.run(ctx, "usermod", append(flags, spec.User)...)
	}
	return nil
}

// Remove deletes the user of a site and its group; the home stays. It is
// idempotent. An account of that name with another id is not the site's, and
// stays.
func (a Accounts) Remove(ctx context.Context, spec site.Spec) error {
	id := fmt.Sprint(spec.UID)
	e := a.read(&spec)
	if e.found && e.uid == id {
		if err := a.run(ctx, "userdel", "--force", spec.User); err != nil {
			return err
		}
		e = a.read(&spec) // the group went too, where login.defs(5) says so
	}
	if e.group != "" && e.groupGID == id {
		return a.run(ctx, "groupdel", spec.User)
	}
	return nil
}

// look reads the account, and fails if it, or its id, is somebody else's.
func (a Accounts) look(spec *site.Spec) (entry, error) {
	e, id := a.read(spec), fmt.Sprint(spec.UID)
	if spec.Gone {
		return e, nil
	}
	switch other := a.other(spec.User, id); {
	case e.found && (e.uid != id || e.gid != id):
		return e, foreign("user %s exists already, with id %s:%s instead of %s", spec.User, e.uid, e.gid, id)
	case e.group != "" && e.groupGID != id:
		return e, foreign("group %s exists already, with id %s instead of %s", spec.User, e.groupGID, id)
	case other != "":
		return e, foreign("id %s of user %s belongs to %s already", id, spec.User, other)
	}
	return e, nil
}

func foreign(format string, args ...any) error {
	return fault.Hint(fault.New(fault.Failed, format, args...), "rename it, or give it another id, if it is not needed as it is")
}

// Account is a user as the server has it.
type Account struct {
	Name, Home, Shell string
	UID               uint32
	Alone             bool // its group has its name and id, and is nobody else's
	Expires           bool
}

// ByID returns the user of an id; nil if there is none.
func (a Accounts) ByID(uid uint32) *Account {
	id := fmt.Sprint(uid)
	for line := range bytes.Lines(a.file("passwd")) {
		f := strings.Split(strings.TrimSpace(string(line)), ":")
		if len(f) < 7 || f[2] != id {
			continue
		}
		e := a.read(&site.Spec{Site: site.Site{User: f[0]}})
		return &Account{Name: f[0], UID: uid, Home: f[5], Shell: f[6], Expires: e.expires != "",
			Alone: f[3] == id && e.groupGID == id && a.other(f[0], id) == ""}
	}
	return nil
}

// read returns what the server has under the name of the spec's user.
func (a Accounts) read(spec *site.Spec) (e entry) {
	if f := field(a.file("passwd"), spec.User); len(f) >= 7 {
		e = entry{found: true, uid: f[2], gid: f[3], home: f[5], shell: f[6]}
	}
	if f := field(a.file("shadow"), spec.User); len(f) >= 8 {
		e.expires = f[7]
	}
	if f := field(a.file("group"), spec.User); len(f) >= 3 {
		e.group, e.groupGID = f[0], f[2]
	}
	return e
}

// other names the account or group that has the id and not the name.
func (a Accounts) other(name, id string) string {
	for _, file := range []string{"passwd", "group"} {
		for line := range bytes.Lines(a.file(file)) {
			f := strings.Split(strings.TrimSpace(string(line)), ":")
			if len(f) >= 3 && f[2] == id && f[0] != name {
				return map[string]string{"passwd": "user ", "group": "group "}[file] + f[0]
			}
		}
	}
	return ""
}

// differences are the flags of usermod(8) that are needed.
func (e *entry) differences(spec *site.Spec) (flags []string) {
	if e.home != spec.Home {
		flags = append(flags, "--home", spec.Home)
	}
	if e.shell != spec.Shell {
		flags = append(flags, "--shell", spec.Shell)
	}
	if want := expiry(spec); e.expires != want {
		flags = append(flags, "--expiredate", want)
	}
	return flags
}

// expiry is the field of shadow(5): a suspended account is expired.
func expiry(spec *site.Spec) string {
	if spec.Suspended {
		return expired
	}
	return ""
}

// file reads one of the account files; nothing of one that is not there.
func (a Accounts) file(name string) []byte {
	data, err := os.ReadFile(filepath.Join(a.Root, "/etc", name))
	if err != nil {
		return nil
	}
	return data
}

// field returns the fields of the line that begins with a name.
func field(data []byte, name string) []string {
	for line := range bytes.Lines(data) {
		if f := strings.Split(strings.TrimRight(string(line), "\n"), ":"); f[0] == name {
			return f
		}
	}
	return nil
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
