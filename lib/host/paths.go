package host

import "path/filepath"

// Paths are the places where iwx keeps things on a server. This is the only
// spelling of them.
type Paths struct {
	Root string // "" in production, else the directory that stands for "/"

	Config       string // settings, iwx.toml(5)
	Lib          string // 0700, all that must survive a restart
	State        string // SQLite state, 0600
	StateClaim   string // locked by every process that has the state open; records which files those are; "" with a single process
	PKI          string // 0700, keys and certificates
	Attempts     string // 0700, one directory for each command being replayed
	Work         string // 0700, where backups are put together and taken apart
	Backups      string // 0700, where a backup without a path of its own goes
	HAProxy      string // 0700, configuration of the balancer's HAProxy
	HAProxyRun   string // its sockets; gone when it ends
	Panics       string // 0700, the panic counts of the daemons
	Run          string // 0700, gone after a boot
	Wake         string // datagram socket of the daemon
	Served       string // the position up to which a manager's daemon has served its log
	DaemonLock   string // held by the one daemon of this server
	ProfileLock  string // held by who applies the node profile
	Health       string // 0755, what the health endpoint is to know, package endpoint
	Addresses    string // notes which virtual addresses were put on this server
	Clients      string // 0700, notes which programs are to learn of a change to whom they believe, package realip
	Templates    string // those of virtual hosts that the administrator has written
	Certificates string // 0700, those of the sites, each with its key
	SiteLock     string // held by who changes sites, or applies them
	Reloads      string // 0700, socket of the daemon that reloads programs
	ReloadLock   string // held by who changes a program's configuration, or reloads the program
	Balance      string // 0700, sockets of iwx-lb daemon
	BalanceLock  string // held by the one iwx-lb daemon of this server

	MachineID string // machine-id(5)
	Hostname  string // hostname(5)
	OSRelease string // os-release(5)
	Passwd    string // passwd(5)
	Group     string // group(5)
}

// At returns the paths below root. "" and "/" both mean the server itself.
// Nothing is read or created.
func At(root string) Paths {
	if root == "/" {
		root = ""
	}
	at := func(elem ...string) string {
		return filepath.Join(append([]string{root, "/"}, elem...)...)
	}
	return Paths{
		Root:         root,
		Config:       at("etc/iwx/iwx.toml"),
		Lib:          at("var/lib/iwx"),
		State:        at("var/lib/iwx/state.db"),
		StateClaim:   at("run/iwx/state.open"),
		PKI:          at("var/lib/iwx/pki"),
		Attempts:     at("var/lib/iwx/attempts"),
		Work:         at("var/lib/iwx/work"),
		Backups:      at("var/lib/iwx/backups"),
		HAProxy:      at("var/lib/iwx/haproxy"),
		HAProxyRun:   at("run/iwx-haproxy"),
		Panics:       at("var/lib/iwx/panics"),
		Run:          at("run/iwx"),
		Wake:         at("run/iwx/wake"),
		Served:       at("run/iwx/served"),
		DaemonLock:   at("run/iwx/queued.lock"),
		ProfileLock:  at("run/iwx/profile.lock"),
		Health:       at("run/iwx-health"),
		Clients:      at("var/lib/iwx/clients"),
		Templates:    at("etc/iwx/templates"),
		Certificates: at("var/lib/iwx/certificates"),
		SiteLock:     at("run/iwx/site.lock"),
		Reloads:      at("run/iwx/reloads"),
		ReloadLock:   at("run/iwx/reloads/lock"),
		Balance:      at("run/iwx/lb"),
		Addresses:    at("run/iwx/addresses.json"),
		BalanceLock:  at("run/iwx/lb/lock"),
		MachineID:    at("etc/machine-id"),
		Hostname:     at("etc/hostname"),
		OSRelease:    at("etc/os-release"),
		Passwd:       at("etc/passwd"),
		Group:        at("etc/group"),
	}
}

// Own reports whether the paths lie below a root directory of their own, where
// identity and addresses are given and nothing outside the root is touched.
func (p Paths) Own() bool { return p.Root != "" }
