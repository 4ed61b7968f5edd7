package realip

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"iwx/lib/fault"
	"iwx/lib/sockets"
)

// vacant fails unless a program can be told to listen there: some do not outlive
// a reload with an address that they do not get. label is the type that SELinux
// has for the ports of such programs. The process that listens for the program, 0 if
// none runs, may have the port itself, from before something was changed by hand.
func vacant(ctx context.Context, at netip.AddrPort, label string, process int) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at.String())
	if errors.Is(err, syscall.EADDRINUSE) && listens(process, at.Port()) {
		return nil
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fault.Hint(fault.New(fault.Failed, "another program has port %d", at.Port()), "ss -ltnp 'sport = :%d'", at.Port())
	}
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	return labelled(ctx, at.Port(), label)
}

// listens reports whether a process listens at a port of TCP, as proc(5) has it.
func listens(process int, port uint16) bool {
	if process <= 0 {
		return false
	}
	proc := filepath.Join("/proc", strconv.Itoa(process))
	links := map[string]bool{}
	names, _ := filepath.Glob(filepath.Join(proc, "fd", "*"))
	for _, name := range names {
		to, _ := os.Readlink(name)
		links[to] = true
	}
	return slices.ContainsFunc(sockets.Listeners(filepath.Join(proc, "net"), "tcp"), func(l sockets.Listener) bool {
		return l.At.Port() == port && links[l.Link]
	})
}

// processOf reads the number of a process from a file, 0 if there is none.
func processOf(path string) (int, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return 0, fault.New(fault.Failed, "%s holds %.20q instead of a process id", path, text)
	}
	return pid, nil
}

// labelled fails where SELinux enforces a policy by which such programs do not get
// the port, semanage-port(8).
func labelled(ctx context.Context, port uint16, label string) error {
	if enforce, err := os.ReadFile("/sys/fs/selinux/enforce"); err != nil || strings.TrimSpace(string(enforce)) != "1" {
		return nil
	}
	out, err := exec.CommandContext(ctx, "semanage", "port", "-l").Output()
	if err == nil && hasLabel(string(out), port, label) {
		return nil
	}
	return fault.Hint(fault.New(fault.Failed, "SELinux does not let port %d be listened at", port), "semanage port -a -t %s -p tcp %d", label, port)
}

// hasLabel looks into lines such as "http_port_t  tcp  80, 81, 8008-8010".
func hasLabel(list string, port uint16, label string) bool {
	for line := range strings.Lines(list) {
		fields := strings.Fields(strings.ReplaceAll(line, ",", " "))
		if len(fields) > 2 && fields[0] == label && fields[1] == "tcp" && slices.ContainsFunc(fields[2:], func(span string) bool { return within(span, port) }) {
			return true
		}
	}
	return false
}

// within reports whether a port is in "80" or "8008-8010".
func within(span string, port uint16) bool {
	low, high, isRange := strings.Cut(span, "-")
	if !isRange {
		high = low
	}
	from, err := strconv.ParseUint(low, 10, 16)
	to, err2 := strconv.ParseUint(high, 10, 16)
	return err == nil && err2 == nil && uint16(from) <= port && port <= uint16(to)
}
