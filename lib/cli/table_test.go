package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	tests := map[string]string{
		"list": `NAME  STATE    POS  LAST SEEN  TOOK   SIZE  ERROR
web1  current  12   3m         3m12s  1.5K  -
web2  halted   9    in 1m      250ms  0     E: tab\there\nand\more \x1b[31m \xff
`,
		"list -H":                  "web1\tcurrent\t12\t3m\t3m12s\t1.5K\t-\nweb2\thalted\t9\tin 1m\t250ms\t0\tE: tab\\there\\nand\\\\more \\x1b[31m \\xff\n",
		"list -Hp":                 "web1\tcurrent\t12\t2026-03-04T05:03:07.000Z\t192\t1536\t-\nweb2\thalted\t9\t2026-03-04T05:07:07.000Z\t0.25\t0\tE: tab\\there\\nand\\\\more \\x1b[31m \\xff\n",
		"list -H -o tags,name":     "-\tweb1\na,b\tweb2\n",
		"list -o output -o name":   "OUTPUT  NAME\n-       web1\none     web2\n",
		"list --empty":             "",
		"list --empty -H":          "",
		"list --empty --json":      "{\"version\":1,\"nodes\":[\n]}\n",
		"list --json -o name,took": "{\"version\":1,\"nodes\":[\n{\"name\":\"web1\",\"took\":192},\n{\"name\":\"web2\",\"took\":0.25}\n]}\n",
	}
	for args, want := range tests {
		t.Run(args, func(t *testing.T) {
			code, stdout, stderr := runSample(strings.Fields(args)...)
			said := ""
			if args == "list --empty" {
				said = "no nodes\n" // for people alone
			}
			if code != 0 || stderr != said {
				t.Errorf("exit code %d, stderr %s", code, stderr)
			}
			check(t, "stdout", stdout, want)
		})
	}
}

// TestRareColumns: a rare column is for people only where a row has it, and for
// scripts always there.
func TestRareColumns(t *testing.T) {
	table := Table[string]{Singular: "x", Plural: "xs", Columns: []Column[string]{
		{Name: "name", Value: func(s string) any { return s }},
		{Name: "error", Value: func(s string) any { return strings.TrimPrefix(s, "ok") }, Rare: true},
	}}
	for _, c := range []struct {
		rows []string
		o    Output
		want string
	}{
		{[]string{"ok", "ok"}, Output{}, "NAME\nok\nok\n"},
		{[]string{"ok", "bad"}, Output{}, "NAME  ERROR\nok    -\nbad   bad\n"},
		{[]string{"ok"}, Output{Columns: []string{"error", "name"}}, "ERROR  NAME\n-      ok\n"},
		{[]string{"ok"}, Output{NoHeader: true}, "ok\t-\n"},
		{[]string{"ok"}, Output{JSON: true}, "{\"version\":1,\"xs\":[\n{\"name\":\"ok\",\"error\":null}\n]}\n"},
	} {
		var out bytes.Buffer
		ctx := &Context{Context: t.Context(), Stdout: &out, Stderr: io.Discard, Now: time.Now, Getenv: os.Getenv}
		if err := table.Write(ctx, c.o, c.rows); err != nil {
			t.Fatal(err)
		}
		check(t, fmt.Sprintf("%+v %v", c.o, c.rows), out.String(), c.want)
	}
}

// TestJSONOfNothing: missing values are null, also within a value; a text that
// looks the same is not changed.
func TestJSONOfNothing(t *testing.T) {
	type part struct {
		Name string `json:"name"`
		List []string
	}
	for _, c := range []struct {
		value any
		want  string
	}{
		{"", "null"},
		{Text(""), "null"},
		{Mark{}, "null"},
		{Block{Value: []part{{"", []string{"", "a"}}}}, `[{"name":null,"List":["","a"]}]`},
		{`a":"",b`, `"a\":\"\",b"`},
		{Fraction{3, 12}, `{"done":3,"total":12}`},
		{time.Time{}, "null"},
	} {
		if got, err := encode(c.value); err != nil || string(got) != c.want {
			t.Errorf("%#v: %s, %v", c.value, got, err)
		}
	}
	if got := plain(Fraction{3, 12}, time.Time{}); got != "3/12" {
		t.Errorf("a fraction is shown as %s", got)
	}
}

