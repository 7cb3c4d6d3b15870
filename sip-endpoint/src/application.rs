//! The face towards whoever uses the endpoint: the transaction user (RFC 3261 §5).

use std::sync::{Arc, OnceLock};

use sip_core::Message;
use sip_core::transaction::ServerKey;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;

use crate::flow::Flow;
use crate::shard::Input;

/// Whoever takes requests: a proxy, a registrar, a focus. Its methods are called by shards and readers and must not wait;
/// what takes time goes into a task.
pub trait Application: Send + Sync + 'static {
    /// A new request, other than ACK and CANCEL. It is answered through [`Incoming::server`].
    fn request(&self, incoming: Incoming);
    /// The answer to a request that needs no transaction, such as the first challenge to somebody unproved
    /// (RFC 3261 §26.3.2.4); `None` for all others. Called for every request, by whoever read it.
    fn at_once(&self, _request: &Message, _flow: &Flow) -> Option<Message> {
        None
    }
    /// The answer to a request that would begin a transaction, instead of beginning it: [`Endpoint::lateness`] and RFC 3261
    /// §21.5.4 (503); `None` to take it. Not called for what belongs to a transaction that is known.
    ///
    /// [`Endpoint::lateness`]: crate::Endpoint::lateness
    fn refuses(&self, _request: &Message, _flow: &Flow) -> Option<Message> {
        None
    }
    /// An ACK of a 2xx (RFC 3261 §13.2.2.4): it belongs to a dialog, not to a transaction.
    fn ack(&self, ack: Message, flow: Flow);
    /// A 2xx that was sent again, after who sent the request had heard the first (RFC 6026 §7.3).
    fn stray(&self, _response: Message, _flow: Flow) {}
    /// A connection is closed; what was bound to it cannot be reached by it.
    fn flow_lost(&self, _flow: Flow) {}
}

/// A request that waits for an answer.
pub struct Incoming {
    /// The request, its topmost Via stamped with where it came from.
    pub request: Message,
    /// What it came over.
    pub flow: Flow,
    /// Where the answer goes.
    pub server: ServerHandle,
}

/// The server transaction of a request.
#[derive(Clone)]
pub struct ServerHandle {
    pub(crate) key: ServerKey,
    pub(crate) shard: mpsc::Sender<Input>,
    pub(crate) cancelled: Arc<Cancelled>,
}

/// Whether the caller gave up, and why.
#[derive(Default)]
pub(crate) struct Cancelled {
    token: CancellationToken,
    reason: OnceLock<String>,
}

impl Cancelled {
    pub(crate) fn tell(&self, reason: String) {
        // A CANCEL that came again says nothing new.
        let _ = self.reason.set(reason);
        self.token.cancel();
    }
}

impl ServerHandle {
    /// Answers: any number of provisional responses, then a final one; a 2xx to INVITE may be sent again until its ACK
    /// came (RFC 3261 §13.3.1.4). While its shard is full, a provisional response is dropped and a final one waits: one of a
    /// transaction at most.
    pub fn respond(&self, response: Message) {
        let is_final = response.status() >= 200;
        match self.shard.try_send(Input::Respond(self.key.clone(), Box::new(response))) {
            Err(TrySendError::Full(answer)) if is_final => {
                let shard = self.shard.clone();
                tokio::spawn(async move {
                    // An error says that the endpoint stopped.
                    let _ = shard.send(answer).await;
                });
            }
            Err(TrySendError::Full(_)) => tracing::warn!("a response was dropped: its shard is full"),
            // As above.
            Err(TrySendError::Closed(_)) | Ok(()) => {}
        }
    }

    /// Ends when the caller cancelled the INVITE. The CANCEL has its answer; the INVITE wants 487. Cancel safe.
    pub async fn cancelled(&self) {
        self.cancelled.token.cancelled().await;
    }

    /// Whether the caller cancelled the INVITE.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.token.is_cancelled()
    }

    /// The Reason of the CANCEL (RFC 3326), or nothing.
    pub fn cancel_reason(&self) -> &str {
        self.cancelled.reason.get().map_or("", String::as_str)
    }
}
