package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/pki"
)

// Timeouts of a client, until the answer begins after the request was sent. A
// poll adds its own wait; the bodies have their own deadlines (pace).
const (
	dialWait   = 5 * time.Second
	callWait   = 20 * time.Second
	pollGrace  = 15 * time.Second
	backupWait = 10 * time.Minute // for its turn: see maxTransfers
)

// maxAnswer bounds what a client reads: a page with one entry of the largest
// size, in base64.
const maxAnswer = 16 << 20

// Client asks the manager. Its methods may be called by many goroutines.
type Client struct {
	addresses managerAddresses
	http      *http.Client
}

// NewClient returns a client of the manager at one of the addresses, which are
// tried in order, believed only when config (pki.ClientConfig) says so.
// Connections come from the local address, if it is valid.
func NewClient(managers []netip.AddrPort, local netip.Addr, config *tls.Config) *Client {
	dialer := &net.Dialer{
		// A manager that vanished from the network is noticed within half a
		// minute, also while a poll is held open.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	if local.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	c := &Client{addresses: managerAddresses{connect: dialer.DialContext, config: config}}
	c.addresses.set(managers)
	c.http = &http.Client{
		Transport: &http.Transport{
			DialTLSContext:      c.addresses.dial,
			MaxIdleConnsPerHost: 3, // the poll, the reports, the pulse
			DisableCompression:  true,
		},
		// A manager sends nobody elsewhere, and a token must not go there.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// SetManagers replaces the addresses. Connections that are open are used on.
func (c *Client) SetManagers(managers []netip.AddrPort) { c.addresses.set(managers) }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Poll asks for what follows the request's position; see cluster.Manager.Poll.
func (c *Client) Poll(ctx context.Context, req *cluster.PollRequest) (*cluster.PollAnswer, error) {
	answer := &cluster.PollAnswer{}
	wait := time.Duration(req.Wait)*time.Millisecond + pollGrace
	return answer, c.call(ctx, wait, http.MethodPost, cluster.PathPoll, req, answer)
}

// Report tells the manager what came of attempts.
func (c *Client) Report(ctx context.Context, report *cluster.Report) error {
	return c.brief(ctx, http.MethodPost, cluster.PathReport, report, nil)
}

// Pulse tells the manager what this node sees of its own services.
func (c *Client) Pulse(ctx context.Context, req *cluster.PulseRequest) error {
	return c.brief(ctx, http.MethodPost, cluster.PathPulse, req, nil)
}

// Tail sends the manager a page of this node's log.
func (c *Client) Tail(ctx context.Context, req *cluster.TailRequest) (*cluster.TailAnswer, error) {
	answer := &cluster.TailAnswer{}
	return answer, c.brief(ctx, http.MethodPost, cluster.PathTail, req, answer)
}

// Hello asks how this node stands.
func (c *Client) Hello(ctx context.Context) (*cluster.Hello, error) {
	hello := &cluster.Hello{}
	return hello, c.brief(ctx, http.MethodGet, cluster.PathHello, nil, hello)
}

// Certificate returns a certificate of a site with its key, as PEM; nil if no
// site has that one any more.
func (c *Client) Certificate(ctx context.Context, digest string) ([]byte, error) {
	answer := &cluster.SiteCertificate{}
	err := c.brief(ctx, http.MethodGet, cluster.PathSite+url.PathEscape(digest), nil, answer)
	return answer.PEM, err
}

// Join presents a token.
func (c *Client) Join(ctx context.Context, req *cluster.JoinRequest) (*cluster.JoinAnswer, error) {
	answer := &cluster.JoinAnswer{}
	return answer, c.brief(ctx, http.MethodPost, cluster.PathJoin, req, answer)
}

// Fence proves to a manager, by a page of this node's log, that another has
// taken its place.
func (c *Client) Fence(ctx context.Context, req *cluster.TailRequest) error {
	return c.brief(ctx, http.MethodPost, cluster.PathFence, req, nil)
}

// Leave tells the manager that this node leaves the cluster.
func (c *Client) Leave(ctx context.Context) error {
	return c.brief(ctx, http.MethodPost, cluster.PathLeave, struct{}{}, nil)
}

// Renew has a new certificate signed for the key that signed the request (DER).
func (c *Client) Renew(ctx context.Context, csr []byte) (*x509.Certificate, error) {
	req := &cluster.RenewRequest{CSR: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))}
	answer := &cluster.RenewAnswer{}
	if err := c.brief(ctx, http.MethodPost, cluster.PathRenew, req, answer); err != nil {
		return nil, err
	}
	return ParseCertificate(answer.Certificate)
}

// ParseCertificate reads the one certificate of a PEM text.
func ParseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the manager's answer holds no certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// FetchCA fetches the cluster's CA certificate from the manager at the address,
// whoever that is: the caller holds it against a pin. ahead is how far the
// manager's clock is ahead of this one.
func FetchCA(ctx context.Context, manager netip.AddrPort, local netip.Addr, now func() time.Time) (ca *x509.Certificate, ahead time.Duration, err error) {
	c := NewClient([]netip.AddrPort{manager}, local, pki.FetchConfig())
	defer c.Close()
	answer := &cluster.CAAnswer{}
	if err := c.brief(ctx, http.MethodGet, cluster.PathCA, nil, answer); err != nil {
		return nil, 0, err
	}
	ca, err = ParseCertificate(answer.CA)
	return ca, time.UnixMilli(answer.Time).Sub(now()), err
}

func (c *Client) brief(ctx context.Context, method, path string, req, answer any) error {
	return c.call(ctx, callWait, method, path, req, answer)
}

// call sends a request and reads the answer: into answer, or as the
// *cluster.Refusal that it returns. See send for wait.
func (c *Client) call(ctx context.Context, wait time.Duration, method, path string, req, answer any) error {
	response, err := c.send(ctx, wait, method, path, req)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	limited := io.LimitReader(response.Body, maxAnswer)
	if answer == nil {
		answer = &struct{}{} // an empty answer is none
	}
	if err := json.NewDecoder(limited).Decode(answer); err != nil {
		return c.unreachable(response.Request.Context(), fmt.Errorf("its answer: %w", err))
	}
	return nil
}

// send sends a request and returns the response, whose body the caller closes;
// what the manager refuses is the error. The answer begins within wait of the
// end of the request. The bodies may take as long as they make progress.
func (c *Client) send(ctx context.Context, wait time.Duration, method, path string, req any) (*http.Response, error) {
	var body []byte
	if req != nil {
		var err error
		if body, err = json.Marshal(req); err != nil {
			return nil, err
		}
	}
	ctx, patience := newPatience(ctx, wait)
	request, err := http.NewRequestWithContext(ctx, method, "https://manager"+path, bytes.NewReader(body))
	if err != nil {
		patience.end()
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	upload := func() (io.ReadCloser, error) {
		renew := func() error { patience.allow(max(wait, progressWait)); return nil }
		return &pacedReader{ReadCloser: io.NopCloser(bytes.NewReader(body)), pace: pace{renew: renew, due: leastBytes}}, nil
	}
	if len(body) > leastBytes {
		request.GetBody = upload // for a retry on another connection
		request.Body, _ = upload()
	}
	response, err := c.http.Do(request)
	if err != nil {
		defer patience.end()
		return nil, c.unreachable(ctx, err)
	}
	response.Body = &answerBody{patience: patience, pacedReader: pacedReader{ReadCloser: response.Body, pace: pace{
		renew: func() error { patience.allow(progressWait); return nil },
	}}}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		return nil, c.refusal(io.LimitReader(response.Body, maxAnswer), response.Status)
	}
	return response, nil
}

func (c *Client) refusal(body io.Reader, status string) error {
	refusal := &cluster.Refusal{}
	if err := json.NewDecoder(body).Decode(refusal); err != nil || refusal.Reason == "" {
		return fault.New(fault.Busy, "the server at %s is not an iwx manager: it answered %s", c.addresses.String(), status)
	}
	return fault.Hint(refusal, "%s", refusal.Hint)
}

// unreachable says in a few words why the manager could not be asked.
func (c *Client) unreachable(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, context.Canceled):
		return cause
	case cause != nil:
		err = cause
	}
	if cert := (*tls.CertificateVerificationError)(nil); errors.As(err, &cert) {
		return pki.ExplainManager(fmt.Errorf("the server at %s: %w", c.addresses.String(), cert))
	}
	return fault.Hint(
		fault.New(fault.Busy, "the manager at %s cannot be reached: %w", c.addresses.String(), reason(err)),
		"on the manager: systemctl status iwx-queued; from here: ping %s", c.addresses.all()[0].Addr())
}

// reason returns what is worth telling of an error of the network.
func reason(err error) error {
	var late net.Error
	var op *net.OpError
	var request *url.Error
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &plain):
		return errors.New("the server there does not speak TLS")
	case errors.As(err, &late) && late.Timeout():
		return errors.New("no answer in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it closed the connection")
	case errors.As(err, &op):
		return op.Err
	case errors.As(err, &request):
		return request.Err
	}
	return err
}
