package state_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/state"
)

// shared returns a manager's state that several processes open.
func shared(t *testing.T) (host.Paths, *state.Store) {
	t.Helper()
	paths := host.At(t.TempDir())
	must(t, os.MkdirAll(paths.Lib, 0o700))
	must(t, os.MkdirAll(paths.Run, 0o700))
	s, err := state.CreateAt(t.Context(), paths)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	must(t, s.SetIdentity(t.Context(), &cluster.Identity{Role: cluster.RoleManager, ClusterID: "00c1"}))
	return paths, s
}

// copied makes the state of another manager in its own directory.
func copied(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := state.Create(t.Context(), path)
	must(t, err)
	must(t, s.SetIdentity(t.Context(), &cluster.Identity{Role: cluster.RoleManager, ClusterID: "00c2"}))
	must(t, s.Close())
	return path
}

// disturbances are ways to disturb an open state.
var disturbances = map[string]struct {
	do   func(t *testing.T, paths host.Paths)
	want string // in the error
}{
	"database removed": {func(t *testing.T, p host.Paths) { must(t, os.Remove(p.State)) }, "state.db was removed"},
	"log removed":      {func(t *testing.T, p host.Paths) { must(t, os.Remove(p.State+"-wal")) }, "state.db-wal was removed"},
	"index removed":    {func(t *testing.T, p host.Paths) { must(t, os.Remove(p.State+"-shm")) }, "state.db-shm was removed"},
	"log and index removed": {func(t *testing.T, p host.Paths) {
		must(t, os.Remove(p.State+"-wal"))
		must(t, os.Remove(p.State+"-shm"))
	}, "state.db-wal was removed"},
	"log replaced": {func(t *testing.T, p host.Paths) {
		must(t, os.WriteFile(p.State+".new", nil, 0o600))
		must(t, os.Rename(p.State+".new", p.State+"-wal"))
	}, "state.db-wal was replaced"},
	"database replaced":    {func(t *testing.T, p host.Paths) { must(t, os.Rename(copied(t), p.State)) }, "state.db was replaced"},
	"database moved away":  {func(t *testing.T, p host.Paths) { must(t, os.Rename(p.State, p.State+".damaged")) }, "state.db was removed"},
	"directory moved away": {func(t *testing.T, p host.Paths) { must(t, os.Rename(p.Lib, p.Lib+".old")) }, "state.db was removed"},
	"directory swapped": {func(t *testing.T, p host.Paths) {
		must(t, os.Rename(p.Lib, p.Lib+".old"))
		must(t, exec.CommandContext(t.Context(), "cp", "-a", p.Lib+".old", p.Lib).Run())
	}, "state.db was replaced"},
	"a link elsewhere": {func(t *testing.T, p host.Paths) {
		must(t, os.Remove(p.State))
		must(t, os.Symlink(copied(t), p.State))
	}, "state.db was replaced"},
	"a link to where it was moved": {func(t *testing.T, p host.Paths) {
		must(t, os.Rename(p.State, p.State+".real"))
		must(t, os.Symlink("state.db.real", p.State))
	}, "state.db was replaced"},
	"a link to another name of it": {func(t *testing.T, p host.Paths) {
		must(t, os.Link(p.State, p.State+".other"))
		must(t, os.Remove(p.State))
		must(t, os.Symlink(p.State+".other", p.State))
	}, "state.db was replaced"},
}

// TestLinkIsNotOpened: a process that follows the link has another write-ahead log than
// one that has the same database open under its own name.
func TestLinkIsNotOpened(t *testing.T) {
	paths, s := shared(t)
	must(t, s.Close())
	must(t, os.Rename(paths.State, paths.State+".real"))
	must(t, os.Symlink("state.db.real", paths.State))
	_, err := state.OpenAt(t.Context(), paths)
	if err == nil || !strings.Contains(err.Error(), "is a symbolic link to state.db.real") || !strings.Contains(fault.HintOf(err), "directory") {
		t.Errorf("%v", err)
	}
	if _, err := state.Open(t.Context(), paths.State); err == nil {
		t.Error("Open follows it")
	}
}

// TestAnotherFileUnderTheName: nothing is written to a file that has lost its
// name, and no process waits for it.
func TestAnotherFileUnderTheName(t *testing.T) {
	for what, d := range disturbances {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			paths, s := shared(t)
			_, err := s.Append(t.Context(), draft("before"))
			must(t, err)
			version, err := s.Watch(t.Context())
			must(t, err)
			defer version.Close()
			must(t, s.Check())
			d.do(t, paths)
			_, err = s.Append(t.Context(), draft("after"))
			_, watching := version.Read(t.Context())
			for who, err := range map[string]error{"append": err, "check": s.Check(), "watch": watching, "checkpoint": s.Checkpoint(t.Context())} {
				if err == nil || !strings.Contains(err.Error(), d.want) || fault.HintOf(err) == "" || fault.CodeOf(err) != fault.Failed {
					t.Errorf("%s: %v (exit code %d)", who, err, fault.CodeOf(err))
				}
			}
		})
	}
}

// TestMountedOver: a mount over the directory, or over the file, also counts as
// another file.
func TestMountedOver(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	paths, s := shared(t)
	for what, at := range map[string][2]string{"directory": {filepath.Dir(copied(t)), paths.Lib}, "file": {copied(t), paths.State}} {
		must(t, s.Check())
		must(t, unix.Mount(at[0], at[1], "", unix.MS_BIND, ""))
		_, err := s.Append(t.Context(), draft("after"))
		if err == nil || !strings.Contains(err.Error(), "state.db was replaced") {
			t.Errorf("%s: %v", what, err)
		}
		must(t, unix.Unmount(at[1], 0))
		_, err = s.Append(t.Context(), draft("and back"))
		must(t, err)
	}
}

