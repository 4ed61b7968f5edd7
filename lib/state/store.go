// Package state is the one SQLite file of a server: who it is, the command
// queue, and what it knows of the others. It is the only importer of the
// database driver.
//
// Exported methods open a transaction of their own; unexported helpers work
// within one. Times are stored as integers, unix milliseconds, 0 for never.
// Any number of processes may have the file open: readers never wait (WAL),
// and writers take turns (see turnstile). A commit is on the disk when the
// method returns (synchronous=FULL).
package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"

	"iwx/lib/backoff"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/panics"
	"iwx/lib/wait"
)

// maxReaders bounds the connections that read at the same time.
const maxReaders = 4

// Store is an open state file. It is safe for use by many goroutines.
type Store struct {
	path  string
	pool  *sql.DB
	turn  *turnstile
	claim *claim
	names names
	files files // opened under the names; zero until all are

	readers chan *conn // idle; a nil stands for one that may be opened

	mu      sync.Mutex
	pending []*write // writers that wait for the next commit
	leading bool     // one of them is committing for the others

	writing sync.Mutex // held while writer is used
	writer  *conn      // of the leader; always open, so that SQLite keeps the files
}

// Open opens the state file at path, which setup made, and brings its schema
// up to this version's. Use it for a file that no daemon uses, such as a backup; use
// OpenAt for the state of a server.
//
// Errors say what is wrong with which file and what to do: there is none (this
// server is not set up), it may not be read, it is damaged, or a newer iwx
// wrote it.
func Open(ctx context.Context, path string) (*Store, error) {
	return OpenAt(ctx, host.Paths{State: path})
}

// OpenAt is Open for the state of a server. While other processes have another
// file open under its name, it waits for them to end, and fails with code Busy
// after some seconds.
func OpenAt(ctx context.Context, paths host.Paths) (*Store, error) {
	if err := readable(paths.State); err != nil {
		return nil, err
	}
	return open(ctx, paths)
}

// Create makes the state file at path, 0600 before there is anything in it,
// in a directory that exists. A file that is there already is opened.
func Create(ctx context.Context, path string) (*Store, error) {
	return CreateAt(ctx, host.Paths{State: path})
}

