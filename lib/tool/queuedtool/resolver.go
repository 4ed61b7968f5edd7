package queuedtool

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"iwx/lib/attempt"
	"iwx/lib/fault"
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
	who, err := account(c.User)
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
	if c.User == "" || who.Uid == strconv.Itoa(os.Getuid()) {
		return spec, nil
	}
	return spec, become(&spec, who)
}

// account looks a user up by name or number; "" is the daemon's own.
func account(name string) (*user.User, error) {
	if name == "" {
		name = strconv.Itoa(os.Getuid())
	}
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err == nil {
		return u, nil
	}
	if name == strconv.Itoa(os.Getuid()) {
		return &user.User{Uid: name, Gid: strconv.Itoa(os.Getgid()), Username: name, HomeDir: "/"}, nil
	}
	return nil, fault.Hint(fault.New(fault.Failed, "there is no user %q on this node", name), "create it here, or cascade a useradd before")
}

// become makes the command run as the user, with all its groups.
func become(spec *attempt.Spec, who *user.User) error {
	if os.Getuid() != 0 {
		return fault.New(fault.Failed, "iwx-queued is not root, and cannot run a command as %s", who.Username)
	}
	ids, err := who.GroupIds()
	if err != nil {
		return fmt.Errorf("groups of user %s: %w", who.Username, err)
	}
	for _, text := range append([]string{who.Uid, who.Gid}, ids...) {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return fmt.Errorf("user %s: id %q: %w", who.Username, text, err)
		}
		spec.Groups = append(spec.Groups, uint32(n))
	}
	spec.SetUser, spec.UID, spec.GID = true, spec.Groups[0], spec.Groups[1]
	spec.Groups = spec.Groups[2:]
	return nil
}

// environment is all that a command is given, the same on every node but for
// what names the node. What the operator added comes over the defaults, and
// what iwx says of itself over everything.
func (r *resolver) environment(op queue.OpID, number int, who *user.User, added []string) []string {
	path := searchPath
	if dir := filepath.Dir(r.program); r.program != "" && !slices.Contains(filepath.SplitList(path), dir) {
		path = dir + ":" + path
	}
	env := []string{
		"PATH=" + path,
		"HOME=" + who.HomeDir,
		"USER=" + who.Username,
		"LOGNAME=" + who.Username,
		"SHELL=/bin/sh",
		"LANG=C.UTF-8",
		"DEBIAN_FRONTEND=noninteractive", // no terminal is there to be asked on, debconf(7)
		"DPKG_FORCE=confdef,confold",     // and none for dpkg(1): what an administrator changed stays
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
