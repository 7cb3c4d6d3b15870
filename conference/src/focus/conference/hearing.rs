//! A call to one's own mailbox: what callers left is said to its owner.
//!
//! In    the call of whoever the proxy proved, keys, the ends of what was said.
//! Out   how many messages there are, the new ones first; of each which it is, whose number left it if that is one, how long ago, and
//!       itself. `1` goes on, and after the last begins again; `5` says one again, `7` erases it, `#` ends the call.
//! State the list as it was when the call came; at its end is what was left since. A message was heard when it was said to its end, or its owner went on from it.
//! Errors 403 for whom no account proves, 480 where prompts are off; a mailbox that cannot be read is told of.
//!
//! Times are told as how long ago: the service does not know what time it is where its owner is.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use shared_auth::By;
use shared_model::{BareJid, KeptMessage, OwnChatError};

use super::super::admission::Caller;
use super::Conference;
use crate::mixer::{Command, LegId, Prompt, Sound, Word};

/// Where the owner is in their mailbox.
pub(super) struct Hearing {
    messages: Vec<KeptMessage>,
    /// Those that are, or were, among them.
    known: HashSet<String>,
    at: usize,
    phase: Phase,
    /// The number of what is said now.
    serial: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A message follows.
    Before,
    /// A message is said.
    Message,
    /// What keys do is said, or a key is waited for.
    Keys,
    /// A last word is said.
    Over,
}

impl Hearing {
    pub(super) fn new() -> Self {
        Self { messages: Vec::new(), known: HashSet::new(), at: 0, phase: Phase::Before, serial: 0 }
    }
}

impl Hearing {
    fn add(&mut self, messages: Vec<KeptMessage>) {
        self.known.extend(messages.iter().map(|message| message.id.clone()));
        self.messages.extend(messages);
    }
}

impl Conference {
    /// Whether who calls may; of what is nobody's own mailbox everybody.
    pub(super) fn opens_for(&mut self, caller: &Caller) -> Result<(), (u16, &'static str)> {
        let Some(mailbox) = self.mailbox.as_mut().filter(|mailbox| mailbox.hearing.is_some()) else {
            return Ok(());
        };
        let Some(card) = &caller.card else { return Err((403, "A Mailbox Is Its Account's")) };
        if !self.focus.parts().config.prompts {
            return Err((480, "Nothing Is Said Here"));
        }
        mailbox.call = self.focus.tickets().hears(card.jid.clone());
        mailbox.refusal().map_or(Ok(()), |status| Err((status, "")))
    }

    /// The owner is there.
    pub(super) async fn begin_hearing(&mut self, leg: LegId) {
        let Some(owner) = self.owner() else { return };
        let mut messages = match self.own_chat() {
            Some(chat) => match chat.voice_messages(&owner).await {
                Ok(messages) => messages,
                Err(error) => {
                    tracing::warn!(%error, "an owner hears that their mailbox is closed");
                    return self.end_hearing(leg, Prompt::MailboxClosed).await;
                }
            },
            None => Vec::new(),
        };
        messages.sort_by_key(|message| (message.is_heard, message.at));
        if messages.is_empty() {
            return self.end_hearing(leg, Prompt::MailboxEmpty).await;
        }
        let old = messages.iter().filter(|message| message.is_heard).count();
        let counts = [
            (messages.len() - old, Prompt::NewMessage, Prompt::NewMessages),
            (old, Prompt::OldMessage, Prompt::OldMessages),
        ];
        let mut words = vec![Word::Prompt(Prompt::YouHave)];
        words.extend(counts.into_iter().filter(|(count, ..)| *count > 0).flat_map(counted));
        if let Some(hearing) = self.hearing() {
            hearing.add(messages);
        }
        self.speak(leg, Phase::Before, words).await;
    }

    /// All that was to be said was said, or what was said before that.
    pub(super) async fn was_said(&mut self, leg: LegId, serial: u64) {
        let Some(hearing) = self.hearing().filter(|hearing| hearing.serial == serial) else { return };
        match hearing.phase {
            Phase::Before => self.say_message(leg).await,
            Phase::Message => {
                self.heard().await;
                self.speak(leg, Phase::Keys, vec![Word::Prompt(Prompt::MailboxKeys)]).await;
            }
            Phase::Keys => {
                if let Some(mailbox) = &mut self.mailbox {
                    mailbox.until = Some(Instant::now() + PATIENCE);
                }
            }
            Phase::Over => self.hang_up(leg, OVER).await,
        }
    }

