package lb

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"iwx/lib/health"
)

// Diff returns the operations that make actual what is desired, in an order
// that is always the same: services that are gone last, and of each service
// what brings servers before what takes them away. So a pool that has a server
// before and after has one at every moment between.
//
// Names are for sentences, and Local follows from the address: neither makes a
// difference.
func Diff(desired, actual Table) []Operation {
	var ops []Operation
	for _, key := range sorted(desired) {
		is, there := actual[key]
		if !there {
			ops = append(ops, Operation{Verb: AddService, Key: key, Virtual: desired[key]})
			continue
		}
		ops = append(ops, diffService(key, desired[key], is)...)
	}
	for _, key := range sorted(actual) {
		if _, wanted := desired[key]; !wanted {
			ops = append(ops, Operation{Verb: DeleteService, Key: key, Virtual: bare(actual[key])})
		}
	}
	return ops
}

func diffService(key netip.AddrPort, want, is Virtual) []Operation {
	var edits, adds, raises, lowers, deletes []Operation
	values := bare(want)
	if !values.equal(is) {
		edits = append(edits, Operation{Verb: EditService, Key: key, Virtual: values})
	}
	for _, addr := range sorted(want.Servers) {
		real := want.Servers[addr]
		was, there := is.Servers[addr]
		op := Operation{Verb: EditServer, Key: key, Virtual: values, Addr: addr, Real: real, Was: was.Weight}
		switch {
		case !there:
			op.Verb, op.Was = AddServer, 0
			adds = append(adds, op)
		case real.Weight > was.Weight:
			raises = append(raises, op)
		case real.Weight < was.Weight:
			lowers = append(lowers, op)
		}
	}
	for _, addr := range sorted(is.Servers) {
		if _, wanted := want.Servers[addr]; !wanted {
			deletes = append(deletes, Operation{Verb: DeleteServer, Key: key, Virtual: values, Addr: addr, Real: is.Servers[addr]})
		}
	}
	return slices.Concat(edits, adds, raises, lowers, deletes)
}

// bare is the virtual service without its servers.
func bare(v Virtual) Virtual {
	v.Servers = nil
	return v
}

// equal reports whether two virtual services have the same values, their
// servers aside. Whether it is HTTP matters to a proxy alone.
func (v Virtual) equal(w Virtual) bool {
	if v.Forwarding == Proxy && v.HTTP != w.HTTP {
		return false
	}
	return v.Scheduler == w.Scheduler && v.Persistence == w.Persistence && v.Forwarding == w.Forwarding && v.Proxy == w.Proxy
}

func sorted[V any](m map[netip.AddrPort]V) []netip.AddrPort {
	return slices.SortedFunc(maps.Keys(m), netip.AddrPort.Compare)
}

// Apply does the operation to the table, as an engine does it: it is what a
// table is after it. Repeating it changes nothing.
func (t Table) Apply(op Operation) {
	v, there := t[op.Key]
	switch op.Verb {
	case AddService:
		v = op.Virtual
		v.Servers = maps.Clone(v.Servers)
		if v.Servers == nil {
			v.Servers = map[netip.AddrPort]Real{}
		}
		t[op.Key] = v
	case EditService:
		values := op.Virtual
		values.Servers = v.Servers
		if there {
			t[op.Key] = values
		}
	case DeleteService:
		delete(t, op.Key)
	case AddServer, EditServer:
		if there {
			v.Servers[op.Addr] = op.Real
		}
	case DeleteServer:
		delete(v.Servers, op.Addr)
	}
}

// Explain adds to the operations on servers the name of the server and the reason,
// as far as the reports have them: an engine may know no names.
func Explain(ops []Operation, reports []ServiceReport) {
	members := map[[2]netip.AddrPort]*MemberReport{}
	for i := range reports {
		r := &reports[i]
		for j := range r.Members {
			members[[2]netip.AddrPort{r.Policy.Key(), r.Members[j].Addr}] = &r.Members[j]
		}
	}
	for i := range ops {
		op := &ops[i]
		m := members[[2]netip.AddrPort{op.Key, op.Addr}]
		if m == nil {
			continue
		}
		op.Real.Name, op.Real.Local = m.Name, m.Manager
		if op.Verb == DeleteServer || op.Verb == EditServer {
			op.Why = m.why()
		}
	}
}

// why is what keeps the member from all of its weight, "" for nothing.
func (m *MemberReport) why() string {
	switch {
	case m.Draining:
		return "drained"
	case m.Verdict.State == health.Down:
		return m.Verdict.Last.Reason
	case m.Verdict.State == health.Starting:
		return "slow start"
	}
	return m.Unready
}

// String returns the operation for people: "http on 192.0.2.10: add server web2
// (10.0.0.2:80) with weight 100".
func (op Operation) String() string {
	text := op.Virtual.Name + ": " + string(op.Verb)
	if op.Virtual.Name == "" {
		text = op.Key.String() + ": " + string(op.Verb)
	}
	if op.Addr.IsValid() {
		text += " " + op.Real.Name + " (" + op.Addr.String() + ")"
	}
	return text + op.values() + op.because()
}

func (op *Operation) values() string {
	switch op.Verb {
	case AddServer:
		return fmt.Sprintf(" with weight %d", op.Real.Weight)
	case EditServer:
		return fmt.Sprintf(", weight %d to %d", op.Was, op.Real.Weight)
	case AddService:
		return fmt.Sprintf(" with scheduler %s, persistence %v, forwarding %s, %d servers",
			op.Virtual.Scheduler, op.Virtual.Persistence, op.Virtual.Forwarding, len(op.Virtual.Servers))
	case EditService:
		return fmt.Sprintf(" to scheduler %s, persistence %v, forwarding %s", op.Virtual.Scheduler, op.Virtual.Persistence, op.Virtual.Forwarding)
	}
	return ""
}

func (op *Operation) because() string {
	if op.Why == "" {
		return ""
	}
	return ": " + op.Why
}
