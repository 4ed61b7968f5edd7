package nodestatus

import (
	"strings"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/profile"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

// Desire sets, on the manager, which version of its profile each member is to
// have by now: what it reported may be older than the settings.
func Desire(c *cli.Context, server *local.Server, nodes []cluster.Node) error {
	known, err := upkeep.Look(c, server)
	if err != nil {
		return err
	}
	documents, err := known.Documents()
	if err != nil {
		return err
	}
	for i := range nodes {
		doc, is := documents[nodes[i].ID]
		if s := nodes[i].Status.Profile; is && s != nil {
			s.Desired = doc.Version()
		}
	}
	return nil
}

// ProfileMark is how a server stands with its profile in one word, coloured;
// nil where it has none.
func ProfileMark(s profile.Status) any {
	word := s.Word()
	switch word {
	case "":
		return nil
	case profile.WordApplied:
		return cli.Mark{Text: word, Level: cli.Good}
	case profile.WordPending:
		return cli.Mark{Text: word, Level: cli.Warn}
	}
	return cli.Mark{Text: word, Level: cli.Bad}
}

// ProfileItems is a line for each item of the profile, an object in JSON.
func ProfileItems(s profile.Status, now time.Time) cli.Block {
	lines := make([]string, len(s.Items))
	objects := make([]profileItem, len(s.Items))
	for i := range s.Items {
		r := &s.Items[i]
		lines[i] = profileLine(r, now)
		objects[i] = profileItem{
			Kind: r.Kind, Name: r.Name, State: r.Word, Removal: r.Removal, Error: r.Error,
			Since: cluster.Instant(r.Since).UTC().Format(time.RFC3339),
		}
	}
	return cli.Block{Text: cli.Text(strings.Join(lines, "\n")), Value: objects}
}

// profileItem is an item of a profile in JSON, as iwx(7) describes it.
type profileItem struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	State   string `json:"state"`
	Removal bool   `json:"removal"`
	Error   string `json:"error"`
	Since   string `json:"since"`
}

// profileLine is "mount /srv/iwx: failed for 3m: no route to host".
func profileLine(r *profile.Result, now time.Time) string {
	line := r.String() + ": " + r.Word
	if r.Removal {
		line = r.String() + ": no longer wanted, and taking it back is " + r.Word
	}
	if r.Word != profile.WordApplied {
		line += " for " + cli.Age(now.Sub(cluster.Instant(r.Since)))
	}
	if r.Error != "" {
		line += ": " + r.Error
	}
	return line
}

// profileTrouble is why a server has not reached its profile, in one line; ""
// if it has, or is about to.
func profileTrouble(s profile.Status) string {
	trouble := s.Trouble()
	switch {
	case !GraveProfile(s):
		return ""
	case s.Error != "":
		return "profile: " + s.Error
	case trouble.Removal:
		return "profile: " + trouble.String() + " cannot be taken back: " + trouble.Error
	}
	return "profile: " + trouble.String() + ": " + trouble.Error
}

// GraveProfile reports whether a profile is one that somebody has to look into.
func GraveProfile(s profile.Status) bool {
	word := s.Word()
	return word == profile.WordFailed || word == profile.WordNeedsUpgrade
}
