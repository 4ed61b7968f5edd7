package queuetool

import (
	"context"
	"fmt"
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

type logVerb struct {
	Number *int `short:"n" name:"number" placeholder:"N" help:"Begin with the last so many, 0 with the first that there is. Without it 50; all with -H, -p and --json."`
	Follow bool `short:"f" help:"Go on, and print new records as they come."`
	cli.Output
}

// Examples implements cli.Exampled.
func (*logVerb) Examples() string {
	return `iwx-queue log -n 10 --follow
		iwx-queue log -n 0 --json`
}

// logged is a record of the log as it is.
type logged struct {
	op      queue.OpID
	kind    queue.Kind
	targets string
	at      time.Time
	by      string
	hash    queue.Hash
	digest  queue.Hash
	size    int
	erased  bool
	what    string
}

func logTable(whole bool) cli.Table[logged] {
	hash := queue.Hash.Short
	if whole {
		hash = queue.Hash.String
	}
	return cli.Table[logged]{Singular: "record", Plural: "records", Columns: []cli.Column[logged]{
		{Name: "seq", Value: func(l logged) any { return cli.ID(l.op.Seq) }},
		{Name: "epoch", Value: func(l logged) any { return l.op.Epoch }, Spare: true},
		{Name: "kind", Value: func(l logged) any { return l.kind.String() }},
		{Name: "for", Value: func(l logged) any { return l.targets }},
		{Name: "at", Value: func(l logged) any { return cli.Date(l.at) }},
		{Name: "by", Value: func(l logged) any { return l.by }, Spare: true},
		{Name: "hash", Value: func(l logged) any { return hash(l.hash) }, Spare: true},
		{Name: "text", Value: func(l logged) any { return l.what }, Cut: true},
		{Name: "digest", Value: func(l logged) any { return hash(l.digest) }, Detail: true},
		{Name: "bytes", Value: func(l logged) any { return cli.Bytes(l.size) }, Detail: true},
		{Name: "erased", Value: func(l logged) any { return l.erased }, Detail: true},
	}}
}

// Run prints the records in the order of the log.
func (v *logVerb) Run(c *cli.Context) error {
	if v.Number != nil && *v.Number < 0 {
		return fault.New(fault.Usage, "--number %d is not a number of records", *v.Number)
	}
	server, err := local.Open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	l := &logReader{c: c, server: server}
	if l.names, err = server.NodeNames(c); err != nil {
		return err
	}
	number := v.number()
	rows, err := l.last(number)
	if err != nil {
		return err
	}
	table := logTable(v.Output.JSON || v.Output.Exact)
	if !v.Follow {
		if err := table.Write(c, v.Output, rows); err != nil || number == 0 || len(rows) < number {
			return err
		}
		total, err := server.Store.CountEntries(c, state.EntryFilter{})
		v.Output.LeftOut(c, total-len(rows), "iwx-queue log -n 0")
		return err
	}
	feed, err := table.Feed(c, v.Output)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := feed(row); err != nil {
			return err
		}
	}
	return l.follow(feed)
}

// number returns with how many of the last records to begin, 0 for all.
func (v *logVerb) number() int {
	switch {
	case v.Number != nil:
		return *v.Number
	case v.Output.Whole():
		return 0
	}
	return 50
}

// logReader reads the log, and knows how far it is.
type logReader struct {
	c      *cli.Context
	server *local.Server
	names  map[string]string
	seq    uint64 // the last record that was read
}

// last returns the last n records, all with 0.
func (l *logReader) last(n int) ([]logged, error) {
	var rows []logged
	err := l.server.Store.Entries(l.c, state.EntryFilter{Newest: true, Limit: n}, func(r *queue.Record) error {
		l.seq = max(l.seq, r.Seq)
		rows = append(rows, l.describe(r))
		return nil
	})
	slices.Reverse(rows)
	return rows, err
}

// follow prints records as they come, until a signal ends it.
func (l *logReader) follow(feed func(logged) error) error {
	return l.server.Store.Follow(l.c, func() (bool, error) { return false, l.more(l.c, feed) })
}

func (l *logReader) more(ctx context.Context, feed func(logged) error) error {
	return l.server.Store.Entries(ctx, state.EntryFilter{After: l.seq}, func(r *queue.Record) error {
		l.seq = r.Seq
		return feed(l.describe(r))
	})
}

// describe makes a row of a record of any kind, also of one that cannot be read.
func (l *logReader) describe(r *queue.Record) logged {
	row := logged{op: r.OpID, kind: r.Kind, hash: r.Hash, digest: r.Digest, size: len(r.Body), erased: r.Erased, what: text(r.Body)}
	targets, err := queue.DecodeTargets(r.Targets)
	if err != nil {
		row.targets = "(" + err.Error() + ")"
	} else {
		row.targets = targetNames(targets, l.names)
	}
	if stub, err := queue.DecodeCommand(r.Stub); err == nil && r.Stub != nil {
		row.at, row.by = stub.QueuedAt, stub.QueuedBy
	}
	if r.Body == nil {
		return row
	}
	switch r.Kind {
	case queue.KindVoid:
		if void, err := queue.DecodeVoid(r.Body); err == nil {
			row.at, row.by, row.what = time.UnixMilli(void.At), void.Who, voidText(void)
		}
	case queue.KindEpoch:
		if epoch, err := queue.DecodeEpoch(r.Body); err == nil {
			row.at = time.UnixMilli(epoch.At)
			row.what = epochText(epoch)
		}
	default:
		if command, err := queue.DecodeCommand(r.Body); err == nil {
			row.at, row.by = command.QueuedAt, command.QueuedBy
		}
	}
	return row
}

// recordText is what a record of any kind says, on one line.
func recordText(r *queue.Record) string {
	switch r.Kind {
	case queue.KindVoid:
		if void, err := queue.DecodeVoid(r.Body); err == nil {
			return voidText(void)
		}
	case queue.KindEpoch:
		if epoch, err := queue.DecodeEpoch(r.Body); err == nil {
			return epochText(epoch)
		}
	}
	return text(r.Body)
}

func epochText(e *queue.Epoch) string {
	return fmt.Sprintf("goes on from entry %d of epoch %d: %s", e.Parent.Seq, e.Parent.Epoch, e.Reason)
}

func voidText(v *queue.Void) string {
	what := fmt.Sprintf("entry %d is %s", v.Seq, v.Disposition)
	if v.Reason != "" {
		what += ": " + v.Reason
	}
	return what
}
