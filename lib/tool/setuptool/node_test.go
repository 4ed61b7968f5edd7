package setuptool

import (
	"os"
	"strings"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/pki"
	"iwx/lib/preflight"
)

func TestExpiredTokenTellsWhen(t *testing.T) {
	r := newRig(t)
	token := r.token(nil)
	r.clock.move(2 * time.Hour)
	r.nodes.move(2 * time.Hour)
	_, err := r.join(token)
	wantError(t, err, "expired at "+r.clock.read().Add(-time.Hour).UTC().Format(time.RFC3339), "iwx-node add web1")
	if !isMissing(host.At(r.node).Lib) {
		t.Error("a refused server keeps files of the attempt")
	}
}

// The manager's certificate would not be valid yet by the node's clock: that is
// not what is wrong.
func TestClockSkewIsToldInSeconds(t *testing.T) {
	r := newRig(t)
	r.nodes.move(-48 * time.Hour)
	_, err := r.join(r.token(nil))
	wantError(t, err, "clock: the node's clock is 172800 s behind the manager's", preflight.SyncClocks, "--ignore clock")
}

// TestDriftingClock: a member whose clock has gone wrong is told by how much, also
// where the certificates are not valid by that clock.
func TestDriftingClock(t *testing.T) {
	for off, want := range map[time.Duration]string{
		time.Hour:       "this server's clock is 3600 s ahead of the manager's",
		-time.Minute:    "this server's clock is 60 s behind the manager's",
		-48 * time.Hour: "this server's clock is 172800 s behind the manager's",
	} {
		r := newRig(t)
		if _, err := r.join(r.token(nil)); err != nil {
			t.Fatal(err)
		}
		r.nodes.move(off)
		out, hints, err := r.run(r.node, r.nodes, &statusVerb{})
		if fault.CodeOf(err) != fault.Unhealthy || !strings.Contains(out, want) || !strings.Contains(hints, preflight.SyncClocks) {
			t.Errorf("%s off: %v\n%s%s", off, err, out, hints)
		}
	}
}

func TestLostAnswerCostsNothing(t *testing.T) {
	r := newRig(t)
	token := r.token(nil)
	r.lose = true
	_, err := r.join(token)
	wantError(t, err, "the answer is lost")
	key, err := os.ReadFile(host.At(r.node).PKI + "/server.key")
	if err != nil {
		t.Fatal("the key that the manager signed for is gone")
	}
	r.lose = false
	if _, err := r.join(token); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(host.At(r.node).PKI + "/server.key"); err != nil || string(again) != string(key) {
		t.Error("the second attempt was made with another key", err)
	}
	members, err := r.store(r.manager).Nodes(t.Context())
	if err != nil || len(members) != 1 || members[0].ID != r.identity().NodeID {
		t.Errorf("members %v, %v", members, err)
	}
}

// A node that was off for longer than its certificate lives joins again, and is
// the node that it was.
func TestRejoinKeepsThePlace(t *testing.T) {
	r := newRig(t)
	if _, err := r.join(r.token(nil)); err != nil {
		t.Fatal(err)
	}
	before := r.identity()
	for _, k := range []*clock{r.clock, r.nodes} {
		k.move(pki.LeafLife / 2)
	}
	stderr, err := r.join(r.token(nil))
	if err != nil || !strings.Contains(stderr, "already a member: node web1") {
		t.Errorf("%v: %s", err, stderr)
	}

	r.nodes.move(pki.LeafLife)
	out, _, err := r.run(r.node, r.nodes, &statusVerb{})
	if err == nil || !strings.Contains(out, "the certificate has expired") {
		t.Errorf("%v: %s", err, out)
	}
	r.nodes.move(-pki.LeafLife)

	r.nodes.move(pki.LeafLife/2 + time.Second)
	r.clock.move(pki.LeafLife / 2)
	if _, _, err := r.run(r.manager, r.clock, &renewVerb{}); err != nil {
		t.Fatal(err)
	}
	// The rig's server has the old certificate; its time is the manager's.
	r.clock.move(-time.Hour)
	r.nodes.move(-time.Hour)
	if _, err := r.join(r.token(func(k *cluster.Token) { k.Rejoin = before.NodeID })); err != nil {
		t.Fatal(err)
	}
	if after := r.identity(); after.NodeID != before.NodeID || after.Start != before.Start {
		t.Errorf("was %v, is %v", before, after)
	}
}

// A node that the manager refuses for good does not try to join over that.
func TestRefusedNodeIsTold(t *testing.T) {
	r := newRig(t)
	if _, err := r.join(r.token(nil)); err != nil {
		t.Fatal(err)
	}
	store := r.store(r.node)
	if err := store.SaveSilent(t.Context(), r.nodes.read(), cluster.RefusedClone, "another server is using this node's certificate", "iwx-cluster-setup reset --local"); err != nil {
		t.Fatal(err)
	}
	_, err := r.join(r.token(nil))
	wantError(t, err, "another server is using", "reset --local")
	out, _, err := r.run(r.node, r.nodes, &statusVerb{})
	if err == nil || !strings.Contains(out, "the manager refuses this server: another server is using") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestIgnoredCheckOfTheManager(t *testing.T) {
	r := newRig(t)
	r.nodes.move(-time.Minute)
	token := r.token(nil)
	_, err := r.join(token)
	wantError(t, err, "60 s behind")
	stderr, err := r.join(token, "clock")
	if err != nil || !strings.Contains(stderr, "60 s behind the manager's (ignored)") {
		t.Errorf("%v: %s", err, stderr)
	}
}

func TestUnknownToken(t *testing.T) {
	r := newRig(t)
	_, err := r.join(r.tokenFile(r.newToken()))
	wantError(t, err, "the manager knows no token", "iwx-node add NAME")
	token := r.newToken()
	r.token(func(k *cluster.Token) { k.ID = token.ID.String() })
	_, err = r.join(r.tokenFile(token))
	wantError(t, err, "the secret of token "+token.ID.String()+" is wrong")
	if !isMissing(host.At(r.node).Lib) {
		t.Error("a refused server keeps files of the attempt")
	}
}
