// Package sockets has what this server's sockets need beside package net: which
// of them listen (proc(5)), binding an address that is not there yet (ip(7)), and
// names of Unix sockets that are too long for the kernel (unix(7)).
package sockets

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxName is the longest name in a sun_path with its closing zero, unix(7).
const maxName = 107

// Name returns a name for the Unix socket of that base name in dir, to bind or connect
// to. A path that is too long is replaced by one through an open descriptor of dir,
// proc(5). The name is valid until release is called.
func Name(dir, base string) (name string, release func(), err error) {
	path := filepath.Join(dir, base)
	if len(path) <= maxName {
		return path, func() {}, nil
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, base), func() { unix.Close(fd) }, nil
}
