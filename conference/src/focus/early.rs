//! The early dialog of an announcement — RFC 3261 §12.1.1 (it begins with the 183), §12.2.2 (requests in it), §15.1.2 (BYE), RFC 3311 §5.2.
//!
//! In    requests of the caller, by Call-ID and our tag; the offer of an UPDATE.
//! Out   answers; keys by INFO, as if they came by RTP.
//! State one inbox for each announcement that is said.
//! Errors 481 of what is over; 415 for an INFO of something else than a key; 488 for an offer that fits nothing; 491 for an INVITE.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sip_core::Message;
use sip_core::header::Name;
use sip_endpoint::Incoming;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::keys::key_of_info;
use crate::mixer::{Heard, LegId};

/// Which dialogs there are.
#[derive(Clone, Default)]
pub(super) struct Dialogs(Arc<Mutex<HashMap<Key, mpsc::Sender<Incoming>>>>);

/// Call-ID and our tag.
type Key = (String, String);

/// One dialog. It is over when this goes.
pub(super) struct Dialog {
    dialogs: Dialogs,
    key: Key,
    inbox: mpsc::Receiver<Incoming>,
}

impl Dialogs {
    /// A response begins one, which has a tag of ours.
    pub(super) fn begin(&self, response: &Message) -> Option<Dialog> {
        let key = (response.call_id().to_owned(), response.to_tag()?.to_owned());
        let (sender, inbox) = mpsc::channel(WAITING);
        self.lock().insert(key.clone(), sender);
        Some(Dialog { dialogs: self.clone(), key, inbox })
    }

    /// Brings a request to its dialog; gives another back. What is too much at once is told to come later.
    pub(super) fn take(&self, incoming: Incoming) -> Result<(), Box<Incoming>> {
        let request = &incoming.request;
        let Some(tag) = request.to_tag() else { return Err(Box::new(incoming)) };
        let key = (request.call_id().to_owned(), tag.to_owned());
        let Some(inbox) = self.lock().get(&key).cloned() else { return Err(Box::new(incoming)) };
        match inbox.try_send(incoming) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(incoming)) => {
                incoming.server.respond(with(
                    Message::response(&incoming.request, 503, ""),
                    Name::RetryAfter,
                    "1",
                ));
                Ok(())
            }
            Err(TrySendError::Closed(incoming)) => Err(Box::new(incoming)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, mpsc::Sender<Incoming>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Dialog {
    fn drop(&mut self) {
        self.dialogs.lock().remove(&self.key);
    }
}

impl Dialog {
    /// Answers what comes, until the caller hangs up by a BYE.
    pub(super) async fn attend(
        &mut self,
        (leg, keys): (LegId, mpsc::Sender<Heard>),
        answer: impl Fn(&str) -> Option<String>,
    ) {
        while let Some(Incoming { request, server, .. }) = self.inbox.recv().await {
            let status = |status| Message::response(&request, status, "");
            let response = match request.method() {
                "BYE" => {
                    server.respond(status(200));
                    return;
                }
                "INFO" => {
                    let body = String::from_utf8_lossy(request.body());
                    let key = key_of_info(request.value(Name::ContentType).unwrap_or_default(), &body);
                    if let Some(key) = key {
                        // Who presses faster than is heard presses again.
                        let _ = keys.try_send(Heard::Key(leg, key));
                    }
                    match body.is_empty() || key.is_some() {
                        true => status(200),
                        false => with(status(415), Name::Accept, "application/dtmf-relay, application/dtmf"),
                    }
                }
                "UPDATE" => match std::str::from_utf8(request.body()).unwrap_or_default() {
                    "" => status(200),
                    offer => match answer(offer) {
                        Some(text) => {
                            let mut response = status(200);
                            response.set_body("application/sdp", text.into());
                            response
                        }
                        None => status(488),
                    },
                },
                "OPTIONS" => with(with(status(200), Name::Allow, ALLOW), Name::Accept, "application/sdp"),
                // §14.2: the first one is not answered yet.
                "INVITE" => status(491),
                "PRACK" => status(481),
                _ => with(status(405), Name::Allow, ALLOW),
            };
            server.respond(response);
        }
    }
}

fn with(mut response: Message, name: Name, value: &str) -> Message {
    response.push(name, value);
    response
}

const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO";
/// Requests of one dialog that wait.
const WAITING: usize = 8;
