package shim

import (
	"golang.org/x/sys/unix"

	"iwx/lib/attempt/record"
)

// Keep is how many bytes are kept at the beginning and at the end of an output.
const Keep = 64 << 10

// holeStep is the least that is worth a system call while the command runs.
const holeStep = 1 << 20

// output is a file that the command writes to. A command must neither block nor
// fill the disk, however much it says: what is neither beginning nor end is
// given back to the file system as a hole, which leaves the size exact.
type output struct {
	fd      int
	freed   int64 // everything between Keep and here is a hole
	noHoles bool  // the file system has none
}

// openOutput opens an output for appending. It belongs to the command's user,
// who could not open /dev/stderr otherwise.
func openOutput(path string, s *record.Spec) (*output, error) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, opError("open", path, err)
	}
	if s.SetUser && unix.Geteuid() == 0 {
		if err := unix.Fchown(fd, int(s.UID), int(s.GID)); err != nil {
			return nil, opError("chown", path, err)
		}
	}
	return &output{fd: fd, freed: Keep}, nil
}

// free punches a hole between the first and the last Keep bytes if it would
// grow by at least step bytes, see fallocate(2).
func (o *output) free(step int64) {
	var st unix.Stat_t
	if o.noHoles || unix.Fstat(o.fd, &st) != nil {
		return
	}
	if st.Size < o.freed {
		o.freed = Keep // the command truncated it
	}
	to := (st.Size - Keep) &^ 4095
	if to-o.freed < step {
		return
	}
	const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	switch err := unix.Fallocate(o.fd, mode, o.freed, to-o.freed); err {
	case nil:
		o.freed = to
	case unix.EINTR:
	default:
		o.noHoles = true
	}
}
