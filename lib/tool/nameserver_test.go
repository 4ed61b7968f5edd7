package tool_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// namedFiles are those of a BIND below a root directory, as Debian lays it out.
func namedFiles() map[string]string {
	const key = "key rndc { algorithm hmac-sha256; secret \"c2NyaXB0c2NyaXB0c2NyaXB0\"; };\n"
	return map[string]string{
		"etc/bind/named.conf":         "include \"ROOT/etc/bind/named.conf.options\";\ninclude \"ROOT/etc/bind/named.conf.local\";\n" + key + "controls { inet ADDR allow { any; } keys { rndc; }; };\n",
		"etc/bind/named.conf.options": "options {\n\tdirectory \"ROOT/var/cache/bind\";\n\tlisten-on { ADDR; };\n\tlisten-on-v6 { none; };\n\tpid-file none;\n\tsession-keyfile none;\n\trecursion no;\n\tdnssec-validation no;\n};\n",
		"etc/bind/named.conf.local":   "//\n",
		"etc/bind/rndc.conf":          key + "options { default-server ADDR; default-key rndc; };\n",
		"var/cache/bind/keep":         "",
	}
}

// named runs a BIND below a root directory, and waits until it answers. It ends with
// the script.
func named(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: named ROOT ADDR")
	}
	root, addr := ts.MkAbs(args[0]), args[1]
	for name, text := range namedFiles() {
		path := filepath.Join(root, name)
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
		ts.Check(os.WriteFile(path, []byte(strings.NewReplacer("ROOT", root, "ADDR", addr).Replace(text)), 0o644))
	}
	// named listens at addresses that an interface has.
	ts.Check(exec.Command("ip", "address", "replace", addr+"/32", "dev", "lo").Run())
	ts.Defer(func() { exec.Command("ip", "address", "del", addr+"/32", "dev", "lo").Run() })
	cmd := exec.Command("named", "-4", "-g", "-c", filepath.Join(root, "etc/bind/named.conf"))
	log := &bytes.Buffer{}
	cmd.Stderr = log
	ts.Check(cmd.Start())
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	ts.Defer(func() {
		cmd.Process.Kill()
		<-ended
		ts.Logf("log of named at %s:\n%s", addr, log)
	})
	until(ts, fmt.Sprintf("named answers at %s", addr), func() bool {
		select {
		case <-ended:
			ts.Fatalf("named ended")
		default:
		}
		return exec.Command("rndc", "-c", filepath.Join(root, "etc/bind/rndc.conf"), "status").Run() == nil
	})
}

// resolve is a program: resolve ADDR NAME TYPE WANT has dig ask the name server at
// ADDR, prints the status and the records of the answer, and fails unless a line of
// that matches WANT.
func resolve() { os.Exit(resolved(os.Args[1:], os.Stdout, os.Stderr)) }

func resolved(args []string, stdout, stderr io.Writer) int {
	if len(args) != 4 {
		fmt.Fprintln(stderr, "usage: resolve ADDR NAME TYPE WANT")
		return 2
	}
	want, err := regexp.Compile("(?m)" + args[3])
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	out, err := exec.Command("dig", "+time=1", "+tries=1", "+noall", "+comments", "+answer", "@"+args[0], args[1], args[2]).CombinedOutput()
	stdout.Write(out)
	if err != nil || !want.Match(out) {
		return 1
	}
	return 0
}
