package queue

import (
	"bytes"
	"errors"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"iwx/lib/fault"
)

func full() *Command {
	return &Command{
		Argv:      []string{"printf", "a\nb", "\xff\xfe", ""},
		Env:       []string{"A=1", "B=\x80"},
		Dir:       "/srv",
		User:      "www-data",
		Umask:     0,
		Stdin:     []byte{},
		Timeout:   90 * time.Second,
		Rerun:     true,
		Sensitive: true,
		QueuedAt:  time.UnixMilli(1700000000123),
		QueuedBy:  "root",
	}
}

func TestCommandRoundTrip(t *testing.T) {
	for _, c := range []*Command{full(), {Argv: []string{"true"}, Umask: 0o22, QueuedAt: time.UnixMilli(1)}} {
		body, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeCommand(body)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, c) {
			t.Errorf("got %+v, want %+v", got, c)
		}
		again, err := got.Encode()
		if err != nil || !bytes.Equal(again, body) {
			t.Errorf("encoding is not stable: %v", err)
		}
	}
}

func TestCommandTooLarge(t *testing.T) {
	c := &Command{Argv: []string{"cat"}, Stdin: make([]byte, MaxBody)}
	_, err := c.Encode()
	if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), "over the limit of 8388608") {
		t.Errorf("got %v", err)
	}
}

