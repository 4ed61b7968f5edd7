package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"iwx/lib/atomicfile"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/profile"
)

// CopyKind is the kind of the items of a profile that have a node keep copies of
// the manager's backups. A document has at most one.
const CopyKind = "backup"

// copyName is the one item's name: it stays while the files come and go, so that
// the last copy is not taken back before there is a newer one.
const copyName = "daily"

// Bounds of what a node believes of an item.
const (
	maxCopy  = 16 << 30 // bytes
	maxKeep  = 365
	freeLeft = 256 << 20 // bytes that a copy leaves on the disk
)

// Copy is what an item says: which backup is the last one.
type Copy struct {
	File   string `json:"file,omitempty"` // "": none is to be had now; what is there is kept
	Size   int64  `json:"size,omitempty"` // bytes
	SHA256 string `json:"sha256,omitempty"`
	Keep   int    `json:"keep"` // how many copies, the newest ones
}

// Item returns the copy as an item of a profile.
func (c Copy) Item() (profile.Item, error) { return profile.Make(CopyKind, copyName, c) }

// Copier keeps a node's copies; it is the profile.Applier of CopyKind. The copies
// are encrypted to the recovery key, which no server has: a node can neither
// read them nor make one that looks like the manager's, since their hash comes
// with the profile.
type Copier struct {
	Shelf Shelf
	Fetch func(ctx context.Context, name string, w io.Writer) error // asks the manager for a backup
	Now   func() time.Time
}

func (c Copier) read(item profile.Item) (want Copy, err error) {
	if err := item.Decode(&want); err != nil {
		return want, err
	}
	if want.Keep < 1 || want.Keep > maxKeep {
		return want, fmt.Errorf("%s: the number of copies, %d, is out of range 1..%d", item, want.Keep, maxKeep)
	}
	if want.File == "" {
		return want, nil
	}
	if _, ours := c.Shelf.Time(want.File); !ours {
		return want, fmt.Errorf("%s: %.120q is not the name of a backup of cluster %s", item, want.File, c.Shelf.Cluster)
	}
	sum, err := hex.DecodeString(want.SHA256)
	if err != nil || len(sum) != sha256.Size || want.Size < 1 || want.Size > maxCopy {
		return want, fmt.Errorf("%s: size %d and SHA-256 %.80q are not those of a backup", item, want.Size, want.SHA256)
	}
	return want, nil
}

// Check implements profile.Applier. A copy that is there under its name was
// verified before it got it.
func (c Copier) Check(_ context.Context, item profile.Item) (change string, err error) {
	want, err := c.read(item)
	if err != nil {
		return "", err
	}
	list, err := c.Shelf.List(c.Now())
	if err != nil {
		return "", err
	}
	if want.File != "" && !holds(list, want) {
		return fmt.Sprintf("copy %s from the manager (%d bytes)", want.File, want.Size), nil
	}
	if len(list) > want.Keep {
		return fmt.Sprintf("remove all but %d of the %d copies in %s", want.Keep, len(list), c.Shelf.Dir), nil
	}
	return "", nil
}

func holds(list []Kept, want Copy) bool {
	for _, k := range list {
		if k.Name == want.File && k.Size == want.Size {
			return true
		}
	}
	return false
}

// Apply implements profile.Applier.
func (c Copier) Apply(ctx context.Context, item profile.Item) error {
	want, err := c.read(item)
	if err != nil {
		return err
	}
	list, err := c.Shelf.List(c.Now())
	if err != nil {
		return err
	}
	latest := want.File
	if latest == "" && len(list) > 0 {
		latest = list[0].Name
	}
	if want.File != "" && !holds(list, want) {
		if err := c.copy(ctx, want); err != nil {
			return err
		}
	}
	_, err = c.Shelf.Rotate(want.Keep, latest, c.Now())
	return err
}

// Remove implements profile.Applier: the copies go.
func (c Copier) Remove(context.Context, profile.Item) error { return c.Shelf.Clear() }

// copy fetches a backup, which gets its name when all of it is there, is what
// the manager said, and is on the disk.
func (c Copier) copy(ctx context.Context, want Copy) error {
	if err := atomicfile.MkdirAll(c.Shelf.Dir, 0o700); err != nil {
		return err
	}
	if err := c.room(want); err != nil {
		return err
	}
	f, err := atomicfile.Create(c.Shelf.Path(want.File), 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	got := &bounded{w: io.MultiWriter(f, hash), left: want.Size}
	if err := c.Fetch(ctx, want.File, got); err != nil {
		return err
	}
	if got.left != 0 {
		return fmt.Errorf("%s: the manager sent %d bytes of %d", want.File, want.Size-got.left, want.Size)
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != want.SHA256 {
		return fmt.Errorf("%s: the file from the manager has SHA-256 %s instead of %s as in its profile", want.File, sum, want.SHA256)
	}
	return f.Commit()
}

// room fails where the copy would fill the disk that the node's own state is on.
func (c Copier) room(want Copy) error {
	disk, err := host.FilesystemOf(c.Shelf.Dir)
	if err != nil {
		return err
	}
	if disk.Free < uint64(want.Size)+freeLeft {
		return fault.Hint(fmt.Errorf("no room for a copy of %s: it has %d bytes, and the disk that holds %s has %d left", want.File, want.Size, c.Shelf.Dir, disk.Free),
			"make room: df %s", c.Shelf.Dir)
	}
	return nil
}

// bounded takes so many bytes and no more.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, errors.New("the manager sends more than the backup has")
	}
	n, err := b.w.Write(p)
	b.left -= int64(n)
	return n, err
}

// Open opens a backup on the shelf for reading, by a name that a node has sent.
// The error is fs.ErrNotExist for whatever is not a backup of the cluster.
func (s Shelf) Open(name string) (f *os.File, size int64, err error) {
	if _, ours := s.Time(name); !ours {
		return nil, 0, fs.ErrNotExist
	}
	root, err := os.OpenRoot(s.Dir) // follows no link out of it
	if err != nil {
		return nil, 0, err
	}
	defer root.Close()
	if f, err = root.Open(name); err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}
