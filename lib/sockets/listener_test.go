package sockets

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// table writes a table of /proc/net.
func table(t *testing.T, path string, lines ...string) {
	t.Helper()
	text := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// entry is a line of such a table.
func entry(local, state, inode string) string {
	return fmt.Sprintf("   0: %s 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 %s 1 0000000000000000 100 0 0 10 0", local, state, inode)
}

func TestListeners(t *testing.T) {
	const any6 = "00000000000000000000000000000000"
	long := strings.Repeat("F", 100000) // longer than a bufio.Scanner takes
	tests := []struct{ table, line, want string }{
		{"tcp", entry("0100007F:09B0", "0A", "11"), "127.0.0.1:2480 socket:[11]"},
		{"tcp", entry("00000000:FFFF", "0A", "4294967295"), "0.0.0.0:65535 socket:[4294967295]"},
		{"tcp6", entry(any6+":0050", "0A", "12"), "[::]:80 socket:[12]"},
		{"tcp6", entry("00000000000000000000000001000000:09B0", "0A", "13"), "[::1]:2480 socket:[13]"},
		{"tcp6", entry("0000000000000000FFFF00000100007F:0050", "0A", "14"), "127.0.0.1:80 socket:[14]"},
		{"tcp6", entry("B80D0120000000000000000001000000:0050", "0A", "15"), "[2001:db8::1]:80 socket:[15]"},
		{"udp", entry("3500007F:0035", "07", "16"), "127.0.0.53:53 socket:[16]"},
		{"udp6", entry(any6+":0035", "07", "17"), "[::]:53 socket:[17]"},
		{"tcp", entry("0100007F:09B0", "0A", "18") + " " + long, "127.0.0.1:2480 socket:[18]"},
		{"tcp", "0: 0100007F:0050 0:0 0A 0 0 0 0 0 19", "127.0.0.1:80 socket:[19]"}, // as short as can be
		{"tcp", entry("0100007F:09B0", "01", "20"), ""},                             // established
		{"tcp", entry("0100007F:09B0", "06", "0"), ""},                              // TIME_WAIT, of no process
		{"tcp", entry("0100007F:09B0", "07", "21"), ""},
		{"udp", entry("0100007F:0035", "01", "22"), ""}, // connected
		{"udp", entry("0100007F:0035", "0A", "23"), ""},
		{"tcp", "0: 0100007F:0050 0:0 0A 0 0 0 0 0", ""},
		{"tcp", "", ""},
		{"tcp", "0A 0A 0A 0A", ""},
		{"tcp", entry("0100:09B0", "0A", "24"), ""},
		{"tcp", entry("0100007F", "0A", "25"), ""},
		{"tcp", entry("0100007F:", "0A", "26"), ""},
		{"tcp", entry("0100007F:10000", "0A", "27"), ""},
		{"tcp", entry("zz00007F:09B0", "0A", "28"), ""},
		{"tcp6", entry(any6+"00:0050", "0A", "29"), ""},
		{"tcp", entry(long+":0050", "0A", "30"), ""},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		last := entry("0200007F:0001", "0A", "99")
		if strings.HasPrefix(tt.table, "udp") {
			last = entry("0200007F:0001", "07", "99")
		}
		table(t, filepath.Join(dir, tt.table), tt.line, last) // the last is found whatever is before it
		transport := strings.TrimSuffix(tt.table, "6")
		var got []string
		for _, l := range Listeners(dir, transport) {
			got = append(got, l.At.String()+" "+l.Link)
		}
		want := strings.TrimPrefix(tt.want+"\n127.0.0.2:1 socket:[99]", "\n")
		if strings.Join(got, "\n") != want {
			t.Errorf("%s %.80q: %q, want %q", tt.table, tt.line, got, want)
		}
		other := map[string]string{"tcp": "udp", "udp": "tcp"}[transport]
		if list := Listeners(dir, other); list != nil {
			t.Errorf("%s has no sockets here: %v", other, list)
		}
	}
}

// TestOwnListener: the tables of this process have its sockets.
func TestOwnListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := netip.MustParseAddrPort(l.Addr().String())
	if list := Listeners("/proc/self/net", "tcp"); !slices.ContainsFunc(list, func(l Listener) bool { return l.At == at }) {
		t.Errorf("%s is not among %v", at, list)
	}
}
