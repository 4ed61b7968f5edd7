package state

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
)

// A process that has the state open goes on with its file when another file gets
// the name: it commits into one that nobody else sees, and the last process to
// close the old one may overwrite the new one. So every process looks, at each
// commit, whether the names still stand for what it has open. It looks by
// stat(2) alone: opening and closing one of these files would drop SQLite's
// locks on it (sqlite.org/howtocorrupt.html §2.2).
//
// While a process has the state open, SQLite neither removes nor replaces any of
// the files: a checkpoint only truncates the log, and who closes the state last
// removes it.

// suffixes are those of the files that SQLite keeps a state in: the database, its
// write-ahead log and the index of that log.
var suffixes = [...]string{"", "-wal", "-shm"}

// fileID is what a name stands for; zero for nothing.
type fileID struct{ dev, ino uint64 }

// files are what the names of a state stood for at one moment.
type files [len(suffixes)]fileID

// String is the form in which processes compare them.
func (f files) String() string {
	text := make([]string, len(f))
	for i, id := range f {
		text[i] = fmt.Sprintf("%d:%d", id.dev, id.ino)
	}
	return strings.Join(text, " ")
}

// names are those of a state's files.
type names [len(suffixes)]string

func namesOf(path string) (n names) {
	for i, suffix := range suffixes {
		n[i] = path + suffix
	}
	return n
}

// identify returns what the names stand for.
func (n *names) identify() (f files, err error) {
	for i, name := range n {
		var is unix.Stat_t
		switch err := stat(name, &is); {
		case err == nil:
			f[i] = fileID{uint64(is.Dev), is.Ino}
		case !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR):
			return f, fmt.Errorf("stat %s: %w", name, err)
		}
	}
	return f, nil
}

func stat(path string, is *unix.Stat_t) error {
	for {
		if err := unix.Stat(path, is); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Check fails when the state's name, or that of one of its files, no longer
// stands for what is open here: it was removed, replaced, or something was
// mounted over it. Nothing may be read or written here then. It costs
// microseconds.
func (s *Store) Check() error {
	if s.files == (files{}) {
		return nil // they are being opened
	}
	now, err := s.names.identify()
	if err != nil || now == s.files {
		return err
	}
	for i, id := range now {
		switch name := s.names[i]; {
		case id == s.files[i]:
		case i == 0 && id == fileID{}:
			return fault.Hint(fault.New(fault.Failed, "%s was removed while it was in use; nothing more is written", name),
				"put the file back; what a daemon had of it, it saves as %[1]s.lost-TIME when it ends\nor, on the manager: iwx-cluster-setup restore BACKUP\non a node: iwx-cluster-setup node, with a token of iwx-node add NAME --rejoin", name)
		case i == 0:
			return fault.Hint(fault.New(fault.Failed, "%s was replaced while it was in use: another file has its name; nothing more is written", name),
				"if the new file is the right one, go on with it: systemctl restart iwx-queued iwx-lb\nwhat a daemon had of the old one, it saves as %s.lost-TIME when it ends", name)
		default:
			return fault.Hint(fault.New(fault.Failed, "%s was %s while it was in use; nothing more is written", name, changed(id)),
				"what it held is in the processes that have it open, and saved when they end: systemctl restart iwx-queued iwx-lb\nthen try again")
		}
	}
	return nil
}

// Rescue copies what is open here, which no name stands for any more, to a file
// beside the state, and returns its path: without that, it would be gone when the
// last process that has it open ends. Where the database still has its name,
// nothing has to be rescued, and the path is "".
func (s *Store) Rescue(ctx context.Context, now time.Time) (path string, err error) {
	is, err := s.names.identify()
	if err != nil || is[0] == s.files[0] {
		return "", err
	}
	// A new connection would open the new file: it takes one that is open.
	var c *conn
	for range maxReaders {
		if c != nil {
			break
		}
		if c = <-s.readers; c == nil {
			s.readers <- nil
		}
	}
	if c == nil {
		return "", fmt.Errorf("%s: no connection is open any more", s.path)
	}
	defer func() { s.readers <- c }()
	path = s.path + ".lost-" + now.UTC().Format("20060102T150405Z")
	return path, s.copyTo(ctx, c, path)
}

func changed(id fileID) string {
	if id == (fileID{}) {
		return "removed"
	}
	return "replaced"
}
