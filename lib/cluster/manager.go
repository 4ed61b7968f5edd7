package cluster

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"iwx/lib/health"
	"iwx/lib/host"
	"iwx/lib/profile"
	"iwx/lib/queue"
)

// Store is what the manager's rules need of the state.
type Store interface {
	Identity(ctx context.Context) (*Identity, error)
	Fence(ctx context.Context) (*Fence, error) // nil: there is none
	SaveFence(ctx context.Context, f Fence) error
	Head(ctx context.Context) (queue.Position, error)
	Epochs(ctx context.Context) ([]Epoch, error)
	Withdrawn(ctx context.Context) ([]queue.Position, error)
	Records(ctx context.Context, after uint64, limit, sizeBytes int) ([]queue.Record, error)
	PositionAt(ctx context.Context, seq uint64) (queue.Position, error)
	Rosters(ctx context.Context) ([]Roster, error)
	Standings(ctx context.Context) ([]Node, error)
	Rolls(ctx context.Context, head uint64) ([]Roll, error) // as the log up to head has it
	SaveRoll(ctx context.Context, seq uint64, turns []Turn, over bool) error
	SaveContact(ctx context.Context, id string, seen time.Time, from netip.Addr) error
	SaveFetched(ctx context.Context, fetched map[string]uint64) error
	SaveFacts(ctx context.Context, id string, at time.Time, facts host.Facts) error
	Members(ctx context.Context) ([]Node, error)
	ForgetFormer(ctx context.Context, id string, former netip.Addr) error
	SaveStanding(ctx context.Context, id string, is Standing) (changed bool, err error)
	SaveReport(ctx context.Context, id string, seen time.Time, status Status, attempts []Attempt) error
	SaveTail(ctx context.Context, id string, tail Tail, records []queue.Record) error
	SaveSilence(ctx context.Context, since map[string]time.Time) error
	SaveRefused(ctx context.Context, id, text string) error
	SaveCertificate(ctx context.Context, id, serial string, expires time.Time) error
	EndMembership(ctx context.Context, id string, how Membership, by string, at time.Time) error
	Admit(ctx context.Context, tokenID string, decide Decide) error
}

// Decide turns a token (nil: there is none) into the nodes to store, the new
// one last; none leaves everything as it is. It sets the token's Used fields.
type Decide func(token *Token, nodes []Node, head uint64) ([]Node, error)

// Signer holds the cluster's keys. It is an interface so that they can live in
// a process of their own, away from the one that reads what strangers send.
type Signer interface {
	// SignNode signs a node's request for a certificate (PKCS #10, DER).
	SignNode(csr []byte, nodeID string) (*x509.Certificate, error)
	// SignHead signs a position of the log.
	SignHead(p queue.Position) ([]byte, error)
}

// Times that the manager goes by.
const (
	longestPoll  = 2 * time.Minute
	contactEvery = 5 * time.Second  // how often an unchanged status is written down
	silentAfter  = 10 * time.Second // without a poll, a node is unreachable
	stalledAfter = 30 * time.Second // the same, during a large body: package api cuts it off then
	cloneWait    = 2 * time.Second  // for the incumbent to show that it lives
)

// Bounds of a page, beside queue.MaxPage.
const (
	tailRecords = 256  // kept in memory for the nodes that are nearly current
	pageRecords = 2000 // at most, in one answer
)

// Manager answers the nodes. Its methods may be called by many goroutines.
type Manager struct {
	Store    Store
	Signer   Signer
	Identity *Identity                  // as it was at the start; where the API is may change
	Facts    func() (host.Facts, error) // of the manager at present, to compare joining nodes with

	// Known looks up, in the manager's name service, the users of a joining node
	// that are not in the manager's facts. May be nil.
	Known func(ctx context.Context, here, there []host.User) ([]host.User, error)

	Version string
	Now     func() time.Time
	Log     *slog.Logger

	// OpenBackup opens one of the manager's backups; the error is
	// fs.ErrNotExist where there is none of that name. nil: there are none.
	OpenBackup func(name string) (*os.File, int64, error)

	// SiteCertificate returns a certificate of a site with its key, as PEM; nil
	// if no site has that one. nil: there are none.
	SiteCertificate func(ctx context.Context, digest string) ([]byte, error)

	// Profiles returns the profile of each member, by node id; nil for none.
	// It is asked at every Refresh.
	Profiles func(is *Identity, members []Roster) (map[string]profile.Document, error)

	// Pulse takes what a member sees of its own services. It does not block for
	// long, and who balances asks again when one was lost; nil: nobody balances.
	Pulse func(ctx context.Context, id string, pulse health.Pulse)

	// Balancer is load balancing, from which the nodes are drained one after the
	// other by an entry that rolls; nil: nobody balances.
	Balancer Balancer

	view      atomic.Pointer[view]
	refresh   sync.Mutex
	wrong     string // with the profiles, as last logged; guarded by refresh
	mu        sync.Mutex
	presences map[string]*presence
	joins     limiter

	// A Lock is held while it is saved what nodes have received, and an RLock while
	// it is saved that a node has received less.
	savingFetched sync.RWMutex
}

