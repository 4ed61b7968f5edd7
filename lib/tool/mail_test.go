package tool_test

import (
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// dovecotConfig and the two of postfix are those of mail servers below a root
// directory, as Debian lays them out.
const dovecotConfig = `
base_dir = ROOT/run/dovecot
state_dir = ROOT/run/dovecot
log_path = ROOT/var/log/dovecot.log
protocols = imap pop3
listen = ADDR
ssl = no
mail_location = maildir:ROOT/mail
auth_verbose = yes
service imap-login {
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3s {
    port = 0
  }
}
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=dovecot gid=dovecot home=ROOT/mail
}
!include_try conf.d/*.conf
`

const postfixMain = `
compatibility_level = 3.6
queue_directory = ROOT/spool
data_directory = ROOT/data
inet_protocols = ipv4
myhostname = mail.example
mydestination =
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
alias_maps =
maillog_file = ROOT/var/log/mail.log
maillog_file_prefixes = ROOT
`

const postfixMaster = `# by hand
ADDR:smtp inet n - n - - smtpd
ADDR:submission inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o { smtpd_relay_restrictions = permit_sasl_authenticated, reject }
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
`

// mail runs a dovecot and a postfix below a root directory, and waits until they
// answer. They end with the script.
func mail(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mail ROOT ADDR")
	}
	root, addr := ts.MkAbs(args[0]), args[1]
	layOut(ts, args, "etc/dovecot/dovecot.conf", dovecotConfig, "etc/dovecot/conf.d", "run/dovecot", "var/log", "mail")
	layOut(ts, args, "etc/postfix/main.cf", postfixMain, "spool", "data")
	layOut(ts, args, "etc/postfix/master.cf", postfixMaster)
	owner, err := user.Lookup("postfix")
	ts.Check(err)
	uid, err := strconv.Atoi(owner.Uid)
	ts.Check(err)
	ts.Check(os.Chown(filepath.Join(root, "data"), uid, 0))
	config := filepath.Join(root, "etc/postfix")
	if out, err := exec.Command("postfix", "-c", config, "check").CombinedOutput(); err != nil {
		ts.Fatalf("postfix: %v\n%s", err, out)
	}
	service(ts, root, addr+":143", exec.Command("dovecot", "-F", "-c", filepath.Join(root, "etc/dovecot/dovecot.conf")))
	service(ts, root, addr+":25", exec.Command("/usr/lib/postfix/sbin/master", "-c", config, "-d"))
}

// service runs a program until the script ends, and waits until it listens.
func service(ts *testscript.TestScript, root, at string, cmd *exec.Cmd) {
	var said strings.Builder
	cmd.Dir, cmd.Stderr = root, &said
	ts.Check(cmd.Start())
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	ts.Defer(func() {
		cmd.Process.Signal(syscall.SIGTERM) // what it has started ends with it
		<-ended
	})
	until(ts, cmd.Args[0]+" answers at "+at, func() bool {
		select {
		case <-ended:
			ts.Fatalf("%s ended: %s", cmd.Args[0], said.String())
		default:
		}
		conn, err := net.Dial("tcp", at)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}
