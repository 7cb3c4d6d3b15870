//! A request that was sent, and what comes back.

use sip_core::Message;
use sip_core::transaction::{ClientKey, Failure};
use tokio::sync::mpsc;

use crate::shard::Input;

/// The client transaction of a request.
pub struct SentRequest {
    pub(crate) cancel: Cancel,
    pub(crate) answers: mpsc::Receiver<(usize, Answer)>,
}

/// Where answers go when several requests share a queue: the tag says which request it was.
#[derive(Clone)]
pub struct ReplyTo {
    /// The queue; when it is full a provisional response is lost, as in a net.
    pub queue: mpsc::Sender<(usize, Answer)>,
    /// The tag.
    pub tag: usize,
}

/// The handle by which a request that answers into a shared queue is cancelled.
#[derive(Clone)]
pub struct Cancel {
    pub(crate) key: Option<ClientKey>,
    pub(crate) shard: mpsc::Sender<Input>,
}

/// What came back.
#[derive(Debug)]
pub enum Answer {
    /// A response, with our Via still on top.
    Response(Box<Message>),
    /// Nothing will come: nobody answered in time, or the way is gone.
    Failed(Failure),
}

impl SentRequest {
    /// The next answer; `None` when the transaction is over. Cancel safe.
    pub async fn next(&mut self) -> Option<Answer> {
        self.answers.recv().await.map(|(_, answer)| answer)
    }

    /// The handle by which it is cancelled.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The final response, provisional ones passed over.
    pub async fn last(mut self) -> Result<Message, Failure> {
        while let Some(answer) = self.next().await {
            match answer {
                Answer::Response(response) if response.status() >= 200 => return Ok(*response),
                Answer::Response(_) => {}
                Answer::Failed(failure) => return Err(failure),
            }
        }
        Err(Failure::Unreachable)
    }
}

impl Cancel {
    /// Cancels an INVITE: now, or when its first provisional response comes (RFC 3261 §9.1). `reason` is the value of
    /// the CANCEL's Reason (RFC 3326), or empty.
    pub async fn send(&self, reason: &str) {
        if let Some(key) = &self.key {
            // An error says that the endpoint stopped, and with it the transaction.
            let _ = self.shard.send(Input::Cancel(key.clone(), reason.to_owned())).await;
        }
    }
}
