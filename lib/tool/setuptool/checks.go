package setuptool

import (
	"context"
	"strings"
	"time"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/preflight"
)

// checkLimit is how long the checks may take, all at once. Only a hung mount
// needs it.
const checkLimit = 10 * time.Second

// server is what the checks look at.
func (h *here) server(role preflight.Role) preflight.Server {
	s := preflight.Server{
		Paths: h.Paths, Facts: h.Facts, Role: role, Port: uint16(h.Config.Cluster.Port),
		EndpointPort: uint16(h.Config.LB.EndpointPort), Storage: h.Config.Storage, DNS: h.Config.DNS, WebServer: h.Config.Site.WebServer,
		Sys: "/", Command: preflight.Command, Holder: host.Holder,
	}
	if id := h.Identity; id != nil {
		s.Existing = preflight.Existing{Role: preflight.Role(id.Role), Cluster: id.ClusterName, Same: preflight.Role(id.Role) == role}
	}
	return s
}

// require makes the checks, tells the warnings, and fails when one does that is
// not ignored.
func (h *here) require(ctx context.Context, s preflight.Server, ignore []string) error {
	if err := preflight.CheckNames(ignore); err != nil {
		return err
	}
	ended := h.c.Slow("check what iwx requires of this server")
	checks := preflight.Ignore(preflight.Run(ctx, s.Probes(), checkLimit), ignore)
	ended()
	h.warn(checks)
	return preflight.Err(checks)
}

// warn reports what will not keep setup from going on.
func (h *here) warn(checks []preflight.Check) {
	for _, c := range checks {
		if c.Status == preflight.Warn {
			h.c.Warnf("%s", sentence(c))
		}
	}
}

// sentence is a check on one line, with what to do.
func sentence(c preflight.Check) string {
	text := c.Name + ": " + c.Detail
	if c.Remedy != "" {
		text += "; " + c.Remedy
	}
	return text
}

// checkTable is the checks' columns.
func checkTable() cli.Table[preflight.Check] {
	return cli.Table[preflight.Check]{Singular: "check", Plural: "checks", Columns: []cli.Column[preflight.Check]{
		{Name: "check", Value: func(c preflight.Check) any { return c.Name }},
		{Name: "status", Value: func(c preflight.Check) any { return checkMark(c.Status) }},
		{Name: "detail", Value: func(c preflight.Check) any { return c.Detail }, Fold: true},
		{Name: "remedy", Value: func(c preflight.Check) any { return c.Remedy }, Fold: true},
	}}
}

func checkMark(s preflight.Status) cli.Mark {
	levels := map[preflight.Status]cli.Level{preflight.OK: cli.Good, preflight.Warn: cli.Warn, preflight.Fail: cli.Bad}
	return cli.Mark{Text: string(s), Level: levels[s]}
}

// refused is the error for a server that the manager does not take, with every
// check that failed, as the local ones are told.
func (h *here) refused(err error) error {
	r := refusal(err)
	if r == nil || len(r.Checks) == 0 {
		return err
	}
	h.warn(r.Checks)
	failed := preflight.Err(r.Checks)
	if failed == nil {
		return err
	}
	text := r.Message + ":\n" + strings.TrimRight(failed.Error(), "\n")
	return fault.Hint(fault.New(fault.Failed, "%s", text), "%s", fault.HintOf(failed))
}
