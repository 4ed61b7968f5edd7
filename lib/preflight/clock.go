package preflight

import (
	"context"

	"golang.org/x/sys/unix"
)

// SyncClocks is the remedy where the clocks of two servers differ: how to do it
// depends on what each has installed.
const SyncClocks = "synchronise both clocks: iwx-cluster-setup preflight on each prints how, at clock-sync"

// clockSync asks the kernel, which whoever keeps the clock reports to, adjtimex(2).
func (s Server) clockSync(context.Context) Result {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return warn(s.syncClock(), "the kernel does not say whether the clock is synchronised: adjtimex: %v", err)
	}
	return s.clockResult(t.Status)
}

func (s Server) clockResult(status int32) Result {
	if status&unix.STA_UNSYNC != 0 {
		return warn(s.syncClock(), "the clock is not synchronised")
	}
	return ok("the clock is synchronised")
}

// syncClock is the command that has the clock synchronised. timedatectl set-ntp
// needs D-Bus and something installed that it can switch on, of which Debian's
// minimal system has neither.
func (s Server) syncClock() string {
	if s.Facts.Container != "" {
		return "synchronise the clock of the machine that runs this container"
	}
	bin := func(program string) []string { return []string{"usr/sbin/" + program, "sbin/" + program} }
	for _, d := range []struct {
		files []string
		unit  string // with its name on Fedora and its family, if that differs
		rpm   string
		look  string // at what it does, where it runs already
	}{
		{bin("chronyd"), "chrony", "chronyd", "chronyc sources"},
		{bin("ntpd"), "ntpsec", "ntpd", "ntpq -p"},
		{[]string{"usr/lib/systemd/systemd-timesyncd", "lib/systemd/systemd-timesyncd"}, "systemd-timesyncd", "systemd-timesyncd", "journalctl -u systemd-timesyncd"},
	} {
		if !s.exists(d.files...) {
			continue
		}
		unit := d.unit
		if !s.Facts.OS.IsLike("debian") {
			unit = d.rpm
		}
		return "systemctl enable --now " + unit + "; where that runs already: " + d.look
	}
	switch {
	case s.Facts.OS.IsLike("debian"):
		return "apt-get -y install systemd-timesyncd"
	case s.Facts.OS.IsLike("fedora") || s.Facts.OS.IsLike("rhel"):
		return "dnf -y install chrony && systemctl enable --now chronyd"
	}
	return "install chrony and start it"
}
