package nodestatus

import (
	"fmt"
	"strings"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/nfs"
)

// StorageMark is how the shared storage is doing on a server in one word, that
// of its worst mount; nil where it has none.
func StorageMark(mounts []nfs.Health) any {
	if len(mounts) == 0 {
		return nil
	}
	if worst := nfs.Worst(mounts); worst != nil {
		return cli.Mark{Text: worst.Word, Level: cli.Bad}
	}
	return cli.Mark{Text: nfs.Healthy, Level: cli.Good}
}

// StorageItems is a line for each mount, an object in JSON.
func StorageItems(mounts []nfs.Health, now time.Time) cli.Block {
	lines := make([]string, len(mounts))
	objects := make([]storageItem, len(mounts))
	for i, h := range mounts {
		since := cluster.Instant(h.Since)
		lines[i] = fmt.Sprintf("%s: %s for %s", h.Path, h.Word, cli.Age(now.Sub(since)))
		if h.Error != "" {
			lines[i] += ": " + h.Error
		}
		objects[i] = storageItem{Path: h.Path, State: h.Word, Error: h.Error, Since: since.UTC().Format(time.RFC3339)}
	}
	return cli.Block{Text: cli.Text(strings.Join(lines, "\n")), Value: objects}
}

// storageItem is a mount in JSON, as iwx(7) describes it.
type storageItem struct {
	Path  string `json:"path"`
	State string `json:"state"`
	Error string `json:"error"`
	Since string `json:"since"`
}

// StorageTrouble is what is wrong with the worst mount, "" if all are healthy.
func StorageTrouble(mounts []nfs.Health) string {
	worst := nfs.Worst(mounts)
	switch {
	case worst == nil:
		return ""
	case worst.Error == "":
		return fmt.Sprintf("storage: %s is %s", worst.Path, worst.Word)
	}
	return fmt.Sprintf("storage: %s is %s: %s", worst.Path, worst.Word, worst.Error)
}

// storage is the word for storage that is not healthy, nil for one that is.
func (r Row) storage() any {
	if !r.graveStorage() {
		return nil
	}
	return StorageMark(r.Status.Mounts)
}

// graveStorage reports whether somebody has to look into the node's mounts. Of
// one that is silent they are not known.
func (r Row) graveStorage() bool {
	return r.Word() != cluster.WordUnreachable && nfs.Worst(r.Status.Mounts) != nil
}

// storageVerdict names the nodes whose mounts are not healthy.
func storageVerdict(rows []Row) string {
	var names []string
	for _, r := range rows {
		if r.graveStorage() {
			names = append(names, r.Name)
		}
	}
	if names == nil {
		return ""
	}
	return "; storage not healthy on " + cli.Some(names, 5)
}

// storageHint is what to do about mounts that are not healthy.
const storageHint = "see whether the NFS server runs; on the manager: iwx-cluster-setup status"
