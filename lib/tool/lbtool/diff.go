package lbtool

import (
	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/lb"
	"iwx/lib/tool/lbdaemon"
)

type diffVerb struct {
	cli.Output
}

// Run reports what has to be done for the engine to have what it should. The exit
// code is 3 if anything has.
func (v *diffVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	ops, err := m.converge(c, false)
	if err != nil {
		return err
	}
	if err := operationTable().Write(c, v.Output, ops); err != nil || len(ops) == 0 {
		return err
	}
	return cli.Exit(fault.Unhealthy)
}

type applyVerb struct {
	DryRun bool `help:"Print what would be done, and do nothing."`
}

// Run has the engine get what it should, as the daemon does by itself.
func (v *applyVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	ops, err := m.converge(c, !v.DryRun)
	if err != nil {
		return err
	}
	for i := range ops {
		if err := c.Printf("%s\n", ops[i].String()); err != nil {
			return err
		}
	}
	if len(ops) == 0 {
		c.Notef("%s matches the configuration; nothing changed", m.Engine)
	}
	return nil
}

func operationTable() cli.Table[lb.Operation] {
	return cli.Table[lb.Operation]{Singular: "operation", Plural: "operations", Columns: []cli.Column[lb.Operation]{
		{Name: "operation", Value: func(o lb.Operation) any { return string(o.Verb) }},
		{Name: "service", Value: func(o lb.Operation) any { return o.Key.String() }},
		{Name: "server", Value: func(o lb.Operation) any { return o.Real.Name }},
		{Name: "address", Value: serverAddress},
		{Name: "weight", Value: serverWeight},
		{Name: "why", Value: func(o lb.Operation) any { return o.Why }, Fold: true, Rare: true},
	}}
}

// serverAddress is that of the real server; nil of an operation on a service.
func serverAddress(o lb.Operation) any {
	if !o.Addr.IsValid() {
		return nil
	}
	return o.Addr.String()
}

// serverWeight is the weight that the real server is to have.
func serverWeight(o lb.Operation) any {
	if o.Verb != lb.AddServer && o.Verb != lb.EditServer {
		return nil
	}
	return o.Real.Weight
}

// converge compares what the engine has with what it should, by the verdicts
// that the daemon has saved, and returns the operations that lead there; apply
// has them done.
func (m *manager) converge(c *cli.Context, apply bool) ([]lb.Operation, error) {
	engine := lbdaemon.Engines(m.Server)[m.Engine]
	if engine == nil {
		_, err := lb.AbilityOf(m.Engine)
		if err == nil {
			err = fault.New(fault.Failed, "engine %s cannot be used on this server", m.Engine)
		}
		return nil, err
	}
	view := lb.View{Setup: m.Setup, Now: c.Now()}
	var err error
	if view.Servers, err = lbdaemon.Look(c, m.Server, c.Now); err != nil {
		return nil, err
	}
	if view.Verdicts, err = m.Store.Verdicts(c); err != nil {
		return nil, err
	}
	if view.Actual, err = engine.Observe(c); err != nil {
		return nil, err
	}
	desired, reports := view.Desired()
	ops := lb.Diff(desired, view.Actual)
	lb.Explain(ops, reports)
	if apply && len(ops) > 0 {
		err = engine.Apply(c, ops)
	}
	return ops, err
}