func TestJSONOfEveryColumn(t *testing.T) {
	_, stdout, _ := runSample("list", "--json")
	var got struct {
		Version int
		Nodes   []map[string]any
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	want := map[string]any{
		"name": "web1", "state": "current", "position": "12", "last_seen": "2026-03-04T05:03:07.000Z", "took": 192.0,
		"size": 1536.0, "tags": []any{}, "error": nil, "output": nil,
	}
	a, _ := json.Marshal(got.Nodes[0])
	b, _ := json.Marshal(want)
	if got.Version != 1 || len(got.Nodes) != 2 || string(a) != string(b) {
		t.Errorf("got %s", stdout)
	}
}

func sampleContext(w io.Writer) *Context {
	return &Context{
		Context: nil, Tool: "sample", Stdout: w, Stderr: w,
		Now:    func() time.Time { return sampleNow },
		Getenv: func(string) string { return "" },
	}
}

func TestRecord(t *testing.T) {
	tests := []struct {
		name string
		o    Output
		want string
	}{
		{"people", Output{}, `web2 is halted
name       web2
state      halted
pos        9
last seen  in 1m
took       250ms
size       0
tags       a,b
error      E: tab\there\nand\more \x1b[31m \xff
output
    one
    two\x07
`},
		{"chosen", Output{Columns: []string{"state"}}, "web2 is halted\nstate  halted\n"},
		{"script", Output{NoHeader: true, Columns: []string{"state", "output"}}, "halted\tone\\ntwo\\x07\\n\n"},
		{"json", Output{JSON: true, Columns: []string{"position", "output"}}, "{\"version\":1,\"node\":{\"position\":\"9\",\"output\":\"one\\ntwo\\u0007\\n\"}}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := nodeTable().Show(sampleContext(&b), tt.o, "web2 is halted", sampleNodes()[1]); err != nil {
				t.Fatal(err)
			}
			check(t, "record", b.String(), tt.want)
		})
	}
}

func TestFeed(t *testing.T) {
	tests := []struct {
		name string
		o    Output
		want string
	}{
		{"people", Output{Columns: []string{"state", "name"}}, "STATE    NAME\ncurrent  web1\nhalted   web2\n"},
		{"script", Output{NoHeader: true, Columns: []string{"state", "name"}}, "current\tweb1\nhalted\tweb2\n"},
		{"json", Output{JSON: true, Columns: []string{"name"}}, "{\"version\":1,\"node\":{\"name\":\"web1\"}}\n{\"version\":1,\"node\":{\"name\":\"web2\"}}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			feed, err := nodeTable().Feed(sampleContext(&b), tt.o)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range sampleNodes() {
				if err := feed(n); err != nil {
					t.Fatal(err)
				}
			}
			check(t, "feed", b.String(), tt.want)
		})
	}
	if _, err := nodeTable().Feed(sampleContext(io.Discard), Output{Columns: []string{"nope"}}); err == nil {
		t.Error("an unknown column was accepted")
	}
}

// halted is a page such as iwx-node status prints.
func halted() ([]Column[node], []string, []string) {
	columns := []Column[node]{
		{Name: "node"}, {Name: "state"}, {Name: "position"}, {Name: "lag", Spare: true}, {Name: "entry"}, {Name: "attempts"},
		{Name: "last_seen"}, {Name: "version", Spare: true}, {Name: "error", Fold: true},
	}
	return columns, labels(columns), []string{"web1.example.org", "unknown outcome", "10/11", "1", "11", "3", "3s", "0.1.0",
		"apt-get -y install nginx: exit code 100: E: Could not get lock /var/lib/dpkg/lock-frontend"}
}

// lines lays out one row under its heads.
func lines(columns []Column[node], heads, cells []string, width int) string {
	f := fitColumns(columns, widest(heads, [][]string{cells}), width)
	var b strings.Builder
	for _, line := range append([][]string{pick(heads, f.keep)}, f.rows(cells)...) {
		b.WriteString(strings.Join(line, "|") + "\n")
	}
	for _, line := range f.beneath(labels(columns), cells, width) {
		b.WriteString(line + "\n")
	}
	return b.String()
}

