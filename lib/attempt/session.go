package attempt

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"iwx/lib/attempt/process"
	"iwx/lib/attempt/record"
)

// endSession kills what a shim that was itself killed left of its session, where
// there was no control group to ask. The session bears the shim's process id.
//
// Ids are used again, so two things must be true before anything is killed: if
// the session's leader lives, it is the shim that the mark names; and a member
// has a pipe of this attempt open. The kernel does not give out the id of a
// session that has members, so one such member speaks for all.
func endSession(page record.Page) {
	for range sessionRounds {
		table, err := process.List()
		if err != nil {
			return
		}
		members := session(table, page.Mark)
		if !anyHolds(members, page.Pipes) {
			return
		}
		for _, p := range members {
			unix.Kill(p.PID, unix.SIGKILL)
		}
	}
}

// sessionRounds bounds the hunt for processes that fork while they are killed.
const sessionRounds = 10

// session returns the members of the shim's session, or none if its leader is
// somebody else.
func session(table []process.Process, mark *record.Mark) []process.Process {
	var members []process.Process
	for _, p := range table {
		if p.PID == mark.PID && p.StartTicks != mark.StartTicks {
			return nil
		}
		if p.Session == mark.PID && p.StartTicks >= mark.StartTicks && p.PID != os.Getpid() {
			members = append(members, p)
		}
	}
	return members
}

// anyHolds reports whether one of the processes has one of the pipes open.
func anyHolds(members []process.Process, pipes record.Pipes) bool {
	for _, p := range members {
		// No error means that the pattern is well formed, which it is.
		fds, _ := filepath.Glob("/proc/" + strconv.Itoa(p.PID) + "/fd/*")
		for _, fd := range fds {
			target, err := os.Readlink(fd)
			for _, inode := range pipes {
				if err == nil && inode != 0 && target == fmt.Sprintf("pipe:[%d]", inode) {
					return true
				}
			}
		}
	}
	return false
}
