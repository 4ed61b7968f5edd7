package shim

import (
	"slices"
	"strconv"
	"strings"

	"iwx/lib/attempt/process"
)

// named is the maximum number of processes listed in a text.
const named = 8

// leftText lists the processes that a command left running: "ended 1 process that
// was left: pid 123 sleep". It returns "" if there were none.
func leftText(found []process.Process) string {
	found = alive(found)
	switch len(found) {
	case 0:
		return ""
	case 1:
		return "ended 1 process that was left: " + list(found, describe)
	}
	return "ended " + strconv.Itoa(len(found)) + " processes that were left: " + list(found, describe)
}

// hungText lists the processes that survive SIGKILL: "pid 123 touch cannot be
// killed, state D". It returns "" if there are none.
func hungText(found []process.Process) string {
	found = surviving(found)
	switch len(found) {
	case 0:
		return ""
	case 1:
		return describe(found[0]) + " cannot be killed, state " + string(rune(found[0].State))
	}
	withState := func(p process.Process) string { return describe(p) + " (state " + string(rune(p.State)) + ")" }
	return strconv.Itoa(len(found)) + " processes cannot be killed: " + list(found, withState)
}

// alive returns the processes that have not ended.
func alive(found []process.Process) []process.Process {
	return slices.DeleteFunc(slices.Clone(found), ended)
}

func ended(p process.Process) bool { return p.State == 'Z' || p.State == 'X' }

// surviving returns alive(found), and the processes whose main thread alone has ended:
// with the state of another thread, which may hang.
func surviving(found []process.Process) (list []process.Process) {
	for _, p := range found {
		if ended(p) {
			threads, err := process.Threads(p.PID)
			i := slices.IndexFunc(threads, func(t process.Process) bool { return !ended(t) })
			if err != nil || i < 0 {
				continue
			}
			p.State = threads[i].State
		}
		list = append(list, p)
	}
	return list
}

func describe(p process.Process) string { return "pid " + strconv.Itoa(p.PID) + " " + p.Name }

// list joins the processes, the oldest first, and gives the number of those
// past the limit.
func list(found []process.Process, text func(process.Process) string) string {
	slices.SortFunc(found, func(a, b process.Process) int { return int(int64(a.StartTicks) - int64(b.StartTicks)) })
	var parts []string
	for _, p := range found[:min(len(found), named)] {
		parts = append(parts, text(p))
	}
	joined := strings.Join(parts, ", ")
	if more := len(found) - named; more > 0 {
		joined += " and " + strconv.Itoa(more) + " more"
	}
	return joined
}
