package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shellDir has the sample tool as a program, its completion scripts and a file
// to complete, and is first in PATH.
func shellDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	wrapper := "#!/bin/sh\nSAMPLE_TOOL=1 " + noRaceSleep + " exec '" + self + "' \"$@\"\n"
	files := map[string]string{"sample": wrapper, "payload.txt": "x"}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		files["script."+shell] = string(Completion(sampleTool(), shell))
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("HOME", dir)
	return dir
}

// completer asks a real shell what it offers at the end of a line.
type completer func(t *testing.T, dir, line string) []string

func bashOffers(t *testing.T, dir, line string) []string {
	return shellOutput(t, dir, "bash", "--norc", testdata(t, "complete.bash"), "script.bash", "9", line)
}

func zshOffers(t *testing.T, dir, line string) []string {
	return shellOutput(t, dir, "zsh", "-f", testdata(t, "complete.zsh"), "script.zsh", line)
}

func fishOffers(t *testing.T, dir, line string) []string {
	return shellOutput(t, dir, "fish", "--no-config", "-c", "source script.fish; complete --do-complete='"+line+"'")
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func shellOutput(t *testing.T, dir, shell string, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), shell, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", shell, err, out)
	}
	return strings.Split(strings.Trim(string(out), "\n"), "\n")
}

// completions are lines and all that a shell must offer for them; what only
// one shell sees otherwise is in its own list.
var completions = []struct {
	line string
	want []string // without descriptions; nil is nothing
}{
	{"sample ", []string{"add", "fail", "list", "token"}},
	{"sample li", []string{"list"}},
	{"sample token ", []string{"list", "revoke"}},
	{"sample token re", []string{"revoke"}},
	{"sample add --node ", []string{"db:1", "web1", "web2"}},
	{"sample add -n web", []string{"web1", "web2"}},
	{"sample add --order ", []string{"first", "last"}},
	{"sample --root /tmp add --nod", []string{"--node"}},
	{"sample add --node web1 --ti", []string{"--timeout"}},
	{"sample token revoke ", []string{"t7", "t8"}},
	{"sample token revoke t7 pay", []string{"payload.txt"}},
	{"sample add --stdin pay", []string{"payload.txt"}},
	{"sample add -- sampl", []string{"sample"}},
	{"sample add -- cat pay", []string{"payload.txt"}},
	{"sample add -y cat pay", []string{"payload.txt"}},
	{"sample add cat --nod", nil},
	{"sample list -Ho ", nil},
	{"sample inn", nil},
}

func TestCompletionInRealShells(t *testing.T) {
	shells := map[string]completer{"bash": bashOffers, "zsh": zshOffers, "fish": fishOffers}
	for shell, offers := range shells {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip(shell + " is not installed")
			}
			dir := shellDir(t)
			for _, tt := range completions {
				got := offers(t, dir, tt.line)
				for i, one := range got {
					one, _, _ = strings.Cut(one, "\t")
					got[i], _, _ = strings.Cut(one, " --")
				}
				slices.Sort(got)
				if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
					t.Errorf("%q: got %q, want %q", tt.line, got, tt.want)
				}
			}
		})
	}
}

func TestCompletionAfterEquals(t *testing.T) {
	tests := []struct {
		shell  string
		offers completer
		line   string
		want   []string
	}{
		// readline replaces only what follows = or :
		{"bash", bashOffers, "sample add --node=we", []string{"web1", "web2"}},
		{"bash", bashOffers, "sample add --node db:", []string{"1"}},
		{"bash", bashOffers, "sample add --stdin=pay", []string{"payload.txt"}},
		{"zsh", zshOffers, "sample add --order=", []string{"first", "last"}},
		{"fish", fishOffers, "sample add --node=web1", []string{"--node=web1\tcurrent"}},
	}
	for _, tt := range tests {
		t.Run(tt.shell, func(t *testing.T) {
			if _, err := exec.LookPath(tt.shell); err != nil {
				t.Skip(tt.shell + " is not installed")
			}
			if got := tt.offers(t, shellDir(t), tt.line); !slices.Equal(got, tt.want) {
				t.Errorf("%q: got %q, want %q", tt.line, got, tt.want)
			}
		})
	}
}

func TestCompletionDescriptions(t *testing.T) {
	wants := map[string]string{
		"zsh":  "web2 -- halted at 9: it's \"bad\"",
		"fish": "web2\thalted at 9: it's \"bad\"",
		"bash": "web2  halted at 9: it's \"bad\"",
	}
	offers := map[string]completer{"zsh": zshOffers, "fish": fishOffers, "bash": func(t *testing.T, dir, line string) []string {
		const listing = "63" // COMP_TYPE of the second tab, "?"
		return shellOutput(t, dir, "bash", "--norc", testdata(t, "complete.bash"), "script.bash", listing, line)
	}}
	for shell, want := range wants {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip(shell + " is not installed")
			}
			if got := offers[shell](t, shellDir(t), "sample add --node "); !slices.Contains(got, want) {
				t.Errorf("got %q, want %q among them", got, want)
			}
		})
	}
}

func TestCompleteCall(t *testing.T) {
	code, stdout, stderr := runSample("__complete", "token")
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	check(t, "stdout", stdout, "t7\tfor web3\nt8\tfor web4 $(touch x)\n")
	if code, stdout, stderr = runSample("__complete", "nothing"); code != 0 || stdout != "" || stderr != "" {
		t.Errorf("unknown kind: %d %q %q", code, stdout, stderr)
	}
	if code, _, _ = runSample("__completion", "tcsh"); code != 2 {
		t.Errorf("unknown shell: exit code %d", code)
	}
}

func TestCompleteCallIsSilentWhenItBreaks(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	for name, complete := range map[string]func(*Context, string) []Candidate{
		"panics": func(*Context, string) []Candidate { panic("no state") },
		"hangs":  func(*Context, string) []Candidate { <-hang; return []Candidate{{"late", ""}} },
		"none":   nil,
	} {
		tool := sampleTool()
		tool.Complete = complete
		var out, err strings.Builder
		if code := Main(tool, []string{"__complete", "node"}, nil, &out, &err); code != 0 {
			t.Errorf("%s: exit code %d", name, code)
		}
		if out.Len() > 0 || err.Len() > 0 {
			t.Errorf("%s: stdout %q, stderr %q", name, out.String(), err.String())
		}
	}
}
