package replay

import (
	"strings"
	"testing"
	"unicode/utf8"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
)

// TestCause: real output of programs, and the line of it that says why they
// failed.
func TestCause(t *testing.T) {
	tests := []struct{ name, stdout, stderr, want string }{
		{"apt-get install", "Reading package lists...\nBuilding dependency tree...\nReading state information...\n",
			"E: Unable to locate package nosuchpkg\n", "E: Unable to locate package nosuchpkg"},
		{"apt-get that cannot fetch", "Err:1 http://deb.debian.org/debian bookworm InRelease\n",
			"W: The repository 'http://x' does not have a Release file.\nE: Failed to fetch http://x/php.deb  404  Not Found [IP: 192.0.2.1 80]\nE: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?\n",
			"E: Failed to fetch http://x/php.deb  404  Not Found [IP: 192.0.2.1 80]"},
		{"apt-get that waits for a lock", "", "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 71 (apt)\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n",
			"E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 71 (apt)"},
		{"apt-get whose package fails", "Setting up nginx (1.22) ...\n",
			"debconf: delaying package configuration, since apt-utils is not installed\ninvoke-rc.d: initscript nginx, action \"start\" failed.\ndpkg: error processing package nginx (--configure):\n installed nginx package post-installation script subprocess returned error exit status 1\nErrors were encountered while processing:\n nginx\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n",
			`invoke-rc.d: initscript nginx, action "start" failed.`},
		{"dpkg that is not there", "", "dpkg: error: cannot access archive 'nosuch.deb': No such file or directory\n",
			"dpkg: error: cannot access archive 'nosuch.deb': No such file or directory"},
		{"dpkg's conffile prompt", "Setting up f1 (2) ...\n",
			"\nConfiguration file '/etc/f1.conf'\n ==> Modified (by you or by a script) since installation.\n ==> Package distributor has shipped an updated version.\n   What would you like to do about it ?  Your options are:\n    Y or I  : install the package maintainer's version\n    N or O  : keep your currently-installed version\n      D     : show the differences between the versions\n      Z     : start a shell to examine the situation\n The default action is to keep your current version.\n*** f1.conf (Y/I/N/O/D/Z) [default=N] ? dpkg: error processing package f1 (--install):\n end of file on stdin at conffile prompt\nErrors were encountered while processing:\n f1\n",
			"dpkg: error processing package f1 (--install): end of file on stdin at conffile prompt"},
		{"dpkg: downgrade refused", "Preparing to unpack iwx_0_all.deb ...\n",
			"dpkg: warning: downgrading iwx from 2 to 0\niwx: /var/lib/iwx/state.db was written by a newer iwx (schema 99; iwx 0.1 knows 5); nothing was changed\ndpkg: error processing archive iwx_0.deb (--install):\n new iwx package pre-installation script subprocess returned error exit status 1\nErrors were encountered while processing:\n iwx_0.deb\n",
			"iwx: /var/lib/iwx/state.db was written by a newer iwx (schema 99; iwx 0.1 knows 5); nothing was changed"},
		{"systemctl enable", "", "Synchronizing state of nginx.service with SysV service script with /lib/systemd/systemd-sysv-install.\nExecuting: /lib/systemd/systemd-sysv-install enable nginx\nupdate-rc.d: error: nginx Default-Start contains no runlevels, aborting.\n",
			"update-rc.d: error: nginx Default-Start contains no runlevels, aborting."},
		{"systemctl enable that says no more", "", "Synchronizing state of nginx.service with SysV service script with /lib/systemd/systemd-sysv-install.\nFailed to enable unit: Unit file nosuch.service does not exist.\n",
			"Failed to enable unit: Unit file nosuch.service does not exist."},
		{"systemctl restart", "", "Job for nginx.service failed because the control process exited with error code.\nSee \"systemctl status nginx.service\" and \"journalctl -xeu nginx.service\" for details.\n",
			"Job for nginx.service failed because the control process exited with error code."},
		{"systemctl without systemd", "", "System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down\n",
			"System has not been booted with systemd as init system (PID 1). Can't operate."},
		{"useradd", "", "useradd: user 'root' already exists\n", "useradd: user 'root' already exists"},
		{"useradd that warns", "", "useradd: warning: the home directory /home/x already exists.\nuseradd: UID 0 is not unique\n", "useradd: UID 0 is not unique"},
		{"apachectl -t", "", "AH00526: Syntax error on line 1 of /etc/apache2/sites-enabled/x.conf:\nInvalid command 'SSLEngine', perhaps misspelled or defined by a module not included in the server configuration\nAction '-t' failed.\nThe Apache error log may have more information.\n",
			"AH00526: Syntax error on line 1 of /etc/apache2/sites-enabled/x.conf: Invalid command 'SSLEngine', perhaps misspelled or defined by a module not included in the server configuration"},
		{"nginx -t", "", "2026/11/30 07:10:51 [warn] 138#138: conflicting server name\n2026/11/30 07:10:51 [emerg] 138#138: unknown directive \"listn\" in /etc/nginx/nginx.conf:2\nnginx: configuration file /etc/nginx/nginx.conf test failed\n",
			`2026/11/30 07:10:51 [emerg] 138#138: unknown directive "listn" in /etc/nginx/nginx.conf:2`},
		{"haproxy -c", "", "[NOTICE]   (123) : haproxy version is 2.6.12-1\n[ALERT]    (123) : config : parsing [h.cfg:1]: unknown keyword 'foo'\n[ALERT]    (123) : config : Fatal errors found in configuration.\n",
			"[ALERT]    (123) : config : parsing [h.cfg:1]: unknown keyword 'foo'"},
		{"named-checkconf, which writes to stdout", "named.conf:1: change directory to '/x' failed: file not found\n\nnamed.conf:1: parsing failed: file not found\n", "",
			"named.conf:1: change directory to '/x' failed: file not found"},
		{"make", "gcc -c x.c\n", "x.c: In function 'main':\nx.c:3:5: error: 'y' undeclared (first use in this function)\nx.c:3:5: note: each undeclared identifier is reported only once\nmake: *** [Makefile:3: all] Error 1\n",
			"x.c:3:5: error: 'y' undeclared (first use in this function)"},
		{"make that says no more", "compiling\n", "make[1]: *** [Makefile:3: all] Error 1\nmake: *** [Makefile:9: sub] Error 2\n", "make[1]: *** [Makefile:3: all] Error 1"},
		{"make without a rule", "", "make: *** No rule to make target 'nosuch'.  Stop.\n", "make: *** No rule to make target 'nosuch'.  Stop."},
		{"python", "", "Traceback (most recent call last):\n  File \"<string>\", line 3, in <module>\n    raise ValueError(\"error: no\")\nFileNotFoundError: [Errno 2] No such file or directory: '/nope'\n",
			"FileNotFoundError: [Errno 2] No such file or directory: '/nope'"},
		{"python with an exception of its own", "", "Traceback (most recent call last):\n  File \"x.py\", line 3, in <module>\n    fail()\nNoRoom: the shelf is full\n", "NoRoom: the shelf is full"},
		{"perl", "", "something bad at -e line 1.\n", "something bad at -e line 1."},
		{"perl without a module", "", "perl: warning: Setting locale failed.\nCan't locate Nope.pm in @INC (you may need to install the Nope module) at -e line 1.\nBEGIN failed--compilation aborted at -e line 1.\n",
			"Can't locate Nope.pm in @INC (you may need to install the Nope module) at -e line 1."},
		{"go", "", "panic: runtime error: index out of range [0] with length 0\n\ngoroutine 1 [running]:\nmain.main()\n\t/tmp/x.go:5 +0x1d\nexit status 2\n", "panic: runtime error: index out of range [0] with length 0"},
		{"node", "", "node:internal/modules/cjs/loader:1080\n  throw err;\n  ^\n\nError: Cannot find module '/x'\n    at Module._resolveFilename (node:internal/modules/cjs/loader:1077:15)\n", "Error: Cannot find module '/x'"},
		{"rsync", "", "rsync: [sender] link_stat \"/nope\" failed: No such file or directory (2)\nrsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1338) [sender=3.2.7]\n",
			`rsync: [sender] link_stat "/nope" failed: No such file or directory (2)`},
		{"curl", "", "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n                                 Dload  Upload   Total   Spent    Left  Speed\n\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0\ncurl: (7) Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server\n",
			"curl: (7) Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server"},
		{"wget", "", "--2026-11-30 07:10:52--  http://127.0.0.1:1/\nConnecting to 127.0.0.1:1... failed: Connection refused.\n", "Connecting to 127.0.0.1:1... failed: Connection refused."},
		{"mount", "", "mount: /mnt: special device /nope does not exist.\n       dmesg(1) may have more information after failed mount system call.\n", "mount: /mnt: special device /nope does not exist."},
		{"git clone", "", "Cloning into 'x'...\nfatal: repository '/nope' does not exist\n", "fatal: repository '/nope' does not exist"},
		{"git push", "", "To /srv/x.git\n ! [rejected]        main -> main (fetch first)\nerror: failed to push some refs to '/srv/x.git'\nhint: Updates were rejected because the remote contains work that you do not\nhint: have locally.\n", "error: failed to push some refs to '/srv/x.git'"},
		{"sh -x", "hi\n", "+ echo hi\n+ ls /nope\nls: cannot access '/nope': No such file or directory\n", "ls: cannot access '/nope': No such file or directory"},
		{"sh -x that ends in a trace", "", "+ test -e /etc/error\n+ exit 3\n", "+ exit 3"},
		{"bash", "a\n", "bash: line 3: foo: command not found\n", "bash: line 3: foo: command not found"},
		{"dash", "", "sh: 1: foo: not found\n", "sh: 1: foo: not found"},
		{"usage after the error", "", "ls: unrecognized option '--nope'\nTry 'ls --help' for more information.\n", "ls: unrecognized option '--nope'"},
		{"usage with words of its own", "", "prog: unknown option -- x\nUsage: prog [-e] file\n  -e      stop at the first error\n  -f      fail if the file is missing\n", "prog: unknown option -- x"},
		{"usage before the error", "", "usage: prog [-h] [-e]\n            [-f]\nprog: error: unrecognized arguments: --nope\n", "prog: error: unrecognized arguments: --nope"},
		{"usage alone", "", "usage: prog [-e] file\n  -e      stop at the first error\n", "usage: prog [-e] file"},
		{"a hint after several lines", "", "iwx-site: template web: /etc/iwx/web.conf\niwx-site: line 3 has an unknown key\nhint: iwx-site template show web\n", "iwx-site: line 3 has an unknown key"},
		{"a script that goes on", "", "rm: cannot remove '/tmp/x': No such file or directory\ncp: cannot stat 'y': No such file or directory\n", "cp: cannot stat 'y': No such file or directory"},
		{"tar", "", "tar: nope.tgz: Cannot open: No such file or directory\ntar: Error is not recoverable: exiting now\n", "tar: nope.tgz: Cannot open: No such file or directory"},
		{"openssl", "", "Could not open file or uri for loading certificate from nope\n40B78DD9447F0000:error:16000069:STORE routines:ossl_store_get0_loader_int:unregistered scheme:../crypto/store/store_register.c:237:scheme=file\nUnable to load certificate\n",
			"Could not open file or uri for loading certificate from nope"},
		{"psql", "", "psql: error: connection to server on socket \"/run/s\" failed: No such file or directory\n\tIs the server running locally and accepting connections on that socket?\n",
			`psql: error: connection to server on socket "/run/s" failed: No such file or directory`},
		{"mysql", "", "mysql: [Warning] Using a password on the command line interface can be insecure.\nERROR 1045 (28000): Access denied for user 'x'@'localhost' (using password: YES)\n",
			"ERROR 1045 (28000): Access denied for user 'x'@'localhost' (using password: YES)"},
		{"su", "", "Password: su: Authentication failure\n", "su: Authentication failure"},
		{"a question with no answer", "", "Do you want to continue? [y/N] Abort.\n", "Abort."},
		{"iwx-queue install", "", "app: port 80 is taken\niwx-queue: the check failed and the old /etc/app.conf is back: 'app -t': exit 9\n", "app: port 80 is taken"},
		{"docker", "", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"},
		{"ssh", "", "Warning: Permanently added '192.0.2.1' (ED25519) to the list of known hosts.\nroot@192.0.2.1: Permission denied (publickey,password).\n", "root@192.0.2.1: Permission denied (publickey,password)."},
		{"php", "", "PHP Warning:  Undefined variable $x in x.php on line 2\nPHP Fatal error:  Uncaught Error: Call to undefined function nope() in x.php:3\nStack trace:\n#0 {main}\n  thrown in x.php on line 3\n",
			"PHP Fatal error:  Uncaught Error: Call to undefined function nope() in x.php:3"},
		{"German", "", "Starte …\nls: Zugriff auf '/nope' nicht möglich: Datei oder Verzeichnis nicht gefunden\nfertig\n", "ls: Zugriff auf '/nope' nicht möglich: Datei oder Verzeichnis nicht gefunden"},
		{"French", "", "Erreur : impossible d'ouvrir /nope\nau revoir\n", "Erreur : impossible d'ouvrir /nope"},
		{"a progress bar", "", "  0%\r 50%\r100%\ndisk full: No space left on device\n", "disk full: No space left on device"},
		{"progress alone", "", "load 10%\rload 100%\r\n", "load 100%"},
		{"lines of Windows", "", "starting\r\nError: no such share\r\n", "Error: no such share"},
		{"colours", "", "\x1b[1;34mstarting\x1b[0m\n\x1b[31mError:\x1b[0m no such share\n", "Error: no such share"},
		{"the last line of any", "", "step 1\nstep 2\nthe end of it\n\n", "the end of it"},
		{"no errors", "", "checked 7 files, 0 errors\nthe queue is full\n", "the queue is full"},
		{"a warning alone", "", "warning: deprecated\n", "warning: deprecated"},
		{"a warning, and the error on stdout", "Error: no such share\n", "warning: deprecated\n", "Error: no such share"},
		{"chatter on stdout", "Error handling is on\nall ok\n", "cp: no such thing\n", "cp: no such thing"},
		{"control characters", "", "bad \x00\x07 thing\n", `bad \x00\x07 thing`},
		{"nothing", "", " \n\t\n", "exit 3"},
	}
	for _, tt := range tests {
		a := &cluster.Attempt{Outcome: cluster.OutcomeFailed, Code: 3, Stdout: written(tt.stdout), Stderr: written(tt.stderr)}
		if got := Cause(a); got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

// written returns the output that a node keeps of s.
func written(s string) attempt.Output {
	o := attempt.Output{Size: int64(len(s))}
	o.Head = []byte(s[:min(len(s), attempt.Keep)])
	rest := s[len(o.Head):]
	o.Tail = []byte(rest[max(0, len(rest)-attempt.Keep):])
	return o
}

// TestCauseOfOthers: causes outside of the command's output come first.
func TestCauseOfOthers(t *testing.T) {
	out := written("Error: no such share\n")
	for want, a := range map[string]cluster.Attempt{
		`exec: "nosuch": not found in PATH "/bin"`:  {Outcome: cluster.OutcomeFailed, Code: 127, Error: `exec: "nosuch": not found in PATH "/bin"`, Stderr: out},
		"cut short, outcome unknown":                {Outcome: cluster.OutcomeUnknown, Stderr: out},
		"timed out after 10s: Error: no such share": {Outcome: cluster.OutcomeTimeout, Limit: 10_000, Stderr: out},
		"timed out after 10s":                       {Outcome: cluster.OutcomeTimeout, Limit: 10_000},
		"killed by SIGKILL":                         {Outcome: cluster.OutcomeFailed, Signal: "KILL"},
		"Error: no such share":                      {Outcome: cluster.OutcomeFailed, Signal: "KILL", Stderr: out},
		"two lines":                                 {Outcome: cluster.OutcomeFailed, Code: 126, Error: "two\nlines"},
	} {
		if got := Cause(&a); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestCauseIsBounded: the limit is on the printed text, and cuts between
// characters; the error is found anywhere in a long output.
func TestCauseIsBounded(t *testing.T) {
	chatter := strings.Repeat("step of many\n", 50_000)
	for name, text := range map[string]string{
		"binary":  strings.Repeat("\x00\xff\x1b", 10_000),
		"letters": strings.Repeat("x", 10_000),
		"umlauts": "x" + strings.Repeat("ü", 10_000),
		"one":     "a" + strings.Repeat("\u0085", 1000),
	} {
		got := Cause(&cluster.Attempt{Outcome: cluster.OutcomeFailed, Code: 3, Stderr: written(text)})
		if len(got) > causeBytes || len(got) < causeBytes/2 || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("%s: %d bytes, %q", name, len(got), got)
		}
		if cut := strings.TrimSuffix(got, "…"); name == "binary" && len(cut)%4 != 0 || name == "one" && (len(cut)-1)%6 != 0 {
			t.Errorf("%s is cut within an escape: %q", name, got)
		}
	}
	for _, text := range []string{
		"Error: no such share\n" + chatter, chatter + "Error: no such share\n", "Error: no such share\n" + chatter + "bye\n",
	} {
		if got := Cause(&cluster.Attempt{Outcome: cluster.OutcomeFailed, Code: 3, Stderr: written(text)}); got != "Error: no such share" {
			t.Errorf("in a long output: %q", got)
		}
	}
}

func FuzzCause(f *testing.F) {
	f.Add([]byte("a: \x1b[31m b\r\n:\n  c"), []byte("\xff\x00"))
	f.Fuzz(func(t *testing.T, stdout, stderr []byte) {
		got := Cause(&cluster.Attempt{Outcome: cluster.OutcomeFailed, Code: 3, Stdout: written(string(stdout)), Stderr: written(string(stderr))})
		if got == "" || len(got) > causeBytes || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\t\x1b\x00") {
			t.Errorf("%q", got)
		}
	})
}

func TestWillNotHeal(t *testing.T) {
	refused := func(code int, text string) cluster.Attempt {
		return cluster.Attempt{Outcome: cluster.OutcomeFailed, Code: code, Error: text, Stderr: written("iwx-attempt: " + text + "\n")}
	}
	ran := func(code int, stderr string) cluster.Attempt {
		return cluster.Attempt{Outcome: cluster.OutcomeFailed, Code: code, Stderr: written(stderr)}
	}
	tests := []struct {
		name string
		a    cluster.Attempt
		want bool
	}{
		{"no such program", refused(127, `exec: "nosuch": not found in PATH "/usr/bin:/bin"`), true},
		{"not executable", refused(126, `exec: "/usr/local/bin/x": permission denied`), true},
		{"not executable in PATH", refused(126, `exec: "x": /usr/local/bin/x: permission denied`), true},
		{"of another architecture", refused(126, `exec: "/usr/local/bin/x": exec format error`), true},
		{"no interpreter", refused(126, `exec: "x": no such file or directory (the interpreter that it names is missing)`), true},
		{"a program on storage that may come back", refused(127, `exec: "/srv/iwx/bin/x": no such file or directory`), false},
		{"a directory that may come back", refused(126, `working directory "/srv/iwx": no such file or directory`), false},
		{"a program that is being written", refused(126, `exec: "/usr/local/bin/x": text file busy`), false},
		{"no process to be had", refused(126, `exec: "true": resource temporarily unavailable`), false},
		{"no memory", refused(126, `exec: "true": cannot allocate memory`), false},
		{"no unit", refused(125, "start iwx-replay-1-42.service: access denied"), false},
		{"a user of a directory", refused(126, `there is no user "ldapuser" on this node`), false},
		{"dash", ran(127, "sh: 1: foo: not found\n"), true},
		{"bash", ran(127, "bash: line 3: foo: command not found\n"), true},
		{"zsh", ran(127, "zsh:1: command not found: foo\n"), true},
		{"env", ran(127, "env: 'foo': No such file or directory\n"), false},
		{"dash, a file", ran(127, "sh: 1: /srv/iwx/x: not found\n"), false},
		{"bash, a file", ran(127, "bash: line 1: /srv/iwx/x: No such file or directory\n"), false},
		{"127 for other reasons", ran(127, "container not ready\n"), false},
		{"126 of a program", ran(126, "lost the connection\n"), false},
		{"nothing said", ran(127, ""), false},
		{"another code", ran(1, "sh: 1: foo: not found\n"), false},
		{"time was up", cluster.Attempt{Outcome: cluster.OutcomeTimeout, Code: 127, Stderr: written("sh: 1: foo: not found\n")}, false},
	}
	for _, tt := range tests {
		if got := willNotHeal(&tt.a); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
