package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
)

// A process that has the state open keeps its file when another file takes the
// name: its commits then go to a file that no other process sees, and the last
// process to close the old file may overwrite the new one. Every process
// therefore checks, at each commit, whether the names still refer to its open
// files. It uses lstat(2) alone: opening and closing one of the files would drop
// SQLite's locks on it (sqlite.org/howtocorrupt.html §2.2).
//
// While a process has the state open, SQLite neither removes nor replaces any of
// the files: a checkpoint only truncates the log, and the last process that
// closes the state removes it.

// suffixes are the suffixes of the files of a SQLite database: the database, its
// write-ahead log and the index of that log.
var suffixes = [...]string{"", "-wal", "-shm"}

// fileID identifies the file that a name refers to; zero for none.
type fileID struct{ dev, ino uint64 }

// files holds the files that the names of a state referred to at one moment.
type files [len(suffixes)]fileID

// String returns the form in which processes compare them.
func (f files) String() string {
	text := make([]string, len(f))
	for i, id := range f {
		text[i] = fmt.Sprintf("%d:%d", id.dev, id.ino)
	}
	return strings.Join(text, " ")
}

// names are the paths of a state's files.
type names [len(suffixes)]string

func namesOf(path string) (n names) {
	for i, suffix := range suffixes {
		n[i] = path + suffix
	}
	return n
}

// identify returns the files that the names refer to. A symbolic link counts as itself:
// SQLite keeps -wal and -shm beside its target, where they are under other names.
func (n *names) identify() (f files, err error) {
	for i, name := range n {
		var is unix.Stat_t
		switch err := lstat(name, &is); {
		case err == nil:
			f[i] = fileID{uint64(is.Dev), is.Ino}
		case !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR):
			return f, fmt.Errorf("lstat %s: %w", name, err)
		}
	}
	return f, nil
}

func lstat(path string, is *unix.Stat_t) error {
	for {
		if err := unix.Lstat(path, is); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Check fails if the state's name, or the name of one of its files, no longer
// refers to the open file: it was removed, replaced or mounted over. Nothing
// may be read or written then. It takes microseconds.
func (s *Store) Check() error {
	if s.files == (files{}) {
		return nil // the files are being opened
	}
	now, err := s.names.identify()
	if err != nil || now == s.files {
		return err
	}
	for i, id := range now {
		switch name := s.names[i]; {
		case id == s.files[i]:
		case i == 0 && id == fileID{}:
			return fault.Hint(fault.New(fault.Failed, "%s was removed while in use; iwx has stopped writing", name),
				"put the file back; a daemon that has it open saves a copy as %[1]s.lost-TIME when it ends\nor, on the manager: iwx-cluster-setup restore BACKUP\non a node: iwx-cluster-setup node, with a token of iwx-node add NAME --rejoin", name)
		case i == 0:
			return fault.Hint(fault.New(fault.Failed, "%s was replaced by another file while in use; iwx has stopped writing", name),
				"if the new file is the right one, switch to it: systemctl restart iwx-queued iwx-lb\na daemon that has the old one open saves a copy as %s.lost-TIME when it ends", name)
		default:
			return fault.Hint(fault.New(fault.Failed, "%s was %s while in use; iwx has stopped writing", name, changed(id)),
				"the processes that have it open save its content when they end: systemctl restart iwx-queued iwx-lb\nthen try again")
		}
	}
	return nil
}

// Rescue copies the open state, if no name refers to it any more, to a file
// beside it, and returns the path. Otherwise the data would be lost when the last
// process that has it open ends. If the database still has its name, nothing is
// copied, and the path is "". It uses the connection of the writer, which is open as
// long as the Store is: a new one would open the new file.
func (s *Store) Rescue(ctx context.Context, now time.Time) (path string, err error) {
	is, err := s.names.identify()
	if err != nil || is[0] == s.files[0] {
		return "", err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	path = s.path + ".lost-" + now.UTC().Format("20060102T150405Z")
	err = s.copyTo(ctx, s.writer, path)
	if errors.Is(err, fs.ErrExist) {
		return "", nil // the other daemon of this server saves it
	}
	return path, err
}

func changed(id fileID) string {
	if id == (fileID{}) {
		return "removed"
	}
	return "replaced"
}
