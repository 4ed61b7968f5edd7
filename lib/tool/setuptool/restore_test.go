package setuptool

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"iwx/lib/cli"
	"iwx/lib/cluster"
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

// TestPlaceState: a run that is killed leaves the old state or the new one; without
// either, the next run would begin an epoch that the nodes are past. The log of the old
// state, if it is left, does not become that of the new one.
func TestPlaceState(t *testing.T) {
	for what, crashed := range map[string]bool{"closed": false, "with a log that a crash left": true} {
		t.Run(what, func(t *testing.T) {
			paths, from := host.At(t.TempDir()), filepath.Join(t.TempDir(), "state.db")
			if err := os.MkdirAll(paths.Lib, 0o700); err != nil {
				t.Fatal(err)
			}
			stateOf(t, paths.State, "old")
			stateOf(t, from, "new")
			if crashed {
				for _, suffix := range []string{"-wal", "-shm"} {
					if err := os.WriteFile(paths.State+suffix, []byte("a log"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			removed := removals(t, paths.Lib)
			if err := placeState(paths, from); err != nil {
				t.Fatal(err)
			}
			if names := removed(); slices.Contains(names, "state.db") != crashed {
				t.Errorf("removed before there was another: %q", names)
			}
			s, err := state.Open(t.Context(), paths.State)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if id, err := s.Identity(t.Context()); err != nil || id.Name != "new" {
				t.Errorf("%+v, %v", id, err)
			}
		})
	}
}

// stateOf makes the state of a server with this name.
func stateOf(t *testing.T, path, name string) {
	t.Helper()
	s, err := state.Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetIdentity(t.Context(), &cluster.Identity{Role: cluster.RoleManager, ClusterID: "00c1", Name: name}); err != nil {
		t.Fatal(err)
	}
}

// removals returns a function that returns the names that have been removed from dir.
func removals(t *testing.T, dir string) func() []string {
	t.Helper()
	inotify, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(inotify) })
	if _, err := unix.InotifyAddWatch(inotify, dir, unix.IN_DELETE|unix.IN_MOVED_FROM); err != nil {
		t.Fatal(err)
	}
	return func() (names []string) {
		buf := make([]byte, 64<<10)
		n, _ := unix.Read(inotify, buf) // an error: there are none
		for at := 0; at < n; {
			end := at + unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[at+12:]))
			names = append(names, strings.TrimRight(string(buf[at+unix.SizeofInotifyEvent:end]), "\x00"))
			at = end
		}
		return names
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
