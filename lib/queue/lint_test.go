package queue

import (
	"strings"
	"testing"
)

// lintNames returns the names of the findings in a command, joined with ",".
func lintNames(argv ...string) string {
	var names []string
	for _, f := range Lint(&Command{Argv: argv}, []string{"/srv/iwx"}) {
		names = append(names, f.Name)
	}
	return strings.Join(names, ",")
}

func TestLint(t *testing.T) {
	for cmd, want := range map[string]string{
		// ids
		"useradd bob":                      "id",
		"/usr/sbin/useradd -u 2000 bob":    "",
		"useradd --uid=2000 bob":           "",
		"useradd -mu 2001 bob":             "",
		"useradd -ou 2001 bob":             "",
		"useradd -mou2001 bob":             "",
		"useradd --ui 2001 bob":            "",
		"useradd -d /home/u bob":           "id",
		"useradd -c user bob":              "id",
		"useradd -r www":                   "",
		"useradd -D":                       "",
		"useradd --help":                   "",
		"sudo useradd bob":                 "id",
		"env LANG=C useradd bob":           "id",
		"adduser --disabled-password bob":  "id",
		"adduser bob sudo":                 "",
		"adduser --gecos x --uid 2000 bob": "",
		"adduser --gecos x bob":            "id",
		"adduser --system --group app":     "",
		"groupadd web":                     "id",
		"groupadd -fg 2001 web":            "",
		"groupadd --system web":            "",
		"addgroup bob sudo":                "",
		"newusers /root/list":              "id",
		"chown -R bob /srv/iwx/bob":        "shared-path",
		"sudo chown -R bob /srv/iwx/bob":   "shared-path",
		"ls /srv/iwxother":                 "",

		// down
		"reboot":                    "reboot",
		"reboot -w":                 "",
		"sudo reboot":               "reboot",
		"sudo -u root -- reboot -f": "reboot",
		"env -i PATH=/sbin reboot":  "reboot",
		"nohup reboot":              "reboot",
		"timeout 5 reboot":          "reboot",
		"timeout -k 3 -s KILL 5m nice -n 5 reboot": "reboot",
		"nice -19 ionice -c3 setsid reboot":        "reboot",
		"chroot / reboot":                          "reboot",
		"busybox reboot":                           "reboot",
		"flock /run/x.lock reboot":                 "reboot",
		"systemd-run --on-active=5 reboot":         "reboot",
		"find / -name x -exec reboot ;":            "reboot",
		"xargs -n 1 reboot":                        "reboot",
		"shutdown -r now":                          "reboot",
		"shutdown -c":                              "",
		"shutdown --help":                          "",
		"shutdown --show":                          "",
		"init 6":                                   "reboot",
		"telinit 6":                                "reboot",
		"telinit q":                                "",
		"systemctl reboot":                         "reboot",
		"systemctl --no-block reboot":              "reboot",
		"systemctl -f reboot":                      "reboot",
		"systemctl isolate reboot.target":          "reboot",
		"systemctl start poweroff.target":          "reboot",
		"systemctl rescue":                         "reboot",
		"systemctl suspend":                        "reboot",
		"systemctl status reboot.target":           "",
		"systemctl reboot --when=cancel":           "",
		"systemctl restart apache2":                "",
		"systemctl start sleep.service":            "",
		"loginctl poweroff":                        "reboot",
		"kexec -l /boot/vmlinuz":                   "",
		"kexec -e":                                 "reboot",
		"echo reboot":                              "",
		"man reboot":                               "",

		// iwx itself
		"systemctl stop iwx-queued":                  "self",
		"systemctl stop iwx*":                        "self",
		"systemctl disable --now iwx-queued.service": "self",
		"systemctl restart iwx-queued":               "",
		"systemctl stop nginx":                       "",
		"service iwx-queued stop":                    "self",
		"/etc/init.d/iwx-queued stop":                "self",
		"pkill iwx-queued":                           "self",
		"pkill -f iwx":                               "self",
		"pkill -HUP iwx-queued":                      "",
		"pkill php-fpm":                              "",
		"killall -9 iwx-queued":                      "self",
		"apt-get -y purge iwx":                       "self",
		"apt-get -yq remove iwx":                     "self",
		"apt-get -y install iwx-":                    "self",
		"apt-get -y install iwx":                     "",
		"dnf -y remove iwx*":                         "self",
		"dpkg -r iwx":                                "self",
		"dpkg --purge iwx":                           "self",
		"dpkg -i iwx.deb":                            "",
		"rpm -e iwx":                                 "self",
		"iwx-cluster-setup reset -y":                 "self",
		"iwx-cluster-setup status":                   "",
		"rm -rf /var/lib/iwx":                        "self",
		"rm -rf /var":                                "self",
		"rm -f /var/lib/iwx/state.db":                "self",
		"rm -rf /var/lib/php/sessions":               "",
		"rm -f /usr/sbin/iwx-queued":                 "self",
		"mv /usr/local/sbin/iwx-queue /root":         "self",
		"rm -f /usr/sbin/iwx-helper":                 "",
		"mv /var/lib/iwx /root":                      "self",
		"mv /root/x /etc/":                           "",

		// cut off
		"ifdown eth0":                            "cut-off",
		"ip link set eth0 down":                  "cut-off",
		"ip l s dev eth0 down":                   "cut-off",
		"ip addr flush dev eth0":                 "cut-off",
		"ip route del default":                   "cut-off",
		"ip addr add 192.0.2.1/24 dev eth0":      "",
		"ip link show":                           "",
		"nmcli networking off":                   "cut-off",
		"nmcli con down eth0":                    "cut-off",
		"systemctl stop networking":              "cut-off",
		"systemctl disable ssh.service":          "cut-off",
		"systemctl restart ssh":                  "",
		"iptables -P INPUT DROP":                 "cut-off",
		"iptables -w -A OUTPUT -j REJECT":        "cut-off",
		"iptables -A INPUT -s 192.0.2.1 -j DROP": "",
		"iptables -P FORWARD DROP":               "",
		"ufw enable":                             "cut-off",
		"ifconfig eth0 0.0.0.0":                  "cut-off",
		"ifconfig eth0:1 192.0.2.9":              "",
		"ufw allow 22":                           "",

		// a terminal
		"vi /etc/hosts":                             "terminal",
		"vim -es -c wq /etc/hosts":                  "",
		"crontab -l":                                "",
		"crontab -e":                                "terminal",
		"vipw":                                      "terminal",
		"visudo -c":                                 "",
		"visudo -cf /etc/sudoers.d/x":               "",
		"systemctl edit nginx":                      "terminal",
		"apt-get install php-gd":                    "terminal",
		"apt-get -q install php-gd":                 "terminal",
		"apt-get -qqy install php-gd":               "",
		"apt-get install php-gd -y":                 "",
		"apt-get -s upgrade":                        "",
		"apt-get update":                            "",
		"dnf install php-gd":                        "terminal",
		"dnf -y install php-gd":                     "",
		"zypper -n install php":                     "",
		"zypper install php":                        "terminal",
		"dpkg-reconfigure tzdata":                   "terminal",
		"dpkg-reconfigure -f noninteractive tzdata": "",
		"env DEBIAN_FRONTEND=noninteractive dpkg-reconfigure tzdata": "",
		"tmux ls":                             "",
		"screen -ls":                          "",
		"tmux":                                "terminal",
		"iotop -d 1":                          "terminal",
		"iotop -bn1":                          "",
		"update-alternatives --config editor": "terminal",
		"update-alternatives --set editor /usr/bin/vi": "",
		"docker exec -it web bash":                     "terminal",
		"docker run --tty web":                         "terminal",
		"docker exec web tar -t":                       "",
		"docker run -itd web":                          "",
		"docker build -t web .":                        "",

		// no end
		"tail -f /var/log/syslog":      "endless",
		"tail -n5 --follow=name x":     "endless",
		"tail -n 5 x":                  "",
		"timeout 5 tail -f x":          "",
		"watch date":                   "endless",
		"ping 192.0.2.1":               "endless",
		"ping -c 1 192.0.2.1":          "",
		"ping -qc1 192.0.2.1":          "",
		"journalctl -fu nginx":         "endless",
		"journalctl -u ff":             "",
		"sleep infinity":               "endless",
		"sleep 5":                      "",
		"top -b -n 1":                  "",
		"top -bn1":                     "",
		"top":                          "terminal",
		"vmstat 1":                     "endless",
		"vmstat 1 3":                   "",
		"docker compose -f x.yml logs": "",
		"docker logs -f web":           "endless",
		"docker stats":                 "endless",
		"docker stats --no-stream":     "",
		"ip monitor":                   "endless",
		"ip -s link":                   "",
		"udevadm monitor --udev":       "endless",
		"udevadm settle":               "",
		"mtr 192.0.2.1":                "endless",
		"mtr -rw 192.0.2.1":            "",
		"nc -l 80":                     "endless",
		"nc -z 192.0.2.1 80":           "",
		"strace -p 1":                  "endless",
		"strace -f true":               "",
		"timeout 5 strace -p 1":        "",
		"sar 1":                        "endless",
		"sar -u 1 3":                   "",

		// standard input
		"sh -s":                    "input",
		"bash":                     "input",
		"bash -s a b":              "input",
		"sh /root/script":          "",
		"bash --version":           "",
		"chpasswd":                 "input",
		"sudo chpasswd":            "input",
		"mysql shop":               "input",
		"mysql -e x shop":          "",
		"mysql -uroot -exx shop":   "",
		"psql -f x":                "",
		"psql -U postgres shop":    "input",
		"passwd bob":               "input",
		"passwd -l bob":            "",
		"crontab -":                "input",
		"crontab -u bob /root/tab": "",
		"python3 -":                "input",
		"python3 -c x":             "",
		"php -v":                   "",
		"perl /root/x.pl":          "",
		"cat":                      "",
		"tee /etc/motd":            "input",
		"tee -a /etc/motd":         "",
		"tee":                      "",

		// what is no - and no quote
		"apt-get –y install vim":   "typography",
		"ls —all":                  "typography",
		"echo “a b”":               "typography",
		"grep ‘x’ /etc/hosts":      "typography",
		"echo a–b 10–20 – don’t":   "",
		"rm -f /srv/Größe–neu.txt": "",
	} {
		if got := lintNames(strings.Fields(cmd)...); got != want {
			t.Errorf("%s: got %q, want %q", cmd, got, want)
		}
	}
}

