package queuetool

import (
	"time"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/tool/await"
	"iwx/lib/tool/local"
)

type waitVerb struct {
	Entry   string        `arg:"" optional:"" complete:"entry" help:"Wait for this entry; without it, for all that is queued now."`
	Timeout time.Duration `placeholder:"TIME" help:"Give up after this time; the nodes go on."`
}

// Examples implements cli.Exampled.
func (*waitVerb) Examples() string {
	return `iwx-queue wait
		iwx-queue wait 42 --timeout 5m`
}

// Run blocks until every node has done the entry. It fails at once when a node
// halts at it, or at one before it.
func (v *waitVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, "only the manager knows the progress of other nodes")
	if err != nil {
		return err
	}
	defer server.Close()
	server.WarnIdle(c, idle)
	w := await.Flags{Asked: true, Timeout: v.Timeout}
	if v.Entry == "" {
		head, err := server.Store.Head(c)
		if err != nil {
			return err
		}
		return w.Wait(c, server, head.Seq, queue.Targets{Scope: queue.ScopeBaseline})
	}
	name, err := parseEntry(v.Entry)
	if err != nil {
		return err
	}
	if name.held != 0 {
		return fault.Hint(fault.New(fault.Failed, "%s is held: no node has it yet", v.Entry), "iwx-queue release %s", v.Entry)
	}
	r, targets, err := findRecord(c, server, name)
	if err != nil {
		return err
	}
	return w.Wait(c, server, r.Seq, targets)
}
