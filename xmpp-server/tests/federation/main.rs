//! Federation: servers of different domains, found by a name server of the test's own — RFC 6120, XEP-0220, XEP-0288.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../tests/support/dns.rs"]
mod dns;

mod authority;
mod components;
mod contacts;
mod delivery;
mod peer;
mod rooms;
mod strangers;
mod world;
