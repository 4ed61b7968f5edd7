package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"filippo.io/age"

	"iwx/lib/fault"
)

// magic is the first line of every age file.
const magic = "age-encryption.org/v1\n"

// Opened is a backup that was decrypted and verified as a whole.
type Opened struct {
	Manifest Manifest
	Dir      string // 0700, holds the files of the manifest under their names
}

// Path returns where a file of the backup lies.
func (o *Opened) Path(name string) string { return filepath.Join(o.Dir, filepath.FromSlash(name)) }

// Remove deletes the decrypted files. They are the keys of the cluster, so do
// not leave them behind. Repeating it is safe.
func (o *Opened) Remove() error { return os.RemoveAll(o.Dir) }

// Open decrypts a backup with the recovery key into a new directory below
// parent, which must exist, and checks every byte before it returns. On an
// error, which is one of the Err values with a hint or an I/O error, nothing is
// left below parent.
func Open(r io.Reader, identity, parent string) (*Opened, error) {
	id, err := parseIdentity(identity)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, ".iwx-restore-*") // 0700
	if err != nil {
		return nil, err
	}
	in := &input{buffered: bufio.NewReaderSize(r, 64<<10)}
	m, err := extract(in, id, dir)
	if err != nil {
		return nil, errors.Join(explain(in.judge(err, m)), os.RemoveAll(dir))
	}
	return &Opened{Manifest: m, Dir: dir}, nil
}

// input counts what is read of the encrypted file.
type input struct {
	// Not embedded: its WriteTo would be found by io.Copy and not be counted.
	buffered *bufio.Reader

	count  int64
	header int64 // length of the age header with the nonce, 0 until known
	failed error // of the reader itself: not the backup's fault
}

func (in *input) Read(p []byte) (int, error) {
	n, err := in.buffered.Read(p)
	in.count += int64(n)
	if err != nil && err != io.EOF {
		in.failed = err
	}
	return n, err
}

// begin looks at the header without consuming it.
func (in *input) begin() error {
	const nonce = 16
	// A header for one recipient is about 200 bytes long.
	start, err := in.buffered.Peek(4096)
	if err != nil && err != io.EOF {
		in.failed = err
		return err
	}
	if len(start) < len(magic) && bytes.HasPrefix([]byte(magic), start) && len(start) > 0 {
		return ErrTruncated
	}
	if !bytes.HasPrefix(start, []byte(magic)) {
		return ErrNotABackup
	}
	mac := bytes.Index(start, []byte("\n--- "))
	if mac < 0 {
		return in.incomplete(start, ErrDamaged)
	}
	end := bytes.IndexByte(start[mac+1:], '\n')
	if end < 0 {
		return in.incomplete(start, ErrDamaged)
	}
	in.header = int64(mac + 1 + end + 1 + nonce)
	if int64(len(start)) < in.header {
		return ErrTruncated
	}
	return nil
}

// incomplete tells a file that ends within its header from one whose header
// has no end.
func (in *input) incomplete(start []byte, otherwise error) error {
	if len(start) < 4096 {
		return ErrTruncated
	}
	return otherwise
}

