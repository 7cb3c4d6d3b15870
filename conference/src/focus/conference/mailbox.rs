//! A call to a mailbox: a conference of one, who is asked to speak after the tone.
//!
//! In    the call that the proxy sent here, the end of the prompt, keys. Out a message for whoever keeps it.
//! State whose mailbox it is, and the message while it is spoken.
//! Errors a message in which nobody spoke is none; one that cannot be kept is in the log.
//!
//! `#` ends the message, as hanging up does, and `conference.voicemail_longest`. The focus is no focus here: nobody watches,
//! invites or is told who calls.

use std::time::{Duration, Instant};

use shared_model::VoiceMessage;

use super::super::mailboxes::{Taken, Ticket};
use super::super::participant::Participant;
use super::Conference;
use super::hearing::Hearing;
use crate::mixer::{Command, Ending, LegId, Prompt, Tail, Tape};

/// A mailbox that takes a message, or that its owner hears.
pub(super) struct Mailbox {
    /// Whose it is; a status for who may leave, or hear, nothing.
    pub(super) call: Result<Taken, u16>,
    message: Option<Ending<Vec<u8>>>,
    /// Its owner calls.
    pub(super) hearing: Option<Hearing>,
    /// The call ends then.
    pub(super) until: Option<Instant>,
}

impl Mailbox {
    pub(super) fn of(ticket: Ticket) -> Self {
        let (call, hearing) = match ticket {
            Ticket::Leaves(call) => (call, None),
            // Whose it is shows who calls.
            Ticket::Hears => (Err(403), Some(Hearing::new())),
        };
        Self { call, message: None, hearing, until: None }
    }

    /// The status of a call that it does not take.
    pub(super) fn refusal(&self) -> Option<u16> {
        self.call.as_ref().err().copied()
    }

    /// The same, of every call.
    pub(super) fn is_closed(&self) -> Option<u16> {
        self.refusal().filter(|_| self.hearing.is_none())
    }
}

impl Conference {
    /// Somebody comes who may leave a message.
    pub(super) async fn greet(&mut self, participant: &mut Participant) {
        participant.is_joined = true;
        if self.mailbox.as_ref().is_some_and(|mailbox| mailbox.hearing.is_some()) {
            participant.span().in_scope(|| tracing::info!("an owner hears their mailbox"));
            return self.begin_hearing(participant.leg).await;
        }
        participant.span().in_scope(|| tracing::info!("a mailbox took the call"));
        match self.focus.parts().config.prompts {
            true => self.say(participant.leg, Prompt::Voicemail).await,
            false => self.take_message().await,
        }
    }

    /// All that was to be said was said.
    pub(super) async fn prompted_at_mailbox(&mut self, leg: LegId) {
        match self.mailbox.as_ref().is_some_and(|mailbox| mailbox.hearing.is_some()) {
            true => self.was_said(leg).await,
            false => self.take_message().await,
        }
    }

    /// What was waited for did not come, or took long enough.
    pub(super) async fn mailbox_is_over(&mut self) {
        match self.mailbox.as_ref().is_some_and(|mailbox| mailbox.hearing.is_some()) {
            true => self.hearing_is_over().await,
            false => self.hang_up_where(|_| true, "Message Taken").await,
        }
    }

    /// The tone was heard: the message begins.
    async fn take_message(&mut self) {
        let serial = self.random() as u32;
        let longest = self.focus.parts().config.voicemail_longest;
        let Some(mailbox) = self.mailbox.as_mut().filter(|mailbox| mailbox.message.is_none()) else { return };
        match Tape::begin(Vec::new(), serial, longest, Tail::Cut) {
            Ok((tape, ending)) => {
                mailbox.message = Some(ending);
                mailbox.until = Some(Instant::now() + longest);
                self.mixer.tell(Command::Record(Some(tape))).await;
            }
            Err(error) => tracing::error!(%error, "a message cannot be recorded"),
        }
    }

    /// A key during a message.
    pub(super) async fn press_at_mailbox(&mut self, leg: LegId, key: char) {
        if self.mailbox.as_ref().is_some_and(|mailbox| mailbox.hearing.is_some()) {
            return self.press_at_own_mailbox(leg, key).await;
        }
        if key == '#' {
            self.hang_up(leg, "Message Taken").await;
        }
    }

    /// The caller is gone: what was said is kept.
    pub(super) async fn keep_message(&mut self, caller: &Participant) {
        let Some(Mailbox { call, message, until, .. }) = &mut self.mailbox else { return };
        *until = None;
        let call = std::mem::replace(call, Err(486));
        let (Some(message), Ok(call)) = (message.take(), call) else { return };
        let from = caller.shown().jid;
        let name = match caller.caller.display_name.as_str() {
            "" => caller.caller.uri.trim_start_matches("sip:").to_owned(),
            name => name.to_owned(),
        };
        self.mixer.tell(Command::Record(None)).await;
        let parts = self.focus.parts();
        let Some(messages) = parts.messages.clone() else { return };
        let span = caller.span();
        parts.shutdown.spawn(async move {
            let recorded = match message.await {
                Ok(Ok(recorded)) if recorded.spoken >= LEAST => recorded,
                Ok(Ok(_)) => return span.in_scope(|| tracing::info!("the caller left no message")),
                Ok(Err(error)) => {
                    return span.in_scope(|| tracing::error!(%error, "a message was not recorded"));
                }
                Err(_) => return span.in_scope(|| tracing::error!("a message was not recorded")),
            };
            let message =
                VoiceMessage { from, caller: name, duration: recorded.duration, sound: recorded.out };
            let seconds = message.duration.as_secs();
            match messages.keep(&call.owner, message).await {
                Ok(()) => span.in_scope(|| tracing::info!(seconds, "the caller left a message")),
                Err(unavailable) => {
                    span.in_scope(|| tracing::error!(%unavailable, seconds, "a message could not be kept"));
                }
            }
        });
    }
}

/// Who spoke for less said nothing.
const LEAST: Duration = Duration::from_millis(500);