// view is what the polls look at: the log's end and the nodes, as of one
// moment. It is replaced, never changed.
type view struct {
	id        *Identity
	fence     *Fence // not nil: another manager has taken the place
	epoch     uint64
	epochs    []Epoch // in order; the last is in force
	head      queue.Position
	sig       []byte         // over head; nil for an empty log
	tail      []queue.Record // the last records, in order
	secret    bool           // the tail holds texts that are to be erased
	nodes     map[string]Roster
	profile   map[string]*profile.Revision // of the nodes that have one
	rolling   bool                         // there is an entry that goes to some nodes at a time
	holds     map[string]uint64            // the entry before which a node is to hold still, by node
	withdrawn map[queue.Position]bool      // epochs' records that recover has taken back
	changed   chan struct{}                // closed when there is a newer view
}

// ErrWentBack says that the log has become shorter. Only Recover may shorten it,
// and that begins an epoch: the state was replaced while the daemon ran.
var ErrWentBack = errors.New("the log lacks entries that this manager has served: its state was replaced by an older one while it ran")

// Refresh reads what has changed in the state and lets the polls look at it.
// It is called at the start, whenever a tool has written, and now and then.
func (m *Manager) Refresh(ctx context.Context) error {
	m.refresh.Lock()
	defer m.refresh.Unlock()
	old := m.view.Load()
	if old == nil {
		old = &view{changed: make(chan struct{})}
	}
	next, err := m.read(ctx, old)
	if err != nil {
		return err
	}
	m.view.Store(next)
	close(old.changed)
	m.logBack(old, next)
	return nil
}

// logBack logs the nodes that were found at an older state.
func (m *Manager) logBack(old, next *view) {
	for id, n := range next.nodes {
		was, known := old.nodes[id]
		if back := n.WentBack; known && back != nil && (was.WentBack == nil || *was.WentBack != *back) {
			m.Log.Warn("a node went back to an older state and repeats the entries after it", "node", n.Name, "was_at", back.From, "is_at", back.To)
		}
	}
}

func (m *Manager) read(ctx context.Context, old *view) (*view, error) {
	next, err := m.readState(ctx, old)
	if err != nil {
		return nil, err
	}
	next.profile = m.profiles(next.id, next.members(), old.profile)
	// After the records, since none is shown before it is known who is to wait;
	// and by them alone, since a node passes over an entry only where it knows
	// the record that says so.
	next.holds, err = m.roll(ctx, next.head.Seq)
	next.rolling = next.holds != nil
	return next, err
}

// readState reads the nodes and the log, one after the other. What replaces records
// of the log begins an epoch, and changes the nodes with it: if one began meanwhile,
// the parts do not belong together, and are read again.
func (m *Manager) readState(ctx context.Context, old *view) (*view, error) {
	for {
		next := &view{changed: make(chan struct{}), nodes: map[string]Roster{}, withdrawn: map[queue.Position]bool{}}
		if err := m.readEpochs(ctx, next); err != nil {
			return nil, err
		}
		err := m.readParts(ctx, old, next)
		epochs, failed := m.Store.Epochs(ctx)
		switch {
		case failed != nil:
			return nil, cmp.Or(err, failed)
		case epochs[len(epochs)-1].Number != next.epoch:
			continue
		}
		return next, err
	}
}

