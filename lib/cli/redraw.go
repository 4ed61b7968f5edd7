package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/term"

	"iwx/lib/fault"
	"iwx/lib/wait"
)

// frame is what a verb writes before it is put on the terminal, all at once.
type frame struct {
	bytes.Buffer
	screen io.Writer
}

// Redraw has draw write its page to the context's streams again and again, and
// shows it on the terminal in the place of the one before. A signal ends it, and
// leaves the last page; the error is that of the draw that made it. An error that was
// not reported already ends it at once.
func (c *Context) Redraw(every time.Duration, draw func() error) error {
	fd, ok := terminal(c.Stdout)
	if !ok {
		return fault.New(fault.Usage, "standard output is not a terminal, on which to show it anew")
	}
	screen, errs := c.Stdout, c.Stderr
	defer func() { c.Stdout, c.Stderr = screen, errs }()
	var shown error // the last page's
	for begin := clearScreen; ; begin = toCorner {
		page := &frame{screen: screen}
		c.Stdout, c.Stderr = page, page
		last := draw()
		if c.Err() != nil {
			return shown
		}
		if last != nil && !errors.Is(last, errSilent) {
			return last
		}
		if _, err := io.WriteString(screen, begin+page.drawn(fd)); err != nil {
			return err
		}
		shown = last
		if wait.Sleep(c, every) != nil {
			return shown
		}
	}
}

// Control functions of ECMA-48: CUP, ED and EL.
const (
	toCorner    = "\x1b[H"
	clearScreen = toCorner + "\x1b[2J"
	clearBelow  = "\x1b[J"
	clearRight  = "\x1b[K"
)

// drawn is the page over the one before, with as many lines as fit.
func (f *frame) drawn(fd int) string {
	_, height, err := term.GetSize(fd)
	if err != nil || height < 2 {
		height = 24
	}
	lines := strings.SplitAfter(f.String(), "\n")
	text := strings.Join(lines[:min(len(lines), height-1)], "")
	return strings.ReplaceAll(text, "\n", clearRight+"\n") + clearBelow
}