    /// A key of the owner.
    pub(super) async fn press_at_own_mailbox(&mut self, leg: LegId, key: char) {
        let Some(hearing) = self.hearing().filter(|hearing| hearing.phase != Phase::Over) else { return };
        let count = hearing.messages.len();
        match key {
            '1' => {
                if hearing.phase == Phase::Message {
                    self.heard().await;
                }
                let Some(Hearing { at, phase, .. }) = self.hearing() else { return };
                let next = match (*phase, *at) {
                    (Phase::Before, at) => at,
                    (_, at) if at < count => at + 1,
                    (_, at) if self.look_again().await > 0 => at,
                    _ => 0,
                };
                if let Some(hearing) = self.hearing() {
                    hearing.at = next;
                }
                self.say_message(leg).await;
            }
            '5' => {
                hearing.at = hearing.at.min(count.saturating_sub(1));
                self.say_message(leg).await;
            }
            // What nobody heard is not erased: after an erasure the next message follows.
            '7' if hearing.at < count && hearing.phase != Phase::Before => {
                let message = hearing.messages.remove(hearing.at);
                let Some((owner, chat)) = self.owner().zip(self.own_chat()) else { return };
                let erased = chat.remove_voice_message(&owner, &message.id).await;
                if erased.is_ok() {
                    self.note_erased(leg, &message.id).await;
                }
                match erased {
                    Ok(()) | Err(OwnChatError::Nothing) => {
                        self.speak(leg, Phase::Before, vec![Word::Prompt(Prompt::MailboxErased)]).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a voice message was not erased");
                        self.end_hearing(leg, Prompt::MailboxClosed).await;
                    }
                }
            }
            '#' => self.end_hearing(leg, Prompt::Goodbye).await,
            _ => {}
        }
    }

    /// As pages and programs note it.
    async fn note_erased(&self, leg: LegId, id: &str) {
        let Some(owner) = self.participants.iter().find(|participant| participant.leg == leg) else { return };
        let Some(card) = &owner.caller.card else { return };
        let (by, on) = (By::from(card).at(owner.source), format!("{} {id}", card.aor));
        self.focus.parts().audit.note(by, "voice message removed", on).await;
    }

    /// No key came, or no end of the last word.
    pub(super) async fn hearing_is_over(&mut self) {
        let is_over = self.hearing().is_none_or(|hearing| hearing.phase == Phase::Over);
        match self.participants.first().map(|participant| participant.leg) {
            Some(leg) if !is_over => self.end_hearing(leg, Prompt::Goodbye).await,
            _ => self.hang_up_where(|_| true, OVER).await,
        }
    }

    /// Says the message where the owner is, or that there is none.
    async fn say_message(&mut self, leg: LegId) {
        let Some((owner, chat)) = self.owner().zip(self.own_chat()) else { return };
        loop {
            let is_at_end = self.hearing().is_some_and(|hearing| hearing.at >= hearing.messages.len());
            if is_at_end {
                self.look_again().await;
            }
            let Some(hearing) = self.hearing() else { return };
            if hearing.messages.is_empty() {
                return self.end_hearing(leg, Prompt::MailboxEmpty).await;
            }
            let at = hearing.at;
            let Some(message) = hearing.messages.get(at) else {
                let words = [Prompt::MailboxLast, Prompt::MailboxKeys].map(Word::Prompt);
                return self.speak(leg, Phase::Keys, words.into()).await;
            };
            let mut words = vec![Word::Prompt(Prompt::Message)];
            words.extend(Word::number(at + 1));
            words.extend(about(message, SystemTime::now()));
            match chat.voice_sound(&owner, &message.id).await {
                Ok(file) => {
                    // A file that cannot be read is not heard; it can be erased.
                    let (phase, last) = match Sound::open(&file) {
                        Some(sound) => (Phase::Message, Word::Sound(Box::new(sound))),
                        None => (Phase::Keys, Word::Prompt(Prompt::MailboxKeys)),
                    };
                    words.push(last);
                    return self.speak(leg, phase, words).await;
                }
                Err(OwnChatError::Nothing) => {
                    let Some(hearing) = self.hearing() else { return };
                    hearing.messages.remove(at); // it was removed meanwhile
                }
                Err(error) => {
                    tracing::warn!(%error, "an owner hears that their mailbox is closed");
                    return self.end_hearing(leg, Prompt::MailboxClosed).await;
                }
            }
        }
    }

