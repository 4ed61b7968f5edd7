package site

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"iwx/lib/fault"
)

// maxUser is the longest name of a user: 32 bytes with the final NUL in
// utmp(5), which useradd(8) holds to.
const maxUser = 31

// userName is a name that every tool takes: useradd(8), and lower case, so that
// it can be the local part of an address of mail.
var userName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// CheckUser holds the name of a site's user against the rules, and against the
// names that mean somebody else. An error is of wrong usage.
func CheckUser(name string) error {
	bad := func(why string) error {
		return fault.Hint(fault.New(fault.Usage, "user name %.100q %s", name, why), "a name begins with a letter and has letters, digits, - and _; or leave it out, and one is made of the domain")
	}
	switch {
	case !userName.MatchString(name):
		return bad("does not begin with a lower-case letter, or has something other than lower-case letters, digits, - and _")
	case len(name) > maxUser:
		return bad(fmt.Sprintf("is longer than %d characters", maxUser))
	case slices.Contains(reserved(), name):
		return bad("is reserved: it belongs to the system or to a service, or is an address of mail that every domain has")
	}
	return nil
}

// reserved are names that are, or with the installation of a package become,
// those of the system (base-passwd, systemd-sysusers(8)) and of services, and
// the mailbox names of RFC 2142.
func reserved() []string {
	return strings.Fields(`root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody
		_apt systemd-network systemd-resolve systemd-timesync systemd-coredump systemd-oom messagebus dbus polkitd sshd tss
		adm shutdown halt operator ftp wheel users staff sudo tty disk kmem dialout fax voice cdrom floppy tape audio src
		shadow utmp video sasl plugdev input kvm render crontab nogroup netdev ssl-cert docker lxd libvirt
		apache httpd nginx bind named unbound mysql mariadb postgres redis memcache memcached mongodb elasticsearch
		postfix postdrop exim dovecot dovenull vmail mailman courier opendkim opendmarc rspamd clamav amavis spamd
		proftpd vsftpd haproxy keepalived varnish squid ntp chrony statd rpc rpcuser nfsnobody puppet zabbix nagios
		prometheus grafana git gitlab jenkins tomcat solr www web default test iwx
		postmaster hostmaster webmaster abuse noc security info support sales marketing usenet admin administrator`)
}

// UserFor makes a name for the user of a domain, of its first label; taken says
// which are not to be had.
func UserFor(domain string, taken func(string) bool) string {
	const most = 16 // names that people type
	label, _, _ := strings.Cut(domain, ".")
	base := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, label)
	if base == "" || base[0] < 'a' {
		base = "s" + base
	}
	base = base[:min(len(base), most)]
	name := base
	for n := 2; taken(name) || CheckUser(name) != nil; n++ {
		suffix := fmt.Sprint(n)
		name = base[:min(len(base), most-len(suffix))] + suffix
	}
	return name
}

// UIDs are the ids that sites may get, both included.
type UIDs struct{ First, Last uint32 }

// Next returns the id for a new site: the one after the last that was given,
// so that none comes back soon to one who is not meant by what it still owns
// somewhere; from the beginning when the end is reached. used says which are
// not to be had.
func (r UIDs) Next(last uint32, used func(uint32) bool) (uint32, error) {
	size := r.Last - r.First + 1
	if last < r.First || last > r.Last {
		last = r.Last
	}
	for i := range size {
		if id := r.First + (last-r.First+1+i)%size; !used(id) {
			return id, nil
		}
	}
	return 0, fault.Hint(fault.New(fault.Failed, "all ids from %d to %d are used, site.uid_range", r.First, r.Last),
		"give it another range in iwx.toml(5); the sites that are there keep their ids")
}
