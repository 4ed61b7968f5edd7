// Package tool_test runs the scripts in testscripts: whole tools, as processes,
// each server in a root directory of its own on loopback addresses.
//
// The format is that of testscript (github.com/rogpeppe/go-internal). A script
// finds these variables:
//
//	$MGR, $MGR2        quorum IP and own address of the manager
//	$N1 $N2 $N3        addresses of three nodes
//	$M $W1 $W2 $W3     root directories: manager, nodes web1, web2, web3
//	$WAIT              how long to wait for an event, for --timeout
//
// and these commands beside the tools and testscript's own:
//
//	exits CODE CMD...    run, and want this exit code; output as with exec
//	wait-for CMD...      run again and again until it succeeds
//	start ROOT           start iwx-queued there, and wait until it runs
//	end ROOT             end it with SIGTERM, and wait for the end
//	signal SIG ROOT      send it a signal: HUP, STOP, CONT, TERM, KILL
//	cluster [NAME...]    set up the manager at $M and join nodes, all started;
//	                     web1 gets $W1 and $N1, and so on
//	readdress ROOT IP    give the server there, which does not run, another address
//	balance ROOT         start iwx-lb daemon there, and wait until it runs; to end
//	                     and signal it is ROOT/lb
//	serve ADDR NAME      a web server at ADDR tells NAME; ! serve ADDR ends it
//	exec visit ADDR [N]  ask there N times, and print who answered how often
//	visits ADDR RATE     ask there so many times a second, until
//	visited              which wants that none of the requests was lost
//	apache ROOT ADDR     an apache2 whose files are below ROOT, on ports 80 and 443
//	nginx ROOT ADDR      an nginx, on port 80
//	mail ROOT ADDR       a dovecot and a postfix
//	exec ask ADDR URL [WANT]  ask that one for a page, and print status and text
//	norm [RE=TEXT...]    make the last output the same on every run: ids, keys,
//	                     times, addresses, process ids, and what matches RE
//
// Golden outputs are compared with cmp after norm, and written anew with
// go test ./lib/tool -update.
package tool_test

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"iwx/lib/cli"
	"iwx/lib/testenv"
	"iwx/lib/tool/lbtool"
	"iwx/lib/tool/nodetool"
	"iwx/lib/tool/queuedtool"
	"iwx/lib/tool/queuetool"
	"iwx/lib/tool/setuptool"
	"iwx/lib/tool/sitetool"
)

var update = flag.Bool("update", false, "write golden outputs into the scripts")

// tools are the programs under test, which the test binary turns into when it
// is run under their names.
func tools() map[string]cli.Tool {
	return map[string]cli.Tool{
		"iwx-cluster-setup": setuptool.Tool(),
		"iwx-lb":            lbtool.Tool(),
		"iwx-node":          nodetool.Tool(),
		"iwx-queue":         queuetool.Tool(),
		"iwx-queued":        queuedtool.Tool(),
		"iwx-site":          sitetool.Tool(),
	}
}

func TestMain(m *testing.M) {
	commands := map[string]func(){}
	for name, tool := range tools() {
		commands[name] = func() { os.Exit(cli.Main(tool, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
	}
	commands["visit"] = visit
	commands["ask"] = ask
	commands["resolve"] = resolve
	testscript.Main(m, commands)
}

func TestScripts(t *testing.T) {
	wholeScripts(t)
	buildShim(t)
	testscript.Run(t, testscript.Params{
		Dir:                filepath.Join("..", "..", "testscripts"),
		UpdateScripts:      *update,
		RequireUniqueNames: true,
		Setup:              setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"wait-for":  waitFor,
			"start":     start,
			"end":       end,
			"signal":    sendSignal,
			"cluster":   makeCluster,
			"readdress": readdress,
			"balance":   balance,
			"serve":     serve,
			"visits":    visits,
			"visited":   visited,
			"norm":      normalise,
			"apache":    apache,
			"nginx":     nginx,
			"mail":      mail,
			"named":     named,
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return testenv.Root(), nil
			}
			if program, ok := strings.CutPrefix(name, "installed:"); ok {
				return testenv.Installed(program), nil
			}
			return false, fmt.Errorf("no condition is called %q", name)
		},
	})
}

// wholeScripts fails when a script has the command stop, testscript's own: it
// ends the script there and lets it pass. To end a daemon is "end".
func wholeScripts(t *testing.T) {
	t.Helper()
	scripts, err := filepath.Glob("../../testscripts/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if commands, _, _ := strings.Cut(string(text), "\n-- "); strings.Contains("\n"+commands, "\nstop") {
			t.Errorf("%s: stop lets the rest of a script pass; to end a daemon: end ROOT", filepath.Base(name))
		}
	}
}

// buildShim puts iwx-attempt beside the tools, where they look for it.
func buildShim(t *testing.T) {
	t.Helper()
	tool, err := exec.LookPath("iwx-cluster-setup")
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(filepath.Dir(tool), "iwx-attempt"), "iwx/cmd/iwx-attempt")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// raceOptions spare every tool that the race detector is in a second of sleep
// before it exits.
const raceOptions = "atexit_sleep_ms=10"

// setup gives a script its servers.
func setup(env *testscript.Env) error {
	block, err := claimBlock(env)
	if err != nil {
		return err
	}
	for name, last := range map[string]int{"MGR": 1, "MGR2": 2, "N1": 11, "N2": 12, "N3": 13} {
		env.Setenv(name, fmt.Sprintf("%s%d", block, last))
	}
	for name, dir := range map[string]string{"M": "mgr", "W1": "web1", "W2": "web2", "W3": "web3"} {
		env.Setenv(name, filepath.Join(env.WorkDir, dir))
	}
	env.Setenv("BLOCK", block)
	env.Setenv("WAIT", testenv.Wait().String())
	env.Setenv("TZ", "UTC")
	env.Setenv("NO_COLOR", "1")
	env.Setenv("GORACE", raceOptions)
	env.Values[daemons{}] = map[string]*exec.Cmd{}
	env.Values[sites{}] = map[string]*site{}
	env.Values[visitors{}] = &crowd{}
	env.Values[logsKey{}] = &logs{failed: env.T().(interface{ Failed() bool }).Failed}
	return nil
}

// claimBlock returns a block of loopback addresses, "127.a.b.", that no other
// script has, in this process or another: a port on its last address stands for
// it until the script ends.
func claimBlock(env *testscript.Env) (string, error) {
	for a := 20; a < 250; a++ {
		for b := range 20 {
			block := fmt.Sprintf("127.%d.%d.", a, b)
			l, err := net.Listen("tcp", block+"254:2480")
			if err != nil {
				continue
			}
			env.Defer(func() { l.Close() })
			return block, nil
		}
	}
	return "", fmt.Errorf("no block of loopback addresses is free")
}
