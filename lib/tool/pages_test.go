package tool_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/fault"
	"iwx/lib/preflight"
	"iwx/lib/replay"
	"iwx/lib/testenv"
	"iwx/lib/vhost"
)

const (
	pagesDir       = "../../man"
	completionsDir = "../../completions"
)

// otherPages are those that no tool has.
func otherPages() []string { return []string{"iwx.7", "iwx.toml.5", "iwx-attempt.8"} }

// page returns a manual page, with what mdoc(7) needs escaped as it is read.
func page(t *testing.T, name string) string {
	t.Helper()
	return strings.NewReplacer(`\(dq`, `"`, `\-`, "-").Replace(string(file(t, filepath.Join(pagesDir, name))))
}

func file(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestPages holds the page of each tool against its grammar.
func TestPages(t *testing.T) {
	for name, tool := range tools() {
		text := file(t, filepath.Join(pagesDir, name+".8"))
		for _, problem := range cli.CheckPage(tool, text, "NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "EXAMPLES", "FILES", "SEE ALSO") {
			t.Errorf("%s.8: %s", name, problem)
		}
	}
}

// TestPagesAreOfThisSuite finds pages and completions that nothing belongs to,
// and programs without a page.
func TestPagesAreOfThisSuite(t *testing.T) {
	pages, completions := otherPages(), []string{}
	for name := range tools() {
		pages = append(pages, name+".8")
		completions = append(completions, completionNames(name)...)
	}
	sameFiles(t, pagesDir, pages)
	sameFiles(t, completionsDir, completions)
	programs, err := filepath.Glob("../../cmd/*")
	if err != nil || len(programs) == 0 {
		t.Fatalf("no programs: %v", err)
	}
	for _, program := range programs {
		if !slices.Contains(pages, filepath.Base(program)+".8") {
			t.Errorf("%s has no manual page", filepath.Base(program))
		}
	}
}

func sameFiles(t *testing.T, dir string, want []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("%s has\n  %s\nand should have\n  %s", dir, strings.Join(have, " "), strings.Join(want, " "))
	}
}

// TestPagesLint runs mandoc(1), which is strict about the language.
func TestPagesLint(t *testing.T) {
	testenv.Need(t, "mandoc")
	pages, err := filepath.Glob(pagesDir + "/*")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	out, err := exec.Command("mandoc", append([]string{"-T", "lint", "-W", "warning"}, pages...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("mandoc: %v\n%s", err, out)
	}
}

// TestPagesReferences follows each reference to a page of the suite.
func TestPagesReferences(t *testing.T) {
	reference := regexp.MustCompile(`(?m)^\.(?:Xr|It Xr) (iwx\S*) (\d)`)
	pages, err := filepath.Glob(pagesDir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range pages {
		for _, m := range reference.FindAllSubmatch(file(t, name), -1) {
			found++
			target := string(m[1]) + "." + string(m[2])
			if _, err := os.Stat(filepath.Join(pagesDir, target)); err != nil {
				t.Errorf("%s refers to %s, which is not there", filepath.Base(name), target)
			}
		}
	}
	if found == 0 {
		t.Error("no page refers to another")
	}
}

// items returns the text of each ".It Cm NAME" of a section of a page.
func items(text, section string) map[string]string {
	list := map[string]string{}
	in, name := section == "", ""
	for line := range strings.Lines(text) {
		if title, found := strings.CutPrefix(line, ".Sh "); found {
			in, name = section == "" || strings.TrimSpace(title) == section, ""
		}
		if title, found := strings.CutPrefix(line, ".It Cm "); found && in {
			name = strings.TrimSpace(title)
		}
		if name != "" {
			list[name] += line
		}
	}
	return list
}

// TestSettingsPage holds iwx.toml(5) against the settings.
func TestSettingsPage(t *testing.T) {
	described := items(page(t, "iwx.toml.5"), "KEYS")
	for _, k := range conf.Keys() {
		text := described[k.Name]
		delete(described, k.Name)
		for _, want := range []string{"Type " + k.Type, k.Range, "default is " + k.Default} {
			if !strings.Contains(text, want) {
				t.Errorf("iwx.toml.5: %s does not say %q", k.Name, want)
			}
		}
	}
	for name := range described {
		t.Errorf("iwx.toml.5: there is no key %s", name)
	}
}

// TestOverviewPage holds iwx(7) against the words and exit codes of the suite.
func TestOverviewPage(t *testing.T) {
	text := page(t, "iwx.7")
	words := []string{
		replay.WordCurrent, replay.WordReplaying, replay.WordHalted, replay.WordUnknown, replay.WordPaused,
		string(replay.Diverged), string(replay.Rewound), string(replay.NeedsResync), string(replay.NeedsUpgrade),
		cluster.WordUnreachable, cluster.WordLeaving, cluster.WordFetching, cluster.WordWaiting,
	}
	sameWords(t, "iwx.7: state", items(text, "STATES OF A NODE"), words)
	var codes []string
	for _, code := range []fault.Code{fault.OK, fault.Failed, fault.Usage, fault.Unhealthy, fault.Busy, fault.Config, fault.TimedOut, fault.Internal} {
		codes = append(codes, strconv.Itoa(int(code)))
	}
	sameWords(t, "iwx.7: exit code", items(text, "EXIT STATUS"), codes)
}

// TestChecksOnPage holds the list of checks on the page of the setup against
// those there are.
func TestChecksOnPage(t *testing.T) {
	sameWords(t, "iwx-cluster-setup.8: check", items(page(t, "iwx-cluster-setup.8"), "CHECKS"), preflight.Names())
}

// TestFieldsOnPage holds the list of fields of templates against those there are.
func TestFieldsOnPage(t *testing.T) {
	var fields []string
	for field := range reflect.TypeFor[vhost.Fields]().Fields() {
		fields = append(fields, "."+field.Name)
	}
	sameWords(t, "iwx-site.8: field", items(page(t, "iwx-site.8"), "TEMPLATES"), fields)
}

func sameWords(t *testing.T, what string, described map[string]string, want []string) {
	t.Helper()
	for _, word := range want {
		if described[word] == "" {
			t.Errorf("%s %q is not described", what, word)
		}
		delete(described, word)
	}
	for word := range described {
		t.Errorf("%s %q does not exist", what, word)
	}
}

// completionNames are the files of a tool, as the shells find them.
func completionNames(tool string) []string {
	return []string{tool + ".bash", "_" + tool, tool + ".fish"}
}

// TestCompletions holds the completions against the grammars; -update writes
// them.
func TestCompletions(t *testing.T) {
	for name, tool := range tools() {
		for i, shell := range []string{"bash", "zsh", "fish"} {
			path := filepath.Join(completionsDir, completionNames(name)[i])
			want := cli.Completion(tool, shell)
			if *update {
				if err := os.WriteFile(path, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(file(t, path), want) {
				t.Errorf("%s is not what the grammar says: make completions", filepath.Base(path))
			}
		}
	}
}
