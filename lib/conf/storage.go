package conf

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// Storage is the [storage] table.
type Storage struct {
	Enabled bool    `toml:"enabled" default:"true" doc:"Share storage at all. Without it nothing is exported or mounted, and what was is taken back."`
	Server  string  `toml:"server" default:"" rule:"server" doc:"Address or name of an NFS server outside the cluster, which the manager and the nodes mount from. Empty: the manager exports the shares itself."`
	Shares  []Share `toml:"share" doc:"A directory that all servers share; write the table once for each. Without any there is one, /srv/iwx."`
}

// Share is one [[storage.share]] table.
type Share struct {
	Path   string `toml:"path" default:"/srv/iwx" rule:"share" doc:"Where the share is, on every server alike: absolute, and neither in another share nor a directory of the system."`
	Export string `toml:"export" default:"" rule:"export" doc:"Its path on the server of storage.server, if it has another one there."`
}

// Source is what a share is mounted from at its server: the path there.
func (s Share) Source() string {
	if s.Export != "" {
		return s.Export
	}
	return s.Path
}

// Paths returns the paths of the shares, none when storage is not shared.
func (s Storage) Paths() []string {
	if !s.Enabled {
		return nil
	}
	paths := make([]string, len(s.Shares))
	for i, share := range s.Shares {
		paths[i] = share.Path
	}
	return paths
}

// check reports what is wrong between the keys of the table.
func (s Storage) check(report func(name, what string)) {
	for i, share := range s.Shares {
		at := fmt.Sprintf("storage.share[%d]", i)
		if share.Export != "" && s.Server == "" {
			report(at+".export", "is for an NFS server outside the cluster, and storage.server names none")
		}
		for j, other := range s.Shares {
			switch {
			case share.Path == other.Path && j < i:
				report(at+".path", share.Path+" is there twice")
			case share.Path != other.Path && Within(share.Path, other.Path):
				report(at+".path", fmt.Sprintf("%s lies in another share, %s", share.Path, other.Path))
			}
		}
	}
}

// Within reports whether a clean absolute path is dir or lies below it.
func Within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// systemTrees are the directories that cannot be shared, nor anything below
// them: each server has its own, and would no longer start, or be itself, under
// another's. /home is none of them: whoever names it has asked for it.
func systemTrees() []string {
	return []string{
		"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/run", "/sbin",
		"/sys", "/tmp", "/usr", "/var/cache", "/var/lib/dpkg", "/var/lib/iwx", "/var/lib/nfs", "/var/lib/rpm",
		"/var/lib/systemd", "/var/lock", "/var/log", "/var/run", "/var/tmp",
	}
}

// systemDirectories cannot be shared themselves; what is below them can.
func systemDirectories() []string {
	return []string{"/", "/media", "/mnt", "/opt", "/var", "/var/lib", "/var/spool"}
}

// checkShare holds the path of a share against the rules for one by itself.
func checkShare(p string) string {
	if what := checkAbsolute(p); what != "" {
		return what
	}
	if slices.Contains(systemDirectories(), p) {
		return p + " is a system directory; share one below it"
	}
	for _, tree := range systemTrees() {
		if Within(p, tree) {
			return fmt.Sprintf("%s is a system directory, or in one (%s)", p, tree)
		}
	}
	return ""
}

func checkExport(p string) string {
	if p == "" || p == "/" {
		return ""
	}
	return checkAbsolute(p)
}

// checkAbsolute wants a path in its shortest form, and of characters that mean
// nothing to exports(5), systemd.mount(5) and the shell.
func checkAbsolute(p string) string {
	strange := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._+-", r)
	}
	switch {
	case !strings.HasPrefix(p, "/"):
		return fmt.Sprintf("%q is not an absolute path", p)
	case strings.ContainsFunc(p, strange):
		return fmt.Sprintf("%q has characters other than letters, digits and . _ + -", p)
	case path.Clean(p) != p:
		return fmt.Sprintf("%q is not in its shortest form, %s", p, path.Clean(p))
	}
	return ""
}

// checkServer wants an address or a host name (RFC 1123 §2.1).
func checkServer(name string) string {
	if _, err := netip.ParseAddr(name); err == nil || name == "" {
		return ""
	}
	strange := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-'
	}
	if strings.ContainsFunc(name, strange) || strings.Trim(name, ".-") != name || strings.Contains(name, "..") {
		return fmt.Sprintf("%q is neither an address nor a host name", name)
	}
	return ""
}
