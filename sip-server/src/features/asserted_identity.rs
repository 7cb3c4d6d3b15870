//! P-Asserted-Identity — RFC 3325 §5 (proxy behaviour), §9.1, §9.2; the trust domain is this service.
//!
//! In    a request on its way. Out ours is the only assertion: what came from outside is taken off.
//! An assertion goes to our own endpoints always, and to devices unless the sender wants to stay unknown (§7).

use shared_model::Spec;
use sip_core::Message;
use sip_core::header::Name;

use super::{Destination, Passage};

/// RFC 3325.
pub const SPEC: Spec =
    Spec::rfc(3325).note("asserted towards our devices and the focus, removed towards others");

/// Takes foreign assertions off and puts ours on.
pub fn apply(request: &mut Message, passage: &Passage<'_>) {
    request.remove(Name::PAssertedIdentity);
    request.remove(Name::PPreferredIdentity);
    let may_tell = match passage.to {
        Destination::Trusted => true,
        Destination::Device => !passage.is_anonymous,
        Destination::Foreign => false,
    };
    if let Some(caller) = passage.caller.filter(|_| may_tell) {
        request.push(Name::PAssertedIdentity, &format!("<{}>", caller.aor.to_sip_uri()));
    }
}
