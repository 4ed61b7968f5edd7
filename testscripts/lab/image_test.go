package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

func TestKeyFollowsFromTheWholeRecipe(t *testing.T) {
	recipe := func(name, text, kernel string) string {
		key, err := Recipe{fstest.MapFS{name: {Data: []byte(text)}}, kernel}.Key()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	key := recipe("packages", "apache2\n", "6.1.1")
	if len(key) != 16 {
		t.Errorf("key %q does not have 16 digits", key)
	}
	if again := recipe("packages", "apache2\n", "6.1.1"); again != key {
		t.Errorf("the same recipe has the keys %s and %s", key, again)
	}
	for what, other := range map[string]string{
		"file name": recipe("offline", "apache2\n", "6.1.1"),
		"content":   recipe("packages", "apache2\nless\n", "6.1.1"),
		"kernel":    recipe("packages", "apache2\n", "6.1.2"),
	} {
		if other == key {
			t.Errorf("another %s has the same key", what)
		}
	}
}

func TestRecipeIsEmbeddedWhole(t *testing.T) {
	list := func(files fs.FS) (names []string) {
		err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	files, err := fs.Sub(recipeFiles, "image")
	if err != nil {
		t.Fatal(err)
	}
	got, want := list(files), list(os.DirFS("image"))
	if len(want) == 0 || len(got) != len(want) {
		t.Errorf("embedded %v, and there are %v", got, want)
	}
}

func TestWholeImage(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int64) {
		t.Helper()
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := file.Truncate(size); err != nil {
			t.Fatal(err)
		}
	}
	if whole(dir) {
		t.Error("an empty directory is taken for an image")
	}
	write("disk.img", 3<<30)
	if whole(dir) {
		t.Error("an image without a key is taken for whole")
	}
	write("key", 400)
	if !whole(dir) {
		t.Error("an image with disk and key is not taken for whole")
	}
	write("disk.img", 1<<20)
	if whole(dir) {
		t.Error("an image with a truncated disk is taken for whole")
	}
}

func TestDiscardSparesWhatIsUsed(t *testing.T) {
	cache := t.TempDir()
	for _, name := range []string{"wanted", "used", "old"} {
		if err := os.Mkdir(filepath.Join(cache, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	release, err := lockFile(filepath.Join(cache, "used", "lock"), unix.LOCK_SH)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := discard(cache, filepath.Join(cache, "wanted")); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 || filepath.Base(left[0]) != "used" || filepath.Base(left[1]) != "wanted" {
		t.Errorf("left are %v, want used and wanted", left)
	}
}
