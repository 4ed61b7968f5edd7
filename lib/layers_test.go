// Package lib_test keeps the packages in their order.
package lib_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers is the order of the packages: each may import those of the rows above
// it, and those to its left, and no others.
func layers() [][]string {
	return [][]string{
		// 0: errors, settings, files, what this server is
		{"lib/testenv", "lib/fault", "lib/backoff", "lib/wait", "lib/atomicfile", "lib/input", "lib/panics", "lib/conf", "lib/host", "lib/sockets", "lib/flock"},
		// 1: types, rules and the small interface that each needs
		{
			"lib/attempt/record", "lib/attempt/process", "lib/attempt/shim", "lib/attempt",
			"lib/queue", "lib/pki", "lib/profile", "lib/nfs", "lib/health", "lib/lb", "lib/export", "lib/webmodule", "lib/preflight", "lib/join", "lib/backup", "lib/site", "lib/cluster", "lib/replay", "lib/dns",
		},
		// 2: outside boundaries
		{"lib/state", "lib/systemd", "lib/pulse", "lib/endpoint", "lib/ipvs", "lib/haproxy", "lib/vip", "lib/bind", "lib/account", "lib/webconf", "lib/vhost", "lib/realip", "lib/api"},
		// 3: the face of the tools, and of the daemons
		{"lib/control", "lib/cli", "lib/daemon"},
		// 4: the tools
		{"lib/tool/local", "lib/tool/upkeep", "lib/tool/crossing", "lib/tool/nodestatus", "lib/tool/await", "lib/tool/teardown", "lib/tool/lbdaemon", "lib/tool/balancing", "lib/tool/lbtool", "lib/tool/setuptool", "lib/tool/nodetool", "lib/tool/queuetool", "lib/tool/queuedtool", "lib/tool/sitetool"},
		// 5: the programs
		{"cmd/iwx-attempt", "cmd/iwx-cluster-setup", "cmd/iwx-lb", "cmd/iwx-node", "cmd/iwx-queue", "cmd/iwx-queued", "cmd/iwx-site"},
	}
}

// drivers are the modules that only one package imports, or two, so that they can be
// replaced in one place.
func drivers() map[string]string {
	return map[string]string{
		"github.com/alecthomas/kong":              "lib/cli",
		"github.com/olekukonko/tablewriter":       "lib/cli",
		"github.com/BurntSushi/toml":              "lib/conf",
		"github.com/coreos/go-systemd/v22/daemon": "lib/daemon",
		"github.com/coreos/go-systemd/v22/dbus":   "lib/systemd",
		"github.com/godbus/dbus":                  "lib/systemd",
		"filippo.io/age":                          "lib/backup",
		"github.com/mdlayher/genetlink":           "lib/ipvs",
		"github.com/mdlayher/netlink":             "lib/ipvs lib/vip",
		"github.com/miekg/dns":                    "lib/bind lib/dns",
		"modernc.org/sqlite":                      "lib/state",
		"mvdan.cc/sh/v3":                          "lib/queue",
		"database/sql":                            "lib/state",
	}
}

// process is what belongs to the whole process: programs pass it in, and
// packages that took it themselves could not be tested.
func process() map[string][]string {
	return map[string][]string{
		"os":      {"Exit", "Stdin", "Stdout", "Stderr", "Args"},
		"syscall": {"Exit"},
		"time":    {"Now"},
	}
}

// mayUse are the exceptions to process, as "file name".
func mayUse() []string {
	return []string{
		"lib/cli/cli.go time.Now",         // cli.Main passes it on
		"lib/backoff/backoff.go time.Now", // a clock that only measures
	}
}

// source is a Go file of the tree.
type source struct {
	name string // "lib/conf/conf.go"
	file *ast.File
}

func (s source) pkg() string { return path.Dir(s.name) }

// problems returns every breach of the order in the files, sorted.
func problems(sources []source) []string {
	place := map[string]int{}
	for _, row := range layers() {
		for _, pkg := range row {
			place[pkg] = len(place)
		}
	}
	var list []string
	for _, s := range sources {
		if _, known := place[s.pkg()]; known {
			list = append(list, badImports(s, place)...)
		} else {
			list = append(list, s.pkg()+" is not in the order of packages")
		}
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers"}, path.Base(s.pkg())) {
			list = append(list, s.pkg()+" says nothing about what is in it")
		}
		list = append(list, badUses(s)...)
		list = append(list, badFunctions(s)...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func badImports(s source, place map[string]int) (list []string) {
	for _, spec := range s.file.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		if own, ok := strings.CutPrefix(name, "iwx/"); ok {
			at, known := place[own]
			if !known || at >= place[s.pkg()] {
				list = append(list, fmt.Sprintf("%s imports %s, which is not below it", s.name, own))
			}
		}
		for driver, owner := range drivers() {
			if (name == driver || strings.HasPrefix(name, driver+"/")) && !slices.Contains(strings.Fields(owner), s.pkg()) {
				list = append(list, fmt.Sprintf("%s imports %s, which is for %s alone", s.name, name, owner))
			}
		}
	}
	return list
}

// badUses finds what is for programs alone, under whatever name it is imported.
func badUses(s source) (list []string) {
	if strings.HasPrefix(s.name, "cmd/") {
		return nil
	}
	local := map[string]string{}
	for _, spec := range s.file.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		local[path.Base(name)] = name
		if spec.Name != nil {
			local[spec.Name.Name] = name
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(process()[local[x.Name]], sel.Sel.Name) {
			use := local[x.Name] + "." + sel.Sel.Name
			if !slices.Contains(mayUse(), s.name+" "+use) {
				list = append(list, s.name+" uses "+use)
			}
		}
		return true
	})
	return list
}

