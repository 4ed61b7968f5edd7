package queuetool

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/queue"
)

// refuseOwn refuses the files of iwx itself on this server: its state and keys
// are its identity, and another server with them would become a second manager.
// The file may have another name, by a symbolic or a hard link. refuseOwn does
// not open it, since closing it would drop SQLite's locks.
func refuseOwn(p host.Paths, file string) error {
	info, err := os.Lstat(file)
	if err != nil {
		return nil // the reader reports why
	}
	for _, dir := range []string{p.Lib, p.Run, p.HAProxyRun, p.Health} {
		if inDir(file, dir) || inDir(resolved(file), resolved(dir)) || isLinked(info, dir) {
			return fault.Hint(fault.New(fault.Usage, "%s belongs to iwx, in %s: a node that had it would take the identity of this server", file, dir),
				"iwx-queued sends the nodes what they need; to make another server the manager: iwx-cluster-setup restore")
		}
	}
	return nil
}

func inDir(file, dir string) bool {
	return file == dir || strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/")
}

// resolved returns a path without symbolic links before its last name.
func resolved(file string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err != nil {
		return file
	}
	return filepath.Join(dir, filepath.Base(file))
}

// isLinked reports whether a file has another name below dir.
func isLinked(info fs.FileInfo, dir string) (found bool) {
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Nlink < 2 || info.IsDir() {
		return false
	}
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a file that has just been removed
		}
		if other, err := d.Info(); err == nil && os.SameFile(info, other) {
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// personal returns files that belong to one server alone, each with the reason.
// A path with a trailing slash means all files in that directory.
func personal() map[string][]string {
	return map[string][]string{
		"it names this server: other servers would be mistaken for it": {
			"/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostname", "/etc/HOSTNAME", "/etc/mailname", "/etc/machine-info", "/etc/hostid",
			"/etc/iscsi/initiatorname.iscsi", "/etc/nvme/hostid", "/etc/nvme/hostnqn", "/var/lib/systemd/random-seed",
		},
		"it is a key of this server: other servers with it could impersonate this one": {"/etc/ssh/ssh_host_*", "/etc/wireguard/", "/etc/krb5.keytab"},
		"it names this server's disks: other servers may not start with it": {
			"/etc/fstab", "/etc/crypttab", "/etc/mdadm.conf", "/etc/mdadm/mdadm.conf", "/etc/initramfs-tools/conf.d/resume",
			"/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/loader/entries/",
		},
		"it holds this server's addresses: other servers would become unreachable with it": {
			"/etc/network/interfaces", "/etc/network/interfaces.d/", "/etc/netplan/", "/etc/systemd/network/", "/etc/dhcpcd.conf",
			"/etc/NetworkManager/system-connections/", "/etc/sysconfig/network-scripts/", "/etc/sysconfig/network/", "/etc/udev/rules.d/*persistent-net*",
		},
		"it holds this server's accounts: other servers would lose accounts of their own": {
			"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid",
			"/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-",
		},
	}
}

// lintFile finds files that belong to this server alone, by their name on the
// nodes, or by what they are here.
func lintFile(p host.Paths, file, inside string, content []byte) []queue.Finding {
	_, real := within(p.Root, resolved(file))
	for why, patterns := range personal() {
		for _, pattern := range patterns {
			if matches(inside, pattern) || matches(real, pattern) || isSame(p.Root, file, pattern) {
				return []queue.Finding{{
					Name: "personal", Detail: fmt.Sprintf("%s: %s", inside, why),
					Remedy: "change it on each node by a command: iwx-queue add -n NODE -- COMMAND",
				}}
			}
		}
	}
	if line := ownHosts(p, inside, content); line != "" {
		return []queue.Finding{{
			Name: "personal", Detail: fmt.Sprintf("%s names this server (%s): other servers would resolve that name to themselves", inside, line),
			Remedy: "leave the line out, or give it the server's real address",
		}}
	}
	return nil
}

// lintAttributes finds permissions of a file that are neither its mode nor its owner,
// and which it will not have on the nodes.
func lintAttributes(file, inside string) (found []queue.Finding) {
	for _, a := range []struct{ name, what, remedy string }{
		{"security.capability", "file capabilities, capabilities(7)", "give it them on the nodes too: iwx-queue add -- setcap CAPABILITIES " + queue.Quote(inside)},
		{"system.posix_acl_access", "an access control list, acl(5)", "give it one on the nodes too: iwx-queue add -- setfacl -m ENTRIES " + queue.Quote(inside)},
	} {
		if size, err := unix.Lgetxattr(file, a.name, nil); err == nil && size > 0 {
			found = append(found, queue.Finding{Name: "attributes", Detail: fmt.Sprintf("%s has %s, which push leaves behind", inside, a.what), Remedy: a.remedy})
		}
	}
	return found
}

func matches(name, pattern string) bool {
	if strings.HasSuffix(pattern, "/") {
		return strings.HasPrefix(name, pattern)
	}
	matched, err := path.Match(pattern, name)
	return err == nil && matched
}

// isSame reports whether file is a hard link to one that matches the pattern.
func isSame(root, file, pattern string) bool {
	info, err := os.Lstat(file)
	if err != nil {
		return false
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Nlink < 2 {
		return false
	}
	if strings.HasSuffix(pattern, "/") {
		return isLinked(info, filepath.Join(root, pattern))
	}
	names, _ := filepath.Glob(filepath.Join(root, pattern))
	return slices.ContainsFunc(names, func(name string) bool {
		other, err := os.Stat(name)
		return err == nil && os.SameFile(info, other)
	})
}

// ownHosts returns the line of /etc/hosts that gives this server's name to a
// loopback address, as the installer of Debian writes it: 127.0.1.1 NAME.
func ownHosts(p host.Paths, inside string, content []byte) string {
	if inside != "/etc/hosts" {
		return ""
	}
	text, err := os.ReadFile(p.Hostname)
	own := strings.TrimSpace(string(text))
	if err != nil || own == "" {
		return ""
	}
	own, _, _ = strings.Cut(own, ".")
	for line := range strings.Lines(string(content)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[0], "127.") && fields[0] != "::1" {
			continue
		}
		if slices.ContainsFunc(fields[1:], func(name string) bool { return name == own || strings.HasPrefix(name, own+".") }) && own != "localhost" {
			return strings.Join(fields, " ")
		}
	}
	return ""
}