func (m *Manager) readParts(ctx context.Context, old, next *view) error {
	rosters, err := m.Store.Rosters(ctx)
	if err != nil {
		return err
	}
	for _, n := range rosters {
		next.nodes[n.ID] = n
	}
	if next.id, err = m.Store.Identity(ctx); err != nil {
		return err
	}
	if next.fence, err = m.Store.Fence(ctx); err != nil {
		return err
	}
	if next.head, err = m.Store.Head(ctx); err != nil {
		return err
	}
	if next.head.Seq < old.head.Seq && next.epoch == old.epoch {
		return fmt.Errorf("%w: it ends at entry %d, and %d was served", ErrWentBack, next.head.Seq, old.head.Seq)
	}
	if next.head == old.head && !old.secret {
		next.tail, next.sig = old.tail, old.sig
		return nil
	}
	return m.readTail(ctx, old, next)
}

func (m *Manager) readEpochs(ctx context.Context, next *view) error {
	var err error
	if next.epochs, err = m.Store.Epochs(ctx); err != nil {
		return err
	}
	next.epoch = next.epochs[len(next.epochs)-1].Number
	withdrawn, err := m.Store.Withdrawn(ctx)
	for _, p := range withdrawn {
		next.withdrawn[p] = true
	}
	return err
}

// readTail fills in the records since the old view, and the head's signature.
// While there are secrets among them it reads all of them again, so that what
// is erased in the state does not live on in memory; so it does when an epoch
// began, for which records may have been taken back.
func (m *Manager) readTail(ctx context.Context, old, next *view) error {
	after := old.head.Seq
	next.tail = old.tail
	if old.secret || next.epoch != old.epoch || next.head.Seq < after || next.head.Seq-after > tailRecords {
		after, next.tail = next.head.Seq-min(next.head.Seq, tailRecords), nil
	}
	for after < next.head.Seq {
		records, err := m.Store.Records(ctx, after, tailRecords, queue.MaxPage)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			break
		}
		after = records[len(records)-1].Seq
		next.secret = next.secret || slices.ContainsFunc(records, isSecret)
		next.tail = trim(append(next.tail[:len(next.tail):len(next.tail)], records...))
	}
	if n := len(next.tail); n > 0 {
		next.head = next.tail[n-1].Position() // what came in the meantime, too
	}
	var err error
	next.sig, err = m.Signer.SignHead(next.head)
	return err
}

// isSecret reports whether the record's text is to be erased one day.
func isSecret(r queue.Record) bool {
	if r.Kind != queue.KindCommand || r.Body == nil {
		return false
	}
	c, err := queue.DecodeCommand(r.Body)
	return err == nil && c.Sensitive
}

// trim keeps of the records what fits into memory and one page.
func trim(records []queue.Record) []queue.Record {
	size, i := 0, len(records)
	for i > 0 && len(records)-i < tailRecords {
		size += len(records[i-1].Body)
		if size > queue.MaxPage && i < len(records) {
			break
		}
		i--
	}
	return records[i:]
}

