package setuptool

import (
	"fmt"

	"iwx/lib/backup"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/state"
)

// shelf is where this server keeps daily backups.
func (h *here) shelf() backup.Shelf {
	return backup.Shelf{Dir: h.Backups, Cluster: h.Identity.ClusterName}
}

// backUpDaily puts a backup of this moment on the shelf, tells the daemon, which
// offers it to the nodes, and lets the oldest one go. Nothing goes before the new
// one is on the disk.
func (h *here) backUpDaily() error {
	config, err := conf.Load(h.c, h.Paths.Config)
	if err != nil {
		return err
	}
	if config.Backup.Keep == 0 {
		h.c.Notef("no backup is made: backup.keep is 0 in %s", h.Paths.Config)
		return nil
	}
	if err := h.expectBackups(); err != nil {
		return err
	}
	return h.backUp(func(manifest backup.Manifest, files []backup.File) error {
		return h.putOnShelf(manifest, files, config.Backup.Keep)
	})
}

// expectBackups notes that there are backups before the first is made. The state
// in that one then says so, and the nodes of a manager restored from it keep the
// copies that they have.
func (h *here) expectBackups() error {
	last, err := h.Store.LastBackup(h.c)
	if last == nil && err == nil {
		err = h.Store.SetBackup(h.c, state.Backup{})
	}
	return err
}

func (h *here) putOnShelf(manifest backup.Manifest, files []backup.File, keep int) error {
	if err := h.makeDir(h.Backups, 0o700); err != nil {
		return err
	}
	name := h.shelf().Name(manifest.Created)
	path := h.shelf().Path(name)
	if err := backup.WriteFile(path, h.Identity.Recovery, manifest, files); err != nil {
		return err
	}
	size, sum, err := backup.Sum(path)
	if err != nil {
		return err
	}
	if err := h.Store.SetBackup(h.c, state.Backup{Name: name, Size: size, SHA256: sum, At: manifest.Created}); err != nil {
		return err
	}
	daemon.Poke(h.Run)
	h.sayBackup(manifest, path)
	_, err = h.shelf().Rotate(keep, name, h.c.Now())
	return err
}

// reportBackup reports how old the newest backup on this server is, and when the
// manager's daily one is overdue.
func (h *here) reportBackup(r *report) {
	list, err := h.shelf().List(h.c.Now())
	if err != nil {
		r.add(fault.Plain(err), "")
		return
	}
	if len(list) > 0 {
		r.backup = list[0].At
	}
	if h.Identity.Role != cluster.RoleManager || h.Config.Backup.Keep == 0 {
		return
	}
	since, what := h.c.Now().Sub(r.backup), "the last backup was made %s ago"
	if r.backup.IsZero() {
		since, what = h.c.Now().Sub(h.Identity.SetupAt), "no backup was made since the setup, %s ago"
	}
	if since > backupLate {
		r.add(fmt.Sprintf(what, cli.Age(since)), h.backupHint())
	}
}

// backupHint says how to make a backup, and why there is none.
func (h *here) backupHint() string {
	if h.systemd() {
		return "make one: iwx-cluster-setup backup\nsee why there was none: systemctl status " + backupTimer + "; journalctl -u iwx-backup"
	}
	return "make one now, and every day from cron: iwx-cluster-setup backup"
}
