package record

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

var specs = []Spec{
	{},
	{Argv: []string{"/bin/true"}},
	{
		Argv: []string{"a\nb", "\xff", ""}, Env: []string{"A=1", ""}, Dir: "/srv",
		SetUser: true, UID: 1, GID: 1<<32 - 1, Groups: []uint32{3, 4}, Umask: 0o27,
		Stdin: []byte("in\x00put"), Timeout: time.Hour, KillAfter: time.Second,
	},
}

func TestSpecRoundTrip(t *testing.T) {
	for _, want := range specs {
		got, err := DecodeSpec(want.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Stdin) == 0 {
			got.Stdin = nil
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v, want %+v", *got, want)
		}
	}
}

func TestSpecDamage(t *testing.T) {
	whole := specs[2].Encode()
	for i := range whole {
		if _, err := DecodeSpec(whole[:i]); err == nil {
			t.Errorf("the first %d of %d bytes decode", i, len(whole))
		}
		bad := bytes.Clone(whole)
		bad[i] ^= 0x20
		if _, err := DecodeSpec(bad); err == nil {
			t.Errorf("decodes with byte %d changed", i)
		}
	}
	newer := bytes.Clone(whole)
	newer[4]++
	if _, err := DecodeSpec(newer); !errors.Is(err, ErrVersion) {
		t.Errorf("newer version: %v", err)
	}
	if _, err := DecodeSpec(make([]byte, 100)); !errors.Is(err, ErrAbsent) {
		t.Errorf("zeros: %v", err)
	}
}

// page returns the page that holds p.
func page(t testing.TB, p Page) []byte {
	t.Helper()
	b, err := EncodePage(p.Group)
	if err != nil {
		t.Fatal(err)
	}
	if p.Mark != nil {
		copy(b[MarkOffset:], p.Mark.Encode())
	}
	if p.Pipes != (Pipes{}) {
		copy(b[PipesOffset:], p.Pipes.Encode())
	}
	if p.Hung != nil {
		copy(b[HungOffset:], p.Hung.Encode())
	}
	if p.Result != nil {
		copy(b[ResultOffset:], p.Result.Encode())
	}
	if p.Note != nil {
		copy(b[NoteOffset:], p.Note.Encode())
	}
	return b
}

func TestPage(t *testing.T) {
	mark := &Mark{PID: 4711, StartTicks: 1 << 40}
	result := &Result{Outcome: Exited, Code: -1, Signal: 9, Error: "é", Started: 1, Ended: 2, Duration: 3, CPU: 4, MaxRSS: 5}
	pipes := Pipes{7, 1 << 33}
	hung, note := &Hung{Since: 1 << 40, TimedOut: true, Text: "pid 7 \xff"}, &Note{Text: "ended", Sizes: [2]int64{1 << 40, 3}}
	for _, want := range []Page{
		{}, {Group: "/sys/fs/cgroup/x"}, {Mark: mark}, {Result: result}, {Pipes: pipes}, {Hung: hung}, {Hung: &Hung{}}, {Note: note}, {Note: &Note{}},
		{"g", mark, pipes, hung, result, note},
	} {
		got, err := DecodePage(page(t, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	whole := page(t, Page{Group: "g", Mark: mark, Result: result})
	if got, err := DecodePage(whole[:ResultOffset+20]); err != nil || got.Mark == nil || got.Result != nil {
		t.Errorf("page cut in the result: %+v, %v", got, err)
	}
	whole[MarkOffset+4]++
	if _, err := DecodePage(whole); !errors.Is(err, ErrVersion) {
		t.Errorf("newer mark: %v", err)
	}
}

// Everything fits its slot, however long the text.
func TestSlots(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	all := Page{"/" + long[:maxText-1], &Mark{}, Pipes{1, 2}, &Hung{Text: long}, &Result{Error: long}, &Note{Text: long}}
	b := page(t, all)
	if len(b) != PageSize {
		t.Fatalf("page of %d bytes", len(b))
	}
	got, err := DecodePage(b)
	if err != nil || got.Mark == nil || got.Result == nil || got.Result.Error != long[:maxText] || got.Group == "" {
		t.Errorf("got %+v, %v", got, err)
	}
	if got.Pipes != all.Pipes || got.Hung == nil || got.Hung.Text != long[:maxHung] || got.Note == nil || got.Note.Text != long[:maxText] {
		t.Errorf("got %+v", got)
	}
	if _, err := EncodePage(long); err == nil {
		t.Error("a path that does not fit is taken")
	}
}

func FuzzSpec(f *testing.F) {
	for _, s := range specs {
		f.Add(s.Encode())
	}
	f.Add([]byte("iwxa\x01s\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSpec(b)
		if err != nil {
			return
		}
		if again := s.Encode(); !bytes.HasPrefix(b, again) {
			t.Errorf("%x decodes, and encodes as %x", b, again)
		}
	})
}

// FuzzSpecPayload gets past the checksum.
func FuzzSpecPayload(f *testing.F) {
	for _, s := range specs {
		b := s.Encode()
		f.Add(b[headerSize : len(b)-sumSize])
	}
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		b := frame(kindSpec, len(payload), func(b []byte) []byte { return append(b, payload...) })
		s, err := DecodeSpec(b)
		if err != nil {
			return
		}
		if again := s.Encode(); !bytes.Equal(b, again) {
			t.Errorf("%x decodes, and encodes as %x", b, again)
		}
	})
}

func FuzzPage(f *testing.F) {
	f.Add(page(f, Page{"g", &Mark{PID: 1}, Pipes{1, 2}, &Hung{Text: "h"}, &Result{Error: "e"}, &Note{Text: "n"}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePage(b)
		if err != nil {
			return
		}
		if p.Result != nil && !bytes.HasPrefix(slot(b, ResultOffset, PageSize), p.Result.Encode()) && len(p.Result.Error) <= maxText {
			t.Errorf("result %+v encodes differently", *p.Result)
		}
	})
}

func TestOutputTrailer(t *testing.T) {
	b := OutputTrailer(1 << 40)
	if size, ok := OutputSize(b); size != 1<<40 || !ok || len(b) != TrailerSize {
		t.Errorf("size %d, %v, of %d bytes", size, ok, len(b))
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x20
		if size, ok := OutputSize(bad); ok {
			t.Errorf("with byte %d changed the size is %d", i, size)
		}
		if _, ok := OutputSize(b[:i]); ok {
			t.Errorf("the first %d bytes are a trailer", i)
		}
	}
	if _, ok := OutputSize(make([]byte, TrailerSize)); ok {
		t.Error("zeros are a trailer")
	}
}
