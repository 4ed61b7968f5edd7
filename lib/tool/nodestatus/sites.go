package nodestatus

import (
	"fmt"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/site"
)

// The words for the sites of a node.
const (
	sitesGood    = "good"
	sitesAmiss   = "amiss"   // they were changed by hand
	sitesUnknown = "unknown" // it could not look
)

// SitesMark is in one word whether a node had its sites as they were applied when
// it last looked, coloured; nil where it has none, or has not
// looked.
func SitesMark(r *site.Report) any {
	switch {
	case r == nil:
		return nil
	case r.Amiss() > 0:
		return cli.Mark{Text: sitesAmiss, Level: cli.Bad}
	case r.Error != "":
		return cli.Mark{Text: sitesUnknown, Level: cli.Bad}
	case r.Sites == 0:
		return nil
	}
	return cli.Mark{Text: sitesGood, Level: cli.Good}
}

// SitesItems is a line for each fault of the sites, an object in JSON.
func SitesItems(r *site.Report) cli.Block {
	if r == nil {
		return cli.Block{Value: []sitesItem{}}
	}
	lines := make([]string, len(r.Faults))
	objects := make([]sitesItem, len(r.Faults))
	for i := range r.Faults {
		f := &r.Faults[i]
		lines[i], objects[i] = sitesLine(f), sitesItem{Domain: f.Domain, Fault: f.What}
	}
	if r.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", r.More))
	}
	return cli.Block{Text: cli.Text(strings.Join(lines, "\n")), Value: objects}
}

// sitesItem is a fault of the sites in JSON, as iwx-node(8) describes it.
type sitesItem struct {
	Domain string `json:"domain"`
	Fault  string `json:"fault"`
}

// sitesLine is "example.org: its virtual host is missing: …".
func sitesLine(f *site.Fault) string {
	if f.Domain == "" {
		return f.What
	}
	return f.Domain + ": " + f.What
}

// GraveSites reports whether a node's sites are such that somebody has to look
// into it. Of one that is silent they are not known.
func GraveSites(n *cluster.Node) bool {
	r := n.Status.Sites
	return n.Word() != cluster.WordUnreachable && r != nil && (r.Amiss() > 0 || r.Error != "")
}

// SitesTrouble is what is wrong with a node's sites, the first of it; "" if
// nothing is.
func SitesTrouble(n *cluster.Node) string {
	r := n.Status.Sites
	switch {
	case !GraveSites(n):
		return ""
	case len(r.Faults) == 0:
		return "sites: " + r.Error
	case r.Amiss() > 1:
		return fmt.Sprintf("sites: %s (and %d more)", sitesLine(&r.Faults[0]), r.Amiss()-1)
	}
	return "sites: " + sitesLine(&r.Faults[0])
}

// sites is the word for sites that are not as they were applied, nil for others.
func (r Row) sites() any {
	if !GraveSites(&r.Node) {
		return nil
	}
	return SitesMark(r.Status.Sites)
}

// sitesVerdict names the nodes whose sites are not as they were applied.
func sitesVerdict(rows []Row) string {
	var names []string
	for i := range rows {
		if GraveSites(&rows[i].Node) {
			names = append(names, rows[i].Name)
		}
	}
	if names == nil {
		return ""
	}
	return "; sites amiss on " + cli.Some(names, 5)
}
