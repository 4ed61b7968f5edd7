package record

import (
	"encoding/binary"
	"hash/crc32"
)

// The file of an output holds the first Keep bytes as they were written (see
// package shim for Keep), followed by a ring of Keep bytes with the last ones:
// byte n of the output is at Keep + n mod Keep. Up to twice Keep the file
// equals the output. For a longer output a trailer with its size follows.

// TrailerSize is the size of a trailer in bytes.
const TrailerSize = 16

const trailerMagic = "iwxo"

// OutputTrailer returns the trailer of an output of size bytes.
func OutputTrailer(size int64) []byte {
	b := binary.BigEndian.AppendUint64([]byte(trailerMagic), uint64(size))
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// OutputSize returns the size in a trailer; ok is false if b is not a trailer.
func OutputSize(b []byte) (size int64, ok bool) {
	if len(b) != TrailerSize || string(b[:4]) != trailerMagic ||
		crc32.ChecksumIEEE(b[:12]) != binary.BigEndian.Uint32(b[12:]) {
		return 0, false
	}
	size = int64(binary.BigEndian.Uint64(b[4:]))
	return size, size > 0
}
