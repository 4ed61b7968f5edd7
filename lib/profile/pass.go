package profile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"iwx/lib/fault"
)

// pass is one run through a document.
type pass struct {
	*Converger
	scope    scope
	version  string // of the document
	items    []Item
	begun    []Item // as the journal has them
	old      Status
	removals []Result
	results  []Result
}

// takeBack removes what is no longer desired, the last begun first.
func (p *pass) takeBack(ctx context.Context) {
	for _, item := range slices.Backward(p.begun) {
		if find(p.items, item) >= 0 || ctx.Err() != nil {
			continue
		}
		r := Result{Kind: item.Kind, Name: item.Name, Removal: true}
		if other := p.stuckBeneath(item); other != nil {
			r.Word, r.Error = WordPending, fmt.Sprintf("waits for %s, which is still to be taken back", other)
			p.note(item, true, r.Word, 0)
		} else if was := p.left(item, true); was != nil {
			r = *was
		} else {
			began := p.Now()
			r.Word, r.Error = p.remove(ctx, item)
			if ctx.Err() != nil {
				return
			}
			p.note(item, true, r.Word, p.Now().Sub(began))
		}
		if r.Word != "" {
			p.removals = append(p.removals, r)
		}
	}
}

// stuckBeneath returns what could not be taken back beneath the item's path.
func (p *pass) stuckBeneath(item Item) *Result {
	for i := range p.removals {
		if r := &p.removals[i]; beneath(r.Name, item.Name) {
			return r
		}
	}
	return nil
}

// remove takes back one item. The word is "" when that is done.
func (p *pass) remove(ctx context.Context, item Item) (word, text string) {
	applier := p.Appliers[item.Kind]
	if applier == nil {
		return WordNeedsUpgrade, unknownKind(item)
	}
	err := p.call(ctx, item, func(ctx context.Context) error { return applier.Remove(ctx, item) })
	if err == nil {
		err = p.Journal.End(ctx, item)
	}
	if err != nil {
		return WordFailed, firstLine(err)
	}
	p.Log.Info("an item of the profile is taken back", "item", item.String())
	return "", ""
}

// apply goes through what is desired, in order.
func (p *pass) apply(ctx context.Context) {
	for _, item := range p.items {
		if ctx.Err() != nil {
			return
		}
		r := Result{Kind: item.Kind, Name: item.Name, Digest: item.Digest()}
		if other := p.failedAbove(item); other != nil {
			r.Word, r.Error = WordPending, fmt.Sprintf("waits for %s", other)
			p.note(item, false, r.Word, 0)
		} else if was := p.left(item, false); was != nil {
			r = *was
		} else {
			began := p.Now()
			r.Word, r.Error = p.converge(ctx, item)
			if ctx.Err() != nil {
				return
			}
			p.note(item, false, r.Word, p.Now().Sub(began))
		}
		p.results = append(p.results, r)
	}
}

// failedAbove returns what stands in the item's way: something above it that
// is not applied, or around it that could not be taken back.
func (p *pass) failedAbove(item Item) *Result {
	for i := range p.removals {
		if r := &p.removals[i]; beneath(item.Name, r.Name) || beneath(r.Name, item.Name) {
			return r
		}
	}
	for i := range p.results {
		if r := &p.results[i]; r.Word != WordApplied && beneath(item.Name, r.Name) {
			return r
		}
	}
	return nil
}

// converge makes one item as it should be.
func (p *pass) converge(ctx context.Context, item Item) (word, text string) {
	if p.Appliers[item.Kind] == nil {
		return WordNeedsUpgrade, unknownKind(item)
	}
	change, err := p.check(ctx, item)
	if err == nil {
		err = p.begin(ctx, item)
	}
	if err == nil && change != "" {
		applier := p.Appliers[item.Kind]
		err = p.call(ctx, item, func(ctx context.Context) error { return applier.Apply(ctx, item) })
	}
	if err != nil {
		return WordFailed, firstLine(err)
	}
	if change != "" {
		p.Log.Info("an item of the profile is applied", "item", item.String(), "change", change)
	}
	return WordApplied, ""
}

// begin notes the item before anything of it is done, also where all of it was
// there: only its applier can tell whose work that is.
func (p *pass) begin(ctx context.Context, item Item) error {
	if i := find(p.begun, item); i >= 0 && p.begun[i].equal(item) {
		return nil
	}
	return p.Journal.Begin(ctx, item)
}

// end puts the results together and reports them if there is anything new.
func (p *pass) end(ctx context.Context) (Status, error) {
	s := Status{Desired: p.version, Reached: p.old.Reached, Items: append(p.results, p.removals...)}
	for i := range s.Items {
		p.date(&s.Items[i])
	}
	if s.Trouble() == nil {
		s.Reached = p.version
	}
	if s.equal(&p.old) {
		return s, nil
	}
	return s, p.Journal.Report(ctx, s)
}

// date reports since when the item has its word, and logs a word that is new.
func (p *pass) date(r *Result) {
	for i := range p.old.Items {
		if was := &p.old.Items[i]; was.item().same(r.item()) && was.Word == r.Word && was.Removal == r.Removal {
			r.Since = was.Since
			return
		}
	}
	r.Since = p.Now().UnixMilli()
	if r.Word != WordApplied {
		p.Log.Warn("an item of the profile is not as it should be", "item", r.String(), "word", r.Word, "error", r.Error, "removal", r.Removal)
	}
}

// find returns the place of the item among items, -1 for none.
func find(items []Item, item Item) int { return slices.IndexFunc(items, item.same) }

// beneath reports whether both names are paths and the first is the second, or
// below it.
func beneath(name, above string) bool {
	if !strings.HasPrefix(name, "/") || !strings.HasPrefix(above, "/") {
		return false
	}
	return name == above || strings.HasPrefix(name, strings.TrimSuffix(above, "/")+"/")
}

func unknownKind(item Item) string {
	return fmt.Sprintf("this version of iwx does not know the kind %q: it needs a newer iwx", item.Kind)
}

// maxError bounds what is reported of an error.
const maxError = 300

// firstLine is an error as it is reported.
func firstLine(err error) string {
	text, _, _ := strings.Cut(strings.TrimSpace(fault.Plain(err)), "\n")
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "…"
	}
	return text
}