    /// Puts what was left since at the end: how many messages.
    async fn look_again(&mut self) -> usize {
        let Some((owner, chat)) = self.owner().zip(self.own_chat()) else { return 0 };
        let mut messages = chat.voice_messages(&owner).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "it is not known whether an owner has heard all messages");
            Vec::new()
        });
        let Some(hearing) = self.hearing() else { return 0 };
        messages.retain(|message| !hearing.known.contains(&message.id));
        messages.sort_by_key(|message| message.at);
        let count = messages.len();
        hearing.add(messages);
        count
    }

    /// The message where the owner is was heard.
    async fn heard(&mut self) {
        let Some((owner, chat)) = self.owner().zip(self.own_chat()) else { return };
        let Some(hearing) = self.hearing() else { return };
        let Some(message) = hearing.messages.get_mut(hearing.at).filter(|message| !message.is_heard) else {
            return;
        };
        message.is_heard = true;
        if let Err(error) = chat.set_heard(&owner, &message.id, true).await {
            tracing::warn!(%error, "a voice message that was heard stays new");
        }
    }

    async fn speak(&mut self, leg: LegId, phase: Phase, words: Vec<Word>) {
        let Some(mailbox) = &mut self.mailbox else { return };
        mailbox.until = None;
        let Some(hearing) = &mut mailbox.hearing else { return };
        (hearing.phase, hearing.serial) = (phase, hearing.serial + 1);
        let tell = Command::Tell(leg, words, hearing.serial);
        self.mixer.tell(tell).await;
    }

    /// Hangs up after a last word.
    async fn end_hearing(&mut self, leg: LegId, last: Prompt) {
        self.speak(leg, Phase::Over, vec![Word::Prompt(last)]).await;
        if let Some(mailbox) = &mut self.mailbox {
            mailbox.until = Some(Instant::now() + PATIENCE);
        }
    }

    fn hearing(&mut self) -> Option<&mut Hearing> {
        self.mailbox.as_mut()?.hearing.as_mut()
    }

    fn owner(&self) -> Option<BareJid> {
        self.mailbox.as_ref()?.call.as_ref().ok().map(|taken| taken.owner.clone())
    }

    fn own_chat(&self) -> Option<std::sync::Arc<dyn shared_model::OwnChat>> {
        self.focus.parts().own_chat.clone()
    }
}

/// How many, and of what.
fn counted((count, one, several): (usize, Prompt, Prompt)) -> Vec<Word> {
    let mut words = Word::number(count);
    words.push(Word::Prompt(if count == 1 { one } else { several }));
    words
}

/// Who left a message, if that is a number, and how long ago, if that is known.
fn about(message: &KeptMessage, now: SystemTime) -> Vec<Word> {
    let mut words = Vec::new();
    let user = message.caller.split(['@', ';']).next().unwrap_or_default().trim_start_matches('+');
    let digits: Vec<u8> = user.bytes().map(|byte| byte.wrapping_sub(b'0')).collect();
    if (1..=MOST_DIGITS).contains(&digits.len()) && digits.iter().all(|digit| *digit < 10) {
        words.push(Word::Prompt(Prompt::From));
        words.extend(digits.into_iter().map(Word::Number));
    }
    let at = u64::try_from(message.at).ok().filter(|at| *at > 0);
    let age = at.and_then(|at| now.duration_since(UNIX_EPOCH + Duration::from_millis(at)).ok());
    let units = [
        (86_400, Prompt::DayAgo, Prompt::DaysAgo),
        (3_600, Prompt::HourAgo, Prompt::HoursAgo),
        (60, Prompt::MinuteAgo, Prompt::MinutesAgo),
    ];
    let Some(seconds) = age.map(|age| age.as_secs()) else { return words };
    match units.into_iter().find(|(unit, ..)| seconds >= *unit) {
        Some((unit, one, several)) => {
            words.extend(counted((usize::try_from(seconds / unit).unwrap_or(usize::MAX), one, several)));
        }
        None => words.push(Word::Prompt(Prompt::JustNow)),
    }
    words
}

/// Why such a call ends.
const OVER: &str = "Mailbox Closed";
/// A key is waited for no longer, nor the end of a last word.
const PATIENCE: Duration = Duration::from_secs(10);
/// Digits of a number (E.164).
const MOST_DIGITS: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_left_it_and_when_is_said_as_far_as_there_are_words() {
        let said = |caller: &str, seconds: u64| {
            let message = KeptMessage { caller: caller.to_owned(), at: 1_000, ..KeptMessage::default() };
            let now = UNIX_EPOCH + Duration::from_millis(1_000) + Duration::from_secs(seconds);
            let word = |word| match word {
                Word::Prompt(prompt) => format!("{prompt:?}"),
                Word::Number(number) => number.to_string(),
                Word::Sound(_) => "sound".to_owned(),
            };
            about(&message, now).into_iter().map(word).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(said("+4930", 59), "From 4 9 3 0 JustNow");
        assert_eq!(said("100@example.org", 60), "From 1 0 0 1 MinuteAgo");
        assert_eq!(said("Alice", 45 * 60 + 59), "40 5 MinutesAgo");
        assert_eq!(said("alice@example.org", 3 * 3_600), "3 HoursAgo");
        assert_eq!(said("", 86_400), "1 DayAgo");
        assert_eq!(said(&"1".repeat(16), 200 * 86_400), "MoreThan 50 9 DaysAgo");
        assert!(about(&KeptMessage::default(), SystemTime::now()).is_empty());
    }
}
