package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"iwx/lib/fault"
)

// Account is a user of this machine, from its files or its name service.
type Account struct {
	User
	Home string
}

// lookLimit is the deadline for one answer of the name service.
const lookLimit = 5 * time.Second

// ErrNoAccount is wrapped by the error for an unknown name or number.
var ErrNoAccount = errors.New("no such account")

// LookupUser returns the account of a user by name, or by number if no user has that
// name. It looks in passwd(5) first, then asks the system's name service, such as LDAP,
// with getent(1); see nsswitch.conf(5). It blocks for at most 5 seconds. If the name
// service does not answer, the error has the code Busy, and does not wrap ErrNoAccount.
// An answer with another number than the one asked for is no account.
func LookupUser(ctx context.Context, name string) (Account, error) {
	for _, look := range []func(string) (*user.User, error){user.Lookup, user.LookupId} {
		if u, err := look(name); err == nil && isKey(name, u.Username, u.Uid) {
			return parseAccount(u.Username + ":x:" + u.Uid + ":" + u.Gid + "::" + u.HomeDir + ":")
		}
	}
	line, err := getent(ctx, "passwd", name)
	if err != nil {
		return Account{}, fmt.Errorf("user %q: %w", name, err)
	}
	a, err := parseAccount(line)
	if err == nil && !isKey(name, a.Name, fmt.Sprint(a.UID)) {
		err = fmt.Errorf("user %q: %w", name, ErrNoAccount)
	}
	return a, err
}

// isKey reports whether key is the name or the number of an account that was found for
// it. getent(1), and os/user with cgo, drop all but 32 bits of a number: 4294967296 is
// then root. getent(1) also takes a sign and blanks before it.
func isKey(key, name, id string) bool {
	if strings.Trim(key, "0123456789+\r\v\f") != "" {
		return true // a name: a service may have another spelling of it
	}
	n, err := strconv.ParseUint(key, 10, 32)
	return key == name || err == nil && strconv.FormatUint(n, 10) == id
}

// parseAccount reads a line of passwd(5).
func parseAccount(line string) (Account, error) {
	e, isEntry := parseEntry(line)
	u, isUser := e.user()
	if !isEntry || !isUser || len(e) < 6 {
		return Account{}, fmt.Errorf("%.80q is no account, passwd(5)", line)
	}
	return Account{User: u, Home: e[5]}, nil
}

// LookupGroup returns the name and number of a group. It looks as LookupUser does.
func LookupGroup(ctx context.Context, name string) (string, uint32, error) {
	for _, look := range []func(string) (*user.Group, error){user.LookupGroup, user.LookupGroupId} {
		if g, err := look(name); err == nil && isKey(name, g.Name, g.Gid) {
			return parseGroup(g.Name + ":x:" + g.Gid + ":")
		}
	}
	line, err := getent(ctx, "group", name)
	if err != nil {
		return "", 0, fmt.Errorf("group %q: %w", name, err)
	}
	found, gid, err := parseGroup(line)
	if err == nil && !isKey(name, found, fmt.Sprint(gid)) {
		return "", 0, fmt.Errorf("group %q: %w", name, ErrNoAccount)
	}
	return found, gid, err
}

// parseGroup reads a line of group(5).
func parseGroup(line string) (string, uint32, error) {
	e, isEntry := parseEntry(line)
	gid, isGroup := e.ID()
	if !isEntry || !isGroup {
		return "", 0, fmt.Errorf("%.80q is no group, group(5)", line)
	}
	return e[0], gid, nil
}

// GroupsOf returns the numbers of all groups of an account, the primary one
// first, as initgroups(3) sets them.
func GroupsOf(ctx context.Context, a Account) ([]uint32, error) {
	groups := []uint32{a.GID}
	var texts []string
	line, err := getent(ctx, "initgroups", a.Name)
	switch {
	case err == nil:
		texts = strings.Fields(line)[1:]
	case errors.Is(err, errNoGetent), errors.Is(err, ErrNoAccount):
		// Use the files alone: there is no name service, or it has no initgroups.
		u := user.User{Username: a.Name, Uid: fmt.Sprint(a.UID), Gid: fmt.Sprint(a.GID)}
		if texts, err = u.GroupIds(); err != nil {
			return nil, fmt.Errorf("groups of user %s: %w", a.Name, err)
		}
	default:
		return nil, fmt.Errorf("groups of user %s: %w", a.Name, err)
	}
	for _, text := range texts {
		gid, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("groups of user %s: %q is no number", a.Name, text)
		}
		if !slices.Contains(groups, uint32(gid)) {
			groups = append(groups, uint32(gid))
		}
	}
	return groups, nil
}

// Known looks up users of another machine (there) that the files of this one (here)
// lack, by name and by number, in this machine's name service. It returns the accounts
// found. It asks for each name and number, never for a list, and gives up after limit.
func Known(ctx context.Context, here, there []User, limit time.Duration) (known []User, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, u := range there {
		for _, key := range []string{u.Name, fmt.Sprint(u.UID)} {
			if slices.ContainsFunc(here, func(h User) bool { return h.Name == key || fmt.Sprint(h.UID) == key }) {
				continue
			}
			a, err := LookupUser(ctx, key)
			switch {
			case err == nil && !slices.Contains(known, a.User):
				known = append(known, a.User)
			case err != nil && !errors.Is(err, ErrNoAccount):
				return known, err
			}
		}
	}
	return known, nil
}

// errNoGetent is wrapped if the system has no getent(1). Such a system, for example one
// with musl, most likely has no name service besides the files.
var errNoGetent = errors.New("cannot query the name service: getent(1) is not installed")

// Unasked returns the end of a message about an unknown account: it says that only the
// files were searched, or is "" if the name service was asked too.
func Unasked(err error) string {
	if errors.Is(err, errNoGetent) {
		return " in its files; " + errNoGetent.Error()
	}
	return ""
}

// getent looks up one key in the name service and returns the first line of the answer.
func getent(ctx context.Context, database, key string) (string, error) {
	if key == "" || strings.HasPrefix(key, "-") || strings.ContainsAny(key, ":/\n\x00 \t") {
		return "", ErrNoAccount // names contain none of these, and getent would read some as options
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "getent", database, key)
	cmd.WaitDelay = time.Second // a child that it leaves may hold its output open
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	exit := (*exec.ExitError)(nil)
	line, _, _ := strings.Cut(string(out), "\n")
	switch {
	case ctx.Err() != nil:
		return "", fault.Hint(fault.New(fault.Busy, "the name service has not answered within %s", lookLimit), "getent %s %s", database, key)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: %w", ErrNoAccount, errNoGetent)
	case errors.As(err, &exit) && exit.ExitCode() == 2:
		return "", ErrNoAccount
	case errors.As(err, &exit) && exit.ExitCode() == 1 && database == "initgroups":
		return "", errNoGetent // an older or smaller getent, without initgroups
	case err != nil:
		return "", fault.New(fault.Busy, "getent %s %s: %w: %.200s", database, key, err, strings.TrimSpace(stderr.String()))
	case strings.TrimSpace(line) == "":
		return "", ErrNoAccount
	}
	return line, nil
}
