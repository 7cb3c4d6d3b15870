//! The schema in PostgreSQL, a version a slice. A released version never changes; a new one is added below.
//!
//! Texts compare as bytes (`COLLATE "C"`), so that pages come in the same order as from the other backends.

pub(super) const MIGRATIONS: &[&[&str]] = &[
    &[
        "CREATE TABLE account (id TEXT PRIMARY KEY, aor TEXT COLLATE \"C\" NOT NULL UNIQUE, \
         jid TEXT NOT NULL UNIQUE, body BYTEA NOT NULL)",
        "CREATE TABLE account_number (number TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES account (id))",
        "CREATE INDEX account_number_by_account ON account_number (account)",
        "CREATE TABLE binding (aor TEXT NOT NULL, binding_key TEXT NOT NULL, expires BIGINT NOT NULL, \
         body BYTEA NOT NULL, PRIMARY KEY (aor, binding_key))",
        "CREATE INDEX binding_by_expiry ON binding (expires)",
        "CREATE TABLE record (owner TEXT NOT NULL, collection TEXT NOT NULL, \
         record_key TEXT COLLATE \"C\" NOT NULL, version BIGINT NOT NULL, value BYTEA NOT NULL, \
         PRIMARY KEY (owner, collection, record_key))",
        "CREATE TABLE archive (seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner TEXT NOT NULL, \
         id TEXT NOT NULL, peer TEXT NOT NULL, at BIGINT NOT NULL, kind TEXT NOT NULL, body BYTEA NOT NULL, \
         UNIQUE (owner, id))",
        "CREATE INDEX archive_in_order ON archive (owner, seq)",
    ],
    &[
        "CREATE INDEX archive_by_peer ON archive (owner, peer, seq)",
        "CREATE INDEX archive_by_time ON archive (at)",
    ],
    // What is old is looked for among its kind.
    &["DROP INDEX archive_by_time", "CREATE INDEX archive_by_kind ON archive (kind, at)"],
    // Nothing moves: passwords may be for calls alone, and a release that does not know so would take them in chat. It is refused.
    &[],
];
