-- What setup made of this server. One row.
CREATE TABLE identity (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    role         TEXT    NOT NULL CHECK (role IN ('manager', 'node')),
    cluster_id   TEXT    NOT NULL,
    cluster_name TEXT    NOT NULL,
    node_id      TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    machine_id   TEXT    NOT NULL,
    manager      TEXT    NOT NULL, -- quorum IP and port
    others       TEXT    NOT NULL DEFAULT '', -- served, or tried, as well while that moves; a blank between
    address      TEXT    NOT NULL, -- of this server
    log_key      BLOB    NOT NULL, -- Ed25519 public key
    start        INTEGER NOT NULL,
    recovery     TEXT    NOT NULL, -- age recipient
    setup_at     INTEGER NOT NULL
) STRICT;

-- What setup did to this server outside its state, for reset to undo, written
-- before it is done.
CREATE TABLE undo (
    id     INTEGER PRIMARY KEY,
    kind   TEXT    NOT NULL,
    target TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    UNIQUE (kind, target)
) STRICT;

-- The command queue. On a node, what it has received; body is NULL where the
-- entry is another node's, or where it was erased.
CREATE TABLE log (
    seq       INTEGER PRIMARY KEY,
    epoch     INTEGER NOT NULL,
    kind      INTEGER NOT NULL,
    targets   BLOB    NOT NULL,
    digest    BLOB    NOT NULL,
    hash      BLOB    NOT NULL,
    body      BLOB,
    erased    INTEGER NOT NULL DEFAULT 0,
    sensitive INTEGER NOT NULL DEFAULT 0, -- erase the body when it is settled
    sig       BLOB                        -- node: the page's signature, on its last record
) STRICT;
CREATE INDEX log_sensitive ON log (seq) WHERE sensitive = 1 AND erased = 0;

-- Entries that are not to be replayed, from the log's void records. node is
-- '' when every node is meant.
CREATE TABLE void (
    seq         INTEGER NOT NULL,
    node        TEXT    NOT NULL,
    disposition TEXT    NOT NULL,
    who         TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    record      INTEGER NOT NULL, -- the void record's own number
    PRIMARY KEY (seq, node)
) STRICT, WITHOUT ROWID;

