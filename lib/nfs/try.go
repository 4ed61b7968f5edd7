package nfs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"iwx/lib/panics"
)

// TryLimit is how long a test mount may take.
const TryLimit = 8 * time.Second

// tryOptions are those of a test mount: the version that is needed, read-only,
// and giving up instead of waiting. Units are tenths of a second and minutes,
// nfs(5).
const tryOptions = "nfsvers=4.2,ro,nosuid,nodev,noexec,soft,timeo=20,retrans=2,retry=0"

// Try mounts a source on a new directory below dir and takes it off again; the
// error is in the words of mount.nfs(8). A server that does not answer is told
// within TryLimit. Repeating it is safe.
func Try(ctx context.Context, command Command, dir, source string) error {
	ctx, cancel := context.WithTimeout(ctx, TryLimit)
	defer cancel()
	if err := Answers(ctx, source); err != nil {
		return err
	}
	at, err := os.MkdirTemp(dir, "iwx-mount-")
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- panics.Catch(func() error { return tryAt(ctx, command, source, at) }) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done(): // the mount command may not even be killable
		return fmt.Errorf("%s does not answer within %s", source, TryLimit)
	}
}

// tryAt does it, and leaves nothing behind.
func tryAt(ctx context.Context, command Command, source, at string) error {
	_, err := command(ctx, "mount", "-t", "nfs", "-o", tryOptions, source, at)
	if err != nil {
		err = withStderr(err)
	} else {
		// Also when time is up: it must not stay.
		_, err = command(context.WithoutCancel(ctx), "umount", "--lazy", "--no-canonicalize", at)
	}
	return errors.Join(err, os.Remove(at))
}

// Answers tells whether something listens where the server of the source should.
func Answers(ctx context.Context, source string) error {
	ctx, cancel := context.WithTimeout(ctx, TryLimit/2)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", Endpoint(source))
	if err != nil {
		return fmt.Errorf("the NFS server does not answer: %w", err)
	}
	return conn.Close()
}
