package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/pki"
)

// link is a connection with a limited rate, in both directions.
type link struct {
	net.Conn
	rate int // bytes a second
}

const packet = 1448 // bytes, of an Ethernet frame

func (l *link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p[:min(len(p), packet)])
	l.take(n)
	return n, err
}

func (l *link) Write(p []byte) (written int, err error) {
	for len(p) > 0 && err == nil {
		var n int
		n, err = l.Conn.Write(p[:min(len(p), packet)])
		l.take(n)
		written, p = written+n, p[n:]
	}
	return written, err
}

func (l *link) take(n int) { time.Sleep(time.Duration(n) * time.Second / time.Duration(l.rate)) }

// carrier holds rules that send and receive large bodies.
type carrier struct {
	Rules
	answer cluster.PollAnswer
	file   string // a backup

	mu       sync.Mutex
	polls    int
	reported int // bytes of output
	tailed   int
	heardAt  time.Time
	longest  time.Duration // without a sign of life of the node
}

func (r *carrier) Poll(context.Context, string, netip.Addr, *cluster.PollRequest) (*cluster.PollAnswer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.polls++
	return &r.answer, nil
}

func (r *carrier) Report(_ context.Context, _ string, _ netip.Addr, report *cluster.Report) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range report.Attempts {
		r.reported += len(report.Attempts[i].Stdout.Head)
	}
	return nil
}

func (r *carrier) Tail(_ context.Context, _ string, _ netip.Addr, req *cluster.TailRequest) (*cluster.TailAnswer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tailed += len(req.Page[0].Body)
	return &cluster.TailAnswer{Next: 7}, nil
}

func (r *carrier) Backup(context.Context, string, string) (*os.File, int64, error) {
	f, err := os.Open(r.file)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	return f, info.Size(), err
}

func (r *carrier) Heard(string, netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.longest, r.heardAt = max(r.longest, time.Since(r.heardAt)), time.Now()
}

// onLink runs a test with a node whose link to the manager has the given rate,
// in virtual time. The test has already created the file.
func onLink(t *testing.T, rate int, rules *carrier, test func(t *testing.T, c *Client)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca, creds := authority(t)
		w := newWire()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error)
		server := &Server{Rules: rules, CA: ca.Cert, Creds: creds, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
		go func() { served <- server.Serve(ctx, w) }()
		c := wired(t, w, ca.Cert, nodeCredentials(t, ca))
		c.addresses.connect = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := w.dial(ctx, network, address)
			return &link{Conn: conn, rate: rate}, err
		}
		rules.heardAt = time.Now()
		defer func() {
			c.Close()
			stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute) // until the link is empty
		}()
		test(t, c)
	})
}

func nodeCredentials(t *testing.T, ca *pki.CA) *pki.Credentials {
	t.Helper()
	key, err := pki.NewKey()
	check(t, err)
	csr, err := pki.NewCSR(key)
	check(t, err)
	cert, err := ca.SignNode(csr, "web1", time.Now())
	check(t, err)
	return pki.NewCredentials(&tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert})
}

// megabit is 1 Mbit/s in bytes.
const megabit = 1_000_000 / 8

// silent is the time after which a node without a sign of life is unreachable.
const silent = 10 * time.Second