// member returns the node's entry in the view, or why it is refused.
func (v *view) member(id string) (Roster, error) {
	n, found := v.nodes[id]
	if v.fence != nil {
		return n, Refuse(RefusedFenced, "on that server: iwx-cluster-setup reset --force", "%s", v.fence)
	}
	if !found {
		return n, Refuse(RefusedDeleted, "leave this cluster: iwx-cluster-setup reset",
			"the manager knows no node with the id %s", id)
	}
	switch n.Membership {
	case Member, Leaving:
		return n, nil
	case Left:
		return n, Refuse(RefusedDeleted, "leave this cluster: iwx-cluster-setup reset",
			"node %s left the cluster at %s", n.Name, stamp(n.EndedAt))
	}
	return n, Refuse(RefusedDeleted, "make this an independent server again: iwx-cluster-setup reset",
		"node %s was deleted from the cluster at %s by %s", n.Name, stamp(n.EndedAt), n.EndedBy)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Hello tells a node where it stands.
func (m *Manager) Hello(_ context.Context, id string) (*Hello, error) {
	v := m.view.Load()
	n, err := v.member(id)
	if err != nil {
		return nil, err
	}
	return &Hello{Cluster: m.Identity.ClusterName, Name: n.Name, Head: v.head.Seq, Orders: n.Orders, Time: m.Now().UnixMilli()}, nil
}

// Report takes in what a node has done.
func (m *Manager) Report(ctx context.Context, id string, remote netip.Addr, r *Report) error {
	if _, err := m.view.Load().member(id); err != nil {
		return err
	}
	p, err := m.claim(ctx, id, r.Instance, remote)
	if err != nil {
		return err
	}
	now := m.Now()
	if err := m.Store.SaveReport(ctx, id, now, m.view.Load().own(id, r.Status), r.Attempts); err != nil {
		return err
	}
	p.saved(now)
	p.fetched(r.Status.Head)
	if r.Facts != nil {
		if err := m.saveFacts(ctx, id, r.Facts); err != nil {
			return err
		}
	}
	if m.view.Load().rolling {
		return m.Refresh(ctx) // it may be the next node's turn
	}
	return nil
}

// maxFacts limits the stored size of a node's facts, in bytes: some thousand
// addresses.
const maxFacts = 256 << 10

// saveFacts saves the facts that a node reports, unless they are too large.
func (m *Manager) saveFacts(ctx context.Context, id string, facts *host.Facts) error {
	text, err := json.Marshal(facts)
	if err != nil {
		return err
	}
	if len(text) > maxFacts {
		m.Log.Warn("the facts of a node are too large and were ignored", "node", m.view.Load().nodes[id].Name, "bytes", len(text), "limit", maxFacts)
		return nil
	}
	return m.Store.SaveFacts(ctx, id, m.Now(), *facts)
}

// Hear takes in what a member sees of its own services, and hands it on at
// once; nothing of it is written down.
func (m *Manager) Hear(ctx context.Context, id string, remote netip.Addr, req *PulseRequest) error {
	if _, err := m.view.Load().member(id); err != nil {
		return err
	}
	if _, err := m.claim(ctx, id, req.Instance, remote); err != nil {
		return err
	}
	if m.Pulse != nil {
		m.Pulse(ctx, id, req.Pulse)
	}
	return nil
}

// Renew signs a new certificate for a member.
func (m *Manager) Renew(ctx context.Context, id string, csr []byte) (*x509.Certificate, error) {
	if _, err := m.view.Load().member(id); err != nil {
		return nil, err
	}
	cert, err := m.Signer.SignNode(csr, id)
	if err != nil {
		return nil, err
	}
	return cert, m.Store.SaveCertificate(ctx, id, cert.SerialNumber.Text(16), cert.NotAfter)
}

// Leave takes a node out at its own wish, or because it was told to leave.
func (m *Manager) Leave(ctx context.Context, id string) error {
	n, err := m.view.Load().member(id)
	if err != nil {
		return err
	}
	how, by := Left, "its own reset"
	if n.Membership == Leaving {
		how, by = Deleted, n.EndedBy
	}
	if err := m.Store.EndMembership(ctx, id, how, by, m.Now()); err != nil {
		return err
	}
	m.Log.Info("a node has left", "node", n.Name)
	return m.Refresh(ctx)
}

// Backup opens a backup for a member, which keeps a copy of it: it is encrypted
// to a key that no server has. The caller closes the file, of which it reads size
// bytes.
func (m *Manager) Backup(_ context.Context, id, name string) (f *os.File, size int64, err error) {
	if _, err := m.view.Load().member(id); err != nil {
		return nil, 0, err
	}
	err = fs.ErrNotExist
	if m.OpenBackup != nil {
		f, size, err = m.OpenBackup(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = Refuse(RefusedMalformed, "make another on the manager: iwx-cluster-setup backup", "the manager has no backup %.120q", name)
	}
	return f, size, err
}

// Certificate returns a certificate of a site to a member, which serves it as
// this server does.
func (m *Manager) Certificate(ctx context.Context, id, digest string) (answer *SiteCertificate, err error) {
	if _, err := m.view.Load().member(id); err != nil {
		return nil, err
	}
	answer = &SiteCertificate{}
	if m.SiteCertificate != nil {
		answer.PEM, err = m.SiteCertificate(ctx, digest)
	}
	return answer, err
}

// Where returns what the manager is now, with the addresses of its API.
func (m *Manager) Where() *Identity { return m.view.Load().id }

// Summary returns how long the log is and how many members there are.
func (m *Manager) Summary() (head uint64, members int) {
	v := m.view.Load()
	return v.head.Seq, len(v.members())
}

// Head returns the last position that is served to the nodes.
func (m *Manager) Head() queue.Position { return m.view.Load().head }

// Members returns the nodes that belong to the cluster, by name, those that are
// leaving among them.
func (m *Manager) Members() []Roster { return m.view.Load().members() }

func (v *view) members() []Roster {
	var list []Roster
	for _, n := range v.nodes {
		if n.Membership.Belongs() {
			list = append(list, n)
		}
	}
	slices.SortFunc(list, func(a, b Roster) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
