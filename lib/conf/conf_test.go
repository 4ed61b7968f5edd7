package conf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"iwx/lib/fault"
)

func TestDefaults(t *testing.T) {
	c, err := Load(t.Context(), filepath.Join(t.TempDir(), "none.toml"))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Cluster: Cluster{Port: 2480},
		Storage: Storage{Enabled: true, Shares: []Share{{Path: "/srv/iwx"}}},
		Queue: Queue{
			RetryInterval: 5 * time.Minute,
			HistoryDays:   30,
			HistoryMax:    10000,
			Timeout:       time.Hour,
			PollWait:      50 * time.Second,
			DrainLimit:    10 * time.Minute,
			Lint:          true,
		},
		Backup: Backup{Keep: 7},
		LB:     LB{EndpointPort: 2481, ClientAddress: true},
		Site:   Site{UIDRange: "20000-29999", ReloadInterval: 5 * time.Second},
		Log:    Log{Level: "info"},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v", c)
	}
}

func TestParseSetsEveryType(t *testing.T) {
	c, err := Parse("iwx.toml", []byte(`
cluster = {port = 443}
queue.retry_interval = "1s"
[log]
level = "debug"
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Cluster.Port != 443 || c.Queue.RetryInterval != time.Second || c.Log.Level != "debug" {
		t.Errorf("got %+v", c)
	}
	if c, err = Parse("iwx.toml", []byte("[queue]\ntimeout = \"0\"\nlint = false\n")); err != nil || c.Queue.Timeout != 0 || c.Queue.Lint {
		t.Errorf("got %+v, %v", c.Queue, err)
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"typo", "[queue]\nretry_intervall = \"5m\"", []string{`f:2: queue.retry_intervall: unknown key, did you mean queue.retry_interval?`}},
		{"wrong table", "[cluster]\nretry_interval = \"5m\"", []string{`f:2: cluster.retry_interval: unknown key, did you mean queue.retry_interval?`}},
		{"no table", "\n\nport = 1", []string{`f:3: port: unknown key, did you mean cluster.port?`}},
		{"far from all", "[colours]\nfancy = true", []string{`f:1: colours: unknown table`}},
		{"mistyped table", "[quque]\nlint = true", []string{`f:1: quque: unknown table, did you mean [queue]?`}},
		{"not a table", "queue = 3", []string{`f:1: queue: is a table, write [queue]`}},
		{"list of tables", "[[queue]]\nlint = true", []string{`f:1: queue: is a table, write [queue]`}},
		{"wrong types", "[cluster]\nport = \"x\"\n[queue]\nlint = 1\ntimeout = 300\n[log]\nlevel = true", []string{
			`f:2: cluster.port: want a whole number, not "x"`,
			`f:4: queue.lint: want true or false, not 1`,
			`f:5: queue.timeout: want a duration in quotes, such as "5m", not 300`,
			`f:7: log.level: want text in quotes, not true`,
		}},
		{"out of range", "[cluster]\nport = 65536\n[queue]\nretry_interval = \"25h\"\n[log]\nlevel = \"loud\"", []string{
			`f:2: cluster.port: 65536 is out of range 1..65535`,
			`f:4: queue.retry_interval: 25h is out of range 1s..24h`,
			`f:6: log.level: "loud" is not debug, info, warn or error`,
		}},
		{"odd values", "[cluster]\nport = 1.5\n[queue]\nhistory_days = [1]\nhistory_max = {a = 1}\npoll_wait = 2020-01-01", []string{
			`f:2: cluster.port: want a whole number, not 1.5`,
			`f:4: queue.history_days: want a whole number, not a list`,
			`f:5: queue.history_max: want a whole number, not a table`,
			`f:6: queue.poll_wait: want a duration in quotes, such as "5m", not a date`,
		}},
		{"bad duration", "queue.timeout = \"soon\"", []string{`f:1: queue.timeout: "soon" is not a duration such as 90s, 5m, 12h or 7d`}},
		{"inside an inline table", "\ncluster = {prt = 1}", []string{`f:2: cluster.prt: unknown key, did you mean cluster.port?`}},
		{"syntax", "[queue]\nlint = ", []string{`f:2: unexpected EOF; expected value`}},
		{"twice", "[log]\nlevel = \"info\"\nlevel = \"info\"", []string{`f:3: 'log.level' has already been defined`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f", []byte(tt.text))
			if err == nil {
				t.Fatal("accepted")
			}
			if got := strings.Split(err.Error(), "\n"); strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", err, strings.Join(tt.want, "\n"))
			}
			if fault.CodeOf(err) != fault.Usage || fault.HintOf(err) == "" {
				t.Errorf("code %d, hint %q", fault.CodeOf(err), fault.HintOf(err))
			}
			var list Faults
			if !errors.As(err, &list) || len(list) != len(tt.want) {
				t.Errorf("faults: %v", list)
			}
		})
	}
}

// TestTextOfOtherSystems: a file written on another system is read correctly.
func TestTextOfOtherSystems(t *testing.T) {
	const text = "[queue]\r\ntimeout = \"2h\"\r\n"
	wide := "\xff\xfe"
	for _, c := range []byte(text) {
		wide += string([]byte{c, 0})
	}
	for name, data := range map[string]string{"Windows": text, "UTF-8 mark": "\xef\xbb\xbf" + text, "UTF-16": wide} {
		if c, err := Parse("iwx.toml", []byte(data)); err != nil || c.Queue.Timeout != 2*time.Hour {
			t.Errorf("%s: %v, %v", name, c.Queue.Timeout, err)
		}
	}
}

// TestDanglingLink: a dangling link does not count as a missing file.
func TestDanglingLink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "iwx.toml")
	if err := os.Symlink("elsewhere", path); err != nil {
		t.Fatal(err)
	}
	_, err := Load(t.Context(), path)
	if fault.CodeOf(err) != fault.Usage || !strings.Contains(fmt.Sprint(err), "iwx.toml is a symbolic link to elsewhere, which is not there") {
		t.Errorf("a link to nowhere: %v", err)
	}
	if _, err := Load(t.Context(), filepath.Join(dir, "none")); err != nil {
		t.Errorf("no file: %v", err)
	}
}

func TestLoadUnreadable(t *testing.T) {
	_, err := Load(t.Context(), t.TempDir())
	if fault.CodeOf(err) != fault.Usage {
		t.Errorf("a directory: %v", err)
	}
}

func TestDefaultFileIsEveryKeyCommented(t *testing.T) {
	file := DefaultFile()
	c, err := Parse("default", file)
	if err != nil || !reflect.DeepEqual(c, Default()) {
		t.Fatalf("as written: %+v, %v", c, err)
	}
	active := regexp.MustCompile(`(?m)^# ([a-z_]+ = )`).ReplaceAll(file, []byte("$1"))
	if c, err = Parse("active", active); err != nil || !reflect.DeepEqual(c, Default()) {
		t.Fatalf("uncommented: %+v, %v", c, err)
	}
	for _, k := range Keys() {
		name := k.Name[strings.LastIndexByte(k.Name, '.')+1:]
		if !strings.Contains(string(active), "\n"+name+" = "+k.Default+"\n") {
			t.Errorf("%s is missing", k.Name)
		}
	}
	for line := range strings.Lines(string(file)) {
		if len(line) > 79 {
			t.Errorf("long line: %s", line)
		}
	}
}

func TestKeysAreDescribed(t *testing.T) {
	for _, k := range Keys() {
		if !strings.HasSuffix(k.Doc, ".") || !strings.HasSuffix(k.tableDoc, ".") || k.Default == "" || k.Type == "" {
			t.Errorf("%s: %+v", k.Name, k)
		}
		if (k.Type == "integer" || k.Type == "duration") && !strings.Contains(k.Range, "..") {
			t.Errorf("%s has no range", k.Name)
		}
	}
}

func TestParseDuration(t *testing.T) {
	tests := map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "1h30m": 90 * time.Minute,
	}
	for text, want := range tests {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "5", "-5m", "-1d", "1.5d", "1d-1h", "106752d", "999999999d", "1h1d", "soon"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(DefaultFile()))
	f.Add("cluster = {port = 1}\n[[queue]]\n")
	f.Add("[queue]\ntimeout = \"1d\"\n\"a.b\".c = 1\n")
	f.Add("[[storage.share]]\npath = \"/srv/a\"\n[[storage.share]]\n[storage]\nshare = [{path = 1}]\n")
	f.Add("\xff[queue]\n''' \n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f", []byte(text))
		if err == nil && (c.Cluster.Port < 1 || c.Queue.RetryInterval < time.Second) {
			t.Errorf("out of range: %+v", c)
		}
		if err != nil && (!reflect.DeepEqual(c, Config{}) || err.Error() == "") {
			t.Errorf("error with a value: %v", err)
		}
	})
}

func TestLoadReadsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "iwx.toml")
	if err := os.WriteFile(path, []byte("cluster.port = 1234"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(t.Context(), path); err != nil || c.Cluster.Port != 1234 {
		t.Errorf("got %+v, %v", c, err)
	}
}
