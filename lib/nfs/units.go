package nfs

import (
	"fmt"
	"strings"
)

// mountTimeout is how long a mount may take before systemd gives up; who wanted
// the path gets an error then, and the next one tries again.
const mountTimeout = "20s"

// unitHead marks a unit as ours. It must stay as it is: a unit with another head, as a
// newer or older version of iwx would write it, is taken for an administrator's.
const unitHead = "# Written by iwx-queued for the shared storage, see iwx(7). iwx-cluster-setup reset\n# removes it; what is changed here is changed back.\n"

// madeNote is in the unit of a mount whose mount point was made for it. systemd
// passes over sections that begin with X-, systemd.unit(5).
const madeNote = "\n[X-Iwx]\nMountPoint=made\n"

// UnitName is the name of the unit for a path, escaped as systemd.unit(5) says
// under "String escaping for inclusion in unit names": suffix is "mount" or
// "automount".
func UnitName(path, suffix string) string {
	path = strings.Trim(path, "/")
	if path == "" {
		return "-." + suffix
	}
	var b strings.Builder
	for i := range len(path) {
		switch c := path[i]; {
		case c == '/':
			b.WriteByte('-')
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == ':', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String() + "." + suffix
}

// mountUnit is the unit that mounts source at path. forced is for taking a mount
// from a server that no longer answers.
//
// A start limit would end the automount too when the server is away for long,
// and what is written then would land on this server's own disk.
func mountUnit(source, path string, forced bool) string {
	text := unitHead + `
[Unit]
Description=Shared storage of the cluster at ` + path + `
Documentation=man:iwx(7)
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Mount]
What=` + source + `
Where=` + path + `
Type=nfs
Options=` + Options + `
TimeoutSec=` + mountTimeout + `
`
	if forced {
		text += "LazyUnmount=yes\nForceUnmount=yes\n"
	}
	return text
}

// automountUnit mounts path when somebody looks there. At boot nothing waits
// for the server: the mount itself is tried when it is first wanted.
func automountUnit(path string) string {
	return unitHead + `
[Unit]
Description=Shared storage of the cluster at ` + path + `, when it is wanted
Documentation=man:iwx(7)
StartLimitIntervalSec=0

[Automount]
Where=` + path + `

[Install]
WantedBy=remote-fs.target
`
}
