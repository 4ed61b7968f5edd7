package setuptool

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iwx/lib/cli"
	"iwx/lib/host"
	"iwx/lib/pki"
	"iwx/lib/queue"
	"iwx/lib/state"
)

// backup makes a backup of the rig's manager, and returns it with its key.
func (r *rig) backup() (file, key string) {
	r.t.Helper()
	dir := r.t.TempDir()
	file, key = filepath.Join(dir, "backup"), filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(r.recovery), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if _, _, err := r.run(r.manager, r.clock, &backupVerb{File: file}); err != nil {
		r.t.Fatal(err)
	}
	return file, key
}

func (r *rig) restore(v *restoreVerb) (stderr string, err error) {
	r.t.Helper()
	_, stderr, err = r.run(r.manager, r.clock, v)
	return stderr, err
}

func (r *rig) add() {
	r.t.Helper()
	command := queue.Command{Argv: []string{"/bin/true"}}
	body, err := command.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = r.store(r.manager).Append(r.t.Context(), state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: body})
	if err != nil {
		r.t.Fatal(err)
	}
}

// Each restore begins an epoch that was never used, also when the same backup
// is restored over a state that has gone on.
func TestForcedRestoreGoesToANewEpoch(t *testing.T) {
	r := newRig(t)
	r.add()
	file, key := r.backup()
	r.add()
	_, err := r.restore(&restoreVerb{File: file, Key: key})
	wantError(t, err, "at entry 2; the backup ends at 1", "--force")
	for want := uint64(2); want < 5; want++ {
		if _, err := r.restore(&restoreVerb{File: file, Key: key, Force: true, Ignore: []string{"ports"}}); err == nil {
			t.Fatal("the manager's state was replaced without a question")
		}
		if _, err := r.restore(&restoreVerb{File: file, Key: key, Force: true, Yes: cli.Yes{Yes: true}, Ignore: []string{"ports"}}); err != nil {
			t.Fatal(err)
		}
		store := r.store(r.manager)
		epoch, err := store.Epoch(t.Context())
		head, err2 := store.Head(t.Context())
		if epoch != want || head.Epoch != want || head.Seq != 2 || err != nil || err2 != nil {
			t.Errorf("epoch %d, head %v, want epoch %d and entry 2 (%v, %v)", epoch, head, want, err, err2)
		}
		stderr, err := r.restore(&restoreVerb{File: file, Key: key, Ignore: []string{"ports"}})
		if err != nil || !strings.Contains(stderr, "restored already") {
			t.Errorf("%v: %s", err, stderr)
		}
	}
}

// A backup that is older than the manager's certificate lives is still one to
// restore.
func TestRestoreRenewsAnOldCertificate(t *testing.T) {
	r := newRig(t)
	file, key := r.backup()
	if err := os.RemoveAll(host.At(r.manager).Lib); err != nil {
		t.Fatal(err)
	}
	r.clock.move(2 * pki.LeafLife)
	if _, err := r.restore(&restoreVerb{File: file, Key: key, Address: r.ip(2), Ignore: []string{"ports"}}); err != nil {
		t.Fatal(err)
	}
	cert, err := pki.Store{Dir: host.At(r.manager).PKI}.Certificate()
	if err != nil || cert.Leaf.NotAfter.Before(r.clock.read().Add(pki.LeafLife/2)) {
		t.Errorf("certificate until %v, %v", cert.Leaf.NotAfter, err)
	}
}

// Settings that were edited come back with the state.
func TestRestoreBringsTheSettings(t *testing.T) {
	r := newRig(t)
	config := host.At(r.manager).Config
	if err := os.WriteFile(config, []byte("[queue]\nhistory_days = 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	file, key := r.backup()
	if err := os.RemoveAll(r.manager); err != nil {
		t.Fatal(err)
	}
	if _, err := r.restore(&restoreVerb{File: file, Key: key, Address: r.ip(2), Ignore: []string{"ports"}}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(config); err != nil || !strings.Contains(string(text), "history_days = 3") {
		t.Errorf("%v: %s", err, text)
	}
}
