package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"iwx/lib/testenv"
)

// screen is the other end of a pseudo terminal, where a person sits.
type screen struct {
	*os.File
	cmd *exec.Cmd
}

// onTerminal starts the sample tool on a terminal of 40 columns.
func onTerminal(t *testing.T, env []string, args ...string) *screen {
	t.Helper()
	seat, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { seat.Close() })
	fd := int(seat.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 5, Col: 40}); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	cmd := sampleProcess(t, args...)
	cmd.Env = append(cmd.Env, "TERM=xterm", "NO_COLOR=")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &screen{seat, cmd}
}

// await reads until the text is on the screen, and returns all of it.
func (s *screen) await(t *testing.T, text string) string {
	t.Helper()
	seen := ""
	r := bufio.NewReader(s)
	for !strings.Contains(seen, text) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("screen has %q, not %q: %v", seen, text, err)
		}
		seen += string(b)
	}
	return seen
}

// rest returns what comes until the tool ends, and its exit code. (A terminal
// whose last user is gone gives EIO.)
func (s *screen) rest() (string, int) {
	text, _ := io.ReadAll(s)
	s.cmd.Wait()
	return strings.ReplaceAll(string(text), "\r\n", "\n"), s.cmd.ProcessState.ExitCode()
}

func TestConfirmOnATerminal(t *testing.T) {
	for answer, want := range map[string]int{"y\n": 0, "YES\n": 0, "n\n": 1, "\n": 1, "\x04": 1, "\x03": 130} {
		s := onTerminal(t, nil, "fail", "confirm")
		s.await(t, "delete node web2? [y/N] ")
		s.WriteString(answer)
		text, code := s.rest()
		if code != want {
			t.Errorf("%q: exit code %d: %s", answer, code, text)
		}
		if told := strings.Contains(text, "not confirmed, nothing changed"); told != (want == 1) {
			t.Errorf("%q: %s", answer, text)
		}
	}
}

func TestSecretIsNotShown(t *testing.T) {
	s := onTerminal(t, nil, "fail", "secret")
	s.await(t, "token: ")
	waitForEcho(t, s, false)
	s.WriteString("hunter2\n")
	if text, code := s.rest(); code != 0 || strings.Contains(text, "hunter2") {
		t.Errorf("exit code %d, screen %q", code, text)
	}
}

// TestSecretEndsAtEndOfFile: ^D gives no secret, or the one before it.
func TestSecretEndsAtEndOfFile(t *testing.T) {
	for _, typed := range []string{"\x04", "hunter2\x04\x04"} {
		s := onTerminal(t, nil, "fail", "secret")
		s.await(t, "token: ")
		waitForEcho(t, s, false)
		s.WriteString(typed)
		if text, code := s.rest(); code != 0 || strings.Contains(text, "hunter2") {
			t.Errorf("%q: exit code %d, screen %q", typed, code, text)
		}
		if !echo(t, s) {
			t.Errorf("%q: the terminal is left without echo", typed)
		}
	}
}

func TestSecretThatIsInterruptedGivesTheEchoBack(t *testing.T) {
	s := onTerminal(t, nil, "fail", "secret")
	s.await(t, "token: ")
	waitForEcho(t, s, false)
	s.WriteString("\x03")
	if text, code := s.rest(); code != 130 {
		t.Errorf("exit code %d, screen %q", code, text)
	}
	if !echo(t, s) {
		t.Error("the terminal is left without echo")
	}
}

func echo(t *testing.T, s *screen) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(s.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// waitForEcho waits until the tool has switched the echo.
func waitForEcho(t *testing.T, s *screen, on bool) {
	t.Helper()
	testenv.Until(t, "the echo is switched", func() bool { return echo(t, s) == on })
}

func TestTableOnATerminal(t *testing.T) {
	const (
		plainText = "NAME  STATE    POS  LAST SEEN  TOOK\nweb1  current  12   3m         3m12s\nweb2  halted   9    in 1m      250ms\n    error: E: tab\\there\\nand\\more\n      \\x1b[31m \\xff\n"
		asked     = "STATE    POS  ERROR\ncurrent  12   -\nhalted   9    E: tab\\there\\nand\\more \\x1b[31m \\xff\n"
	)
	noColours := strings.NewReplacer("\x1b[32m", "", "\x1b[31m", "", "\x1b[0m", "")
	for env, colours := range map[string]bool{"NO_COLOR=": true, "NO_COLOR=1": false, "TERM=dumb": false} {
		s := onTerminal(t, []string{env}, "list")
		text, code := s.rest()
		if code != 0 {
			t.Errorf("%s: exit code %d", env, code)
		}
		green, red := strings.Contains(text, "\x1b[32mcurrent\x1b[0m"), strings.Contains(text, "\x1b[31mhalted\x1b[0m")
		if green != colours || red != colours {
			t.Errorf("%s: green %v, red %v: %q", env, green, red, text)
		}
		check(t, env, noColours.Replace(text), plainText)
	}
	// Columns that the user chose are shown, however wide.
	text, _ := onTerminal(t, nil, "list", "-o", "state,position,error").rest()
	check(t, "-o", noColours.Replace(text), asked)
	s := onTerminal(t, nil, "list", "--empty")
	if text, _ = s.rest(); text != "no nodes\n" {
		t.Errorf("of no rows: %q", text)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	s := onTerminal(t, nil, "fail", "progress")
	text, _ := s.rest()
	want := "web1  waiting\nweb2  waiting\n" +
		"\x1b[2F\x1b[Jweb1  \\x1b[1m done\n01234567890123456789012345678901234567…\n3\n4\n" +
		"\x1b[4F\x1b[J"
	check(t, "screen", strings.ReplaceAll(text, "\n", "\n"), want)
	if code, _, stderr := runSample("fail", "progress"); code != 0 || stderr != "" {
		t.Errorf("without a terminal: %d, %q", code, stderr)
	}
}

func TestRedrawOnATerminal(t *testing.T) {
	s := onTerminal(t, nil, "fail", "redraw")
	const rest = "\x1b[K\r\n2\x1b[K\r\n3\x1b[K\r\n4\x1b[K\r\n\x1b[J"
	first := s.await(t, "\x1b[J")
	check(t, "first page", first, "\x1b[H\x1b[2J\x1b[31mpage 1\x1b[0m"+rest)
	second := s.await(t, "\x1b[J")
	check(t, "second page", second, "\x1b[H\x1b[31mpage 2\x1b[0m"+rest)
	s.WriteString("\x03")
	if text, code := s.rest(); code != 77 || strings.Contains(text, "interrupted") {
		t.Errorf("exit code %d, screen %q", code, text)
	}
	if code, _, stderr := runSample("fail", "redraw"); code != 2 || !strings.Contains(stderr, "standard output is not a terminal") {
		t.Errorf("without a terminal: %d, %q", code, stderr)
	}
}
