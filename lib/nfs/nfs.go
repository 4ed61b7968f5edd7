// Package nfs is the shared storage: what the manager exports, what the nodes
// mount, and whether a mount answers.
//
// It renders and checks files for the system's own parts and drives those:
// exports(5) and exportfs(8) on the server, systemd.mount(5) and
// systemd.automount(5) on a client, which mount by mount.nfs(8) over NFS 4.2
// (RFC 7862). It speaks no NFS itself, and does nothing for other file systems.
//
// Nothing here touches a path on a mounted share in its own process: with a
// dead server that hangs in the kernel, and no signal helps. What is mounted is
// read from proc(5), and probes run in a child that can be killed.
package nfs

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"iwx/lib/profile"
)

// Kinds of items in a server's profile.
const (
	KindExport = "export" // on the manager; the name is the path
	KindMount  = "mount"  // the name is the mount point
)

// Port is the one TCP port of NFS 4 (RFC 7530 §3.1).
const Port = 2049

// DefaultShare is made when it is missing; any other path has to be there.
const DefaultShare = "/srv/iwx"

// Options of every mount, nfs(5). With hard, what is written waits for a server
// that is gone instead of being lost (soft can corrupt data silently); with
// lookupcache=positive, a file that another server has just made is found.
const Options = "nfsvers=4.2,hard,nosuid,nodev,lookupcache=positive"

// mountSpec is the spec of a KindMount item.
type mountSpec struct {
	Source string `json:"source"` // "192.0.2.10:/srv/iwx"
}

// exportSpec is the spec of a KindExport item.
type exportSpec struct {
	FSID    string       `json:"fsid"`
	Clients []netip.Addr `json:"clients"` // in order; with none nobody may mount it
}

// MountItem returns the item of a profile that mounts the export of a server,
// an address or a name, at a path.
func MountItem(server, export, at string) (profile.Item, error) {
	return profile.Make(KindMount, at, mountSpec{Source: Source(server, export)})
}

// ExportItem returns the item of the manager's profile that exports path to the
// clients, which must be in order.
func ExportItem(clusterID, path string, clients []netip.Addr) (profile.Item, error) {
	if clients == nil {
		clients = []netip.Addr{}
	}
	return profile.Make(KindExport, path, exportSpec{FSID: FSID(clusterID, path), Clients: clients})
}

// Source is what is mounted, as mount.nfs(8) and proc(5) write it.
func Source(server, export string) string {
	if addr, err := netip.ParseAddr(server); err == nil && addr.Is6() {
		server = "[" + server + "]"
	}
	return server + ":" + export
}

// Server returns the host part of a Source, without brackets.
func Server(source string) string {
	host, _, _ := strings.Cut(source, ":/")
	return strings.Trim(host, "[]")
}

// Endpoint is where the server of a Source answers over TCP.
func Endpoint(source string) string { return net.JoinHostPort(Server(source), fmt.Sprint(Port)) }

// FSID is the identity of an export in the handles that its clients hold,
// exports(5): a UUID that depends on nothing but the cluster and the path, so
// that the clients of a manager which was restored on other disks find their
// files again. Version 8 is for such uses, RFC 9562 §5.8.
func FSID(clusterID, path string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "iwx fsid\x00%s\x00%s", clusterID, path))
	id := sum[:16]
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// Export is a path that a profile exports.
type Export struct {
	Path    string
	Clients int // how many there are
}

// ExportsOf returns what a profile exports, in its order.
func ExportsOf(doc profile.Document) []Export {
	var list []Export
	for _, item := range doc.Items {
		var spec exportSpec
		if item.Kind == KindExport && item.Decode(&spec) == nil {
			list = append(list, Export{Path: item.Name, Clients: len(spec.Clients)})
		}
	}
	return list
}
