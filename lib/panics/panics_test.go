package panics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// first and broken are functions that panic, each in a way of its own.
func first(noun string) byte { return noun[0] }

type box struct{ n *int }

func (b *box) broken() int { return *b.n }

func TestCatch(t *testing.T) {
	var none map[string]int
	cause := errors.New("no luck")
	for _, tt := range []struct {
		name, text, place string
		f                 func() error
	}{
		{"index", "internal error: panic: runtime error: index out of range [0] with length 0", "iwx/lib/panics.first (panics_test.go:", func() error { first(""); return nil }},
		{"nil pointer", "internal error: panic: runtime error: invalid memory address or nil pointer dereference", "iwx/lib/panics.(*box).broken (panics_test.go:", func() error { new(box).broken(); return nil }},
		{"nil map", "internal error: panic: assignment to entry in nil map", "iwx/lib/panics.TestCatch.func", func() error { none["x"] = 1; return nil }},
		{"error", "internal error: panic: no luck", "iwx/lib/panics.TestCatch.func", func() error { panic(cause) }},
		{"again", "internal error: panic: runtime error: index out of range [0] with length 0", "iwx/lib/panics.first (", func() error {
			panic(Catch(func() error { first(""); return nil }))
		}},
		{"while it ends", "internal error: panic: no luck", "iwx/lib/panics.TestCatch.func", func() error {
			defer func() { panic(cause) }()
			first("")
			return nil
		}},
	} {
		err := Catch(tt.f)
		var p *Panic
		if !errors.As(err, &p) || err.Error() != tt.text || !strings.HasPrefix(p.Place, tt.place) {
			t.Errorf("%s: %v at %+v", tt.name, err, p)
		}
		if p != nil && (!strings.HasPrefix(p.Stack, p.Place+" < ") || !strings.Contains(p.Stack, "panics.TestCatch ")) {
			t.Errorf("%s: stack %s", tt.name, p.Stack)
		}
	}
	if err := Catch(func() error { panic(cause) }); !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if err := Catch(func() error { return cause }); err != cause {
		t.Errorf("an error became %v", err)
	}
	if err := Catch(func() error { return nil }); err != nil {
		t.Error(err)
	}
}

// record is a log, and its lines so far.
func record() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

func TestLoggedOnce(t *testing.T) {
	log, lines := record()
	inner := func() error { return Try(log, "inner", func() error { first(""); return nil }) }
	err := Try(log, "outer", func() error { return fmt.Errorf("wrapped: %w", inner()) })
	Log(log, "caller", err)
	if n := strings.Count(lines.String(), "a panic was caught"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, lines)
	}
	for _, part := range []string{"level=ERROR", "work=inner", "index out of range", `stack="iwx/lib/panics.first (`, "panics.TestLoggedOnce"} {
		if !strings.Contains(lines.String(), part) {
			t.Errorf("%q is missing in %s", part, lines)
		}
	}
	lines.Reset()
	_ = Try(log, "x", func() error { return io.EOF })
	if lines.Len() > 0 {
		t.Errorf("an error was logged: %s", lines)
	}
	Log(nil, "tool", Catch(func() error { first(""); return nil }))
}

