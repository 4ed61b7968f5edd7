// Package site is site accounts: a domain with its aliases, a system user whose
// uid is the same on every server, a home on the shared storage, a virtual host
// and a certificate. It is the types and the rules alone; users are made by
// package account, virtual hosts by package vhost, zones are package dns's.
package site

import "time"

// Site is one account, as it was asked for, with every value resolved.
type Site struct {
	Domain      string    `json:"domain"`                // A-labels, lower case, no final dot: RFC 5890 §2.3.2.1
	Aliases     []string  `json:"aliases,omitempty"`     // as Domain, sorted
	User        string    `json:"user"`                  // system user, and its group
	UID         uint32    `json:"uid"`                   // and gid, on every server
	Home        string    `json:"home"`                  // absolute, on the shared storage
	Root        string    `json:"root"`                  // document root, beneath Home
	Shell       string    `json:"shell"`                 // of the user, "/usr/sbin/nologin"
	Template    string    `json:"template"`              // of the virtual host, by name
	Certificate string    `json:"certificate,omitempty"` // digest of certificate and key, "" for none
	Suspended   bool      `json:"suspended,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	CreatedBy   string    `json:"created_by"`
}

// Names returns the domain and its aliases.
func (s *Site) Names() []string { return append([]string{s.Domain}, s.Aliases...) }

// Spec is what a server is to have of one site.
type Spec struct {
	Site
	VHost string `json:"vhost"`          // the virtual host's configuration, rendered on the manager
	Gone  bool   `json:"gone,omitempty"` // the user and the virtual host are to go; files are not touched
}

// Order is what iwx-site apply is given on its standard input, as JSON: sites to
// bring to the given state, in this order. It makes no choices.
type Order struct {
	WebServer string `json:"web_server"`        // apache2, httpd, nginx; "" for none
	Specs     []Spec `json:"specs"`             // one for each domain
	All       bool   `json:"all,omitempty"`     // other sites that iwx made on this server are to go
	Awaited   bool   `json:"awaited,omitempty"` // it is not done before the web server has been reloaded: somebody waits for that
}
