// Package daemon is what a long-running tool of the suite needs of the system
// around it: reloads, readiness and watchdog of systemd, one instance per
// server, the socket that wakes it, and its log.
//
// A daemon here stays in the foreground and logs to stderr. It is a group of
// members that live and end together; Run holds them. Everything works without
// systemd too, where the notifications go nowhere.
//
// The protocols are those of sd_notify(3), sd_watchdog_enabled(3) and
// sd-daemon(3). The package is the only importer of go-systemd's daemon half.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"iwx/lib/conf"
	"iwx/lib/fault"
	"iwx/lib/panics"
)

// Member is one of the activities that make up a daemon.
type Member struct {
	Name string // for errors: "api", "replay"

	// Run works until ctx is done. An error that is not ctx's own ends the
	// whole daemon; nil ends only this member.
	Run func(ctx context.Context) error
}

// Run runs the members and waits for all of them. The first that fails cancels
// the others. The service manager is told as soon as the end begins, and has been
// told when Run returns. It returns the failures, each with its member's name, or
// nil when the members ended by themselves or with ctx.
//
// A member that panics has failed: its data may be in any state, and a new run of the
// daemon starts from scratch. No failure has the exit code of wrong usage or
// configuration: the daemon had started with its configuration, and needs a restart.
func Run(ctx context.Context, log *slog.Logger, members ...Member) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, m := range members {
		all.Go(func() {
			err := panics.Try(log, "member "+m.Name+" of the daemon", func() error { return m.Run(ctx) })
			if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, heals(fmt.Errorf("%s: %w", m.Name, err)))
			cancel()
		})
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		<-ctx.Done()
		stopping()
	}()
	all.Wait()
	cancel()
	<-told
	return errors.Join(errs...)
}

// Startable returns the error that keeps a daemon from starting, with the exit
// code that says whether a restart may help. The code is [fault.Config] for a
// fault in the settings, which stays until somebody edits them, and never
// [fault.Usage]. nil stays nil.
func Startable(err error) error {
	var faults conf.Faults
	if errors.As(err, &faults) {
		return fault.WithCode(err, fault.Config)
	}
	return heals(err)
}

// heals removes the exit code of wrong usage from an error.
func heals(err error) error {
	if fault.CodeOf(err) == fault.Usage {
		return fault.WithCode(err, fault.Failed)
	}
	return err
}

// Reloader returns a member that calls reload on each SIGHUP, one at a time. The
// signal is caught from this call on, not only once the member runs, since its
// default effect ends the process. An error of reload is logged: the daemon goes
// on with the settings it has.
func Reloader(log *slog.Logger, reload func(ctx context.Context) error) Member {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return Member{Name: "reload", Run: func(ctx context.Context) error {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-signals:
			}
			Reloading()
			err := panics.Try(log, "reload of the settings", func() error { return reload(ctx) })
			if err != nil {
				log.Error("settings not reloaded, the old ones stay", "error", err)
			} else {
				log.Info("settings reloaded")
			}
			Ready()
		}
	}}
}
