package daemon

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"iwx/lib/wait"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify sends a state to the service manager. Its errors have no reader: a
// manager that is not there must not stop the work, and one that is there times
// out by itself.
func notify(state string) { _, _ = daemon.SdNotify(false, state) }

// Ready reports that the daemon serves, after its start and after a reload.
func Ready() { notify(daemon.SdNotifyReady) }

// Reloading reports that settings are being read again; Ready follows.
func Reloading() { notify(daemon.SdNotifyReloading) }

// stopping reports that the daemon ends.
func stopping() { notify(daemon.SdNotifyStopping) }

// Status sets the line that systemctl status shows. A newline would begin the
// next assignment of the protocol and is replaced.
func Status(text string) { notify("STATUS=" + strings.ReplaceAll(text, "\n", " ")) }

// Watchdog tells the service manager that the daemon is alive, for as long as
// each of its workers is. A worker that is stuck stops it, and systemd restarts
// the daemon. The zero Watchdog is not usable.
type Watchdog struct {
	log *slog.Logger
	now func() time.Time

	mu      sync.Mutex
	workers map[*Worker]bool
}

// NewWatchdog returns a watchdog without workers.
func NewWatchdog(log *slog.Logger, now func() time.Time) *Watchdog {
	return &Watchdog{log: log, now: now, workers: map[*Worker]bool{}}
}

// Worker is a loop of the daemon that the watchdog watches.
type Worker struct {
	dog      *Watchdog
	name     string
	deadline time.Duration
	last     time.Time // guarded by dog.mu
}

// Worker registers a loop that will call Alive at least once in each deadline.
func (w *Watchdog) Worker(name string, deadline time.Duration) *Worker {
	w.mu.Lock()
	defer w.mu.Unlock()
	worker := &Worker{dog: w, name: name, deadline: deadline, last: w.now()}
	w.workers[worker] = true
	return worker
}

// Alive reports that the loop goes round. It is cheap enough for every turn.
func (w *Worker) Alive() {
	w.dog.mu.Lock()
	defer w.dog.mu.Unlock()
	w.last = w.dog.now()
}

// stuck returns the names of the workers that are past their deadline.
func (w *Watchdog) stuck() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for worker := range maps.Keys(w.workers) {
		if w.now().Sub(worker.last) > worker.deadline {
			names = append(names, worker.name)
		}
	}
	slices.Sort(names)
	return names
}

// Member returns the member that pings, twice in the interval that the service
// manager gave in the environment (WATCHDOG_USEC). Without one it only logs
// which workers are stuck, at that rate for an interval of 30 s.
func (w *Watchdog) Member() Member {
	return Member{Name: "watchdog", Run: func(ctx context.Context) error {
		interval, err := daemon.SdWatchdogEnabled(false)
		if err != nil {
			return err
		}
		if interval == 0 {
			interval = 30 * time.Second
		}
		w.run(ctx, interval/2)
		return nil
	}}
}

func (w *Watchdog) run(ctx context.Context, every time.Duration) {
	told := ""
	for {
		names := strings.Join(w.stuck(), ",")
		if names == "" {
			notify(daemon.SdNotifyWatchdog)
		} else if names != told {
			w.log.Error("a worker is stuck", "workers", names)
		}
		told = names
		if wait.Sleep(ctx, every) != nil {
			return
		}
	}
}