// TestAnotherProcessDoesNotSplit: a process that starts while another has other
// files open waits for its end, and then has everything acknowledged there; no
// number is acknowledged twice.
func TestAnotherProcessDoesNotSplit(t *testing.T) {
	for what, disturb := range map[string]func(t *testing.T, p host.Paths){
		"log and index": disturbances["log and index removed"].do,
		"log":           disturbances["log removed"].do,
		"index":         disturbances["index removed"].do,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			paths, s := shared(t)
			for i := range 3 {
				_, err := s.Append(t.Context(), draft(fmt.Sprint(i)))
				must(t, err)
			}
			disturb(t, paths)
			other := again(t, "append", paths.State, tagKey+"=other", manyKey+"=1", claimKey+"="+paths.StateClaim)
			out, err := other.StdoutPipe()
			must(t, err)
			must(t, other.Start())
			line := make(chan string, 1)
			go func() {
				buf := make([]byte, 100)
				n, _ := out.Read(buf)
				line <- string(buf[:n])
			}()
			select {
			case text := <-line:
				t.Fatalf("acknowledged beside a process with another file: %s", text)
			case <-time.After(300 * time.Millisecond): // long enough to detect a process that does not wait
			}
			must(t, s.Close())
			if text := <-line; !strings.HasPrefix(text, "4 other-0 ") {
				t.Errorf("after it: %q", text)
			}
			must(t, other.Wait())
		})
	}
}

// TestAnotherProcessIsRefused: while a process with other files does not end,
// no other gets in, and its claim stays.
func TestAnotherProcessIsRefused(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"directory swapped", "database replaced", "log and index removed"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			paths, s := shared(t)
			disturbances[what].do(t, paths)
			_, err := state.OpenAt(t.Context(), paths)
			if err == nil || !strings.Contains(err.Error(), "is not the state that iwx has open") || fault.CodeOf(err) != fault.Busy || !strings.Contains(fault.HintOf(err), "fuser -v "+paths.StateClaim) {
				t.Errorf("%v; hint %q", err, fault.HintOf(err))
			}
			must(t, s.Close())
			again, err := state.OpenAt(t.Context(), paths)
			must(t, err)
			must(t, again.Close())
		})
	}
}

// TestManyProcessesAgree: processes that start and end concurrently never report
// another file.
func TestManyProcessesAgree(t *testing.T) {
	t.Parallel()
	paths, s := shared(t)
	must(t, s.Close())
	var others []*exec.Cmd
	for i := range 6 {
		cmd := again(t, "append", paths.State, tagKey+"="+fmt.Sprint("p", i), manyKey+"=5", claimKey+"="+paths.StateClaim)
		must(t, cmd.Start())
		others = append(others, cmd)
	}
	for _, cmd := range others {
		must(t, cmd.Wait())
	}
	s, err := state.OpenAt(t.Context(), paths)
	must(t, err)
	defer s.Close()
	head, err := s.Head(t.Context())
	must(t, err)
	equal(t, "entries", head.Seq, uint64(30))
}

// TestRescue: a state that lost its name is saved beside it, with everything
// acknowledged, and only then.
func TestRescue(t *testing.T) {
	for what, d := range disturbances {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			paths, s := shared(t)
			for i := range 5 {
				_, err := s.Append(t.Context(), draft(fmt.Sprint(i)))
				must(t, err)
			}
			_, err := s.Head(t.Context())
			must(t, err)
			d.do(t, paths)
			path, err := s.Rescue(t.Context(), time.Unix(0, 0))
			switch {
			case what == "directory moved away":
				if err == nil {
					t.Errorf("saved where there is no directory: %s", path)
				}
				return
			case !strings.Contains(d.want, "state.db was"):
				if path != "" || err != nil {
					t.Errorf("the database has its name, and was saved: %s, %v", path, err)
				}
				return
			}
			must(t, err)
			equal(t, "path", path, paths.State+".lost-19700101T000000Z")
			saved, err := state.Open(t.Context(), path)
			must(t, err)
			defer saved.Close()
			head, err := saved.Head(t.Context())
			must(t, err)
			equal(t, "entries", head.Seq, uint64(5))
		})
	}
}

// TestCheckpoint: a copy of the database file alone has what was written
// before.
func TestCheckpoint(t *testing.T) {
	t.Parallel()
	paths, s := shared(t)
	for i := range 20 {
		_, err := s.Append(t.Context(), draft(fmt.Sprint(i)))
		must(t, err)
	}
	must(t, s.Checkpoint(t.Context()))
	must(t, s.Check())
	alone := filepath.Join(t.TempDir(), "state.db")
	must(t, exec.CommandContext(t.Context(), "cp", paths.State, alone).Run())
	c, err := state.Open(t.Context(), alone)
	must(t, err)
	defer c.Close()
	head, err := c.Head(t.Context())
	must(t, err)
	equal(t, "entries in the copy", head.Seq, uint64(20))
}

// BenchmarkCheck measures the extra cost of each commit, twice.
func BenchmarkCheck(b *testing.B) {
	s := newManager(b)
	for b.Loop() {
		must(b, s.Check())
	}
}
