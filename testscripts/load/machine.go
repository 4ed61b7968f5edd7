package load

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Machine says on what is measured, before it begins: "2 processors, load 0.04",
// and whether others are at work here, which makes the figures worth little
// (proc(5), loadavg).
func Machine() string {
	text, _ := os.ReadFile("/proc/loadavg")
	word, _, _ := strings.Cut(string(text), " ")
	line := fmt.Sprintf("on %d processors, load %s", runtime.NumCPU(), word)
	if load, err := strconv.ParseFloat(word, 64); err == nil && load > 0.5 {
		line += ": others are at work here, so take no figure for what it would be on a quiet machine"
	}
	return line
}
