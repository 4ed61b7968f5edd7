package lbtool

import (
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/lb"
	"iwx/lib/tool/lbdaemon"
)

type statusVerb struct {
	cli.Output
	Services []string `arg:"" name:"service" optional:"" complete:"policy" help:"Only these services, or groups: web or mail."`
	VIP      string   `name:"vip" placeholder:"IP" complete:"vip" help:"Only this virtual IP."`
	Watch    bool     `help:"Show it anew every second, until interrupted."`
}

// Examples implements cli.Exampled.
func (*statusVerb) Examples() string {
	return `iwx-lb status
iwx-lb status mail --watch
iwx-lb status -H -o service,server,state`
}

// watchEvery is how often --watch shows the page anew.
const watchEvery = time.Second

// Run shows how balancing is doing. The exit code is 3 when a pool is short or
// the daemon does not run.
func (v *statusVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	if v.Watch {
		return c.Redraw(watchEvery, func() error { return v.page(c, m) })
	}
	return v.page(c, m)
}

// page shows the page once.
func (v *statusVerb) page(c *cli.Context, m *manager) error {
	if err := m.Look(c); err != nil {
		return err
	}
	report, idle, err := m.report(c)
	if err != nil {
		return err
	}
	if err := v.choose(&report); err != nil {
		return err
	}
	return m.show(c, v.Output, &report, idle && len(m.Policies) > 0) // without policies there is nothing to run for
}

// report is how balancing is doing, by the daemon; if that does not run, by the
// verdicts it left.
func (m *manager) report(c *cli.Context) (report lb.Report, idle bool, err error) {
	report, err = m.Ask(c)
	if fault.CodeOf(err) != fault.Busy {
		return report, false, err
	}
	servers, err := lbdaemon.Look(c, m.Server, c.Now)
	if err != nil {
		return report, true, err
	}
	verdicts, err := m.Store.Verdicts(c)
	view := lb.View{Setup: m.Setup, Servers: servers, Verdicts: verdicts, Now: c.Now()}
	report = lb.Report{Engine: m.Engine, External: m.External, Stopped: m.Stopped, At: c.Now()}
	_, report.Services = view.Desired()
	return report, true, err
}

// show prints the page: the verdict first, and a next step last. The error,
// exit code 3, is silent: it says that something is not as it should be.
func (m *manager) show(c *cli.Context, o cli.Output, report *lb.Report, idle bool) error {
	list := lines(report, m.Drains)
	if o.Human() {
		if err := headline(c, report); err != nil {
			return err
		}
	}
	if len(list) > 0 || !o.Human() {
		if err := lineTable().Write(c, o, list); err != nil {
			return err
		}
	}
	if step := nextStep(list); step != "" && o.Human() && !idle {
		c.Notef("hint: %s", step)
	}
	if idle {
		m.Balancer().WarnIdle(c, "the states above are those when it ended; the engine keeps its configuration")
	}
	if idle || report.Error != "" || gravity(report) != cli.Plain {
		return cli.Exit(fault.Unhealthy)
	}
	return nil
}

// choose leaves the services in the report that were named.
func (v *statusVerb) choose(report *lb.Report) error {
	services, err := servicesOf(v.Services)
	if err != nil {
		return err
	}
	only, err := parseOnly(v.VIP)
	if err != nil {
		return err
	}
	report.Services = slices.DeleteFunc(report.Services, func(s lb.ServiceReport) bool {
		named := slices.ContainsFunc(services, func(t lb.Service) bool { return t.Port == s.Policy.Port })
		return len(services) > 0 && !named || only.IsValid() && s.Policy.VIP != only
	})
	if len(report.Services) == 0 && (len(services) > 0 || only.IsValid()) {
		return fault.Hint(fault.New(fault.Failed, "there is no such policy"), "see those there are: iwx-lb list")
	}
	return nil
}

// headline prints what comes before the lines.
func headline(c *cli.Context, report *lb.Report) error {
	if text := prelude(report); text != "" {
		if err := c.Printf("%s\n", c.Paint(cli.Warn, text)); err != nil {
			return err
		}
	}
	return c.Printf("%s\n", c.Paint(gravity(report), verdict(report)))
}
