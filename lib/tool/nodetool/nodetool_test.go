package nodetool_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/daemon"
	"iwx/lib/host"
	"iwx/lib/join"
	"iwx/lib/pki"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/nodetool"
)

// server is the root directory of a server, its state made by hand.
type server struct {
	t     testing.TB
	root  string
	store *state.Store
}

func newServer(t testing.TB, id *cluster.Identity) *server {
	t.Helper()
	root := t.TempDir()
	paths := host.At(root)
	for _, dir := range []string{paths.Lib, paths.Run} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	store, err := state.Create(t.Context(), paths.State)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s := &server{t: t, root: root, store: store}
	s.must(store.SetIdentity(t.Context(), id))
	return s
}

func newManager(t testing.TB) *server {
	s := newServer(t, &cluster.Identity{
		Role: cluster.RoleManager, ClusterID: "0123456789abcdef", ClusterName: "example", Name: "mgr",
		Manager: netip.MustParseAddrPort("127.0.9.1:2480"), Address: netip.MustParseAddr("127.0.9.2"), SetupAt: time.Now(),
	})
	_, err := pki.Store{Dir: host.At(s.root).PKI}.EnsureCA("0123456789abcdef", time.Now())
	s.must(err)
	return s
}

func (s *server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// members makes nodes, each by a token of its own as admission does.
func (s *server) members(nodes ...cluster.Node) {
	s.t.Helper()
	for _, n := range nodes {
		id := "admitted-" + n.ID
		s.must(s.store.AddToken(s.t.Context(), &cluster.Token{ID: id, Name: n.Name, Hash: make([]byte, 32), From: cluster.FromNow, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}))
		s.must(s.store.Admit(s.t.Context(), id, func(k *cluster.Token, _ []cluster.Node, _ uint64) ([]cluster.Node, error) {
			k.UsedAt, k.UsedBy, k.NodeID, k.KeyHash = time.Now(), n.Address.String(), n.ID, []byte("key")
			return []cluster.Node{n}, nil
		}))
	}
}

// runs lets it look as if iwx-queued ran here.
func (s *server) runs() {
	s.t.Helper()
	waker, err := daemon.Listen(host.At(s.root).Run)
	s.must(err)
	s.t.Cleanup(func() { waker.Close() })
}

// run runs iwx-node as a process would, and returns what it wrote.
func (s *server) run(want int, args ...string) (stdout, stderr string) {
	s.t.Helper()
	var out, err bytes.Buffer
	args = append([]string{"--root", s.root}, args...)
	if code := cli.Main(nodetool.Tool(), args, strings.NewReader(""), &out, &err); code != want {
		s.t.Fatalf("iwx-node %s: exit %d, want %d\n%s%s", strings.Join(args, " "), code, want, out.String(), err.String())
	}
	return out.String(), err.String()
}

func (s *server) contains(text string, parts ...string) {
	s.t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			s.t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

func current(id, name string) cluster.Node {
	return cluster.Node{
		ID: id, Name: name, Membership: cluster.Member, Address: netip.MustParseAddr("127.0.9.3"), MachineID: id,
		Start: 1, JoinedAt: time.Now().Add(-3*time.Hour - time.Minute), LastSeen: time.Now(), CertSerial: "c0ffee", CertExpires: time.Now().Add(time.Hour),
		Facts:  host.Facts{OS: host.OS{ID: "debian", Version: "12"}, Arch: "amd64", Hostname: name},
		Status: cluster.Status{Word: "current", Version: "0.1.0"},
	}
}

func halted(id, name string) cluster.Node {
	n := current(id, name)
	n.Status.Word = "halted"
	n.Status.Blocked = &cluster.Blocked{Epoch: 1, Seq: 7, Attempts: 2, Code: 100, Error: "E: Unable to locate package",
		FirstFailure: time.Now().Add(-10*time.Minute - time.Second).UnixMilli(), RetryAt: time.Now().Add(200 * time.Second).UnixMilli()}
	return n
}

func silent(id, name string) cluster.Node {
	n := current(id, name)
	n.LastSeen = time.Now().Add(-2*time.Hour - time.Minute)
	n.SilentSince = n.LastSeen
	return n
}

func TestAddPrintsOnlyTheToken(t *testing.T) {
	s := newManager(t)
	s.runs()
	out, notes := s.run(0, "add", "web2", "--ttl", "2h", "--address", "127.0.9.9", "--from", "beginning")
	token, err := join.ParseToken(out)
	s.must(err)
	if strings.Count(out, "\n") != 1 {
		t.Errorf("more than the token is on standard output: %q", out)
	}
	root, err := pki.Store{Dir: host.At(s.root).PKI}.Root()
	s.must(err)
	if token.Manager.String() != "127.0.9.1:2480" || token.Pin != pki.PinOf(root) {
		t.Errorf("the token is for %s with pin %s", token.Manager, token.Pin)
	}
	s.contains(notes, "a token for web2 at 127.0.9.9", "(in 2h)", "hint: on web2: iwx-cluster-setup node")
	kept, err := s.store.Tokens(t.Context())
	s.must(err)
	k := kept[0]
	if !join.Hash(k.Hash).Admits(token.Secret) || k.From != cluster.FromBeginning || k.Address.String() != "127.0.9.9" || k.ExpiresAt.Sub(k.CreatedAt) != 2*time.Hour {
		t.Errorf("kept: %+v", k)
	}
	data, err := os.ReadFile(host.At(s.root).State)
	s.must(err)
	if bytes.Contains(data, token.Secret[:]) {
		t.Error("the secret itself is in the state")
	}
}

func TestAddTwiceKeepsTheLater(t *testing.T) {
	s := newManager(t)
	s.runs()
	s.run(0, "add", "web2")
	_, notes := s.run(0, "add", "web2")
	s.contains(notes, "revoked token ", "an earlier one for web2")
	out, _ := s.run(0, "token", "list", "-H", "-o", "state")
	if out != "open\nrevoked\n" {
		t.Errorf("token list: %q", out)
	}
}

func TestAddRefuses(t *testing.T) {
	s := newManager(t)
	s.members(current("a", "web1"))
	tests := []struct {
		args string
		code int
		want string
	}{
		{"Web2", 2, `name "Web2" is not a host name`},
		{"mgr", 2, `name "mgr" is the manager's own`},
		{"web1", 1, `"web1" is a member already: it joined 3h ago`},
		{"web2 --rejoin", 1, `no node is called "web2" that could join again`},
		{"web2 --ttl 10s", 2, "ttl 10s is out of range 1m..30d"},
		{"web2 --ttl 31d", 2, "ttl 31d is out of range 1m..30d"},
		{"web2 --address here", 2, `address "here" is not an IP address`},
		{"web2 --address 127.0.9.1", 2, "address 127.0.9.1 is the manager's own"},
		{"web2 --from then", 2, "--from"},
		{"", 2, "an argument is missing: NAME"},
	}
	for _, tt := range tests {
		out, message := s.run(tt.code, append([]string{"add"}, strings.Fields(tt.args)...)...)
		s.contains(message, tt.want)
		if out != "" {
			t.Errorf("add %s printed %q", tt.args, out)
		}
	}
	tokens, err := s.store.Tokens(t.Context())
	s.must(err)
	if len(tokens) != 1 { // the one that web1 joined with
		t.Errorf("something was stored: %+v", tokens)
	}
}

func TestAddRejoin(t *testing.T) {
	s := newManager(t)
	s.members(current("a", "web1"))
	_, notes := s.run(0, "add", "web1", "--rejoin")
	s.contains(notes, "web1 is connected at this moment", "iwx-queued is not running here")
	tokens, err := s.store.Tokens(t.Context())
	s.must(err)
	if tokens[0].Rejoin != "a" {
		t.Errorf("rejoin is %q", tokens[0].Rejoin)
	}
	if strings.Contains(notes, "still to do") {
		t.Errorf("nothing is queued: %s", notes)
	}
	// Entry 2 is another node's, 3 is the baseline's, and 5 withdraws 4.
	draft := func(kind queue.Kind, targets queue.Targets, body []byte) {
		_, err := s.store.Append(t.Context(), state.Draft{Kind: kind, Targets: targets, Body: body})
		s.must(err)
	}
	void := queue.Void{Seq: 4, Disposition: queue.Cancelled}
	draft(queue.KindCommand, queue.Members(), []byte("1"))
	draft(queue.KindCommand, queue.Nodes("b"), []byte("2"))
	draft(queue.KindCommand, queue.Targets{Scope: queue.ScopeBaseline}, []byte("3"))
	draft(queue.KindCommand, queue.Members(), []byte("4"))
	draft(queue.KindVoid, queue.Members(), void.Encode())
	draft(queue.KindCommand, queue.Nodes("a"), []byte("6"))
	_, notes = s.run(0, "add", "web1", "--rejoin")
	s.contains(notes, "web1 has 2 entries left to replay: 1, 6; a server that joins without its state skips them", "hint: iwx-queue list --pending --node web1")
}

func TestTokenRevoke(t *testing.T) {
	s := newManager(t)
	s.members(current("a", "web1"))
	s.runs()
	s.run(0, "add", "web2")
	s.run(0, "add", "web3")
	ids, _ := s.run(0, "token", "list", "--open", "-H", "-o", "id,node")
	var id string
	for line := range strings.Lines(ids) {
		if i, name, _ := strings.Cut(line, "\t"); name == "web2\n" {
			id = i
		}
	}
	_, notes := s.run(0, "token", "revoke", strings.ToUpper(id))
	s.contains(notes, "revoked token "+id+", for web2")
	_, notes = s.run(0, "token", "revoke", "web2")
	s.contains(notes, "was revoked 0s ago; nothing changed")
	_, notes = s.run(0, "token", "revoke", "web3")
	s.contains(notes, "for web3")
	_, notes = s.run(1, "token", "revoke", "web1")
	s.contains(notes, "has been used: web1 joined with it", "hint: iwx-node delete web1")
	_, notes = s.run(1, "token", "revoke", "web9")
	s.contains(notes, `there is no token "web9"`, "hint: iwx-node token list")
	if out, _ := s.run(0, "token", "list", "--open"); out != "" {
		t.Errorf("still open:\n%s", out)
	}
}

func TestShow(t *testing.T) {
	s := newManager(t)
	refused := current("a", "web1")
	refused.Refused = "a second server was refused"
	s.members(refused, halted("b", "web2"), silent("c", "web3"))
	out, _ := s.run(0, "show", "web1")
	s.contains(out, "node web1 is current\n", "a second server was refused", "c0ffee", "debian 12")
	out, _ = s.run(0, "show", "b")
	s.contains(out, "node web2 is halted at entry 7: E: Unable to locate package\n", "next retry", "in 3m")
	out, _ = s.run(0, "show", "web3")
	s.contains(out, "node web3 is unreachable: it has been silent for 2h1m\n")
	out, _ = s.run(0, "show", "web2", "--json", "-o", "node,blocked_at,exit_code")
	if out != `{"version":1,"node":{"node":"web2","blocked_at":"7","exit_code":100}}`+"\n" {
		t.Errorf("json: %s", out)
	}
	_, message := s.run(1, "show", "web9")
	s.contains(message, `no node is called "web9"`, "hint: iwx-node list --all")
}

func TestStatus(t *testing.T) {
	s := newManager(t)
	s.members(current("a", "web1"), halted("b", "web2"))
	out, message := s.run(3, "status", "web1")
	s.contains(message, "iwx-queued is not running here", "hint: start it: iwx-queued --root "+s.root)
	s.contains(out, "1 node: current\n")
	s.runs()
	out, message = s.run(0, "status", "web1")
	if message != "" {
		t.Errorf("something is said although all is well: %s", message)
	}
	s.contains(out, "1 node: current\n")
	out, _ = s.run(3, "status")
	s.contains(out, "2 nodes: 1 halted (web2), 1 current\n", "E: Unable to locate package")
	_, message = s.run(1, "status", "web9")
	s.contains(message, `no node is called "web9"`)
}

func TestDelete(t *testing.T) {
	s := newManager(t)
	s.members(current("a", "web1"), silent("b", "web2"))
	_, message := s.run(4, "delete", "web1", "--yes")
	s.contains(message, "cannot notify node web1 that it is deleted: iwx-queued is not running here")
	s.runs()
	_, message = s.run(2, "delete", "web1")
	s.contains(message, "delete node web1 (127.0.9.3, current, nothing queued)? there is no terminal to ask on", "hint: add --yes")
	_, message = s.run(4, "delete", "web2", "--yes")
	s.contains(message, "it has been silent for 2h1m", "hint: if it is gone for good: iwx-node delete web2 --force")
	if out, _ := s.run(0, "list", "-H", "-o", "node"); out != "web1\nweb2\n" {
		t.Errorf("a refusal changed something: %q", out)
	}
	s.run(0, "add", "web1", "--rejoin")
	_, message = s.run(124, "delete", "web1", "--yes", "--timeout", "1ms")
	s.contains(message, "revoked token ", "node web1 has not left: it is being notified; it goes on leaving", "hint: wait again: iwx-node delete web1\n")
	if out, _ := s.run(0, "list", "-H", "-o", "node,state"); out != "web1\tleaving\nweb2\tunreachable\n" {
		t.Errorf("a node that is leaving: %q", out)
	}
	s.must(s.store.EndMembership(t.Context(), "a", cluster.Deleted, "root", time.Now()))
	_, message = s.run(0, "delete", "web1", "--yes")
	s.contains(message, "node web1 was deleted 0s ago by ", "nothing changed")
	_, message = s.run(0, "delete", "web2", "--force", "--yes")
	s.contains(message, "deleted node web2", "the manager refuses it; to undo its setup, on the node: iwx-cluster-setup reset")
	out, _ := s.run(0, "list", "--all", "-H", "-o", "node,membership,state")
	if out != "web1\tdeleted\tdeleted\nweb2\tdeleted\tdeleted\n" {
		t.Errorf("list --all: %q", out)
	}
	_, message = s.run(1, "delete", "web9", "--yes")
	s.contains(message, `no node is called "web9"`)
}

// newNode is a node that its manager has answered once.
func newNode(t *testing.T) *server {
	s := newServer(t, &cluster.Identity{
		Role: cluster.RoleNode, ClusterID: "0123456789abcdef", ClusterName: "example", Name: "web1", NodeID: "abcdefghijklmnopqrstuvwxyz", MachineID: "a",
		Manager: netip.MustParseAddrPort("127.0.9.1:2480"), Address: netip.MustParseAddr("127.0.9.3"), Start: 1, SetupAt: time.Now(),
	})
	s.must(s.store.SaveHeard(t.Context(), time.Now(), 1, 0, cluster.Orders{}))
	_, err := host.EnsureMachineID(s.root)
	s.must(err)
	s.must(host.SetHostname(s.root, "web1"))
	keys := pki.Store{Dir: host.At(s.root).PKI}
	key, err := keys.EnsureKey()
	s.must(err)
	csr, err := pki.NewCSR(key)
	s.must(err)
	ca, err := pki.NewCA("0123456789abcdef", time.Now())
	s.must(err)
	cert, err := ca.SignNode(csr, "abcdefghijklmnopqrstuvwxyz", time.Now())
	s.must(err)
	s.must(keys.SaveRoot(ca.Cert))
	s.must(keys.SaveCertificate(cert))
	return s
}

func TestOnANode(t *testing.T) {
	s := newNode(t)
	s.runs()
	out, notes := s.run(0, "list")
	s.contains(out, "web1", "127.0.9.3")
	s.contains(notes, "this is a node; the manager, at 127.0.9.1, knows them all")
	out, _ = s.run(0, "show", "web1")
	s.contains(out, "node web1 is current; its manager is at 127.0.9.1\n", "certificate expires")
	s.run(0, "status")
	for _, args := range [][]string{{"show", "web2"}, {"status", "web2"}} {
		_, message := s.run(1, args...)
		s.contains(message, "this server is node web1 and knows of no other", "hint: ask the manager, at 127.0.9.1")
	}
	for _, args := range [][]string{{"add", "web2"}, {"token", "list"}, {"token", "revoke", "web2"}, {"delete", "web1", "--yes"}} {
		_, message := s.run(1, args...)
		s.contains(message, "this server is node web1 of cluster example", "hint: do it on the manager, at 127.0.9.1")
	}
	s.must(s.store.SaveSilent(t.Context(), time.Now().Add(-time.Hour), cluster.RefusedDeleted, "node web1 was deleted", ""))
	out, _ = s.run(0, "show", "web1")
	s.contains(out, "the manager, at 127.0.9.1, refuses this node: node web1 was deleted\n")
	s.run(3, "status")
}

func TestNotSetUp(t *testing.T) {
	root := t.TempDir()
	for _, verb := range []string{"list", "status", "add"} {
		var out, message bytes.Buffer
		args := []string{"--root", root, verb}
		if verb == "add" {
			args = append(args, "web1")
		}
		code := cli.Main(nodetool.Tool(), args, strings.NewReader(""), &out, &message)
		if code != 1 || !strings.Contains(message.String(), "this server is not part of a cluster: there is no "+filepath.Join(root, "var/lib/iwx/state.db")) {
			t.Errorf("%s: exit %d: %s", verb, code, message.String())
		}
	}
}

func TestComplete(t *testing.T) {
	s := newManager(t)
	s.members(current("a", "web1"))
	s.run(0, "add", "web2")
	t.Setenv("IWX_ROOT", s.root)
	for kind, want := range map[string]string{"node": "web1\tcurrent\n", "token": "\tfor web2\n"} {
		var out bytes.Buffer
		for tries := 0; out.Len() == 0 && tries < 20; tries++ { // one that takes too long offers nothing
			cli.Main(nodetool.Tool(), []string{"__complete", kind}, strings.NewReader(""), &out, &bytes.Buffer{})
		}
		if !strings.HasSuffix(out.String(), want) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%s: %q", kind, out.String())
		}
	}
}

// BenchmarkStatus is the page of 200 nodes beside 100,000 rows of history.
func BenchmarkStatus(b *testing.B) {
	s := newManager(b)
	var nodes []cluster.Node
	for i := range 200 {
		n := current(fmt.Sprintf("id%03d", i), fmt.Sprintf("web%03d", i))
		nodes = append(nodes, n)
	}
	s.members(nodes...)
	for _, n := range nodes {
		attempts := make([]cluster.Attempt, 500)
		for i := range attempts {
			attempts[i] = cluster.Attempt{Epoch: 1, Seq: uint64(i + 1), Attempt: 1, Started: 1, Ended: 2, Outcome: cluster.OutcomeDone}
		}
		s.must(s.store.SaveReport(context.Background(), n.ID, time.Now(), n.Status, attempts))
	}
	s.runs()
	for b.Loop() {
		s.run(0, "status")
	}
}

// TestLastSeen: a node whose connection is open was seen now, even if the saved
// time is a poll old. A node that is silent, or has not connected since the daemon
// began, has its saved time.
func TestLastSeen(t *testing.T) {
	s := newManager(t)
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d).Truncate(time.Millisecond) }
	polled, silent, gone, never := current("a", "web1"), current("b", "web2"), current("c", "web3"), current("d", "web4")
	polled.LastSeen, silent.LastSeen, gone.LastSeen, never.LastSeen = ago(50*time.Minute), ago(50*time.Minute), ago(3*time.Hour), time.Time{}
	silent.SilentSince = silent.LastSeen
	s.members(polled, silent, gone, never)
	seen := func(verb string, running bool) {
		t.Helper()
		code := 0
		if verb == "status" {
			code = 3
		}
		out, _ := s.run(code, verb, "-H", "-p", "-o", "node,last_seen")
		for line := range strings.Lines(out) {
			name, text, _ := strings.Cut(strings.TrimSpace(line), "\t")
			want := map[string]time.Time{"web1": polled.LastSeen, "web2": silent.LastSeen, "web3": gone.LastSeen, "web4": {}}[name]
			if name == "web1" && running {
				want = time.Now()
			}
			got, err := time.Parse(time.RFC3339, text)
			if want.IsZero() {
				if err == nil {
					t.Errorf("%s: %s was seen at %s", verb, name, got)
				}
			} else if err != nil || got.Sub(want).Abs() > 10*time.Minute {
				t.Errorf("%s: %s was seen at %s, want %s: %v", verb, name, text, want, err)
			}
		}
		if strings.Count(out, "\n") != 4 {
			t.Errorf("%s: %q", verb, out)
		}
	}
	seen("list", false)
	seen("status", false)
	s.runs()
	began := ago(2 * time.Hour)
	s.must(os.Chtimes(filepath.Join(host.At(s.root).Run, "wake"), began, began))
	seen("list", true)
	seen("status", true)
}

