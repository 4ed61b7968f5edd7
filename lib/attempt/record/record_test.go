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

// page returns a page with the given mark and result.
func page(t testing.TB, group string, m *Mark, r *Result) []byte {
	t.Helper()
	b, err := EncodePage(group)
	if err != nil {
		t.Fatal(err)
	}
	if m != nil {
		copy(b[MarkOffset:], m.Encode())
	}
	if r != nil {
		copy(b[ResultOffset:], r.Encode())
	}
	return b
}

func TestPage(t *testing.T) {
	mark := &Mark{PID: 4711, StartTicks: 1 << 40}
	result := &Result{Outcome: Exited, Code: -1, Signal: 9, Error: "é", Started: 1, Ended: 2, Duration: 3, CPU: 4, MaxRSS: 5}
	for _, want := range []Page{{}, {Group: "/sys/fs/cgroup/x"}, {Mark: mark}, {Result: result}, {"g", mark, result}} {
		got, err := DecodePage(page(t, want.Group, want.Mark, want.Result))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	whole := page(t, "g", mark, result)
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
	b := page(t, "/"+long[:maxText-1], &Mark{}, &Result{Error: long})
	if len(b) != PageSize {
		t.Fatalf("page of %d bytes", len(b))
	}
	got, err := DecodePage(b)
	if err != nil || got.Mark == nil || got.Result == nil || got.Result.Error != long[:maxText] || got.Group == "" {
		t.Errorf("got %+v, %v", got, err)
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
	f.Add(page(f, "g", &Mark{PID: 1}, &Result{Error: "e"}))
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
