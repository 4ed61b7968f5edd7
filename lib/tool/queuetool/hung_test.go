package queuetool

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"iwx/lib/cluster"
)

// hang reports that the attempt at entry seq should have ended and does not.
func (r *rig) hang(name string, seq uint64, timedOut bool) {
	r.Helper()
	since := time.Now().Add(-23 * time.Second).UnixMilli()
	r.report(name, cluster.Status{Word: "halted", Epoch: 1, Done: seq - 1, Head: seq, Running: seq, RunningSince: since - 2000, Blocked: &cluster.Blocked{
		Epoch: 1, Seq: seq, Attempts: 1, Code: -1, Error: "pid 12524 touch cannot be killed, state D", FirstFailure: since,
		Hung: &cluster.Hung{Since: since, TimedOut: timedOut},
	}})
}

// TestHung: every verb says that the command still runs, and what to do.
func TestHung(t *testing.T) {
	r := newRig(t, "web1", "web2")
	if code, _, stderr := r.run("add", "--", "touch", "/srv/x"); code != 0 {
		t.Fatal(stderr)
	}
	r.done("web2", 1)
	r.hang("web1", 1, true)
	const why = `over its time for 2\ds; pid 12524 touch cannot be killed, state D`
	for _, tt := range []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"status", 3, `(?s)^2 nodes: 1 halted \(web1\), 1 current\n.*RUNNING.*RUNNING SINCE.*` + why,
			`^hint: on web1: free the resource that entry 1 waits for, or restart the server; iwx-queue skip web1 lets it go on then without entry 1\n$`},
		{"status -H -o node,state,running,error", 3, `^web1\thalted\t1\t` + why + `\nweb2\tcurrent\t-\t-\n$`, ""},
		{"show 1", 0, `(?s)web1 +halted.*` + why, ""},
		{"wait 1", 3, "", `^iwx-queue: entry 1 does not end on web1: ` + why + `\nhint: iwx-queue show 1\n$`},
		{"retry", 4, "", `^iwx-queue: entry 1 is still running on web1: ` + why + `\nhint: on web1: free the resource it waits for, or restart the server\n$`},
		{"retry web1", 4, "", `still running on web1: ` + why},
		{"retry --all", 4, "", `still running on web1: ` + why},
		{"skip web1", 2, "", `on web1 it does not end: ` + why + `\nweb1 is running it now; if it succeeds, that counts\n`},
		{"skip web1 -y", 0, "", `^entry 1 counts as skipped on web1\nweb1 goes on once the process that cannot be killed is gone: free the resource it waits for, or restart the server\n$`},
	} {
		code, stdout, stderr := r.run(strings.Fields(tt.args)...)
		if code != tt.code || !regexp.MustCompile(tt.stdout).MatchString(stdout) || !regexp.MustCompile(tt.stderr).MatchString(stderr) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", tt.args, code, stdout, stderr)
		}
	}
}

// TestHungBesideHalted: one node can retry, the other cannot yet.
func TestHungBesideHalted(t *testing.T) {
	r := newRig(t, "web1", "web2")
	if code, _, stderr := r.run("add", "--", "touch", "/srv/x"); code != 0 {
		t.Fatal(stderr)
	}
	r.halt("web2", 1, 1)
	r.hang("web1", 1, false)
	code, _, stderr := r.run("retry", "--all")
	if code != 0 || !strings.HasSuffix(stderr, "web2 tries entry 1 again\n") ||
		!regexp.MustCompile(`^iwx-queue: warning: entry 1 is still running on web1: ended 2\ds ago; pid 12524 touch cannot`).MatchString(stderr) {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}
