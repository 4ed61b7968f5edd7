package state

import (
	"os"
	"sync"
	"testing"
	"time"

	"iwx/lib/queue"
)

// TestRescueNeedsNoReader: a state that lost its name is saved whatever its readers do.
func TestRescueNeedsNoReader(t *testing.T) {
	for what, read := range map[string]int{"nothing was read": 0, "one of them is busy": 1, "all are busy": maxReaders} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newManager(t)
			_, err := s.Append(t.Context(), Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: []byte("1")})
			if err != nil {
				t.Fatal(err)
			}
			var readers sync.WaitGroup
			end := make(chan struct{})
			defer readers.Wait()
			defer close(end)
			for range read {
				began := make(chan struct{})
				readers.Go(func() {
					_ = s.view(t.Context(), func(*tx) error { close(began); <-end; return nil })
				})
				<-began
			}
			if err := os.Rename(s.path, s.path+".away"); err != nil {
				t.Fatal(err)
			}
			saved := make(chan error, 1)
			var path string
			go func() {
				var err error
				path, err = s.Rescue(t.Context(), time.Unix(0, 0))
				saved <- err
			}()
			select {
			case err := <-saved:
				if err != nil {
					t.Fatal(err)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("it waits for a reader")
			}
			copied, err := Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer copied.Close()
			if head, err := copied.Head(t.Context()); err != nil || head.Seq != 1 {
				t.Errorf("saved up to entry %d, %v", head.Seq, err)
			}
		})
	}
}
