package shim

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's dispositions, signal(7).
const (
	sigDefault = 0
	sigIgnore  = 1
	lastSignal = 64
)

// shedVariable marks that the shim started itself again, so that it never does
// so twice.
const shedVariable = "IWX_ATTEMPT_SHED"

// shedSignals gives the command default dispositions and an empty mask, and
// makes the shim deaf to what ends a daemon or comes from a terminal.
//
// The Go runtime resets in a child what it handles itself, which excludes
// signals that were ignored or blocked when the program began. Those are reset
// here, and the shim is started again so that the runtime sees a clean table.
func shedSignals(args []string) error {
	dirty := false
	for sig := 1; sig <= lastSignal; sig++ {
		if disposition(sig) == sigIgnore {
			setDisposition(sig, sigDefault)
			dirty = true
		}
	}
	dirty = unblockAll() || dirty
	if _, again := syscall.Getenv(shedVariable); dirty && !again {
		err := syscall.Exec("/proc/self/exe", args, append(syscall.Environ(), shedVariable+"=1"))
		return opError("exec", "/proc/self/exe", err)
	}
	// Behind the runtime's back, which goes on believing that it handles them
	// and therefore resets them in the command.
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT} {
		setDisposition(int(sig), sigIgnore)
	}
	return nil
}

// action is large enough for struct sigaction of every architecture; the
// disposition is its first word.
type action [16]uintptr

func disposition(sig int) uintptr {
	var act action
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), 0, uintptr(unsafe.Pointer(&act)), 8, 0, 0)
	return act[0]
}

func setDisposition(sig int, to uintptr) {
	act := action{to}
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&act)), 0, 8, 0, 0)
}

// unblockAll empties the thread's signal mask and reports whether there was
// anything in it.
func unblockAll() bool {
	var none, was uint64
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&none)), uintptr(unsafe.Pointer(&was)), 8, 0, 0)
	return was != 0
}
