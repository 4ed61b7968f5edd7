package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"iwx/lib/cluster"
)

// Nodes fetch backups at about the same time, and the manager has a queue to
// serve besides.
const maxTransfers = 4

// backups sends a member one of the manager's backups, as it is. Of more members
// than maxTransfers, some wait for their turn.
func (s *Server) backups() http.Handler {
	turns := make(chan struct{}, maxTransfers)
	return s.verified(func(w http.ResponseWriter, r *http.Request, node string) {
		select {
		case turns <- struct{}{}:
			defer func() { <-turns }()
		case <-r.Context().Done():
			panic(http.ErrAbortHandler) // nobody is there to be answered
		}
		f, size, err := s.Rules.Backup(r.Context(), node, r.PathValue("name"))
		if err != nil {
			s.refuseError(w, r, err)
			return
		}
		defer f.Close()
		s.transfer(w, f, size)
	})
}

// transfer sends size bytes of the file. One that is cut off is too short by what
// the header says, and the node asks again.
func (s *Server) transfer(w http.ResponseWriter, f *os.File, size int64) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	if _, err := io.CopyN(s.paced(w, nil), f, size); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// Backup writes one of the manager's backups to w. What was written on an error
// is a part of it.
func (c *Client) Backup(ctx context.Context, name string, w io.Writer) error {
	response, err := c.send(ctx, backupWait, http.MethodGet, cluster.PathBackup+url.PathEscape(name), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	in := &input{Reader: response.Body}
	_, err = io.Copy(w, in)
	if in.failed != nil {
		return c.unreachable(response.Request.Context(), in.failed)
	}
	return err
}

// input tells an error of the network from one of where it is written to.
type input struct {
	io.Reader
	failed error
}

func (in *input) Read(p []byte) (int, error) {
	n, err := in.Reader.Read(p)
	if err != nil && err != io.EOF {
		in.failed = err
	}
	return n, err
}
