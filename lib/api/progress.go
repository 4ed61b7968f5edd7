package api

import (
	"context"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A body may take as long as it needs while it makes progress: leastBytes in
// each progressWait, which is 17 kbit/s. A peer that is slower is cut off, so
// that it cannot hold a connection for ever.
const (
	progressWait = 30 * time.Second
	leastBytes   = 64 << 10

	// writeChunk is what is written at a time, so that a slow peer that takes
	// its answer is heard every few seconds.
	writeChunk = 16 << 10
)

// pace renews the deadline of a transfer while bytes move.
type pace struct {
	renew func() error // the peer has progressWait from now on
	heard func()       // called as the peer takes or sends more than leastBytes; may be nil
	moved int64
	due   int64 // the deadline is renewed when so much has moved
}

// before renews the deadline where enough has moved since it was last renewed.
func (p *pace) before() error {
	if p.moved < p.due {
		return nil
	}
	p.due = p.moved + leastBytes
	return p.renew()
}

// after counts bytes that have moved. The first ones do not show that the peer
// lives: this server's kernel takes them from a writer whose peer is dead.
func (p *pace) after(n int) {
	p.moved += int64(n)
	if p.heard != nil && n > 0 && p.moved > leastBytes {
		p.heard()
	}
}

// pacedReader reads a body whose deadline is on progress.
type pacedReader struct {
	io.ReadCloser
	pace
}

// Read implements io.Reader.
func (r *pacedReader) Read(p []byte) (int, error) {
	if err := r.before(); err != nil {
		return 0, err
	}
	n, err := r.ReadCloser.Read(p)
	r.after(n)
	return n, err
}

// pacedWriter writes a body whose deadline is on progress.
type pacedWriter struct {
	io.Writer
	pace
}

// Write implements io.Writer.
func (w *pacedWriter) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		if err := w.before(); err != nil {
			return written, err
		}
		n, err := w.Writer.Write(p[:min(len(p), writeChunk)])
		w.after(n)
		written += n
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

// patience ends a request of the client that makes no progress.
type patience struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

// newPatience returns a context that ends, with os.ErrDeadlineExceeded as its
// cause, unless there is progress within wait.
func newPatience(ctx context.Context, wait time.Duration) (context.Context, *patience) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(wait, func() { cancel(os.ErrDeadlineExceeded) })
	return ctx, &patience{timer: timer, cancel: cancel}
}

// allow gives the peer so long from now on.
func (p *patience) allow(wait time.Duration) { p.timer.Reset(wait) }

// end releases what the request holds.
func (p *patience) end() {
	p.timer.Stop()
	p.cancel(context.Canceled)
}

// answerBody is the body of a response. Closing it ends the request.
type answerBody struct {
	pacedReader
	patience *patience
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	b.patience.end()
	return err
}

// lowWater is how much of what is written waits in the kernel to be sent, see
// TCP_NOTSENT_LOWAT in tcp(7). Without a bound megabytes lie there, and whoever
// writes does not see whether the peer takes anything.
const lowWater = 16 << 10

// keepShort bounds what waits in the kernel; of other connections than TCP's it
// does nothing.
func keepShort(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		// Where it fails, large answers to slow peers are noticed later.
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, lowWater)
		})
	}
}
