package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// NewLogger returns the daemon's log to w, which is its stderr. Where w is the
// journal, lines have the priority that sd-daemon(3) describes in front, and no
// time, which the journal has; elsewhere they have time and level. level can be
// a *slog.LevelVar, to change with a reload.
func NewLogger(w io.Writer, level slog.Leveler, getenv func(string) string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if !inJournal(w, getenv("JOURNAL_STREAM")) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	options.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}
	out := &priorityWriter{w: w}
	return slog.New(&journalHandler{Handler: slog.NewTextHandler(out, options), out: out})
}

// ParseLevel reads the setting log.level: debug, info, warn or error.
func ParseLevel(name string) (slog.Level, error) {
	var level slog.Level
	err := level.UnmarshalText([]byte(name))
	return level, err
}

// inJournal compares w with the device and inode in JOURNAL_STREAM: the variable
// is inherited by processes whose stderr goes elsewhere (systemd.exec(5)).
func inJournal(w io.Writer, stream string) bool {
	f, ok := w.(*os.File)
	if !ok || stream == "" {
		return false
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false
	}
	return stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// journalHandler gives each record its priority.
type journalHandler struct {
	slog.Handler
	out *priorityWriter
}

// Handle writes one record, in one write.
func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.prefix = priority(r.Level)
	return h.Handler.Handle(ctx, r)
}

// WithAttrs is as slog.Handler has it.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{Handler: h.Handler.WithAttrs(attrs), out: h.out}
}

// WithGroup is as slog.Handler has it.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	return &journalHandler{Handler: h.Handler.WithGroup(name), out: h.out}
}

// priority is the level as syslog(3) has it.
func priority(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "<3>"
	case level >= slog.LevelWarn:
		return "<4>"
	case level >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}

// priorityWriter puts the priority in front of the line that the handler, which
// writes each in one piece, is about to write.
type priorityWriter struct {
	mu     sync.Mutex // held by Handle
	w      io.Writer
	prefix string
}

func (p *priorityWriter) Write(line []byte) (int, error) {
	if _, err := p.w.Write(append([]byte(p.prefix), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
