package record

import (
	"encoding/binary"
	"time"
)

// Spec is a command and everything that it is given. Nothing is inherited from
// the process that starts it.
type Spec struct {
	Argv    []string      // at least one; no NUL bytes
	Env     []string      // the whole environment, "KEY=value"; no NUL bytes
	Dir     string        // working directory; "" is "/"
	SetUser bool          // run as UID, GID and Groups; only root can
	UID     uint32        // numeric: names were resolved before
	GID     uint32        //
	Groups  []uint32      // supplementary groups, all of them
	Umask   uint32        // as in umask(2)
	Stdin   []byte        // empty: reads meet the end of the file at once
	Timeout time.Duration // from the start of the command; 0 is none

	// KillAfter is how long a command that ran into its timeout has between
	// SIGTERM and SIGKILL.
	KillAfter time.Duration
}

const flagSetUser = 1

// Encode returns the record of the spec.
func (s *Spec) Encode() []byte {
	return frame(kindSpec, s.size(), func(b []byte) []byte {
		b = appendStrings(b, s.Argv)
		b = appendStrings(b, s.Env)
		b = appendBytes(b, s.Dir)
		b = append(b, s.flags())
		b = binary.BigEndian.AppendUint32(b, s.UID)
		b = binary.BigEndian.AppendUint32(b, s.GID)
		b = binary.BigEndian.AppendUint32(b, uint32(len(s.Groups)))
		for _, g := range s.Groups {
			b = binary.BigEndian.AppendUint32(b, g)
		}
		b = binary.BigEndian.AppendUint32(b, s.Umask)
		b = appendInt(b, int64(s.Timeout))
		b = appendInt(b, int64(s.KillAfter))
		return appendBytes(b, s.Stdin)
	})
}

// DecodeSpec reads the record at the start of b. The spec's input shares b's
// memory. Errors are ErrAbsent, ErrTorn and ErrVersion.
func DecodeSpec(b []byte) (*Spec, error) {
	payload, err := unframe(kindSpec, b)
	if err != nil {
		return nil, err
	}
	r := reader{rest: payload}
	s := &Spec{Argv: r.strings(), Env: r.strings(), Dir: string(r.bytes())}
	flags := r.byte()
	s.SetUser = flags == flagSetUser
	r.bad = r.bad || flags > flagSetUser
	s.UID, s.GID = r.uint32(), r.uint32()
	for range r.count() {
		s.Groups = append(s.Groups, r.uint32())
	}
	s.Umask = r.uint32()
	s.Timeout, s.KillAfter = time.Duration(r.int64()), time.Duration(r.int64())
	s.Stdin = r.bytes()
	return s, r.done()
}

func (s *Spec) flags() byte {
	if s.SetUser {
		return flagSetUser
	}
	return 0
}

// size estimates the payload, so that eight megabytes of input are copied once.
func (s *Spec) size() int {
	n := 64 + len(s.Dir) + 4*len(s.Groups) + len(s.Stdin)
	for _, v := range s.Argv {
		n += 4 + len(v)
	}
	for _, v := range s.Env {
		n += 4 + len(v)
	}
	return n
}

func appendStrings(b []byte, list []string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	for _, v := range list {
		b = appendBytes(b, v)
	}
	return b
}