// TestLintScript: findings in the script of a shell.
func TestLintScript(t *testing.T) {
	for script, want := range map[string]string{
		"shutdown -r now":                                      "reboot",
		"apt-get -y upgrade && reboot":                         "reboot",
		"id bob || (useradd bob)":                              "id",
		"id bob || useradd -u 2000 bob":                        "",
		"systemctl stop iwx-queued; true":                      "self",
		"cat /var/run/reboot-required":                         "",
		"true\nvi /etc/hosts":                                  "terminal",
		" ; & ":                                                "",
		"systemctl reboot; reboot; reboot":                     "reboot",
		"if test -e /var/run/reboot-required; then reboot; fi": "reboot",
		"for i in 1 2; do case $i in 2) reboot;; esac; done":   "reboot",
		"f() { reboot; }; f":                                   "reboot",
		"x=$(reboot)":                                          "reboot",
		"exec reboot":                                          "reboot",
		"command reboot":                                       "reboot",
		"command -v reboot":                                    "",
		"eval 'reboot'":                                        "reboot",
		"(sleep 5; sudo reboot) &":                             "reboot",
		"echo b >/proc/sysrq-trigger":                          "reboot",
		"echo b | sudo tee /proc/sysrq-trigger":                "reboot",
		"echo 'first; reboot'":                                 "",
		"echo \"see: reboot\" # reboot":                        "",
		"grep -q 'reboot|halt' /etc/x && true":                 "",
		"kill $(pidof iwx-queued)":                             "self",
		"kill -HUP $(pidof iwx-queued)":                        "",
		"kill $(pidof nginx)":                                  "",
		"echo x >/var/lib/iwx/state.db":                        "self",
		"echo x >/srv/iwx/file":                                "shared-path",
		"echo 'bob:x' | chpasswd":                              "",
		"chpasswd <<E\nbob:x\nE":                               "",
		"mysql shop </root/dump.sql":                           "",
		"{ mysql shop; } </root/dump.sql":                      "",
		"mysql shop":                                           "input",
		"yes | apt-get install php":                            "",
		"yes >/root/x":                                         "endless",
		"tail -f x & sleep 3; kill $!":                         "",
		"tail -f x | grep y":                                   "endless",
		"while true; do date; sleep 1; done":                   "endless",
		"while :; do date; done":                               "endless",
		"while true; do test -e x && break; done":              "",
		"while read x; do echo $x; done":                       "",
		"DEBIAN_FRONTEND=noninteractive dpkg-reconfigure x":    "",
		"if [ $x":         "",
		"if reboot; then": "reboot",
	} {
		if got := lintNames("/bin/sh", "-c", script); got != want {
			t.Errorf("%q: got %q, want %q", script, got, want)
		}
	}
}

