//! What writes a stream: words of the stream before stanzas, many stanzas at once — XEP-0478 0.2.0, section 4 (what is too large),
//! XEP-0198 §4 (a question behind a batch, when no earlier one is open).
//!
//! In    a queue of stanzas, and words. Out bytes, in the content namespace that the stream has.
//! Errors a socket that takes nothing for [`WRITE_PATIENCE`] is lost: whoever reads it is told, and what was not written is
//!        in the queue again, or waits for an ack if acks are given. A batch goes out in pieces of whole stanzas, no more than a
//!        record of TLS holds, so that of a piece that broke off nothing was read, and nothing of what went before comes twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use prometheus::IntCounter;
use shared_runtime::unix_millis;
use tokio::io::{AsyncWrite, AsyncWriteExt, WriteHalf};
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
    /// Until nothing more will be said, the socket takes nothing, or it is stopped. The socket comes back if nothing broke off in it:
    /// whoever flushed or closed it would send the rest of a piece whose stanzas are in the queue again.
    pub(crate) async fn run(
        mut self,
        mut stopped: oneshot::Receiver<()>,
        breaks: oneshot::Sender<()>,
    ) -> (Queue, Option<WriteHalf<Box<dyn Io>>>) {
        let mut batch = Vec::new();
        let mut ends = Vec::new(); // where each of the batch ends in the text
        let mut has_queue = true;
        let mut farewell = None;
        loop {
            let mut text = Vec::new();
            ends.clear();
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
                    None => return (self.queue, Some(self.io)),
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
                                ends.push(text.len());
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
            let mut written = 0;
            let writing = write_pieces(&mut self.io, &text, &ends, &mut written);
            let is_sent = tokio::select! {
                sent = timeout(WRITE_PATIENCE, writing) => matches!(sent, Ok(Ok(()))),
                _ = &mut stopped => false,
            };
            let count = ends.iter().take_while(|end| **end <= written).count();
            if count > 0 {
                self.sent.inc_by(count as u64);
                self.last.store(unix_millis(), Ordering::Relaxed);
                batch.drain(..count);
            }
            if !is_sent {
                if is_counted {
                    batch.clear();
                }
                break;
            }
        }
        self.queue.put_first(batch);
        let _ = breaks.send(()); // who listens may have stopped already
        (self.queue, None)
    }
}

/// Writes a text in pieces that end where a stanza does; how much went out whole is in `written` whenever this is dropped.
async fn write_pieces(
    io: &mut (impl AsyncWrite + Unpin),
    text: &[u8],
    ends: &[usize],
    written: &mut usize,
) -> std::io::Result<()> {
    while *written < text.len() {
        let most = *written + LARGEST_PIECE;
        let next = match text.len() <= most {
            true => text.len(),
            // What is larger than a piece goes out alone.
            false => {
                let ahead = ends.iter().copied().filter(|end| end > written);
                let fits = ahead.clone().take_while(|end| *end <= most).last();
                fits.or_else(|| ahead.min()).unwrap_or(text.len())
            }
        };
        io.write_all(&text[*written..next]).await?;
        io.flush().await?;
        *written = next;
    }
    Ok(())
}

async fn changed(acks: Option<&Acks>) {
    match acks {
        Some(acks) => acks.changed().await,
        None => std::future::pending().await,
    }
}

/// Bytes of a piece: a record of TLS holds as many (RFC 8446 §5.1).
const LARGEST_PIECE: usize = 16_384;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use xmpp_core::{Element, Kind, ns};

    use super::*;

    fn stanza(id: &str, bytes: usize) -> Stanza {
        let body = Element::new("body", ns::CLIENT).text_node("x".repeat(bytes));
        Stanza::new(Kind::Message, None).with_id(Some(id)).with(&body)
    }

    #[tokio::test]
    async fn what_went_out_before_the_socket_took_no_more_does_not_go_out_again() {
        let (near, mut far) = tokio::io::duplex(25_000);
        // As TLS does, it holds what the socket did not take.
        let near = tokio::io::BufStream::with_capacity(1, 2 * LARGEST_PIECE, near);
        let (reader, io) = tokio::io::split(Box::new(near) as Box<dyn Io>);
        let (sender, queue) = Queue::new(8, 1 << 20);
        for (id, bytes) in [("1", 5_000), ("2", 5_000), ("3", 9_000), ("4", 9_000), ("5", 40_000)] {
            sender.try_send(stanza(id, bytes)).unwrap();
        }
        let (_speaks, spoken) = mpsc::channel(1);
        let writer = Writer {
            too_large: None,
            acks: None,
            queue,
            spoken,
            io,
            last: Arc::default(),
            sent: IntCounter::new("sent", "stanzas").unwrap(),
            leaves: Arc::default(),
        };
        let (stop, stopped) = oneshot::channel();
        let (breaks, broken) = oneshot::channel();
        let sent = writer.sent.clone();
        let running = tokio::spawn(writer.run(stopped, breaks));
        // Three are in the pipe, and a part of the fourth.
        far.read_u8().await.unwrap();
        stop.send(()).unwrap();
        let (queue, io) = running.await.unwrap();
        broken.await.unwrap();
        // Now the other side reads again.
        let ending = tokio::spawn(async move {
            if let Some(mut io) = io {
                crate::c2s::close(&mut io).await;
            }
            drop(reader);
        });
        let mut read = String::new();
        far.read_to_string(&mut read).await.unwrap();
        ending.await.unwrap();
        assert_eq!(read.matches("</message>").count(), 3, "what is sent again did not go out");
        let left: Vec<_> = queue.drain().into_iter().filter_map(|stanza| stanza.id).collect();
        assert_eq!((sent.get(), left.concat().as_str()), (3, "45"));
    }
}
