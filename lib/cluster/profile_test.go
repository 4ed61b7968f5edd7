package cluster_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/profile"
	"iwx/lib/queue"
)

// profiled lets the lab's nodes have the profiles that doc returns, by name.
func (l *lab) profiled(doc func(name string) (profile.Document, error)) {
	l.Profiles = func(_ *cluster.Identity, members []cluster.Roster) (map[string]profile.Document, error) {
		documents := map[string]profile.Document{}
		for _, n := range members {
			d, err := doc(n.Name)
			if err != nil {
				return documents, err
			}
			documents[n.ID] = d
		}
		return documents, nil
	}
	l.refresh()
}

func mounts(paths ...string) profile.Document {
	var doc profile.Document
	for _, path := range paths {
		doc.Items = append(doc.Items, profile.Item{Kind: "mount", Name: path})
	}
	return doc
}

// askProfile polls as a node that has the version.
func (l *lab) askProfile(s *server, version string, wait time.Duration) *cluster.PollAnswer {
	l.t.Helper()
	a, err := l.Poll(l.t.Context(), s.id, s.remote, &cluster.PollRequest{
		Instance: s.instance, Position: cluster.WirePosition(l.head()), Profile: version, Wait: wait.Milliseconds(),
	})
	check(l.t, err)
	return a
}

// TestProfileIsSent: once, to those who lack it, each its own.
func TestProfileIsSent(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		web1, web2 := l.joined("web1"), l.joined("web2")
		l.profiled(func(name string) (profile.Document, error) { return mounts("/" + name), nil })
		begun := time.Now()
		a := l.askProfile(web1, profile.None, time.Minute)
		if a.Profile == nil || a.Profile.Version != mounts("/web1").Version() || len(a.Profile.Items) != 1 || a.Profile.Items[0].Name != "/web1" {
			t.Fatalf("web1 was sent %+v", a.Profile)
		}
		if b := l.askProfile(web2, a.Profile.Version, time.Minute); b.Profile == nil || b.Profile.Items[0].Name != "/web2" {
			t.Errorf("web2 was sent %+v", b.Profile)
		}
		if time.Since(begun) != 0 {
			t.Errorf("it took %s", time.Since(begun))
		}
		if again := l.askProfile(web1, a.Profile.Version, time.Minute); again.Profile != nil || time.Since(begun) != time.Minute {
			t.Errorf("again after %s: %+v", time.Since(begun), again.Profile)
		}
		if old := l.askProfile(web1, "", 0); old.Profile != nil {
			t.Error("a node that knows of no profiles was sent one")
		}
	})
}

// TestProfileChanges: a poll that is held open is answered when the document
// changes.
func TestProfileChanges(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		doc := mounts("/a")
		l.profiled(func(string) (profile.Document, error) { return doc, nil })
		answered := make(chan *cluster.PollAnswer, 1)
		go func() { answered <- l.askProfile(s, mounts("/a").Version(), time.Minute) }()
		synctest.Wait()
		l.refresh()
		synctest.Wait()
		select {
		case a := <-answered:
			t.Fatalf("answered with nothing new: %+v", a)
		default:
		}
		doc = mounts("/b")
		begun := time.Now()
		l.refresh()
		if a := <-answered; a.Profile == nil || a.Profile.Items[0].Name != "/b" || time.Since(begun) != 0 {
			t.Errorf("after %s: %+v", time.Since(begun), a)
		}
	})
}

// TestProfileWhateverTheQueue: it is sent to a node whose queue stands still.
func TestProfileWhateverTheQueue(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.add(queue.Members(), 1)
		l.profiled(func(string) (profile.Document, error) { return mounts("/a"), nil })
		check(t, l.store.Pause(t.Context(), []string{s.id}, true))
		l.refresh()
		for word, at := range map[string]queue.Position{
			"":                      l.head(),
			cluster.TroubleDiverged: {Epoch: 1, Seq: 1},
			cluster.TroubleRewound:  {Epoch: 1, Seq: 9},
		} {
			a, err := l.Poll(t.Context(), s.id, s.remote, &cluster.PollRequest{Instance: s.instance, Position: cluster.WirePosition(at), Profile: profile.None})
			check(t, err)
			if a.Orders.Trouble != word || a.Profile == nil {
				t.Errorf("at %+v: trouble %q, want %q; profile %+v", at, a.Orders.Trouble, word, a.Profile)
			}
		}
	})
}

// TestProfileCannotBeMade: the nodes keep what they have, the queue goes on,
// and it is logged once.
func TestProfileCannotBeMade(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		web1, web2 := l.joined("web1"), l.joined("web2")
		var wrong error
		docs := map[string]profile.Document{"web1": mounts("/a"), "web2": mounts("/a")}
		l.profiled(func(name string) (profile.Document, error) { return docs[name], wrong })
		docs["web1"], docs["web2"] = mounts("/b", "/b"), mounts("/c")
		l.refresh()
		if a := l.askProfile(web1, profile.None, 0); a.Profile == nil || a.Profile.Items[0].Name != "/a" {
			t.Errorf("web1: %+v", a.Profile)
		}
		if a := l.askProfile(web2, profile.None, 0); a.Profile == nil || a.Profile.Items[0].Name != "/c" {
			t.Errorf("web2: %+v", a.Profile)
		}
		wrong = errors.New("no settings")
		for range 3 {
			l.add(queue.Members(), 1)
			l.refresh()
		}
		if a := l.askProfile(web2, profile.None, 0); a.Profile == nil || a.Profile.Items[0].Name != "/c" || a.Head != 3 {
			t.Errorf("web2: %+v", a)
		}
		if n := strings.Count(l.log.String(), "no settings"); n != 1 || !strings.Contains(l.log.String(), "node web1: profile: mount /b is in it twice") {
			t.Errorf("logged %d times:\n%s", n, l.log)
		}
	})
}

// TestProfileIsReported: what a node tells of its profile is known of it.
func TestProfileIsReported(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		if n := l.node(s); n.Profile().Desired != "" {
			t.Errorf("before: %+v", n.Profile())
		}
		want := profile.Status{Desired: "b", Reached: "a", Items: []profile.Result{{Kind: "mount", Name: "/a", Word: profile.WordFailed, Error: "busy", Since: 1}}}
		check(t, l.Report(t.Context(), s.id, s.remote, &cluster.Report{Instance: s.instance, Status: cluster.Status{Word: "current", Profile: &want}}))
		n := l.node(s)
		if got := n.Profile(); got.Current() || got.Desired != "b" || got.Trouble() == nil || *got.Trouble() != want.Items[0] {
			t.Errorf("%+v", got)
		}
	})
}
