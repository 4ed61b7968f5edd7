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
	told := ""
	for wait.Sleep(ctx, hungEvery) == nil {
		if s := &b.wanted.Load().setup; s.Engine != "haproxy" || len(s.Policies) == 0 {
			continue
		}
		text := ""
		if err := panics.Try(b.log, "look whether haproxy hangs", func() error { return watch.Look(ctx) }); err != nil && ctx.Err() == nil {
			text = err.Error()
		}
		if text != "" && text != told {
			b.log.Warn("whether haproxy hangs could not be found out", "error", text)
		}
		told = text
	}
	return nil
}
