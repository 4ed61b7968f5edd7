package preflight

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// part is a piece of the system that a later step of the setup uses.
type part struct {
	what  string
	files []string // any of them below Sys will do, patterns as in filepath.Match
	deb   string   // package on Debian and its family
	rpm   string   // package on Fedora and its family
}

// ipvs looks for the kernel's part, loaded or loadable, and then for its tool.
func (s Server) ipvs(context.Context) Result {
	if s.Paths.Own() {
		return ownRoot()
	}
	modules := "lib/modules/" + s.Facts.Kernel
	builtin := strings.Contains(s.read(modules+"/modules.builtin"), "/ip_vs.ko")
	if !builtin && !s.exists("proc/net/ip_vs", modules+"/kernel/net/netfilter/ipvs/ip_vs.ko*") {
		return warn("use a kernel with CONFIG_IP_VS, or another engine", "the kernel has no load balancer (ip_vs)")
	}
	return s.present(part{"ipvsadm", []string{"sbin/ipvsadm", "usr/sbin/ipvsadm"}, "ipvsadm", "ipvsadm"})
}

func (s Server) present(p part) Result {
	switch {
	case s.Paths.Own():
		return ownRoot()
	case s.exists(p.files...):
		return ok("%s is installed", p.what)
	case s.Facts.OS.IsLike("debian"):
		return warn("apt-get -y install "+p.deb, "%s is not installed", p.what)
	case s.Facts.OS.IsLike("fedora") || s.Facts.OS.IsLike("rhel"):
		return warn("dnf -y install "+p.rpm, "%s is not installed", p.what)
	}
	return warn("install the package "+p.deb+" or "+p.rpm, "%s is not installed", p.what)
}

// exists reports whether a file matches one of the patterns below Sys.
func (s Server) exists(patterns ...string) bool {
	for _, p := range patterns {
		p = filepath.Join(s.Sys, p)
		if _, err := os.Lstat(p); err == nil {
			return true
		}
		if found, err := filepath.Glob(p); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}
