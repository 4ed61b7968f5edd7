package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
	"iwx/lib/lb"
)

// Apply makes the changes, in order, and sees to it that the kernel's settings
// are those that balancing needs.
//
// The kernel makes each change at once and has no transactions. A new service is
// without real servers for a moment, some tens of microseconds, in which a new
// connection is refused. The kernel forgets the connections to a real server that
// is deleted: to their clients' next packets the manager itself then answers,
// with a reset. A client that was still waiting for its connection is given
// another server when it asks again, after a second.
func (e *Engine) Apply(ctx context.Context, ops []lb.Operation) error {
	return e.use(ctx, func(k *kernel) error {
		asked := false
		for i, op := range ops {
			if op.Verb == lb.DeleteServer && !asked {
				asked = true
				e.before(k, ops[i:])
			}
			if err := e.do(k, op); err != nil {
				return refused(op, err)
			}
		}
		return prepare(e.settings)
	})
}

// before keeps, for End, the connections to the real servers that the operations
// delete: after that the kernel no longer tells them. The servers take no new
// connection meanwhile. What goes wrong here is told by the deletion, and by End.
func (e *Engine) before(k *kernel, ops []lb.Operation) {
	deleted := map[netip.AddrPort]bool{}
	for _, op := range ops {
		if op.Verb == lb.DeleteServer {
			op.Real.Weight = 0
			_ = editServer(k, op)
			deleted[op.Addr] = true
		}
	}
	left := map[netip.AddrPort][]connection{}
	_ = readTable(e.table, func(c connection) {
		if deleted[c.server] && c.open() {
			left[c.server] = append(left[c.server], c)
		}
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	for addr := range deleted {
		e.left[addr] = left[addr]
	}
}

func (e *Engine) do(k *kernel, op lb.Operation) error {
	switch op.Verb {
	case lb.AddService:
		return e.addService(k, op.Key, op.Virtual)
	case lb.EditService:
		return e.editService(k, op.Key, op.Virtual)
	case lb.DeleteService:
		return gone(k.change(cmdDelService, part{attrService, newService(op.Key, op.Virtual).encodeKey}))
	case lb.AddServer:
		e.forget(op.Addr)
		return addServer(k, op.Key, op.Virtual.Forwarding, op.Addr, op.Real)
	case lb.EditServer:
		return editServer(k, op)
	case lb.DeleteServer:
		return gone(k.changeDest(cmdDelDest, op.Key, dest{addr: op.Addr}))
	}
	return fmt.Errorf("there is no such operation")
}

// gone takes it for success that what is to be deleted is not there.
func gone(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// note keeps what a service was given and the kernel cannot tell while the
// service has no real server.
func (e *Engine) note(key netip.AddrPort, f lb.Forwarding) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ours[key.Addr()] = true
	e.method[key] = f
}

// forget drops what was kept of the connections to a real server that is back.
func (e *Engine) forget(addr netip.AddrPort) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.left, addr)
}

func (e *Engine) addService(k *kernel, key netip.AddrPort, v lb.Virtual) error {
	s := part{attrService, newService(key, v).encode}
	err := k.change(cmdNewService, s)
	if errors.Is(err, unix.EEXIST) {
		err = k.change(cmdSetService, s)
	}
	if err != nil {
		return err
	}
	e.note(key, v.Forwarding)
	for addr, real := range v.Servers {
		if err := addServer(k, key, v.Forwarding, addr, real); err != nil {
			return err
		}
	}
	return nil
}

// editService gives a service its values, and its real servers the way of
// forwarding, which the kernel keeps with them.
func (e *Engine) editService(k *kernel, key netip.AddrPort, v lb.Virtual) error {
	s := newService(key, v)
	if err := k.change(cmdSetService, part{attrService, s.encode}); err != nil {
		return err
	}
	e.note(key, v.Forwarding)
	method, err := methodOf(v.Forwarding)
	if err != nil {
		return err
	}
	dests, err := k.dests(s)
	if err != nil {
		return err
	}
	for _, d := range dests {
		if d.method == method {
			continue
		}
		d.method = method
		if err := k.changeDest(cmdSetDest, key, d); err != nil {
			return err
		}
	}
	return nil
}

func addServer(k *kernel, key netip.AddrPort, f lb.Forwarding, addr netip.AddrPort, real lb.Real) error {
	method, err := methodOf(f)
	if err != nil {
		return err
	}
	d := dest{addr: addr, method: method, weight: uint32(real.Weight)}
	err = k.changeDest(cmdNewDest, key, d)
	if errors.Is(err, unix.EEXIST) {
		err = k.changeDest(cmdSetDest, key, d)
	}
	return err
}

// editServer gives a real server its weight.
func editServer(k *kernel, op lb.Operation) error {
	method, err := methodOf(op.Virtual.Forwarding)
	if err != nil {
		return err
	}
	return k.changeDest(cmdSetDest, op.Key, dest{addr: op.Addr, method: method, weight: uint32(op.Real.Weight)})
}

// changeDest sends a change of a real server of a virtual service.
func (k *kernel) changeDest(cmd uint8, key netip.AddrPort, d dest) error {
	s := service{addr: key.Addr(), port: key.Port(), protocol: protocolTCP}
	return k.change(cmd, part{attrService, s.encodeKey}, part{attrDest, d.encode})
}

// refused says which change the kernel did not make, and what to do.
func refused(op lb.Operation, err error) error {
	text := fmt.Sprintf("%s %s", op.Verb, op.Key)
	if op.Addr.IsValid() {
		text = fmt.Sprintf("%s %s of %s", op.Verb, op.Addr, op.Key)
	}
	switch scheduler := op.Virtual.Scheduler; {
	case errors.Is(err, unix.ENOENT) && (op.Verb == lb.AddService || op.Verb == lb.EditService):
		err = fault.New(fault.Failed, "%s: this kernel has no scheduler %q", text, scheduler)
		return fault.Hint(err, "modprobe ip_vs_%s, or another scheduler: iwx-lb edit --scheduler wlc", scheduler)
	case errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT):
		err = fault.New(fault.Busy, "%s: it is no longer there", text)
		return fault.Hint(err, "ipvsadm -L -n; iwx-lb daemon corrects it at its next pass")
	}
	return fmt.Errorf("%s: %w", text, err)
}