// badFunctions finds init, and programs that are more than one statement.
func badFunctions(s source) (list []string) {
	for _, decl := range s.file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		switch {
		case !ok || f.Recv != nil:
		case f.Name.Name == "init":
			list = append(list, s.name+" has an init function")
		case strings.HasPrefix(s.name, "cmd/") && f.Name.Name != "main":
			list = append(list, s.name+" has a function besides main")
		case strings.HasPrefix(s.name, "cmd/") && len(f.Body.List) != 1:
			list = append(list, s.name+": main is not one statement")
		}
	}
	return list
}

// tree parses every Go file of the suite that is not a test.
func tree(t *testing.T) []source {
	t.Helper()
	var sources []source
	root := ".."
	for _, dir := range []string{"lib", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return fs.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, name)
			sources = append(sources, source{filepath.ToSlash(rel), file})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return sources
}

func TestOrderOfPackages(t *testing.T) {
	sources := tree(t)
	if !slices.ContainsFunc(sources, func(s source) bool { return s.name == "lib/fault/fault.go" }) {
		t.Fatal("the tree was not found")
	}
	for _, problem := range problems(sources) {
		t.Error(problem)
	}
}

func TestOrderIsWrittenOnce(t *testing.T) {
	all := slices.Concat(layers()...)
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("a package is in the order twice: %v", all)
	}
}

func TestBreachesAreFound(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"lib/queue/a.go", `package queue; import "iwx/lib/fault"`, ""},
		{"lib/cli/cli.go", `package cli; import "time"; var now = time.Now`, ""},
		{"cmd/iwx-queue/main.go", `package main; import "os"; func main() { os.Exit(0) }`, ""},
		{"lib/queue/a.go", `package queue; import "iwx/lib/state"`, "lib/queue/a.go imports lib/state, which is not below it"},
		{"lib/queue/a.go", `package queue; import "iwx/lib/replay"`, "lib/queue/a.go imports lib/replay, which is not below it"},
		{"lib/queue/a.go", `package queue; import "iwx/lib/unlisted"`, "lib/queue/a.go imports lib/unlisted, which is not below it"},
		{"lib/unlisted/a.go", `package unlisted`, "lib/unlisted is not in the order of packages"},
		{"lib/state/helpers/a.go", `package helpers`, "lib/state/helpers is not in the order of packages\nlib/state/helpers says nothing about what is in it"},
		{"lib/queue/a.go", `package queue; import "github.com/alecthomas/kong"`, "lib/queue/a.go imports github.com/alecthomas/kong, which is for lib/cli alone"},
		{"lib/api/a.go", `package api; import _ "modernc.org/sqlite/lib"`, "lib/api/a.go imports modernc.org/sqlite/lib, which is for lib/state alone"},
		{"lib/api/a.go", `package api; import "filippo.io/age/armor"`, "lib/api/a.go imports filippo.io/age/armor, which is for lib/backup alone"},
		{"lib/daemon/a.go", `package daemon; import "github.com/coreos/go-systemd/v22/dbus"`, "lib/daemon/a.go imports github.com/coreos/go-systemd/v22/dbus, which is for lib/systemd alone"},
		{"lib/queue/a.go", `package queue; import "os"; func f() { os.Exit(1) }`, "lib/queue/a.go uses os.Exit"},
		{"lib/queue/a.go", `package queue; import system "os"; var w = system.Stdout`, "lib/queue/a.go uses os.Stdout"},
		{"lib/queue/a.go", `package queue; import "time"; var now = time.Now`, "lib/queue/a.go uses time.Now"},
		{"lib/queue/a.go", `package queue; func init() {}`, "lib/queue/a.go has an init function"},
		{"cmd/iwx-queue/main.go", `package main; func main() { a := 1; _ = a }`, "cmd/iwx-queue/main.go: main is not one statement"},
		{"cmd/iwx-queue/main.go", `package main; func main() { f() }; func f() {}`, "cmd/iwx-queue/main.go has a function besides main"},
	}
	for _, tt := range tests {
		file, err := parser.ParseFile(token.NewFileSet(), tt.name, tt.text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(problems([]source{{tt.name, file}}), "\n"); got != tt.want {
			t.Errorf("%s: %s\ngot  %q\nwant %q", tt.name, tt.text, got, tt.want)
		}
	}
}
