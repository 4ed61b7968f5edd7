package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/conf"
	"iwx/lib/fault"
	"iwx/lib/testenv"
)

// TestMain lets the tests run a small daemon as a process of its own.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SAMPLE_DAEMON"); dir != "" {
		os.Exit(sampleDaemon(dir))
	}
	os.Exit(m.Run())
}

// sampleDaemon has a lock, a wake socket, a reload that fails every second time
// and a worker, which gets stuck when it is told to.
func sampleDaemon(dir string) int {
	log := NewLogger(os.Stderr, slog.LevelInfo, os.Getenv)
	lock, err := Lock(filepath.Join(dir, "lock"), "sample")
	if err != nil {
		log.Error("not started", "error", err)
		return 4
	}
	defer lock.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	reloads := 0
	reloader := Reloader(log, func(context.Context) error {
		if reloads++; reloads%2 == 0 {
			return errors.New("bad settings")
		}
		return nil
	})
	dog := NewWatchdog(log, time.Now)
	err = Run(ctx, log, reloader, dog.Member(), Member{"work", func(ctx context.Context) error {
		Status("at work\nREADY=0")
		Ready()
		<-ctx.Done()
		return ctx.Err()
	}})
	if err != nil {
		log.Error("failed", "error", err)
		return 1
	}
	return 0
}

// process is a sample daemon, and the service manager it reports to.
type process struct {
	*exec.Cmd
	notify *net.UnixConn
	stderr *bufio.Reader
}

