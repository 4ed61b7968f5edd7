package lbdaemon

import (
	"context"

	"iwx/lib/fault"
	"iwx/lib/haproxy"
	"iwx/lib/ipvs"
	"iwx/lib/tool/local"
)

// Usable reports why an engine cannot be used on this server: the kernel does not
// have it, or a program is not installed. Nothing is changed.
func Usable(ctx context.Context, s *local.Server, engine string) error {
	switch {
	case engine == "haproxy":
		return haproxy.Available(s.Paths)
	case s.Own():
		return fault.Hint(fault.New(fault.Failed, "engine %s is the kernel's, which is not touched below a root directory", engine), "iwx-lb engine haproxy")
	}
	return ipvs.Available(ctx)
}