// TestSeveralAddresses: a node that still has its address, and mounts nothing from
// this manager, may connect from another of its own; a node without its address is
// reported.
func TestSeveralAddresses(t *testing.T) {
	s := newManager(t)
	s.runs()
	own, other := netip.MustParseAddr("127.0.9.3"), netip.MustParseAddr("127.0.9.33")
	has := func(n *cluster.Node, list ...netip.Addr) {
		for _, a := range list {
			n.Facts.Addresses = append(n.Facts.Addresses, host.Address{Prefix: netip.PrefixFrom(a, 8), Interface: "eth0"})
		}
	}
	both, moved, unknown := current("a", "web1"), current("b", "web2"), current("c", "web3")
	both.Connects, moved.Connects, unknown.Connects = other, other, other
	both.Address, moved.Address, unknown.Address = own, own, own
	has(&both, own, other)
	has(&moved, other)
	s.members(both, moved, unknown)
	s.run(0, "status", "web1")
	out, hint := s.run(3, "status")
	s.contains(out, "3 nodes: current; not at its address: web2, web3", "connects from 127.0.9.33, not from its address 127.0.9.3")
	s.contains(hint, "if web2 has moved there: iwx-node edit web2 --address 127.0.9.33;", "if web3 has moved there")
	out, _ = s.run(0, "show", "web1", "-H", "-o", "address,connects_from")
	s.contains(out, "127.0.9.3\t127.0.9.33\n")
}

