package attempt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"iwx/lib/attempt/record"
	"iwx/lib/attempt/shim"
	"iwx/lib/flock"
)

// files is the directory of all attempts. What it knows holds for every runner,
// whoever starts the shim.
type files string

func openFiles(dir string) (files, error) {
	// The shim changes its working directory.
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return files(dir), os.MkdirAll(dir, 0o700)
}

func (f files) dir(id ID) string { return filepath.Join(string(f), id.String()) }

func (f files) specPath(id ID) string { return filepath.Join(f.dir(id), shim.SpecFile) }

// create makes the directory and the spec file of a new attempt and returns the
// file, locked. A directory that exists is an error.
func (f files) create(id ID, group string, spec *Spec) (*os.File, error) {
	page, err := record.EncodePage(group)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(f.dir(id), 0o700); err != nil {
		return nil, fmt.Errorf("attempt %s: %w", id, err)
	}
	file, err := f.write(id, page, spec.Encode())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("attempt %s: %w", id, err), f.remove(id))
	}
	return file, nil
}

func (f files) write(id ID, parts ...[]byte) (*os.File, error) {
	file, err := os.OpenFile(f.specPath(id), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	// New, and so the lock is free, or held for a moment by the shim of a start
	// that was withdrawn, which finds the file empty and ends.
	err = flock.Lock(file)
	for _, part := range parts {
		if err == nil {
			_, err = file.Write(part)
		}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// remove deletes what an attempt has on disk.
func (f files) remove(id ID) error { return os.RemoveAll(f.dir(id)) }

// list returns the attempts that have a directory.
func (f files) list() ([]ID, error) {
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return nil, err
	}
	var ids []ID
	for _, e := range entries {
		if id, err := ParseID(e.Name()); err == nil && e.IsDir() {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// locked reports whether the shim of an attempt lives. An attempt without files
// has none.
func (f files) locked(id ID) (bool, error) { return flock.Held(f.specPath(id)) }

// settled tells how an attempt stands and, if its shim does not live, reads its
// outputs. One that was not begun by now never will be, see claim.
func (f files) settled(id ID) (State, record.Page, Result, error) {
	page, held, err := f.claim(id)
	if err != nil {
		return 0, record.Page{}, Result{}, fmt.Errorf("attempt %s: %w", id, err)
	}
	var r Result
	state := CutShort
	switch {
	case held:
		return Alive, page, Result{}, nil
	case page.Result != nil:
		state, r = Finished, fromRecord(page.Result)
	case page.Mark != nil:
		r = Result{Outcome: Unknown, Code: -1, Error: "the command was cut short: its shim ended without a result"}
	default:
		return NeverStarted, page, Result{}, nil
	}
	sizes := [2]int64{-1, -1}
	if page.Note != nil {
		sizes, r.Note = page.Note.Sizes, line(page.Note.Text)
	}
	if r.Stdout, err = readOutput(filepath.Join(f.dir(id), shim.StdoutFile), sizes[0]); err != nil {
		return 0, page, Result{}, err
	}
	r.Stderr, err = readOutput(filepath.Join(f.dir(id), shim.StderrFile), sizes[1])
	return state, page, r, err
}

// notBegun returns the result of an attempt whose shim was started and did not begin.
// If its files were removed meanwhile, that is unknown: it may have run, or run yet.
func (f files) notBegun(id ID, why string) Result {
	if _, err := os.Lstat(f.specPath(id)); errors.Is(err, fs.ErrNotExist) {
		return Result{Outcome: Unknown, Code: -1, Error: "the files of the attempt were removed while it ran"}
	}
	return notStarted(why)
}

// claim reads the first page of an attempt's file, unless its shim holds it. One
// that has not been begun is withdrawn: a service manager that was asked to
// start it may do so yet, and the shim must then find nothing. The shim decides
// under the same lock.
func (f files) claim(id ID) (page record.Page, held bool, err error) {
	file, err := os.OpenFile(f.specPath(id), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return record.Page{}, false, nil
	}
	if err != nil {
		return record.Page{}, false, err
	}
	defer file.Close()
	err = flock.TryLock(file)
	if errors.Is(err, flock.ErrTaken) {
		return record.Page{}, true, nil
	}
	if err == nil {
		page, err = readPage(file)
	}
	if err == nil && page.Mark == nil && page.Result == nil {
		err = file.Truncate(0)
	}
	return page, false, err
}

// page reads the first page of an attempt's file, whoever holds it. An attempt
// without files has an empty one.
func (f files) page(id ID) (record.Page, error) {
	file, err := os.Open(f.specPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return record.Page{}, nil
	}
	if err != nil {
		return record.Page{}, err
	}
	defer file.Close()
	return readPage(file)
}

// Hung returns the processes of the attempt's command that should have ended
// and cannot be killed, or nil if there are none or nothing runs.
func (f files) Hung(id ID) (*Hung, error) {
	page, err := f.page(id)
	if err != nil || page.Hung == nil || page.Result != nil {
		return nil, err
	}
	h := page.Hung
	return &Hung{Since: unixMilli(h.Since), TimedOut: h.TimedOut, Processes: line(h.Text)}, nil
}

// line makes text of the shim fit for a terminal: program names may hold any
// bytes.
func line(text string) string {
	return strings.NewReplacer("\n", `\x0a`, "\t", `\x09`).Replace(Output{Head: []byte(text), Size: int64(len(text))}.String())
}

// readPage reads the page that the file begins with; one that is not even a page
// long has an empty one.
func readPage(file *os.File) (record.Page, error) {
	page := make([]byte, record.PageSize)
	n, err := file.ReadAt(page, 0)
	if err != nil && err != io.EOF {
		return record.Page{}, err
	}
	return record.DecodePage(page[:n])
}

func fromRecord(r *record.Result) Result {
	return Result{
		Outcome: r.Outcome, Code: r.Code, Signal: r.Signal, Error: r.Error,
		Started: unixMilli(r.Started), Ended: unixMilli(r.Ended),
		Duration: r.Duration, CPU: r.CPU, MaxRSS: r.MaxRSS,
	}
}

// unixMilli returns the zero time for 0.
func unixMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
