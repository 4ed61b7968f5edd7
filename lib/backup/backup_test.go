package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"filippo.io/age"

	"iwx/lib/fault"
)

func recoveryKey(t testing.TB) (identity, recipient string) {
	t.Helper()
	identity, recipient, err := NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	return identity, recipient
}

func memory(name string, mode fs.FileMode, data []byte) File {
	return File{Name: name, Mode: mode, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
}

func noise(size int) []byte {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

func manifest() Manifest {
	return Manifest{
		ClusterID: "c1", ClusterName: "shop", QuorumIP: "192.0.2.1", Epoch: 2, HeadSeq: 1 << 60, HeadHash: "abcd",
		Created: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Version: "0.1.0", Host: "manager",
	}
}

// write returns a backup of some files, among them one of several chunks.
func write(t testing.TB, recipient string, stateSize int) []byte {
	t.Helper()
	files := []File{
		memory("state.db", 0o600, noise(stateSize)),
		memory("pki/ca.key", 0o600, []byte("key")),
		memory("etc/iwx.toml", 0o644, nil),
	}
	var out bytes.Buffer
	if err := Write(&out, recipient, manifest(), files); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// refused opens data and wants an error with a hint and an empty directory.
func refused(t *testing.T, data []byte, identity string) error {
	t.Helper()
	parent := t.TempDir()
	_, err := Open(bytes.NewReader(data), identity, parent)
	if err == nil {
		t.Fatal("a bad backup was opened")
	}
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Fatalf("left behind after %v: %v", err, left)
	}
	if fault.HintOf(err) == "" {
		t.Errorf("no hint: %v", err)
	}
	return err
}

func TestRoundTrip(t *testing.T) {
	identity, recipient := recoveryKey(t)
	state := noise(300_000)
	files := []File{
		memory("state.db", 0o600, state), memory("pki/ca.key", 0o400, []byte("key")), memory("empty", 0o644, nil),
	}
	var out bytes.Buffer
	if err := Write(&out, recipient, manifest(), files); err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	typed := "# created: today\n\n  " + strings.ToLower(identity) + "\r\n"
	opened, err := Open(iotest.OneByteReader(&out), typed, parent)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		fi, err := os.Stat(opened.Path(f.Name))
		if err != nil || fi.Mode() != f.Mode {
			t.Errorf("%s: %v %v", f.Name, fi, err)
		}
		r, _ := f.Open()
		want, _ := io.ReadAll(r)
		if got, err := os.ReadFile(opened.Path(f.Name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d (%v)", f.Name, len(got), len(want), err)
		}
		if e := opened.Manifest.Files[i]; e.Name != f.Name || e.Size != int64(len(want)) {
			t.Errorf("entry %+v", e)
		}
	}
	if fi, err := os.Stat(opened.Dir); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v %v", fi, err)
	}
	want := manifest()
	want.Format, want.Files = FormatVersion, opened.Manifest.Files
	if !reflect.DeepEqual(opened.Manifest, want) {
		t.Errorf("manifest %+v, want %+v", opened.Manifest, want)
	}
	if err := errors.Join(opened.Remove(), opened.Remove()); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Errorf("left after Remove: %v", left)
	}
}

