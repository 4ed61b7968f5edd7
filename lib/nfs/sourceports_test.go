package nfs

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// sourceRange writes the kernel's settings to a directory of their own; "" is a
// kernel without them.
func sourceRange(t *testing.T, low, high string) string {
	t.Helper()
	dir := t.TempDir()
	for name, value := range map[string]string{"min_resvport": low, "max_resvport": high} {
		if value == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMountsConnectFromNoServicesPort(t *testing.T) {
	for _, tt := range []struct {
		name, low, high string
		wantLow         string
		wantHigh        string
	}{
		{"the kernel's own", "665", "1023", "874", "952"},
		{"up to pop3s", "700", "995", "874", "952"},
		{"imaps alone", "993", "993", "874", "952"},
		{"every port", "1", "65535", "874", "952"},
		{"submissions", "400", "600", "874", "952"},
		{"an administrator's, off all services", "996", "1023", "996", "1023"},
		{"as it should be", "874", "952", "874", "952"},
		{"no RPC client loaded yet", "", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, p := mounter(t)
			m.SourcePorts = sourceRange(t, tt.low, tt.high)
			i := item(t, "192.0.2.10", filepath.Join(t.TempDir(), "iwx"))
			var atMount string
			p.onMount = func() { atMount = read(t, m.SourcePorts, "max_resvport") }
			if err := m.Apply(t.Context(), i); err != nil {
				t.Fatal(err)
			}
			low, high := read(t, m.SourcePorts, "min_resvport"), read(t, m.SourcePorts, "max_resvport")
			if low != tt.wantLow || high != tt.wantHigh {
				t.Errorf("the range is %s to %s, want %s to %s", low, high, tt.wantLow, tt.wantHigh)
			}
			if atMount != tt.wantHigh {
				t.Errorf("it was mounted with the range up to %q", atMount)
			}
			check(t, m, i, "")
		})
	}
}

// TestSourcePortsComeBack: the range is set again while a mount stays, even an
// administrator's own.
func TestSourcePortsComeBack(t *testing.T) {
	for _, own := range []bool{false, true} {
		m, _ := mounter(t)
		m.SourcePorts = sourceRange(t, "665", "1023")
		at := filepath.Join(t.TempDir(), "iwx")
		i := item(t, "192.0.2.10", at)
		if own {
			if err := os.WriteFile(m.Mountinfo, []byte("9 1 0:1 / "+at+" rw - nfs4 192.0.2.10:/srv/iwx rw\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if err := m.Apply(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		m.SourcePorts = sourceRange(t, "665", "1023") // somebody has run sysctl
		change, err := m.Check(t.Context(), i)
		if err != nil || !strings.Contains(change, "874 to 952") || !strings.Contains(change, "port 993") {
			t.Fatalf("own %v: %q, %v", own, change, err)
		}
		if err := m.Apply(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		check(t, m, i, "")
	}
}

// TestSourcePortsCannotBeSet: where the kernel's settings are read-only, what can be
// mounted is, and the ports are reported.
func TestSourcePortsCannotBeSet(t *testing.T) {
	// Nobody may write to it, not even root; and it holds a number.
	const fixed = "/proc/sys/kernel/ngroups_max"
	for _, tt := range []struct {
		name       string
		fixed      string
		own, fails bool // a mount of the administrator's own; one that fails
		err        string
	}{
		{"the upper end", "max_resvport", false, false, "max_resvport: "},
		{"an administrator's mount", "max_resvport", true, false, "max_resvport: "},
		{"the mount fails too", "max_resvport", false, true, "Connection refused"},
		{"not a number", "", false, false, `"many" is no port`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, p := mounter(t)
			at := filepath.Join(t.TempDir(), "iwx")
			i := item(t, "192.0.2.10", at)
			if tt.fixed != "" {
				m.SourcePorts = sourceRange(t, "665", "")
				if err := os.Symlink(fixed, filepath.Join(m.SourcePorts, tt.fixed)); err != nil {
					t.Fatal(err)
				}
			} else {
				m.SourcePorts = sourceRange(t, "many", "1023")
			}
			p.dead = tt.fails
			if tt.own {
				if err := os.WriteFile(m.Mountinfo, []byte("9 1 0:1 / "+at+" rw - nfs4 192.0.2.10:/srv/iwx rw\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := m.Apply(t.Context(), i)
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v, want one with %q", err, tt.err)
			}
			info, err := os.ReadFile(m.Mountinfo)
			if mounted := strings.Contains(string(info), "192.0.2.10:/srv/iwx"); mounted == tt.fails || err != nil {
				t.Errorf("mounted: %v, %v", mounted, err)
			}
		})
	}
}

// TestSourcePortsAtBoot: the files of the package set the same range.
func TestSourcePortsAtBoot(t *testing.T) {
	for _, file := range []string{"modprobe.d/iwx.conf", "sysctl.d/60-iwx.conf"} {
		text, err := os.ReadFile(filepath.Join("../../packaging", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range sourcePorts() {
			found := regexp.MustCompile(`(?m)^[^#]*\b` + port.name + ` ?= ?(\d+)`).FindSubmatch(text)
			if found == nil || string(found[1]) != strconv.Itoa(port.value) {
				t.Errorf("%s: %s is %q, want %d", file, port.name, found, port.value)
			}
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := readFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(text)
}
