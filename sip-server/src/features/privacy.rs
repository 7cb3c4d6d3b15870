//! Privacy — RFC 3323 §4.1 (anonymous From), §4.2 (the Privacy header); RFC 3325 §9.3 (`id`).
//!
//! In    a request. Out whether its sender wants to stay unknown, which `sip-core` says to the focus too.
//! Not here: the `header` and `session` services, which would need a back-to-back user agent.

use shared_model::Spec;

pub use sip_core::privacy::{is_anonymous, is_wished};

/// RFC 3323.
pub const SPEC: Spec =
    Spec::rfc(3323).note("id and anonymous From are honoured; no privacy service of its own");
