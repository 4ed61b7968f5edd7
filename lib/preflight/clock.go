package preflight

import (
	"context"

	"golang.org/x/sys/unix"
)

// SyncClocks is the hint for two servers whose clocks differ. The commands
// depend on what each server has installed.
const SyncClocks = "synchronise both clocks: iwx-cluster-setup preflight on each prints how, at clock-sync"

// clockSync asks the kernel whether the clock is synchronised: every time daemon
// reports that to it, adjtimex(2).
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

// syncClock returns the command that synchronises the clock. timedatectl
// set-ntp needs D-Bus and an installed service that it can enable; a minimal
// Debian has neither.
func (s Server) syncClock() string {
	if s.Facts.Container != "" {
		return "synchronise the clock of the machine that runs this container"
	}
	bin := func(program string) []string { return []string{"usr/sbin/" + program, "sbin/" + program} }
	for _, d := range []struct {
		files []string
		unit  string // with its other name, on Fedora and its family, if that differs
		rpm   string
		look  string // the command that shows its state, where it already runs
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
