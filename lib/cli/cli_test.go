package cli

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets the tests run the sample tool as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("SAMPLE_TOOL") != "" {
		os.Exit(Main(sampleTool(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// noRaceSleep keeps a process built with the race detector from sleeping for a
// second before it ends.
const noRaceSleep = "GORACE=atexit_sleep_ms=0"

func sampleProcess(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "SAMPLE_TOOL=1", noRaceSleep)
	return cmd
}

func TestExitCodesAndMessages(t *testing.T) {
	t.Setenv("IWX_DEBUG", "")
	tests := []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"--version", 0, "sample " + Version + "\n", ""},
		{"add --version", 0, "sample " + Version + "\n", ""},
		{"token revoke t1", 0, "revoked t1\n", ""},
		{"bogus", 2, "", "sample: unexpected argument bogus\nhint: verbs of sample: list, add, fail, token\nhint: sample --help\n"},
		{"lst", 2, "", "sample: unexpected argument lst, did you mean \"list\"?\nhint: verbs of sample: list, add, fail, token\nhint: sample --help\n"},
		{"token", 2, "", "sample: a verb is missing\nhint: verbs of sample token: list, revoke\nhint: sample token --help\n"},
		{"list --bogus", 2, "", "sample: unknown flag --bogus\nhint: sample list --help\n"},
		{"list --jso", 2, "", "sample: unknown flag --jso, did you mean \"--json\"?\nhint: sample list --help\n"},
		{"add", 2, "", "sample: an argument is missing: COMMAND\nhint: sample add --help\n"},
		{"add --", 2, "", "sample: a command is missing\nhint: sample add --help\n"},
		{"add --timeout soon true", 2, "", "sample: --timeout: \"soon\" is not a duration such as 90s, 5m, 12h or 7d\nhint: sample add --help\n"},
		{"list -o name,nam", 2, "", "sample: unknown column \"nam\"\nhint: columns: name,state,position,last_seen,took,size,tags,error,output\n"},
		{"fail hint", 4, "", "sample: manager is away\nhint: try again\n"},
		{"fail join", 3, "", "sample: first\nsample: second\nhint: fix it\n"},
		{"fail silent", 77, "", ""},
		{"fail lines", 1, "", "sample: one\nsample: two \\x1b[1m\n"},
		{"fail panic", 1, "", "sample: internal error: lost my way\nhint: IWX_DEBUG=1 prints where; please report it\n"},
		{"fail confirm", 2, "", "sample: delete node web2? there is no terminal to ask on\nhint: add --yes if you mean it\n"},
		{"fail confirm -y", 0, "", ""},
		{"fail secret", 2, "", "sample: token: there is no terminal to ask on\n"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, stdout, stderr := runSample(strings.Fields(tt.args)...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			check(t, "stdout", stdout, tt.stdout)
			check(t, "stderr", stderr, tt.stderr)
		})
	}
}

func TestPanicShowsItsPlaceOnRequest(t *testing.T) {
	t.Setenv("IWX_DEBUG", "1")
	if _, _, stderr := runSample("fail", "panic"); !strings.Contains(stderr, "failVerb") {
		t.Errorf("no stack: %s", stderr)
	}
}

func TestCommandLineIsKeptAsItIs(t *testing.T) {
	t.Setenv("IWX_ROOT", "")
	for _, tt := range []struct{ args, want []string }{
		{[]string{"--", "apt-get", "-y", "--help"}, []string{"apt-get", "-y", "--help"}},
		{[]string{"apt-get", "-y", "install"}, []string{"apt-get", "-y", "install"}},
		{[]string{"--", "--odd"}, []string{"--odd"}},
		{[]string{"echo", "--", "a\nb", "\xff\xfe", ""}, []string{"echo", "--", "a\nb", "\xff\xfe", ""}},
	} {
		var grammar sample
		tool := sampleTool()
		tool.Grammar = func() any { return &grammar }
		var out bytes.Buffer
		args := append([]string{"add", "--timeout=1d", "--node", "web1", "-nweb2"}, tt.args...)
		if code := Main(tool, args, nil, &out, &out); code != 0 {
			t.Fatalf("%q: %s", tt.args, out.String())
		}
		if strings.Join(grammar.Add.Command, "\x00") != strings.Join(tt.want, "\x00") {
			t.Errorf("%q gave %q", tt.args, grammar.Add.Command)
		}
		if !strings.Contains(out.String(), `["web1" "web2"]`) || !strings.Contains(out.String(), "24h0m0s") {
			t.Errorf("flags: %s", out.String())
		}
	}
}

func TestRootIsMadeAbsolute(t *testing.T) {
	t.Chdir(t.TempDir())
	here, _ := os.Getwd()
	t.Setenv("IWX_ROOT", "from-env")
	if _, out, _ := runSample("add", "x"); !strings.Contains(out, "root="+here+"/from-env\n") {
		t.Error(out)
	}
	if _, out, _ := runSample("add", "--root", "./flag", "x"); !strings.Contains(out, "root="+here+"/flag\n") {
		t.Error(out)
	}
}

func TestHelp(t *testing.T) {
	const top = `usage: sample [FLAG]... VERB

A tool for the tests.

verbs:
  list   List the nodes
  add    Queue a command for the nodes
  fail   Fail in a chosen way
  token  Join tokens

flags:
      --root DIR  Directory that holds this server's files, instead of /
      --version   Print the version
  -h, --help      Print this help

sample VERB --help describes one verb.
The manual is sample(8).
`
	const add = `usage: sample add [FLAG]... [--] COMMAND...

Queue a command for the nodes.

arguments:
  COMMAND  Command and its arguments

flags:
  -y, --yes           Do not ask
  -n, --node NODE     Only this node
      --stdin FILE    Standard input of the command
      --timeout TIME  How long it may run (1h)
      --order ORDER   Where it goes (last)
      --root DIR      Directory that holds this server's files, instead of /
      --version       Print the version
  -h, --help          Print this help

examples:
  sample add -- apt-get -y install php-gd

The manual is sample(8).
`
	for args, want := range map[string]string{"--help": top, "-h": top, "help": top, "add --help": add, "help add": add} {
		code, stdout, stderr := runSample(strings.Fields(args)...)
		if code != 0 || stderr != "" {
			t.Errorf("%s: exit code %d, stderr %s", args, code, stderr)
		}
		check(t, args, stdout, want)
	}
	code, stdout, stderr := runSample()
	if code != 2 || stdout != "" {
		t.Errorf("without arguments: exit code %d, stdout %s", code, stdout)
	}
	check(t, "without arguments", stderr, top)
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestStandardOutputThatBreaks(t *testing.T) {
	for err, want := range map[error]int{syscall.EPIPE: 141, io.ErrClosedPipe: 141, syscall.ENOSPC: 1} {
		var stderr bytes.Buffer
		code := Main(sampleTool(), []string{"list"}, nil, brokenWriter{err}, &stderr)
		if code != want {
			t.Errorf("%v: exit code %d, want %d", err, code, want)
		}
		if told := stderr.Len() > 0; told != (want == 1) {
			t.Errorf("%v: stderr %q", err, stderr.String())
		}
	}
}

func TestReaderThatGoesAway(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var stderr bytes.Buffer
	cmd := sampleProcess(t, "list")
	cmd.Stdout, cmd.Stderr = w, &stderr
	err = cmd.Run()
	w.Close()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGPIPE || stderr.Len() > 0 {
		t.Errorf("%v, stderr %q", err, stderr.String())
	}
}

// TestSignalCancelsTheVerb: also a verb that reads an idle standard input.
func TestSignalCancelsTheVerb(t *testing.T) {
	in, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer held.Close()
	for i, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGINT, syscall.SIGTERM} {
		cmd := sampleProcess(t, "fail", []string{"wait", "read"}[i/2])
		cmd.Stdin = in
		pipe, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stderr := bufio.NewReader(pipe)
		if line, _ := stderr.ReadString('\n'); line != "waiting\n" {
			t.Fatalf("stderr starts with %q", line)
		}
		cmd.Process.Signal(sig)
		rest, _ := io.ReadAll(stderr)
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 128+int(sig) {
			t.Errorf("%v: exit code %d", sig, code)
		}
		check(t, "stderr", string(rest), "sample: interrupted ("+sig.String()+")\n")
	}
}

func TestSecondSignalEndsAVerbThatHangs(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd := sampleProcess(t, "fail", "hang")
		pipe, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stderr := bufio.NewReader(pipe)
		for _, want := range []string{"waiting\n", "draining\n"} {
			if line, _ := stderr.ReadString('\n'); line != want {
				t.Fatalf("stderr has %q, want %q", line, want)
			}
			cmd.Process.Signal(sig)
		}
		io.Copy(io.Discard, stderr)
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != sig {
			t.Errorf("%v: ended with %v", sig, err)
		}
	}
}

