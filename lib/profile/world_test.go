package profile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"iwx/lib/profile"
)

var errCrash = errors.New("power cut")

// world is a server and its disk. Things have a value, and those that Apply
// made are marked as iwx's own, as files of ours are.
type world struct {
	mu      sync.Mutex // of things and broken, for tests beside a keeper
	things  map[string]thing
	saved   profile.Saved
	broken  map[string]bool // items that cannot be applied or taken back
	breath  int             // operations until the power is cut; negative: it is not
	applied []string        // calls of Apply and Remove, in order
	now     time.Time
}

type thing struct {
	value string
	ours  bool
}

func newWorld() *world {
	return &world{things: map[string]thing{}, broken: map[string]bool{}, breath: -1, now: time.UnixMilli(1000)}
}

// set changes the server behind the back of who keeps it.
func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// has reports whether the thing is there.
func (w *world) has(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, there := w.things[name]
	return there
}

// step is one operation that a power cut may come before.
func (w *world) step() error {
	if w.breath == 0 {
		return errCrash
	}
	w.breath--
	return nil
}

func (w *world) converger() *profile.Converger {
	return &profile.Converger{
		Appliers: map[string]profile.Applier{"mount": w, "export": w},
		Journal:  (*disk)(w), Limit: time.Minute,
		Now: func() time.Time { return w.now },
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func (w *world) Check(_ context.Context, item profile.Item) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.step(); err != nil {
		return "", err
	}
	if w.things[item.String()].value == string(item.Spec) {
		return "", nil
	}
	return "make " + item.String(), nil
}

func (w *world) Apply(_ context.Context, item profile.Item) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.applied = append(w.applied, "apply "+item.String())
	was, there := w.things[item.String()]
	if w.broken[item.String()] || there && !was.ours {
		return fmt.Errorf("%s is broken\nand more", item)
	}
	// Half of it, and then the rest: a power cut may come in between.
	for _, value := range []string{"half", string(item.Spec)} {
		if err := w.step(); err != nil {
			return err
		}
		w.things[item.String()] = thing{value, true}
	}
	return nil
}

func (w *world) Remove(_ context.Context, item profile.Item) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.applied = append(w.applied, "remove "+item.String())
	if w.broken[item.String()] {
		return fmt.Errorf("%s is busy", item)
	}
	if err := w.step(); err != nil {
		return err
	}
	if w.things[item.String()].ours {
		delete(w.things, item.String())
	}
	return nil
}

// disk is the world's journal.
type disk world

func (d *disk) Load(context.Context) (*profile.Saved, error) {
	saved := d.saved
	saved.Begun = slices.Clone(saved.Begun)
	return &saved, (*world)(d).step()
}

func (d *disk) Receive(_ context.Context, rev profile.Revision) error {
	err := (*world)(d).step()
	if err == nil {
		d.saved.Desired = rev
	}
	return err
}

func (d *disk) find(item profile.Item) int {
	return slices.IndexFunc(d.saved.Begun, func(i profile.Item) bool { return i.String() == item.String() })
}

func (d *disk) Begin(_ context.Context, item profile.Item) error {
	if err := (*world)(d).step(); err != nil {
		return err
	}
	if i := d.find(item); i >= 0 {
		d.saved.Begun[i] = item
	} else {
		d.saved.Begun = append(d.saved.Begun, item)
	}
	return nil
}

func (d *disk) End(_ context.Context, item profile.Item) error {
	if err := (*world)(d).step(); err != nil {
		return err
	}
	if i := d.find(item); i >= 0 {
		d.saved.Begun = slices.Delete(d.saved.Begun, i, i+1)
	}
	return nil
}

func (d *disk) Report(_ context.Context, s profile.Status) error {
	err := (*world)(d).step()
	if err == nil {
		d.saved.Status = s
	}
	return err
}

// document returns one of items "mount /a=1".
func document(items ...string) profile.Document {
	var doc profile.Document
	for _, text := range items {
		kind, rest, _ := strings.Cut(text, " ")
		name, value, _ := strings.Cut(rest, "=")
		spec, _ := json.Marshal(value)
		doc.Items = append(doc.Items, profile.Item{Kind: kind, Name: name, Spec: spec})
	}
	return doc
}

// page is a status as text, without times.
func page(s profile.Status) string {
	var lines []string
	for _, r := range s.Items {
		line := r.String() + ": " + r.Word
		if r.Removal {
			line = "take back " + line
		}
		if r.Error != "" {
			line += ": " + r.Error
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
