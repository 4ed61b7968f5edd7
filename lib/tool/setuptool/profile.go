package setuptool

import (
	"log/slog"

	"iwx/lib/cli"
	"iwx/lib/conf"
	"iwx/lib/fault"
	"iwx/lib/profile"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

type profileVerb struct {
	DryRun bool `help:"Print what would change, and do nothing."`
}

// Examples implements cli.Exampled.
func (*profileVerb) Examples() string {
	return "iwx-cluster-setup profile\niwx-cluster-setup profile --dry-run"
}

// Run converges this server to its profile, as its daemon does all the time.
func (v *profileVerb) Run(c *cli.Context) error {
	h, err := setUp(c)
	if err != nil {
		return err
	}
	defer h.Close()
	if h.Config, err = conf.Load(c, h.Paths.Config); err != nil {
		return err
	}
	desired, err := upkeep.Desired(c, h.Server)
	if err != nil {
		return err
	}
	if desired.Version == "" {
		c.Notef("this node has not received a profile from its manager yet")
		h.WarnIdle(c, "it receives none")
		return nil
	}
	return v.converge(c, h.Server, desired)
}

func (v *profileVerb) converge(c *cli.Context, server *local.Server, desired profile.Revision) error {
	converger := upkeep.Converger(server, c.Now, slog.New(slog.DiscardHandler))
	changes, err := converger.Plan(c, desired.Document)
	if err != nil {
		return err
	}
	if v.DryRun {
		return plan(c, changes)
	}
	status, err := converger.Converge(c, desired)
	if err != nil {
		return err
	}
	server.Poke() // the daemon tells the manager
	for _, change := range changes {
		if change.Err == nil && applied(status, change.Item) {
			c.Notef("done: %s", change.Text)
		}
	}
	if err := upkeep.Faults(status); err != nil {
		return fault.Hint(err, "fix the cause; the daemon tries again by itself, and this command at once")
	}
	c.Notef("profile %s is applied: %s", status.Desired, cli.Count(len(status.Items), "item", "items"))
	return nil
}

// plan prints what converging would change. What cannot be told is a failure.
func plan(c *cli.Context, changes []profile.Change) error {
	failed := false
	for _, change := range changes {
		if change.Err != nil {
			c.Warnf("%s: %v", change.Item, change.Err)
			failed = true
		} else if err := c.Printf("would %s\n", change.Text); err != nil {
			return err
		}
	}
	if failed {
		return cli.Exit(fault.Unhealthy)
	}
	return nil
}

// applied reports whether the item is as it should be: applied, or gone.
func applied(s profile.Status, item profile.Item) bool {
	for _, r := range s.Items {
		if r.Kind == item.Kind && r.Name == item.Name {
			return r.Word == profile.WordApplied
		}
	}
	return true
}

// profilePlan prints what reset would take back of the profile.
func (h *here) profilePlan() error {
	if h.Identity == nil {
		return nil
	}
	changes, err := upkeep.Converger(h.Server, h.c.Now, slog.New(slog.DiscardHandler)).Plan(h.c, profile.Document{})
	if err != nil {
		return err
	}
	return plan(h.c, changes)
}

// takeBack undoes what the profile did here, all of it.
func (h *here) takeBack() error {
	if h.Identity == nil {
		return nil
	}
	return upkeep.TakeBack(h.c, h.Server, h.c.Now)
}