// singleTool is the grammar of a tool without verbs, as a daemon has.
type singleTool struct {
	Once bool   `help:"Do it once."`
	How  string `enum:"fast,slow" default:"fast" help:"How to go."`
}

func (v *singleTool) Run(c *Context) error { return c.Printf("once=%v %s\n", v.Once, v.How) }

func TestToolWithoutVerbs(t *testing.T) {
	tool := Tool{Name: "single", Summary: "one thing", Grammar: func() any { return &singleTool{} }}
	for args, want := range map[string]string{"": "once=false fast\n", "--once --how slow": "once=true slow\n"} {
		var out, stderr bytes.Buffer
		if code := Main(tool, strings.Fields(args), nil, &out, &stderr); code != 0 || out.String() != want {
			t.Errorf("%q: exit code %d, %s%s", args, code, out.String(), stderr.String())
		}
	}
	var stderr bytes.Buffer
	if code := Main(tool, []string{"word"}, nil, io.Discard, &stderr); code != 2 {
		t.Errorf("exit code %d", code)
	}
	check(t, "stderr", stderr.String(), "single: unexpected argument word\nhint: single --help\n")
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if script := string(Completion(tool, shell)); !strings.Contains(script, "once") {
			t.Errorf("%s: %s", shell, script)
		}
	}
	page := ".Sh FLAGS\n.It Fl -once\n.It Fl -how Ar HOW\nfast or not\n.It Fl -root Ar DIR\n.It Fl -version\n.It Fl h , Fl -help\n"
	if got := CheckPage(tool, []byte(page)); got != nil {
		t.Errorf("page: %q", got)
	}
}
