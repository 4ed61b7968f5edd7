// Package endpoint is the HTTP health endpoint that a server of the cluster has
// for an external balancer: GET /SERVICE answers 200 while the service takes
// traffic here and 503 while it does not, with the reason; GET / tells of all as
// JSON.
//
// It answers from what it has seen last, so that asking often costs the services
// nothing, to an allow-list alone, and without any privilege: what it is to do
// and what is known of the server stand in two files that everybody may read.
package endpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"iwx/lib/atomicfile"
	"iwx/lib/fault"
	"iwx/lib/health"
	"iwx/lib/profile"
)

// Kind is the kind of the item that has a server answer.
const Kind = "endpoint"

// Spec is what the endpoint of a server is to do.
type Spec struct {
	Listen   netip.AddrPort `json:"listen"`
	Allow    []netip.Prefix `json:"allow"` // who may ask, beside this server itself
	Services []Service      `json:"services"`
}

// Service is a service of this server. One that is balanced at several virtual
// addresses is there for each way in which it is checked.
type Service struct {
	Name    string         `json:"name"` // lb.Policy.Name
	Addr    netip.AddrPort `json:"addr"` // where it answers
	Check   health.Check   `json:"check"`
	Drained bool           `json:"drained,omitempty"` // it is to get no new connection
}

// Item returns the item that has a server answer.
func Item(spec Spec) (profile.Item, error) { return profile.Make(Kind, "http", spec) }

// Standing is what is known of the server as a whole.
type Standing struct {
	Unready string `json:"unready"` // why it is to get no traffic at all; "" if it may
	Added   bool   `json:"added"`   // it was once all that the cluster needs of it, since it was started
}

// Next returns how the server stands by what there is to say now: unready, why it
// may not be added, and unfit, why it may not go on. A profile that changes is
// being applied for a moment, which takes nobody out who is in.
func (s Standing) Next(unready, unfit string) Standing {
	if !s.Added && unready != "" {
		return Standing{Unready: unready}
	}
	return Standing{Unready: unfit, Added: true}
}

// Files is the directory of the two files, 0755: /run/iwx-health.
type Files string

func (d Files) spec() string     { return filepath.Join(string(d), "endpoint.json") }
func (d Files) standing() string { return filepath.Join(string(d), "standing.json") }

// Spec reads what the endpoint is to do. Where there is none the error says that
// external balancing is off.
func (d Files) Spec() (spec Spec, err error) {
	err = read(d.spec(), &spec)
	if errors.Is(err, fs.ErrNotExist) {
		err = fault.Hint(fault.New(fault.Failed, "this server has no health endpoint: external balancing is off"), "on the manager: iwx-lb external on")
	}
	return spec, err
}

// Wanted reports whether the server is to have an endpoint.
func (d Files) Wanted() bool {
	_, err := os.Stat(d.spec())
	return err == nil
}

// Standing reads what is known of the server; nothing until it was written.
func (d Files) Standing() (s Standing, err error) {
	err = read(d.standing(), &s)
	if errors.Is(err, fs.ErrNotExist) {
		return Standing{Unready: "it is not known yet whether this server may take traffic"}, nil
	}
	return s, err
}

// WriteStanding replaces what is known of the server, unless that is the same.
func (d Files) WriteStanding(s Standing) error { return d.write(d.standing(), s) }

// WriteSpec replaces what the endpoint is to do, unless that is the same.
func (d Files) WriteSpec(s Spec) error { return d.write(d.spec(), s) }

// Remove removes both files.
func (d Files) Remove() error {
	var faults []error
	for _, name := range []string{d.spec(), d.standing()} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (d Files) write(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(name); err == nil && string(old) == string(data) {
		return nil
	}
	if err := atomicfile.MkdirAll(string(d), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(name, data, 0o644)
}

func read(name string, into any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
