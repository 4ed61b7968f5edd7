package replay

import (
	"fmt"
	"regexp"
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
		Error: Cause(a), WillNotHeal: willNotHeal(a),
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

var (
	// The shim's message for a program that is not in PATH, or that cannot be
	// executed.
	notRunnable = regexp.MustCompile(`^exec: .*(?:: not found in PATH ".*"|: permission denied|: exec format error|\(the interpreter that it names is missing\))$`)
	// Shells' message for a program that is not in PATH.
	notInPath = regexp.MustCompile(`(?:^|: )[^\s:/]+: (?:command )?not found$|command not found: [^\s/]+$`)
)

// willNotHeal reports whether no retry can succeed before somebody acts: a program
// is missing, or cannot be executed. Everything else may heal: a missing file or
// directory may be on storage that is mounted later, and a user may be in a
// directory service that does not answer. Exit codes 126 and 127 have a known
// meaning only if the shell prints it.
func willNotHeal(a *cluster.Attempt) bool {
	if a.Outcome != cluster.OutcomeFailed {
		return false
	}
	if a.Error != "" {
		return notRunnable.MatchString(a.Error)
	}
	return a.Code == 127 && notInPath.MatchString(Cause(a))
}

// Hang returns the report of an attempt that should have ended and cannot be
// killed. before is the last report of the same entry, or nil.
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
