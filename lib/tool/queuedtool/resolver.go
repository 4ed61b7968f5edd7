package queuedtool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"iwx/lib/attempt"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/queue"
)

// searchPath is the PATH of a replayed command, that of a root login on Debian.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// resolver turns a queued command into one that can be run on this node: its
// user becomes numbers, and its environment is made whole.
type resolver struct {
	root    string // of the server's files, "" for /
	node    string // this node's name
	program string // path of iwx-queued; the other tools are beside it
}

// spec implements replay.Replayer's Spec.
func (r *resolver) spec(op queue.OpID, number int, c *queue.Command) (attempt.Spec, error) {
	ctx := context.Background() // each look-up has its own limit
	who, err := account(ctx, c.User)
	if err != nil {
		return attempt.Spec{}, err
	}
	spec := attempt.Spec{
		Argv:      c.Argv,
		Env:       r.environment(op, number, who, c.Env),
		Dir:       c.Dir,
		Umask:     c.Umask,
		Stdin:     c.Stdin,
		Timeout:   c.Timeout,
		KillAfter: attempt.KillAfter,
	}
	if c.User == "" || who.UID == uint32(os.Getuid()) {
		return spec, nil
	}
	return spec, become(ctx, &spec, who)
}

// account looks a user up by name or number; "" is the daemon's own.
func account(ctx context.Context, name string) (host.Account, error) {
	own := strconv.Itoa(os.Getuid())
	if name == "" {
		name = own
	}
	u, err := host.LookupUser(ctx, name)
	switch {
	case err == nil:
		return u, nil
	case name == own:
		return host.Account{User: host.User{Name: name, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}, Home: "/"}, nil
	case errors.Is(err, host.ErrNoAccount):
		return host.Account{}, fault.Hint(fault.New(fault.Failed, "there is no user %q on this node%s", name, host.Unasked(err)), "create it here, or cascade a useradd before")
	}
	return host.Account{}, err
}

// become makes the command run as the user, with all its groups.
func become(ctx context.Context, spec *attempt.Spec, who host.Account) error {
	if os.Getuid() != 0 {
		return fault.New(fault.Failed, "iwx-queued is not root, and cannot run a command as %s", who.Name)
	}
	groups, err := host.GroupsOf(ctx, who)
	if err != nil {
		return err
	}
	spec.SetUser, spec.UID, spec.GID, spec.Groups = true, who.UID, who.GID, groups
	return nil
}

// environment is all that a command is given, the same on every node but for
// what names the node. What the operator added comes over the defaults, and
// what iwx says of itself over everything.
func (r *resolver) environment(op queue.OpID, number int, who host.Account, added []string) []string {
	path := searchPath
	if dir := filepath.Dir(r.program); r.program != "" && !slices.Contains(filepath.SplitList(path), dir) {
		path = dir + ":" + path
	}
	env := []string{
		"PATH=" + path,
		"HOME=" + who.Home,
		"USER=" + who.Name,
		"LOGNAME=" + who.Name,
		"SHELL=/bin/sh",
		"LANG=C.UTF-8",
		"DEBIAN_FRONTEND=noninteractive", // no terminal is there to be asked on, debconf(7)
		"DPKG_FORCE=confdef,confold",     // and none from dpkg(1): files that an administrator changed stay
	}
	own := []string{
		"IWX_OP_ID=" + op.String(),
		"IWX_NODE=" + r.node,
		"IWX_ATTEMPT=" + strconv.Itoa(number),
	}
	if r.root != "" {
		own = append(own, "IWX_ROOT="+r.root)
	}
	for _, kv := range slices.Concat(added, own) {
		env = set(env, kv)
	}
	return env
}

// set adds KEY=VALUE in place of what the key had.
func set(env []string, kv string) []string {
	key, _, _ := strings.Cut(kv, "=")
	i := slices.IndexFunc(env, func(have string) bool { return strings.HasPrefix(have, key+"=") })
	if i < 0 {
		return append(env, kv)
	}
	env[i] = kv
	return env
}
