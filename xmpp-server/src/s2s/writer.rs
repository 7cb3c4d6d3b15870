//! What writes a stream: words of the stream before stanzas, many stanzas at once — XEP-0478 0.2.0, section 4 (what is too large),
//! XEP-0198 §4 (a question behind a batch, when no earlier one is open).
//!
//! In    a queue of stanzas, and words. Out bytes, in the content namespace that the stream has.
//! Errors a socket that takes nothing for [`WRITE_PATIENCE`] is lost: whoever reads it is told, and what was not written is
//!        in the queue again, or waits for an ack if acks are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use prometheus::IntCounter;
use shared_runtime::unix_millis;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use xmpp_core::Stanza;
use xmpp_core::stream::limits::StreamLimits;
use xmpp_core::stream::management::ASK;

use super::acks::Acks;
use super::queue::Queue;
use crate::c2s::{Io, WRITE_PATIENCE};

/// What is not to be written, and who is told.
pub(crate) struct TooLarge {
    pub(crate) limits: StreamLimits,
    pub(crate) refuse: Box<dyn Fn(&Stanza) + Send>,
}

/// What writes one stream.
pub(crate) struct Writer {
    /// What the other side does not take, if it said so.
    pub(crate) too_large: Option<TooLarge>,
    /// What waits for acks, if the other side may give some.
    pub(crate) acks: Option<Arc<Acks>>,
    pub(crate) queue: Queue,
    /// Words of the stream itself; when nobody can say any more, the writer ends.
    pub(crate) spoken: mpsc::Receiver<String>,
    pub(crate) io: WriteHalf<Box<dyn Io>>,
    /// When the last stanza passed, milliseconds since 1970.
    pub(crate) last: Arc<AtomicI64>,
    /// Counts stanzas.
    pub(crate) sent: IntCounter,
    /// Whether what is said from now on are last words, which go behind what waits.
    pub(crate) leaves: Arc<AtomicBool>,
}

impl Writer {
    /// Until nothing more will be said, the socket takes nothing, or it is stopped.
    pub(crate) async fn run(
        mut self,
        mut stopped: oneshot::Receiver<()>,
        breaks: oneshot::Sender<()>,
    ) -> (Queue, WriteHalf<Box<dyn Io>>) {
        let mut batch = Vec::new();
        let mut has_queue = true;
        let mut farewell = None;
        loop {
            let mut text = Vec::new();
            let mut may_take = has_queue;
            if let Some(acks) = &self.acks {
                text = acks.turn(&mut self.queue);
                may_take &= acks.may_take();
            }
            let is_empty = !may_take || self.queue.is_empty();
            tokio::select! {
                biased;
                () = std::future::ready(()), if !text.is_empty() => {}
                () = std::future::ready(()), if is_empty && farewell.is_some() => {
                    text = farewell.take().map(String::into_bytes).unwrap_or_default();
                }
                said = self.spoken.recv(), if farewell.is_none() => match said {
                    Some(words) if self.leaves.load(Ordering::Relaxed) => farewell = Some(words),
                    Some(words) => text = words.into_bytes(),
                    None => return (self.queue, self.io),
                },
                () = changed(self.acks.as_deref()) => {}
                count = self.queue.next(&mut batch), if may_take => {
                    has_queue = count > 0;
                    batch.retain(|stanza| {
                        let bytes = stanza.to_foreign_bytes();
                        match &self.too_large {
                            Some(it) if it.limits.forbid(bytes.len()) => {
                                (it.refuse)(stanza);
                                false
                            }
                            _ => {
                                text.extend_from_slice(&bytes);
                                true
                            }
                        }
                    });
                }
            }
            let mut is_counted = false;
            if let Some(acks) = &self.acks {
                let asks;
                (is_counted, asks) = acks.count(&batch, Instant::now());
                if asks {
                    text.extend_from_slice(ASK.as_bytes());
                }
            }
            if text.is_empty() {
                continue;
            }
            let sent = timeout(WRITE_PATIENCE, async {
                self.io.write_all(&text).await?;
                self.io.flush().await
            });
            let sent = tokio::select! {
                sent = sent => matches!(sent, Ok(Ok(()))),
                _ = &mut stopped => false,
            };
            if !sent {
                if is_counted {
                    batch.clear();
                }
                break;
            }
            if !batch.is_empty() {
                self.sent.inc_by(batch.len() as u64);
                self.last.store(unix_millis(), Ordering::Relaxed);
                batch.clear();
            }
        }
        self.queue.put_first(batch);
        let _ = breaks.send(()); // who listens may have stopped already
        (self.queue, self.io)
    }
}

async fn changed(acks: Option<&Acks>) {
    match acks {
        Some(acks) => acks.changed().await,
        None => std::future::pending().await,
    }
}