func TestKinds(t *testing.T) {
	identity, recipient := recoveryKey(t)
	otherIdentity, _ := recoveryKey(t)
	good := write(t, recipient, 200_000)
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	tests := []struct {
		name     string
		data     []byte
		identity string
		want     error
	}{
		{"empty", nil, identity, ErrNotABackup},
		{"text", []byte("hello\n"), identity, ErrNotABackup},
		{"gzip", []byte("\x1f\x8b\x08\x00"), identity, ErrNotABackup},
		{"start of the magic", good[:10], identity, ErrTruncated},
		{"magic only", good[:len(magic)], identity, ErrTruncated},
		{"half a header", good[:100], identity, ErrTruncated},
		{"header without content", good[:200], identity, ErrTruncated},
		{"half", good[:len(good)/2], identity, ErrTruncated},
		{"last byte missing", good[:len(good)-1], identity, ErrTruncated},
		{"cut between chunks", good[:200+65552], identity, ErrTruncated},
		{"flipped", flipped, identity, ErrDamaged},
		{"one byte more", append(bytes.Clone(good), 0), identity, ErrDamaged},
		{"twice", append(bytes.Clone(good), good...), identity, ErrDamaged},
		{"other key", good, otherIdentity, ErrWrongKey},
		{"other key, half", good[:len(good)/2], otherIdentity, ErrWrongKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := refused(t, tt.data, tt.identity); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// Every flipped byte and every cut of a small backup is refused: all of the
// header and of the last chunk's tag, and a sample of what is between.
func TestEveryByteCounts(t *testing.T) {
	identity, recipient := recoveryKey(t)
	good := write(t, recipient, 100)
	parent := t.TempDir()
	for i := range good {
		if i > 250 && i < len(good)-20 && i%19 != 0 {
			continue
		}
		flipped := bytes.Clone(good)
		flipped[i] ^= byte(1 << (i % 8))
		for kind, data := range map[string][]byte{"flipped at": flipped, "cut at": good[:i]} {
			if _, err := Open(bytes.NewReader(data), identity, parent); err == nil {
				t.Fatalf("%s %d: opened", kind, i)
			}
		}
	}
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// seal encrypts any archive to a recipient, as a forger with it could.
func seal(t testing.TB, recipient string, members ...[2]string) []byte {
	t.Helper()
	to, err := parseRecipient(recipient)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	sealed, err := age.Encrypt(&out, to)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(sealed)
	for _, m := range members {
		h := header(m[0], 0o600, int64(len(m[1])), time.Unix(0, 0))
		if err := archive.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, m[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), sealed.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestForgedArchives(t *testing.T) {
	identity, recipient := recoveryKey(t)
	const sum = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" // of "foo"
	list := func(format int, entries ...string) string {
		return fmt.Sprintf(`{"format":%d,"version":"9.9.9","files":[%s],"epoch":"1","head_seq":"1"}`, format, strings.Join(entries, ","))
	}
	entry := func(name string, size int) string {
		return fmt.Sprintf(`{"name":%q,"mode":384,"size":%d,"sha256":%q}`, name, size, sum)
	}
	foo := [2]string{"foo", "foo"}
	many := strings.TrimSuffix(strings.Repeat("{},", maxFiles+1), ",")
	tests := []struct {
		name    string
		members [][2]string
		want    error
	}{
		{"no members", nil, ErrNotABackup},
		{"some other tar", [][2]string{foo}, ErrNotABackup},
		{"manifest is not JSON", [][2]string{{manifestName, "{"}}, ErrNotABackup},
		{"huge manifest", [][2]string{{manifestName, strings.Repeat(" ", maxManifest+1)}}, ErrNotABackup},
		{"newer", [][2]string{{manifestName, list(2)}}, ErrNewer},
		{"no format", [][2]string{{manifestName, list(0)}}, ErrDamaged},
		{"too many files", [][2]string{{manifestName, list(1, many)}}, ErrDamaged},
		{"missing file", [][2]string{{manifestName, list(1, entry("foo", 3))}}, ErrDamaged},
		{"other file", [][2]string{{manifestName, list(1, entry("bar", 3))}, foo}, ErrDamaged},
		{"other size", [][2]string{{manifestName, list(1, entry("foo", 4))}, foo}, ErrDamaged},
		{"other content", [][2]string{{manifestName, list(1, entry("foo", 3))}, {"foo", "fop"}}, ErrDamaged},
		{"one file more", [][2]string{{manifestName, list(1)}, foo}, ErrDamaged},
		{"twice", [][2]string{{manifestName, list(1, entry("foo", 3), entry("foo", 3))}, foo, foo}, ErrDamaged},
		{"upwards", [][2]string{{manifestName, list(1, entry("../foo", 3))}, {"../foo", "foo"}}, ErrDamaged},
		{"absolute", [][2]string{{manifestName, list(1, entry("/foo", 3))}, {"/foo", "foo"}}, ErrDamaged},
		{"the manifest again", [][2]string{{manifestName, list(1, entry(manifestName, 3))}, {manifestName, "foo"}}, ErrDamaged},
		{"setuid", [][2]string{{manifestName, list(1, `{"name":"foo","mode":8388608,"size":3,"sha256":"`+sum+`"}`)}, foo}, ErrDamaged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := refused(t, seal(t, recipient, tt.members...), identity); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	// The same means, used rightly: the table above fails for its own reasons.
	opened, err := Open(bytes.NewReader(seal(t, recipient, [2]string{manifestName, list(1, entry("foo", 3))}, foo)), identity, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(opened.Path("foo")); string(data) != "foo" {
		t.Errorf("%q %v", data, err)
	}
}

func TestUnfitKeys(t *testing.T) {
	identity, recipient := recoveryKey(t)
	data := write(t, recipient, 10)
	for _, bad := range []string{"", "hello", recipient, identity + "\n" + identity, identity[:40]} {
		parent := t.TempDir()
		_, err := Open(bytes.NewReader(data), bad, parent)
		if fault.CodeOf(err) != fault.Usage || fault.HintOf(err) == "" {
			t.Errorf("recovery key %q: %v", bad, err)
		}
		if len(bad) >= 40 && err != nil && strings.Contains(err.Error(), identity[20:40]) {
			t.Errorf("the key is in the error: %v", err)
		}
	}
	for _, bad := range []string{"", identity, "age1qqq"} {
		if _, err := parseRecipient(bad); fault.CodeOf(err) != fault.Usage {
			t.Errorf("recipient %q: %v", bad, err)
		}
	}
}

func TestReaderErrorIsNotTheBackupsFault(t *testing.T) {
	identity, recipient := recoveryKey(t)
	good := write(t, recipient, 200_000)
	broken := errors.New("cable pulled")
	for _, at := range []int{0, 100, 1000, len(good) / 2} {
		parent := t.TempDir()
		_, err := Open(io.MultiReader(bytes.NewReader(good[:at]), iotest.ErrReader(broken)), identity, parent)
		if !errors.Is(err, broken) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrTruncated) {
			t.Errorf("failure at %d: %v", at, err)
		}
		if left, _ := os.ReadDir(parent); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestWriteFile(t *testing.T) {
	identity, recipient := recoveryKey(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "cluster.backup")
	good := []File{memory("a", 0o600, []byte("first"))}
	if err := WriteFile(path, recipient, manifest(), good); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode() != 0o600 {
		t.Errorf("%v %v", fi, err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	// A file that is different at its second reading.
	reads := 0
	growing := File{Name: "log", Mode: 0o600, Open: func() (io.ReadCloser, error) {
		reads++
		return io.NopCloser(strings.NewReader(strings.Repeat("x", 10-reads))), nil
	}}
	for name, files := range map[string][]File{
		"changing file": {growing},
		"bad name":      {memory("../a", 0o600, nil)},
		"same name":     {good[0], good[0]},
		"long name":     {memory(strings.Repeat("n", 101), 0o600, nil)},
		"unreadable": {{Name: "x", Mode: 0o600, Open: func() (io.ReadCloser, error) {
			return nil, fs.ErrPermission
		}}},
	} {
		if err := WriteFile(path, recipient, manifest(), files); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	if err := WriteFile(path, "age1nonsense", manifest(), good); fault.CodeOf(err) != fault.Usage {
		t.Errorf("bad recipient: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the old backup was touched: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if _, err := Open(bytes.NewReader(before), identity, dir); err != nil {
		t.Error(err)
	}
}

func TestFileAt(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := os.WriteFile(path, []byte("k"), 0o400); err != nil {
		t.Fatal(err)
	}
	f, err := FileAt("pki/key", path)
	if err != nil || f.Mode != 0o400 {
		t.Fatalf("%+v %v", f, err)
	}
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if data, err := io.ReadAll(r); err != nil || string(data) != "k" {
		t.Errorf("%q %v", data, err)
	}
	if _, err := FileAt("dir", dir); err == nil {
		t.Error("a directory was taken for a file")
	}
	if _, err := FileAt("gone", filepath.Join(dir, "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// The promise of the package comment: age and tar open a backup.
func TestOpensWithAgeAndTar(t *testing.T) {
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip("tar is not installed")
	}
	identity, recipient := recoveryKey(t)
	id, err := age.ParseX25519Identity(identity)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := age.Decrypt(bytes.NewReader(write(t, recipient, 1000)), id)
	if err != nil {
		t.Fatal(err)
	}
	list := exec.CommandContext(t.Context(), "tar", "-t")
	list.Stdin = plain
	out, err := list.CombinedOutput()
	if want := "manifest.json\nstate.db\npki/ca.key\netc/iwx.toml\n"; err != nil || string(out) != want {
		t.Errorf("%s %v, want %s", out, err, want)
	}
}

// golden is a backup as the first version wrote it, with its key.
func golden(t testing.TB) (data []byte, identity string) {
	t.Helper()
	data, err1 := os.ReadFile("testdata/v1.backup")
	key, err2 := os.ReadFile("testdata/recovery.key")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return data, string(key)
}

// Backups outlive the version that made them.
func TestOldBackup(t *testing.T) {
	data, identity := golden(t)
	opened, err := Open(bytes.NewReader(data), identity, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := manifest()
	want.Format, want.Files = 1, opened.Manifest.Files
	if !reflect.DeepEqual(opened.Manifest, want) || len(want.Files) != 3 {
		t.Errorf("manifest %+v, want %+v", opened.Manifest, want)
	}
	if state, err := os.ReadFile(opened.Path("state.db")); err != nil || !bytes.Equal(state, noise(100)) {
		t.Errorf("state.db: %d bytes, %v", len(state), err)
	}
}
