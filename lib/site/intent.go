package site

import "time"

// Intent is what a run of iwx-site is about to change on the manager, written
// before it does. A run that is cut short is undone by it, or finished where the
// state has it already: what the state says of a site is what the server gets,
// and a site that the state does not know is taken away.
type Intent struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Begun []Begun   `json:"begun"`
}

// Begun is one site of an intent.
type Begun struct {
	Spec    Spec    `json:"spec"`              // as it was to become
	NewHome bool    `json:"new_home"`          // there was no home: what is there is the run's
	Kept    *Kept   `json:"kept,omitempty"`    // the user was there before, and is not to go
	Instead []Aside `json:"instead,omitempty"` // files that its virtual host takes the place of
}

// Kept is what a user was before a site had it.
type Kept struct {
	Home  string `json:"home"`
	Shell string `json:"shell"`
}

// Aside is a file of a web server that is set aside: under another name, or if it
// is a link, removed.
type Aside struct {
	From string `json:"from"`           // where the server finds it
	To   string `json:"to,omitempty"`   // where it does not
	Link string `json:"link,omitempty"` // what it leads to
}
