package queuetool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/queue"
	"iwx/lib/tool/await"
	"iwx/lib/tool/local"
)

type pushVerb struct {
	recipients
	Mode      string         `placeholder:"MODE" help:"Its mode on the nodes, octal, instead of the file's own."`
	Owner     string         `placeholder:"USER[:GROUP]" complete:"user" help:"Its owner on the nodes, instead of the file's own."`
	Check     string         `placeholder:"COMMAND" help:"Run this with sh(1) after writing; if it fails, the old file comes back."`
	Reload    string         `placeholder:"COMMAND" help:"Run this with sh(1) when the file is in place."`
	Timeout   *time.Duration `placeholder:"TIME" help:"End the checks after this time; 0 never. Without it, queue.timeout of iwx.toml(5)."`
	JSON      bool           `name:"json" help:"Print the numbers in JSON."`
	NodesOnly bool           `name:"nodes-only" help:"Run --check and --reload on the nodes alone, not here first."`
	await.Flags
	cli.Yes
	File []string `arg:"" complete:"file" help:"The files. Each is written to the same path on the nodes."`
}

// Examples implements cli.Exampled.
func (*pushVerb) Examples() string {
	return `iwx-queue push /etc/motd
		iwx-queue push --check "apachectl configtest" --reload "systemctl reload apache2" /etc/apache2/conf-enabled/tls.conf`
}

// Run queues all files, or none. Check and reload must succeed here first, where
// the files are already in place: a broken file halts no node.
func (v *pushVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, readOnly)
	if err != nil {
		return err
	}
	defer server.Close()
	batch, err := newBatch(c, server, &v.recipients)
	if err != nil {
		return err
	}
	var asked []located
	for _, name := range v.File {
		command, findings, err := v.command(c, server, name)
		if err == nil {
			err = batch.add(command)
		}
		if err != nil {
			return err
		}
		for _, f := range findings {
			asked = append(asked, located{Finding: f})
		}
	}
	if err := ask(c, server, v.Yes, asked); err != nil {
		return err
	}
	if err := v.tryHere(c, server); err != nil {
		return err
	}
	return batch.queue(v.Flags, v.JSON)
}

// tryHere runs the check and the reload on this server.
func (v *pushVerb) tryHere(c *cli.Context, server *local.Server) error {
	if v.NodesOnly {
		return nil
	}
	for _, step := range []struct{ name, line string }{{"check", v.Check}, {"reload", v.Reload}} {
		if step.line == "" {
			continue
		}
		cmd := exec.CommandContext(c, "/bin/sh", "-c", step.line)
		_, _, messages := c.Streams()
		cmd.Stdout, cmd.Stderr = messages, messages // standard output is for the number
		if server.Own() {
			cmd.Env = append(os.Environ(), "IWX_ROOT="+server.Root)
		}
		if err := runShell(cmd, step.line); err != nil {
			return fault.Hint(fault.New(fault.Failed, "the %s command failed on this server, so nothing was queued: %w", step.name, err),
				"correct the file; or, if only the nodes use it: --nodes-only")
		}
	}
	return nil
}

// command returns the entry that installs the file on a node, and the questions
// about it.
func (v *pushVerb) command(c *cli.Context, server *local.Server, name string) (*queue.Command, []queue.Finding, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, nil, err
	}
	path, inside := within(server.Root, path)
	if err := refuseOwn(server.Paths, path); err != nil {
		return nil, nil, err
	}
	content, info, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	mode, err := v.mode(info)
	if err != nil {
		return nil, nil, err
	}
	owner, err := v.owner(c, info)
	if err != nil {
		return nil, nil, err
	}
	argv := []string{"iwx-queue", "install", "--path", inside, "--mode", fmt.Sprintf("%04o", mode)}
	argv = append(argv, owner.flags()...)
	if v.Check != "" {
		argv = append(argv, "--check", v.Check)
	}
	if v.Reload != "" {
		argv = append(argv, "--reload", v.Reload)
	}
	// What install does is convergent, so it may run again.
	t := terms{Timeout: v.Timeout, Rerun: true}
	command, err := t.command(c, server, argv, content)
	return command, append(lintFile(server.Paths, path, inside, content), lintAttributes(path, inside)...), err
}