// CreateAt is Create for the state of a server, and waits as OpenAt does.
func CreateAt(ctx context.Context, paths host.Paths) (*Store, error) {
	f, err := os.OpenFile(paths.State, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return OpenAt(ctx, paths)
	case err != nil:
		return nil, fmt.Errorf("state: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	return open(ctx, paths)
}

// readable asks for the file without opening it: to close it again would drop
// the locks that SQLite has on it in this process.
func readable(path string) error {
	err := unix.Access(path, unix.R_OK|unix.W_OK)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fault.Hint(fault.New(fault.Failed, "this server is not part of a cluster: there is no %s", path),
			"make it the manager: iwx-cluster-setup manager --quorum-ip IP\nor a node, with a token from the manager: iwx-cluster-setup node")
	case errors.Is(err, fs.ErrPermission):
		return fault.Hint(fault.New(fault.Failed, "no permission to open %s", path), "run it as root")
	}
	return fmt.Errorf("state: open %s: %w", path, err)
}

// The last process that closes the files removes -wal and -shm, perhaps between two
// steps of this one: then it tries again.
func open(ctx context.Context, paths host.Paths) (s *Store, err error) {
	err = retry(ctx, func() error { s, err = openOnce(ctx, paths); return err })
	return s, err
}

func openOnce(ctx context.Context, paths host.Paths) (*Store, error) {
	claim, first, err := joinClaim(ctx, paths.StateClaim, paths.State)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	s, err := openFile(ctx, paths.State)
	if err != nil {
		claim.close()
		return nil, err
	}
	s.claim = claim
	if err := s.claim.settle(ctx, first, s.files); err != nil {
		s.Close()
		return nil, fmt.Errorf("state: %w", err)
	}
	return s, nil
}

func openFile(ctx context.Context, path string) (*Store, error) {
	turn, err := openTurnstile(path)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	pool, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		turn.close()
		return nil, fmt.Errorf("state: %w", err)
	}
	s := &Store{path: path, names: namesOf(path), pool: pool, turn: turn, readers: make(chan *conn, maxReaders)}
	for range maxReaders {
		s.readers <- nil
	}
	if err := s.begin(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// begin opens the files, records their identity, and migrates the schema.
func (s *Store) begin(ctx context.Context) error {
	if target, err := os.Readlink(s.path); err == nil {
		return fault.Hint(fault.New(fault.Failed, "%s is a symbolic link to %s; it has to be the file itself", s.path, target),
			"stop iwx-queued and iwx-lb, then move the file there, with its -wal if there is one\nto keep it on another disk, mount or link its directory")
	}
	before, err := s.names.identify()
	if err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	opened, err := s.names.identify()
	if err != nil {
		return err
	}
	s.files = opened
	if before[0] != opened[0] {
		return fault.Hint(fault.New(fault.Busy, "%s was replaced while it was being opened", s.path), "try again")
	}
	return nil
}

// busyWait is how long SQLite waits for a lock.
const busyWait = 10 * time.Second

// dsn holds the pragmas, so that every connection of the pool has them.
func dsn(path string) string {
	q := url.Values{}
	for _, pragma := range []string{
		fmt.Sprintf("busy_timeout(%d)", busyWait.Milliseconds()), // beside the turnstile only a checkpoint can make us wait
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(1)",
		"cache_size(-512)", // KiB a connection: an idle node is to stay small
		"temp_store(MEMORY)",
		"secure_delete(1)", // what is erased is not to be left in free pages
	} {
		q.Add("_pragma", pragma)
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// Path returns the state file's path.
func (s *Store) Path() string { return s.path }

// Close closes the file. No other method may be under way. Closing twice is
// harmless.
func (s *Store) Close() error {
	s.closeConns()
	err := s.pool.Close()
	s.turn.close()
	s.claim.close()
	return err
}

// closeConns gives back the connections that are kept: the pool closes none
// that is in use.
func (s *Store) closeConns() {
	if s.writer != nil {
		_ = s.writer.close() // the pool is closed next
		s.writer = nil
	}
	for {
		select {
		case c := <-s.readers:
			if c != nil {
				_ = c.close()
			}
		default:
			return
		}
	}
}

// conn is one connection with the statements that were prepared on it.
type conn struct {
	raw   *sql.Conn
	stmts map[string]*sql.Stmt
}

func (s *Store) connect(ctx context.Context) (*conn, error) {
	raw, err := s.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Check(); err != nil { // the new connection may have opened another file
		_ = raw.Close()
		return nil, err
	}
	return &conn{raw: raw, stmts: map[string]*sql.Stmt{}}, nil
}

// close ends the prepared statements, which would keep the file open, and gives
// the connection back.
func (c *conn) close() error {
	for _, st := range c.stmts {
		_ = st.Close() // what counts is the connection
	}
	return c.raw.Close()
}

// tx is an open transaction.
type tx struct {
	ctx    context.Context // of the statements: never done, since each would cost a goroutine to watch it
	caller context.Context // looked at between the rows of a query
	conn   *conn
}

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if st := t.conn.stmts[query]; st != nil {
		return st, nil
	}
	st, err := t.conn.raw.PrepareContext(t.ctx, query)
	if err == nil {
		t.conn.stmts[query] = st
	}
	return st, err
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	st, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(t.ctx, args...)
}

// row scans the one row of a query into dest; sql.ErrNoRows when there is
// none.
func (t *tx) row(query string, args, dest []any) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(t.ctx, args...).Scan(dest...)
}

// errEnough ends tx.each early, without being an error of it.
var errEnough = errors.New("enough")

// each calls scan for every row of a query, until it returns errEnough.
func (t *tx) each(query string, args []any, scan func(*sql.Rows) error) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(t.ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := t.caller.Err(); err != nil {
			return err
		}
		switch err := scan(rows); err {
		case nil:
		case errEnough:
			return nil
		default:
			return err
		}
	}
	return rows.Err()
}

// view runs fn in a transaction that sees one moment of the file.
func (s *Store) view(ctx context.Context, fn func(*tx) error) error {
	var c *conn
	select {
	case c = <-s.readers:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.readers <- c }()
	if c == nil {
		fresh, err := s.connect(context.WithoutCancel(ctx))
		if err != nil {
			return s.explain(err)
		}
		c = fresh
	}
	ended, err := read(ctx, c, fn)
	if !ended {
		_ = c.close() // what it failed at is told
		c = nil
	}
	if caught := (*panics.Panic)(nil); errors.As(err, &caught) {
		panic(caught) // after its transaction has ended
	}
	return s.explain(err)
}

// read runs fn in a transaction on c. Whatever becomes of ctx, the transaction
// is over afterwards, unless ended is false: then c is of no more use.
func read(ctx context.Context, c *conn, fn func(*tx) error) (ended bool, err error) {
	frame := &tx{ctx: context.WithoutCancel(ctx), conn: c}
	if _, err := frame.exec("BEGIN"); err != nil {
		return false, err
	}
	err = panics.Catch(func() error { return fn(&tx{ctx: frame.ctx, caller: ctx, conn: c}) })
	if _, endErr := frame.exec("ROLLBACK"); endErr != nil {
		return false, errors.Join(err, endErr)
	}
	return true, err
}

// DataVersion returns a number that changes whenever another connection has
// committed to the file. It costs microseconds: it is for those who wait.
type DataVersion struct {
	store *Store
	conn  *conn
}

// Watch returns a DataVersion. The caller must Close it.
func (s *Store) Watch(ctx context.Context) (*DataVersion, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, s.explain(err)
	}
	return &DataVersion{store: s, conn: c}, nil
}

