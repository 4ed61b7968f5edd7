package lb

import (
	"slices"
	"strconv"
	"time"

	"iwx/lib/fault"
	"iwx/lib/health"
)

// Service is a service that has a name.
type Service struct {
	Name        string
	Port        uint16 // as the Service Name and Transport Protocol Port Number Registry has it
	Kind        health.Kind
	Persistence time.Duration // that a policy has which was given none
}

// mailbox is how long a client of a mailbox stays with one server: mail on
// shared storage wants one user on one server, or their indexes collide.
const mailbox = 5 * time.Minute

// Services returns the services that have a name, in the order of the groups.
func Services() []Service {
	return []Service{
		{"http", 80, health.HTTP, 0},
		{"https", 443, health.HTTPS, 0},
		{"smtp", 25, health.SMTP, 0},
		{"submission", 587, health.Submission, 0},
		{"submissions", 465, health.SMTPS, 0},
		{"pop3", 110, health.POP3, mailbox},
		{"pop3s", 995, health.POP3S, mailbox},
		{"imap", 143, health.IMAP, mailbox},
		{"imaps", 993, health.IMAPS, mailbox},
	}
}

// proxyPorts is how far above a service's port the one is at which a server
// expects the PROXY protocol for it: a port that does turns ordinary clients away.
const proxyPorts = 10000

// ProxyPort is the port at which a server's profile has the service expect the
// PROXY protocol; 0 for HTTP, whose requests tell the client's address themselves.
func (s Service) ProxyPort() uint16 {
	if s.Kind == health.HTTP {
		return 0
	}
	return proxyPorts + s.Port
}

// Groups returns the names of Group.
func Groups() []string { return []string{"web", "mail"} }

// Group returns the services of a group: "web" or "mail". Of another name it is
// nil.
func Group(name string) []Service {
	switch name {
	case "web":
		return Services()[:2]
	case "mail":
		return Services()[2:]
	}
	return nil
}

// Lookup returns the service of a name or a port. A port that has no name is
// the service "tcp", of which nothing more is known.
func Lookup(text string) (Service, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	isPort := err == nil && port > 0
	for _, s := range Services() {
		if s.Name == text || isPort && s.Port == uint16(port) {
			return s, nil
		}
	}
	if isPort {
		return Service{Name: "tcp", Port: uint16(port), Kind: health.TCP}, nil
	}
	return Service{}, fault.Hint(fault.New(fault.Usage, "service %q is neither a port from 1 to 65535 nor a service with a name", text),
		"%s", "the names are "+phrase(serviceNames())+"; web and mail stand for the usual ones at once")
}

// Told returns the services of a server, by its id, that a proxy connects to in
// the place of clients, so that they have to be told who those are.
func (s *Setup) Told(id string) (list []Service) {
	for _, service := range Services() {
		if slices.ContainsFunc(s.Policies, func(p Policy) bool { return p.mayUse(id) && s.tells(&p, service) }) {
			list = append(list, service)
		}
	}
	return list
}

// tells reports whether the connections of a policy are a proxy's, to a service
// at the port that is its own, or at any for HTTP. One whose servers expect the
// PROXY protocol already is somebody's own arrangement; it is ours where an
// external balancer is to use the port that the profile sets up.
func (s *Setup) tells(p *Policy, service Service) bool {
	ability, _ := AbilityOf(s.Engine)
	switch {
	case p.Service != service.Name || !s.External && ability.forwarding(p) != Proxy:
		return false
	case s.External && p.Check.Proxy:
		return p.ServerPort == service.ProxyPort()
	}
	return !p.Check.Proxy && (p.ServerPort == service.Port || service.ProxyPort() == 0)
}

// mayUse reports whether the policy may have a server answer, be it the manager
// as the fallback.
func (p *Policy) mayUse(id string) bool {
	return id == ManagerID || len(p.Only) == 0 || slices.Contains(p.Only, id)
}

func serviceNames() []string {
	var names []string
	for _, s := range Services() {
		names = append(names, s.Name)
	}
	return names
}

// phrase lists words for a sentence: "a, b and c".
func phrase(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		text := words[0]
		for _, w := range words[1 : n-1] {
			text += ", " + w
		}
		return text + " and " + words[n-1]
	}
}

// known reports whether the service of a policy is one that has a name, or
// "tcp".
func known(service string) bool {
	return service == "tcp" || slices.Contains(serviceNames(), service)
}
