//! A 2xx that comes again — RFC 3261 §13.3.1.4, RFC 6026 §7.3: the callee sends it until its ACK comes, and the caller hears
//! the same each time, whatever was taken off it or put on it.
//!
//! In    a 2xx as it was passed on, and the branch that it answered; the same 2xx once more.
//! Out   what was passed on, to whom it was passed on.
//! State one entry a call for 64*T1; at most [`MOST`], beyond which a 2xx that comes again goes on without what asserts who sent it.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use sip_core::Message;
use sip_endpoint::ServerHandle;

/// What was passed on of late, by branch.
#[derive(Default)]
pub(crate) struct Passed(DashMap<Box<str>, Kept>);

struct Kept {
    response: Message,
    caller: ServerHandle,
    since: Instant,
}

impl Passed {
    /// A 2xx of this branch of ours was passed on.
    pub(super) fn keep(&self, branch: &str, response: &Message, caller: &ServerHandle, now: Instant) {
        if self.0.len() < MOST {
            let kept = Kept { response: response.clone(), caller: caller.clone(), since: now };
            self.0.insert(branch.into(), kept);
        }
    }

    /// A 2xx came again, our Via still on it. False if it is another one, or is not known any more.
    pub(crate) fn again(&self, response: &Message) -> bool {
        let via = response.top_via();
        let Some(kept) = via.and_then(|via| via.branch()).and_then(|branch| self.0.get(branch)) else {
            return false;
        };
        if kept.response.to_tag() != response.to_tag() {
            return false;
        }
        kept.caller.respond(kept.response.clone());
        true
    }

    /// Forgets what nobody sends any more.
    pub(crate) fn forget_old(&self, now: Instant) {
        self.0.retain(|_, kept| now.duration_since(kept.since) < LONGEST);
    }
}

/// A kibibyte or two each.
const MOST: usize = 20_000;
/// 64*T1.
const LONGEST: Duration = Duration::from_secs(32);
