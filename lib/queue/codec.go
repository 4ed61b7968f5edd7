package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"iwx/lib/fault"
)

// ErrNewer is in the chain of a decoding error when the bytes were written by
// a newer version of iwx: the node that meets them needs an upgrade.
var ErrNewer = errors.New("written by a newer version of iwx")

// errMalformed is in the chain of a decoding error for bytes that no version
// writes.
var errMalformed = errors.New("malformed")

// bodyVersion is the first byte of every body and of encoded targets.
const bodyVersion = 1

// encoder writes fields as (tag, length, bytes), so that a reader can tell a
// field that it does not know from one that is cut short.
type encoder struct{ buf []byte }

func newEncoder(size int) *encoder {
	return &encoder{buf: append(make([]byte, 0, size+64), bodyVersion)}
}

func (e *encoder) bytes(tag uint64, b []byte) {
	e.buf = binary.AppendUvarint(e.buf, tag)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(b)))
	e.buf = append(e.buf, b...)
}

func (e *encoder) text(tag uint64, s string) {
	if s != "" {
		e.bytes(tag, []byte(s))
	}
}

func (e *encoder) number(tag, n uint64) {
	if n != 0 {
		e.bytes(tag, binary.AppendUvarint(nil, n))
	}
}

func (e *encoder) flag(tag uint64, set bool) {
	if set {
		e.number(tag, 1)
	}
}

// fields calls field for every (tag, value) of an encoded body. The values
// alias data.
func fields(data []byte, field func(tag uint64, value []byte) error) error {
	if len(data) == 0 {
		return fmt.Errorf("%w: empty", errMalformed)
	}
	if data[0] != bodyVersion {
		return fmt.Errorf("encoding version %d: %w", data[0], ErrNewer)
	}
	for rest := data[1:]; len(rest) > 0; {
		tag, n := binary.Uvarint(rest)
		if n <= 0 {
			return fmt.Errorf("%w: field tag", errMalformed)
		}
		size, m := binary.Uvarint(rest[n:])
		if m <= 0 || size > uint64(len(rest)-n-m) {
			return fmt.Errorf("%w: field %d is cut short", errMalformed, tag)
		}
		if err := field(tag, rest[n+m:n+m+int(size)]); err != nil {
			return err
		}
		rest = rest[n+m+int(size):]
	}
	return nil
}

// number decodes the value that encoder.number wrote.
func number(tag uint64, value []byte) (uint64, error) {
	n, size := binary.Uvarint(value)
	if size <= 0 || size != len(value) {
		return 0, fmt.Errorf("%w: field %d is not a number", errMalformed, tag)
	}
	return n, nil
}

// unknownField is the error for a tag of a later version. Ignoring it could
// change what a command does, so the node waits for its upgrade.
func unknownField(what string, tag uint64) error {
	return fmt.Errorf("%s has field %d: %w", what, tag, ErrNewer)
}

// Tags of an encoded Command.
const (
	tagArg = iota + 1
	tagEnv
	tagDir
	tagUser
	tagUmask
	tagStdin
	tagTimeout
	tagRerun
	tagSensitive
	tagQueuedAt
	tagQueuedBy
)

// Encode returns the body of a command: the bytes that are hashed, stored and
// shipped. It fails when the result is over MaxBody.
func (c *Command) Encode() ([]byte, error) {
	e := newEncoder(len(c.Stdin) + 256)
	for _, arg := range c.Argv {
		e.bytes(tagArg, []byte(arg))
	}
	for _, kv := range c.Env {
		e.bytes(tagEnv, []byte(kv))
	}
	e.text(tagDir, c.Dir)
	e.text(tagUser, c.User)
	e.number(tagUmask, uint64(c.Umask)+1) // so that umask 0 is not "absent"
	if c.Stdin != nil {
		e.bytes(tagStdin, c.Stdin)
	}
	e.number(tagTimeout, uint64(c.Timeout/time.Millisecond))
	e.flag(tagRerun, c.Rerun)
	e.flag(tagSensitive, c.Sensitive)
	e.number(tagQueuedAt, uint64(c.QueuedAt.UnixMilli()))
	e.text(tagQueuedBy, c.QueuedBy)
	if len(e.buf) > MaxBody {
		return nil, tooLarge(len(e.buf))
	}
	return e.buf, nil
}

func tooLarge(size int) error {
	return fault.Hint(
		fault.New(fault.Usage, "the command and its standard input take %d bytes, over the limit of %d", size, MaxBody),
		"put the data on the shared storage and cascade a command that reads it there")
}

