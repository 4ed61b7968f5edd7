package profile_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/profile"
)

func keep(t *testing.T, w *world) *profile.Keeper {
	t.Helper()
	c := w.converger()
	c.Now = time.Now
	k, err := profile.NewKeeper(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestKeeper runs in virtual time.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := keep(t, w)
		if k.Version() != profile.None {
			t.Errorf("version %q before there is one", k.Version())
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- k.Run(ctx) }()
		synctest.Wait()

		doc := document("mount /a=1")
		rev := doc.Revision()
		k.Receive(&rev)
		<-k.Changed()
		synctest.Wait()
		if s := k.Status(); !s.Current() || k.Version() != rev.Version {
			t.Errorf("%+v", s)
		}
		<-k.Changed()

		// An item that is lost is made again; one that fails is reported, and
		// made when that works.
		w.set(func() {
			w.broken["mount /a"] = true
			delete(w.things, "mount /a")
		})
		<-k.Changed()
		if s := k.Status(); s.Current() || s.Trouble().Error != "mount /a is broken" {
			t.Errorf("%+v", s)
		}
		w.set(func() { w.broken["mount /a"] = false })
		<-k.Changed()
		if s := k.Status(); !s.Current() {
			t.Errorf("%+v", s)
		}

		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if after := keep(t, w); after.Version() != rev.Version {
			t.Errorf("the next daemon has %s", after.Version())
		}
	})
}

// TestKeeperLooksWhenAsked holds that a word of the manager has things looked
// at, and that many do not keep the server busy.
func TestKeeperLooksWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		rev := document("mount /a=1").Revision()
		k := keep(t, w)
		k.Receive(&rev)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = k.Run(ctx) }()
		synctest.Wait()
		for _, tt := range []struct {
			wait time.Duration
			back bool
		}{{time.Second, false}, {11 * time.Second, true}} {
			w.set(func() { delete(w.things, "mount /a") })
			time.Sleep(tt.wait) // virtual
			k.Receive(nil)
			synctest.Wait()
			if back := w.has("mount /a"); back != tt.back {
				t.Errorf("asked after %s: back is %v", tt.wait, back)
			}
		}
	})
}

// TestKeeperDiskFull holds that nothing is done that cannot be noted, and that
// the document is not lost.
func TestKeeperDiskFull(t *testing.T) {
	w := newWorld()
	k := keep(t, w)
	rev := document("mount /a=1").Revision()
	k.Receive(&rev)
	w.breath = 1
	if s := k.Once(t.Context()); s.Current() || s.Error != errCrash.Error() || len(w.things) > 0 {
		t.Errorf("%+v, %v", s, w.things)
	}
	w.breath = -1
	if s := k.Once(t.Context()); !s.Current() || s.Error != "" {
		t.Errorf("%+v", s)
	}
}

func TestKeeperRefusesNonsense(t *testing.T) {
	w := newWorld()
	k := keep(t, w)
	rev := document("mount /a=1", "mount /a=2").Revision()
	k.Receive(&rev)
	if s := k.Once(t.Context()); s.Error != "profile: mount /a is in it twice" || len(w.applied) > 0 {
		t.Errorf("%+v", s)
	}
}

// stalling is an applier that takes for ever over one item, but heeds its
// context.
type stalling struct {
	*world
	begun chan struct{}
}

func (a stalling) Apply(ctx context.Context, item profile.Item) error {
	if item.Name != "/slow" {
		return a.world.Apply(ctx, item)
	}
	close(a.begun)
	<-ctx.Done()
	return ctx.Err()
}

// TestKeeperNewerDocument holds that one item which takes long does not keep a
// newer document waiting.
func TestKeeperNewerDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c := w.converger()
		slow := stalling{w, make(chan struct{})}
		c.Appliers["mount"], c.Limits = slow, map[string]time.Duration{"mount": time.Hour}
		c.Now = time.Now
		k, err := profile.NewKeeper(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = k.Run(ctx) }()
		first, second := document("mount /slow=1").Revision(), document("mount /a=1").Revision()
		k.Receive(&first)
		<-slow.begun
		begun := time.Now()
		k.Receive(&second)
		synctest.Wait()
		if s := k.Status(); !s.Current() || s.Reached != second.Version || time.Since(begun) != 0 {
			t.Errorf("after %s: %+v", time.Since(begun), s)
		}
	})
}
