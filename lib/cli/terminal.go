package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"iwx/lib/fault"
	"iwx/lib/input"
)

// Level says how a word on the terminal is coloured.
type Level int

// The levels, and their colours.
const (
	Plain Level = iota
	Good        // green
	Warn        // yellow
	Bad         // red
)

// IsTerminal reports whether a stream of the tool is a terminal.
func (c *Context) IsTerminal(stream any) bool {
	_, ok := terminal(stream)
	return ok
}

// terminal returns the descriptor of a stream that is a terminal.
func terminal(stream any) (fd int, ok bool) {
	for {
		s, isShared := stream.(*shared)
		if !isShared {
			break
		}
		stream = s.w
	}
	if f, isFrame := stream.(*frame); isFrame {
		stream = f.screen
	}
	if r, isRecorder := stream.(*recorder); isRecorder {
		stream = r.w
	}
	if s, isStream := stream.(*input.Stream); isStream {
		stream = s.Source()
	}
	f, isFile := stream.(*os.File)
	if !isFile || f == nil {
		return 0, false
	}
	return int(f.Fd()), term.IsTerminal(int(f.Fd()))
}

// Width is the number of columns of the terminal on standard output, 0 where
// there is none.
func (c *Context) Width() int {
	fd, ok := terminal(c.Stdout)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(fd)
	if err != nil {
		return 0
	}
	return width
}

// Paint colours text for standard output, if that is a terminal and NO_COLOR
// (no-color.org) is not set.
func (c *Context) Paint(level Level, text string) string {
	if level == Plain || !c.colours() {
		return text
	}
	colour := map[Level]string{Good: "32", Warn: "33", Bad: "31"}[level]
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (c *Context) colours() bool {
	return c.IsTerminal(c.Stdout) && c.Getenv("NO_COLOR") == "" && c.Getenv("TERM") != "dumb"
}

// Confirm asks a yes-or-no question that ends with a question mark, such as
// "delete node web2?". It returns nil when the answer is yes, or yes is set. On
// a terminal it blocks for the answer; without one the error says to add --yes.
func (c *Context) Confirm(yes bool, format string, args ...any) error {
	if yes {
		return nil
	}
	question := fmt.Sprintf(format, args...)
	if !c.IsTerminal(c.Stdin) || !c.IsTerminal(c.Stderr) {
		return fault.Hint(fault.New(fault.Usage, "%s there is no terminal to ask on", question), "add --yes if you mean it")
	}
	fmt.Fprintf(c.Stderr, "%s [y/N] ", question)
	answer, err := c.readAnswer()
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return fault.New(fault.Failed, "not confirmed, nothing changed")
}

// Secret asks for a line that is not shown while it is typed. It blocks; the
// error without a terminal is wrong usage, and the caller knows the hint.
func (c *Context) Secret(prompt string) (string, error) {
	fd, ok := terminal(c.Stdin)
	if !ok {
		return "", fault.New(fault.Usage, "%s: there is no terminal to ask on", prompt)
	}
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	// After a signal the reading goroutine is left behind with echo off.
	defer term.Restore(fd, before)
	if err := echoOff(fd); err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	fmt.Fprintf(c.Stderr, "%s: ", prompt)
	defer fmt.Fprintln(c.Stderr)
	line, err := c.readAnswer()
	return strings.TrimRight(line, "\r\n"), err
}

// echoOff does what term.ReadPassword does, which however reads on after ^D.
func echoOff(fd int) error {
	state, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	state.Lflag = state.Lflag&^unix.ECHO | unix.ICANON | unix.ISIG
	state.Iflag |= unix.ICRNL
	return unix.IoctlSetTermios(fd, unix.TCSETS, state)
}

// readAnswer reads a line. ^D ends it too.
func (c *Context) readAnswer() (string, error) {
	return c.readLine(func() (string, error) {
		line, err := bufio.NewReader(c.Stdin).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return line, err
	})
}

// readLine waits for read or for a signal.
func (c *Context) readLine(read func() (string, error)) (string, error) {
	line, err := input.Wait(c, read)
	if err != nil && c.Err() != nil {
		fmt.Fprintln(c.Stderr)
	}
	return line, err
}

// Progress shows lines on the terminal that change in place. Without a
// terminal on standard error it shows nothing.
type Progress struct {
	w     io.Writer // nil: not shown
	fd    int
	lines int // lines on the screen that are ours
}

// Progress starts a display on standard error; the caller ends it with Clear.
func (c *Context) Progress() *Progress {
	fd, ok := terminal(c.Stderr)
	if !ok || c.Getenv("TERM") == "dumb" {
		return &Progress{}
	}
	return &Progress{w: c.Stderr, fd: fd}
}

// Shown reports whether there is a terminal to see the display; a caller can
// save itself the work of composing lines.
func (p *Progress) Shown() bool { return p.w != nil }

// Show replaces the lines on display. Lines that are wider than the terminal
// are cut, and so are more lines than fit on it.
func (p *Progress) Show(lines ...string) {
	if p.w == nil {
		return
	}
	width, height, err := term.GetSize(p.fd)
	if err != nil || width < 2 || height < 2 {
		width, height = 80, 24
	}
	var b strings.Builder
	p.erase(&b)
	lines = lines[:min(len(lines), height-1)]
	for _, line := range lines {
		b.WriteString(cut(printable(line), width-1) + "\n")
	}
	p.lines = len(lines)
	io.WriteString(p.w, b.String())
}

// Clear takes the display off the screen.
func (p *Progress) Clear() {
	if p.w == nil {
		return
	}
	var b strings.Builder
	p.erase(&b)
	p.lines = 0
	io.WriteString(p.w, b.String())
}

// erase moves to the first line of the display and clears to the end of the
// screen (ECMA-48 CPL and ED).
func (p *Progress) erase(b *strings.Builder) {
	if p.lines > 0 {
		fmt.Fprintf(b, "\x1b[%dF\x1b[J", p.lines)
	}
}