// judge turns a failure in reading the archive into the way in which the file is
// bad. age cannot tell a cut file from a changed one unless the cut is between
// two chunks, but the manifest, once read, tells how long the file must be.
func (in *input) judge(err error, m Manifest) error {
	var other *age.NoIdentityMatchError
	switch {
	case in.failed != nil:
		return in.failed
	case errors.As(err, &other):
		return ErrWrongKey
	case errors.Is(err, ErrNotABackup), errors.Is(err, ErrTruncated), errors.Is(err, ErrDamaged), errors.Is(err, ErrNewer):
		return err
	case isOSError(err):
		return err
	}
	if _, drain := io.Copy(io.Discard, in); drain != nil {
		return drain
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || in.count < in.header+sealedSize(m) {
		return ErrTruncated
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

func isOSError(err error) bool {
	var p *os.PathError
	return errors.As(err, &p)
}

// sealedSize returns how many bytes follow the age header: the archive, and a
// tag for each chunk of 64 KiB (age-encryption.org/v1, payload). For the zero
// Manifest it is the least that any backup has.
func sealedSize(m Manifest) int64 {
	const chunk, tag, block = 64 << 10, 16, 512
	blocks := func(n int64) int64 { return (n + block - 1) / block * block }
	manifest, err := m.marshal()
	if err != nil {
		return 0
	}
	size := block + blocks(int64(len(manifest))) + 2*block // its header and the end mark
	for _, e := range m.Files {
		size += block + blocks(e.Size)
	}
	return size + (size+chunk-1)/chunk*tag
}

// explain adds the way on.
func explain(err error) error {
	switch {
	case errors.Is(err, ErrNotABackup):
		return fault.Hint(err, "backups are made on the manager: iwx-cluster-setup backup FILE")
	case errors.Is(err, ErrTruncated), errors.Is(err, ErrDamaged):
		return fault.Hint(err, "copy the file again and compare its sha256sum with the original's, or take an older backup")
	case errors.Is(err, ErrWrongKey):
		return fault.Hint(err, "take the recovery key that was shown when this cluster's manager was set up")
	}
	return err
}

// extract decrypts the archive into dir. The manifest is returned, also with an
// error, as soon as it was read and checked.
func extract(in *input, id age.Identity, dir string) (Manifest, error) {
	if err := in.begin(); err != nil {
		return Manifest{}, err
	}
	plain, err := age.Decrypt(in, id)
	if err != nil {
		return Manifest{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Manifest{}, err
	}
	defer root.Close()
	archive := tar.NewReader(plain)
	m, err := readManifest(archive)
	if err != nil {
		return Manifest{}, err
	}
	for _, e := range m.Files {
		if err := extractMember(archive, root, e); err != nil {
			return m, err
		}
	}
	return m, finish(archive, plain)
}

// finish wants the end of the archive and then of the age file: only the last
// chunk proves that none is missing.
func finish(archive *tar.Reader, plain io.Reader) error {
	if _, err := archive.Next(); err == nil {
		return fmt.Errorf("%w: more files than the manifest lists", ErrDamaged)
	} else if err != io.EOF {
		return err
	}
	if n, err := io.Copy(io.Discard, plain); err != nil {
		return err
	} else if n > 0 {
		return fmt.Errorf("%w: %d bytes after the archive", ErrDamaged, n)
	}
	return nil
}

// readManifest reads the first member. An age file that was encrypted to the
// same key, but is something else, is told apart here.
func readManifest(archive *tar.Reader) (Manifest, error) {
	var m Manifest
	h, err := archive.Next()
	if errors.Is(err, tar.ErrHeader) || err == io.EOF {
		return m, ErrNotABackup
	}
	if err != nil {
		return m, err
	}
	if h.Name != manifestName || h.Typeflag != tar.TypeReg || h.Size > maxManifest {
		return m, ErrNotABackup
	}
	data, err := io.ReadAll(archive)
	if err != nil {
		return m, err
	}
	if json.Unmarshal(data, &m) != nil {
		return Manifest{}, ErrNotABackup
	}
	if err := m.check(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// extractMember writes the next file of the archive, which must be e, below
// root. Names were checked, and root keeps them inside all the same.
func extractMember(archive *tar.Reader, root *os.Root, e Entry) error {
	h, err := archive.Next()
	if err == io.EOF {
		return fmt.Errorf("%w: %s is missing", ErrDamaged, e.Name)
	}
	if err != nil {
		return err
	}
	if h.Name != e.Name || h.Size != e.Size || h.Typeflag != tar.TypeReg {
		return fmt.Errorf("%w: %.120q where %s should be", ErrDamaged, h.Name, e.Name)
	}
	if err := root.MkdirAll(path.Dir(e.Name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(e.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	h256 := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h256), archive); err != nil {
		return err
	}
	if hex.EncodeToString(h256.Sum(nil)) != e.SHA256 {
		return fmt.Errorf("%w: %s does not have the SHA-256 of its manifest", ErrDamaged, e.Name)
	}
	if err := f.Chmod(e.Mode); err != nil {
		return err
	}
	return f.Close()
}
