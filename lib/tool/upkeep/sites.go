package upkeep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"iwx/lib/account"
	"iwx/lib/conf"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/nfs"
	"iwx/lib/site"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/vhost"
)

// Inspector looks whether a server still has of the sites what it was given. It
// changes nothing.
type Inspector struct {
	Server *local.Server
	Now    func() time.Time
	Wait   time.Duration // for those who are changing sites; 0: lockWait
	Done   func() uint64 // every entry of the queue up to this one is settled; nil on the manager
}

// inspectLimit bounds a look at so many sites, for which sites being applied have to
// wait: on a busy server each home on the shared storage takes its time.
func inspectLimit(sites int) time.Duration {
	return 20*time.Second + time.Duration(sites)*100*time.Millisecond
}

// Look looks, once nobody is changing sites. What it could not look at is the
// report's Error.
func (i *Inspector) Look(ctx context.Context) *site.Report {
	r := &site.Report{}
	if i.Wait == 0 {
		i.Wait = lockWait
	}
	lock, err := daemon.WaitLock(ctx, i.Server.SiteLock, i.Wait, "changing sites")
	if err != nil {
		r.Fail(err)
		return r
	}
	defer lock.Close()
	here, err := i.Server.Store.SitesHere(ctx)
	if err != nil {
		r.Fail(err)
		return r
	}
	limit := inspectLimit(len(here))
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := i.look(ctx, r, here); err != nil {
		if ctx.Err() != nil {
			err = fault.New(fault.TimedOut, "looking at the sites took longer than %s", limit.Round(time.Second))
		}
		r.Fail(err)
	}
	return r
}

func (i *Inspector) look(ctx context.Context, r *site.Report, here []state.SiteHere) error {
	if i.Done != nil {
		r.Done = i.Done()
	}
	specs := make([]site.Spec, len(here))
	for n := range here {
		specs[n] = here[n].Spec
	}
	r.Sites, r.Digest = len(specs), site.Digest(specs)
	if err := i.cutShort(ctx, r); err != nil {
		return err
	}
	webs, err := i.webs(ctx, r, here)
	if err != nil {
		return err
	}
	homes, err := i.homes(ctx, r, specs)
	if err != nil {
		return err
	}
	book := account.Accounts{Root: i.Server.Root}.Book()
	for n := range here {
		i.one(r, book, webs[here[n].WebServer], &specs[n], homes[specs[n].Domain])
	}
	return nil
}

// cutShort reports a change that was begun on the manager and is not settled.
func (i *Inspector) cutShort(ctx context.Context, r *site.Report) error {
	intent, err := i.Server.Store.SiteIntent(ctx)
	if err == nil && intent != nil {
		r.Add(site.Fault{What: fmt.Sprintf("a run of iwx-site by %s was cut short; the next that changes sites settles it", intent.By)})
	}
	return err
}

// one reports what is not as it should be about one site.
func (i *Inspector) one(r *site.Report, book *account.Book, web *vhost.Server, spec *site.Spec, home account.HomeFault) {
	users, err := book.Differs(spec)
	if err != nil {
		r.Add(site.Fault{Domain: spec.Domain, What: fault.Plain(err), Stays: true, Foreign: true})
	}
	for _, what := range users {
		r.Add(site.Fault{Domain: spec.Domain, What: what})
	}
	certificate := ""
	if spec.Certificate != "" {
		certificate = CertificateDiffers(CertificatePath(i.Server.Certificates, spec.Certificate), spec.Certificate)
	}
	host := ""
	if web != nil {
		host = web.Differs(spec.Domain, spec.VHost)
	}
	for _, what := range []string{certificate, host} {
		if what != "" {
			r.Add(site.Fault{Domain: spec.Domain, What: what})
		}
	}
	if home.What != "" {
		// Only the manager makes homes.
		r.Add(site.Fault{Domain: spec.Domain, What: home.What, Stays: home.Stays || !i.Server.IsManager()})
	}
}

// webs returns the web servers that sites are on, by name, once it has told what
// is wrong with each as a whole. Where there is no site, none is to have any.
func (i *Inspector) webs(ctx context.Context, r *site.Report, here []state.SiteHere) (map[string]*vhost.Server, error) {
	webs := map[string]*vhost.Server{}
	known := map[string]string{}
	for n := range here {
		name := here[n].WebServer
		known[here[n].Domain] = name
		if _, seen := webs[name]; seen || name == "" {
			continue
		}
		web, err := vhost.Named(i.Server.Root, name)
		if err != nil {
			r.Add(site.Fault{What: fault.Plain(err), Stays: true})
		} else if err := web.Test(ctx); ctx.Err() != nil {
			return nil, ctx.Err()
		} else if err != nil {
			r.Add(site.Fault{What: fault.Plain(err)})
		}
		webs[name] = web
	}
	if len(here) == 0 {
		return nil, i.strays(r, vhost.Find(i.Server.Root), nil)
	}
	var all []*vhost.Server
	for _, name := range slices.Sorted(maps.Keys(webs)) {
		all = append(all, webs[name])
	}
	return webs, i.strays(r, all, known)
}

// strays reports the virtual hosts that belong to no site of their web server.
func (i *Inspector) strays(r *site.Report, webs []*vhost.Server, known map[string]string) error {
	for _, web := range webs {
		if web == nil {
			continue
		}
		domains, err := web.Strays(func(domain string) bool {
			name, is := known[domain]
			return is && name == web.Name
		})
		if err != nil {
			return err
		}
		for _, domain := range domains {
			r.Add(site.Fault{Domain: domain, What: "a virtual host of no site: " + web.File(domain)})
		}
	}
	return nil
}

// homes reports what is wrong with the homes, by domain; those on a share that is
// not healthy are not looked at, and the share is told of instead.
func (i *Inspector) homes(ctx context.Context, r *site.Report, specs []site.Spec) (map[string]account.HomeFault, error) {
	if len(specs) == 0 {
		return nil, nil
	}
	desired, err := Desired(ctx, i.Server)
	if err != nil {
		return nil, err
	}
	var sick []string
	for _, health := range Health(ctx, desired.Document, i.Now) {
		if health.Word != nfs.Healthy {
			sick = append(sick, health.Path)
			r.Add(site.Fault{What: fmt.Sprintf("the share of the homes, %s, is %s", health.Path, health.Word), Stays: true})
		}
	}
	var sites []*site.Site
	for n := range specs {
		below := func(share string) bool { return conf.Within(specs[n].Home, share) }
		if !slices.ContainsFunc(sick, below) {
			sites = append(sites, &specs[n].Site)
		}
	}
	return account.Homes{Root: i.Server.Root}.Differ(ctx, sites)
}

// CertificatePath is where a certificate of that digest lies with its key.
func CertificatePath(dir, digest string) string { return filepath.Join(dir, digest+".pem") }

// certificateMode is that of a certificate's file, which has the key in it.
const certificateMode = 0o600

// CertificateDiffers reports what is not as it should be about the file of a
// certificate, "" for nothing.
func CertificateDiffers(path, digest string) string {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "its certificate is missing: " + path
	case err != nil:
		return "its certificate: " + fault.Plain(err)
	case info.Mode() != certificateMode:
		return fmt.Sprintf("its certificate is %s instead of a file that root alone can read: %s", info.Mode(), path)
	}
	text, err := os.ReadFile(path)
	switch {
	case err != nil:
		return "its certificate: " + fault.Plain(err)
	case site.PairDigest(text) != digest:
		return "its certificate was changed: " + path
	}
	return ""
}
