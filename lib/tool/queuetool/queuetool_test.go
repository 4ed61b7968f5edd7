package queuetool

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/state"
)

func TestParseEntry(t *testing.T) {
	tests := []struct {
		in   string
		want entryName
		ok   bool
	}{
		{"42", entryName{seq: 42}, true},
		{"h3", entryName{held: 3}, true},
		{"2:42", entryName{seq: 42, epoch: 2}, true},
		{in: ""}, {in: "0"}, {in: "-1"}, {in: "h"}, {in: "h0"}, {in: "h-1"}, {in: "2:"}, {in: ":4"}, {in: "2:0"}, {in: "forty"},
		{in: "18446744073709551615"}, {in: "42 "},
	}
	for _, tt := range tests {
		got, err := parseEntry(tt.in)
		if (err == nil) != tt.ok || tt.ok && got != tt.want {
			t.Errorf("parseEntry(%q) = %+v, %v", tt.in, got, err)
		}
		if err != nil && fault.CodeOf(err) != fault.Usage {
			t.Errorf("parseEntry(%q): code %d", tt.in, fault.CodeOf(err))
		}
	}
}

func TestArgumentsKeepTheirBytes(t *testing.T) {
	r := newRig(t, "web1")
	r.want("1\n! queued as 1 for 1 node\n", "add", "--env", "K=\xff", "--", "printf", "a\nb", "\xff\x80", "--flag", "")
	rec, err := r.store.Record(t.Context(), 1)
	r.ok(err)
	command, line := whole(rec.Body, false)
	if fmt.Sprintf("%q", command.Argv) != `["printf" "a\nb" "\xff\x80" "--flag" ""]` || command.Env[0] != "K=\xff" {
		t.Errorf("%q %q", command.Argv, command.Env)
	}
	if want := `printf $'a\nb' $'\xff\x80' --flag ''`; line != want {
		t.Errorf("%s, want %s", line, want)
	}
}

func TestEachNodeIsTakenOnce(t *testing.T) {
	r := newRig(t, "web1", "web2")
	r.want("1\n! queued as 1 for 2 nodes\n", "add", "-n", "web2", "-n", "web1", "-n", "web2", "true")
}

// TestListKeepsOldHalts lists an entry that a node halts at however old it is.
func TestListKeepsOldHalts(t *testing.T) {
	r := newRig(t, "web1", "web2")
	for range 30 {
		r.run("add", "true")
	}
	r.done("web1", 30)
	r.halt("web2", 3, 7)
	r.want("3\thalted\t1/2\n29\treplaying\t1/2\n30\treplaying\t1/2\n", "list", "--limit", "2", "-H", "-o", "entry,state,nodes")
	r.want("3\n4\n", "list", "--pending", "--limit", "2", "-H", "-o", "entry")
	_, _, stderr := r.run("list", "--limit", "2")
	if want := "hint: older entries are pending too: iwx-queue list --pending\n27 more: iwx-queue list --all\n"; stderr != want {
		t.Errorf("%q, want %q", stderr, want)
	}
	if _, out, _ := r.run("list", "--all", "-H"); strings.Count(out, "\n") != 30 {
		t.Errorf("--all lists\n%s", out)
	}
}

