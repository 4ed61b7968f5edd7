package attempt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// groupPrefix begins the name of every control group of an attempt.
const groupPrefix = "iwx-replay-"

// groupDeadline is how long the processes of a group may take to die once they
// have been killed; one that takes longer hangs in the kernel.
const groupDeadline = 5 * time.Second

// Groups makes a control group (cgroups(7), version 2) for every attempt,
// beneath the one that this process is in. No controller is enabled in them:
// they serve to find and end what belongs to a command, whatever it forked.
type Groups struct {
	dir    string // of our own group, in the file system
	prefix string // of the groups that are ours to end
}

// OpenGroups finds the control group of this process, in a unified or a hybrid
// hierarchy. owner goes into the names of the groups: several daemons in one
// group, each for a server of its own, would else end each other's commands.
// The error says why groups cannot be used here: there is no version 2, or the
// group is not ours to divide.
func OpenGroups(owner string) (*Groups, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	dir, err := groupDir(string(mounts), string(own))
	if err != nil {
		return nil, err
	}
	g := &Groups{dir: dir, prefix: groupPrefix + owner + "-"}
	return g, g.probe()
}

// probe makes a group and removes it again.
func (g *Groups) probe() error {
	dir := filepath.Join(g.dir, g.prefix+"probe-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.Remove(dir)
}

// groupDir returns the directory of the group that this process is in, given
// what /proc/self/mountinfo and /proc/self/cgroup hold; see proc(5).
func groupDir(mounts, own string) (string, error) {
	root, point, err := groupMount(mounts)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(own) {
		path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !ok {
			continue
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
			return "", fmt.Errorf("control group %s lies outside the mount of %s", path, root)
		}
		return filepath.Join(point, rel), nil
	}
	return "", errors.New("this process is in no control group of version 2")
}

// groupMount returns root and mount point of the first cgroup2 mount.
func groupMount(mounts string) (root, point string, err error) {
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if strings.HasPrefix(after, "cgroup2 ") && len(fields) >= 5 {
			return unescape(fields[3]), unescape(fields[4]), nil
		}
	}
	return "", "", errors.New("no control groups of version 2 are mounted")
}

// unescape resolves the octal escapes of mountinfo.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// path returns the directory of an attempt's group, "" without groups.
func (g *Groups) path(id ID) string {
	if g == nil {
		return ""
	}
	return filepath.Join(g.dir, g.prefix+id.String())
}

// create makes the attempt's group and opens it; without groups it returns nil.
// One that is there is left of a daemon that was killed before it forked.
func (g *Groups) create(id ID) (*os.File, error) {
	if g == nil {
		return nil, nil
	}
	dir := g.path(id)
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, os.ErrExist) {
		if err = endGroup(dir); err == nil {
			err = os.Mkdir(dir, 0o755)
		}
	}
	if err != nil {
		return nil, err
	}
	return os.Open(dir)
}

// endGroup kills what is in a group and removes it. A group that is not there
// is success; one that is not ours is left alone.
func endGroup(dir string) error {
	if !strings.HasPrefix(filepath.Base(dir), groupPrefix) {
		return fmt.Errorf("control group %s is not of iwx", dir)
	}
	pause := time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		err := unix.Rmdir(dir)
		if err == nil || err == unix.ENOENT {
			return nil
		}
		if err != unix.EBUSY || waited > groupDeadline {
			return &os.PathError{Op: "rmdir", Path: dir, Err: err}
		}
		killGroup(dir)
		// The kernel tells of an empty group only through inotify; this is
		// over within one or two rounds.
		time.Sleep(pause)
		pause = min(2*pause, 50*time.Millisecond)
	}
}

// killGroup sends SIGKILL to all that is in a group and below. Before Linux 5.14
// there is no cgroup.kill and each process is killed by its id; the caller
// repeats that until the group is empty.
func killGroup(dir string) {
	if os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0) == nil {
		return
	}
	procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return // removed since, which the caller finds out
	}
	for _, field := range strings.Fields(string(procs)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}