// DecodeCommand reads what Encode wrote. An error wraps ErrNewer when a later
// version of iwx wrote it.
func DecodeCommand(body []byte) (*Command, error) {
	c := &Command{}
	err := fields(body, func(tag uint64, value []byte) error {
		switch tag {
		case tagArg:
			c.Argv = append(c.Argv, string(value))
		case tagEnv:
			c.Env = append(c.Env, string(value))
		case tagDir:
			c.Dir = string(value)
		case tagUser:
			c.User = string(value)
		case tagStdin:
			c.Stdin = append([]byte{}, value...)
		case tagQueuedBy:
			c.QueuedBy = string(value)
		default:
			return c.decodeNumber(tag, value)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	if len(c.Argv) == 0 {
		return nil, fmt.Errorf("command: %w: no argument", errMalformed)
	}
	return c, nil
}

func (c *Command) decodeNumber(tag uint64, value []byte) error {
	n, err := number(tag, value)
	if err != nil {
		return err
	}
	switch tag {
	case tagUmask:
		if n == 0 || n > 0o1000 {
			return fmt.Errorf("%w: umask", errMalformed)
		}
		c.Umask = uint32(n - 1)
	case tagTimeout:
		if n > uint64(maxTimeout/time.Millisecond) {
			return fmt.Errorf("%w: timeout", errMalformed)
		}
		c.Timeout = time.Duration(n) * time.Millisecond
	case tagRerun:
		c.Rerun = n == 1
	case tagSensitive:
		c.Sensitive = n == 1
	case tagQueuedAt:
		c.QueuedAt = time.UnixMilli(int64(n))
	default:
		return unknownField("a command", tag)
	}
	return nil
}

// Encode returns the hashed form of the targets.
func (t Targets) Encode() []byte {
	e := newEncoder(24 * len(t.Nodes))
	e.number(1, uint64(t.Scope))
	for _, id := range t.Nodes {
		e.bytes(2, []byte(id))
	}
	e.number(3, uint64(t.Rolling))
	return e.buf
}

// DecodeTargets reads what Targets.Encode wrote.
func DecodeTargets(data []byte) (Targets, error) {
	var t Targets
	err := fields(data, func(tag uint64, value []byte) error {
		if tag == 2 {
			t.Nodes = append(t.Nodes, string(value))
			return nil
		}
		n, err := number(tag, value)
		switch {
		case err != nil:
			return err
		case tag == 1 && n <= uint64(ScopeNodes):
			t.Scope = Scope(n)
		case tag == 3 && n <= 0xffff:
			t.Rolling = uint16(n)
		default:
			return unknownField("an entry's targets", tag)
		}
		return nil
	})
	if err != nil {
		return Targets{}, fmt.Errorf("targets: %w", err)
	}
	return t, nil
}

// Encode returns the body of a void record.
func (v *Void) Encode() []byte {
	e := newEncoder(64)
	e.number(1, v.Seq)
	e.text(2, string(v.Disposition))
	e.text(3, v.Who)
	e.text(4, v.Reason)
	e.number(5, uint64(v.At))
	return e.buf
}

// DecodeVoid reads what Void.Encode wrote.
func DecodeVoid(body []byte) (*Void, error) {
	v := &Void{}
	err := fields(body, func(tag uint64, value []byte) (err error) {
		var n uint64
		switch tag {
		case 1:
			v.Seq, err = number(tag, value)
		case 2:
			v.Disposition = Disposition(value)
		case 3:
			v.Who = string(value)
		case 4:
			v.Reason = string(value)
		case 5:
			n, err = number(tag, value)
			v.At = int64(n)
		default:
			err = unknownField("a void record", tag)
		}
		return err
	})
	if err == nil && v.Seq == 0 {
		err = fmt.Errorf("%w: no entry named", errMalformed)
	}
	if err != nil {
		return nil, fmt.Errorf("void: %w", err)
	}
	return v, nil
}

// Encode returns the body of an epoch record.
func (p *Epoch) Encode() []byte {
	e := newEncoder(64)
	e.number(1, p.Parent.Epoch)
	e.number(2, p.Parent.Seq)
	e.bytes(3, p.Parent.Hash[:])
	e.text(4, p.Reason)
	e.number(5, uint64(p.At))
	return e.buf
}

// DecodeEpoch reads what Epoch.Encode wrote.
func DecodeEpoch(body []byte) (*Epoch, error) {
	p := &Epoch{}
	err := fields(body, func(tag uint64, value []byte) (err error) {
		var n uint64
		switch tag {
		case 1:
			p.Parent.Epoch, err = number(tag, value)
		case 2:
			p.Parent.Seq, err = number(tag, value)
		case 3:
			if copy(p.Parent.Hash[:], value) != len(p.Parent.Hash) {
				err = fmt.Errorf("%w: parent hash", errMalformed)
			}
		case 4:
			p.Reason = string(value)
		case 5:
			n, err = number(tag, value)
			p.At = int64(n)
		default:
			err = unknownField("an epoch record", tag)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("epoch: %w", err)
	}
	return p, nil
}
