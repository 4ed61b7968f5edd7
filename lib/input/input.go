// Package input reads a program's input: standard input, and files that users name or
// edit. A read of a terminal, a pipe or a hung file system cannot be cancelled. Each
// read therefore runs in its own goroutine, which is abandoned when the context ends:
// ^C and SIGTERM work during any read.
//
// Text converts text as the editors and mail programs of all systems write it.
package input

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf16"
	"unicode/utf8"
)

// Wait runs read and returns its result. If ctx ends first, Wait returns ctx's error at
// once, and the result of read is lost.
func Wait[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// Stream is a reader whose reads end with the error of its context.
type Stream struct {
	ctx context.Context
	r   io.Reader
}

// Reader returns r, bound to ctx. Nothing else may read from r.
func Reader(ctx context.Context, r io.Reader) *Stream { return &Stream{ctx, r} }

// Source returns the reader that the stream reads from.
func (s *Stream) Source() io.Reader { return s.r }

// Read implements io.Reader. After ctx has ended, every read fails.
func (s *Stream) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	type chunk struct {
		data []byte
		end  error
	}
	got, err := Wait(s.ctx, func() (chunk, error) {
		buf := make([]byte, len(p)) // the caller may reuse p once ctx has ended
		n, err := s.r.Read(buf)
		return chunk{buf[:n], err}, nil
	})
	if err != nil {
		return 0, err
	}
	return copy(p, got.data), got.end
}

// File is an open file, bound to a context.
type File struct {
	*Stream
	f *os.File
}

// Open opens a file for reading. For a named pipe it waits for a writer, until ctx ends.
func Open(ctx context.Context, name string) (*File, error) {
	f, err := Wait(ctx, func() (*os.File, error) { return os.Open(name) })
	if err != nil {
		return nil, err
	}
	return &File{Reader(ctx, f), f}, nil
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// ErrTooLong is wrapped by the error of ReadFile for a file over the limit.
var ErrTooLong = errors.New("too long")

// ReadFile reads a file of at most limit bytes.
func ReadFile(ctx context.Context, name string, limit int) ([]byte, error) {
	f, err := Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s: %w: over %d bytes", name, ErrTooLong, limit)
	}
	return data, err
}

// ReadSettings reads a file of settings. If the file is absent, it returns an error
// that wraps fs.ErrNotExist. A dangling symbolic link in its path is another error,
// since the link was meant to lead to settings; so is anything but a regular file.
func ReadSettings(ctx context.Context, name string, limit int) ([]byte, error) {
	info, err := Wait(ctx, func() (fs.FileInfo, error) { return os.Stat(name) })
	if errors.Is(err, fs.ErrNotExist) {
		if link := danglingLink(name); link != "" {
			target, _ := os.Readlink(link)
			return nil, fmt.Errorf("%s is a symbolic link to %s, which is not there", link, target)
		}
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	return ReadFile(ctx, name, limit)
}

// danglingLink returns the dangling symbolic link in the path name, or "".
func danglingLink(name string) string {
	for {
		info, err := os.Lstat(name)
		switch {
		case err == nil && info.Mode()&fs.ModeSymlink != 0:
			return name
		case err == nil, filepath.Dir(name) == name:
			return ""
		}
		name = filepath.Dir(name)
	}
}

// Text converts text to UTF-8 with Unix newlines: it removes byte order marks, converts
// UTF-16, and replaces Windows line endings by newlines. It recognizes UTF-16 by its
// mark, or by the zero bytes of Western text. Other bytes that are not UTF-8 stay as
// they are.
func Text(data []byte) []byte {
	switch little, isUTF16 := utf16Order(data); {
	case isUTF16:
		data = fromUTF16(data, little)
	default:
		data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	}
	return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
}

// utf16Order reports whether data is UTF-16, and whether it is little-endian. Without a
// byte order mark, UTF-16 is text in which almost every other byte is zero.
func utf16Order(data []byte) (little, is bool) {
	if len(data) < 2 {
		return false, false
	}
	switch [2]byte(data[:2]) {
	case [2]byte{0xff, 0xfe}:
		return true, true
	case [2]byte{0xfe, 0xff}:
		return false, true
	}
	head := data[:min(len(data), 256)&^1]
	var zeros [2]int
	for i, c := range head {
		if c == 0 {
			zeros[i%2]++
		}
	}
	half := len(head) / 2
	switch {
	case half < 4:
		return false, false
	case zeros[0] == 0 && zeros[1] > half*3/4:
		return true, true
	case zeros[1] == 0 && zeros[0] > half*3/4:
		return false, true
	}
	return false, false
}

func fromUTF16(data []byte, little bool) []byte {
	units := make([]uint16, len(data)/2)
	for i := range units {
		a, b := data[2*i], data[2*i+1]
		if little {
			a, b = b, a
		}
		units[i] = uint16(a)<<8 | uint16(b)
	}
	if len(units) > 0 && units[0] == 0xfeff {
		units = units[1:]
	}
	if len(data)%2 == 1 {
		units = append(units, utf8.RuneError) // the text is cut off within a character
	}
	return []byte(string(utf16.Decode(units)))
}
