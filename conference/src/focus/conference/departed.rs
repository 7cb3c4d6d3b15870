//! Who left, for those who watch — RFC 4575 §5.7.6, §5.7.7: how and why, before their endpoint is gone from the document.
//!
//! In    legs that leave, calls of the focus that nobody took. Out endpoints that are disconnected, for [`SHOWN`] and [`MOST`] of them.
//! State what was shown of them last. Who was refused at the door is not told of: anybody could have everybody told so.

use std::time::{Duration, Instant, SystemTime};

use shared_model::{Audio, BareJid, Participant as Shown};
use sip_core::Message;
use sip_core::header::Name;

use super::super::admission::Caller;
use super::super::document::{DialogNames, Gone, Method, Person, Referred, Seen, Stage};
use super::super::participant::Participant;
use super::Conference;
use super::dial::Dialling;
use crate::mixer::LegId;

/// Those who left lately, and when each is not told of any more.
#[derive(Default)]
pub(super) struct Departed(Vec<(Instant, Seen)>);

impl Departed {
    fn push(&mut self, seen: Seen, now: Instant) {
        self.0.retain(|(_, known)| !is_same(known, &seen));
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push((now + SHOWN, seen));
    }

    /// When the next is not told of any more.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.first().map(|(until, _)| *until)
    }

    /// Forgets whose time is over.
    pub(super) fn timeout(&mut self, now: Instant) {
        self.0.retain(|(until, _)| *until > now);
    }
}

/// How and why a leg ends.
pub(super) struct End {
    method: Method,
    reason: Option<String>,
    by: Option<Person>,
}

impl End {
    /// They hung up, and may have said why.
    pub(super) fn departed(bye: &Message) -> Self {
        let reason = bye.value(Name::Reason).filter(|reason| reason.len() <= LONGEST_REASON);
        let reason = reason.map(|reason| format!("Reason: {reason}"));
        Self { method: Method::Departed, reason, by: None }
    }

    /// The focus hangs up.
    pub(super) fn booted(reason: &str, by: Option<Person>) -> Self {
        Self { method: Method::Booted, reason: Some(said(200, reason)), by }
    }
}

impl Conference {
    /// A leg is told of as one that left.
    pub(super) fn note_departed(&mut self, participant: &Participant, end: End) {
        let End { method, reason, by } = end;
        let seen = self.seen(participant, &[]);
        self.depart(seen, method, reason, by);
    }

    /// Somebody whom the focus called did not come.
    pub(super) fn note_not_come(
        &mut self,
        uri: &str,
        callee: &Caller,
        (status, why): (u16, &str),
        referred: Referred,
    ) {
        let method = if matches!(status, 486 | 600) { Method::Busy } else { Method::Failed };
        // A decline is for who asked.
        let reason = (status != 603).then(|| said(status, why));
        let by = referred.by.clone();
        self.depart(called(uri, callee, referred), method, reason, by);
    }

    fn depart(&mut self, seen: Seen, method: Method, reason: Option<String>, by: Option<Person>) {
        if self.mailbox.is_some() {
            return;
        }
        // Who is put out of the chat is put out of the call after it: what was told last has their nick.
        let rooms = [self.snapshot.as_ref(), self.told.0.as_ref()];
        let nick = seen.participant.jid.as_ref().and_then(|jid| {
            let mut occupants = rooms.into_iter().flatten().flat_map(|room| &room.occupants);
            occupants.find(|occupant| occupant.jid == *jid).map(|occupant| occupant.nick.clone())
        });
        let stage = Stage::Gone(Gone { method, when: SystemTime::now(), reason, by, nick });
        self.departed.push(Seen { is_speaking: false, stage, ..seen }, Instant::now());
    }

