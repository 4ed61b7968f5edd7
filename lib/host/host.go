// Package host tells what this server is: its identity, operating system,
// addresses, local users and the paths of iwx on it. It reads and, apart from
// the identity of a root directory, changes nothing.
//
// The facts come from files and system calls, never from other programs:
// machine-id(5), hostname(5), os-release(5), passwd(5), proc(5), sd_booted(3)
// and, for containers, what systemd-detect-virt(1) looks at.
//
// Below a root directory (Paths.Own) the identity is the root's own, so that
// several servers can live on one machine; kernel and architecture stay those
// of the machine.
package host

import (
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
)

// Facts is what a server knows of itself. The JSON form is sent by a joining
// node to the manager: tags are never renamed, and fields only added.
type Facts struct {
	MachineID string    `json:"machine_id"` // 32 lower-case hexadecimal digits
	Hostname  string    `json:"hostname"`   // as the kernel has it, may have dots
	OS        OS        `json:"os"`
	Arch      string    `json:"arch"`                // as Go names it: amd64, arm64
	Kernel    string    `json:"kernel"`              // release, uname -r
	BootID    string    `json:"boot_id"`             // a new UUID at every boot
	Container string    `json:"container,omitempty"` // "docker", "lxc", …; "" on a machine or VM
	Systemd   bool      `json:"systemd"`             // systemd is PID 1
	UID       int       `json:"uid"`                 // effective, of the process that asked
	Addresses []Address `json:"addresses"`           // in the order of the interfaces
	Users     []User    `json:"users"`               // ordinary ones, see FirstUID
	Services  []User    `json:"services,omitempty"`  // of the services that a cluster carries
}

// Read collects the facts of the server below root. Given addresses replace
// those found on the interfaces: each must be a loopback address or one that an
// interface has. Without them, all addresses are listed.
//
// Errors: a missing or unfit machine-id (with a hint), an unreadable hostname
// or os-release, an address that is not here. A missing passwd file below a
// root directory means no users.
func Read(root string, given ...netip.Addr) (Facts, error) {
	return source{paths: At(root), sys: "/"}.read(given)
}

// source says where facts are read from.
type source struct {
	paths Paths
	sys   string // holds proc, run and .dockerenv; "/" but in tests
}

func (s source) read(given []netip.Addr) (Facts, error) {
	id, err := ReadMachineID(s.paths.Root)
	if err != nil {
		return Facts{}, err
	}
	f := Facts{
		MachineID: id,
		Arch:      runtime.GOARCH,
		BootID:    s.line("proc/sys/kernel/random/boot_id"),
		Kernel:    kernelRelease(),
		Container: s.container(),
		Systemd:   s.booted(),
		UID:       os.Geteuid(),
	}
	if f.Hostname, err = readHostname(s.paths); err != nil {
		return Facts{}, err
	}
	if f.OS, err = s.os(); err != nil {
		return Facts{}, err
	}
	if f.Addresses, err = addresses(given); err != nil {
		return Facts{}, err
	}
	if f.Users, f.Services, err = readUsers(s.paths.Passwd); err != nil {
		return Facts{}, err
	}
	return f, nil
}

// line returns the first line of a small file below s.sys, "" if there is none.
func (s source) line(name string) string {
	data, err := os.ReadFile(filepath.Join(s.sys, name))
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(first)
}

func (s source) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(s.sys, name))
	return err == nil
}

// Booted reports whether systemd is PID 1 on this machine.
func Booted() bool { return source{sys: "/"}.booted() }

// booted follows sd_booted(3): systemd makes the directory before anything
// else, and no other init does.
func (s source) booted() bool {
	fi, err := os.Lstat(filepath.Join(s.sys, "run/systemd/system"))
	return err == nil && fi.IsDir()
}

// container names the container manager. PID 1's environment is readable by
// root alone; the two files serve everyone.
func (s source) container() string {
	if kind := s.line("run/systemd/container"); kind != "" {
		return kind
	}
	environ, err := os.ReadFile(filepath.Join(s.sys, "proc/1/environ"))
	if err == nil {
		for v := range strings.SplitSeq(string(environ), "\x00") {
			if kind, ok := strings.CutPrefix(v, "container="); ok && kind != "" {
				return kind
			}
		}
	}
	switch {
	case s.exists(".dockerenv"):
		return "docker"
	case s.exists("run/.containerenv"):
		return "podman"
	}
	return ""
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func readHostname(p Paths) (string, error) {
	if !p.Own() {
		return os.Hostname()
	}
	data, err := os.ReadFile(p.Hostname)
	if err != nil {
		return "", fault.Hint(err, "run iwx-cluster-setup with this root directory first")
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			return line, nil
		}
	}
	return "", fault.New(fault.Failed, "%s: holds no host name", p.Hostname)
}
