package shim

import (
	"golang.org/x/sys/unix"

	"iwx/lib/attempt/record"
)

// Keep is how many bytes are kept at the beginning and at the end of an output.
const Keep = 64 << 10

// chunk is the number of bytes read from a pipe at a time, and pulls the number
// of reads in a row. They leave time for other work during an endless output.
const (
	chunk = 64 << 10
	pulls = 16
)

// output is a pipe that the command writes to, and the file that keeps what the
// shim reads from it. The command has no file open itself: it can reopen
// /dev/stderr, or pass it to several programs, without losing output, as under
// sshd(8) and cron(8).
//
// The file has the form that record.OutputTrailer describes, and never grows
// beyond that. The shim writes to it at once, so that a killed shim loses
// nothing. While the disk is full the command goes on: the shim keeps the
// missing part in memory, and writes it as soon as there is room.
type output struct {
	path  string
	read  int // the reading end; -1 at the end of the output
	write int // the command's end; -1 once closed here
	inode uint64

	file    int    // -1: no output yet
	kept    []byte // the content of the file, without the trailer
	size    int64  // bytes read
	lo, hi  int    // the part of kept that is not in the file yet
	failure error  // of the last write
}

// openOutput makes the pipe of an output. The pipe belongs to the command's
// user, who could not open /dev/stderr otherwise.
func openOutput(path string, s *record.Spec) (*output, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, opError("pipe", "", err)
	}
	o := &output{path: path, read: ends[0], write: ends[1], file: -1}
	// A command that reads from /dev/stdout may be faster than the shim.
	if err := unix.SetNonblock(o.read, true); err != nil {
		return nil, opError("fcntl", "pipe", err)
	}
	if s.SetUser && unix.Geteuid() == 0 {
		if err := unix.Fchown(o.write, int(s.UID), int(s.GID)); err != nil {
			return nil, opError("chown", "pipe", err)
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(o.read, &st); err != nil {
		return nil, opError("fstat", "pipe", err)
	}
	o.inode = st.Ino
	return o, nil
}

// handOver closes the command's end here, so that the pipe ends when the last
// process closes it.
func (o *output) handOver() {
	unix.Close(o.write)
	o.write = -1
}

// pull reads from the pipe, up to a limit.
func (o *output) pull(buf []byte) {
	for range pulls {
		n, err := unix.Read(o.read, buf)
		switch {
		case n > 0:
			o.add(buf[:n])
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return
		default:
			o.close()
			return
		}
	}
}

func (o *output) close() {
	unix.Close(o.read)
	o.read = -1
}

// add keeps the part of b that belongs to the beginning or the end of the
// output.
func (o *output) add(b []byte) {
	for len(b) > 0 {
		at, end := int(o.size), Keep
		if o.size >= Keep {
			at, end = Keep+int(o.size%Keep), 2*Keep
		}
		n := min(len(b), end-at)
		o.kept = append(o.kept, make([]byte, max(0, at+n-len(o.kept)))...)
		copy(o.kept[at:], b[:n])
		if o.lo == o.hi {
			o.lo, o.hi = at, at+n
		}
		o.lo, o.hi = min(o.lo, at), max(o.hi, at+n)
		o.size += int64(n)
		b = b[n:]
	}
	o.flush()
}

// flush writes the part that the file lacks. It may be repeated: after an error,
// usually a full disk, the next call goes on where this one stopped.
func (o *output) flush() {
	if o.lo == o.hi && o.failure == nil {
		return
	}
	if o.failure = o.save(); o.failure == nil {
		o.lo, o.hi = 0, 0
	}
}

func (o *output) save() error {
	if o.file < 0 {
		fd, err := unix.Open(o.path, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		o.file = fd
	}
	for o.lo < o.hi {
		n, err := unix.Pwrite(o.file, o.kept[o.lo:o.hi], int64(o.lo))
		if err != nil && err != unix.EINTR {
			return err
		}
		o.lo += max(n, 0)
	}
	if o.size <= 2*Keep {
		return nil
	}
	trailer := record.OutputTrailer(o.size)
	n, err := unix.Pwrite(o.file, trailer, 2*Keep)
	if err == nil && n < len(trailer) {
		err = unix.ENOSPC
	}
	return err
}
