// Package api carries the messages of package cluster over HTTPS: a server for
// the manager and a client for its nodes. TLS 1.3, JSON bodies, HTTP/1.1 (a
// node keeps up to three connections, one for the poll that is held open, two for
// the rest).
//
// It decides nothing: who is asking is read from the client certificate at
// every request, and the answer is the cluster's.
package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/panics"
	"iwx/lib/pki"
)

// Limits of what a peer may send, and of the time it may take. A stranger has
// readWait and writeWait for a whole body, a node for the start of one: see
// pace.
const (
	maxHeader    = 16 << 10
	maxStranger  = 256 << 10 // bytes of a body from a server without a certificate
	maxMember    = 16 << 20  // and from a node: a report with a lot of output
	readWait     = 15 * time.Second
	writeWait    = 30 * time.Second
	idleWait     = 3 * time.Minute
	maxOpenConns = 4096
)

// Rules is what the server hands requests to: *cluster.Manager.
type Rules interface {
	Hello(ctx context.Context, id string) (*cluster.Hello, error)
	Poll(ctx context.Context, id string, remote netip.Addr, req *cluster.PollRequest) (*cluster.PollAnswer, error)
	Tail(ctx context.Context, id string, remote netip.Addr, req *cluster.TailRequest) (*cluster.TailAnswer, error)
	Report(ctx context.Context, id string, remote netip.Addr, r *cluster.Report) error
	Hear(ctx context.Context, id string, remote netip.Addr, req *cluster.PulseRequest) error
	Join(ctx context.Context, remote netip.Addr, req *cluster.JoinRequest) (*cluster.JoinAnswer, error)
	Renew(ctx context.Context, id string, csr []byte) (*x509.Certificate, error)
	Leave(ctx context.Context, id string) error
	Fence(ctx context.Context, id string, req *cluster.TailRequest) error
	Backup(ctx context.Context, id, name string) (f *os.File, size int64, err error)
	Certificate(ctx context.Context, node, digest string) (*cluster.SiteCertificate, error)
	Heard(id string, remote netip.Addr) // a node is receiving or sending a large body
}

// Server is the manager's API.
type Server struct {
	Rules Rules
	CA    *x509.Certificate
	Creds *pki.Credentials // the manager's own certificate
	Now   func() time.Time
	Log   *slog.Logger
}

// Serve answers on the listener until ctx is done; requests that are under way
// are then cut off, since a node simply asks again. It closes the listener.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	config := pki.ServerConfig(s.Creds, s.Now)
	config.NextProtos = []string{"http/1.1"}
	server := &http.Server{
		Handler:           panics.Handler(s.Log, s.handler()),
		TLSConfig:         config,
		ReadHeaderTimeout: readWait,
		IdleTimeout:       idleWait,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // no HTTP/2
		ErrorLog:          panics.ErrorLog(s.Log),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	err := server.ServeTLS(newLimitedListener(l, maxOpenConns), "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+cluster.PathCA, s.stranger(s.ca))
	mux.Handle("POST "+cluster.PathJoin, s.stranger(s.join))
	mux.Handle("GET "+cluster.PathHello, s.member(s.hello))
	mux.Handle("POST "+cluster.PathPoll, s.member(s.poll))
	mux.Handle("POST "+cluster.PathReport, s.member(s.report))
	mux.Handle("POST "+cluster.PathPulse, s.member(s.pulse))
	mux.Handle("POST "+cluster.PathRenew, s.member(s.renew))
	mux.Handle("POST "+cluster.PathFence, s.member(s.fence))
	mux.Handle("POST "+cluster.PathTail, s.member(s.tail))
	mux.Handle("POST "+cluster.PathLeave, s.member(s.leave))
	mux.Handle("GET "+cluster.PathBackup+"{name}", s.backups())
	mux.Handle("GET "+cluster.PathSite+"{digest}", s.member(s.certificate))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		s.refuse(w, http.StatusNotFound, cluster.Refuse(cluster.RefusedMalformed, "", "there is nothing at %.80q", r.URL.Path))
	})
	return mux
}

