package ipvs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"iwx/lib/fault"
)

// Setting is a file of the kernel's settings, and what balancing needs in it.
type Setting struct{ Name, Value string }

// Settings returns those of net.ipv4.vs, which hold for IPv6 too
// (Documentation/networking/ipvs-sysctl.rst of the kernel).
func Settings() []Setting {
	return []Setting{
		// Connections to a server that was deleted end at their next packet;
		// otherwise the kernel drops their packets in silence for 15 minutes.
		{"expire_nodest_conn", "1"},
		// A client is not held by persistence to a server that is drained.
		{"expire_quiescent_template", "1"},
		// A client's port that is used again is scheduled again, not sent to where
		// the connection before went, which may be drained by now.
		{"conn_reuse_mode", "1"},
	}
}

// prepare writes the settings that are not as they should be. They are there once
// the module is loaded.
func prepare(dir string) error {
	for _, s := range Settings() {
		name := filepath.Join(dir, s.Name)
		text, err := os.ReadFile(name)
		if err == nil && strings.TrimSpace(string(text)) == s.Value {
			continue
		}
		if err == nil {
			err = os.WriteFile(name, []byte(s.Value+"\n"), 0o644)
		}
		if err != nil {
			err = fmt.Errorf("set net.ipv4.vs.%s to %s: %w", s.Name, s.Value, err)
			return fault.Hint(err, "sysctl -w net.ipv4.vs.%s=%s", s.Name, s.Value)
		}
	}
	return nil
}
