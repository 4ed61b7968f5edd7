package sitetool

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"iwx/lib/account"
	"iwx/lib/atomicfile"
	"iwx/lib/fault"
	"iwx/lib/site"
	"iwx/lib/tool/upkeep"
	"iwx/lib/vhost"
)

// siteApplier changes this server to what specs say. The manager's and a node's are the
// same but for the homes, which only the manager makes: they are shared.
type siteApplier struct {
	accounts     account.Accounts
	web          *vhost.Server                                            // nil where nothing serves sites
	reloads      upkeep.ReloadLimiter                                     // of it
	request      uint64                                                   // the last one for a reload; 0 before the first
	urgent       bool                                                     // reloads do not wait for the interval
	certificates string                                                   // their directory
	fetch        func(ctx context.Context, digest string) ([]byte, error) // of a certificate that is not here
	homes        func(ctx context.Context, specs []site.Spec) error       // made after the accounts; nil on a node
	begun        map[string]site.Begun                                    // what is taken over, by domain; nil on a node
}

// apply brings users, homes, certificates and virtual hosts to what the specs
// say, and removes the virtual hosts of strays, domains that are no site's; a reload of
// the web server is then requested. Users go last, when it has let go of their sites,
// and is reloaded for that at once. It is idempotent; on an error it may have done a
// part, but no virtual host.
func (a *siteApplier) apply(ctx context.Context, specs []site.Spec, strays ...string) error {
	for i := range specs {
		if specs[i].Gone {
			continue
		}
		if err := a.accounts.Ensure(ctx, specs[i]); err != nil {
			return err
		}
	}
	if a.homes != nil {
		if err := a.homes(ctx, specs); err != nil {
			return err
		}
	}
	if err := a.keepCertificates(ctx, specs); err != nil {
		return err
	}
	gone := slices.DeleteFunc(slices.Clone(specs), func(s site.Spec) bool { return !s.Gone })
	if a.web != nil && len(specs)+len(strays) > 0 {
		request, err := a.reloads.Change(ctx, a.web.Name, a.urgent || len(gone) > 0, func() error {
			return a.web.Put(ctx, a.changes(specs, strays))
		})
		if err != nil {
			return err
		}
		a.request = request
	}
	if len(gone) == 0 {
		return nil
	}
	if err := a.reload(ctx, true); err != nil {
		return err
	}
	for i := range gone {
		if err := a.removeUser(ctx, gone[i]); err != nil {
			return err
		}
	}
	return nil
}

// hasModules fails if the web server lacks a module that the virtual hosts of the
// specs need.
func (a *siteApplier) hasModules(ctx context.Context, specs []site.Spec) error {
	if a.web == nil {
		return nil
	}
	return a.web.Lacks(ctx, a.changes(specs, nil))
}

// removeUser removes the user of a site that is to go; one that was there before
// becomes what it was.
func (a *siteApplier) removeUser(ctx context.Context, spec site.Spec) error {
	kept := a.begun[spec.Domain].Kept
	if kept == nil {
		return a.accounts.Remove(ctx, spec)
	}
	spec.Gone, spec.Suspended, spec.Home, spec.Shell = false, false, kept.Home, kept.Shell
	return a.accounts.Ensure(ctx, spec)
}

// reload blocks until the web server has loaded what was applied. Unless patient, it
// leaves that to the daemon where it would be the second reload in an interval.
func (a *siteApplier) reload(ctx context.Context, patient bool) error {
	if a.web == nil {
		return nil
	}
	return a.reloads.Wait(ctx, a.web.Name, a.request, patient)
}

// strays are the domains that have a virtual host of iwx here and are not known.
func (a *siteApplier) strays(known func(domain string) bool) ([]string, error) {
	if a.web == nil {
		return nil, nil
	}
	return a.web.Strays(known)
}

// keepCertificates writes those of the specs that are not here as they should be.
func (a *siteApplier) keepCertificates(ctx context.Context, specs []site.Spec) error {
	for i := range specs {
		has, err := a.keepCertificate(ctx, &specs[i])
		if err == nil && !has {
			err = fault.Hint(fault.New(fault.Failed, "certificate %s of %s is lost", specs[i].Certificate, specs[i].Domain),
				"iwx-site edit %s --tls-cert FILE --tls-key FILE", specs[i].Domain)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keepCertificate writes the certificate of a site, if it has one that is not
// here as it should be. It reports false if the one it is to have is nobody's any
// more.
func (a *siteApplier) keepCertificate(ctx context.Context, spec *site.Spec) (has bool, err error) {
	if spec.Certificate == "" || spec.Gone {
		return true, nil
	}
	path := upkeep.CertificatePath(a.certificates, spec.Certificate)
	if upkeep.CertificateDiffers(path, spec.Certificate) == "" {
		return true, nil
	}
	pem, err := a.fetch(ctx, spec.Certificate)
	if err != nil {
		return false, fault.New(0, "certificate of %s: %w", spec.Domain, err)
	}
	if pem == nil {
		return false, nil
	}
	if err := atomicfile.MkdirAll(a.certificates, 0o700); err != nil {
		return false, err
	}
	return true, atomicfile.Write(path, pem, 0o600)
}

// dropCertificates removes those that none of the specs has. Repeating it is
// safe.
func (a *siteApplier) dropCertificates(specs []site.Spec) error {
	used := map[string]bool{}
	for i := range specs {
		used[specs[i].Certificate] = !specs[i].Gone
	}
	entries, err := os.ReadDir(a.certificates)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		// What else is there was being written when somebody was killed.
		if digest, whole := strings.CutSuffix(e.Name(), ".pem"); !whole || !used[digest] {
			err = errors.Join(err, os.Remove(filepath.Join(a.certificates, e.Name())))
		}
	}
	return err
}
