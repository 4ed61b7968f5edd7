package record

import (
	"errors"
	"time"
)

// PageSize is the size in bytes of the page that the file begins with. The
// spec follows it.
const PageSize = 4096

// Offsets of the records in the file. The place is at 0. Older versions of iwx,
// which do not know the pipes, the hung processes and the note, can still read
// the rest.
const (
	MarkOffset   = 1024
	PipesOffset  = 1280
	HungOffset   = 1536
	ResultOffset = 2048
	NoteOffset   = 3072
)

// maxText limits the free text of a record, and maxHung that of the hung
// processes, so that each fits its slot.
const (
	maxText = 900
	maxHung = 400
)

// Page is what the first page of an attempt's file tells.
type Page struct {
	Group  string  // directory of the attempt's control group, "" if it has none
	Mark   *Mark   // nil: the command was never started
	Pipes  Pipes   // zero if not started
	Hung   *Hung   // nil: no process hangs
	Result *Result // nil: no result was written, or not to its end
	Note   *Note   // nil: nothing to add to the result
}

// Mark says that the shim was about to start the command: from here on the
// command may have had effects.
type Mark struct {
	PID        int    // of the shim, and of the session it leads
	StartTicks uint64 // start time of that process, /proc/PID/stat field 22
}

// Pipes holds the inode numbers of the pipes for the command's standard output
// and standard error.
type Pipes [2]uint64

// Hung says that processes of the command should have ended but survive
// SIGKILL: they hang in the kernel, usually in a file system. The shim goes on
// waiting.
type Hung struct {
	Since    int64  // unix milliseconds: when it timed out, or when it ended
	TimedOut bool   // it timed out; else it ended and left the processes
	Text     string // the processes: "pid 7 touch cannot be killed, state D"
}

// Note holds additions to a result.
type Note struct {
	Text  string   // for people: processes that the command left running, and output that could not be kept
	Sizes [2]int64 // bytes that the command wrote to its outputs
}

// Result is what came of a command.
type Result struct {
	Outcome  Outcome
	Code     int           // exit code; 126 and 127 as in sh(1) if not started; else -1
	Signal   int           // number of the signal that ended the command, or 0
	Error    string        // why it could not be started or ended, or ""
	Started  int64         // unix milliseconds, 0 if not started
	Ended    int64         // unix milliseconds
	Duration time.Duration // from the monotonic clock
	CPU      time.Duration // user and system, the command and what it waited for
	MaxRSS   int64         // bytes, of the largest process among them
}

// Outcome is how a command ended.
type Outcome uint8

// The outcomes.
const (
	Unknown    Outcome = iota // cut short: it may have had any effect or none
	Exited                    // ended by itself, Code tells how
	Signalled                 // ended by a signal that was not the timeout's
	TimedOut                  // ended because its time was up
	NotStarted                // never ran; Error tells why
)

var outcomeNames = [...]string{"unknown", "exited", "signalled", "timed out", "not started"}

// String returns the outcome in lower case words.
func (o Outcome) String() string {
	if int(o) >= len(outcomeNames) {
		o = Unknown
	}
	return outcomeNames[o]
}

// EncodePage returns a page that holds the place of an attempt, its control
// group, and neither mark nor result.
func EncodePage(group string) ([]byte, error) {
	if len(group) > maxText {
		return nil, errors.New("control group path " + group + " is too long")
	}
	page := make([]byte, PageSize)
	copy(page, frame(kindPlace, len(group)+4, func(b []byte) []byte {
		return appendBytes(b, group)
	}))
	return page, nil
}

// DecodePage reads the page at the start of b, which may be short. Records that
// are absent or torn are left out; ErrVersion is the only error.
func DecodePage(b []byte) (Page, error) {
	var p Page
	place, err := unframe(kindPlace, slot(b, 0, MarkOffset))
	if err == nil {
		r := reader{rest: place}
		p.Group = string(r.bytes())
		err = r.done()
	}
	mark, merr := decodeMark(slot(b, MarkOffset, ResultOffset))
	result, rerr := decodeResult(slot(b, ResultOffset, PageSize))
	for _, e := range []error{err, merr, rerr} {
		if e == ErrVersion {
			return Page{}, ErrVersion
		}
	}
	p.Pipes = decodePipes(slot(b, PipesOffset, HungOffset))
	p.Hung = decodeHung(slot(b, HungOffset, ResultOffset))
	p.Note = decodeNote(slot(b, NoteOffset, PageSize))
	if err != nil {
		p.Group = ""
	}
	if merr == nil {
		p.Mark = mark
	}
	if rerr == nil {
		p.Result = result
	}
	return p, nil
}