// within returns where the file is, and its path as a server sees it whose files
// lie below root: there, paths that do not begin with the root are below it.
func within(root, path string) (real, inside string) {
	if root == "" {
		return path, path
	}
	if rest, found := strings.CutPrefix(path, strings.TrimSuffix(root, "/")+"/"); found {
		return path, "/" + rest
	}
	return filepath.Join(root, path), path
}

// readFile reads a file to push. A symbolic link is refused: on the nodes a
// file would take its place, and the link's target would be another one.
func readFile(path string) ([]byte, fs.FileInfo, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fault.Hint(fault.New(fault.Usage, "there is no file %s here to push", path),
			"make it on this server first, as the nodes should have it; nothing was queued")
	case err != nil:
		return nil, nil, fault.WithCode(err, fault.Usage)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, _ := os.Readlink(path)
		return nil, nil, fault.Hint(fault.New(fault.Usage, "%s is a symbolic link to %s", path, target),
			"push its target; for the link itself: iwx-queue add -- ln -sfn %s %s", queue.Quote(target), queue.Quote(path))
	}
	if info.IsDir() {
		return nil, nil, fault.Hint(fault.New(fault.Usage, "%s is a directory", path),
			"push its files; for the directory itself: iwx-queue add -- install -d %s", queue.Quote(path))
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fault.New(fault.Usage, "%s is not a regular file", path)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	content, err := readAll(f, path)
	if err == nil {
		info, err = f.Stat() // of what was read, should it have been replaced
	}
	return content, info, err
}

// mode returns the permission bits, set-user-ID and the like included.
func (v *pushVerb) mode(info fs.FileInfo) (uint32, error) {
	if v.Mode == "" {
		return info.Sys().(*syscall.Stat_t).Mode & 0o7777, nil
	}
	return parseMode(v.Mode)
}

// parseMode reads an octal mode, "0644".
func parseMode(s string) (uint32, error) {
	mode, err := strconv.ParseUint(s, 8, 32)
	if err != nil || mode > 0o7777 {
		return 0, fault.New(fault.Usage, "mode %q is not an octal number from 0 to 7777", s)
	}
	return uint32(mode), nil
}

// ownership is who owns a file: by name, where a node has that name, else by
// number. A name is "" where the manager has none for the number.
type ownership struct {
	user, group string
	uid, gid    uint32
}

func (o *ownership) flags() []string {
	var flags []string
	if o.user != "" {
		flags = append(flags, "--owner", o.user)
	}
	flags = append(flags, "--uid", fmt.Sprint(o.uid))
	if o.group != "" {
		flags = append(flags, "--group", o.group)
	}
	return append(flags, "--gid", fmt.Sprint(o.gid))
}

// owner resolves --owner here, so that every node gets the same.
func (v *pushVerb) owner(c *cli.Context, info fs.FileInfo) (*ownership, error) {
	stat := info.Sys().(*syscall.Stat_t)
	o := &ownership{uid: stat.Uid, gid: stat.Gid}
	name, group, hasGroup := strings.Cut(v.Owner, ":")
	if name != "" {
		u, err := host.LookupUser(c, name)
		if err != nil {
			return nil, unknownAccount("user", name, err)
		}
		o.uid, o.gid = u.UID, u.GID
	}
	if hasGroup {
		_, gid, err := host.LookupGroup(c, group)
		if err != nil {
			return nil, unknownAccount("group", group, err)
		}
		o.gid = gid
	}
	// A number without a name stays a number.
	u, err := host.LookupUser(c, fmt.Sprint(o.uid))
	if err != nil && !errors.Is(err, host.ErrNoAccount) {
		return nil, err
	}
	o.user = u.Name
	o.group, _, err = host.LookupGroup(c, fmt.Sprint(o.gid))
	if err != nil && !errors.Is(err, host.ErrNoAccount) {
		return nil, err
	}
	return o, nil
}

// unknownAccount makes a usage error of an unknown name.
func unknownAccount(what, name string, err error) error {
	if !errors.Is(err, host.ErrNoAccount) {
		return err
	}
	return fault.Hint(fault.New(fault.Usage, "this server has no %s %q%s", what, name, host.Unasked(err)), "look it up: getent %s %s",
		map[string]string{"user": "passwd", "group": "group"}[what], queue.Quote(name))
}