// TestWaitIsNotMisledByOldNews waits on, although a node was halted when it last
// reported, when that is about to change.
func TestWaitIsNotMisledByOldNews(t *testing.T) {
	tests := []struct {
		name string
		do   func(*rig)
		code int
	}{
		{"halted", func(*rig) {}, 3},
		{"told to retry", func(r *rig) { r.run("retry", "web1") }, 124},
		{"told to retry, and paused", func(r *rig) { r.run("retry", "web1"); r.run("pause", "web1") }, 3},
		{"to be skipped", func(r *rig) { r.run("skip", "web1", "--yes") }, 124},
		{"cancelled", func(r *rig) { r.run("cancel", "1", "--yes") }, 124},
		{"trying again", func(r *rig) {
			r.report("web1", cluster.Status{Word: "halted", Head: 1, Running: 1, Blocked: &cluster.Blocked{Seq: 1, Attempts: 1}})
		}, 124},
		{"diverged", func(r *rig) { r.report("web1", cluster.Status{Word: "diverged", Head: 1}) }, 3},
		{"deleted", func(r *rig) {
			r.ok(r.store.EndMembership(r.Context(), "id-web1", cluster.Deleted, "ada", time.Now()))
		}, 0},
		{"unreachable", func(r *rig) {
			r.ok(r.store.SaveSilence(r.Context(), map[string]time.Time{"id-web1": time.Now()}))
		}, 124},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, "web1")
			r.run("add", "true")
			r.halt("web1", 1, 1)
			tt.do(r)
			timeout := "1m"
			if tt.code == 124 { // it waits on
				timeout = "30ms"
			}
			if code, _, stderr := r.run("wait", "1", "--timeout", timeout); code != tt.code {
				t.Errorf("exit %d, want %d\n%s", code, tt.code, stderr)
			}
		})
	}
}

// TestWaitEnds waits until the last node reports, from another connection.
func TestWaitEnds(t *testing.T) {
	r := newRig(t, "web1", "web2")
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		for range time.Tick(time.Millisecond) {
			if r.head() > 0 {
				break
			}
		}
		r.done("web1", 1)
		r.done("web2", 1)
	}()
	if code, out, stderr := r.run("add", "--wait-timeout", "20s", "true"); code != 0 || out != "1\n" {
		t.Errorf("exit %d\n%s%s", code, out, stderr)
	}
	<-reported
}

// TestSkipNeedsItsEntry refuses what would skip nothing, or something else.
func TestSkipNeedsItsEntry(t *testing.T) {
	r := newRig(t, "web1", "web2")
	r.run("add", "true")
	r.run("add", "--node", "web2", "true")
	r.want(`
		! iwx-queue: node web1 is not halted: it is current
		! hint: iwx-queue status
		exit 1
		`, "skip", "web1", "--yes")
	r.want("! iwx-queue: entry 2 is not for node web1\nexit 1\n", "skip", "web1", "2", "--yes")
	r.want("! entry 2 counts as skipped on web2\n", "skip", "web2", "2", "--yes")
	r.done("web1", 1)
	r.want("! iwx-queue: node web1 is done with entry 1 already\n! hint: iwx-queue show 1\nexit 1\n", "skip", "web1", "1", "--yes")
	r.report("web2", cluster.Status{Word: "halted", Head: 2, Blocked: &cluster.Blocked{Seq: 1, Error: "the disk is full"}})
	for _, verb := range []string{"skip", "retry"} {
		r.want("! iwx-queue: node web2 is not halted by an entry: the disk is full\n! hint: fix that on web2\nexit 1\n", verb, "web2")
	}
}

// TestHeldOfAnotherTime takes a number that a process of today has for no sign
// that one of an earlier boot lives.
func TestHeldOfAnotherTime(t *testing.T) {
	h := &state.Held{ID: 1, PID: os.Getpid(), Boot: birth(os.Getpid())}
	if !lives(h) {
		t.Error("this process is not found")
	}
	h.Boot = "00000000-0000-0000-0000-000000000000/1"
	if lives(h) {
		t.Error("a process of another boot is taken for this one")
	}
	if got := birth(1 << 30); got != "" || lives(&state.Held{PID: 1 << 30}) {
		t.Errorf("a process that cannot be has a birth: %q", got)
	}
}

// TestOutputThatWasNotKept: a full disk loses the output of any command, which does not
// make it a sensitive one.
func TestOutputThatWasNotKept(t *testing.T) {
	for want, o := range map[string]cluster.Output{
		"":                               {},
		"  stderr: 11 bytes, not kept\n": {Size: 11},
		"  stderr\n    E: x\n":           {Size: 4, Head: []byte("E: x")},
		"  stderr\n    E\n    … 9 bytes left out …\n    x\n": {Size: 11, Head: []byte("E"), Tail: []byte("x")},
	} {
		if got := indented("stderr", o); got != want {
			t.Errorf("%+v: got %q, want %q", o, got, want)
		}
	}
}