func TestFit(t *testing.T) {
	columns, heads, cells := halted()
	whole := strings.Join(heads, "|") + "\n" + strings.Join(cells, "|") + "\n"
	text := func(s string) []string { return []string{"11", s} }
	command := strings.Repeat("0123456789", 5)
	remarks := []Column[node]{{Name: "check"}, {Name: "detail", Fold: true}, {Name: "remedy", Fold: true}}
	for _, tt := range []struct {
		name    string
		columns []Column[node]
		cells   []string
		width   int
		want    string
	}{
		{"no terminal", columns, cells, 0, whole},
		{"wide enough", columns, cells, 200, whole},
		{"the text is wrapped where it has room", columns, cells, 140,
			"node|state|position|lag|entry|attempts|last seen|version|error\n" +
				"web1.example.org|unknown outcome|10/11|1|11|3|3s|0.1.0|apt-get -y install nginx: exit code 100: E: Could not\n||||||||get lock /var/lib/dpkg/lock-frontend\n"},
		{"the text goes below, what is worth less goes", columns, cells, 80,
			"node|state|position|lag|entry|attempts|last seen\nweb1.example.org|unknown outcome|10/11|1|11|3|3s\n" +
				"    error: apt-get -y install nginx: exit code 100: E: Could not get lock\n      /var/lib/dpkg/lock-frontend\n"},
		{"the last columns go below too", columns, cells, 50,
			"node|state|position|entry\nweb1.example.org|unknown outcome|10/11|11\n" +
				"    attempts: 3, last seen: 3s\n" +
				"    error: apt-get -y install nginx: exit code\n      100: E: Could not get lock\n      /var/lib/dpkg/lock-frontend\n"},
		{"a command is cut", []Column[node]{{Name: "entry"}, {Name: "command", Cut: true}}, text(command), 30, "entry|command\n11|0123456789012345678901…\n"},
		{"to no less than says something", []Column[node]{{Name: "entry"}, {Name: "command", Cut: true}}, text(command), 19, "entry|command\n11|01234567890…\n"},
		{"and goes below then", []Column[node]{{Name: "entry"}, {Name: "command", Cut: true}}, text(command), 15, "entry\n11\n    command:\n      " + command + "\n"},
		{"two texts", remarks, []string{"dns", "BIND is not installed, so that this server serves no zones", "apt-get -y install bind9"}, 60,
			"check|detail\ndns|BIND is not installed, so that this server serves no\n|zones\n    remedy: apt-get -y install bind9\n"},
		{"a text that says nothing has no line", remarks, []string{"dns", "BIND is installed", "-"}, 30, "check\ndns\n    detail: BIND is\n      installed\n"},
	} {
		names := labels(tt.columns)
		if got := lines(tt.columns, names, tt.cells, tt.width); got != tt.want {
			t.Errorf("%s: width %d:\n%swant:\n%s", tt.name, tt.width, got, tt.want)
		}
	}
}

// TestFitFits holds that no line is wider than the terminal, unless one word is.
func TestFitFits(t *testing.T) {
	columns, heads, cells := halted()
	for width := 30; width < 250; width++ {
		f := fitColumns(columns, widest(heads, [][]string{cells}), width)
		if f.total() > width {
			t.Errorf("width %d: %d columns", width, f.total())
		}
		for _, line := range f.beneath(heads, cells, width) {
			if len(line) > width && strings.Count(strings.TrimSpace(line), " ") > 0 {
				t.Errorf("width %d: %q", width, line)
			}
		}
		if len(f.keep)+len(f.below)+2 < len(columns) {
			t.Errorf("width %d: lost: %+v", width, f)
		}
	}
}

func TestSpans(t *testing.T) {
	tests := []struct {
		d             time.Duration
		age, duration string
	}{
		{0, "0s", "0s"},
		{350 * time.Millisecond, "0s", "350ms"},
		{2300 * time.Millisecond, "2s", "2.3s"},
		{59 * time.Second, "59s", "59s"},
		{192 * time.Second, "3m", "3m12s"},
		{2 * time.Hour, "2h", "2h"},
		{47*time.Hour + 59*time.Minute, "47h", "1d23h"},
		{53 * time.Hour, "2d", "2d5h"},
	}
	for _, tt := range tests {
		if Age(tt.d) != tt.age || Duration(tt.d) != tt.duration {
			t.Errorf("%v: age %s, duration %s", tt.d, Age(tt.d), Duration(tt.d))
		}
	}
	if Duration(-90*time.Second) != "-1m30s" {
		t.Error(Duration(-90 * time.Second))
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1K", 1536: "1.5K", 64 << 20: "64M", 1<<63 - 1: "8E", -2048: "-2K"} {
		if got := Size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	type word string
	at := sampleNow.Add(-50 * time.Hour)
	tests := []struct {
		v                  any
		plain, exact, json string
	}{
		{nil, "", "", "null"},
		{time.Time{}, "", "", "null"},
		{Date{}, "", "", "null"},
		{at, "2d", "2026-03-02T03:06:07.000Z", `"2026-03-02T03:06:07.000Z"`},
		{Date(at), at.Local().Format(time.DateTime), "2026-03-02T03:06:07.000Z", `"2026-03-02T03:06:07.000Z"`},
		{true, "yes", "yes", "true"},
		{false, "no", "no", "false"},
		{word("halted"), "halted", "halted", `"halted"`},
		{time.March, "March", "March", `"March"`},
		{ID(1 << 60), "1152921504606846976", "1152921504606846976", `"1152921504606846976"`},
		{"a > b & c", "a > b & c", "a > b & c", `"a > b & c"`},
	}
	for _, tt := range tests {
		js, err := encode(tt.v)
		if plain(tt.v, sampleNow) != tt.plain || exact(tt.v) != tt.exact || string(js) != tt.json || err != nil {
			t.Errorf("%v: %s, %s, %s, %v", tt.v, plain(tt.v, sampleNow), exact(tt.v), js, err)
		}
	}
}
