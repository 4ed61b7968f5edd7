package profile_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"iwx/lib/profile"
	"iwx/lib/testenv"
)

func converge(t *testing.T, w *world, doc profile.Document) profile.Status {
	t.Helper()
	s, err := w.converger().Converge(t.Context(), doc.Revision())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOrder(t *testing.T) {
	w := newWorld()
	s := converge(t, w, document("mount /a=1", "mount /a/b=1", "export /c=1"))
	if !s.Current() || s.Reached != document("mount /a=1", "mount /a/b=1", "export /c=1").Version() {
		t.Errorf("status %+v", s)
	}
	converge(t, w, document("mount /d=1"))
	want := []string{
		"apply mount /a", "apply mount /a/b", "apply export /c",
		"remove export /c", "remove mount /a/b", "remove mount /a", "apply mount /d",
	}
	if !slices.Equal(w.applied, want) {
		t.Errorf("%q", w.applied)
	}
}

func TestAgainIsNothing(t *testing.T) {
	w := newWorld()
	doc := document("mount /a=1", "mount /b=1")
	first := converge(t, w, doc)
	w.applied, w.now = nil, w.now.Add(time.Hour)
	if again := converge(t, w, doc); len(w.applied) > 0 || !reflect.DeepEqual(first, again) {
		t.Errorf("%q\n%+v\n%+v", w.applied, first, again)
	}
}

func TestFailures(t *testing.T) {
	tests := []struct {
		name          string
		before, after profile.Document
		broken        string
		want          string
	}{
		{"one does not hold up the others", document(), document("mount /a=1", "mount /b=1"), "mount /a",
			"mount /a: failed: mount /a is broken\nmount /b: applied"},
		{"what is beneath waits", document(), document("mount /a=1", "mount /a/b=1", "mount /ab=1"), "mount /a",
			"mount /a: failed: mount /a is broken\nmount /a/b: pending: waits for mount /a\nmount /ab: applied"},
		{"a newer kind", document(), document("teleport /a=1", "mount /b=1"), "",
			"teleport /a: needs upgrade: this version of iwx does not know the kind \"teleport\": it needs a newer iwx\nmount /b: applied"},
		{"what cannot be taken back", document("mount /a=1", "mount /a/b=1", "mount /c=1"), document("mount /d=1", "mount /a/b/c=1"), "mount /a/b",
			"mount /d: applied\nmount /a/b/c: pending: waits for mount /a/b\n" +
				"take back mount /a/b: failed: mount /a/b is busy\ntake back mount /a: pending: waits for mount /a/b, which is still to be taken back"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			converge(t, w, tt.before)
			w.broken[tt.broken] = true
			s := converge(t, w, tt.after)
			if got := page(s); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if s.Current() || s.Reached == s.Desired {
				t.Error("it counts as current")
			}
			delete(w.broken, tt.broken)
			if s := converge(t, w, tt.after); !s.Current() && tt.broken != "" {
				t.Errorf("repaired, and still %s", page(s))
			}
		})
	}
}

// TestFailsLater holds that what was reached and no longer is shows, with the
// time at which that came about.
func TestFailsLater(t *testing.T) {
	w := newWorld()
	doc := document("mount /a=1")
	converge(t, w, doc)
	delete(w.things, "mount /a")
	w.broken["mount /a"] = true
	w.now = w.now.Add(time.Minute)
	converge(t, w, doc)
	w.now = w.now.Add(time.Minute)
	s := converge(t, w, doc)
	if s.Current() || s.Reached != doc.Version() || s.Items[0].Since != 61000 {
		t.Errorf("%+v", s)
	}
}

// TestWhatWasThereStays holds for things that iwx did not make: they are
// neither changed nor taken back.
func TestWhatWasThereStays(t *testing.T) {
	w := newWorld()
	w.things["mount /a"] = thing{value: `"1"`}
	w.things["mount /b"] = thing{value: `"other"`}
	before := maps.Clone(w.things)
	s := converge(t, w, document("mount /a=1", "mount /b=1"))
	if got, want := page(s), "mount /a: applied\nmount /b: failed: mount /b is broken"; got != want {
		t.Errorf("%s", got)
	}
	converge(t, w, document())
	if !maps.Equal(w.things, before) || len(w.saved.Begun) > 0 {
		t.Errorf("%v, %v", w.things, w.saved.Begun)
	}
}

