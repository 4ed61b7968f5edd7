package realip

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"iwx/lib/lb"
)

// postfix is Postfix, for one service: an entry of master.cf(5) like the one that
// serves ordinary clients. Postfix takes the PROXY protocol from everybody, so that
// whoever reaches the port can claim any address; what counts is that none is
// allowed to relay for it: no network is its own there.
type postfix struct {
	root, service string
}

// proxiedOptions end the entries that are ours.
const proxiedOptions = " -o smtpd_upstream_proxy_protocol=haproxy -o mynetworks="

func (p postfix) String() string { return "postfix" }

func (p postfix) config() string { return filepath.Join(p.root, "/etc/postfix") }

// serves reports whether it is installed and serves the service, by smtpd(8):
// postscreen(8) cannot be there twice. A configuration that it does not read counts
// as one that does.
func (p postfix) serves(ctx context.Context) bool {
	if _, err := exec.LookPath("postconf"); err != nil {
		return false
	}
	if _, err := os.Stat(filepath.Join(p.config(), "master.cf")); err != nil {
		return false
	}
	entries, err := p.entries(ctx)
	return err != nil || p.plain(entries) != nil || len(p.ours(entries)) > 0
}

// entries returns those of master.cf, each as its words.
func (p postfix) entries(ctx context.Context) (list [][]string, err error) {
	out, err := run(ctx, "postconf", "-c", p.config(), "-M")
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if strings.HasPrefix(line, " ") && len(list) > 0 {
			list[len(list)-1] = append(list[len(list)-1], words...)
		} else if len(words) >= 8 {
			list = append(list, words)
		}
	}
	return list, err
}

// plain returns the entry that serves ordinary clients, nil if there is none.
func (p postfix) plain(entries [][]string) []string {
	service, _ := lb.Lookup(p.service)
	names := []string{p.service, fmt.Sprint(service.Port)}
	if p.service == "submissions" {
		names = append(names, "smtps") // as it was called before RFC 8314
	}
	i := slices.IndexFunc(entries, func(e []string) bool {
		return e[1] == "inet" && slices.Contains(names, e[0][strings.LastIndex(e[0], ":")+1:]) && e[7] == "smtpd"
	})
	if i < 0 {
		return nil
	}
	return entries[i]
}

// ours returns the names of the entries that put has made, under any spec.
func (p postfix) ours(entries [][]string) (names []string) {
	service, _ := lb.Lookup(p.service)
	for _, e := range entries {
		if strings.HasSuffix(e[0], fmt.Sprint(":", service.ProxyPort())) && strings.HasSuffix(strings.Join(e, " "), proxiedOptions) {
			names = append(names, e[0])
		}
	}
	return names
}

// entry is what put makes from the plain entry.
func entry(at netip.AddrPort, plain []string) string {
	return at.String() + " " + strings.Join(plain[1:], " ") + proxiedOptions
}

func (p postfix) differs(ctx context.Context, spec Spec) (bool, error) {
	entries, err := p.entries(ctx)
	if err != nil {
		return false, err
	}
	plain, ours := p.plain(entries), p.ours(entries)
	if plain == nil {
		return len(ours) > 0, nil
	}
	want := entry(spec.Listen, plain)
	there := slices.ContainsFunc(entries, func(e []string) bool { return strings.Join(e, " ") == want })
	return !there || len(ours) != 1, nil
}

// put writes master.cf by postconf(1), which reads it first and leaves it as it is
// if it is no good.
func (p postfix) put(ctx context.Context, spec Spec) (changed bool, err error) {
	entries, err := p.entries(ctx)
	if err != nil {
		return false, err
	}
	plain, ours := p.plain(entries), p.ours(entries)
	if plain == nil {
		return len(ours) > 0, p.drop(ctx)
	}
	if len(ours) == 0 {
		master, err := p.master(ctx)
		if err == nil {
			err = vacant(ctx, spec.Listen, "smtp_port_t", master)
		}
		if err != nil {
			return false, err
		}
	}
	if err := p.drop(ctx); err != nil {
		return true, err
	}
	_, err = run(ctx, "postconf", "-c", p.config(), "-M", name(spec.Listen)+"="+entry(spec.Listen, plain))
	return true, err
}

func (p postfix) drop(ctx context.Context) error {
	entries, err := p.entries(ctx)
	if err != nil {
		return err
	}
	for _, of := range p.ours(entries) {
		if _, err := run(ctx, "postconf", "-c", p.config(), "-MX", of+"/inet"); err != nil {
			return err
		}
	}
	return nil
}

// master is the process that listens, 0 if none runs.
func (p postfix) master(ctx context.Context) (int, error) {
	queue, err := run(ctx, "postconf", "-c", p.config(), "-h", "queue_directory")
	if err != nil {
		return 0, err
	}
	return processOf(filepath.Join(queue, "pid", "master.pid"))
}

// name is the entry in the arguments of postconf.
func name(at netip.AddrPort) string { return at.String() + "/inet" }

// reload has the running Postfix read its configuration; who is connected stays.
func (p postfix) reload(ctx context.Context) error {
	if _, err := run(ctx, "postfix", "-c", p.config(), "status"); err != nil {
		return nil // it does not run
	}
	_, err := run(ctx, "postfix", "-c", p.config(), "reload")
	return err
}
