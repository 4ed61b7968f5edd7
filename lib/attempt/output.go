package attempt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"iwx/lib/attempt/record"
	"iwx/lib/attempt/shim"
)

// Keep is the most bytes that Head and Tail of an Output have each.
const Keep = shim.Keep

// Output is what a command wrote to one of its outputs, or the beginning and
// the end of it. Up to twice Keep it is whole: Tail then continues Head.
type Output struct {
	Head []byte `json:"head,omitempty"` // the first Keep bytes, or all
	Tail []byte `json:"tail,omitempty"` // what follows Head, or the last Keep bytes
	Size int64  `json:"size"`           // bytes written, exact
}

// LeftOut returns the number of bytes between Head and Tail.
func (o Output) LeftOut() int64 {
	return o.Size - int64(len(o.Head)) - int64(len(o.Tail))
}

// String returns the output for a terminal: bytes that are not UTF-8 and
// control characters other than newline and tab are written as \x1b, and a line
// says how much was left out, if anything was.
func (o Output) String() string {
	var b strings.Builder
	n := o.LeftOut()
	if n <= 0 {
		printable(&b, append(o.Head[:len(o.Head):len(o.Head)], o.Tail...))
		return b.String()
	}
	printable(&b, o.Head)
	fmt.Fprintf(&b, "\n… %d bytes left out …\n", n)
	printable(&b, o.Tail)
	return b.String()
}

func printable(b *strings.Builder, text []byte) {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\n' && r != '\t', r == 0x7f:
			fmt.Fprintf(b, `\x%02x`, text[0])
		case r >= 0x80 && r < 0xa0: // C1 control characters, which terminals obey
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.Write(text[:n])
		}
		text = text[n:]
	}
}

// readOutput reads the kept parts of an output file, in the form of package record.
// size is the size of the output from the note, or -1 without a note. A missing
// file is empty: the shim creates it.
func readOutput(path string, size int64) (Output, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Output{Size: max(size, 0)}, nil
	}
	if err != nil {
		return Output{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Output{}, err
	}
	held := info.Size()
	trailer, err := readAt(f, 2*Keep, record.TrailerSize)
	if err != nil {
		return Output{}, err
	}
	if told, ok := record.OutputSize(trailer); ok && size < 0 && held == 2*Keep+record.TrailerSize {
		size = told
	}
	ring := size > 2*Keep && held >= 2*Keep
	if size < 0 {
		size = held // a short output, or one that an older iwx wrote in full
	}
	o := Output{Size: size}
	if o.Head, err = readAt(f, 0, min(held, Keep)); err != nil {
		return Output{}, err
	}
	switch rest := held - int64(len(o.Head)); {
	case ring:
		if o.Tail, err = readAt(f, Keep, Keep); err == nil && len(o.Tail) == Keep {
			o.Tail = slices.Concat(o.Tail[size%Keep:], o.Tail[:size%Keep])
		}
	case size > 2*Keep && held < 2*Keep: // the disk was full, and the order of the rest is lost
	default:
		rest = min(rest, Keep)
		o.Tail, err = readAt(f, held-rest, rest)
	}
	return o, err
}

// readAt reads n bytes at off, or fewer at the end of the file.
func readAt(f *os.File, off, n int64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b := make([]byte, n)
	m, err := f.ReadAt(b, off)
	if err == io.EOF {
		err = nil
	}
	return b[:m], err
}