func TestPlan(t *testing.T) {
	w := newWorld()
	converge(t, w, document("mount /a=1", "mount /b=1", "mount /c=1"))
	before, applied := maps.Clone(w.things), len(w.applied)
	changes, err := w.converger().Plan(t.Context(), document("mount /b=1", "mount /c=2", "teleport /d=1"))
	var lines []string
	for _, c := range changes {
		lines = append(lines, fmt.Sprint(c.Text, c.Err))
	}
	want := []string{"take back mount /a<nil>", "make mount /c<nil>", `this version of iwx does not know the kind "teleport": it needs a newer iwx`}
	if err != nil || !slices.Equal(lines, want) {
		t.Errorf("%q, %v", lines, err)
	}
	if !maps.Equal(w.things, before) || len(w.applied) != applied {
		t.Error("the plan has changed something")
	}
}

// randomDocument has a few of a few items, in random order: paths within each
// other, and several specs.
func randomDocument(r *rand.Rand) profile.Document {
	var items []string
	for _, name := range []string{"mount /a", "mount /a/b", "mount /a/b/c", "mount /d", "export /a", "export /d"} {
		if r.Intn(2) == 0 {
			items = append(items, fmt.Sprintf("%s=%d", name, r.Intn(3)))
		}
	}
	if r.Intn(4) == 0 {
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	}
	return document(items...)
}

// checkWorld fails unless the server is as the document says, and nothing more.
func checkWorld(t *testing.T, w *world, doc profile.Document, seed int64) {
	t.Helper()
	want := map[string]thing{"mount /theirs": {value: "x"}}
	for _, item := range doc.Items {
		want[item.String()] = thing{string(item.Spec), true}
	}
	if !maps.Equal(w.things, want) {
		t.Fatalf("seed %d: the server has %v, want %v", seed, w.things, want)
	}
	if len(w.saved.Begun) != len(doc.Items) {
		t.Fatalf("seed %d: the journal has %v, the document %v", seed, w.saved.Begun, doc.Items)
	}
}

// TestAnyHistory goes through random documents with random failures and power
// cuts at any operation, and then lets one document be reached.
func TestAnyHistory(t *testing.T) {
	cuts := 0
	for seed := range int64(3000) {
		r := rand.New(rand.NewSource(seed))
		w := newWorld()
		w.things["mount /theirs"] = thing{value: "x"}
		for range r.Intn(6) {
			w.broken = map[string]bool{}
			for _, name := range []string{"mount /a", "mount /a/b", "export /d"} {
				w.broken[name] = r.Intn(4) == 0
			}
			w.breath = r.Intn(40) - 5
			// The errors are those of the disk after the power was cut.
			_, _ = w.converger().Converge(t.Context(), randomDocument(r).Revision())
			if w.breath == 0 {
				cuts++
			}
		}
		w.broken, w.breath = map[string]bool{}, -1
		doc := randomDocument(r)
		s := converge(t, w, doc)
		if !s.Current() {
			t.Fatalf("seed %d: %s", seed, page(s))
		}
		checkWorld(t, w, doc, seed)
		converge(t, w, profile.Document{})
		checkWorld(t, w, profile.Document{}, seed)
	}
	if cuts < 1000 {
		t.Errorf("the power was cut %d times only", cuts)
	}
}

// TestResume holds that a boot without a manager goes on with what was
// received.
func TestResume(t *testing.T) {
	w := newWorld()
	if s, err := w.converger().Resume(t.Context()); err != nil || s.Desired != "" || len(w.applied) > 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	w.breath = 2 // enough to receive, not to apply
	doc := document("mount /a=1")
	_, _ = w.converger().Converge(t.Context(), doc.Revision())
	if w.saved.Desired.Version == "" || len(w.things) > 0 {
		t.Fatalf("%v", w.things)
	}
	w.breath = -1
	s, err := w.converger().Resume(t.Context())
	if err != nil || !s.Current() || w.things["mount /a"].value != `"1"` {
		t.Errorf("%+v, %v", s, err)
	}
}

