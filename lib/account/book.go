package account

import (
	"fmt"
	"path/filepath"

	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/site"
)

// Book is what the account files of a server say, read once: passwd(5),
// group(5) and shadow(5).
type Book struct {
	users, groups, shadows map[string][]string // fields by name; of two lines the first counts
	owners                 map[string][]owner  // of an id
}

// owner is a user or a group that has an id.
type owner struct{ kind, name string }

// Book reads the account files; of one that is not there it has nothing.
func (a Accounts) Book() *Book {
	b := &Book{owners: map[string][]owner{}}
	b.users, b.groups, b.shadows = b.lines(a, "passwd", "user"), b.lines(a, "group", "group"), b.lines(a, "shadow", "")
	return b
}

// lines reads one file. Its third field is an id that belongs to what kind says,
// "" for none.
func (b *Book) lines(a Accounts, file, kind string) map[string][]string {
	entries, err := host.ReadEntries(filepath.Join(a.Root, "/etc", file))
	if err != nil {
		return nil
	}
	list := map[string][]string{}
	for _, f := range entries {
		if _, has := list[f[0]]; !has {
			list[f[0]] = f
		}
		if kind != "" && len(f) >= 3 {
			b.owners[f[2]] = append(b.owners[f[2]], owner{kind, f[0]})
		}
	}
	return list
}

// Differs lists in sentences what Ensure would repair of a site's user, nil if
// nothing. The error is that of Ensure: the name or the id is somebody else's.
func (b *Book) Differs(spec *site.Spec) (what []string, err error) {
	e, err := b.look(spec)
	switch {
	case err != nil:
		return nil, err
	case !e.found:
		return []string{fmt.Sprintf("user %s is missing", spec.User)}, nil
	case e.group == "":
		what = append(what, fmt.Sprintf("group %s is missing", spec.User))
	}
	for _, d := range e.differences(spec) {
		what = append(what, "user "+spec.User+" "+d.what)
	}
	return what, nil
}

// look reads the account, and fails if it, or its id, is somebody else's.
func (b *Book) look(spec *site.Spec) (entry, error) {
	e, id := b.read(spec), fmt.Sprint(spec.UID)
	switch other := b.other(spec.User, id); {
	case e.found && (e.uid != id || e.gid != id):
		return e, foreign("user %s exists already, with id %s:%s instead of %s", spec.User, e.uid, e.gid, id)
	case e.group != "" && e.groupGID != id:
		return e, foreign("group %s exists already, with id %s instead of %s", spec.User, e.groupGID, id)
	case other != "":
		return e, foreign("id %s of user %s belongs to %s already", id, spec.User, other)
	}
	return e, nil
}

func foreign(format string, args ...any) error {
	return fault.Hint(fault.New(fault.Failed, format, args...), "rename it, or give it another id, if it is not needed as it is")
}

// read returns what the server has under the name of the spec's user.
func (b *Book) read(spec *site.Spec) (e entry) {
	if f := b.users[spec.User]; len(f) >= 7 {
		e = entry{found: true, uid: f[2], gid: f[3], home: f[5], shell: f[6]}
	}
	if f := b.shadows[spec.User]; len(f) >= 8 {
		e.expires = f[7]
	}
	if f := b.groups[spec.User]; len(f) >= 3 {
		e.group, e.groupGID = f[0], f[2]
	}
	return e
}

// byID returns the user of an id; nil if there is none.
func (b *Book) byID(uid uint32) *Account {
	id := fmt.Sprint(uid)
	for _, o := range b.owners[id] {
		if f := b.users[o.name]; o.kind == "user" && len(f) >= 7 && f[2] == id {
			e := b.read(&site.Spec{Site: site.Site{User: o.name}})
			return &Account{Name: o.name, UID: uid, Home: f[5], Shell: f[6], Expires: e.expires != "",
				Alone: f[3] == id && e.groupGID == id && b.other(o.name, id) == ""}
		}
	}
	return nil
}

// other names the user or group that has the id and not the name, "" for none.
func (b *Book) other(name, id string) string {
	for _, o := range b.owners[id] {
		if o.name != name {
			return o.kind + " " + o.name
		}
	}
	return ""
}

// difference is a flag of usermod(8) that is needed, and why.
type difference struct{ flag, value, what string }

func (e *entry) differences(spec *site.Spec) (list []difference) {
	if e.home != spec.Home {
		list = append(list, difference{"--home", spec.Home, fmt.Sprintf("has home %s instead of %s", e.home, spec.Home)})
	}
	if e.shell != spec.Shell {
		list = append(list, difference{"--shell", spec.Shell, fmt.Sprintf("has shell %s instead of %s", e.shell, spec.Shell)})
	}
	if want := expiry(spec); e.expires != want {
		what := "is not locked out, and its site is suspended"
		if !spec.Suspended {
			what = fmt.Sprintf("expires on day %s of shadow(5), and its site is not suspended", e.expires)
		}
		list = append(list, difference{"--expiredate", want, what})
	}
	return list
}
