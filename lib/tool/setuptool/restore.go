package setuptool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"iwx/lib/atomicfile"
	"iwx/lib/backup"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/input"
	"iwx/lib/preflight"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/teardown"
)

type restoreVerb struct {
	cli.Yes
	File    string   `arg:"" complete:"file" help:"The backup."`
	Key     string   `placeholder:"FILE" complete:"file" help:"File that holds the recovery key; - for standard input. Without it, the key is asked for."`
	Address ip       `placeholder:"IP" complete:"address" help:"With --root: the server's own address, beside the quorum IP."`
	Ignore  []string `placeholder:"CHECK" complete:"check" help:"Go on although this check fails."`
	Force   bool     `help:"Also on a server that is this cluster's manager: entries queued since the backup are given up."`
	DryRun  bool     `help:"Verify the backup, make the checks, print what would be done, and do nothing."`
}

// Examples implements cli.Exampled.
func (*restoreVerb) Examples() string {
	return "iwx-cluster-setup restore /root/cluster.backup --key recovery.key"
}

// Run makes this server the manager that the backup was made of. Nothing is
// touched before all of the backup has been verified.
func (v *restoreVerb) Run(c *cli.Context) error {
	h, err := lookAt(c)
	if err != nil {
		return err
	}
	defer h.Close()
	file, err := input.Open(c, v.File) // before somebody looks for the key
	if err != nil {
		return err
	}
	defer file.Close()
	key, err := v.key(c)
	if err != nil {
		return err
	}
	fresh := isMissing(h.Lib)
	if err := atomicfile.MkdirAll(h.Lib, 0o700); err != nil {
		return err
	}
	unlock, err := h.lock()
	if err != nil {
		return err
	}
	defer unlock()
	err = v.restore(h, file, key)
	os.RemoveAll(h.Work) // it holds keys; the next run removes what is left
	if fresh {
		os.Remove(h.Lib) // fails when there is anything in it, as it should
	}
	return err
}

// key reads the recovery key. Its errors name the source.
func (v *restoreVerb) key(c *cli.Context) (string, error) {
	if strings.HasPrefix(strings.ToUpper(v.Key), "AGE-SECRET-KEY-") {
		return "", fault.Hint(fault.New(fault.Usage, "the recovery key was given as an argument: it is in the shell's history now, and every user here could see it"),
			"give a file that holds it: --key FILE; or --key -, or leave --key out to be asked")
	}
	where := v.Key + ": "
	var key string
	var err error
	switch v.Key {
	case "":
		where = ""
		key, err = c.Secret("recovery key")
		if fault.CodeOf(err) == fault.Usage {
			err = fault.Hint(err, "give a file that holds it: --key FILE; or --key -")
		}
	case "-":
		where = "standard input: "
		key, err = readAll(c, v.Key)
	default:
		key, err = readAll(c, v.Key)
	}
	if err != nil {
		return "", err
	}
	if err := backup.CheckKey(key); err != nil {
		return "", fault.New(0, "%s%w", where, err)
	}
	return key, nil
}

// unpacked is a backup that has been verified.
type unpacked struct {
	*backup.Opened
	store    *state.Store
	identity *cluster.Identity
	head     queue.Position
	config   conf.Config
}

func (v *restoreVerb) restore(h *here, file io.Reader, key string) error {
	u, err := v.unpack(h, file, key)
	if err != nil {
		return err
	}
	defer func() {
		if u.store != nil {
			u.store.Close()
		}
	}()
	again, err := v.fits(h, u)
	if err != nil {
		return err
	}
	if err := v.check(h, u); err != nil {
		return err
	}
	if v.DryRun {
		return h.c.Printf("would become %s, as of %s, at entry %d\n", who(u.identity), stamp(u.Manifest.Created), u.head.Seq)
	}
	if again {
		h.c.Notef("this backup is restored already")
		_, err := h.take([]step{h.unitStep(unit), h.unitStep(backupTimer)})
		return err
	}
	if h.Identity != nil {
		err := h.c.Confirm(v.Yes.Yes, "replace the state of %s by that of %s?", h.who(), stamp(u.Manifest.Created))
		if err != nil {
			return err
		}
	}
	release, err := h.stopDaemon()
	if err != nil {
		return err
	}
	defer release.Close()
	epoch, err := h.prepare(u)
	if err != nil {
		return err
	}
	if err := h.putInPlace(u); err != nil {
		return err
	}
	release.Close()
	return v.finish(h, u, epoch)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// unpack opens the backup in the work directory and verifies what is in it.
func (v *restoreVerb) unpack(h *here, file io.Reader, key string) (*unpacked, error) {
	if err := h.makeWorkDir(); err != nil {
		return nil, err
	}
	opened, err := backup.Open(file, key, h.Work)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.File, err)
	}
	u := &unpacked{Opened: opened}
	if err := u.verify(h); err != nil {
		if u.store != nil {
			u.store.Close()
		}
		return nil, fmt.Errorf("%s: %w", v.File, err)
	}
	return u, nil
}

