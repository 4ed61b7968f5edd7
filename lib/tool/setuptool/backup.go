package setuptool

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"iwx/lib/atomicfile"
	"iwx/lib/backup"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/pki"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/wait"
)

// The names of files in a backup. Keys are below backupKeys under their own
// names.
const (
	backupState  = "state.db"
	backupConfig = "iwx.toml"
	backupKeys   = "pki"
)

type backupVerb struct {
	File  string `arg:"" optional:"" complete:"file" help:"File to write; - for standard output. Without it, one more of the daily backups."`
	Force bool   `help:"Replace the file if it is there."`
}

// Examples implements cli.Exampled.
func (*backupVerb) Examples() string {
	return `iwx-cluster-setup backup
iwx-cluster-setup backup /root/cluster.backup
iwx-cluster-setup backup - | ssh backup@store.example 'cat > cluster.backup'`
}

// Run writes a backup of state, keys and settings as of one moment, while the
// daemon goes on writing.
func (v *backupVerb) Run(c *cli.Context) error {
	if err := checkArgument(v.File); err != nil {
		return err
	}
	h, err := setUp(c)
	if err != nil {
		return err
	}
	defer h.Close()
	if h.Identity.Role != cluster.RoleManager {
		return fault.Hint(fault.New(fault.Failed, "this server is %s; only the manager has a state to back up", h.who()),
			"do it on the manager, at %s", h.Identity.Manager.Addr())
	}
	if v.File == "" {
		return h.backUpDaily()
	}
	if err := v.checkFile(c); err != nil {
		return err
	}
	return h.backUp(func(manifest backup.Manifest, files []backup.File) error {
		if v.File == "-" {
			err = backup.Write(c.Stdout, h.Identity.Recovery, manifest, files)
		} else {
			err = backup.WriteFile(v.File, h.Identity.Recovery, manifest, files)
		}
		if err == nil {
			h.sayBackup(manifest, v.target())
		}
		return err
	})
}

// backUp hands what is in a backup of this moment to write, while no other setup
// is at work.
func (h *here) backUp(write func(backup.Manifest, []backup.File) error) error {
	unlock, err := h.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.makeWorkDir(); err != nil {
		return err
	}
	defer os.RemoveAll(h.Work)
	manifest, files, err := h.snapshot()
	if err != nil {
		return err
	}
	return write(manifest, files)
}

func (h *here) sayBackup(m backup.Manifest, where string) {
	h.c.Notef("backup of cluster %s up to entry %d: %s", m.ClusterName, m.HeadSeq, where)
}

func (v *backupVerb) target() string {
	if v.File == "-" {
		return "standard output"
	}
	return v.File
}

// checkFile refuses what would be a mess or a loss.
func (v *backupVerb) checkFile(c *cli.Context) error {
	if v.File == "-" {
		if c.IsTerminal(c.Stdout) {
			return fault.Hint(fault.New(fault.Usage, "a backup is not for a terminal"), "iwx-cluster-setup backup FILE")
		}
		return nil
	}
	if _, err := os.Stat(filepath.Dir(v.File)); err != nil {
		return err
	}
	info, err := os.Stat(v.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fault.New(fault.Usage, "%s is not a regular file", v.File)
	case !v.Force:
		return fault.Hint(fault.New(fault.Failed, "%s is there already", v.File), "choose another name, or replace it with --force")
	}
	return nil
}

// makeWorkDir makes the work directory anew. It is on the file system of the
// state, so that files can be renamed into place. The setup's lock is held.
func (h *here) makeWorkDir() error {
	if err := os.RemoveAll(h.Work); err != nil {
		return err
	}
	return atomicfile.MkdirAll(h.Work, 0o700)
}

// snapshot copies the state as of one moment, and returns what goes into the
// backup. What the manifest says is read from the copy.
func (h *here) snapshot() (m backup.Manifest, files []backup.File, err error) {
	path := filepath.Join(h.Work, backupState)
	if m, err = h.copyState(path); err != nil {
		return m, nil, err
	}
	if files, err = addFile(nil, backupState, path); err != nil {
		return m, nil, err
	}
	keys, err := os.ReadDir(h.PKI)
	if err != nil {
		return m, nil, err
	}
	for _, key := range keys {
		if filepath.Ext(key.Name()) == ".tmp" {
			continue // of a write that was killed
		}
		if files, err = addFile(files, backupKeys+"/"+key.Name(), filepath.Join(h.PKI, key.Name())); err != nil {
			return m, nil, err
		}
	}
	if isMissing(h.Paths.Config) {
		return m, files, nil
	}
	files, err = addFile(files, backupConfig, h.Paths.Config)
	return m, files, err
}

func addFile(files []backup.File, name, path string) ([]backup.File, error) {
	f, err := backup.FileAt(name, path)
	f.Mode = 0o600
	if name == backupConfig {
		f.Mode = 0o644
	}
	return append(files, f), err
}

// Times of copyState.
const (
	serveWait  = 3 * time.Second // longer than a daemon takes to notice a change made by a tool
	serveEvery = 50 * time.Millisecond
)

// copyState copies the state to path and describes the copy. It refuses a copy
// whose log ends before what the daemon has served: that is another state, or an
// older one that was put in its place, and its backup would replace a good one.
func (h *here) copyState(path string) (m backup.Manifest, err error) {
	for end := h.c.Now().Add(serveWait); ; {
		served, err := h.ServedTo()
		if err != nil {
			return m, err
		}
		if err := h.Store.Snapshot(h.c, path); err != nil {
			return m, err
		}
		m, has, err := h.manifest(path, served)
		switch {
		case err != nil, has:
			return m, err
		case h.c.Now().After(end):
			return m, fault.Hint(fault.New(fault.Failed, "no backup is made: the log in %s ends at entry %d and lacks entry %d of epoch %d, which iwx-queued has served: the state was replaced by an older one",
				h.State, m.HeadSeq, served.Seq, served.Epoch),
				"check the queue: iwx-queue status; journalctl -u iwx-queued\nif this state is the right one: systemctl restart iwx-queued")
		}
		// iwx-queue recover may have just restored an epoch.
		if err := os.Remove(path); err != nil {
			return m, err
		}
		if err := wait.Sleep(h.c, serveEvery); err != nil {
			return m, err
		}
	}
}

// manifest describes the state file at path, and reports whether its log has the
// position.
func (h *here) manifest(path string, served queue.Position) (m backup.Manifest, has bool, err error) {
	copied, err := state.Open(h.c, path)
	if err != nil {
		return m, false, err
	}
	defer copied.Close()
	id, err := copied.Identity(h.c)
	if err != nil {
		return m, false, err
	}
	head, err := copied.Head(h.c)
	if err != nil {
		return m, false, err
	}
	at, err := copied.PositionAt(h.c, served.Seq)
	if err != nil {
		return m, false, err
	}
	epoch, err := copied.Epoch(h.c)
	return backup.Manifest{
		ClusterID: id.ClusterID, ClusterName: id.ClusterName, QuorumIP: id.Manager.Addr().String(),
		Epoch: epoch, HeadSeq: head.Seq, HeadHash: hex.EncodeToString(head.Hash[:]),
		Created: h.c.Now(), Version: cli.Version, Host: id.Name,
	}, at == served, err
}

// keysIn returns the key store of an unpacked backup.
func keysIn(o *backup.Opened) pki.Store { return pki.Store{Dir: o.Path(backupKeys)} }
