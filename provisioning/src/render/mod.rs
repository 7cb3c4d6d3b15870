//! Configurations of real clients: one file a client, one line a file.

pub(crate) mod cusax_json;
pub(crate) mod jitsi;
pub(crate) mod linphone;
