package nfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"iwx/lib/fault"
)

// SourcePortsDir holds the settings of the kernel's RPC client, once that is loaded.
const SourcePortsDir = "/proc/sys/sunrpc"

// Mounts connect from a port in this range. They use reserved ports: with noresvport,
// which needs insecure in exports(5), every local user of a node could speak to the
// server under any id. The kernel's default range is 665 to 1023 (sunrpc's xprtsock.h).
// It contains imaps (993) and pop3s (995), and a mount made before the mail server
// starts could take them. ip_local_reserved_ports does not help, since the kernel binds
// these ports by number. The widest part of the range without a service of a hosting
// server lies between rsync (873) and rndc (953). Each NFS server takes one port, and a
// test mount takes another for a minute.
//
// packaging/modprobe.d and packaging/sysctl.d set the same range at boot.
const (
	minSourcePort = 874
	maxSourcePort = 952
)

// sourcePort is one end of the range.
type sourcePort struct {
	name  string // of its file in SourcePortsDir
	value int
}

// sourcePorts returns the desired range, in the order in which to write it: the kernel
// finds no port while the lower end is above the upper one.
func sourcePorts() []sourcePort {
	return []sourcePort{{"min_resvport", minSourcePort}, {"max_resvport", maxSourcePort}}
}

// portsToSet returns what setSourcePorts would change, or "" for nothing. A range that
// the administrator set stays if it contains no port of a service.
func (m *Mounter) portsToSet() (change string, err error) {
	var ends [2]int
	for i, port := range sourcePorts() {
		text, err := os.ReadFile(filepath.Join(m.SourcePorts, port.name))
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil // the first mount loads sunrpc, with the range from modprobe.d
		}
		if err != nil {
			return "", err
		}
		value := strings.TrimSpace(string(text))
		if ends[i], err = strconv.Atoi(value); err != nil {
			return "", fmt.Errorf("%s: %.20q is no port", filepath.Join(m.SourcePorts, port.name), value)
		}
	}
	taken := func(port uint16) bool { return int(port) >= ends[0] && int(port) <= ends[1] }
	i := slices.IndexFunc(m.Services, taken)
	if i < 0 {
		return "", nil
	}
	return fmt.Sprintf("let NFS connect from ports %d to %d; with %d to %d it may take port %d of a service",
		minSourcePort, maxSourcePort, ends[0], ends[1], m.Services[i]), nil
}

// setSourcePorts keeps the connections of mounts away from the ports of services. A
// connection that is already open keeps its port.
func (m *Mounter) setSourcePorts() error {
	change, err := m.portsToSet()
	if err != nil || change == "" {
		return err
	}
	for _, port := range sourcePorts() {
		if err := os.WriteFile(filepath.Join(m.SourcePorts, port.name), fmt.Appendln(nil, port.value), 0o644); err != nil {
			return fault.Hint(err, "set them where that is allowed, in a container on its host: sysctl sunrpc.min_resvport=%d sunrpc.max_resvport=%d", minSourcePort, maxSourcePort)
		}
	}
	return nil
}
