package load_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"iwx/testscripts/load"
)

// TestLoad: every request is counted once, as what became of it.
func TestLoad(t *testing.T) {
	n := 0
	turns := make(chan int, 1)
	turns <- 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n = <-turns
		turns <- n + 1
		if n%10 == 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "web1 is here")
	}))
	defer server.Close()
	var out bytes.Buffer
	err := load.Command(t.Context(), []string{"-rate", "500", "-for", "400ms", server.Listener.Addr().String()}, &out)
	if err != nil {
		t.Fatal(err)
	}
	all, err := load.Read(&out)
	if err != nil {
		t.Fatal(err)
	}
	sent := <-turns
	if len(all) != sent || sent < 20 {
		t.Fatalf("%d answers of %d requests", len(all), sent)
	}
	lost := all.Lost()
	if want := (sent + 6) / 10; len(lost) != want {
		t.Errorf("%d lost of %d, not %d", len(lost), sent, want)
	}
	if got := all.Servers(); got["web1"] != sent-len(lost) || len(got) != 1 {
		t.Errorf("servers: %v", got)
	}
	if got := all.Reasons(); len(got) != 1 || got[0] != fmt.Sprintf("%d × answered 503 Service Unavailable", len(lost)) {
		t.Errorf("reasons: %q", got)
	}
	if all.Quantile(0.5) > all.Quantile(0.99) {
		t.Error("the median is above the 99th percentile")
	}
}

// TestSilence: who accepts and does not answer is lost, in time.
func TestSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	all := (&load.Load{Address: l.Addr().String(), Rate: 100, Timeout: 100 * time.Millisecond}).Run(ctx)
	if len(all) == 0 || len(all.Lost()) != len(all) {
		t.Errorf("%d of %d lost", len(all.Lost()), len(all))
	}
}

// TestRound: what was struck at 10 s and back at 20 s.
func TestRound(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(0, 0).Add(time.Duration(s * float64(time.Second))) }
	all := load.Answers{
		{At: at(9), Lost: "before the event"},
		{At: at(9.9), Server: "web1"},
		{At: at(10.1), Lost: "connection refused"},
		{At: at(10.5), Server: "web2", Took: 2 * time.Second},
		{At: at(20.5), Server: "web2"},
		{At: at(21), Server: "web1", Took: 500 * time.Millisecond},
	}
	r := all.Round("web1", at(10), at(20), time.Second)
	row := load.Row("iwx", "killed", []load.Round{r, r, all[:5].Round("web1", at(10), at(20), time.Second)})
	want := "iwx            killed          1, 1           1, 1         0.50 s, 0.50 s 1.50 s, not seen 1 × connection refused\n"
	if row != want {
		t.Errorf("%q\n%q", row, want)
	}
}
