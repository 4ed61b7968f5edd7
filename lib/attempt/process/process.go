// Package process reads the process table as proc(5) shows it: who is whose
// child, who leads which session, and when each was started.
//
// A process may come and go while the table is read; callers that must reach all
// of them read it again until none is left.
//
// The package is linked into the shim, and does without package os, which alone
// is a tenth of a small program's size and start-up.
package process

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Process is one line of the table.
type Process struct {
	PID        int
	Name       string // of the program, up to 15 bytes, not always UTF-8
	State      byte   // 'R', 'S', …; 'Z' has ended, and its parent has not waited for it
	Parent     int
	Session    int
	StartTicks uint64 // clock ticks since boot; with PID it names one process
}

// Args returns the command line of this process, the program's name first.
func Args() ([]string, error) {
	line, err := readFile("/proc/self/cmdline")
	return strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"), err
}

// Get returns the process with the given id; errors are those of reading
// /proc/PID/stat.
func Get(pid int) (Process, error) { return get("/proc", pid) }

func get(dir string, id int) (Process, error) {
	stat, err := readFile(dir + "/" + strconv.Itoa(id) + "/stat")
	if err != nil {
		return Process{}, err
	}
	return parse(id, string(stat))
}

// List returns every process that can be seen.
func List() ([]Process, error) { return list("/proc") }

// Threads returns the threads of a process, each with its own id as PID.
func Threads(pid int) ([]Process, error) { return list("/proc/" + strconv.Itoa(pid) + "/task") }

func list(dir string) ([]Process, error) {
	names, err := readNames(dir)
	if err != nil {
		return nil, err
	}
	table := make([]Process, 0, len(names))
	for _, name := range names {
		id, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, err := get(dir, id); err == nil {
			table = append(table, p)
		}
	}
	return table, nil
}

// readFile returns the content of a small file of /proc.
func readFile(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, errors.New("open " + path + ": " + err.Error())
	}
	defer unix.Close(fd)
	b := make([]byte, 0, 1024)
	for {
		n, err := unix.Read(fd, b[len(b):cap(b)])
		if err != nil {
			return nil, errors.New("read " + path + ": " + err.Error())
		}
		if n == 0 {
			return b, nil
		}
		b = append(b[:len(b)+n], 0)[:len(b)+n] // makes room for the next read
	}
}

// readNames returns the names in a directory.
func readNames(path string) ([]string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, errors.New("open " + path + ": " + err.Error())
	}
	defer unix.Close(fd)
	var names []string
	buf := make([]byte, 8<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err != nil {
			return nil, errors.New("read " + path + ": " + err.Error())
		}
		if n == 0 {
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// Children returns the children of a process that have not ended, the newest first.
func Children(parent int) ([]Process, error) {
	table, err := List()
	children := slices.DeleteFunc(table, func(p Process) bool { return p.Parent != parent || p.State == 'Z' })
	slices.SortFunc(children, func(a, b Process) int {
		return cmp.Or(cmp.Compare(b.StartTicks, a.StartTicks), cmp.Compare(b.PID, a.PID))
	})
	return children, err
}

// Descendants returns the children of the process root, their children and so
// on, out of table, in no order.
func Descendants(table []Process, root int) []Process {
	children := make(map[int][]Process, len(table))
	for _, p := range table {
		children[p.Parent] = append(children[p.Parent], p)
	}
	found := children[root]
	delete(children, root)
	for i := 0; i < len(found); i++ {
		pid := found[i].PID
		found = append(found, children[pid]...)
		delete(children, pid) // ids reused while the table was read could form a ring
	}
	return found
}

// parse reads a line of /proc/PID/stat. The name in parentheses may itself hold
// spaces and parentheses, so that fields are counted from the last one.
func parse(pid int, stat string) (Process, error) {
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	const state, parent, session, start = 3, 4, 6, 22 // as proc(5) counts them
	if end < 0 || len(fields) <= start-state {
		return Process{}, errors.New("process " + strconv.Itoa(pid) + ": malformed stat line")
	}
	p := Process{PID: pid, Name: stat[strings.IndexByte(stat, '(')+1 : end], State: fields[0][0]}
	var errs [3]error
	p.Parent, errs[0] = strconv.Atoi(fields[parent-state])
	p.Session, errs[1] = strconv.Atoi(fields[session-state])
	p.StartTicks, errs[2] = strconv.ParseUint(fields[start-state], 10, 64)
	return p, errors.Join(errs[:]...)
}