// TestLintShells: a script is found however the shell is called.
func TestLintShells(t *testing.T) {
	for _, argv := range [][]string{
		{"bash", "-lc", "reboot"},
		{"sh", "-ec", "reboot"},
		{"sh", "-e", "-c", "reboot"},
		{"bash", "-euo", "pipefail", "-c", "reboot"},
		{"bash", "-o", "pipefail", "-ec", "reboot"},
		{"bash", "--norc", "--rcfile", "/x", "-c", "reboot"},
		{"zsh", "-c", "reboot"},
		{"sudo", "-u", "root", "bash", "-c", "sudo sh -c 'env X=1 reboot'"},
		{"su", "-", "bob", "-c", "reboot"},
		{"su", "-lc", "reboot"},
		{"runuser", "-u", "bob", "--", "reboot"},
		{"flock", "/x", "-c", "reboot"},
		{"env", "-S", "X=1 reboot"},
		{"env", "-S", "sh -c reboot"},
	} {
		if got := lintNames(argv...); got != "reboot" {
			t.Errorf("%q: got %q", argv, got)
		}
	}
	for _, argv := range [][]string{
		{"bash", "-o", "reboot", "-c", "true"},
		{"sh", "-c", "echo $1", "sh", "reboot"},
		{"sh", "/root/reboot"},
		{"su", "bob", "-c", "true"},
	} {
		if got := lintNames(argv...); got != "" {
			t.Errorf("%q: got %q", argv, got)
		}
	}
	input := &Command{Argv: []string{"bash", "-s"}, Stdin: []byte("true\nreboot\n")}
	if found := Lint(input, nil); len(found) != 1 || found[0].Name != "reboot" {
		t.Errorf("a script on standard input: %v", found)
	}
	if f := Lint(&Command{Argv: []string{"mysql"}, Stdin: []byte("reboot")}, nil); f != nil {
		t.Errorf("input that is no script: %v", f)
	}
}

