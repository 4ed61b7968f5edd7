package backup

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"iwx/lib/atomicfile"
)

// File is one to put into a backup. Open is called twice, once for the size and
// hash and once for the content, which must be the same both times.
type File struct {
	Name string // relative, with slashes, at most 100 bytes
	Mode fs.FileMode
	Open func() (io.ReadCloser, error)
}

// FileAt returns the file at path under a name in the backup, with its own
// permission bits.
func FileAt(name, path string) (File, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return File{}, err
	}
	if !fi.Mode().IsRegular() {
		return File{}, fmt.Errorf("%s: not a regular file", path)
	}
	open := func() (io.ReadCloser, error) { return os.Open(path) }
	return File{Name: filepath.ToSlash(name), Mode: fi.Mode().Perm(), Open: open}, nil
}

// Write encrypts a backup of files to w. Format and Files of m are filled in
// here. A file that changes between its two readings is an error, and what was
// written to w until then is not a valid backup.
func Write(w io.Writer, recipient string, m Manifest, files []File) error {
	to, err := parseRecipient(recipient)
	if err != nil {
		return err
	}
	if m, err = complete(m, files); err != nil {
		return err
	}
	sealed, err := age.Encrypt(w, to)
	if err != nil {
		return err
	}
	if err := writeArchive(sealed, m, files); err != nil {
		return err
	}
	return sealed.Close()
}

// WriteFile writes a backup to a new or replaced file at path, mode 0600. On an
// error nothing is left of it, and an older file is untouched.
func WriteFile(path, recipient string, m Manifest, files []File) error {
	f, err := atomicfile.Create(path, 0o600)
	if err != nil {
		return err
	}
	if err := Write(f, recipient, m, files); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Commit()
}

// complete returns m with the entries of files.
func complete(m Manifest, files []File) (Manifest, error) {
	m.Format = FormatVersion
	m.Created = m.Created.UTC().Truncate(time.Second)
	m.Files = make([]Entry, len(files))
	for i, f := range files {
		size, sum, err := digest(f)
		if err != nil {
			return m, err
		}
		m.Files[i] = Entry{Name: f.Name, Mode: f.Mode, Size: size, SHA256: sum}
	}
	if err := m.check(); err != nil {
		return m, fmt.Errorf("cannot write the backup: %w", err)
	}
	return m, nil
}

func digest(f File) (size int64, sum string, err error) {
	r, err := f.Open()
	if err != nil {
		return 0, "", err
	}
	defer r.Close()
	h := sha256.New()
	if size, err = io.Copy(h, r); err != nil {
		return 0, "", fmt.Errorf("read %s: %w", f.Name, err)
	}
	return size, hex.EncodeToString(h.Sum(nil)), nil
}

func writeArchive(w io.Writer, m Manifest, files []File) error {
	manifest, err := m.marshal()
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	if err := archive.WriteHeader(header(manifestName, 0o600, int64(len(manifest)), m.Created)); err != nil {
		return err
	}
	if _, err := archive.Write(manifest); err != nil {
		return err
	}
	for i, f := range files {
		if err := writeMember(archive, m.Files[i], f, m.Created); err != nil {
			return err
		}
	}
	return archive.Close()
}

// writeMember copies exactly the bytes that the manifest promises.
func writeMember(archive *tar.Writer, e Entry, f File, created time.Time) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if err := archive.WriteHeader(header(e.Name, e.Mode, e.Size, created)); err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(archive, h), io.LimitReader(r, e.Size))
	if err != nil {
		return fmt.Errorf("read %s: %w", e.Name, err)
	}
	if n != e.Size || hex.EncodeToString(h.Sum(nil)) != e.SHA256 {
		return fmt.Errorf("%s changed while it was backed up", e.Name)
	}
	return nil
}

func header(name string, mode fs.FileMode, size int64, at time.Time) *tar.Header {
	return &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     name,
		Mode:     int64(mode.Perm()),
		Size:     size,
		ModTime:  at,
		Format:   tar.FormatUSTAR,
	}
}
