package queuetool

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/input"
	"iwx/lib/queue"
	"iwx/lib/tool/local"
)

// recipients are the flags that say which nodes an entry is for.
type recipients struct {
	Node     []string `short:"n" sep:"none" placeholder:"NODE" complete:"node" help:"Only this node. May be repeated."`
	Baseline bool     `help:"Also for the nodes that join later."`
	Rolling  uint16   `placeholder:"N" help:"On so many nodes at a time, in the order of their names; a failure stops it."`
}

// targets returns who is meant, and the members among them.
func (r *recipients) targets(nodes []cluster.Node) (queue.Targets, []cluster.Node, error) {
	targets, found, err := r.scope(nodes)
	targets.Rolling = r.Rolling
	return targets, found, err
}

func (r *recipients) scope(nodes []cluster.Node) (queue.Targets, []cluster.Node, error) {
	if len(r.Node) == 0 {
		if r.Baseline {
			return queue.Targets{Scope: queue.ScopeBaseline}, nodes, nil
		}
		return queue.Members(), nodes, nil
	}
	if r.Baseline {
		return queue.Targets{}, nil, fault.New(fault.Usage, "--baseline is for every node, and --node names only some")
	}
	found, err := named(nodes, r.Node)
	if err != nil {
		return queue.Targets{}, nil, err
	}
	ids := make([]string, len(found))
	for i, n := range found {
		ids[i] = n.ID
	}
	return queue.Nodes(ids...), found, nil
}

// terms are the flags that say how a command is run.
type terms struct {
	Stdin     string         `placeholder:"FILE" complete:"file" help:"Standard input of the command: a file, or - for that of iwx-queue."`
	Timeout   *time.Duration `placeholder:"TIME" help:"End it after this time; 0 never. Without it, queue.timeout of iwx.toml(5)."`
	Env       []string       `sep:"none" placeholder:"KEY=VALUE" help:"Add to its environment. May be repeated."`
	Cwd       string         `placeholder:"DIR" complete:"dir" help:"Run it in this directory; on the nodes / without it."`
	Rerun     bool           `help:"It may run again when a crash leaves its outcome unknown."`
	Sensitive bool           `help:"Show it nowhere, and forget it once every node has done it."`

	by string `kong:"-"` // see operator
}

// keepOrForget refuses to do both: what is erased once the nodes of today have
// done it cannot be replayed by those of tomorrow.
func keepOrForget(r *recipients, t *terms) error {
	if !r.Baseline || !t.Sensitive {
		return nil
	}
	return fault.Hint(fault.New(fault.Usage, "--baseline keeps an entry for nodes to come, and --sensitive forgets it"),
		"leave one of them out")
}

// operator returns who queues. The name service is asked once, not for each line of a
// list.
func (t *terms) operator(c *cli.Context) string {
	if t.by == "" {
		t.by = local.Operator(c)
	}
	return t.by
}

// command returns what is to be queued. stdin is the content of --stdin, nil
// without it.
func (t *terms) command(c *cli.Context, server *local.Server, argv []string, stdin []byte) (*queue.Command, error) {
	command := &queue.Command{
		Argv: argv, Env: t.Env, Dir: cmp.Or(t.Cwd, "/"), Umask: 0o022, Stdin: stdin,
		Timeout: server.Config.Queue.Timeout, Rerun: t.Rerun, Sensitive: t.Sensitive,
		QueuedAt: c.Now(), QueuedBy: t.operator(c),
	}
	if t.Timeout != nil {
		command.Timeout = *t.Timeout
	}
	if err := command.Check(); err != nil {
		return nil, err
	}
	if program := argv[0]; t.Cwd == "" && strings.Contains(program, "/") && !strings.HasPrefix(program, "/") {
		return nil, fault.Hint(
			fault.New(fault.Usage, "program %q is named relative to this directory, and the nodes run it in /", program),
			"name its absolute path, or the directory: --cwd DIR")
	}
	return command, nil
}

// input reads --stdin: nil without it.
func (t *terms) input(c *cli.Context) ([]byte, error) {
	switch t.Stdin {
	case "":
		return nil, nil
	case "-":
		return readAll(c.Stdin, "standard input")
	}
	f, err := input.Open(c, t.Stdin)
	if err != nil {
		return nil, fault.WithCode(err, fault.Usage)
	}
	defer f.Close()
	return readAll(f, t.Stdin)
}