// hanging is an applier that does not heed its deadline for one item.
type hanging struct {
	*world
	release chan struct{}
}

func (h hanging) Check(ctx context.Context, item profile.Item) (string, error) {
	if item.Name == "/hung" {
		<-h.release
		if ctx.Err() != nil {
			return "", ctx.Err() // too late: nobody waits for it
		}
	}
	return h.world.Check(ctx, item)
}

func TestHungItem(t *testing.T) {
	w := newWorld()
	h := hanging{w, make(chan struct{})}
	c := w.converger()
	c.Appliers["mount"], c.Limit = h, time.Millisecond
	rev := document("mount /hung=1", "mount /b=1").Revision()
	for _, want := range []string{"no answer within 1ms; it may still hang", "the call that began at 1970-01-01T00:00:01Z still hangs"} {
		s, err := c.Converge(t.Context(), rev)
		if got := page(s); err != nil || got != "mount /hung: failed: "+want+"\nmount /b: applied" {
			t.Errorf("%s, %v", got, err)
		}
	}
	close(h.release)
	testenv.Until(t, "all items are applied", func() bool {
		s, err := c.Converge(t.Context(), rev)
		return err == nil && s.Current()
	})
}

// bursting is an applier that panics for some items, in one of its methods.
type bursting struct {
	*world
	method string
}

func (b bursting) burst(method string, item profile.Item) {
	if b.method == method && item.Name == "/burst" {
		panic("no such item")
	}
}

func (b bursting) Check(ctx context.Context, item profile.Item) (string, error) {
	b.burst("check", item)
	return b.world.Check(ctx, item)
}

func (b bursting) Apply(ctx context.Context, item profile.Item) error {
	b.burst("apply", item)
	return b.world.Apply(ctx, item)
}

func (b bursting) Remove(ctx context.Context, item profile.Item) error {
	b.burst("remove", item)
	return b.world.Remove(ctx, item)
}

// TestPanickingItem: an item whose applier panics has failed, the others are
// applied, and the item is applied once it no longer panics.
func TestPanickingItem(t *testing.T) {
	with, without := document("mount /burst=1", "mount /b=1"), document("mount /b=1")
	for _, method := range []string{"check", "apply", "remove"} {
		w := newWorld()
		c := w.converger()
		var log bytes.Buffer
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
		doc := with
		if method == "remove" {
			converge(t, w, with)
			doc = without
		}
		c.Appliers["mount"] = bursting{w, method}
		s, err := c.Converge(t.Context(), doc.Revision())
		if got := page(s); err != nil || !strings.Contains(got, "mount /burst: failed: internal error: panic: no such item") || !strings.Contains(got, "mount /b: applied") {
			t.Errorf("%s: %s, %v", method, got, err)
		}
		if !strings.Contains(log.String(), `work="item mount /burst of the profile"`) || !strings.Contains(log.String(), "bursting.burst (") {
			t.Errorf("%s: logged %s", method, log.String())
		}
		c.Appliers["mount"] = w
		if s, err := c.Converge(t.Context(), doc.Revision()); err != nil || !s.Current() {
			t.Errorf("%s: afterwards %s, %v", method, page(s), err)
		}
	}
}

// TestKeeperPanics: a panic outside of an item is reported, and the work is
// tried again.
func TestKeeperPanics(t *testing.T) {
	w := newWorld()
	c := w.converger()
	broken := true
	c.Lock = func(context.Context) (func(), error) {
		if broken {
			panic("no such lock")
		}
		return func() {}, nil
	}
	k, err := profile.NewKeeper(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	rev := document("mount /a=1").Revision()
	k.Receive(&rev)
	if s := k.Once(t.Context()); s.Error != "internal error: panic: no such lock" {
		t.Errorf("%+v", s)
	}
	broken = false
	if s := k.Once(t.Context()); !s.Current() {
		t.Errorf("%+v", s)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	w := newWorld()
	long := "/" + strings.Repeat("é", 1000)
	w.broken["mount "+long] = true
	s := converge(t, w, document("mount "+long+"=1"))
	if n := len(s.Items[0].Error); n < 290 || n > 310 {
		t.Errorf("%d bytes", n)
	}
}