    /// Who is in the call, whom it calls, and who was there lately and is not again.
    pub(super) fn shown(&self) -> Vec<Seen> {
        let pictures = self.pictures.sources();
        let joined = self.participants.iter().filter(|participant| participant.is_joined);
        let mut shown: Vec<Seen> = joined.map(|participant| self.seen(participant, &pictures)).collect();
        // Of what has one name in the document, who is there is told of, and then who is called.
        let departed = self.departed.0.iter().map(|(_, seen)| seen.clone());
        for seen in self.dialling.iter().map(Dialling::seen).chain(departed) {
            if !shown.iter().any(|one| is_same(one, &seen)) {
                shown.push(seen);
            }
        }
        shown
    }
    fn seen(&self, participant: &Participant, pictures: &[(LegId, u32)]) -> Seen {
        let source = pictures.iter().find(|(leg, _)| *leg == participant.leg).map(|(_, source)| *source);
        Seen {
            participant: participant.shown(),
            contact: participant.endpoint().to_owned(),
            is_speaking: self.speaker == Some(participant.leg),
            is_called: participant.is_called,
            video: participant.video(),
            since: participant.since,
            sources: [participant.waits.source(), source],
            languages: participant.languages.clone(),
            referred: participant.referred.clone(),
            names: (!participant.caller.is_anonymous).then(|| {
                let (call_id, to_tag, from_tag) = participant.dialog.names();
                let [call_id, to_tag, from_tag] = [call_id, to_tag, from_tag].map(str::to_owned);
                DialogNames { call_id, from_tag, to_tag }
            }),
            stage: Stage::There,
        }
    }
}

/// Somebody whom the focus calls.
pub(super) fn called(uri: &str, callee: &Caller, referred: Referred) -> Seen {
    Seen {
        participant: Shown {
            account: callee.card.as_ref().map(|card| card.account),
            jid: callee.card.as_ref().map(|card| card.jid.clone()),
            uri: callee.uri.clone(),
            display_name: callee.display_name.clone(),
            audio: Audio::OnHold,
            has_video: false,
            is_hand_up: false,
            is_encrypted: false,
            gain: 0,
        },
        contact: uri.to_owned(),
        is_speaking: false,
        is_called: true,
        video: None,
        since: None,
        sources: [None; 2],
        languages: String::new(),
        referred: Some(referred),
        names: None,
        stage: Stage::Dialled,
    }
}

/// Whose wish something is, if they do not want to stay unknown.
pub(super) fn person(jid: &BareJid, uri: Option<String>, is_anonymous: bool) -> Option<Person> {
    let jid = jid.clone();
    uri.filter(|_| !is_anonymous).map(|uri| Person { jid, uri })
}

/// The languages that a device names (RFC 3261 §20.3), as the document lists them; what is no language is left out.
pub(super) fn languages(request: &Message) -> String {
    let all = request.other_values("Accept-Language").flat_map(|value| value.split(','));
    let tags = all.map(|one| one.split(';').next().unwrap_or_default().trim());
    let is_tag = |tag: &&str| {
        let mut parts = tag.split('-');
        let is_part =
            |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        parts.next().is_some_and(|first| is_part(first) && first.bytes().all(|b| b.is_ascii_alphabetic()))
            && parts.all(is_part)
    };
    tags.filter(is_tag).take(MOST_LANGUAGES).collect::<Vec<_>>().join(" ")
}

/// As §5.7.7 wants it (RFC 3326).
fn said(status: u16, text: &str) -> String {
    let text: String = text.chars().filter(|c| !matches!(c, '"' | '\\')).take(LONGEST_REASON).collect();
    format!("Reason: SIP;cause={status};text=\"{text}\"")
}

/// Whether two endpoints have one name in the document.
fn is_same(one: &Seen, two: &Seen) -> bool {
    one.contact == two.contact && one.participant.uri == two.participant.uri
}

/// Long enough for who is told once a second, and of many.
const SHOWN: Duration = Duration::from_secs(3);
const MOST: usize = 50;
/// Characters of what a reason says.
const LONGEST_REASON: usize = 200;
const MOST_LANGUAGES: usize = 8;
