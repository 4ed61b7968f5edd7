package queuedtool

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"iwx/lib/endpoint"
	"iwx/lib/host"
	"iwx/lib/nfs"
	"iwx/lib/profile"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

// fitting is an applier whose items are as they should be, or cannot be, as the test
// says.
type fitting struct{ err error }

func (f *fitting) Check(context.Context, profile.Item) (string, error) { return "", f.err }
func (f *fitting) Apply(context.Context, profile.Item) error           { return f.err }
func (f *fitting) Remove(context.Context, profile.Item) error          { return f.err }

// TestEndpointGoesByTheDesiredProfile holds that a server which has not been added may
// take traffic once all of the profile that it received last is applied, and not before:
// that what it had applied was all there was does not count.
func TestEndpointGoesByTheDesiredProfile(t *testing.T) {
	paths := host.At(t.TempDir())
	check(t, os.MkdirAll(paths.Lib, 0o700))
	store, err := state.Create(t.Context(), paths.State)
	check(t, err)
	defer store.Close()
	files, works := endpoint.Files(paths.Health), &fitting{}
	check(t, files.WriteSpec(endpoint.Spec{}))
	keeper, err := profile.NewKeeper(t.Context(), &profile.Converger{
		Appliers: map[string]profile.Applier{"mount": works, "backup": works}, Journal: store.Profile(), Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	check(t, err)
	d := &server{Server: &local.Server{Paths: paths, Store: store}, keeper: keeper}
	receive := func(specs ...string) {
		t.Helper()
		var doc profile.Document
		for i, spec := range specs {
			item, err := profile.Make([]string{"mount", "backup"}[i], "/srv/iwx", spec)
			check(t, err)
			doc.Items = append(doc.Items, item)
		}
		rev := doc.Revision()
		keeper.Receive(&rev)
	}
	settled := true
	is := func(want string) {
		t.Helper()
		got, err := d.stand(func() []nfs.Health { return nil }, func() bool { return settled })
		if err != nil || got.Unready != want {
			t.Errorf("got %+v, %v, want %q", got, err, want)
		}
	}
	receive("1")
	is("its profile is not applied: mount /srv/iwx is pending")
	works.err = errors.New("no such host")
	keeper.Once(t.Context())
	is("its profile is not applied: mount /srv/iwx: no such host")
	works.err, settled = nil, false
	keeper.Once(t.Context())
	is("it is new, and has not replayed the baseline yet")
	settled = true
	receive("2")
	is("its profile is not applied: mount /srv/iwx is pending")
	keeper.Once(t.Context())
	receive("2", "1") // what clients do not notice may be late
	is("")
	receive("3")
	is("") // it is in, and stays
}
