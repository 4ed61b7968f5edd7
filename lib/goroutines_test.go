package lib_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// bare returns the goroutines that catch no panic, as "file: function", each
// with the reason.
func bare() map[string]string {
	const tool, nothing = "a tool's, which ends with it", "does nothing that can panic"
	return map[string]string{
		"lib/cli/cli.go: untilSignal":                nothing,
		"lib/cli/completion.go: Tool.candidates":     "recovers by itself",
		"lib/input/input.go: Wait":                   nothing, // it reads
		"lib/preflight/preflight.go: Run":            tool,
		"lib/preflight/preflight.go: Probe.check":    tool,
		"lib/tool/lbtool/crossing.go: manager.cross": tool,
		"lib/tool/queuetool/run.go: runVerb.perform": tool,

		"lib/attempt/await.go: hang":         nothing,
		"lib/attempt/child.go: Child.Start":  "started.follow catches",
		"lib/daemon/daemon.go: Run":          nothing, // the second one; that of the members catches
		"lib/daemon/wake.go: Listen":         nothing,
		"lib/health/checker.go: Checker.Run": "Checker.keepWatching catches",
		"lib/nfs/health.go: Prober.Look":     "Prober.probe catches",
		"lib/state/turnstile.go: lock":       nothing,
	}
}

// unguarded finds the goroutines whose text calls nothing of package panics.
func unguarded(sources []source) (list []string) {
	for _, s := range sources {
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				if begun := goroutine(n); begun != nil && !catches(begun) {
					list = append(list, s.name+": "+nameOf(f))
				}
				return true
			})
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// goroutine returns what n starts as a goroutine: a go statement, or the
// function passed to a method Go, such as that of sync.WaitGroup.
func goroutine(n ast.Node) ast.Node {
	switch n := n.(type) {
	case *ast.GoStmt:
		return n.Call
	case *ast.CallExpr:
		if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Go" && len(n.Args) == 1 {
			return n.Args[0]
		}
	}
	return nil
}

// catches reports whether n calls something of package panics.
func catches(n ast.Node) (is bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "panics" {
				is = true
			}
		}
		return !is
	})
	return is
}

// nameOf returns a function's name, with its receiver's: "Checker.Run".
func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	return fmt.Sprint(of, ".", f.Name.Name)
}

// TestGoroutinesCatchPanics: an uncaught panic in any goroutine ends the daemon.
func TestGoroutinesCatchPanics(t *testing.T) {
	known := bare()
	found := unguarded(tree(t))
	for _, at := range found {
		if known[at] == "" {
			t.Errorf("%s: a goroutine without panics.Catch or panics.Try", at)
		}
	}
	for at := range known {
		if !slices.Contains(found, at) {
			t.Errorf("%s is listed, and is not there", at)
		}
	}
}

func TestUnguardedIsFound(t *testing.T) {
	for text, want := range map[string]string{
		`func f() { go g() }`:                               "f",
		`func (t *T) f() { go func() { g() }() }`:           "T.f",
		`func f() { group.Go(func() { g() }) }`:             "f",
		`func f() { go func() { panics.Catch(g) }() }`:      "",
		`func f() { group.Go(func() { panics.Try(g) }) }`:   "",
		`func f() { for { if x { go func() { g() }() } } }`: "f",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "a.go", "package queue; "+text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(unguarded([]source{{"lib/queue/a.go", file}}), "\n")
		if want != "" {
			want = "lib/queue/a.go: " + want
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
