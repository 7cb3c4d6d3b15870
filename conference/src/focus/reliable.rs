//! Provisional responses that are sent until they are acknowledged — RFC 3262 §3 (UAS), §5 (offers in PRACK).
//!
//! In    the INVITE of somebody who insists on it, and its PRACK. Out RSeq and Require in the response, the same response again at T1
//!       and ever longer, the 2xx of the PRACK with the answer to an offer in it.
//! State one entry for each response that waits for its PRACK; whoever waits bounds how many.
//! Errors an offer that fits nothing is 488 to its PRACK; a PRACK of nothing that waits is given back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sip_core::Message;
use sip_core::header::Name;
use sip_endpoint::{Incoming, ServerHandle};
use tokio::sync::oneshot;

/// What waits for its PRACK, by Call-ID and our tag.
#[derive(Clone, Default)]
pub(super) struct Early(Arc<Mutex<HashMap<(String, String), Waiting>>>);

struct Waiting {
    /// What RAck says of it.
    rack: String,
    heard: oneshot::Sender<Incoming>,
}

/// One that waits. It waits no longer when this goes.
pub(super) struct Reliable {
    early: Early,
    key: (String, String),
    heard: oneshot::Receiver<Incoming>,
}

impl Early {
    /// Makes a response a reliable one, if who gets it insists on that.
    pub(super) fn begin(&self, invite: &Message, response: &mut Message, random: u64) -> Option<Reliable> {
        if !invite.elements(Name::Require).any(|option| option.eq_ignore_ascii_case("100rel")) {
            return None;
        }
        let (number, method) = invite.cseq()?;
        let sequence = random % HIGHEST + 1;
        // The PRACK is in the dialog that this begins.
        response.ensure_to_tag(&format!("{random:016x}"));
        response.push(Name::Require, "100rel");
        response.push_other("RSeq", &sequence.to_string());
        let key = (invite.call_id().to_owned(), response.to_tag()?.to_owned());
        let (sender, heard) = oneshot::channel();
        let waiting = Waiting { rack: format!("{sequence} {number} {method}"), heard: sender };
        self.lock().insert(key.clone(), waiting);
        Some(Reliable { early: self.clone(), key, heard })
    }

    /// Brings a PRACK to who waits for it.
    pub(super) fn acknowledged(&self, prack: Incoming) -> Result<(), Box<Incoming>> {
        let request = &prack.request;
        let key = (request.call_id().to_owned(), request.to_tag().unwrap_or_default().to_owned());
        let rack = request.other_values("RAck").next().unwrap_or_default();
        let rack = rack.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let mut waiting = self.lock();
        if waiting.get(&key).is_none_or(|waiting| waiting.rack != rack) {
            return Err(Box::new(prack));
        }
        match waiting.remove(&key) {
            Some(found) => found.heard.send(prack).map_err(Box::new),
            None => Err(Box::new(prack)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reliable {
    fn drop(&mut self) {
        self.early.lock().remove(&self.key);
    }
}

/// Sends the response again and again until its PRACK comes, which is answered; then it does not end. Ends when none came in 64*T1.
pub(super) async fn repeat(
    reliable: Option<Reliable>,
    response: &Message,
    server: &ServerHandle,
    answer: impl Fn(&str) -> Option<String>,
) {
    let Some(mut reliable) = reliable else { return std::future::pending().await };
    let (mut interval, mut left) = (T1, 64 * T1);
    loop {
        tokio::select! {
            Ok(prack) = &mut reliable.heard => {
                respond(&prack, answer);
                return std::future::pending().await;
            }
            () = tokio::time::sleep(interval.min(left)) => {}
        }
        left = left.saturating_sub(interval);
        if left.is_zero() {
            return;
        }
        server.respond(response.clone());
        interval *= 2;
    }
}

/// §5: an offer in a PRACK has its answer in the 2xx.
fn respond(prack: &Incoming, answer: impl Fn(&str) -> Option<String>) {
    let request = &prack.request;
    let offer = std::str::from_utf8(request.body()).unwrap_or_default();
    let response = match offer.is_empty() {
        true => Message::response(request, 200, ""),
        false => match answer(offer) {
            Some(text) => {
                let mut response = Message::response(request, 200, "");
                response.set_body("application/sdp", text.into());
                response
            }
            None => Message::response(request, 488, ""),
        },
    };
    prack.server.respond(response);
}

/// RSeq begins between 1 and this.
const HIGHEST: u64 = (1 << 31) - 1;
/// RFC 3261 §17.1.1.1.
const T1: Duration = Duration::from_millis(500);
