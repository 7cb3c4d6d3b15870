//! Federation: servers of different domains, found by a name server of the test's own — RFC 6120, XEP-0220, XEP-0288.

mod abusers;
mod acks;
pub(crate) mod authority;
mod components;
mod contacts;
mod delivery;
mod files;
mod limits;
mod peer;
mod rooms;
mod strangers;
mod world;