// slot returns b[from:to] as far as b reaches.
func slot(b []byte, from, to int) []byte {
	return b[min(from, len(b)):min(to, len(b))]
}

// Encode returns the record of the mark, to be written at MarkOffset.
func (m *Mark) Encode() []byte {
	return frame(kindMark, 16, func(b []byte) []byte {
		return appendInt(appendInt(b, int64(m.PID)), int64(m.StartTicks))
	})
}

func decodeMark(b []byte) (*Mark, error) {
	payload, err := unframe(kindMark, b)
	if err != nil {
		return nil, err
	}
	r := reader{rest: payload}
	m := &Mark{PID: int(r.int64()), StartTicks: uint64(r.int64())}
	return m, r.done()
}

// Encode returns the record of the pipes, to be written at PipesOffset.
func (p Pipes) Encode() []byte {
	return frame(kindPipes, 16, func(b []byte) []byte {
		return appendInt(appendInt(b, int64(p[0])), int64(p[1]))
	})
}

func decodePipes(b []byte) Pipes {
	payload, err := unframe(kindPipes, b)
	r := reader{rest: payload}
	p := Pipes{uint64(r.int64()), uint64(r.int64())}
	if err != nil || r.done() != nil {
		return Pipes{}
	}
	return p
}

// Encode returns the record of the hung processes, to be written at HungOffset.
// It cuts the text to the size of the slot.
func (h *Hung) Encode() []byte {
	text := h.Text[:min(len(h.Text), maxHung)]
	return frame(kindHung, len(text)+16, func(b []byte) []byte {
		timedOut := byte(0)
		if h.TimedOut {
			timedOut = 1
		}
		return appendBytes(append(appendInt(b, h.Since), timedOut), text)
	})
}

func decodeHung(b []byte) *Hung {
	payload, err := unframe(kindHung, b)
	r := reader{rest: payload}
	h := &Hung{Since: r.int64(), TimedOut: r.byte() == 1, Text: string(r.bytes())}
	if err != nil || r.done() != nil {
		return nil
	}
	return h
}

// Encode returns the record of the note, to be written at NoteOffset. It cuts the
// text to the size of the slot.
func (n *Note) Encode() []byte {
	text := n.Text[:min(len(n.Text), maxText)]
	return frame(kindNote, len(text)+20, func(b []byte) []byte {
		return appendBytes(appendInt(appendInt(b, n.Sizes[0]), n.Sizes[1]), text)
	})
}

func decodeNote(b []byte) *Note {
	payload, err := unframe(kindNote, b)
	r := reader{rest: payload}
	n := &Note{Sizes: [2]int64{r.int64(), r.int64()}, Text: string(r.bytes())}
	if err != nil || r.done() != nil {
		return nil
	}
	return n
}

// Encode returns the record of the result, to be written at ResultOffset. Its
// error text is cut to what fits.
func (r *Result) Encode() []byte {
	text := r.Error[:min(len(r.Error), maxText)]
	return frame(kindResult, len(text)+64, func(b []byte) []byte {
		b = append(b, byte(r.Outcome))
		for _, v := range []int64{int64(r.Code), int64(r.Signal), r.Started, r.Ended,
			int64(r.Duration), int64(r.CPU), r.MaxRSS} {
			b = appendInt(b, v)
		}
		return appendBytes(b, text)
	})
}

func decodeResult(b []byte) (*Result, error) {
	payload, err := unframe(kindResult, b)
	if err != nil {
		return nil, err
	}
	r := reader{rest: payload}
	v := &Result{Outcome: Outcome(r.byte())}
	v.Code, v.Signal = int(r.int64()), int(r.int64())
	v.Started, v.Ended = r.int64(), r.int64()
	v.Duration, v.CPU = time.Duration(r.int64()), time.Duration(r.int64())
	v.MaxRSS = r.int64()
	v.Error = string(r.bytes())
	r.bad = r.bad || int(v.Outcome) >= len(outcomeNames)
	return v, r.done()
}
