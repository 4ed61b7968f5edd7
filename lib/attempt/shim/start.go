package shim

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"iwx/lib/attempt/record"
)

// Exit codes of a command that could not be run, sh(1).
const (
	codeNotRunnable = 126
	codeNotFound    = 127
)

// openFiles is the soft limit of open files that a command gets, whatever the
// daemon's is: the traditional value, which select(2) depends on.
const openFiles = 1024

// notFound says that there is no such program, as opposed to one that cannot be
// run.
type notFound struct{ text string }

func (e *notFound) Error() string { return e.text }

func refusalCode(err error) int {
	if nf := (*notFound)(nil); errors.As(err, &nf) {
		return codeNotFound
	}
	return codeNotRunnable
}

// child is the command's process.
type child struct {
	pid   int
	pidfd int // -1 before Linux 5.3
}

// start starts the command.
func (a *attempt) start() (child, error) {
	s := a.spec
	if len(s.Argv) == 0 {
		return child{}, errors.New("the command is empty")
	}
	if s.SetUser && unix.Geteuid() != 0 {
		return child{}, errors.New("cannot run as uid " + id(s.UID) + ": only root can, and this is uid " + id(uint32(unix.Geteuid())))
	}
	stdin, err := openStdin(s.Stdin)
	if err != nil {
		return child{}, err
	}
	defer unix.Close(stdin)
	var program string
	err = withRights(s, func() (err error) {
		if err = enter(s.Dir); err == nil {
			program, err = lookUp(s.Argv[0], s.Env)
		}
		return err
	})
	if err != nil {
		return child{}, err
	}
	limit()
	defer unix.Umask(unix.Umask(int(s.Umask))) // the daemon must be able to read the output files
	return a.fork(program, stdin)
}

// fork starts the program in a process group of its own. The group is not a
// session: a session leader would acquire any terminal that it opens. It is
// killed when the thread that started it ends, which for a thread of the Go
// runtime is when the shim does.
func (a *attempt) fork(program string, stdin int) (child, error) {
	s := a.spec
	c := child{pidfd: -1}
	attr := &syscall.ProcAttr{
		Env:   s.Env,
		Files: []uintptr{uintptr(stdin), uintptr(a.outputs[0].write), uintptr(a.outputs[1].write)},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL, PidFD: &c.pidfd},
	}
	if s.SetUser {
		attr.Sys.Credential = &syscall.Credential{Uid: s.UID, Gid: s.GID, Groups: s.Groups}
	}
	var err error
	if c.pid, err = syscall.ForkExec(program, s.Argv, attr); err != nil {
		return child{}, execError(program, s.Argv[0], err)
	}
	return c, nil
}

func execError(program, name string, err error) error {
	text := "exec: " + strconv.Quote(name) + ": " + err.Error()
	if err != unix.ENOENT {
		return errors.New(text)
	}
	if unix.Access(program, unix.F_OK) == nil {
		return errors.New(text + " (the interpreter that it names is missing)")
	}
	return &notFound{text}
}

func enter(dir string) error {
	if dir == "" {
		dir = "/"
	}
	if err := unix.Chdir(dir); err != nil {
		return errors.New("working directory " + strconv.Quote(dir) + ": " + err.Error())
	}
	return nil
}

// lookUp returns the path of the program: name itself if it has a slash, else
// the first match along the PATH of the command's environment. Relative parts
// of PATH count from the working directory.
func lookUp(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := variable("PATH", env)
	var denied error
	for dir := range strings.SplitSeq(path, ":") {
		if dir == "" {
			dir = "."
		}
		program := dir + "/" + name
		err := runnable(program)
		if err == nil {
			return program, nil
		}
		if err == unix.EACCES && denied == nil {
			denied = errors.New("exec: " + strconv.Quote(name) + ": " + program + ": " + err.Error())
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", &notFound{"exec: " + strconv.Quote(name) + ": not found in PATH " + strconv.Quote(path)}
}

func runnable(program string) error {
	var st unix.Stat_t
	if err := unix.Stat(program, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0 {
		return unix.EACCES
	}
	return nil
}

// variable returns the value of the first variable of that name, as getenv(3)
// does.
func variable(name string, env []string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// openStdin returns a descriptor to read the input from: a file in memory, so
// that neither a pipe's capacity nor a slow reader matters.
func openStdin(input []byte) (int, error) {
	if len(input) == 0 {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, opError("open", "/dev/null", err)
		}
		return fd, nil
	}
	fd, err := unix.MemfdCreate("stdin", unix.MFD_CLOEXEC)
	if err != nil {
		return 0, opError("memfd_create", "stdin", err)
	}
	for off := 0; off < len(input); {
		n, err := unix.Pwrite(fd, input[off:], int64(off))
		if err != nil {
			unix.Close(fd)
			return 0, opError("write", "stdin", err)
		}
		off += n
	}
	return fd, nil
}

// limit sets the resource limits of the command, which the shim lives with too.
// Lowering a soft limit needs no privilege.
func limit() {
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil {
		files.Cur = min(openFiles, files.Max)
		unix.Setrlimit(unix.RLIMIT_NOFILE, &files)
	}
	var core unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &core) == nil {
		core.Cur = 0
		unix.Setrlimit(unix.RLIMIT_CORE, &core)
	}
}

// withRights calls f with the file access rights of the command's user. On an
// NFS share root is squashed to nobody, and so root may be refused a directory
// that the user may enter. Only this thread changes, see setfsuid(2).
func withRights(s *record.Spec, f func() error) error {
	if !s.SetUser {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := unix.Getgroups()
	if err != nil {
		return opError("getgroups", "", err)
	}
	groups := make([]uint32, len(own))
	for i, g := range own {
		groups[i] = uint32(g)
	}
	if err := setThreadGroups(s.Groups); err != nil {
		return errors.New("cannot run as uid " + id(s.UID) + ": " + err.Error())
	}
	unix.SetfsgidRetGid(int(s.GID))
	unix.SetfsuidRetUid(int(s.UID))
	defer func() {
		unix.SetfsuidRetUid(unix.Geteuid())
		unix.SetfsgidRetGid(unix.Getegid())
		setThreadGroups(groups)
	}()
	return f()
}

// setThreadGroups sets the supplementary groups of this thread alone, where
// unix.Setgroups would set those of all.
func setThreadGroups(groups []uint32) error {
	p := unsafe.Pointer(unsafe.SliceData(groups))
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(p), 0)
	if errno != 0 {
		return opError("setgroups", "", errno)
	}
	return nil
}

func id(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