// TestSlowLink: large bodies arrive in both directions, at once and whole, as long
// as they make progress, and the node counts as connected all the time.
func TestSlowLink(t *testing.T) {
	for name, rate := range map[string]int{"1 Mbit/s": megabit, "128 kbit/s": megabit / 8, "32 kbit/s": megabit / 32} {
		t.Run(name, func(t *testing.T) {
			size := 8 << 20
			if rate < megabit {
				size = 1 << 20
			}
			least := time.Duration(size/rate) * time.Second // more with base64
			body := bytes.Repeat([]byte("iwx\n"), size/4)
			for what, send := range map[string]func(t *testing.T, r *carrier, c *Client){
				"answer": func(t *testing.T, r *carrier, c *Client) {
					answer, err := c.Poll(t.Context(), &cluster.PollRequest{})
					check(t, err)
					if len(answer.Page) != 1 || !bytes.Equal(answer.Page[0].Body, body) || r.polls != 1 {
						t.Errorf("%d records came, after %d polls", len(answer.Page), r.polls)
					}
				},
				"report": func(t *testing.T, r *carrier, c *Client) {
					check(t, c.Report(t.Context(), &cluster.Report{Attempts: []cluster.Attempt{{Stdout: cluster.Output{Head: body}}}}))
					if r.reported != size {
						t.Errorf("%d bytes of output were reported", r.reported)
					}
				},
				"tail": func(t *testing.T, r *carrier, c *Client) {
					answer, err := c.Tail(t.Context(), &cluster.TailRequest{Page: []cluster.Record{{Body: body}}})
					check(t, err)
					if r.tailed != size || answer.Next != 7 {
						t.Errorf("%d bytes were sent, next %d", r.tailed, answer.Next)
					}
				},
			} {
				t.Run(what, func(t *testing.T) {
					r := &carrier{answer: cluster.PollAnswer{Page: []cluster.Record{{Seq: 1, Body: body}}}}
					onLink(t, rate, r, func(t *testing.T, c *Client) {
						begun := time.Now()
						send(t, r, c)
						if took := time.Since(begun); took < least {
							t.Errorf("it took %s, the link allows for %s", took, least)
						}
						// The first bytes do not count: 32 kbit/s takes 16 s for them.
						r.mu.Lock()
						defer r.mu.Unlock()
						if last := time.Since(r.heardAt); rate > megabit/32 && max(r.longest, last) >= silent || r.longest == 0 {
							t.Errorf("no sign of life of the node for %s, and then for %s", r.longest, last)
						}
					})
				})
			}
			t.Run("backup", func(t *testing.T) {
				r := &carrier{file: filepath.Join(t.TempDir(), "backup")}
				check(t, os.WriteFile(r.file, body, 0o600))
				onLink(t, rate, r, func(t *testing.T, c *Client) {
					var got bytes.Buffer
					check(t, c.Backup(t.Context(), "backup", &got))
					if !bytes.Equal(got.Bytes(), body) {
						t.Errorf("%d bytes came", got.Len())
					}
				})
			})
		})
	}
}

// TestTrickle: a node that receives or sends too slowly is eventually cut off, and
// so is a manager by a node.
func TestTrickle(t *testing.T) {
	const rate = 1000 // bytes a second: half of the required rate
	body := make([]byte, 1<<20)
	for what, send := range map[string]func(ctx context.Context, c *Client) error{
		"answer": func(ctx context.Context, c *Client) error {
			_, err := c.Poll(ctx, &cluster.PollRequest{})
			return err
		},
		"report": func(ctx context.Context, c *Client) error {
			return c.Report(ctx, &cluster.Report{Attempts: []cluster.Attempt{{Stdout: cluster.Output{Head: body}}}})
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := &carrier{answer: cluster.PollAnswer{Page: []cluster.Record{{Seq: 1, Body: body}}}}
			onLink(t, rate, r, func(t *testing.T, c *Client) {
				begun := time.Now()
				err := send(t.Context(), c)
				if took := time.Since(begun); err == nil || took > 3*progressWait {
					t.Errorf("after %s: %v", took, err)
				}
				if r.reported > 0 {
					t.Errorf("a report of %d bytes was taken", r.reported)
				}
			})
		})
	}
}

// TestTricklingNode: the manager cuts off a node that reads its answer, or sends
// its report, a few bytes at a time.
func TestTricklingNode(t *testing.T) {
	body := make([]byte, 1<<20)
	for what, talk := range map[string]func(conn net.Conn) error{
		"reads": func(conn net.Conn) error {
			if _, err := io.WriteString(conn, "POST /v1/poll HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
				return err
			}
			for p := make([]byte, 500); ; time.Sleep(time.Second) {
				if _, err := conn.Read(p); err != nil {
					return err
				}
			}
		},
		"writes": func(conn net.Conn) error {
			head := fmt.Sprintf("POST /v1/report HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{", len(body))
			if _, err := io.WriteString(conn, head); err != nil {
				return err
			}
			go func() {
				for err := error(nil); err == nil; time.Sleep(time.Second) {
					_, err = conn.Write(bytes.Repeat([]byte(" "), 500))
				}
			}()
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				answer.Body.Close()
				err = errors.New(answer.Status)
			}
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := &carrier{answer: cluster.PollAnswer{Page: []cluster.Record{{Seq: 1, Body: body}}}}
			onLink(t, megabit, r, func(t *testing.T, c *Client) {
				conn, err := c.addresses.dial(t.Context(), "", "")
				check(t, err)
				defer conn.Close()
				begun := time.Now()
				err = talk(conn)
				if took := time.Since(begun); err == nil || took < readWait || took > 3*progressWait {
					t.Errorf("ended after %s: %v", took, err)
				}
			})
		})
	}
}
