package endpoint

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"iwx/lib/health"
)

// Answer is what the endpoint says of one service.
type Answer struct {
	Service string `json:"service"`
	Up      bool   `json:"up"`
	Reason  string `json:"reason,omitempty"` // why not
}

// page is the JSON of GET /, version 1. A field is only ever added.
type page struct {
	Version  int      `json:"version"`
	Services []Answer `json:"services"`
}

// view is all that answers are made from, at one moment.
type view struct {
	spec     Spec
	standing Standing
	verdicts map[string]health.Verdict
}

// target is a service as it is checked.
func target(s *Service) health.Target {
	return health.Target{ID: fmt.Sprintf("%s %s %+v", s.Name, s.Addr, s.Check), Host: s.Addr.Addr().String(), Name: s.Name, Addr: s.Addr, Check: s.Check}
}

// answers returns what there is to say of every service, by name.
func (v *view) answers() []Answer {
	var list []Answer
	for i := range v.spec.Services {
		s := &v.spec.Services[i]
		reason := v.reason(s)
		at := slices.IndexFunc(list, func(a Answer) bool { return a.Service == s.Name })
		if at < 0 {
			list = append(list, Answer{s.Name, reason == "", reason})
		} else if list[at].Up {
			list[at] = Answer{s.Name, reason == "", reason}
		}
	}
	slices.SortFunc(list, func(a, b Answer) int { return cmp.Compare(a.Service, b.Service) })
	return list
}

// reason reports why a service is to get no traffic, "" if it is.
func (v *view) reason(s *Service) string {
	verdict := v.verdicts[target(s).ID]
	switch {
	case v.standing.Unready != "":
		return v.standing.Unready
	case s.Drained:
		return "drained"
	case verdict.State == health.Up, verdict.State == health.Starting:
		return ""
	case verdict.State == health.Down:
		return cmp.Or(verdict.Last.Reason, "down")
	}
	return "not checked yet"
}

// ServeHTTP answers from the view.
func (v *view) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	switch {
	case err != nil || !v.allows(from.Addr().Unmap()):
		w.Header().Set("Connection", "close") // a connection that may idle is for who may ask
		http.Error(w, "this address may not ask", http.StatusForbidden)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
	case r.URL.Path == "/":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(page{1, append([]Answer{}, v.answers()...)}) // who asked may be gone
	default:
		v.one(w, r.URL.Path[1:])
	}
}

// one answers for a single service. A program that checks looks at the status,
// and a person at the line.
func (v *view) one(w http.ResponseWriter, name string) {
	list := v.answers()
	i := slices.IndexFunc(list, func(a Answer) bool { return a.Service == name })
	switch {
	case i < 0:
		http.Error(w, "no such service is balanced here", http.StatusNotFound)
	case list[i].Up:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "up")
	default:
		http.Error(w, list[i].Reason, http.StatusServiceUnavailable)
	}
}

// allows reports whether somebody may ask: who is on the list, and the server
// itself.
func (v *view) allows(from netip.Addr) bool {
	return from.IsLoopback() || from == v.spec.Listen.Addr() ||
		slices.ContainsFunc(v.spec.Allow, func(p netip.Prefix) bool { return p.Contains(from) })
}
