package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"iwx/lib/host"
	"iwx/lib/queue"
)

// Served is the file in which a manager's daemon records how far it has served
// the log. It is outside of the state: it shows readers of the state whether
// that is the state of the daemon.
type Served struct{ file *os.File }

// OpenServed opens the file for the daemon.
func OpenServed(paths host.Paths) (*Served, error) {
	f, err := os.OpenFile(paths.Served, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	return &Served{f}, err
}

// servedFormat has a fixed length, so that one write replaces the last one.
const servedFormat = "%020d %020d %x\n"

// Write records the position.
func (s *Served) Write(p queue.Position) error {
	_, err := s.file.WriteAt(fmt.Appendf(nil, servedFormat, p.Epoch, p.Seq, p.Hash[:]), 0)
	return err
}

// Close closes the file. Its content is valid while the daemon runs.
func (s *Served) Close() error { return s.file.Close() }

// ServedTo returns how far the daemon that runs on this server has served the
// log, or the zero Position if none runs or it has not begun.
func (s *Server) ServedTo() (p queue.Position, err error) {
	if !s.Queued().Runs() {
		return p, nil
	}
	f, err := os.Open(s.Served)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil // an older iwx
	}
	if err != nil {
		return p, err
	}
	defer f.Close()
	var hash []byte
	_, err = fmt.Fscanf(f, servedFormat, &p.Epoch, &p.Seq, &hash)
	if errors.Is(err, io.EOF) {
		return queue.Position{}, nil
	}
	if err != nil {
		return p, fmt.Errorf("%s: %w", s.Served, err)
	}
	copy(p.Hash[:], hash)
	return p, nil
}
