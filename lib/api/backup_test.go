package api_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"iwx/lib/backup"
	"iwx/lib/cluster"
	"iwx/lib/fault"
)

// keepBackup gives the manager a backup of that many bytes.
func (l *lab) keepBackup(size int) (name string, content []byte) {
	l.t.Helper()
	shelf := backup.Shelf{Dir: filepath.Join(l.dir, "backups"), Cluster: l.Identity.ClusterName}
	check(l.t, os.Mkdir(shelf.Dir, 0o700))
	name = shelf.Name(time.Now())
	content = bytes.Repeat([]byte("sealed. "), size/8)
	check(l.t, os.WriteFile(shelf.Path(name), content, 0o600))
	l.OpenBackup = shelf.Open
	return name, content
}

func TestBackup(t *testing.T) {
	l := serve(t)
	name, content := l.keepBackup(3 << 20)
	web1, web2 := l.join("web1"), l.join("web2")
	var all sync.WaitGroup
	for i := range 12 { // more than are sent at a time
		all.Go(func() {
			var got bytes.Buffer
			from := []*member{web1, web2}[i%2]
			if err := from.Backup(t.Context(), name, &got); err != nil || !bytes.Equal(got.Bytes(), content) {
				t.Errorf("%d bytes of %d, %v", got.Len(), len(content), err)
			}
		})
	}
	all.Wait()
}

func TestBackupRefused(t *testing.T) {
	l := serve(t)
	name, _ := l.keepBackup(8)
	web1 := l.join("web1")
	var got bytes.Buffer
	for _, bad := range []string{"nothing", "../state.db", strings.Replace(name, "shop", "else", 1)} {
		refused(t, web1.Backup(t.Context(), bad, &got), cluster.RefusedMalformed, `the manager has no backup "`+bad+`"`)
	}
	status, _ := send(t, raw(t, nil), http.MethodGet, l.url(cluster.PathBackup+name), nil)
	if status != http.StatusForbidden {
		t.Errorf("without a certificate: %d", status)
	}
	check(t, l.store.EndMembership(t.Context(), web1.answer.NodeID, cluster.Deleted, "admin", time.Now()))
	check(t, l.Refresh(t.Context()))
	var r *cluster.Refusal
	if err := web1.Backup(t.Context(), name, &got); !errors.As(err, &r) || r.Reason != cluster.RefusedDeleted {
		t.Errorf("a deleted node: %v", err)
	}
	if got.Len() != 0 {
		t.Errorf("%d bytes were sent", got.Len())
	}
}

// cutting fails after some bytes, and ends the manager.
type cutting struct {
	after int
	cut   func()
}

func (c *cutting) Write(p []byte) (int, error) {
	if c.after -= len(p); c.after < 0 {
		c.cut()
	}
	return len(p), nil
}

func TestBackupCutOff(t *testing.T) {
	l := serve(t)
	name, _ := l.keepBackup(64 << 20)
	web1 := l.join("web1")
	err := web1.Backup(t.Context(), name, &cutting{1 << 20, l.stop})
	if fault.CodeOf(err) != fault.Busy || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("%v", err)
	}
}

// A node that gives up while it waits for its turn takes none.
func TestBackupTurns(t *testing.T) {
	l := serve(t)
	name, content := l.keepBackup(8)
	web1 := l.join("web1")
	entered, release := make(chan struct{}, 16), make(chan struct{})
	open := l.OpenBackup
	l.OpenBackup = func(name string) (*os.File, int64, error) {
		entered <- struct{}{}
		<-release
		return open(name)
	}
	var sent sync.WaitGroup
	for range 4 {
		sent.Go(func() {
			if err := web1.Backup(t.Context(), name, new(bytes.Buffer)); err != nil {
				t.Error(err)
			}
		})
		<-entered
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := web1.Backup(ctx, name, new(bytes.Buffer)); err == nil {
		t.Error("five are sent at a time")
	}
	close(release)
	sent.Wait()
	var got bytes.Buffer
	if err := web1.Backup(t.Context(), name, &got); err != nil || got.Len() != len(content) {
		t.Errorf("%d bytes, %v", got.Len(), err)
	}
}

func TestCertificate(t *testing.T) {
	l := serve(t)
	l.SiteCertificate = func(_ context.Context, digest string) ([]byte, error) {
		if digest == "cafe" {
			return []byte("pem"), nil
		}
		return nil, nil
	}
	web1 := l.join("web1")
	if pem, err := web1.Certificate(t.Context(), "cafe"); err != nil || string(pem) != "pem" {
		t.Errorf("%q, %v", pem, err)
	}
	if pem, err := web1.Certificate(t.Context(), "../x"); err != nil || pem != nil {
		t.Errorf("one that no site has: %q, %v", pem, err)
	}
	status, _ := send(t, raw(t, nil), http.MethodGet, l.url(cluster.PathSite+"cafe"), nil)
	if status != http.StatusForbidden {
		t.Errorf("without a certificate of its own: %d", status)
	}
}
