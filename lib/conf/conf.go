// Package conf is the settings file, iwx.toml(5): every key with its type,
// range, default and description, held once, in the tags of the structs below.
// The default file, the checks and the list that the manual page is tested
// against are derived from them.
//
// The file is strict TOML (toml.io, v1.0). An unknown key is an error, since a
// mistyped one would otherwise be a setting that silently does nothing.
package conf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"iwx/lib/fault"
	"iwx/lib/input"
)

// Config is the whole settings file. A zero Config is not usable: take one from
// Default, Parse or Load.
type Config struct {
	Cluster Cluster `toml:"cluster" doc:"How the servers of the cluster reach each other."`
	Storage Storage `toml:"storage" doc:"The storage that all servers share. The manager's file counts, for the nodes too."`
	Queue   Queue   `toml:"queue" doc:"The command queue, iwx-queue(8)."`
	Backup  Backup  `toml:"backup" doc:"The daily backup of the manager, iwx-cluster-setup(8). The manager's file counts, for the nodes too."`
	LB      LB      `toml:"lb" doc:"Load balancing, iwx-lb(8). The manager's file counts, for the nodes too."`
	Site    Site    `toml:"site" doc:"Site accounts, iwx-site(8). The manager's file counts, for the nodes too."`
	DNS     DNS     `toml:"dns" doc:"Zones, iwx-site(8). The manager's file counts, for the nodes too."`
	Log     Log     `toml:"log" doc:"What iwx-queued(8) writes to the journal."`
}

// Cluster is the [cluster] table.
type Cluster struct {
	Port int `toml:"port" default:"2480" min:"1" max:"65535" doc:"TCP port of the manager's API on the quorum IP. The same on every server of a cluster."`
}

// Queue is the [queue] table.
type Queue struct {
	RetryInterval time.Duration `toml:"retry_interval" default:"5m" min:"1s" max:"24h" doc:"How long a node waits before it tries a failed command again. A tenth is added or taken at random."`
	HistoryDays   int           `toml:"history_days" default:"30" min:"1" max:"3650" doc:"Days that finished attempts are kept, and the texts of entries that every node has done. What is pending, and the baseline, is never removed."`
	HistoryMax    int           `toml:"history_max" default:"10000" min:"1" max:"10000000" doc:"Finished attempts that are kept for each node, the newest ones."`
	Timeout       time.Duration `toml:"timeout" default:"1h" min:"0" max:"30d" doc:"How long a cascaded command may run when it was queued without a timeout of its own. 0 sets no limit."`
	PollWait      time.Duration `toml:"poll_wait" default:"50s" min:"1s" max:"2m" doc:"How long the manager holds a node's poll open when there is nothing to send. Firewalls that drop idle connections sooner need less."`
	DrainLimit    time.Duration `toml:"drain_limit" default:"10m" min:"0" max:"24h" doc:"How long an entry with --rolling waits for the connections of a node that is drained for its turn."`
	Lint          bool          `toml:"lint" default:"true" doc:"Ask before queueing a command that is known to do harm when every node runs it."`
}

// Backup is the [backup] table.
type Backup struct {
	Keep int `toml:"keep" default:"7" min:"0" max:"365" doc:"Daily backups that are kept, on the manager and as many copies on each node. 0 makes none."`
}

// LB is the [lb] table.
type LB struct {
	EndpointPort  int    `toml:"endpoint_port" default:"2481" min:"1024" max:"65535" doc:"TCP port at which every server reports its services to an external balancer, over HTTP. It is closed unless external balancing is on."`
	EndpointAllow string `toml:"endpoint_allow" default:"" rule:"prefixes" doc:"Who may ask there, beside the manager: addresses and networks with spaces between, such as those of the external balancer."`
	ClientAddress bool   `toml:"client_address" default:"true" doc:"Where HAProxy balances, have the servers log the addresses of clients instead of the manager's."`
	Proxies       string `toml:"proxies" default:"" rule:"prefixes" doc:"The addresses from which an external balancer connects, with spaces between: the servers log the addresses of clients that it reports."`
}

// Told returns who is believed about the addresses of clients beside the
// cluster's own balancer.
func (l LB) Told() []netip.Prefix {
	list, _ := readPrefixes(l.Proxies)
	return list
}

// Allowed returns who may ask at the health endpoint.
func (l LB) Allowed() []netip.Prefix {
	list, _ := readPrefixes(l.EndpointAllow)
	return list
}

