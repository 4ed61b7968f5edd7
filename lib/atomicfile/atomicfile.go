// Package atomicfile writes files so that a reader, a crash or a power cut sees
// either the old content or the new, never a part of it.
//
// A write goes to a temporary file in the same directory, which has its final
// mode before it has content, is synced, renamed over the target, and then the
// directory is synced too: without that the rename itself can be lost (fsync(2)).
// The package does not lock: of two writers the later rename wins.
package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file being written. It appears under its name at Commit; after
// Close without Commit nothing of it is left.
type File struct {
	*os.File // the temporary file, for Write, Chown and the like

	path string
	mode fs.FileMode
	done bool
}

// Create opens a temporary file that Commit will rename to path. The mode is
// set exactly, whatever the umask. The directory must exist.
func Create(path string, mode fs.FileMode) (*File, error) {
	dir, base := filepath.Split(path)
	if base == "" {
		return nil, fmt.Errorf("write %q: not a file name", path)
	}
	if dir == "" {
		dir = "."
	}
	temp, err := os.CreateTemp(dir, "."+base+".*.tmp") // 0600 until the next line
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	f := &File{File: temp, path: path, mode: mode}
	if err := temp.Chmod(mode); err != nil {
		return nil, errors.Join(f.wrap(err), f.Close())
	}
	return f, nil
}

// Commit makes the file durable under its name, replacing what was there.
func (f *File) Commit() error {
	if f.done {
		return f.wrap(fs.ErrClosed)
	}
	// chown(2) clears the set-user-ID bits, so the mode is set again last.
	err := f.File.Chmod(f.mode)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		return errors.Join(f.wrap(err), f.Close())
	}
	f.done = true
	if err := f.File.Close(); err != nil {
		return f.wrap(err)
	}
	return SyncDir(filepath.Dir(f.path))
}

// Close gives up a file that was not committed and removes its temporary file.
// After Commit it does nothing, so that it can be deferred.
func (f *File) Close() error {
	if f.done {
		return nil
	}
	f.done = true
	return errors.Join(f.File.Close(), os.Remove(f.Name()))
}

// wrap names the target, not the temporary file that the reader never sees.
func (f *File) wrap(err error) error {
	for e := (*fs.PathError)(nil); errors.As(err, &e); {
		err = e.Err
	}
	for e := (*os.LinkError)(nil); errors.As(err, &e); {
		err = e.Err
	}
	return fmt.Errorf("write %s: %w", f.path, err)
}

// Write makes data the whole content of path, with exactly this mode. Repeating
// it is safe; on an error the old file is untouched.
func Write(path string, data []byte, mode fs.FileMode) error {
	return WriteReader(path, bytes.NewReader(data), mode)
}

// WriteReader is Write for content of any size, read from r to its end. An
// error of r leaves the old file untouched.
func WriteReader(path string, r io.Reader, mode fs.FileMode) error {
	f, err := Create(path, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		return errors.Join(f.wrap(err), f.Close())
	}
	return f.Commit()
}

// SyncDir makes the names in dir durable: created, renamed and removed ones.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// MkdirAll creates dir and its missing parents. The last element gets exactly
// this mode, also when it was there before; new parents get 0755 less the umask.
func MkdirAll(dir string, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	if info.Mode().Perm() == mode.Perm() {
		return nil
	}
	return os.Chmod(dir, mode)
}
