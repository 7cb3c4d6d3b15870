//! One connection of a session: its reader, and its writer as a task of its own.
//!
//! In    what a proven stream came over, and the way out of the session. Out the same way out, when the connection is over.
//! State the framer and the negotiation of the stream.
//! Errors a connection that takes no last words is closed without.

use std::sync::Arc;

use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use xmpp_core::Jid;
use xmpp_core::stream::{CLOSE, Negotiation, StreamError};
use xmpp_core::xml::Framer;

use super::outlet::{Outlet, Until};
use super::{Door, Transport};
use crate::c2s::{Io, close};
use crate::queue::Sender;
use crate::router::{Outgoing, What};
use crate::server::Server;

/// A socket with its reader, and its writer as a task of its own.
pub(super) struct Connection {
    pub(super) reader: ReadHalf<Box<dyn Io>>,
    pub(super) framer: Framer,
    pub(super) negotiation: Negotiation,
    write: JoinHandle<(Outlet, WriteHalf<Box<dyn Io>>)>,
    /// Dropped, it stops the writer.
    stop: oneshot::Sender<()>,
    /// Where the writer says that the socket takes nothing any more, or the client does not answer.
    door: Arc<Door>,
}

impl Connection {
    /// Begins to serve a session. In a box, in which it stays.
    pub(super) fn start(
        server: &Arc<Server>,
        transport: Transport,
        outlet: Outlet,
        (jid, door): (&Jid, &Arc<Door>),
    ) -> Box<Self> {
        let Transport { io, framer, negotiation } = transport;
        let (reader, writer) = tokio::io::split(io);
        let (stop, stopped) = oneshot::channel();
        door.connects();
        let until = Until { stopped, door: Arc::clone(door) };
        let write = tokio::spawn(outlet.write(Arc::clone(server), writer, jid.clone(), until));
        Box::new(Self { reader, framer, negotiation, write, stop, door: Arc::clone(door) })
    }

    /// Stops writing at once. What was not written is still in the outlet.
    pub(super) async fn halt(self) -> (Outlet, WriteHalf<Box<dyn Io>>) {
        drop(self.stop);
        joined(self.write.await)
    }

    /// Sends the last words, and waits until all is written or cannot be.
    pub(super) async fn finish(
        self,
        outbox: Sender<Outgoing>,
        last: String,
    ) -> (Outlet, ReadHalf<Box<dyn Io>>) {
        let Self { reader, write, stop, door, .. } = self;
        let last = last + CLOSE;
        // Who broke off has said so already, and listens no more for what is to be written.
        if door.is_broken() {
            drop(stop);
            let (outlet, mut io) = joined(write.await);
            if !outlet.is_cut() {
                let _ = timeout(LAST_WORDS, io.write_all(last.as_bytes())).await; // the peer may be gone
            }
            close(&mut io).await;
            return (outlet, reader);
        }
        let last = Outgoing { bytes: last.into(), what: What::End };
        let _ = timeout(LAST_WORDS, outbox.send(last)).await; // a full outbox has no last words
        drop(outbox);
        let mut write = write;
        let written = tokio::select! {
            written = &mut write => written,
            () = door.to_break() => {
                drop(stop);
                write.await
            }
        };
        let (outlet, mut io) = joined(written);
        close(&mut io).await;
        (outlet, reader)
    }
}

fn joined<T>(written: Result<T, tokio::task::JoinError>) -> T {
    written.unwrap_or_else(|_| unreachable!("a writer does not panic, and nobody cancels it"))
}

/// Ends a connection that may not have the session that it asked for.
pub(super) fn refuse(transport: Transport, why: StreamError) {
    refuse_io(transport.io, why);
}

pub(super) fn refuse_io(mut io: impl tokio::io::AsyncWrite + Unpin + Send + 'static, why: StreamError) {
    tokio::spawn(async move {
        let text = why.print() + CLOSE;
        let _ = timeout(LAST_WORDS, io.write_all(text.as_bytes())).await; // the peer may be gone
        close(&mut io).await;
    });
}

/// How long the last words may take.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(1);
