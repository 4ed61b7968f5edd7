package realip

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"iwx/lib/atomicfile"
	"iwx/lib/fault"
	"iwx/lib/vhost"
)

// dovecot is Dovecot, for one service of mailboxes: a file of its own among those
// that its configuration includes. Dovecot takes the PROXY protocol from nobody but
// those it is told of (haproxy_trusted_networks).
type dovecot struct {
	root, service string
}

func (d dovecot) String() string { return "dovecot" }

func (d dovecot) config() string { return filepath.Join(d.root, "/etc/dovecot/dovecot.conf") }

func (d dovecot) file() string {
	return filepath.Join(d.root, "/etc/dovecot/conf.d/99-iwx-"+d.service+".conf")
}

// serves reports whether it is installed, with the protocol of the service, or
// has what put made.
func (d dovecot) serves(ctx context.Context) bool {
	if _, err := exec.LookPath("doveconf"); err != nil {
		return false
	}
	if _, err := os.Stat(d.config()); err != nil {
		return false
	}
	_, err := os.Stat(d.file())
	return err == nil || d.speaks(ctx)
}

// speaks reports whether it has the protocol. A configuration that it does not read
// counts as one that does.
func (d dovecot) speaks(ctx context.Context) bool {
	protocols, err := run(ctx, "doveconf", "-c", d.config(), "-h", "protocols")
	return err != nil || slices.Contains(strings.Fields(protocols), strings.TrimSuffix(d.service, "s"))
}

func (d dovecot) text(spec Spec) string {
	protocol, secure := strings.CutSuffix(d.service, "s")
	ssl := ""
	if secure {
		ssl = "    ssl = yes\n"
	}
	return fmt.Sprintf(`# Made by iwx-queued(8), see iwx-lb(8): changes are overwritten.
haproxy_trusted_networks = $haproxy_trusted_networks %s
service %s-login {
  inet_listener iwx_%s {
    address = %s
    port = %d
    haproxy = yes
%s  }
}
`, strings.Join(vhost.Addresses(spec.Balancers), " "), protocol, d.service, spec.Listen.Addr(), spec.Listen.Port(), ssl)
}

func (d dovecot) differs(ctx context.Context, spec Spec) (bool, error) {
	is, err := os.ReadFile(d.file())
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return string(is) != d.text(spec) || !d.speaks(ctx), err
}

func (d dovecot) put(ctx context.Context, spec Spec) (changed bool, err error) {
	if !d.speaks(ctx) {
		return true, d.drop(ctx)
	}
	old, err := os.ReadFile(d.file())
	if errors.Is(err, fs.ErrNotExist) {
		var master int
		if master, err = d.master(ctx); err == nil {
			err = vacant(ctx, spec.Listen, "pop_port_t", master)
		}
	}
	if err != nil {
		return false, err
	}
	if err := atomicfile.Write(d.file(), []byte(d.text(spec)), 0o644); err != nil {
		return false, err
	}
	if _, err := run(ctx, "doveconf", "-n", "-c", d.config()); err != nil {
		if old == nil {
			return false, errors.Join(err, os.Remove(d.file()))
		}
		return false, errors.Join(err, atomicfile.Write(d.file(), old, 0o644))
	}
	return true, nil
}

func (d dovecot) drop(context.Context) error {
	if err := os.Remove(d.file()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// reload has the master process read its configuration, dovecot(1): those who are
// connected stay.
func (d dovecot) reload(ctx context.Context) error {
	pid, err := d.master(ctx)
	if err != nil || pid == 0 {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("reload of dovecot, process %d: %w", pid, err)
	}
	return nil
}

// master is the process that listens, 0 if none runs.
func (d dovecot) master(ctx context.Context) (int, error) {
	base, err := run(ctx, "doveconf", "-c", d.config(), "-h", "base_dir")
	if err != nil {
		return 0, err
	}
	return processOf(filepath.Join(base, "master.pid"))
}

// run runs a program, and returns what it prints, without the space around it; the
// error carries what it complains of.
func run(ctx context.Context, program string, args ...string) (string, error) {
	var complaint strings.Builder
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fault.New(fault.Failed, "%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
