package cluster_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"iwx/lib/cluster"
	"iwx/lib/queue"
)

// fuzzed returns a function that gives every run of a fuzz target the same
// manager, with one member.
func fuzzed(f *testing.F) func(t *testing.T) (*lab, *server) {
	path := filepath.Join(f.TempDir(), "state.db")
	var l *lab
	var s *server
	f.Cleanup(func() {
		if l != nil {
			l.store.Close()
		}
	})
	return func(t *testing.T) (*lab, *server) {
		if l == nil {
			l = newLab(t, path)
			s = l.joined("web1")
			l.add(queue.Members(), 1)
			l.add(queue.Members(), 1)
			l.refresh()
		}
		l.t = t
		return l, s
	}
}

// FuzzPollRequest: whatever a node says of itself, the manager answers it.
func FuzzPollRequest(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"wait_ms":-1}`, `{"position":{"epoch":1,"seq":2,"hash":"AAAA"}}`, `{"position":{"seq":18446744073709551615}}`,
		`{"instance":"i","position":{"epoch":9,"seq":1,"hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},"orders":{"paused":true}}`,
	} {
		f.Add([]byte(seed))
	}
	manager := fuzzed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		l, s := manager(t)
		var req cluster.PollRequest
		if json.Unmarshal(data, &req) != nil {
			return
		}
		req.Wait = min(req.Wait, 0)
		a, err := l.Poll(t.Context(), s.id, s.remote, &req)
		if err != nil {
			t.Fatal(err)
		}
		at := req.Position.Queue()
		if len(a.Page) > 0 && a.QueuePage().Verify(at) != nil && at.Seq > 0 {
			t.Errorf("at %+v the page does not follow", at)
		}
		if len(a.Page) == 0 && a.Orders.Trouble == "" && at != l.head() {
			t.Errorf("at %+v there is nothing to tell", at)
		}
	})
}

// FuzzPollAnswer: a page that verifies is one that the log's rules made; it
// comes out again as it went in.
func FuzzPollAnswer(f *testing.F) {
	first := queue.Next(queue.Position{}, 1, queue.KindCommand, queue.Members(), []byte("body"))
	second := queue.Next(first.Position(), 1, queue.KindVoid, queue.Nodes("a", "b"), nil)
	good, err := json.Marshal(&cluster.PollAnswer{Epoch: 1, Head: 2, Page: cluster.WirePage([]queue.Record{first, second}), Sig: []byte{1}})
	check(f, err)
	for _, seed := range []string{`{}`, `{"page":[{}]}`, `{"page":[{"seq":1,"digest":"AA==","hash":""}],"more":true}`, `{"page":null}`, string(good)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var a cluster.PollAnswer
		if json.Unmarshal(data, &a) != nil {
			return
		}
		page := a.QueuePage()
		if len(page.Records) != len(a.Page) || page.More != a.More {
			t.Fatalf("%d records of %d", len(page.Records), len(a.Page))
		}
		if page.Verify(queue.Position{}) != nil {
			return
		}
		again := (&cluster.PollAnswer{Page: cluster.WirePage(page.Records)}).QueuePage()
		if err := again.Verify(queue.Position{}); err != nil {
			t.Errorf("the second time: %v", err)
		}
	})
}

// FuzzReport: what a member reports is stored, and can be read.
func FuzzReport(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"status":{"word":"halted","blocked":{"seq":1}},"attempts":[{"epoch":1,"seq":1,"attempt":1,"stdout":{"head":"/w=="}}]}`,
		`{"status":{"done":18446744073709551615}}`, `{"attempts":[{"seq":18446744073709551615}]}`,
	} {
		f.Add([]byte(seed))
	}
	manager := fuzzed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		l, s := manager(t)
		var r cluster.Report
		if json.Unmarshal(data, &r) != nil {
			return
		}
		if err := l.Report(t.Context(), s.id, s.remote, &r); err != nil {
			return // numbers that no log has are refused
		}
		if _, err := l.store.Nodes(t.Context()); err != nil {
			t.Errorf("the state cannot be read: %v", err)
		}
	})
}

// FuzzJoinRequest: nobody gets in without a token.
func FuzzJoinRequest(f *testing.F) {
	for _, seed := range []string{`{}`, `{"token_id":"x","secret":"AAAAAAAAAAAAAAAAAAAAAA==","csr":"","ignore":["os-version"]}`, `{"facts":{"addresses":[{"prefix":"::/0"}]}}`} {
		f.Add([]byte(seed))
	}
	valid, err := json.Marshal(&cluster.JoinRequest{TokenID: "0100000000000000", CSR: csr(f), Facts: facts(7), Secret: make([]byte, 16)})
	check(f, err)
	f.Add(valid)
	manager := fuzzed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		l, _ := manager(t)
		token := l.invite("web2", nil)
		var req cluster.JoinRequest
		if json.Unmarshal(data, &req) != nil {
			return
		}
		req.TokenID = token.ID.String()
		l.hosts++
		_, err := l.Join(t.Context(), addr(l.hosts), &req)
		var r *cluster.Refusal
		if !errors.As(err, &r) {
			t.Errorf("got %v, want a refusal", err)
		}
	})
}