// TestNotFetched: a node that has not received its entries is not current, and
// every page shows which entry it lacks, and for how long.
func TestNotFetched(t *testing.T) {
	s := newManager(t)
	s.runs()
	began := time.Now().Add(-time.Hour)
	s.must(os.Chtimes(filepath.Join(host.At(s.root).Run, "wake"), began, began))
	behind, has, polled := current("a", "web1"), current("b", "web2"), current("c", "web3")
	has.Status.Head, polled.Fetched = 2, 2
	s.members(behind, has, polled)
	add := func(ago time.Duration) {
		c := queue.Command{Argv: []string{"true"}, QueuedAt: time.Now().Add(-ago)}
		body, err := c.Encode()
		s.must(err)
		_, err = s.store.Append(t.Context(), state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: body})
		s.must(err)
	}
	add(65 * time.Second)
	add(time.Second)
	out, hint := s.run(0, "status")
	s.contains(out, "3 nodes: 1 fetching (web1), 2 current", "has not fetched entry 1 for 1m")
	if hint != "" {
		t.Errorf("hint %q", hint)
	}
	out, _ = s.run(0, "status", "--json", "-o", "node,state,not_fetched")
	s.contains(out, `{"node":"web1","state":"fetching","not_fetched":"1"}`, `{"node":"web3","state":"current","not_fetched":null}`)
	out, _ = s.run(0, "show", "web1")
	s.contains(out, "node web1 is fetching: it has not fetched entry 1 for 1m", "not fetched          1")
	out, _ = s.run(0, "list", "-H", "-o", "state")
	if out != "fetching\ncurrent\ncurrent\n" {
		t.Errorf("list: %q", out)
	}
}

