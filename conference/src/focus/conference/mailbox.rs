//! A call to a mailbox: a conference of one, who is asked to speak after the tone.
//!
//! In    the call that the proxy sent here, the end of the prompt, keys. Out a message for whoever keeps it.
//! State whose mailbox it is, and the message while it is spoken.
//! Errors a message in which nobody spoke is none; one that cannot be kept is in the log, is counted, and is told of: its owner by chat, and
//!       the caller, if they are still there, by a prompt.
//!
//! `#` ends the message, as hanging up does, and `conference.voicemail_longest`. The focus is no focus here: nobody watches,
//! invites or is told who calls.

use std::time::{Duration, Instant};

use shared_model::{BareJid, Said, Unrecorded, VoiceMessage};

use super::super::Input;
use super::super::admission::Caller;
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
    stage: Stage,
    /// Its owner calls.
    pub(super) hearing: Option<Hearing>,
    /// The call ends then.
    pub(super) until: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Prompt,
    Message,
    /// What was said is on its way to whoever keeps it.
    Keeping,
}

impl Mailbox {
    pub(super) fn of(ticket: Ticket) -> Self {
        let (call, hearing) = match ticket {
            Ticket::Leaves(call) => (call, None),
            // Whose it is shows who calls.
            Ticket::Hears => (Err(403), Some(Hearing::new())),
        };
        Self { call, message: None, stage: Stage::Prompt, hearing, until: None }
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
            false => self.take_message(participant.leg).await,
        }
    }

    /// All that was to be said was said.
    pub(super) async fn prompted_at_mailbox(&mut self, leg: LegId, serial: u64) {
        match self.mailbox.as_ref().is_some_and(|mailbox| mailbox.hearing.is_some()) {
            true => self.was_said(leg, serial).await,
            false => self.take_message(leg).await,
        }
    }

    /// What was waited for did not come, or took long enough.
    pub(super) async fn mailbox_is_over(&mut self) {
        match self.mailbox.as_ref().is_some_and(|mailbox| mailbox.hearing.is_some()) {
            true => self.hearing_is_over().await,
            // The store said nothing in time.
            false if self.mailbox.as_ref().is_some_and(|mailbox| mailbox.stage == Stage::Keeping) => {
                self.message_was(Fate::Lost).await;
            }
            false => {
                if let Some(leg) = self.participants.first().map(|participant| participant.leg) {
                    self.end_message(leg).await;
                }
            }
        }
    }

    /// The tone was heard: the message begins.
    async fn take_message(&mut self, leg: LegId) {
        let serial = self.random() as u32;
        let longest = self.focus.parts().config.voicemail_longest;
        let Some(mailbox) = self.mailbox.as_mut().filter(|mailbox| mailbox.stage == Stage::Prompt) else {
            return;
        };
        match Tape::begin(Vec::new(), serial, longest, Tail::Cut) {
            Ok((tape, ending)) => {
                mailbox.stage = Stage::Message;
                mailbox.message = Some(ending);
                mailbox.until = Some(Instant::now() + longest);
                self.mixer.tell(Command::Record(Some(tape))).await;
            }
            Err(error) => {
                tracing::error!(%error, "a message cannot be recorded");
                self.end_message(leg).await;
            }
        }
    }

    /// A key during a message.
    pub(super) async fn press_at_mailbox(&mut self, leg: LegId, key: char) {
        if self.mailbox.as_ref().is_some_and(|mailbox| mailbox.hearing.is_some()) {
            return self.press_at_own_mailbox(leg, key).await;
        }
        match self.mailbox.as_ref().map(|mailbox| mailbox.stage) {
            // Before the tone nothing was left.
            Some(Stage::Prompt) if key == '#' => self.hang_up(leg, NO_MESSAGE).await,
            Some(_) if key == '#' => self.end_message(leg).await,
            _ => {}
        }
    }

    /// The message is over, and the caller still there, who hears it if it is not kept.
    async fn end_message(&mut self, leg: LegId) {
        let Some(mailbox) = &mut self.mailbox else { return };
        match mailbox.stage {
            Stage::Prompt | Stage::Message => {
                mailbox.stage = Stage::Keeping;
                mailbox.until = Some(Instant::now() + PATIENCE);
                let about =
                    self.participants.iter().find(|participant| participant.leg == leg).map(About::of);
                if let Some(about) = about {
                    self.keep_message(about).await;
                }
            }
            Stage::Keeping => self.hang_up(leg, "Message Taken").await,
        }
    }

    /// What became of the message of a caller who may still be there.
    pub(super) async fn message_was(&mut self, fate: Fate) {
        let Some(at) = self.participants.iter().position(|participant| participant.is_joined) else { return };
        if let Some(mailbox) = &mut self.mailbox {
            mailbox.until = None;
        }
        if fate == Fate::Lost {
            self.say(self.participants[at].leg, Prompt::NotKept).await;
            return self.end(at, "Message Not Kept").await;
        }
        let reason = if fate == Fate::Kept { "Message Taken" } else { NO_MESSAGE };
        self.hang_up_at(at, reason).await;
    }

    /// The caller is gone: what was said is kept.
    pub(super) async fn end_mailbox(&mut self, caller: &Participant) {
        let Some(mailbox) = &mut self.mailbox else { return };
        mailbox.until = None;
        // Who hung up before the tone left nothing.
        if std::mem::replace(&mut mailbox.stage, Stage::Keeping) == Stage::Message {
            self.keep_message(About::of(caller)).await;
        }
    }

    /// Keeps what was said, which may be nothing. Whoever keeps it tells its owner, also of what is lost.
    async fn keep_message(&mut self, About { from, caller, span }: About) {
        let Some(Mailbox { call, message, .. }) = &mut self.mailbox else { return };
        let Ok(call) = std::mem::replace(call, Err(486)) else { return };
        let message = message.take();
        self.mixer.tell(Command::Record(None)).await;
        let parts = self.focus.parts();
        let Some(messages) = parts.messages.clone() else { return };
        let (inbox, metrics) = (self.inbox.clone(), parts.metrics.clone());
        parts.shutdown.spawn(async move {
            let recorded = match message {
                Some(message) => message.await.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into())),
                None => Err(std::io::Error::other("its tape did not begin")),
            };
            let said = match recorded {
                Ok(recorded) if recorded.spoken < LEAST => {
                    span.in_scope(|| tracing::info!("the caller left no message"));
                    None
                }
                Ok(recorded) => Some(Ok(Said { duration: recorded.duration, sound: recorded.out })),
                Err(error) => {
                    span.in_scope(|| tracing::error!(%error, "a message was not recorded"));
                    Some(Err(Unrecorded))
                }
            };
            let fate = match said {
                None => Fate::Nothing,
                Some(said) => {
                    let seconds = said.as_ref().map_or(0, |said| said.duration.as_secs());
                    match messages.keep(&call.owner, VoiceMessage { from, caller, said }).await {
                        Ok(()) => {
                            span.in_scope(|| tracing::info!(seconds, "the caller left a message"));
                            Fate::Kept
                        }
                        Err(unavailable) => {
                            span.in_scope(
                                || tracing::error!(%unavailable, seconds, "a message could not be kept"),
                            );
                            Fate::Lost
                        }
                    }
                }
            };
            metrics.voice_message(fate.as_str());
            // Most callers have hung up, and their conference is over: the fate was counted, and told in the chat, before this.
            let _ = inbox.send(Input::MessageWas(fate)).await;
        });
    }
}

/// Who leaves a message.
struct About {
    from: Option<BareJid>,
    caller: String,
    span: tracing::Span,
}

impl About {
    fn of(participant: &Participant) -> Self {
        let Caller { display_name, uri, .. } = &participant.caller;
        let caller = match display_name.as_str() {
            "" => uri.trim_start_matches("sip:").to_owned(),
            name => name.to_owned(),
        };
        Self { from: participant.shown().jid, caller, span: participant.span() }
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    Lost,
    /// Nobody spoke.
    Nothing,
}

impl Fate {
    fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Lost => "lost",
            Self::Nothing => "nothing",
        }
    }
}

/// Why a call ends that left nothing.
const NO_MESSAGE: &str = "No Message";
/// How long a caller waits to hear what became of their message: for longer than the store takes to say that it does not answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Who spoke for less said nothing.
const LEAST: Duration = Duration::from_millis(500);