func TestCounter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "panics")
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := func() time.Time { return now }
	plain, lines := record()
	c := NewCounter(dir, "iwx-lb", clock)
	log := c.Logger(plain).With("a", 1).WithGroup("g")
	burst := func(place func()) {
		for range 5 {
			_ = Try(log, "probe of web2 imap", func() error { place(); return nil })
		}
	}

	// Each place is logged once, and all are counted; the file has the first at once.
	burst(func() { first("") })
	burst(func() { new(box).broken() })
	if n := strings.Count(lines.String(), "a panic was caught"); n != 2 {
		t.Errorf("logged %d times:\n%s", n, lines)
	}
	if list, err := Read(dir); err != nil || len(list) != 1 || list[0].Panics != 1 {
		t.Errorf("at once: %+v, %v", list, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := Read(dir)
	if err != nil || len(list) != 1 || list[0] != c.Count() || list[0].Panics != 10 || !list[0].Last.Equal(now) || list[0].Work != "probe of web2 imap" {
		t.Errorf("%+v, %v", list, err)
	}
	if want := "10 panics, the last in probe of web2 imap: internal error: panic: runtime error: invalid memory address or nil pointer dereference, at iwx/lib/panics.(*box).broken ("; !strings.HasPrefix(list[0].String(), want) {
		t.Errorf("%s", list[0])
	}

	// The next run goes on counting, and a minute later the place is logged again.
	lines.Reset()
	c = NewCounter(dir, "iwx-lb", clock)
	log = c.Logger(plain)
	burst(func() { first("") })
	now = now.Add(logEvery)
	burst(func() { first("") })
	if n := strings.Count(lines.String(), "a panic was caught"); n != 2 || c.Count().Panics != 20 {
		t.Errorf("logged %d times, counted %+v", n, c.Count())
	}
	log.Info("something else")
	if !strings.Contains(lines.String(), "something else") {
		t.Error("what is no panic is not logged")
	}
	other := NewCounter(dir, "iwx-queued", clock)
	_ = Try(other.Logger(plain), "x", func() error { panic(strings.Repeat("ä", 1000)) })
	if list, err := Read(dir); err != nil || len(list) != 2 || list[1].Daemon != "iwx-queued" || len(list[1].Error) > mostError+3 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestCounterWithoutFile: panics are counted even if the file cannot be written or
// read.
func TestCounterWithoutFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "panics")
	if list, err := Read(dir); err != nil || list != nil {
		t.Errorf("nothing yet: %v, %v", list, err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // in the directory's place
		t.Fatal(err)
	}
	plain, lines := record()
	c := NewCounter(dir, "iwx-lb", time.Now)
	_ = Try(c.Logger(plain), "x", func() error { first(""); return nil })
	if c.Count().Panics != 1 || c.Close() == nil || !strings.Contains(lines.String(), "not_written=") {
		t.Errorf("%+v\n%s", c.Count(), lines)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "iwx-queued.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := Read(dir); err == nil || len(list) != 1 {
		t.Errorf("a damaged file: %v, %v", list, err)
	}
	if n := NewCounter(dir, "iwx-queued", time.Now).Count(); n != (Count{Daemon: "iwx-queued"}) {
		t.Errorf("begins with %+v", n)
	}
}

// TestHandler: a request that panics gets no answer, not even a part of one; the
// next is answered, and the log says which it was.
func TestHandler(t *testing.T) {
	log, lines := record()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine") })
	mux.HandleFunc("/index", func(http.ResponseWriter, *http.Request) { first("") })
	mux.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("x", 1<<20))
		new(box).broken()
	})
	mux.HandleFunc("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/wrapped", func(http.ResponseWriter, *http.Request) { panic(fmt.Errorf("gone: %w", http.ErrAbortHandler)) })
	server := httptest.NewUnstartedServer(Handler(log, mux))
	server.Config.ErrorLog = ErrorLog(log)
	server.Start()
	get := func(path string) (string, error) {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		res, err := server.Client().Do(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		return string(data), err
	}
	for _, path := range []string{"/index", "/late", "/abort", "/wrapped"} {
		if body, err := get(path); err == nil {
			t.Errorf("%s is answered with %d bytes", path, len(body))
		}
		if body, err := get("/ok"); err != nil || body != "fine" {
			t.Errorf("after %s: %q, %v", path, body, err)
		}
	}
	server.Close() // which waits for what is logged
	for _, part := range []string{`work="request GET \"/index\""`, `work="request GET \"/late\""`, "panics.first (", "(*box).broken ("} {
		if !strings.Contains(lines.String(), part) {
			t.Errorf("%q is missing in %s", part, lines)
		}
	}
	if n := strings.Count(lines.String(), "\n"); n != 2 {
		t.Errorf("%d lines:\n%s", n, lines)
	}
}

// TestErrorLog: messages of net/http itself.
func TestErrorLog(t *testing.T) {
	plain, lines := record()
	c := NewCounter(t.TempDir(), "x", time.Now)
	errorLog := ErrorLog(c.Logger(plain))
	errorLog.Print("http: TLS handshake error from 192.0.2.1:5: EOF")
	if lines.Len() > 0 {
		t.Errorf("a stranger's handshake is news: %s", lines)
	}
	errorLog.Print("http: Accept error: too many open files; retrying in 5ms")
	if !strings.Contains(lines.String(), "too many open files") || c.Count().Panics != 0 {
		t.Errorf("%s", lines)
	}
	// Outside of the handler: in what the server calls when a connection comes.
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = errorLog
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateActive {
			first("")
		}
	}
	server.Start()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if res, err := server.Client().Do(req); err == nil {
		res.Body.Close()
		t.Error("it was answered")
	}
	server.Close()
	if n := c.Count(); n.Panics == 0 || n.Place != "iwx/lib/panics.first" || !strings.Contains(n.Error, "index out of range") {
		t.Errorf("%+v\n%s", n, lines)
	}
}
