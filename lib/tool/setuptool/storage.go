package setuptool

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/nfs"
	"iwx/lib/profile"
	"iwx/lib/tool/nodestatus"
	"iwx/lib/tool/upkeep"
)

// settleLimit is the longest wait of settle. What fails at first, such as a mount which
// the NFS server does not admit yet, is tried again within half a minute.
const settleLimit = 40 * time.Second

// settle waits until the daemon of a new node has applied its profile, with the
// mounts of the shared storage, and warns of what could not be. That does not
// undo the join: the daemon goes on trying.
func (h *here) settle() error {
	if !h.systemd() {
		return nil // no daemon was started
	}
	defer h.c.Slow("wait until this server is as the cluster needs it")()
	ctx, cancel := context.WithTimeout(h.c, settleLimit)
	defer cancel()
	var status profile.Status
	err := h.Store.Follow(ctx, func() (bool, error) {
		saved, err := h.Store.Profile().Load(h.c)
		if err != nil {
			return false, err
		}
		status = saved.Standing()
		return status.Word() == profile.WordApplied, nil
	})
	if err == nil || ctx.Err() == nil || h.c.Err() != nil {
		return err
	}
	if faults := upkeep.Faults(status); faults != nil {
		h.c.Warnf("the profile is not applied yet: %v", faults)
		h.c.Notef("hint: fix the cause, then: iwx-cluster-setup profile")
	}
	return nil
}

// reportStorage reports how the shared storage is doing here: what is mounted,
// and on a manager that serves it, what is exported. It answers also when the
// NFS server is dead.
func (h *here) reportStorage(r *report, doc profile.Document) {
	mounts := upkeep.Health(h.c, doc, h.c.Now)
	r.storage = nodestatus.StorageMark(mounts)
	if trouble := nodestatus.StorageTrouble(mounts); trouble != "" {
		r.add(trouble, "see whether the NFS server runs, and port 2049 is open; the mount comes back by itself")
	}
	exports := nfs.ExportsOf(doc)
	if len(exports) == 0 {
		return
	}
	r.storage = cli.Mark{Text: served(exports), Level: cli.Good}
	switch {
	case exports[0].Clients == 0:
	case !nfsServes():
		r.storage = cli.Mark{Text: "not served", Level: cli.Bad}
		r.add("the NFS server is not running", "systemctl start nfs-server")
	default:
		h.reportTable(r, exports)
	}
}

// reportTable reports exports that the NFS server does not know.
func (h *here) reportTable(r *report, exports []nfs.Export) {
	text, err := os.ReadFile(nfs.TableFile)
	if err != nil {
		r.add(fault.Plain(err), "exportfs -ra")
		return
	}
	table := nfs.ParseTable(string(text))
	for _, e := range exports {
		if len(table[e.Path]) != e.Clients {
			r.add(fmt.Sprintf("%s is exported to %d of %s", e.Path, len(table[e.Path]), cli.Count(e.Clients, "node", "nodes")), "iwx-cluster-setup profile")
		}
	}
}

// served is "/srv/iwx to 2 nodes".
func served(exports []nfs.Export) string {
	paths := make([]string, len(exports))
	for i, e := range exports {
		paths[i] = e.Path
	}
	return strings.Join(paths, " ") + " to " + cli.Count(exports[0].Clients, "node", "nodes")
}

// nfsServes reports whether the kernel's NFS server has threads, nfsd(7).
func nfsServes() bool {
	text, err := os.ReadFile("/proc/fs/nfsd/threads")
	n, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	return err == nil && bad == nil && n > 0
}
