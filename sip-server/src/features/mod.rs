//! What is done to a request on its way to one branch. One specification is one file and one line in [`TABLE`]; the
//! order of the table is the order of the work.

pub mod asserted_identity;
pub mod call_info;
pub mod privacy;

use shared_auth::Identity;
use sip_core::Message;

/// What a feature may know of the request that it changes.
#[derive(Debug, Clone, Copy)]
pub struct Passage<'a> {
    /// Who sent it, if proved.
    pub caller: Option<&'a Identity>,
    /// Whether the sender wants to stay unknown (RFC 3323).
    pub is_anonymous: bool,
    /// Whether it begins a dialog or stands alone; false inside a dialog.
    pub is_initial: bool,
    /// Where it goes.
    pub to: Destination,
}

/// Who gets the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A device of one of our accounts.
    Device,
    /// An endpoint of ours, such as the focus: inside the trust domain (RFC 3325 §2).
    Trusted,
    /// Another domain.
    Foreign,
}

/// A feature: its name, and what it does.
pub struct Feature {
    /// The module.
    pub name: &'static str,
    /// Changes the copy that goes to one branch.
    pub apply: fn(&mut Message, &Passage<'_>),
}

/// Every feature, in the order of the work.
pub const TABLE: &[Feature] = &[
    Feature { name: "asserted_identity", apply: asserted_identity::apply },
    Feature { name: "call_info", apply: call_info::apply },
];

/// Applies every feature to the copy for one branch.
pub fn apply(request: &mut Message, passage: &Passage<'_>) {
    for feature in TABLE {
        (feature.apply)(request, passage);
    }
}
