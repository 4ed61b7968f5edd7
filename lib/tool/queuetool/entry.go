package queuetool

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

// entryName is what an operator calls an entry: its number in the log,
// EPOCH:SEQ, or h and a number for a held command.
type entryName struct {
	held  int64  // not 0: a held command
	seq   uint64 // else this record
	epoch uint64 // 0: whichever it is
}

func parseEntry(s string) (entryName, error) {
	if number, isHeld := strings.CutPrefix(s, "h"); isHeld {
		id, err := strconv.ParseInt(number, 10, 64)
		if err == nil && id > 0 {
			return entryName{held: id}, nil
		}
	} else if strings.Contains(s, ":") {
		op, err := queue.ParseOpID(s)
		return entryName{seq: op.Seq, epoch: op.Epoch}, err
	} else if seq, err := strconv.ParseUint(s, 10, 63); err == nil && seq > 0 {
		return entryName{seq: seq}, nil
	}
	return entryName{}, fault.Hint(
		fault.New(fault.Usage, "%q is not an entry: 42, h1 (a held command) or 1:42 (with its epoch)", s), "iwx-queue list")
}

func heldName(id int64) string { return fmt.Sprintf("h%d", id) }

// findHeld returns the held command of that number.
func findHeld(c *cli.Context, server *local.Server, id int64) (*state.Held, error) {
	helds, err := server.Store.Helds(c)
	if err != nil {
		return nil, err
	}
	for i := range helds {
		if helds[i].ID == id {
			return &helds[i], nil
		}
	}
	return nil, fault.Hint(fault.New(fault.Failed, "there is no held command %s", heldName(id)), "iwx-queue list")
}

// findRecord returns the record that is named, with its targets.
func findRecord(c *cli.Context, server *local.Server, name entryName) (*queue.Record, queue.Targets, error) {
	r, err := server.Store.Record(c, name.seq)
	if err != nil {
		return nil, queue.Targets{}, err
	}
	if name.epoch != 0 && name.epoch != r.Epoch {
		return nil, queue.Targets{}, fault.Hint(
			fault.New(fault.Failed, "entry %d is of epoch %d, not %d", r.Seq, r.Epoch, name.epoch), "iwx-queue show %s", r.OpID)
	}
	targets, err := queue.DecodeTargets(r.Targets)
	return r, targets, err
}

// findCommand is findRecord for what can be replayed.
func findCommand(c *cli.Context, server *local.Server, name entryName) (*queue.Record, queue.Targets, error) {
	r, targets, err := findRecord(c, server, name)
	if err == nil && r.Kind != queue.KindCommand {
		err = fault.Hint(fault.New(fault.Failed, "entry %d is no command: it is the log's own %s record", r.Seq, r.Kind), "iwx-queue log")
	}
	return r, targets, err
}

// text is a command on one line, from its body. A body that is not here is
// another node's, or of a sensitive command.
func text(body []byte) string {
	if body == nil {
		return "(not kept here)"
	}
	command, err := queue.DecodeCommand(body)
	if errors.Is(err, queue.ErrNewer) {
		return "(" + queue.ErrNewer.Error() + ")"
	}
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return command.String()
}
