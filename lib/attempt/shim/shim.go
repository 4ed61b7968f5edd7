// Package shim is the program iwx-attempt: it runs one command to its end and
// writes down what came of it, whatever happens to the daemon that wanted it.
//
// A shim is started in one of two ways. A daemon that is its parent hands it
// the attempt's file open and locked, as a descriptor named on the command
// line. A service manager starts it with the attempt's directory alone, and it
// locks the file itself. Either way the lock lasts exactly as long as the shim:
// the descriptor is closed in the command, and nobody else keeps one.
//
// What the command writes comes through two pipes, whose other ends only the shim
// has, and goes to two files: see output.
//
// The shim is a session leader without a terminal and a child subreaper, so
// that every process the command leaves behind becomes its child. It ends only
// when it has no child left: see prctl(2), PR_SET_CHILD_SUBREAPER.
package shim

import (
	"errors"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/attempt/process"
	"iwx/lib/attempt/record"
)

// File names in an attempt's directory.
const (
	SpecFile   = "spec"
	StdoutFile = "stdout"
	StderrFile = "stderr"
)

var outputNames = [...]string{StdoutFile, StderrFile}

// Exit codes of the shim, for a reader of the journal; what came of the command
// is in the attempt's file.
const (
	exitDone   = 0
	exitBroken = 1 // no result could be written
	exitUsage  = 2
)

// attempt is the one command of this process.
type attempt struct {
	dir     string
	file    int // the spec file, locked
	spec    *record.Spec
	outputs [2]*output // stdout and stderr
	now     func() time.Time
}

// Main runs the attempt that the command line of this process names: the
// program, the attempt's directory and, if the parent holds the lock, the number
// of the descriptor. It returns the exit code of the process, and blocks until
// the command and all that it left behind have ended.
func Main(now func() time.Time) int {
	args, err := process.Args()
	if err != nil {
		return complain(exitBroken, err)
	}
	if len(args) < 2 || len(args) > 3 {
		return complain(exitUsage, errors.New("usage: iwx-attempt DIRECTORY [LOCKED-DESCRIPTOR]"))
	}
	if err := shedSignals(args); err != nil {
		return complain(exitBroken, err)
	}
	a, err := open(args[1:])
	if err != nil {
		return complain(exitBroken, err)
	}
	a.now = now
	if err := a.run(); err != nil {
		return complain(exitBroken, err)
	}
	return exitDone
}

func complain(code int, err error) int {
	unix.Write(2, []byte("iwx-attempt: "+err.Error()+"\n"))
	return code
}

// opError is what went wrong with what, as package os would put it.
func opError(op, object string, err error) error {
	if object != "" {
		op += " " + object
	}
	return errors.New(op + ": " + err.Error())
}

// open takes hold of the attempt's file, reads it, and opens the outputs.
func open(args []string) (*attempt, error) {
	a := &attempt{dir: args[0]}
	err := a.lock(args[1:])
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(a.file)
	// Not in older kernels; nothing of ours needs it, a careless parent might.
	unix.CloseRange(3, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC)
	if err := a.read(); err != nil {
		return nil, err
	}
	for i, name := range outputNames {
		if a.outputs[i], err = openOutput(a.dir+"/"+name, a.spec); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// lock takes the descriptor that the parent locked, or opens and locks the
// file. Waiting for the lock is right: whoever looks whether an attempt is
// running holds it for a moment.
func (a *attempt) lock(inherited []string) (err error) {
	if len(inherited) > 0 {
		if a.file, err = strconv.Atoi(inherited[0]); err != nil {
			return errors.New("descriptor " + strconv.Quote(inherited[0]) + " is not a number")
		}
		return nil
	}
	path := a.dir + "/" + SpecFile
	if a.file, err = unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return opError("open", path, err)
	}
	return unix.Flock(a.file, unix.LOCK_EX)
}

// read loads the spec, and refuses an attempt that was started before: a
// command must not run twice because a service manager was too helpful.
func (a *attempt) read() error {
	var st unix.Stat_t
	if err := unix.Fstat(a.file, &st); err != nil {
		return opError("fstat", "descriptor "+strconv.Itoa(a.file), err)
	}
	b := make([]byte, st.Size)
	for n := 0; n < len(b); {
		m, err := unix.Pread(a.file, b[n:], int64(n))
		if err != nil {
			return opError("read", a.dir+"/"+SpecFile, err)
		}
		if m == 0 {
			return record.ErrTorn
		}
		n += m
	}
	page, err := record.DecodePage(b)
	if err != nil {
		return err
	}
	if page.Mark != nil || page.Result != nil {
		return errors.New(a.dir + ": this attempt was started before")
	}
	a.spec, err = record.DecodeSpec(b[min(record.PageSize, len(b)):])
	return err
}

// run marks the attempt as started, runs the command and writes the result.
func (a *attempt) run() error {
	if err := a.settle(); err != nil {
		return err
	}
	if err := a.mark(); err != nil {
		return err
	}
	started := a.now()
	child, err := a.start()
	for _, o := range a.outputs {
		o.handOver()
	}
	if err != nil {
		return a.finish(a.refused(err), "")
	}
	w := newWatch(a, child, started)
	w.run()
	return a.finish(&w.result, w.left)
}

// finish writes the outcome of the command: first the note, then the result,
// which marks the file as complete. left describes the processes that it left.
func (a *attempt) finish(r *record.Result, left string) error {
	n := record.Note{Text: left}
	for i, o := range a.outputs {
		o.flush()
		n.Sizes[i] = o.size
		if o.failure != nil {
			if n.Text != "" {
				n.Text += "; "
			}
			n.Text += "not all of its " + outputNames[i] + " could be kept: " + o.failure.Error()
		}
	}
	if n.Text != "" {
		if err := a.write(record.NoteOffset, n.Encode()); err != nil {
			return err
		}
	}
	return a.write(record.ResultOffset, r.Encode())
}

// settle turns this process into the leader and reaper of what it will start.
func (a *attempt) settle() error {
	// EPERM: a service manager made us a leader already.
	if _, err := unix.Setsid(); err != nil && err != unix.EPERM {
		return opError("setsid", "", err)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return opError("prctl", "subreaper", err)
	}
	return nil
}

func (a *attempt) mark() error {
	self, err := process.Get(unix.Getpid())
	if err != nil {
		return err
	}
	pipes := record.Pipes{a.outputs[0].inode, a.outputs[1].inode}
	if err := a.write(record.PipesOffset, pipes.Encode()); err != nil {
		return err
	}
	m := record.Mark{PID: self.PID, StartTicks: self.StartTicks}
	return a.write(record.MarkOffset, m.Encode())
}

// write puts a record into the file. There is no fsync: the page cache outlives
// every process, and what a power cut takes is told by the boot id that the
// caller's journal keeps.
func (a *attempt) write(offset int64, b []byte) error {
	n, err := unix.Pwrite(a.file, b, offset)
	if err == nil && n < len(b) {
		err = unix.ENOSPC
	}
	if err != nil {
		return opError("write", a.dir+"/"+SpecFile, err)
	}
	return nil
}

// refused is the result of a command that could not be started. The text goes
// to the command's stderr too, where a shell would have written it.
func (a *attempt) refused(err error) *record.Result {
	text := err.Error()
	a.outputs[1].add([]byte("iwx-attempt: " + text + "\n"))
	now := a.now().UnixMilli()
	return &record.Result{Outcome: record.NotStarted, Code: refusalCode(err), Error: text, Ended: now}
}
