package replay

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
)

// settleResult turns what a runner says into the attempt that is journalled and
// reported, and the outcome that the rules go by.
func settleResult(a cluster.Attempt, res attempt.Result, now time.Time) (cluster.Attempt, Outcome) {
	a.Ended = now.UnixMilli()
	if !res.Ended.IsZero() {
		a.Ended = res.Ended.UnixMilli()
	}
	a.Duration = res.Duration.Microseconds()
	a.Code, a.Error, a.Note = res.Code, res.Error, res.Note
	if res.Signal != 0 {
		a.Signal = signalName(syscall.Signal(res.Signal))
	}
	a.Stdout, a.Stderr = res.Stdout, res.Stderr
	switch {
	case res.Outcome == attempt.Unknown:
		a.Outcome = cluster.OutcomeUnknown
		return a, Unknown
	case res.Outcome == attempt.TimedOut:
		a.Outcome = cluster.OutcomeTimeout
	case res.Outcome == attempt.Exited && res.Code == 0:
		a.Outcome = cluster.OutcomeDone
		return a, Succeeded
	default:
		a.Outcome = cluster.OutcomeFailed
	}
	return a, Failed
}

// signalName returns the name that kill(1) knows, "KILL".
func signalName(sig syscall.Signal) string {
	names := map[syscall.Signal]string{
		syscall.SIGABRT: "ABRT", syscall.SIGBUS: "BUS", syscall.SIGFPE: "FPE", syscall.SIGHUP: "HUP",
		syscall.SIGILL: "ILL", syscall.SIGINT: "INT", syscall.SIGKILL: "KILL", syscall.SIGPIPE: "PIPE",
		syscall.SIGQUIT: "QUIT", syscall.SIGSEGV: "SEGV", syscall.SIGSYS: "SYS", syscall.SIGTERM: "TERM",
		syscall.SIGTRAP: "TRAP", syscall.SIGUSR1: "USR1", syscall.SIGUSR2: "USR2", syscall.SIGXCPU: "XCPU",
		syscall.SIGXFSZ: "XFSZ", syscall.SIGALRM: "ALRM",
	}
	if name := names[sig]; name != "" {
		return name
	}
	return fmt.Sprint(int(sig))
}

// Block returns what is told of an entry that a node halts at, after one more
// attempt. before is what was told until then, of the same entry or nil.
func Block(before *cluster.Blocked, a *cluster.Attempt, retryAt time.Time) *cluster.Blocked {
	b := &cluster.Blocked{
		Epoch: a.Epoch, Seq: a.Seq, Attempts: a.Attempt, Code: a.Code,
		Error: FirstLine(a), WillNotHeal: a.Code == 126 || a.Code == 127,
		FirstFailure: a.Ended,
	}
	if before != nil && before.Seq == a.Seq {
		b.FirstFailure = before.FirstFailure
	}
	if a.Outcome != cluster.OutcomeUnknown && !retryAt.IsZero() {
		b.RetryAt = retryAt.UnixMilli()
	}
	return b
}

// Hang returns what is told of an attempt that should have ended and cannot be
// ended. before is what was told until then, of the same entry or nil.
func Hang(before *cluster.Blocked, a *cluster.Attempt, h *attempt.Hung) *cluster.Blocked {
	since := h.Since.UnixMilli()
	b := &cluster.Blocked{
		Epoch: a.Epoch, Seq: a.Seq, Attempts: a.Attempt, Code: -1, Error: h.Processes,
		FirstFailure: since, Hung: &cluster.Hung{Since: since, TimedOut: h.TimedOut},
	}
	if before != nil && before.Seq == a.Seq {
		b.FirstFailure = before.FirstFailure
	}
	return b
}

// errorBytes bounds the error that is told in one line.
const errorBytes = 300

// FirstLine returns why an attempt failed, in one line: the first line that it
// wrote to its standard error, else to its standard output, else how it ended.
func FirstLine(a *cluster.Attempt) string {
	if a.Outcome == cluster.OutcomeUnknown {
		return "cut short, outcome unknown"
	}
	line := a.Error
	if line == "" {
		line = firstText(a.Stderr.Head)
	}
	if line == "" {
		line = firstText(a.Stdout.Head)
	}
	switch how := Ending(a); {
	case line == "":
		return how
	case a.Outcome == cluster.OutcomeTimeout:
		return how + ": " + line
	default:
		return line
	}
}

// Ending returns how an attempt ended: "exit 3", "killed by SIGKILL", "timed
// out after 10s".
func Ending(a *cluster.Attempt) string {
	// Ending it took longer than its limit, which is what counts.
	after := time.Duration(a.Limit) * time.Millisecond
	if after == 0 {
		after = (time.Duration(a.Duration) * time.Microsecond).Round(time.Second / 10)
	}
	switch {
	case a.Outcome == cluster.OutcomeUnknown:
		return "outcome unknown"
	case a.Outcome == cluster.OutcomeTimeout:
		return fmt.Sprintf("timed out after %s", after)
	case a.Signal != "":
		return "killed by SIG" + a.Signal
	}
	return fmt.Sprintf("exit %d", a.Code)
}

// firstText returns the first line of output that is not blank, made fit for a
// terminal.
func firstText(out []byte) string {
	for line := range bytes.Lines(out) {
		text := strings.TrimSpace(attempt.Output{Head: line[:min(len(line), errorBytes)], Size: int64(min(len(line), errorBytes))}.String())
		if text != "" {
			return text
		}
	}
	return ""
}