// TestNotFetchedSinceTheEpoch: what a node has not fetched counts from when this log is
// served, even if it was queued, and the node connected, long before.
func TestNotFetchedSinceTheEpoch(t *testing.T) {
	for name, queued := range map[string]time.Duration{"the record of the epoch alone": 0, "a command from before": 70 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := newManager(t)
			s.runs()
			began := time.Now().Add(-80 * time.Hour)
			s.must(os.Chtimes(filepath.Join(host.At(s.root).Run, "wake"), began, began))
			behind, other := current("a", "web1"), current("b", "web2")
			behind.HeardSince, behind.JoinedAt = began, began
			s.members(behind, other)
			if queued > 0 {
				c := queue.Command{Argv: []string{"true"}, QueuedAt: time.Now().Add(-queued)}
				body, err := c.Encode()
				s.must(err)
				_, err = s.store.Append(t.Context(), state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: body})
				s.must(err)
			}
			lost := queue.Next(queue.Position{Seq: 8}, 1, queue.KindCommand, queue.Members(), []byte("lost"))
			s.must(s.store.SaveTail(t.Context(), "b", cluster.Tail{First: 9, Last: cluster.WirePosition(lost.Position())}, []queue.Record{lost}))
			s.must(s.store.Accept(t.Context(), []string{"b"}, time.Now().Add(-65*time.Second).UnixMilli(), "root"))
			out, _ := s.run(0, "status")
			s.contains(out, "2 fetching (web1, web2)", "web1  fetching", "has not fetched entry 1 for 1m")
			if strings.Contains(out, "for 2d") || strings.Contains(out, "for 3d") {
				t.Error(out)
			}
		})
	}
}
