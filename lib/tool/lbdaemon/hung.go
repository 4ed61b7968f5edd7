package lbdaemon

import (
	"context"
	"time"

	"iwx/lib/haproxy"
	"iwx/lib/panics"
	"iwx/lib/wait"
)

// hungEvery is the interval of checks whether HAProxy hangs.
const hungEvery = 5 * time.Second

// hung restarts an HAProxy that hangs, while it balances.
func (b *balancer) hung(ctx context.Context) error {
	watch := haproxy.NewWatch(b.Paths, b.c.Now, b.log)
	last := ""
	for wait.Sleep(ctx, hungEvery) == nil {
		if s := &b.wanted.Load().setup; s.Engine != "haproxy" || len(s.Policies) == 0 {
			continue
		}
		text := ""
		if err := panics.Try(b.log, "check of haproxy", func() error { return watch.Look(ctx) }); err != nil && ctx.Err() == nil {
			text = err.Error()
		}
		if text != "" && text != last {
			b.log.Warn("cannot check whether haproxy hangs", "error", text)
		}
		last = text
	}
	return nil
}
