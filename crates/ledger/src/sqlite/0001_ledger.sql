-- An id begins with the time of its call, so the index over ids is also the one over time.
-- One row per call: the columns of its opened record and, once its outcome is known, of its settled record.
CREATE TABLE entries (
    opened_seq      INTEGER PRIMARY KEY,
    opened_hash     BLOB NOT NULL,
    id              TEXT NOT NULL UNIQUE,
    at              INTEGER NOT NULL,
    instance        INTEGER NOT NULL,
    outcome         TEXT NOT NULL,
    "grant"         TEXT NOT NULL,
    client          TEXT,
    session         TEXT NOT NULL,
    server          TEXT NOT NULL,
    method          TEXT NOT NULL,
    tool            TEXT,
    category        TEXT,
    policy          TEXT,
    policy_version  TEXT,
    rule            TEXT,
    reason          TEXT,
    approval        TEXT,
    argument_keys   TEXT,
    arguments_hmac  BLOB,
    request_id      TEXT,
    trace_id        TEXT,
    settled_seq     INTEGER,
    settled_hash    BLOB,
    settled_at      INTEGER,
    result          TEXT,
    upstream_status INTEGER,
    is_error        INTEGER,
    gateway_us      INTEGER,
    upstream_us     INTEGER
) STRICT;

CREATE INDEX entries_unsettled ON entries (instance) WHERE settled_seq IS NULL AND outcome = 'allow';

-- The last link of the chain, the latest time the ledger was told, and how much of the log is in this database.
CREATE TABLE progress (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    head_seq     INTEGER NOT NULL,
    head_hash    BLOB NOT NULL,
    clock        INTEGER NOT NULL,
    log_position INTEGER NOT NULL
) STRICT;
INSERT INTO progress VALUES (1, 0, zeroblob(32), -9223372036854775808, 0);

CREATE TABLE counters (
    policy  TEXT NOT NULL,
    scope   TEXT NOT NULL,
    subject TEXT NOT NULL,
    counter TEXT NOT NULL,
    meter   TEXT NOT NULL,
    PRIMARY KEY (policy, scope, subject, counter)
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
    id           TEXT PRIMARY KEY,
    label        TEXT NOT NULL,
    access       TEXT NOT NULL,
    expires      INTEGER,
    created_at   INTEGER NOT NULL,
    revoked_at   INTEGER,
    generation   INTEGER NOT NULL,
    origin       TEXT NOT NULL,
    token_sha256 BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE approvals (
    id              TEXT PRIMARY KEY,
    state           TEXT NOT NULL,
    "grant"         TEXT NOT NULL,
    server          TEXT NOT NULL,
    tool            TEXT NOT NULL,
    policy          TEXT NOT NULL,
    policy_version  TEXT NOT NULL,
    rule            TEXT NOT NULL,
    fingerprint     BLOB NOT NULL,
    summary         TEXT NOT NULL,
    asked_at        INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    decided_at      INTEGER,
    decided_by      TEXT,
    decision_reason TEXT,
    spent_by        TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_by_fingerprint ON approvals (fingerprint);
CREATE INDEX approvals_by_state ON approvals (state, "grant");

CREATE TABLE policies (
    name      TEXT NOT NULL,
    revision  INTEGER NOT NULL,
    text      TEXT NOT NULL,
    format    TEXT NOT NULL,
    stored_at INTEGER NOT NULL,
    stored_by TEXT NOT NULL,
    PRIMARY KEY (name, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Every process that opened the ledger; its lease is a lock on a file, not a row.
CREATE TABLE instances (
    instance INTEGER PRIMARY KEY AUTOINCREMENT,
    pid      INTEGER NOT NULL
) STRICT;
