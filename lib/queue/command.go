package queue

import (
	"slices"
	"strings"
	"time"

	"iwx/lib/fault"
)

// Command is what an entry replays on a node. Every value in it is resolved on
// the manager; a replay makes no choices. Arguments and environment are bytes,
// held in Go strings that need not be UTF-8.
type Command struct {
	Argv      []string      // Argv[0] is looked up in the node's PATH
	Env       []string      // additions, "KEY=VALUE"
	Dir       string        // absolute; "" is "/"
	User      string        // a name or a number on the node; "" is the daemon's own
	Umask     uint32        // 0 to 0777
	Stdin     []byte        // nil: end of file at once
	Timeout   time.Duration // 0: none; whole milliseconds
	Rerun     bool          // may be run again when the outcome is unknown
	Sensitive bool          // shown nowhere, and erased once every node has it
	QueuedAt  time.Time     // on the manager's clock
	QueuedBy  string        // the operator
}

// Stub returns the remains of a command whose text is erased: who queued it and
// when. It is encoded as a command that is marked as a stub, and is never run or
// shipped.
func (c *Command) Stub() ([]byte, error) {
	stub := Command{Argv: []string{"(erased)"}, Sensitive: c.Sensitive, QueuedAt: c.QueuedAt, QueuedBy: c.QueuedBy}
	return stub.Encode()
}

// maxTimeout bounds a timeout to what can be a mistake no more: a year.
const maxTimeout = 365 * 24 * time.Hour

// Linux's limits for a program, execve(2): one argument or environment addition
// (MAX_ARG_STRLEN); all of them, with a pointer each (a quarter of the 8 MiB
// stack), minus what a node adds to the environment; and a path (PATH_MAX).
const (
	maxArg  = 128<<10 - 1
	maxArgs = 2<<20 - 16<<10
	maxPath = 4095
)

// Check returns what would keep the command from being replayed on every node:
// no program, a NUL byte, more than a kernel passes on, a relative directory, an
// environment addition that is not KEY=VALUE or that iwx sets itself.
func (c *Command) Check() error {
	if len(c.Argv) == 0 {
		return fault.Hint(fault.New(fault.Usage, "no command given"), "iwx-queue add -- COMMAND [ARG...]")
	}
	if c.Argv[0] == "" {
		return fault.Hint(fault.New(fault.Usage, "the program's name is empty"), "check for an empty variable: iwx-queue add -- COMMAND [ARG...]")
	}
	if slices.ContainsFunc(c.Argv, hasNUL) {
		return fault.New(fault.Usage, "an argument of %q contains a NUL byte", c.Argv[0])
	}
	if err := c.checkSize(); err != nil {
		return err
	}
	switch {
	case c.Dir != "" && !strings.HasPrefix(c.Dir, "/"):
		return fault.New(fault.Usage, "working directory %q is not absolute", c.Dir)
	case hasNUL(c.Dir) || hasNUL(c.User):
		return fault.New(fault.Usage, "working directory %q or user %q contains a NUL byte", c.Dir, c.User)
	}
	if c.Umask > 0o777 {
		return fault.New(fault.Usage, "umask %#o is out of range 0..0777", c.Umask)
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		return fault.New(fault.Usage, "timeout %s is out of range 0..%s", c.Timeout, maxTimeout)
	}
	for _, kv := range c.Env {
		if err := checkEnv(kv); err != nil {
			return err
		}
	}
	return nil
}

// checkSize returns an error if execve(2) would fail with E2BIG or
// ENAMETOOLONG.
func (c *Command) checkSize() error {
	const way = "put it into a file (iwx-queue push), or on the command's standard input (--stdin FILE)"
	total := 0
	for i, arg := range c.Argv {
		if len(arg) > maxArg {
			return fault.Hint(fault.New(fault.Usage, "argument %d has %d bytes; Linux allows %d", i, len(arg), maxArg), way)
		}
		total += len(arg) + 9 // with its NUL byte and its pointer
	}
	for _, kv := range c.Env {
		if key, _, _ := strings.Cut(kv, "="); len(kv) > maxArg {
			return fault.Hint(fault.New(fault.Usage, "environment addition %.60q has %d bytes; Linux allows %d", key, len(kv), maxArg), way)
		}
		total += len(kv) + 9
	}
	switch {
	case total > maxArgs:
		return fault.Hint(fault.New(fault.Usage, "arguments and environment take %d bytes; Linux allows %d", total, maxArgs), way)
	case len(c.Argv[0]) > maxPath || len(c.Dir) > maxPath:
		return fault.New(fault.Usage, "the path of the program or of its directory is longer than %d bytes", maxPath)
	}
	return nil
}

func checkEnv(kv string) error {
	key, _, found := strings.Cut(kv, "=")
	switch {
	case !found || key == "":
		return fault.New(fault.Usage, "environment addition %q is not KEY=VALUE", kv)
	case hasNUL(kv):
		return fault.New(fault.Usage, "environment addition %q contains a NUL byte", key)
	case strings.HasPrefix(key, "IWX_"):
		return fault.New(fault.Usage, "environment addition %q: names that begin with IWX_ are set by iwx itself", key)
	}
	return nil
}

func hasNUL(s string) bool { return strings.IndexByte(s, 0) >= 0 }

// String returns the command as a shell would read it back, on one line, with
// bytes that do not print escaped. A sensitive command shows only its program.
func (c *Command) String() string {
	if c.Sensitive {
		return Quote(c.Argv[0]) + " (sensitive)"
	}
	words := make([]string, len(c.Argv))
	for i, arg := range c.Argv {
		words[i] = Quote(arg)
	}
	return strings.Join(words, " ")
}

// safe are the bytes beside letters and digits that need no quoting in a POSIX
// shell, wherever in a word they stand.
const safe = "%+,-./:=@_"

// Quote returns s as one shell word. Control characters and bytes that are not
// UTF-8 come out in the $'…' form of ksh, bash and zsh.
func Quote(s string) string {
	if s == "" {
		return "''"
	}
	plain := true
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return quoteEscaped(s)
		}
		if !isAlnum(r) && !strings.ContainsRune(safe, r) {
			plain = false
		}
	}
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func isAlnum(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
}

func quoteEscaped(s string) string {
	const hexDigits = "0123456789abcdef"
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
