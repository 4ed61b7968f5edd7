package site

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// Report is what a server found when it looked at what it has of the sites. It
// travels in every report of a node, and is therefore bounded.
type Report struct {
	Seen   uint64  `json:"seen,omitempty"`   // the last request to look that was heeded, cluster.Orders.Look
	Done   uint64  `json:"done,omitempty"`   // every entry of the queue up to this one was settled then
	Sites  int     `json:"sites,omitempty"`  // that the server has
	Digest string  `json:"digest,omitempty"` // of what it is to have of them
	Faults []Fault `json:"faults,omitempty"` // the server's own first, then by domain; MostFaults at most
	More   int     `json:"more,omitempty"`   // faults beyond those
	Error  string  `json:"error,omitempty"`  // why it could not look
}

// MostFaults is how many faults a report lists.
const MostFaults = 50

// Fault is something that is not as it was applied.
type Fault struct {
	Domain  string `json:"domain,omitempty"`  // "" for the whole server
	What    string `json:"what"`              // in a sentence, on one line
	Stays   bool   `json:"stays,omitempty"`   // iwx-site sync does not repair it on this server
	Foreign bool   `json:"foreign,omitempty"` // likewise, and fails: an account is somebody else's
}

// Add adds a fault, or counts it where there are too many.
func (r *Report) Add(f Fault) {
	if len(r.Faults) == MostFaults {
		r.More++
		return
	}
	f.What = brief(f.What)
	r.Faults = append(r.Faults, f)
}

// Fail notes why the server could not look, or not at everything.
func (r *Report) Fail(err error) { r.Error = brief(err.Error()) }

// brief is a message as one line: those of other programs have no end.
func brief(what string) string {
	const longest = 300 // bytes
	what = strings.Join(strings.Fields(what), " ")
	if len(what) > longest {
		what = strings.ToValidUTF8(what[:longest], "") + "…"
	}
	return what
}

// Amiss is how many faults there are.
func (r *Report) Amiss() int { return len(r.Faults) + r.More }

// Digest returns 32 hexadecimal digits that are the same for the same sites, in
// any order: two servers of neighbouring versions that are to have the same come
// to the same digest. Sites that are Gone do not count.
func Digest(specs []Spec) string {
	list := slices.DeleteFunc(slices.Clone(specs), func(s Spec) bool { return s.Gone })
	slices.SortFunc(list, func(a, b Spec) int { return cmp.Compare(a.Domain, b.Domain) })
	hash := sha256.New()
	for i := range list {
		s := &list[i]
		// What a server does with a site, and no field that is added later.
		text, _ := json.Marshal([]any{s.Domain, s.User, s.UID, s.Home, s.Shell, s.Certificate, s.Suspended, s.VHost})
		hash.Write(text)
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}