// Log is the [log] table.
type Log struct {
	Level string `toml:"level" default:"info" enum:"debug,info,warn,error" doc:"The least important messages that are written."`
}

// Default returns the settings of an empty file.
func Default() Config {
	c := oneOfEach()
	setDefaults(&c)
	return c
}

// oneOfEach is a Config without values, with one table in each list of tables.
func oneOfEach() Config {
	return Config{Storage: Storage{Shares: make([]Share, 1)}}
}

// setDefaults gives every key its default.
func setDefaults(c *Config) {
	for _, k := range keys(c) {
		v, what := k.read(k.fromTag(k.Default))
		if what != "" { // a default outside its own range; the tests read all of them
			panic(k.Name + ": " + what)
		}
		k.field.Set(v)
	}
}

// maxFile is far above the size of a settings file with all its comments.
const maxFile = 1 << 20

// Load reads the settings at path. A missing file counts as empty; a dangling
// symbolic link is an error. All faults of the file are in one Faults error,
// exit code 2.
func Load(ctx context.Context, path string) (Config, error) {
	data, err := input.ReadSettings(ctx, path, maxFile)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return Parse(path, data)
	case ctx.Err() != nil:
		return Config{}, err
	}
	return Config{}, fault.Hint(fault.WithCode(err, fault.Usage), "put the settings there, or remove it: without a file the defaults are used")
}

// Parse reads settings from data; file is its name in messages. Errors are as
// with Load.
func Parse(file string, data []byte) (Config, error) {
	c := Default()
	if faults := decode(&c, file, input.Text(data)); len(faults) > 0 {
		return Config{}, fault.Hint(fault.WithCode(faults, fault.Usage), "the keys are in iwx.toml(5); edit %s", file)
	}
	return c, nil
}

// Fault is one thing that is wrong with a settings file.
type Fault struct {
	File string
	Line int    // from 1; 0 when not known
	Key  string // dotted, "queue.timeout"; "" for a fault of the syntax
	What string
}

// String returns "FILE:LINE: KEY: what".
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	return b.String() + f.What
}

// Faults is everything that is wrong with a settings file, in the order of its
// lines.
type Faults []Fault

// Error returns one fault per line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// Key describes one key of the file.
type Key struct {
	Name    string // dotted, "queue.timeout"
	List    bool   // its table is one of a list, [[storage.share]]
	Type    string // "integer", "duration", "boolean" or "string"
	Default string // as written in the file, quotes included
	Range   string // "1..65535", "1s..24h", "debug, info, warn or error", or ""
	Doc     string // whole sentences

	field    reflect.Value
	tag      reflect.StructTag
	tableDoc string
}

// Keys returns every key, in the order of the default file.
func Keys() []Key {
	c := oneOfEach()
	list := keys(&c)
	for i := range list {
		list[i].Name = plain(list[i].Name)
	}
	return list
}

// keys walks the tables of c; the fields of the keys are those of c. A key of a
// list of tables is there once for each, as "storage.share[0].path".
func keys(c *Config) []Key {
	var list []Key
	for table, value := range reflect.ValueOf(c).Elem().Fields() {
		list = append(list, tableKeys(table.Tag.Get("toml"), table.Tag.Get("doc"), value)...)
	}
	return list
}

func tableKeys(name, doc string, table reflect.Value) []Key {
	var list []Key
	for field, v := range table.Fields() {
		in := name + "." + field.Tag.Get("toml")
		if v.Kind() == reflect.Slice {
			for i := range v.Len() {
				list = append(list, tableKeys(fmt.Sprintf("%s[%d]", in, i), field.Tag.Get("doc"), v.Index(i))...)
			}
			continue
		}
		k := Key{Name: in, List: strings.HasSuffix(name, "]"), Doc: field.Tag.Get("doc"), field: v, tag: field.Tag, tableDoc: doc}
		k.Type = k.typeName()
		k.Default = k.quoted(field.Tag.Get("default"))
		k.Range = k.rangeText()
		list = append(list, k)
	}
	return list
}

// table is what the key stands below in the file: "[queue]".
func (k Key) table() string {
	name := plain(k.Name)
	name = "[" + name[:strings.LastIndexByte(name, '.')] + "]"
	if k.List {
		return "[" + name + "]"
	}
	return name
}

// plain is the name of a key as people know it: without its place in a list.
func plain(name string) string {
	for {
		before, rest, found := strings.Cut(name, "[")
		if !found {
			return name
		}
		_, after, _ := strings.Cut(rest, "]")
		name = before + after
	}
}
