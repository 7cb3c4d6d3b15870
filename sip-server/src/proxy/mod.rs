//! Forwarding — RFC 3261 §16.6 to §16.10: one task for each request under way owns its response context.

pub(crate) mod ahead;
mod answers;
mod fork;
mod passed;
mod patience;
mod record_route;
mod redirect;
mod relayed;
mod ways;

pub(crate) use fork::forward;
pub(crate) use passed::Passed;
pub(crate) use record_route::{Side, caller_followed, record_route};
