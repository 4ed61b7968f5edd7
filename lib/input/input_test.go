package input

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"
)

// limit is far more than anything here takes.
const limit = 30 * time.Second

// ended fails the test unless done is closed in time.
func ended(t *testing.T, what string, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(limit):
		t.Fatalf("%s: it goes on reading", what)
	}
}

// TestCancelled: reading a pipe without a writer, or a named pipe that nobody
// has opened, ends with the context.
func TestCancelled(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(context.Context) error{
		"pipe": func(ctx context.Context) error {
			_, err := io.ReadAll(Reader(ctx, r))
			return err
		},
		"named pipe": func(ctx context.Context) error {
			_, err := ReadFile(ctx, fifo, 10)
			return err
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- read(ctx) }()
		cancel()
		ended(t, name, done)
	}
	if f, err := os.OpenFile(fifo, os.O_RDWR, 0); err == nil { // releases the reader
		f.Close()
	}
}

func TestReader(t *testing.T) {
	text := strings.Repeat("0123456789", 10000)
	got, err := io.ReadAll(Reader(t.Context(), strings.NewReader(text)))
	if err != nil || string(got) != text {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestReadFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadFile(t.Context(), name, 5); err != nil || string(got) != "12345" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ReadFile(t.Context(), name, 4); !errors.Is(err, ErrTooLong) {
		t.Errorf("over the limit: %v", err)
	}
}

// TestReadSettings: an absent file and a dangling link are different errors.
func TestReadSettings(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for link, target := range map[string]string{"file": "missing", "dir": "gone", "good": "real", "chain": "file"} {
		if err := os.Symlink(target, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("real"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"file":      "file is a symbolic link to missing, which is not there",
		"chain":     "is a symbolic link to file, which is not there",
		"dir/x":     "dir is a symbolic link to gone, which is not there",
		"dir/x/y":   "dir is a symbolic link to gone, which is not there",
		"fifo":      "fifo is not a regular file",
		".":         "is not a regular file",
		"/dev/zero": "is not a regular file",
	} {
		if !filepath.IsAbs(name) {
			name = at(name)
		}
		if _, err := ReadSettings(t.Context(), name, 10); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"none", "none/x"} {
		if _, err := ReadSettings(t.Context(), at(name), 10); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := ReadSettings(t.Context(), at("good"), 10); err != nil || string(got) != "x" {
		t.Errorf("a link to a file: %q, %v", got, err)
	}
}

func TestText(t *testing.T) {
	wide := func(text string, little bool) string {
		var b strings.Builder
		for _, u := range utf16.Encode([]rune(text)) {
			high, low := byte(u>>8), byte(u)
			if little {
				high, low = low, high
			}
			b.Write([]byte{high, low})
		}
		return b.String()
	}
	const text = "touch x\necho grün 🙂\n"
	for name, c := range map[string]struct{ in, want string }{
		"plain":             {text, text},
		"empty":             {"", ""},
		"one byte":          {"x", "x"},
		"UTF-8 mark":        {"\xef\xbb\xbf" + text, text},
		"UTF-16LE, mark":    {wide("\ufeff"+text, true), text},
		"UTF-16BE, mark":    {wide("\ufeff"+text, false), text},
		"UTF-16LE, Windows": {wide("\ufeffa\r\nb\r\n", true), "a\nb\n"},
		"UTF-16LE, cut off": {wide("\ufeffab", true) + "c", "ab\ufffd"},
		"UTF-16LE":          {wide("touch x\n", true), "touch x\n"},
		"UTF-16BE":          {wide("touch x\n", false), "touch x\n"},
		"Windows":           {"a\r\nb\r\n", "a\nb\n"},
		"a lone return":     {"a\rb", "a\rb"},
		"no UTF-8":          {"a\xff\xfeb", "a\xff\xfeb"},
		"NUL":               {"echo a\x00b\n", "echo a\x00b\n"},
	} {
		if got := string(Text([]byte(c.in))); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
