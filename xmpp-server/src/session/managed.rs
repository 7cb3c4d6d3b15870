//! The shell of stream management — XEP-0198 1.6.3, sections 3 to 6; the counters are [`xmpp_core::stream::management`]'s.
//!
//! In    commands of the client; stanzas of the client, counted when they are handled.
//! Out   `<enabled/>`, `<a/>` and nudges to ask for more acks into the outbox; messages that waited are forgotten when they are acked.
//! State how many stanzas were handled; under which id the session can be resumed, and for how long.
//! Errors an ack of too much ends the stream; a second `<enable/>` is refused.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared_model::{AccountId, Spec};
use xmpp_core::stream::management::{self, Command, TooHigh, Unacked};
use xmpp_core::stream::{StreamCondition, StreamError};
use xmpp_core::{ErrorKind, Jid};

use super::client::given;
use super::door::Door;
use crate::queue::Sender;
use crate::router::{Outgoing, What};
use crate::server::Server;

pub(crate) const SPEC: Spec = Spec::xep(198, "1.6.3")
    .complete()
    .note("between servers, a lost stream is followed by one that sends what the other side did not handle");

/// What is managed of one session.
pub(super) struct Managed {
    account: AccountId,
    unacked: Arc<Mutex<Unacked<Outgoing>>>,
    door: Arc<Door>,
    /// Stanzas of the client that were handled since `<enable/>`; none before.
    handled: Option<u32>,
    /// How long a session may be without connection at most; zero: not at all.
    most: Duration,
    /// The id of the session, and how long it may be without connection.
    resumable: Option<(String, Duration)>,
}

impl Managed {
    pub(super) fn new(
        account: AccountId,
        unacked: Arc<Mutex<Unacked<Outgoing>>>,
        door: Arc<Door>,
        most: Duration,
    ) -> Self {
        Self { account, unacked, door, handled: None, most, resumable: None }
    }

    /// Whose session it is.
    pub(super) fn account(&self) -> AccountId {
        self.account
    }

    /// A stanza of the client was handled.
    pub(super) fn count(&mut self) {
        self.handled = self.handled.map(|handled| handled.wrapping_add(1));
    }

    /// Whether stanzas are counted.
    pub(super) fn is_on(&self) -> bool {
        self.handled.is_some()
    }

    pub(super) fn is_resumable(&self) -> bool {
        self.resumable.is_some()
    }

    /// How long the session may be without connection.
    pub(super) fn patience(&self) -> Duration {
        self.resumable.as_ref().map_or(Duration::ZERO, |(_, patience)| *patience)
    }

    /// `<resumed/>`.
    pub(super) fn resumed(&self) -> String {
        let id = self.resumable.as_ref().map_or("", |(id, _)| id);
        management::resumed(id, self.handled.unwrap_or_default())
    }

    /// The session ends, and cannot be resumed any more.
    pub(super) fn end(&mut self, server: &Server) {
        if let Some((id, _)) = self.resumable.take() {
            server.resumables.end(&id, self.account, self.handled.unwrap_or_default());
        }
    }

    /// Takes a command of the client.
    pub(super) async fn take(
        &mut self,
        server: &Arc<Server>,
        jid: &Jid,
        outbox: &Sender<Outgoing>,
        command: Command,
    ) -> Result<(), StreamError> {
        let answer = match (command, self.handled) {
            (Command::Enable { resume, max }, None) => {
                Outgoing { bytes: self.enable(server, resume, max).into(), what: What::Enabled }
            }
            (Command::Ask, Some(handled)) => Outgoing::words(management::ack(handled)),
            (Command::Ack(h), Some(_)) => {
                self.acknowledge(server, jid, h).await?;
                if !self.is_owed() {
                    return Ok(());
                }
                Outgoing { bytes: bytes::Bytes::new(), what: What::Nudge }
            }
            // §3: a second `<enable/>`, or acks of what is not managed.
            _ => {
                let why = "stream management is enabled once, and before it is used";
                let error = StreamError::because(StreamCondition::PolicyViolation, why);
                let failed = management::failed(ErrorKind::UnexpectedRequest, None);
                let mut text = String::new();
                failed.print(xmpp_core::ns::CLIENT, &mut text);
                let _ = outbox.send(Outgoing::words(text)).await; // the stream ends anyway
                return if self.handled.is_some() { Err(error) } else { Ok(()) };
            }
        };
        let _ = outbox.send(answer).await; // a writer that is gone ends the connection
        Ok(())
    }

    /// Begins: `<enabled/>`.
    pub(super) fn enable(&mut self, server: &Server, resume: bool, max: Option<u32>) -> String {
        self.handled = Some(0);
        let patience = max.map_or(self.most, |max| self.most.min(Duration::from_secs(max.into())));
        if resume && !patience.is_zero() {
            let id = server.new_id();
            server.resumables.begin(&id, self.account, Arc::clone(&self.door));
            self.resumable = Some((id, patience));
        }
        let resumable = self.resumable.as_ref().map(|(id, patience)| (id.as_str(), patience.as_secs()));
        management::enabled(resumable)
    }

    /// Takes an ack: what it sets free is done.
    pub(super) async fn acknowledge(&self, server: &Arc<Server>, jid: &Jid, h: u32) -> Result<(), TooHigh> {
        let free = self.unacked.lock().unwrap_or_else(PoisonError::into_inner).acknowledge(h)?;
        let mut waited: Vec<String> = free.into_iter().filter_map(|it| it.what.had()).collect();
        waited.extend(server.offline.spare(jid.bare_str()));
        if !waited.is_empty() {
            given(server, jid, &waited).await;
        }
        Ok(())
    }

    /// Whether more waits for an ack, and nobody asks for it.
    fn is_owed(&self) -> bool {
        let unacked = self.unacked.lock().unwrap_or_else(PoisonError::into_inner);
        !unacked.is_empty() && !unacked.is_asked()
    }
}
