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
	unlucky := all[:5].Round("web1", at(10), at(20), time.Second)
	r.Out, unlucky.Out = time.Second, load.Never
	slower := r
	slower.Out = 4 * time.Second
	var table load.Table
	table.Add("iwx", load.Killed, []load.Round{r, r, unlucky})
	table.Add("iwx", load.Cut, []load.Round{r})
	table.Add("other", load.Killed, []load.Round{slower})
	want := `event           balancer       out after               lost        slow        harm for         back after       lost because
service killed  iwx            1.00 s (never)          1           1           0.50 s           1.50 s (never)   1 × connection refused
service killed  other          4.00 s           4.0×   1           1           0.50 s           1.50 s           1 × connection refused
link cut        iwx            1.00 s                  1           1           0.50 s           1.50 s           1 × connection refused
`
	if table.String() != want {
		t.Errorf("%s\n%s", &table, want)
	}
	silent, never, quick := r, r, r
	silent.Out, silent.Lost, silent.Slow = load.Unseen, 497, 0
	never.Out, quick.Out = load.Never, 20*time.Millisecond
	table.Add("other", load.Cut, []load.Round{silent})
	table.Add("iwx", load.Hung, []load.Round{quick})
	table.Add("other", load.Hung, []load.Round{never})
	want = `| | iwx | other |
|---|---|---|
| service killed | 1.0 s, 1 lost, 1 slow | 4.0 s, 1 lost, 1 slow |
| link cut | 1.0 s, 1 lost, 1 slow | 497 lost |
| service hung | 0.02 s, 1 lost, 1 slow | not out, 1 lost, 1 slow |
`
	if got := table.Markdown(); got != want {
		t.Errorf("%s\n%s", got, want)
	}
}

// TestOutage: it lasts as long whether or not the server is taken out.
func TestOutage(t *testing.T) {
	looks := 0
	o := load.Outage{Length: 500 * time.Millisecond, In: func() (bool, error) { looks++; return looks < 3, nil }}
	begin := time.Now()
	if out, err := o.Wait(begin, nil); err != nil || out <= 0 || out == load.Never || looks != 3 {
		t.Errorf("out after %v, %v; looked at %d times", out, err, looks)
	}
	if lasted := time.Since(begin); lasted < o.Length {
		t.Errorf("it lasted %v, not %v", lasted, o.Length)
	}
	o = load.Outage{Length: 20 * time.Millisecond, In: func() (bool, error) { return true, nil }}
	if out, err := o.Wait(time.Now(), nil); err != nil || out != load.Never {
		t.Errorf("out after %v, %v", out, err)
	}
	o.In = nil
	if out, err := o.Wait(time.Now(), nil); err != nil || out != load.Unseen {
		t.Errorf("out after %v, %v", out, err)
	}
}