// call is a request that has been let in.
type call struct {
	*http.Request
	node   string // id; "" for a stranger
	remote netip.Addr
	limit  http.ResponseWriter
}

// answerer answers a call with something to be sent as JSON.
type answerer func(c *call) (any, error)

// stranger lets anyone in, for one request: a connection that may idle is for
// members.
func (s *Server) stranger(answer answerer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		s.answer(w, r, "", maxStranger, answer)
	})
}

// member lets in who shows a certificate that this cluster has signed. Whether
// the node still belongs is for the cluster to say.
func (s *Server) member(answer answerer) http.Handler {
	return s.verified(func(w http.ResponseWriter, r *http.Request, node string) {
		s.answer(w, r, node, maxMember, answer)
	})
}

func (s *Server) verified(next func(w http.ResponseWriter, r *http.Request, node string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		node, err := pki.VerifyClient(s.CA, r.TLS.PeerCertificates, s.Now())
		if err != nil {
			w.Header().Set("Connection", "close")
			s.refuse(w, http.StatusForbidden, cluster.Refuse(cluster.RefusedCert, certHint(err), "%v", err))
			return
		}
		next(w, r, node)
	})
}

// certHint is what the owner of a refused certificate can do.
func certHint(err error) string {
	switch pki.ReasonOf(err) {
	case pki.Expired:
		return "join again, which keeps the node's place: on the manager iwx-node add NAME --rejoin, then here iwx-cluster-setup node"
	case pki.NotYetValid:
		return "compare the clocks of node and manager: timedatectl"
	}
	return "this server's certificate is not for this cluster: iwx-cluster-setup status"
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, node string, maxBody int64, answer answerer) {
	control := http.NewResponseController(w)
	if r.ContentLength != 0 { // without a body there is nothing to read, and a deadline would cut off a long request
		if err := control.SetReadDeadline(s.Now().Add(readWait)); err != nil {
			s.Log.Error("cannot set a read deadline", "error", err)
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	c := &call{Request: r, node: node, limit: w}
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.remote = from.Addr().Unmap()
	}
	if node != "" && r.ContentLength != 0 {
		renew := func() error { return control.SetReadDeadline(s.Now().Add(progressWait)) }
		r.Body = &pacedReader{ReadCloser: r.Body, pace: pace{renew: renew, heard: c.heard(s), due: 1}}
	}
	result, err := answer(c)
	var refusal *cluster.Refusal
	if r.Context().Err() != nil && !errors.As(err, &refusal) {
		// Nobody is there to be answered, or the daemon ends: returning would
		// send an empty 200, which says that a report was stored.
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		s.refuseError(w, r, err)
		return
	}
	if node == "" {
		s.write(w, http.StatusOK, result)
		return
	}
	s.writePaced(w, c, result)
}

// heard returns a function that records that the node is receiving or sending a
// large body.
func (c *call) heard(s *Server) func() {
	return func() { s.Rules.Heard(c.node, c.remote) }
}

// writePaced sends a node its answer, for as long as it makes progress.
func (s *Server) writePaced(w http.ResponseWriter, c *call, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		s.refuseError(w, c.Request, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(http.StatusOK)
	_, _ = s.paced(w, c.heard(s)).Write(text) // if the peer is gone, it asks again
}

// paced returns a writer of a body with a deadline on progress.
func (s *Server) paced(w http.ResponseWriter, heard func()) io.Writer {
	control := http.NewResponseController(w)
	renew := func() error { return control.SetWriteDeadline(s.Now().Add(progressWait)) }
	return &pacedWriter{Writer: w, pace: pace{renew: renew, heard: heard}}
}

// read decodes the body; what is read is bounded, and unknown fields are those
// of a newer version.
func (c *call) read(into any) error {
	err := json.NewDecoder(c.Body).Decode(into)
	if err == nil {
		_, err = io.Copy(io.Discard, c.Body)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.node != "" {
		return cluster.Refuse(cluster.RefusedFailed, "", "the request did not arrive: no progress within %s", progressWait)
	}
	if err != nil {
		return cluster.Refuse(cluster.RefusedMalformed, "", "the request cannot be read: %v", err)
	}
	// From here on the server watches the connection, to see a peer that goes
	// away while its poll is held open; that read must have no deadline.
	return http.NewResponseController(c.limit).SetReadDeadline(time.Time{})
}

func (s *Server) ca(*call) (any, error) {
	id, err := pki.ClusterID(s.CA)
	if err != nil {
		return nil, err
	}
	return &cluster.CAAnswer{ClusterID: id, CA: certificatePEM(s.CA), Time: s.Now().UnixMilli()}, nil
}

func certificatePEM(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

func (s *Server) join(c *call) (any, error) {
	var req cluster.JoinRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	return s.Rules.Join(c.Context(), c.remote, &req)
}

func (s *Server) hello(c *call) (any, error) { return s.Rules.Hello(c.Context(), c.node) }

func (s *Server) certificate(c *call) (any, error) {
	return s.Rules.Certificate(c.Context(), c.node, c.PathValue("digest"))
}

func (s *Server) poll(c *call) (any, error) {
	var req cluster.PollRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	return s.Rules.Poll(c.Context(), c.node, c.remote, &req)
}

func (s *Server) report(c *call) (any, error) {
	var report cluster.Report
	if err := c.read(&report); err != nil {
		return nil, err
	}
	return struct{}{}, s.Rules.Report(c.Context(), c.node, c.remote, &report)
}

func (s *Server) pulse(c *call) (any, error) {
	var req cluster.PulseRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	return struct{}{}, s.Rules.Hear(c.Context(), c.node, c.remote, &req)
}

func (s *Server) tail(c *call) (any, error) {
	var req cluster.TailRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	return s.Rules.Tail(c.Context(), c.node, c.remote, &req)
}

func (s *Server) renew(c *call) (any, error) {
	var req cluster.RenewRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(req.CSR))
	if block == nil {
		return nil, cluster.Refuse(cluster.RefusedMalformed, "", "the certificate request is not PEM")
	}
	cert, err := s.Rules.Renew(c.Context(), c.node, block.Bytes)
	if err != nil {
		return nil, err
	}
	return &cluster.RenewAnswer{Certificate: certificatePEM(cert)}, nil
}

func (s *Server) fence(c *call) (any, error) {
	var req cluster.TailRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	return struct{}{}, s.Rules.Fence(c.Context(), c.node, &req)
}

func (s *Server) leave(c *call) (any, error) {
	return struct{}{}, s.Rules.Leave(c.Context(), c.node)
}

// refuseError sends an error. What the cluster refuses is told as it is; what
// went wrong here is told and logged.
func (s *Server) refuseError(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *cluster.Refusal
	if !errors.As(err, &refusal) {
		s.Log.Error("a request failed", "path", r.URL.Path, "error", err)
		refusal = cluster.Refuse(cluster.RefusedFailed, fault.HintOf(err), "the manager cannot handle the request: %v", err)
	}
	s.refuse(w, statusOf(refusal.Reason), refusal)
}

func statusOf(reason string) int {
	switch reason {
	case cluster.RefusedLimit:
		return http.StatusTooManyRequests
	case cluster.RefusedMalformed:
		return http.StatusBadRequest
	case cluster.RefusedChecks, cluster.RefusedClone:
		return http.StatusConflict
	case cluster.RefusedFailed:
		return http.StatusInternalServerError
	}
	return http.StatusForbidden
}

func (s *Server) refuse(w http.ResponseWriter, status int, refusal *cluster.Refusal) {
	s.write(w, status, refusal)
}

// write answers. The deadline is for the writing alone: a poll may have been held
// open, and the deadline of an earlier request on the connection may have passed.
func (s *Server) write(w http.ResponseWriter, status int, body any) {
	if err := http.NewResponseController(w).SetWriteDeadline(s.Now().Add(writeWait)); err != nil {
		s.Log.Error("cannot set a write deadline", "error", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the peer may be gone, and asks again
}