func TestWantsInput(t *testing.T) {
	for _, c := range []struct {
		argv []string
		want string
	}{
		{[]string{"sh", "-s"}, "sh"},
		{[]string{"sudo", "chpasswd"}, "chpasswd"},
		{[]string{"sh", "-c", "cd /x && mysql shop"}, "mysql"},
		{[]string{"sh", "-c", "mysql shop <x"}, ""},
		{[]string{"sh", "-c", "cat >x"}, ""},
		{[]string{"tee", "/etc/motd"}, "tee"},
		{[]string{"sh", "-c", "echo x | tee /etc/motd"}, ""},
		{[]string{"true"}, ""},
	} {
		if got := WantsInput(&Command{Argv: c.argv}); got != c.want {
			t.Errorf("%q: got %q, want %q", c.argv, got, c.want)
		}
		if got := WantsInput(&Command{Argv: c.argv, Stdin: []byte{}}); got != "" {
			t.Errorf("%q with input: got %q", c.argv, got)
		}
	}
}

// FuzzLint: no command line and no script makes Lint panic.
func FuzzLint(f *testing.F) {
	f.Add("sh", "-c", "if true; then reboot; fi")
	f.Add("env", "-S", "a 'b")
	f.Add("find", "-exec", ";")
	f.Add("bash", "-o", "")
	f.Add("sh", "-c", "${x:-$(reboot")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		Lint(&Command{Argv: []string{a, b, c}}, nil)
		Lint(&Command{Argv: []string{"sudo", a, b, c}}, nil)
	})
}
