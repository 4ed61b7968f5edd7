package preflight

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"iwx/lib/lb"
)

// The kernel's settings for the ports of outgoing connections
// (Documentation/networking/ip-sysctl.rst).
const (
	sourceRangeFile = "proc/sys/net/ipv4/ip_local_port_range"
	reservedFile    = "proc/sys/net/ipv4/ip_local_reserved_ports"
)

// sourcePorts checks whether an outgoing connection can take a port on which the
// cluster listens: the listener could then not start while the connection lasts. The
// kernel's default range begins at 32768, above all of them. Busy servers often widen
// it down to 1024.
func (s Server) sourcePorts(context.Context) Result {
	if s.Paths.Own() {
		return ownRoot()
	}
	bounds := strings.Fields(s.read(sourceRangeFile))
	if len(bounds) != 2 {
		return skip("the kernel has no %s", "/"+sourceRangeFile)
	}
	low, err1 := strconv.Atoi(bounds[0])
	high, err2 := strconv.Atoi(bounds[1])
	if err1 != nil || err2 != nil {
		return warn("", "/%s holds %q instead of two ports", sourceRangeFile, strings.Join(bounds, " "))
	}
	reserved := strings.TrimSpace(s.read(reservedFile))
	var open []string
	for _, port := range s.listens() {
		if port >= low && port <= high && !isReserved(reserved, port) {
			open = append(open, strconv.Itoa(port))
		}
	}
	if open == nil {
		return ok("outgoing connections cannot take a port of the cluster")
	}
	list := strings.Join(open, ",")
	all := list
	if reserved != "" {
		all = reserved + "," + list
	}
	return warn(fmt.Sprintf("echo net.ipv4.ip_local_reserved_ports=%s >/etc/sysctl.d/90-reserved.conf && sysctl --system", all),
		"outgoing connections can take ports of the cluster: %s (ip_local_port_range is %d-%d)", list, low, high)
}

// listens returns the ports on which iwx, or its services, listen, from 1024 up. The
// kernel assigns none below that by itself.
func (s Server) listens() []int {
	var ports []int
	if s.Role == Manager {
		ports = append(ports, int(s.Port))
	}
	if s.EndpointPort != 0 {
		ports = append(ports, int(s.EndpointPort))
	}
	for _, service := range lb.Services() {
		if port := service.ProxyPort(); port != 0 {
			ports = append(ports, int(port))
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// isReserved reports whether a port is in a list such as "2480,10000-10999".
func isReserved(list string, port int) bool {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		low, err1 := strconv.Atoi(from)
		high, err2 := strconv.Atoi(to)
		if err1 == nil && err2 == nil && port >= low && port <= high {
			return true
		}
	}
	return false
}
