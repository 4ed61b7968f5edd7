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

// Account is a user as this machine knows it.
type Account struct {
	User
	Home string
}

// lookLimit is how long the name service may take for one answer.
const lookLimit = 5 * time.Second

// ErrNoAccount is wrapped by the error for a name or number that nobody has.
var ErrNoAccount = errors.New("no such account")

// LookupUser returns the account of a user by name, or by number where no user
// has that name. passwd(5) comes first, then the system's name service, which
// getent(1) asks: LDAP, say, nsswitch.conf(5). It blocks for at most 5 seconds. A
// name service that does not answer is another error than ErrNoAccount, with the
// code Busy.
func LookupUser(ctx context.Context, name string) (Account, error) {
	for _, look := range []func(string) (*user.User, error){user.Lookup, user.LookupId} {
		if u, err := look(name); err == nil {
			return parseAccount(u.Username + ":x:" + u.Uid + ":" + u.Gid + "::" + u.HomeDir + ":")
		}
	}
	line, err := getent(ctx, "passwd", name)
	if err != nil {
		return Account{}, fmt.Errorf("user %q: %w", name, err)
	}
	return parseAccount(line)
}

// parseAccount reads a line of passwd(5).
func parseAccount(line string) (Account, error) {
	u, ok := parseUser(line)
	fields := strings.Split(line, ":")
	if !ok || len(fields) < 6 {
		return Account{}, fmt.Errorf("%.80q is no account, passwd(5)", line)
	}
	return Account{User: u, Home: fields[5]}, nil
}

// LookupGroup returns the name and the number of a group, as LookupUser.
func LookupGroup(ctx context.Context, name string) (string, uint32, error) {
	for _, look := range []func(string) (*user.Group, error){user.LookupGroup, user.LookupGroupId} {
		if g, err := look(name); err == nil {
			gid, err := strconv.ParseUint(g.Gid, 10, 32)
			return g.Name, uint32(gid), err
		}
	}
	line, err := getent(ctx, "group", name)
	if err != nil {
		return "", 0, fmt.Errorf("group %q: %w", name, err)
	}
	fields := strings.Split(line, ":")
	if len(fields) < 3 {
		return "", 0, fmt.Errorf("%.80q is no group, group(5)", line)
	}
	gid, err := strconv.ParseUint(fields[2], 10, 32)
	return fields[0], uint32(gid), err
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
		// The files alone: there is no name service, or it has no such question.
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

// Known returns what the name service of this machine says about users of another
// that the files here do not have: who has the name, and who has the number. It
// asks for each, never for a list, and gives up at limit.
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

// errNoGetent is wrapped where the system has no getent(1), and so most likely no
// name service beside the files, as with musl.
var errNoGetent = errors.New("there is no getent(1) here to ask the name service with")

// Unasked is what a message about an unknown account has to add where nobody was
// asked but the files: the end of a sentence, or "".
func Unasked(err error) string {
	if errors.Is(err, errNoGetent) {
		return " in its files, and " + errNoGetent.Error()
	}
	return ""
}

// getent asks the name service for one key and returns the first line of its
// answer.
func getent(ctx context.Context, database, key string) (string, error) {
	if key == "" || strings.HasPrefix(key, "-") || strings.ContainsAny(key, ":/\n\x00 \t") {
		return "", ErrNoAccount // no name has these, and getent would take some for its own
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "getent", database, key)
	cmd.WaitDelay = time.Second // for its output, should it have left a child
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
		return "", errNoGetent // an older or smaller one, without this question
	case err != nil:
		return "", fault.New(fault.Busy, "getent %s %s: %w: %.200s", database, key, err, strings.TrimSpace(stderr.String()))
	case strings.TrimSpace(line) == "":
		return "", ErrNoAccount
	}
	return line, nil
}
