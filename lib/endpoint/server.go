package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"sync"
	"time"

	"iwx/lib/fault"
	"iwx/lib/health"
	"iwx/lib/panics"
)

// Bounds of what peers may take of the server.
const (
	maxConns  = 256
	maxHeader = 4 << 10
	readWait  = 5 * time.Second
	writeWait = 5 * time.Second
	idleWait  = time.Minute
)

// readEvery is how often the files are read again. They are small, and in
// memory.
const readEvery = time.Second

// Server answers for as long as its unit runs.
type Server struct {
	Files Files
	Probe func(ctx context.Context, t health.Target) health.Result
	Limit func(l net.Listener, conns int) net.Listener // bounds the open connections
	Now   func() time.Time
	Log   *slog.Logger
	Ready func() // called once it answers
	Alive func() // called at least every few seconds while the loop works; may be nil

	mu       sync.Mutex
	spec     Spec
	standing Standing
	checker  *health.Checker
	telling  sync.Once
}

// Run checks and answers until ctx is done, or something fails.
func (s *Server) Run(ctx context.Context) error {
	s.checker = &health.Checker{Probe: s.Probe, Now: s.Now, Log: s.Log, Changed: func(string, health.Verdict, health.Verdict) {}}
	if err := s.read(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var checking sync.WaitGroup
	var unchecked error // why nothing is checked any more: answers would be out of date
	checking.Go(func() {
		defer cancel()
		unchecked = panics.Try(s.Log, "checks of the services", func() error { return s.checker.Run(ctx) })
	})
	var err error
	for err == nil && ctx.Err() == nil {
		err = s.serve(ctx)
	}
	cancel()
	checking.Wait()
	return errors.Join(err, unchecked)
}

// serve answers at the address of the present spec, until there is another or
// ctx is done.
func (s *Server) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	at := s.view().spec.Listen
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at.String())
	if err != nil {
		return fault.Hint(fmt.Errorf("the health endpoint cannot be served: %w", err),
			"see who has the port: ss -ltnp 'sport = :%d'; another is [lb] endpoint_port in iwx.toml(5) on the manager", at.Port())
	}
	server := &http.Server{
		Handler:           panics.Handler(s.Log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.view().ServeHTTP(w, r) })),
		ReadHeaderTimeout: readWait, ReadTimeout: readWait, WriteTimeout: writeWait, IdleTimeout: idleWait, MaxHeaderBytes: maxHeader,
		ErrorLog: panics.ErrorLog(s.Log),
	}
	served := make(chan error, 1)
	go func() { served <- panics.Catch(func() error { return server.Serve(s.Limit(l, maxConns)) }) }()
	s.Log.Info("answering health checks", "address", at)
	s.telling.Do(s.Ready)
	err = s.follow(ctx, at, served)
	server.Close()
	return err
}

// follow reads the files again and again. It returns when the endpoint is to be
// elsewhere, ctx is done, or serving fails.
func (s *Server) follow(ctx context.Context, at fmt.Stringer, served <-chan error) error {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			if errors.Is(err, http.ErrServerClosed) {
				err = nil
			}
			return err
		case <-tick.C:
		}
		if err := s.read(); err != nil {
			return err
		}
		if s.Alive != nil {
			s.Alive()
		}
		if s.view().spec.Listen.String() != at.String() {
			return nil
		}
	}
}

// read takes up what the files say.
func (s *Server) read() error {
	spec, err := s.Files.Spec()
	if err != nil {
		return err
	}
	standing, err := s.Files.Standing()
	if err != nil {
		return err
	}
	s.mu.Lock()
	changed := !reflect.DeepEqual(spec, s.spec)
	s.spec, s.standing = spec, standing
	s.mu.Unlock()
	if changed {
		s.checker.Set(targets(&spec), nil)
	}
	return nil
}

// targets returns what is to be checked.
func targets(spec *Spec) []health.Target {
	var list []health.Target
	for i := range spec.Services {
		list = append(list, target(&spec.Services[i]))
	}
	return list
}

// view is what is known at this moment.
func (s *Server) view() *view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &view{spec: s.spec, standing: s.standing, verdicts: s.checker.Verdicts()}
}
