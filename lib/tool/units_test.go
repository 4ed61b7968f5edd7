package tool_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"iwx/lib/cli"
	"iwx/lib/fault"
)

// TestUnitsWithWrongFlags: a daemon whose unit has a wrong command line is not started
// again and again.
func TestUnitsWithWrongFlags(t *testing.T) {
	files, err := filepath.Glob("../../packaging/systemd/*.service")
	if err != nil || len(files) == 0 {
		t.Fatalf("units: %q, %v", files, err)
	}
	tested := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		start := regexp.MustCompile(`(?m)^ExecStart=/usr/sbin/(iwx-\S+)(.*)$`).FindSubmatch(text)
		if start == nil || !strings.Contains(string(text), "\nRestart=always\n") {
			continue
		}
		tested++
		name, args := string(start[1]), strings.Fields(string(start[2]))
		codes := regexp.MustCompile(`(?m)^RestartPreventExitStatus=(.*)$`).FindSubmatch(text)
		if codes == nil || !slices.Contains(strings.Fields(string(codes[1])), "78") {
			t.Errorf("%s: exit code 78 does not prevent a restart", file)
		}
		for _, wrong := range [][]string{{"--no-such-flag"}, {"no-such-argument"}, {"--root"}, {"--version=3"}} {
			for _, line := range [][]string{append(slices.Clone(args), wrong...), append(slices.Clone(wrong), args...)} {
				var out bytes.Buffer
				code := cli.Main(tools()[name], line, strings.NewReader(""), &out, &out)
				if code != int(fault.Config) {
					t.Errorf("%s %q: exit code %d: %s", name, line, code, out.String())
				}
			}
		}
	}
	if tested < 3 {
		t.Errorf("%d units have been tested", tested)
	}
}