// verify opens everything that the daemon will open: that the bytes are those
// of the backup says nothing about whether they are a manager.
func (u *unpacked) verify(h *here) (err error) {
	if u.store, err = state.Open(h.c, u.Path(backupState)); err != nil {
		return err
	}
	if u.identity, err = u.store.Identity(h.c); err != nil {
		return err
	}
	if u.head, err = u.store.Head(h.c); err != nil {
		return err
	}
	ca, err := keysIn(u.Opened).CA()
	if err != nil {
		return err
	}
	if _, err := keysIn(u.Opened).LogKey(); err != nil {
		return err
	}
	if u.config, err = conf.Load(h.c, u.Path(backupConfig)); err != nil {
		return err
	}
	id := u.identity
	if id.Role != cluster.RoleManager || id.ClusterID != ca.ClusterID() || id.ClusterID != u.Manifest.ClusterID || u.head.Seq != u.Manifest.HeadSeq {
		return fault.Hint(fmt.Errorf("%w: its parts do not belong together", backup.ErrDamaged), "take an older backup")
	}
	return nil
}

// reason is what the new epoch's record says; a restore that was done is known
// by it.
func (u *unpacked) reason() string { return "restored from the backup of " + stamp(u.Manifest.Created) }

// fits reports whether the backup may be restored on this server, and whether
// that is what happened last here.
func (v *restoreVerb) fits(h *here, u *unpacked) (again bool, err error) {
	if h.Identity == nil {
		return false, nil
	}
	if h.Identity.Role != cluster.RoleManager || h.Identity.ClusterID != u.identity.ClusterID {
		return false, fault.Hint(fault.New(fault.Failed, "this server is %s, and the backup is of %s", h.who(), who(u.identity)),
			"%s", v.elsewhere(h))
	}
	if v.Force {
		return false, nil
	}
	if again, err = u.isRestored(h); again || err != nil {
		return again, err
	}
	head, err := h.Store.Head(h.c)
	if err != nil {
		return false, err
	}
	return false, fault.Hint(fault.New(fault.Failed, "this server is the manager of this cluster already, at entry %d; the backup ends at %d", head.Seq, u.head.Seq),
		"give up its state and go back to the backup: iwx-cluster-setup restore --force")
}

// elsewhere is the way on for a server that is something else already. Its copies
// of backups go with what it is.
func (v *restoreVerb) elsewhere(h *here) string {
	hint := "restore it on another server, or undo the setup of this one: iwx-cluster-setup reset"
	if path, err := filepath.Abs(v.File); err == nil && filepath.Dir(path) == filepath.Clean(h.Backups) {
		hint += "\nbefore that, put the backup elsewhere, since it would go, too: cp " + v.File + " /root/"
	}
	return hint
}

// isRestored reports whether this server's log goes on where the backup ends,
// with an epoch that began with its restoration.
func (u *unpacked) isRestored(h *here) (bool, error) {
	records, err := h.Store.Records(h.c, u.head.Seq, 1, queue.MaxPage)
	if err != nil || len(records) == 0 || records[0].Kind != queue.KindEpoch {
		return false, err
	}
	epoch, err := queue.DecodeEpoch(records[0].Body)
	if err != nil {
		return false, err
	}
	return epoch.Parent == u.head && epoch.Reason == u.reason(), nil
}

// check makes the checks of a manager, with the backup's settings.
func (v *restoreVerb) check(h *here, u *unpacked) error {
	quorum := u.identity.Manager.Addr()
	h.Config = u.config
	if err := h.readFacts(v.Address.Addr, quorum); err != nil {
		return err
	}
	s := h.server(preflight.Manager)
	s.QuorumIP, s.Port = quorum, u.identity.Manager.Port()
	return h.require(h.c, s, v.Ignore)
}

// prepare makes the unpacked state that of this server, in a new epoch, and
// notes in it what putting it in place makes. What was noted here before goes
// with it.
func (h *here) prepare(u *unpacked) (epoch uint64, err error) {
	floor, err := h.takeNotes(u.store)
	if err != nil {
		return 0, err
	}
	h.Store = u.store
	id := u.identity
	id.MachineID, id.Address = h.Facts.MachineID, h.ownAddress(id.Manager.Addr())
	if err := u.store.SetIdentity(h.c, id); err != nil {
		return 0, err
	}
	if epoch, err = u.store.RaiseEpoch(h.c, floor, u.reason(), h.c.Now().UnixMilli()); err != nil {
		return 0, err
	}
	return epoch, h.noteRestored()
}