// readAll reads what an entry may carry, and no more than it takes to see that
// it is too much. It never returns nil without an error.
func readAll(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, queue.MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, reason(err))
	}
	if len(data) > queue.MaxBody {
		return nil, fault.Hint(
			fault.New(fault.Usage, "%s is over the limit of %d bytes that an entry can carry", name, queue.MaxBody),
			"put the data on the shared storage and cascade a command that reads it there")
	}
	return data, nil
}

// reason is err without the path that a file's errors repeat.
func reason(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// parseUmask reads an octal mask, "022".
func parseUmask(s string) (uint32, error) {
	mask, err := strconv.ParseUint(s, 8, 32)
	if err != nil || mask > 0o777 {
		return 0, fault.New(fault.Usage, "umask %q is not an octal number from 0 to 0777", s)
	}
	return uint32(mask), nil
}

// hasProgram reports whether a program of that name or path exists here; a node
// searches the same way.
func hasProgram(name string) bool {
	if strings.Contains(name, "/") {
		_, err := os.Stat(name)
		return err == nil
	}
	for dir := range strings.SplitSeq("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ":") {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

// refuseUnread refuses a command that reads its instructions from standard input,
// which is not passed on by default, if there is input for it.
func refuseUnread(c *cli.Context, command *queue.Command) error {
	program := queue.WantsInput(command)
	if in, _, _ := c.Streams(); program == "" || !hasContent(in) {
		return nil
	}
	return fault.Hint(fault.New(fault.Usage, "%s reads its instructions from standard input, and iwx-queue does not pass its own on by default", program),
		"pass it on: --stdin -; or give it none: </dev/null")
}

// contentWait is the time that a program at the other end of a pipe has to begin.
const contentWait = time.Second

// hasContent reports whether a stream is a file or pipe with something to read.
// It reads nothing.
func hasContent(stream any) bool {
	f, isFile := stream.(*os.File)
	if !isFile {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		at, err := f.Seek(0, io.SeekCurrent)
		return err == nil && at < info.Size()
	case mode&(fs.ModeNamedPipe|fs.ModeSocket) != 0:
		ready := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, int(contentWait/time.Millisecond)); err != nil || ready[0].Revents&unix.POLLIN == 0 {
			return false
		}
		n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ)
		return err == nil && n > 0
	}
	return false
}

// misplaced finds flags of iwx-queue after a command that was given without "--":
// they would be passed to the command.
func misplaced(c *cli.Context, command []string) []queue.Finding {
	if at := len(c.Args) - len(command) - 1; at < 0 || c.Args[at] == "--" {
		return nil
	}
	own := []string{"--wait", "--wait-timeout", "--baseline", "--rolling", "--sensitive", "--rerun", "--node", "--stdin", "--umask"}
	for _, arg := range command[1:] {
		if flag, _, _ := strings.Cut(arg, "="); slices.Contains(own, flag) {
			program := queue.Quote(command[0])
			return []queue.Finding{{
				Name:   "flag",
				Detail: fmt.Sprintf("%s comes after the command, so it is an argument of %s", flag, program),
				Remedy: fmt.Sprintf("flags of iwx-queue come first: %s -- %s; those of the command after --: -- %s %s", flag, program, program, flag),
			}}
		}
	}
	return nil
}

// lint asks about likely mistakes on the nodes. where is the prefix of each
// finding: "", or the place of the command in a list. more are findings about
// the first command.
func lint(c *cli.Context, server *local.Server, yes cli.Yes, commands []*queue.Command, where func(int) string, more ...queue.Finding) error {
	var found []located
	for _, f := range more {
		found = append(found, located{where(0), f})
	}
	for i, command := range commands {
		for _, f := range queue.Lint(command, server.Config.Storage.Paths()) {
			found = append(found, located{where(i), f})
		}
	}
	return ask(c, server, yes, found)
}

// located is a finding with its prefix: "", or a place in a list.
type located struct {
	where string
	queue.Finding
}

// ask prints findings and asks whether to go on.
func ask(c *cli.Context, server *local.Server, yes cli.Yes, found []located) error {
	if yes.Yes || !server.Config.Queue.Lint || len(found) == 0 {
		return nil
	}
	const most = 10 // more would scroll the question off the screen
	for _, f := range found[:min(len(found), most)] {
		c.Warnf("%s%s", f.where, f.Detail)
		c.Notef("hint: %s", f.Remedy)
	}
	if len(found) > most {
		c.Warnf("and %d more", len(found)-most)
	}
	return c.Confirm(false, "queue it all the same?")
}