func TestDecodeCommandRefuses(t *testing.T) {
	good, _ := full().Encode()
	for name, c := range map[string]struct {
		body  []byte
		newer bool
	}{
		"empty":         {nil, false},
		"version":       {append([]byte{9}, good[1:]...), true},
		"unknown field": {append(bytes.Clone(good), 99, 1, 'x'), true},
		"cut short":     {good[:len(good)-1], false},
		"no argument":   {[]byte{bodyVersion}, false},
		"umask":         {[]byte{bodyVersion, tagArg, 1, 'x', tagUmask, 1, 0}, false},
	} {
		_, err := DecodeCommand(c.body)
		if err == nil || errors.Is(err, ErrNewer) != c.newer {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for want, c := range map[string]Command{
		"no command given":            {},
		"NUL byte":                    {Argv: []string{"a", "b\x00"}},
		"is not absolute":             {Argv: []string{"a"}, Dir: "srv"},
		"is not KEY=VALUE":            {Argv: []string{"a"}, Env: []string{"A"}},
		"set by iwx itself":           {Argv: []string{"a"}, Env: []string{"IWX_OP_ID=1:1"}},
		"out of range 0..0777":        {Argv: []string{"a"}, Umask: 0o1000},
		"out of range 0..8760h0m0s":   {Argv: []string{"a"}, Timeout: -1},
		`"A" contains a NUL byte`:     {Argv: []string{"a"}, Env: []string{"A=\x00"}},
		"environment addition \"=1\"": {Argv: []string{"a"}, Env: []string{"=1"}},
	} {
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	ok := full()
	if err := ok.Check(); err != nil {
		t.Error(err)
	}
}

// TestCheckSize: what execve(2) refuses, on this kernel too, is refused.
func TestCheckSize(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct {
		command Command
		want    string
	}{
		"empty":         {Command{Argv: []string{"", "x"}}, "the program's name is empty"},
		"one argument":  {Command{Argv: []string{"true", "a", long(maxArg + 1)}}, "argument 2 has 131072 bytes"},
		"the longest":   {Command{Argv: []string{"true", long(maxArg)}}, ""},
		"environment":   {Command{Argv: []string{"true"}, Env: []string{"A=" + long(maxArg)}}, `environment addition "A" has 131073 bytes`},
		"all":           {Command{Argv: slices.Repeat([]string{"true", long(maxArg)}, 16)}, "arguments and environment take"},
		"many":          {Command{Argv: slices.Repeat([]string{"a"}, 250000)}, "arguments and environment take"},
		"program":       {Command{Argv: []string{"/" + long(maxPath)}}, "is longer than 4095 bytes"},
		"directory":     {Command{Argv: []string{"true"}, Dir: "/" + long(maxPath)}, "is longer than 4095 bytes"},
		"NUL in a user": {Command{Argv: []string{"true"}, User: "a\x00"}, "NUL"},
	} {
		err := c.command.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused := exec.Command("/bin/true", long(maxArg+1))
	if err := refused.Run(); !errors.Is(err, syscall.E2BIG) {
		t.Errorf("the kernel passes %d bytes: %v", maxArg+1, err)
	}
	if err := exec.Command("/bin/true", long(maxArg)).Run(); err != nil {
		t.Errorf("the kernel does not pass %d bytes: %v", maxArg, err)
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"":         "''",
		"a-b/c.d":  "a-b/c.d",
		"a b":      "'a b'",
		"it's":     `'it'\''s'`,
		"a\nb":     `$'a\nb'`,
		"\xff'":    `$'\xff\''`,
		"grün":     "'grün'",
		"*":        "'*'",
		"~root":    "'~root'",
		"KEY=$val": "'KEY=$val'",
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestTargetsInclude(t *testing.T) {
	for _, c := range []struct {
		targets Targets
		start   uint64
		seq     uint64
		want    bool
	}{
		{Members(), 5, 5, true},
		{Members(), 6, 5, false},
		{Targets{Scope: ScopeBaseline}, 6, 5, true},
		{Nodes("b", "a", "b"), 9, 5, true},
		{Nodes("b"), 1, 5, false},
		{Targets{Scope: 7}, 1, 5, false},
	} {
		decoded, err := DecodeTargets(c.targets.Encode())
		if err != nil && c.targets.Scope != 7 {
			t.Fatal(err)
		}
		if err == nil && !reflect.DeepEqual(decoded, c.targets) {
			t.Errorf("round trip: got %+v, want %+v", decoded, c.targets)
		}
		if got := c.targets.Include("a", c.start, c.seq); got != c.want {
			t.Errorf("%+v.Include(a, %d, %d) = %v", c.targets, c.start, c.seq, got)
		}
	}
}

func chainOf(n int) (Position, []Record) {
	var head Position
	var records []Record
	for i := range n {
		r := Next(head, 1, KindCommand, Members(), []byte{bodyVersion, byte(i)})
		records = append(records, r)
		head = r.Position()
	}
	return head, records
}

func TestPageVerify(t *testing.T) {
	head, records := chainOf(5)
	page := Page{Records: records}
	if err := page.Verify(Position{}); err != nil {
		t.Fatal(err)
	}
	raised := Next(head, 2, KindEpoch, Members(), (&Epoch{Parent: head}).Encode())
	if err := (&Page{Records: []Record{raised}}).Verify(head); err != nil {
		t.Errorf("a raised epoch: %v", err)
	}
	records[2].Body = nil // withheld
	if err := page.Verify(Position{}); err != nil {
		t.Errorf("a withheld body: %v", err)
	}
}

func TestPageVerifyRefuses(t *testing.T) {
	for name, spoil := range map[string]func([]Record) []Record{
		"gap":        func(r []Record) []Record { return append(r[:1], r[2:]...) },
		"order":      func(r []Record) []Record { r[1], r[2] = r[2], r[1]; return r },
		"body":       func(r []Record) []Record { r[1].Body = []byte("other"); return r },
		"targets":    func(r []Record) []Record { r[1].Targets = Nodes("x").Encode(); return r },
		"kind":       func(r []Record) []Record { r[1].Kind = KindVoid; return r },
		"hash":       func(r []Record) []Record { r[1].Hash[0] ^= 1; return r },
		"epoch":      func(r []Record) []Record { r[1].Epoch = 0; return r },
		"epoch jump": func(r []Record) []Record { r[1].Epoch = 2; return r },
		"digest":     func(r []Record) []Record { r[4].Digest[31] ^= 1; return r },
	} {
		_, records := chainOf(5)
		page := Page{Records: spoil(records)}
		if err := page.Verify(Position{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	body, _ := full().Encode()
	f.Add(body)
	f.Add((&Void{Seq: 3, Disposition: Skipped, Who: "root", At: 1}).Encode())
	f.Add((&Epoch{Parent: Position{Epoch: 1, Seq: 2}}).Encode())
	f.Add(Nodes("a", "b").Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := DecodeCommand(data); err == nil {
			if _, err := c.Encode(); err != nil {
				t.Errorf("decoded, but cannot be encoded: %v", err)
			}
			_ = c.String()
		}
		_, _ = DecodeVoid(data)
		_, _ = DecodeEpoch(data)
		_, _ = DecodeTargets(data)
	})
}
