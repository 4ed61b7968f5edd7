package nfs

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// exportsHead marks the file as ours.
const exportsHead = `# Written by iwx-queued for the nodes of the cluster, see iwx(7) and exports(5).
# It is written anew whenever a node joins or leaves; edit iwx.toml(5) instead.
`

// madePrefix notes a directory that was made for a share, so that it can go with
// the share.
const madePrefix = "# made: "

// exportOptions are those of every client of an export, exports(5). Root of a
// node is nobody here: it must not be able to write as the manager's root.
const exportOptions = "rw,sync,no_subtree_check,root_squash,fsid="

// exports is the content of the file that is ours.
type exports struct {
	lines map[string]string // by path; never one without clients
	made  []string
}

// parseExports reads what exports.text has written. Anything else in the file
// is not kept: the file is ours.
func parseExports(text string) exports {
	e := exports{lines: map[string]string{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if dir, ok := strings.CutPrefix(line, madePrefix); ok {
			e.made = append(e.made, dir)
		} else if path, _, _ := strings.Cut(line, " "); strings.HasPrefix(path, "/") {
			e.lines[path] = line
		}
	}
	return e
}

// text is the file, "" if there is nothing to be in it.
func (e exports) text() string {
	if len(e.lines) == 0 && len(e.made) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(exportsHead)
	for _, dir := range slices.Sorted(slices.Values(e.made)) {
		b.WriteString(madePrefix + dir + "\n")
	}
	var lines []string
	for _, line := range e.lines {
		lines = append(lines, line+"\n")
	}
	slices.Sort(lines)
	return b.String() + strings.Join(lines, "")
}

// set makes the line of a path. One without clients would export the path to
// the whole world, so there is none then.
func (e exports) set(path string, spec exportSpec) {
	delete(e.lines, path)
	if len(spec.Clients) > 0 {
		e.lines[path] = exportLine(path, spec)
	}
}

func exportLine(path string, spec exportSpec) string {
	line := path + " -" + exportOptions + spec.FSID
	for _, client := range spec.Clients {
		line += " " + client.String()
	}
	return line
}

// ExportTable is what the NFS server exports to whom, in etab's form.
type ExportTable map[string][]string

// ParseTable reads /var/lib/nfs/etab, which exportfs(8) keeps: a path, a tab,
// and "client(options)". The clients of a path come out in order.
func ParseTable(text string) ExportTable {
	t := ExportTable{}
	for line := range strings.Lines(text) {
		path, rest, found := strings.Cut(strings.TrimSpace(line), "\t")
		client, _, _ := strings.Cut(rest, "(")
		if found && client != "" && !strings.HasPrefix(path, "#") {
			t[path] = append(t[path], client)
			slices.Sort(t[path])
		}
	}
	return t
}

// Serves reports whether the path is exported to the clients and nobody else.
func (t ExportTable) Serves(path string, clients []netip.Addr) bool {
	want := make([]string, len(clients))
	for i, c := range clients {
		want[i] = c.String()
	}
	slices.Sort(want)
	return slices.Equal(want, t[path])
}

// describe is what to do for an export, in the imperative.
func describe(path string, clients []netip.Addr) string {
	if len(clients) == 0 {
		return "export " + path + " to nobody, as there are no nodes"
	}
	names := make([]string, len(clients))
	for i, c := range clients {
		names[i] = c.String()
	}
	return fmt.Sprintf("export %s to %s", path, strings.Join(names, " "))
}