-- Commands of iwx-queue run that are still running, or whose run was cut short:
-- they have no number yet.
CREATE TABLE held (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    targets BLOB    NOT NULL,
    body    BLOB    NOT NULL,
    pid     INTEGER NOT NULL,
    boot    TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;

-- Every attempt on every node; on a node its own. ended is NULL while it runs.
-- attempt counts from 1; below 0, the entry has been given up since.
CREATE TABLE attempt (
    id       INTEGER PRIMARY KEY,
    node     TEXT    NOT NULL,
    epoch    INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    boot     TEXT    NOT NULL,
    started  INTEGER NOT NULL,
    ended    INTEGER,
    duration INTEGER NOT NULL DEFAULT 0, -- microseconds
    limit_ms INTEGER NOT NULL DEFAULT 0, -- milliseconds, where it timed out
    outcome  TEXT    NOT NULL DEFAULT '',
    code     INTEGER NOT NULL DEFAULT 0,
    signal   TEXT    NOT NULL DEFAULT '',
    error    TEXT    NOT NULL DEFAULT '',
    out_head BLOB,
    out_tail BLOB,
    out_size INTEGER NOT NULL DEFAULT 0,
    err_head BLOB,
    err_tail BLOB,
    err_size INTEGER NOT NULL DEFAULT 0,
    UNIQUE (seq, node, epoch, attempt) -- two indexes, not more: each is a page in every commit
) STRICT;
CREATE INDEX attempt_node ON attempt (node);

-- A node's place in the log. One row on a node.
CREATE TABLE journal (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    done       INTEGER NOT NULL DEFAULT 0,
    retry_at   INTEGER NOT NULL DEFAULT 0,
    retry_seen INTEGER NOT NULL DEFAULT 0,
    reported   INTEGER NOT NULL DEFAULT 0 -- the last attempt.id the manager has
) STRICT;

-- How a node stands with its manager, for its own status. One row on a node.
CREATE TABLE contact (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    heard_at   INTEGER NOT NULL DEFAULT 0, -- the last answer
    silent_at  INTEGER NOT NULL DEFAULT 0, -- 0: the last request was answered
    reason     TEXT    NOT NULL DEFAULT '',
    error      TEXT    NOT NULL DEFAULT '',
    hint       TEXT    NOT NULL DEFAULT '',
    epoch      INTEGER NOT NULL DEFAULT 0,   -- the highest that a manager was in
    head       INTEGER NOT NULL DEFAULT 0,   -- of the manager's log
    orders     TEXT    NOT NULL DEFAULT '{}' -- cluster.Orders
) STRICT;

-- This server's profile: the document received last, and how it stands with
-- it. One row, once there is one.
CREATE TABLE profile (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    version  TEXT NOT NULL,
    document TEXT NOT NULL,             -- profile.Document
    status   TEXT NOT NULL DEFAULT '{}' -- profile.Status
) STRICT;

-- The items of the profile that were once begun to be applied, and are not
-- taken back. They are in the order of id.
CREATE TABLE profile_item (
    id   INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    spec TEXT NOT NULL, -- JSON, or ''
    UNIQUE (kind, name)
) STRICT;

-- Manager: the nodes.
CREATE TABLE node (
    id           TEXT    PRIMARY KEY,
    name         TEXT    NOT NULL,
    membership   TEXT    NOT NULL,
    address      TEXT    NOT NULL,
    machine_id   TEXT    NOT NULL,
    facts        TEXT    NOT NULL,
    cert_serial  TEXT    NOT NULL,
    cert_expires INTEGER NOT NULL,
    start        INTEGER NOT NULL,
    joined_at    INTEGER NOT NULL,
    ended_at     INTEGER NOT NULL DEFAULT 0,
    ended_by     TEXT    NOT NULL DEFAULT '',
    last_seen    INTEGER NOT NULL DEFAULT 0,
    silent_since INTEGER NOT NULL DEFAULT 0,
    refused      TEXT    NOT NULL DEFAULT '',
    status       TEXT    NOT NULL DEFAULT '{}',
    paused       INTEGER NOT NULL DEFAULT 0,
    retry        INTEGER NOT NULL DEFAULT 0,
    retry_seq    INTEGER NOT NULL DEFAULT 0,
    look         INTEGER NOT NULL DEFAULT 0, -- the last request to look at the sites
    trial        TEXT    NOT NULL DEFAULT '', -- cluster.Trial, as an order
    tail         TEXT    NOT NULL DEFAULT '{}' -- cluster.Tail
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX node_name ON node (name) WHERE membership IN ('member', 'leaving');
CREATE UNIQUE INDEX node_machine ON node (machine_id) WHERE membership IN ('member', 'leaving');

-- Manager: invitations to join.
CREATE TABLE token (
    id         TEXT    PRIMARY KEY,
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL,
    address    TEXT    NOT NULL DEFAULT '',
    start_from TEXT    NOT NULL,
    rejoin     TEXT    NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL DEFAULT 0,
    used_at    INTEGER NOT NULL DEFAULT 0,
    used_by    TEXT    NOT NULL DEFAULT '',
    key_hash   BLOB,
    node       TEXT    NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- Manager: entries that the nodes replay some at a time, while they are under
-- way, and the nodes that have been given their turn.
CREATE TABLE roll (
    seq INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE turn (
    seq     INTEGER NOT NULL REFERENCES roll ON DELETE CASCADE,
    node    TEXT    NOT NULL,
    stage   TEXT    NOT NULL,
    since   INTEGER NOT NULL,
    drained INTEGER NOT NULL, -- load balancing gives the node nothing new
    pools   TEXT    NOT NULL, -- in which it was before, JSON
    left    TEXT    NOT NULL, -- the connections with which it began, JSON
    PRIMARY KEY (seq, node)
) STRICT, WITHOUT ROWID;

-- Manager: the epochs of the log, raised by a restore. The last is in force.
CREATE TABLE epoch (
    epoch INTEGER PRIMARY KEY,
    since INTEGER NOT NULL -- the first sequence number written in it
) STRICT;

-- Manager: the daily backup that was made last. One row.
CREATE TABLE backup (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    name   TEXT    NOT NULL, -- of the file
    size   INTEGER NOT NULL,
    sha256 TEXT    NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

-- Manager: first records of epochs that recover has taken back; nodes may have
-- them.
CREATE TABLE withdrawn (
    epoch INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    hash  BLOB    NOT NULL PRIMARY KEY
) STRICT;

-- Manager: what nodes have sent of a log that goes on where this one does not,
-- verified, until it is recovered or given up.
CREATE TABLE tail (
    node    TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    epoch   INTEGER NOT NULL,
    kind    INTEGER NOT NULL,
    targets BLOB    NOT NULL,
    digest  BLOB    NOT NULL,
    hash    BLOB    NOT NULL,
    body    BLOB,
    erased  INTEGER NOT NULL,
    UNIQUE (node, seq)
) STRICT;

-- Manager: that another has taken its place, as a node has proved. One row.
CREATE TABLE fence (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    own   INTEGER NOT NULL, -- this manager's epoch
    epoch INTEGER NOT NULL, -- the other's
    node  TEXT    NOT NULL,
    at    INTEGER NOT NULL
) STRICT;

-- What our own tools have done under an op id, so that doing it again is
-- nothing.
CREATE TABLE op (
    op     TEXT    NOT NULL, -- EPOCH:SEQ
    digest BLOB    NOT NULL, -- SHA-256 of argv and standard input
    at     INTEGER NOT NULL,
    PRIMARY KEY (op, digest)
) STRICT, WITHOUT ROWID;

-- Manager: load balancing as it was asked for. One row, once anything was.
CREATE TABLE balancing (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    engine   TEXT    NOT NULL DEFAULT '',
    external INTEGER NOT NULL DEFAULT 0,
    stopped  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Manager: the virtual IPs, the policies on them, and what is kept from new
-- connections (service '' is all of them).
CREATE TABLE vip (
    addr     TEXT    PRIMARY KEY,
    added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE policy (
    vip    TEXT    NOT NULL REFERENCES vip,
    port   INTEGER NOT NULL,
    policy TEXT    NOT NULL, -- lb.Policy
    PRIMARY KEY (vip, port)
) STRICT, WITHOUT ROWID;
CREATE TABLE drain (
    server  TEXT    NOT NULL,
    service TEXT    NOT NULL,
    since   INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    PRIMARY KEY (server, service)
) STRICT, WITHOUT ROWID;

-- Manager: what the checks last said, for a daemon that starts again.
CREATE TABLE verdict (
    target  TEXT PRIMARY KEY, -- lb.TargetID
    verdict TEXT NOT NULL     -- health.Verdict
) STRICT, WITHOUT ROWID;

-- Manager: the sites, and what a server is to have of each (site.Spec). seq is
-- the last entry of the queue about it; gone says that it is being deleted, and
-- how.
CREATE TABLE site (
    domain TEXT    PRIMARY KEY,
    user   TEXT    NOT NULL UNIQUE,
    uid    INTEGER NOT NULL UNIQUE,
    spec   TEXT    NOT NULL, -- site.Spec
    seq    INTEGER NOT NULL,
    purge  INTEGER NOT NULL DEFAULT 0 -- the home goes too
) STRICT, WITHOUT ROWID;

-- Manager: the names that sites answer to: no two the same.
CREATE TABLE site_name (
    name   TEXT PRIMARY KEY,
    domain TEXT NOT NULL REFERENCES site ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Manager: the id that a site was given last. One row, once there was one.
CREATE TABLE site_uid (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL
) STRICT;

-- Manager: what a run of iwx-site has begun and not ended. One row.
CREATE TABLE intent (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    intent TEXT    NOT NULL -- site.Intent
) STRICT;

-- What this server has of the sites, as it was applied last.
CREATE TABLE site_here (
    domain TEXT PRIMARY KEY,
    server TEXT NOT NULL, -- the web server, as in site.Order
    spec   TEXT NOT NULL  -- site.Spec
) STRICT, WITHOUT ROWID;

-- How the web server stands with the changes of sites. One row, once there was one.
CREATE TABLE reload (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    server TEXT    NOT NULL, -- as in site.Order
    owed   INTEGER NOT NULL, -- since when it has to be told; 0: it has been
    last   INTEGER NOT NULL  -- when it was told last; 0: never
) STRICT;

-- Manager: the sites' certificates with their keys.
CREATE TABLE certificate (
    digest TEXT PRIMARY KEY,
    pem    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Manager: what signs the transfers of zones. One row.
CREATE TABLE transfer_key (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    secret TEXT    NOT NULL -- base64
) STRICT;

-- Manager: zones that the administrator keeps in BIND by hand, for the nodes too.
CREATE TABLE adopted_zone (
    zone TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Manager: the zones that the administrator has changed, or made.
CREATE TABLE zone (
    name TEXT PRIMARY KEY,
    zone TEXT NOT NULL -- dns.Zone
) STRICT, WITHOUT ROWID;
