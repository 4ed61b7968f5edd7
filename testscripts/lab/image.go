package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// suite is the Debian release of the servers: the one that iwx is built for.
const suite = "bookworm"

//go:embed image
var recipeFiles embed.FS

// Recipe is all that the disk image follows from: the files in image, and the
// user-mode kernel of this machine, whose modules are in it.
type Recipe struct {
	Files  fs.FS  // the files of image, at its root
	Kernel string // version of the user-mode kernel, "6.1.176"
}

// thisRecipe returns the recipe for this machine.
func thisRecipe() (Recipe, error) {
	files, err := fs.Sub(recipeFiles, "image")
	if err != nil {
		return Recipe{}, err
	}
	out, err := exec.Command("linux.uml", "--version").Output()
	if err != nil {
		return Recipe{}, fmt.Errorf("linux.uml --version: %w; what the lab needs is brought in by: testscripts/prepare lab", err)
	}
	return Recipe{Files: files, Kernel: strings.TrimSpace(string(out))}, nil
}

// Key names the image: 16 hexadecimal digits of the SHA-256 over the recipe.
// The same recipe has the same key on every machine.
func (r Recipe) Key() (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", suite, r.Kernel)
	err := fs.WalkDir(r.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(r.Files, name)
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

// cacheDir is where images are kept, private to root: they hold a login key.
func cacheDir() string {
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "iwx-lab")
	}
	return "/var/cache/iwx-lab"
}

// Image returns the directory with the disk and the key of the recipe, built
// now if it is not there, and what gives it back. Two labs that need the same
// image build it once: the second waits. A directory under the final name is
// always whole, since it got that name when the build had ended. Images of other
// recipes that no lab uses are removed.
func Image(ctx context.Context, r Recipe) (dir string, release func(), err error) {
	key, err := r.Key()
	if err != nil {
		return "", nil, err
	}
	cache := cacheDir()
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", nil, err
	}
	unlock, err := lockFile(filepath.Join(cache, "lock"), unix.LOCK_EX)
	if err != nil {
		return "", nil, err
	}
	defer unlock()
	dir = filepath.Join(cache, key)
	if err := discard(cache, dir); err != nil {
		return "", nil, err
	}
	if !whole(dir) {
		fmt.Println("building the servers' disk image, which is kept in", cache)
		if err := build(ctx, r, dir); err != nil {
			return "", nil, err
		}
	}
	release, err = lockFile(filepath.Join(dir, "lock"), unix.LOCK_SH|unix.LOCK_NB)
	return dir, release, err
}

// discard removes the images that are neither wanted nor in use.
func discard(cache, wanted string) error {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		dir := filepath.Join(cache, entry.Name())
		if !entry.IsDir() || dir == wanted {
			continue
		}
		release, err := lockFile(filepath.Join(dir, "lock"), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return err
		}
		err = os.RemoveAll(dir)
		release()
		if err != nil {
			return err
		}
	}
	return nil
}

// whole reports whether an image is usable. A disk that someone truncated, or a
// key that is gone, means that it is built again.
func whole(dir string) bool {
	disk, err := os.Stat(filepath.Join(dir, "disk.img"))
	if err != nil || disk.Size() < 1<<30 {
		return false
	}
	key, err := os.Stat(filepath.Join(dir, "key"))
	return err == nil && key.Size() > 0
}

// build makes the image in a directory of its own, and moves it into place.
func build(ctx context.Context, r Recipe, dir string) error {
	work := dir + ".new"
	for _, old := range []string{work, dir} {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	recipe := filepath.Join(work, "recipe")
	if err := os.CopyFS(recipe, r.Files); err != nil {
		return err
	}
	mirror, err := Mirror(os.DirFS("/"))
	if err != nil {
		return err
	}
	var log bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", filepath.Join(recipe, "build"), work, suite, mirror)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building the disk image: %w\n%s", err, lastLines(log.String(), 30))
	}
	return os.Rename(work, dir)
}

// lockFile takes a lock and returns what gives it back. It blocks, unless how
// has LOCK_NB.
func lockFile(name string, how int) (func(), error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), how); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

// lastLines returns the end of a text, at most n lines.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