// noteRestored notes what a restore makes, whether or not a run that was killed
// has made it already.
func (h *here) noteRestored() error {
	dirs := []string{h.PKI, h.Attempts}
	if h.Own() {
		dirs = append(dirs, h.Run) // else the package's
	}
	for _, dir := range dirs {
		if err := h.note(teardown.Directory, dir); err != nil {
			return err
		}
	}
	if _, err := h.take([]step{h.directories()}); err != nil {
		return err
	}
	if err := h.makeDir(filepath.Dir(h.Paths.Config), 0o755); err != nil {
		return err
	}
	return h.note(teardown.File, h.Paths.Config)
}

// takeNotes copies the notes of the state that is replaced, closes it, and
// returns its epoch, which the new one has to be above.
func (h *here) takeNotes(to *state.Store) (floor uint64, err error) {
	if h.Store == nil {
		return 0, nil
	}
	notes, err := h.Store.Undos(h.c)
	if err != nil {
		return 0, err
	}
	for _, n := range notes {
		if err := to.RecordUndo(h.c, n.Kind, n.Target, n.At); err != nil {
			return 0, err
		}
	}
	if h.Identity != nil {
		if floor, err = h.Store.Epoch(h.c); err != nil {
			return 0, err
		}
		fence, err := h.Store.Fence(h.c)
		if err != nil {
			return 0, err
		}
		if fence != nil {
			floor = max(floor, fence.Epoch)
		}
	}
	return floor, h.Store.Close()
}

// putInPlace moves the files to where they belong, the state last: with it this
// server is the manager, and a run that was killed before can be repeated.
func (h *here) putInPlace(u *unpacked) error {
	if err := h.renewIfOld(u); err != nil {
		return err
	}
	for _, f := range u.Manifest.Files {
		if dir, name := filepath.Split(f.Name); dir == backupKeys+"/" {
			if err := place(u.Path(f.Name), filepath.Join(h.PKI, name), 0o600); err != nil {
				return err
			}
		}
	}
	if err := place(u.Path(backupConfig), h.Paths.Config, 0o644); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := u.store.Close()
	h.Store, u.store = nil, nil
	if err != nil {
		return err
	}
	return placeState(h.Paths, u.Path(backupState))
}

func place(from, to string, mode fs.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return atomicfile.Write(to, data, mode)
}

// renewIfOld gives the manager a new certificate when the backup's is at the end
// of its life: nodes would not believe it.
func (h *here) renewIfOld(u *unpacked) error {
	keys := keysIn(u.Opened)
	cert, err := keys.Certificate()
	if err == nil && cert.Leaf.NotAfter.Sub(h.c.Now()) > renewSoon {
		return nil
	}
	ca, err := keys.CA()
	if err != nil {
		return err
	}
	key, err := keys.EnsureKey()
	if err != nil {
		return err
	}
	fresh, err := ca.SignManager(key.Public(), h.c.Now())
	if err != nil {
		return err
	}
	return keys.SaveCertificate(fresh)
}

// placeState replaces the state file. Closed by its last process, as here, the old one
// has no log any more and is replaced in one step: a run that is killed leaves the old or
// the new one, and the next run needs the epoch of the old one. SQLite would take a log
// that is left for that of the new file, so the old file then goes first, with all that
// belongs to it; between the two this server is not set up.
func placeState(p host.Paths, from string) error {
	if !isMissing(from + "-wal") {
		return fault.New(fault.Failed, "%s is still in use", from)
	}
	if err := syncFile(from); err != nil {
		return err
	}
	old := []string{"-shm"}
	if !isMissing(p.State + "-wal") {
		old = []string{"", "-wal", "-shm"}
	}
	for _, suffix := range old {
		if err := os.Remove(p.State + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(from, p.State); err != nil {
		return err
	}
	return atomicfile.SyncDir(p.Lib)
}

// syncFile makes the whole content durable, at its final mode.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	return f.Sync()
}

// finish starts the daemon and tells what the restore means.
func (v *restoreVerb) finish(h *here, u *unpacked, epoch uint64) error {
	var err error
	if h.Store, err = state.OpenAt(h.c, h.Paths); err != nil {
		return err
	}
	h.Identity = u.identity
	if _, err := h.take([]step{h.unitStep(unit), h.unitStep(backupTimer)}); err != nil {
		return err
	}
	h.c.Notef("this server is now %s, as of %s: %s in the queue, and from here on epoch %d",
		h.who(), stamp(u.Manifest.Created), cli.Count(u.head.Seq, "record", "records"), epoch)
	h.sayStart()
	h.c.Notef("a node that has later entries than these is now 'diverged', and runs nothing")
	h.c.Notef("hint: before you queue anything, take back the entries that nodes have: iwx-queue recover; or give them up: iwx-queue accept")
	return nil
}
