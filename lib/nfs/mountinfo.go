package nfs

import (
	"strconv"
	"strings"
)

// Mounted is a file system at its place, a line of /proc/self/mountinfo.
type Mounted struct {
	Path   string
	Type   string // "nfs4", "autofs", "ext4"
	Source string // "192.0.2.10:/srv/iwx", "/dev/vda1"
}

// nfs reports whether it is a mount of package nfs's kind.
func (m Mounted) nfs() bool { return m.Type == "nfs4" || m.Type == "nfs" }

// ParseMounts reads /proc/self/mountinfo, proc(5). Lines that are not of its
// form are passed over.
func ParseMounts(text string) []Mounted {
	var list []Mounted
	for line := range strings.Lines(text) {
		before, after, found := strings.Cut(strings.TrimSpace(line), " - ")
		place, source := strings.Fields(before), strings.Fields(after)
		if found && len(place) >= 5 && len(source) >= 2 {
			list = append(list, Mounted{Path: unescape(place[4]), Type: source[0], Source: unescape(source[1])})
		}
	}
	return list
}

// unescape reads the octal escapes of blanks and backslashes.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// At returns what is mounted at path, the last mounted first: an automount lies
// under the mount that it made.
func At(list []Mounted, path string) []Mounted {
	var found []Mounted
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Path == path {
			found = append(found, list[i])
		}
	}
	return found
}
