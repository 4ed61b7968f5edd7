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
)

// SourcePortsDir is where the kernel's RPC client has its settings, once it is there.
const SourcePortsDir = "/proc/sys/sunrpc"

// Mounts connect from a port of this range. They keep to reserved ports, since with
// noresvport, which needs insecure in exports(5), every local user of a node could
// speak to the server under any id. The kernel's own range is 665 to 1023 (sunrpc's
// xprtsock.h), in which are imaps (993) and pop3s (995): a mount that is made before
// the mail server starts could take them. ip_local_reserved_ports is no help, since
// the kernel binds these ports by number. The widest part of that range in which a
// hosting server has no service is between rsync (873) and rndc (953); each NFS
// server takes one port, and a test mount another for a minute.
//
// packaging/modprobe.d and sysctl.d set the same at boot.
const (
	minSourcePort = 874
	maxSourcePort = 952
)

// sourcePort is one end of the range.
type sourcePort struct {
	name  string // of its file below SourcePortsDir
	value int
}

// sourcePorts returns the range as it should be, in the order in which to write it:
// the kernel finds no port while the smaller end is above the larger one.
func sourcePorts() []sourcePort {
	return []sourcePort{{"min_resvport", minSourcePort}, {"max_resvport", maxSourcePort}}
}

// portsToSet tells what setSourcePorts would do, "" for nothing. A range of the
// administrator's that leaves out all the services stays.
func (m *Mounter) portsToSet() (change string, err error) {
	var ends [2]int
	for i, port := range sourcePorts() {
		text, err := os.ReadFile(filepath.Join(m.SourcePorts, port.name))
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil // it is loaded with the first mount, by modprobe.d with the right range
		}
		if err != nil {
			return "", err
		}
		if ends[i], err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
			return "", fmt.Errorf("%s: %.20q is no port", filepath.Join(m.SourcePorts, port.name), text)
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

// setSourcePorts keeps the connections of mounts off the ports of services. A
// connection that is open already keeps its port.
func (m *Mounter) setSourcePorts() error {
	change, err := m.portsToSet()
	if err != nil || change == "" {
		return err
	}
	for _, port := range sourcePorts() {
		if err := os.WriteFile(filepath.Join(m.SourcePorts, port.name), fmt.Appendln(nil, port.value), 0o644); err != nil {
			return err
		}
	}
	return nil
}
