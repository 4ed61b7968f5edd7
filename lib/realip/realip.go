// Package realip has the services of a server know the addresses of their
// clients where a balancer that is a proxy connects in their place: their logs,
// and what bans or limits by address, would see the balancer's alone.
//
// HTTP in the clear carries the address in X-Forwarded-For, all else has it in front,
// as a header of the PROXY protocol, at a port of its own, which turns ordinary
// clients away. It is believed from the balancer only, so that nobody can make one
// up.
package realip

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"iwx/lib/atomicfile"
	"iwx/lib/fault"
	"iwx/lib/profile"
	"iwx/lib/vhost"
)

// Kind is the kind of the items, of which there is one for each service, by its
// name in package lb.
const Kind = "client-address"

// Spec is what an item says.
type Spec struct {
	Listen    netip.AddrPort `json:"listen,omitzero"` // where the PROXY protocol is expected; none for HTTP in the clear
	Balancers []netip.Prefix `json:"balancers"`       // who is believed
}

// Item returns the item of a service.
func Item(service string, spec Spec) (profile.Item, error) { return profile.Make(Kind, service, spec) }

// program is one that serves a service on this server. What put and drop do
// counts from the reload on.
type program interface {
	String() string
	differs(ctx context.Context, spec Spec) (bool, error) // from what put would make
	// put may have changed something when it fails: that it takes back what it
	// did before. When the program refuses it, all is as before. It is idempotent.
	put(ctx context.Context, spec Spec) (changed bool, err error)
	drop(ctx context.Context) error   // takes back what put did under any spec
	reload(ctx context.Context) error // without ending a connection; one that does not run is left alone
}

// Applier is the profile.Applier of Kind. A program that is not installed is none
// of its business.
type Applier struct {
	Root  string                                               // "" for the server itself
	Notes string                                               // directory: one file for each program that is to be reloaded
	Lock  func(ctx context.Context) (unlock func(), err error) // keeps others from the configurations
}

// Check implements profile.Applier.
func (a *Applier) Check(ctx context.Context, item profile.Item) (change string, err error) {
	var spec Spec
	if err := item.Decode(&spec); err != nil {
		return "", err
	}
	programs, err := a.programs(ctx, item.Name)
	if err != nil {
		return "", err
	}
	var names []string
	for _, p := range programs {
		differs, err := p.differs(ctx, spec)
		if err != nil {
			return "", err
		}
		if differs || a.owes(item, p) {
			names = append(names, p.String())
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	return fmt.Sprintf("have %s believe %s about the clients of %s", strings.Join(names, " and "), strings.Join(vhost.Addresses(spec.Balancers), ", "), item.Name), nil
}

// Apply implements profile.Applier.
func (a *Applier) Apply(ctx context.Context, item profile.Item) error {
	var spec Spec
	if err := item.Decode(&spec); err != nil {
		return err
	}
	return a.change(ctx, item, believe(ctx, spec))
}

// believe puts a program right if it is not, or may not be since an earlier run was
// cut short.
func believe(ctx context.Context, spec Spec) func(p program, owed bool) (changed bool, err error) {
	return func(p program, owed bool) (bool, error) {
		differs, err := p.differs(ctx, spec)
		if err != nil || !differs && !owed {
			return false, err
		}
		return p.put(ctx, spec)
	}
}

// Remove implements profile.Applier.
func (a *Applier) Remove(ctx context.Context, item profile.Item) error {
	if err := a.change(ctx, item, func(p program, _ bool) (bool, error) { return true, p.drop(ctx) }); err != nil {
		return err
	}
	if err := os.Remove(a.Notes); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	return nil
}

// change has one change the service's programs, and those reloaded that it has
// changed, or that an earlier run had when it was cut short.
func (a *Applier) change(ctx context.Context, item profile.Item, one func(p program, owed bool) (changed bool, err error)) error {
	programs, err := a.programs(ctx, item.Name)
	if err != nil || len(programs) == 0 {
		return err
	}
	unlock, err := a.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	var faults []error
	for _, p := range programs {
		faults = append(faults, a.changeOne(ctx, item, p, one))
	}
	return errors.Join(faults...)
}

func (a *Applier) changeOne(ctx context.Context, item profile.Item, p program, one func(p program, owed bool) (changed bool, err error)) error {
	owed := a.owes(item, p)
	if err := a.owe(item, p); err != nil {
		return err
	}
	changed, err := one(p, owed)
	if changed || owed && err == nil {
		err = errors.Join(err, p.reload(ctx))
	}
	if err != nil {
		return err
	}
	return os.Remove(a.note(item, p))
}

func (a *Applier) note(item profile.Item, p program) string {
	return filepath.Join(a.Notes, item.Name+"."+p.String())
}

// owe notes that a program is to be reloaded, before anything is changed.
func (a *Applier) owe(item profile.Item, p program) error {
	if err := atomicfile.MkdirAll(a.Notes, 0o700); err != nil {
		return err
	}
	return atomicfile.Write(a.note(item, p), nil, 0o600)
}

func (a *Applier) owes(item profile.Item, p program) bool {
	_, err := os.Stat(a.note(item, p))
	return err == nil
}

// programs returns those that serve a service here.
func (a *Applier) programs(ctx context.Context, service string) (list []program, err error) {
	switch service {
	case "http", "https":
		for _, s := range vhost.Find(a.Root) {
			switch {
			case !s.Installed():
			case service == "http":
				list = append(list, web{s})
			default:
				list = append(list, secure{s})
			}
		}
		return list, nil
	case "smtp", "submission", "submissions":
		if p := (postfix{a.Root, service}); p.serves(ctx) {
			list = append(list, p)
		}
		return list, nil
	case "pop3", "pop3s", "imap", "imaps":
		if d := (dovecot{a.Root, service}); d.serves(ctx) {
			list = append(list, d)
		}
		return list, nil
	}
	return nil, fault.Hint(fault.New(fault.Failed, "this version of iwx does not know how %s learns of its clients", service), "install the manager's version of iwx here")
}
