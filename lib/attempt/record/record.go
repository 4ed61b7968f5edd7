// Package record is the format of an attempt's file: what to run, that it was
// started, and what came of it.
//
// The file begins with a page of PageSize bytes that holds small records at fixed
// offsets: the place (written with the file), the mark and the pipes (written just
// before the command starts), what hangs, the note and the result. The page exists in
// full before anything runs, so that a full disk cannot keep a result from being written,
// and so that the outcome is read without the spec and its input behind it.
//
// A record is framed as
//
//	magic "iwxa" | version | kind | length uint32 | payload | CRC-32
//
// in big-endian order, the checksum over everything before it. Zeros mean that
// the record was not written; a wrong checksum means that writing was cut
// short. Both read as absent. Arguments, environment and input are bytes: no
// encoding is assumed of them.
//
// The package is linked into the shim, which has to be small and quick to
// start, and so it imports next to nothing.
package record

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strconv"
)

const (
	magic   = "iwxa"
	version = 1

	headerSize = len(magic) + 2 + 4
	sumSize    = 4
	frameSize  = headerSize + sumSize
)

// The kinds of record.
const (
	kindPlace  = 'p'
	kindMark   = 'm'
	kindResult = 'r'
	kindSpec   = 's'
	kindPipes  = 'o'
	kindHung   = 'h'
	kindNote   = 'n'
)

// Errors of decoding. Absent and torn records are no fault of the reader's: see
// Page. A version error is: the file was written by a newer iwx.
var (
	ErrAbsent  = errors.New("attempt record is absent")
	ErrTorn    = errors.New("attempt record is torn or damaged")
	ErrVersion = errors.New("attempt record has a version other than " + strconv.Itoa(version))
)

// frame wraps the payload that fill appends in a header and a checksum. The
// capacity hint is the size of the payload in bytes.
func frame(kind byte, hint int, fill func([]byte) []byte) []byte {
	b := make([]byte, headerSize, frameSize+hint)
	copy(b, magic)
	b[4], b[5] = version, kind
	b = fill(b)
	binary.BigEndian.PutUint32(b[6:], uint32(len(b)-headerSize))
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// unframe returns the payload of the record at the start of b, which may be
// followed by anything. The payload shares b's memory.
func unframe(kind byte, b []byte) ([]byte, error) {
	if len(b) < frameSize || string(b[:4]) == "\x00\x00\x00\x00" {
		return nil, ErrAbsent
	}
	if string(b[:4]) != magic || b[5] != kind {
		return nil, ErrTorn
	}
	if b[4] != version {
		return nil, ErrVersion
	}
	end := uint64(headerSize) + uint64(binary.BigEndian.Uint32(b[6:]))
	if end+sumSize > uint64(len(b)) {
		return nil, ErrTorn
	}
	if crc32.ChecksumIEEE(b[:end]) != binary.BigEndian.Uint32(b[end:]) {
		return nil, ErrTorn
	}
	return b[headerSize:end], nil
}

func appendBytes[T string | []byte](b []byte, v T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	return append(b, v...)
}

// reader takes fields off the front of a payload. After the first field that
// is not there it returns zero values, and done reports the fault.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	field := r.rest[:n:n]
	r.rest = r.rest[n:]
	return field
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) bytes() []byte { return r.take(uint64(r.uint32())) }

// count returns the number of elements that follow, each of which takes at
// least four bytes: a damaged count must not become a huge allocation.
func (r *reader) count() int {
	n := r.uint32()
	if uint64(n)*4 > uint64(len(r.rest)) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) strings() []string {
	n := r.count()
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = string(r.bytes())
	}
	return list
}

// done reports ErrTorn unless the payload was taken exactly to its end.
func (r *reader) done() error {
	if r.bad || len(r.rest) != 0 {
		return ErrTorn
	}
	return nil
}

func appendInt(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(v))
}
