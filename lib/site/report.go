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
	Faults []Fault `json:"faults,omitempty"` // by domain, MostFaults at most
	More   int     `json:"more,omitempty"`   // faults beyond those
	Error  string  `json:"error,omitempty"`  // why it could not look
}

// MostFaults is how many faults a report lists.
const MostFaults = 50

// Fault is something that is not as it was applied.
type Fault struct {
	Domain string `json:"domain"`
	What   string `json:"what"` // in a sentence
}

// Add adds a fault, or counts it where there are too many.
func (r *Report) Add(domain, what string) {
	const longest = 300 // bytes; the messages of other programs have no end
	if len(what) > longest {
		what = strings.ToValidUTF8(what[:longest], "") + "…"
	}
	if len(r.Faults) == MostFaults {
		r.More++
		return
	}
	r.Faults = append(r.Faults, Fault{Domain: domain, What: what})
}

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