func startDaemon(t *testing.T, dir string, env ...string) *process {
	t.Helper()
	address := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	// Built with the race detector, a process sleeps for a second at its end.
	cmd.Env = append(os.Environ(), "SAMPLE_DAEMON="+dir, "NOTIFY_SOCKET="+address, "GORACE=atexit_sleep_ms=0")
	cmd.Env = append(cmd.Env, env...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{cmd, conn, bufio.NewReader(stderr)}
}

// expect reads notifications until the wanted one, past those of the watchdog.
func (p *process) expect(t *testing.T, want string) {
	t.Helper()
	p.notify.SetReadDeadline(time.Now().Add(testenv.Wait()))
	buf := make([]byte, 1024)
	for {
		n, err := p.notify.Read(buf)
		if err != nil {
			t.Fatalf("waiting for %s: %v", want, err)
		}
		got := string(buf[:n])
		if got == want {
			return
		}
		if got != "WATCHDOG=1" {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func (p *process) expectLog(t *testing.T, want string) {
	t.Helper()
	line, err := p.stderr.ReadString('\n')
	if err != nil || !strings.Contains(line, want) {
		t.Fatalf("log has %q, %v; want %q", line, err, want)
	}
}

func TestLifeOfADaemon(t *testing.T) {
	p := startDaemon(t, t.TempDir())
	p.expect(t, "STATUS=at work READY=0")
	p.expect(t, "READY=1")
	p.Process.Signal(syscall.SIGHUP)
	p.expect(t, "RELOADING=1")
	p.expect(t, "READY=1")
	p.expectLog(t, `msg="settings reloaded"`)
	p.Process.Signal(syscall.SIGHUP)
	p.expect(t, "RELOADING=1")
	p.expect(t, "READY=1")
	p.expectLog(t, `msg="settings not reloaded, the old ones stay" error="bad settings"`)
	p.Process.Signal(syscall.SIGTERM)
	p.expect(t, "STOPPING=1")
	if err := p.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestSecondDaemonIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := startDaemon(t, dir)
	first.expect(t, "STATUS=at work READY=0")
	second := startDaemon(t, dir)
	line, _ := second.stderr.ReadString('\n')
	second.Wait()
	if want := "is held by process " + itoa(first.Process.Pid); second.ProcessState.ExitCode() != 4 || !strings.Contains(line, want) {
		t.Errorf("exit code %d: %s", second.ProcessState.ExitCode(), line)
	}
	first.Process.Kill()
	first.Wait()
	third := startDaemon(t, dir)
	third.expect(t, "STATUS=at work READY=0")
	third.Process.Signal(syscall.SIGTERM)
	if err := third.Wait(); err != nil {
		t.Errorf("after a kill: %v", err)
	}
}

func TestWatchdogPings(t *testing.T) {
	p := startDaemon(t, t.TempDir(), "WATCHDOG_USEC=20000", "WATCHDOG_PID=")
	p.notify.SetReadDeadline(time.Now().Add(testenv.Wait()))
	buf := make([]byte, 1024)
	for pings := 0; pings < 3; {
		n, err := p.notify.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if string(buf[:n]) == "WATCHDOG=1" {
			pings++
		}
	}
	p.Process.Signal(syscall.SIGTERM)
	p.Wait()
}

func TestStuckWorkerStopsThePings(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", address)
	pings := func() (n int) {
		buf := make([]byte, 64)
		for {
			if _, _, err := unix.Recvfrom(fd, buf, 0); err != nil {
				return n
			}
			n++
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		dog := NewWatchdog(slog.New(slog.NewTextHandler(&log, nil)), time.Now)
		worker := dog.Worker("replay", 12*time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go dog.run(ctx, 5*time.Second)
		time.Sleep(11 * time.Second) // virtual time
		synctest.Wait()
		if n := pings(); n != 3 {
			t.Errorf("%d pings in 11 s", n)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := pings(); n != 0 || strings.Count(log.String(), "workers=replay") != 1 {
			t.Errorf("%d pings for a stuck worker; log %s", n, log.String())
		}
		worker.Alive()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := pings(); n != 1 {
			t.Errorf("%d pings after it goes on", n)
		}
		cancel()
		synctest.Wait()
	})
}

func TestFirstFailureEndsTheGroup(t *testing.T) {
	broken := errors.New("port taken")
	ended := false
	err := Run(t.Context(), slog.New(slog.DiscardHandler),
		Member{"api", func(context.Context) error { return broken }},
		Member{"replay", func(ctx context.Context) error {
			<-ctx.Done()
			ended = true
			return ctx.Err()
		}},
		Member{"journal", func(ctx context.Context) error {
			<-ctx.Done()
			return errors.New("disk full")
		}},
		Member{"brief", func(context.Context) error { return nil }},
	)
	if !ended || !errors.Is(err, broken) || err.Error() != "api: port taken\njournal: disk full" {
		t.Errorf("ended %v, error %v", ended, err)
	}
}

// TestMemberThatPanics: the others end in order, the stack is in the log, and
// with the exit code the service manager restarts the daemon.
func TestMemberThatPanics(t *testing.T) {
	for name, work := range map[string]func() int{
		"index":       func() int { return []int{}[os.Getpid()] },
		"nil pointer": func() int { var none *Watchdog; return len(none.workers) },
	} {
		var log strings.Builder
		ended := false
		err := Run(t.Context(), slog.New(slog.NewTextHandler(&log, nil)),
			Member{"replay", func(ctx context.Context) error { work(); return nil }},
			Member{"api", func(ctx context.Context) error {
				<-ctx.Done()
				ended = true
				return ctx.Err()
			}},
		)
		if !ended || err == nil || !strings.HasPrefix(err.Error(), "replay: internal error: panic: runtime error: ") || fault.CodeOf(err) != fault.Failed {
			t.Errorf("%s: ended %v, error %v, code %d", name, ended, err, fault.CodeOf(err))
		}
		for _, part := range []string{`work="member replay of the daemon"`, "daemon.TestMemberThatPanics.func"} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("%s: %q is missing in %s", name, part, log.String())
			}
		}
	}
}

// TestReloadThatPanics: the daemon goes on with its present settings.
func TestReloadThatPanics(t *testing.T) {
	var log strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	reloads := 0
	reloader := Reloader(slog.New(slog.NewTextHandler(&log, nil)), func(context.Context) error {
		if reloads++; reloads == 1 {
			syscall.Kill(os.Getpid(), syscall.SIGHUP)
			panic("no such setting")
		}
		cancel()
		return nil
	})
	syscall.Kill(os.Getpid(), syscall.SIGHUP)
	if err := Run(ctx, slog.New(slog.DiscardHandler), reloader); err != nil || reloads != 2 || !strings.Contains(log.String(), "no such setting") {
		t.Errorf("%d reloads, %v, %s", reloads, err, log.String())
	}
}

// TestExitCodes: some errors keep a daemon from being restarted. No exit code is
// 2, which is the Go runtime's.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	settings := func(text string) error {
		path := filepath.Join(dir, "iwx.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := conf.Load(t.Context(), path)
		return err
	}
	_, unreadable := conf.Load(t.Context(), dir)
	for _, tt := range []struct {
		name       string
		err        error
		tool, code fault.Code // of a tool, and of a daemon
	}{
		{"none", nil, fault.OK, fault.OK},
		{"an unknown key", settings("[queue]\nlimt = 1\n"), fault.Usage, fault.Config},
		{"a value out of range", settings("[log]\nlevel = \"loud\"\n"), fault.Usage, fault.Config},
		{"no TOML", settings("= ="), fault.Usage, fault.Config},
		{"a file that cannot be read now", unreadable, fault.Usage, fault.Failed},
		{"wrong usage of something else", fault.New(fault.Usage, "no"), fault.Usage, fault.Failed},
		{"fenced", fault.New(fault.Unhealthy, "another manager"), fault.Unhealthy, fault.Unhealthy},
		{"busy", fault.New(fault.Busy, "locked"), fault.Busy, fault.Busy},
	} {
		wrapped := tt.err
		if tt.err != nil {
			wrapped = fmt.Errorf("start: %w", tt.err)
		}
		if is, was := fault.CodeOf(Startable(wrapped)), fault.CodeOf(tt.err); is != tt.code || was != tt.tool {
			t.Errorf("%s: code %d, want %d; of a tool %d", tt.name, is, tt.code, was)
		}
		if tt.err != nil && Startable(wrapped).Error() != wrapped.Error() {
			t.Errorf("%s: %v", tt.name, Startable(wrapped))
		}
		// A daemon that has begun ends with neither.
		err := Run(t.Context(), slog.New(slog.DiscardHandler), Member{"work", func(context.Context) error { return tt.err }})
		if code := fault.CodeOf(err); code == fault.Usage || code == fault.Config || (code == fault.OK) != (tt.err == nil) {
			t.Errorf("%s: a member ends the daemon with code %d", tt.name, code)
		}
	}
}

func TestGroupEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	wait := func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	if err := Run(ctx, slog.New(slog.DiscardHandler), Member{"a", wait}, Member{"b", wait}); err != nil {
		t.Error(err)
	}
}

func TestLogForTheJournal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	info, _ := w.Stat()
	st := info.Sys().(*syscall.Stat_t)
	var level slog.LevelVar
	log := NewLogger(w, &level, func(string) string { return itoa(int(st.Dev)) + ":" + itoa(int(st.Ino)) })
	log.Debug("unseen")
	level.Set(slog.LevelDebug)
	log.Debug("seen")
	log.With("node", "web1").Info("replayed", "entry", 12)
	log.WithGroup("g").Warn("two\nlines", "time", "kept")
	log.Error("broken")
	w.Close()
	got, _ := io.ReadAll(r)
	want := "<7>msg=seen\n<6>msg=replayed node=web1 entry=12\n<4>msg=\"two\\nlines\" g.time=kept\n<3>msg=broken\n"
	if string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestLogElsewhere(t *testing.T) {
	var b strings.Builder
	NewLogger(&b, slog.LevelInfo, func(string) string { return "1:2" }).Info("up")
	if !strings.HasPrefix(b.String(), "time=") || !strings.Contains(b.String(), "level=INFO msg=up") {
		t.Error(b.String())
	}
	if level, err := ParseLevel("warn"); err != nil || level != slog.LevelWarn {
		t.Error(level, err)
	}
}
