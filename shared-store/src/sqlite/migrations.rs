//! The schema in SQLite, a version a slice. A released version never changes; a new one is added below.

pub(super) const MIGRATIONS: &[&[&str]] = &[
    &[
        "CREATE TABLE account (id TEXT NOT NULL PRIMARY KEY, aor TEXT NOT NULL UNIQUE, jid TEXT NOT NULL UNIQUE, \
         body BLOB NOT NULL) STRICT",
        "CREATE TABLE account_number (number TEXT NOT NULL PRIMARY KEY, \
         account TEXT NOT NULL REFERENCES account (id)) STRICT",
        "CREATE INDEX account_number_by_account ON account_number (account)",
        "CREATE TABLE binding (aor TEXT NOT NULL, binding_key TEXT NOT NULL, expires INTEGER NOT NULL, \
         body BLOB NOT NULL, PRIMARY KEY (aor, binding_key)) STRICT, WITHOUT ROWID",
        "CREATE INDEX binding_by_expiry ON binding (expires)",
        "CREATE TABLE record (owner TEXT NOT NULL, collection TEXT NOT NULL, record_key TEXT NOT NULL, \
         version INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (owner, collection, record_key)) STRICT",
        "CREATE TABLE archive (seq INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, id TEXT NOT NULL, \
         peer TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (owner, id)) STRICT",
        "CREATE INDEX archive_in_order ON archive (owner, seq)",
    ],
    &[
        "CREATE INDEX archive_by_peer ON archive (owner, peer, seq)",
        "CREATE INDEX archive_by_time ON archive (at)",
    ],
    // The server finds what expired in memory.
    &["DROP INDEX binding_by_expiry"],
    // What is old is looked for among its kind.
    &["DROP INDEX archive_by_time", "CREATE INDEX archive_by_kind ON archive (kind, at)"],
    // Nothing moves: passwords may be for calls alone, and a release that does not know so would take them in chat. It is refused.
    &[],
];
