package api

import (
	"context"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A body may take any time while it makes progress: leastBytes in each progressWait,
// which is 17 kbit/s. A slower peer is cut off: it must not hold a connection forever.
const (
	progressWait = 30 * time.Second
	leastBytes   = 64 << 10

	// writeChunk is the size of one write. It is small, so that a slow peer that
	// reads its answer shows progress every few seconds.
	writeChunk = 16 << 10
)

// pace renews the deadline of a transfer while bytes move.
type pace struct {
	renew func() error // sets the deadline to progressWait from now
	heard func()       // called for each transfer after the first leastBytes; may be nil
	moved int64        // bytes
	due   int64        // the value of moved at which to renew the deadline
}

// before renews the deadline if enough has moved since it was last renewed.
func (p *pace) before() error {
	if p.moved < p.due {
		return nil
	}
	p.due = p.moved + leastBytes
	return p.renew()
}

// after counts n bytes that have moved. The first leastBytes do not prove that the peer
// is alive: this server's kernel buffers them even if the peer is dead.
func (p *pace) after(n int) {
	p.moved += int64(n)
	if p.heard != nil && n > 0 && p.moved > leastBytes {
		p.heard()
	}
}

// pacedReader reads a body with a deadline on progress.
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

// pacedWriter writes a body with a deadline on progress.
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

// patience ends a client's request that makes no progress.
type patience struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

// newPatience returns a context that ends after wait, with os.ErrDeadlineExceeded as its
// cause, unless allow extends it.
func newPatience(ctx context.Context, wait time.Duration) (context.Context, *patience) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(wait, func() { cancel(os.ErrDeadlineExceeded) })
	return ctx, &patience{timer: timer, cancel: cancel}
}

// allow gives the peer that long from now on.
func (p *patience) allow(wait time.Duration) { p.timer.Reset(wait) }

// end stops the timer and ends the context.
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

// lowWater limits the unsent data in the kernel's buffer, see TCP_NOTSENT_LOWAT in
// tcp(7). Without a limit the buffer holds megabytes, and the writer does not notice
// whether the peer reads anything.
const lowWater = 16 << 10

// keepShort limits the unsent data of a TCP connection to lowWater. It ignores other
// connections.
func keepShort(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		// If this fails, a peer that stopped reading a large answer is noticed later.
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, lowWater)
		})
	}
}