// Read returns the number. It fails when Store.Check does: the caller must not wait for
// changes of a file that no other process writes.
func (d *DataVersion) Read(ctx context.Context) (n int64, err error) {
	if err := d.store.Check(); err != nil {
		return 0, err
	}
	t := &tx{ctx: ctx, conn: d.conn}
	err = t.row("PRAGMA data_version", nil, []any{&n})
	return n, d.store.explain(err)
}

// Close gives the connection back.
func (d *DataVersion) Close() error { return d.conn.close() }

// Times that Follow goes by: most of what tools wait for is over in milliseconds.
const (
	quickLook  = 2 * time.Millisecond
	calmLook   = 20 * time.Millisecond
	quickSpell = time.Second
)

// Follow calls look, and again after each commit to the file, until look reports true or
// fails. It returns the error of look, or that of ctx if ctx ends between two calls. It
// calls look at least once.
func (s *Store) Follow(ctx context.Context, look func() (done bool, err error)) error {
	whole := context.WithoutCancel(ctx) // to read the number even when ctx has ended
	version, err := s.Watch(whole)
	if err != nil {
		return err
	}
	defer version.Close()
	spell := backoff.Clock()
	seen, first := int64(0), true
	return wait.Until(ctx, func(time.Duration) time.Duration {
		if spell() < quickSpell {
			return quickLook
		}
		return calmLook
	}, func() (bool, error) {
		now, err := version.Read(whole) // before the look: a later commit is seen next time
		if err != nil || !first && now == seen {
			return false, err
		}
		seen, first = now, false
		return look()
	})
}

// SQLite result codes (sqlite.org/rescode.html); the low byte is the class.
const (
	sqliteBusy     = 5
	sqliteReadOnly = 8
	sqliteIOErr    = 10
	sqliteCorrupt  = 11
	sqliteFull     = 13
	sqliteNotADB   = 26
)

// explain turns the driver's errors into ones that say what to do.
func (s *Store) explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	class := e.Code() & 0xff
	if class == sqliteIOErr && noRoom(filepath.Dir(s.path)) {
		class = sqliteFull
	}
	switch class {
	case sqliteFull:
		return fault.Hint(fault.New(fault.Failed, "the disk that holds %s is full; nothing was written", s.path),
			"make room: df %s", filepath.Dir(s.path))
	case sqliteCorrupt, sqliteNotADB:
		return fault.Hint(fault.New(fault.Failed, "%s is damaged: %w", s.path, err),
			"set it aside: mv %[1]s %[1]s.damaged\nthen, on the manager: iwx-cluster-setup restore BACKUP\nor, on a node: iwx-cluster-setup node, with a token of iwx-node add NAME --rejoin, which lists the entries that the node has not replayed; it does not get them again", s.path)
	case sqliteIOErr:
		return fault.Hint(fault.New(fault.Failed, "cannot read or write %s: %w", s.path, err),
			"check for a failing disk or a used-up quota: dmesg | tail; df %s", filepath.Dir(s.path))
	case sqliteBusy:
		return fault.New(fault.Busy, "%s is busy: %w", s.path, err)
	case sqliteReadOnly:
		return fault.Hint(fault.New(fault.Failed, "cannot write %s: %w", s.path, err), "run it as root, on a file system that is mounted writable")
	}
	return fmt.Errorf("%s: %w", s.path, err)
}

// noRoom reports whether a disk has less room than SQLite's shared memory begins
// with, 32 KiB (sqlite.org/walformat.html §2.2): what it has for that is an error of
// the disk, and not that it is full.
func noRoom(dir string) bool {
	var is unix.Statfs_t
	return unix.Statfs(dir, &is) == nil && is.Bavail*uint64(is.Bsize) < 32<<10
}

// millis is t as it is stored; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// instant is the time that millis stored.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
