//! Offers of the focus within a call: more pictures for whoever sees fewer than there are — RFC 3261 §14.1 (re-INVITE), §14.2
//! (one at a time), RFC 3264 §8.1 (a new medium), RFC 3840 §10.1 (who has pictures).
//!
//! In    pictures that begin; answers to our re-INVITEs. Out re-INVITEs with media behind those that are there.
//! State beside each leg the offer that waits for its answer, when the next may be, and whether more is refused.
//! Errors who refuses, or turns pictures off, is not asked again until they turn some on; 491, and 500 with a Retry-After: again after a while, [`MOST_TRIES`] times in
//!        all; an offer that nobody answers is taken back, which is a refusal; 408 and 481 end the leg (§14.1). What was refused leaves the call as it was.
//!
//! A browser gets as many pictures as there are; a phone that came without gets one, if its Contact says that it does video: others
//! would ask whoever holds them. Who holds us is asked when they do so no more.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_model::Audio;
use sip_core::Message;
use sip_core::header::{Name, NameAddr};
use sip_core::sdp::MOST_MEDIA;
use tokio::sync::mpsc;

use super::super::Input;
use super::super::again;
use super::super::body;
use super::super::lines::What;
use super::super::offer::{self, Offered};
use super::super::participant::Participant;
use super::super::video;
use super::dial::last;
use super::{Conference, Source};
use crate::media::video::Codec;
use crate::mixer::LegId;

/// What becomes of a leg's offers.
#[derive(Default)]
pub(in crate::focus) struct Asking {
    /// An offer of ours, and what would carry its pictures, wait for an answer.
    waits: Option<(Offered, Option<(video::Ours, Source)>)>,
    /// That offer is of what is agreed on already (RFC 4028 §7.4).
    pub(super) is_refresh: bool,
    /// Nothing is offered before.
    next: Option<Instant>,
    /// It wants no more.
    is_refused: bool,
    /// How often it was not the moment, one after another.
    tries: u8,
}

impl Asking {
    /// Whether an INVITE of ours is under way (§14.2).
    pub(in crate::focus) fn is_waiting(&self) -> bool {
        self.waits.is_some()
    }

    /// When something may be offered that could not be.
    pub(in crate::focus) fn deadline(&self) -> Option<Instant> {
        self.next.filter(|_| self.waits.is_none())
    }
}

impl Participant {
    /// Whether it has pictures, and in how many media it sees somebody.
    pub(super) fn wish(&self) -> (bool, usize) {
        (self.agreed_pictures().is_some(), seen(self))
    }

    /// It said itself what it wants: who turned pictures off is offered none until they turn some on.
    pub(super) fn wishes_other_than(&mut self, before: (bool, usize)) {
        match self.wish().cmp(&before) {
            Ordering::Less => self.asking.is_refused = true,
            Ordering::Greater => self.asking.is_refused = false,
            Ordering::Equal => {}
        }
    }
}

impl Conference {
    /// What an offer within a call names: keys as they are.
    pub(super) fn offered_again(&self, at: usize) -> Offered {
        let participant = &self.participants[at];
        let offered = self.offered(&participant.caller, participant.crypto, participant.our_pictures());
        let dtls = participant.dtls().map(|_| self.handshake(participant.dtls(), participant.source));
        let sound = if dtls.is_some() { Vec::new() } else { offered.sound };
        Offered { lines: participant.lines.clone(), sound, dtls, ..offered }
    }

    /// Its text.
    pub(super) fn offer_again(&self, at: usize, offered: &Offered) -> String {
        let participant = &self.participants[at];
        let (origin, pictures) = (participant.origin, participant.agreed_pictures());
        match &participant.sound {
            Some(sound) => {
                let browser = participant.web.as_ref();
                again::offer(&again::Now { origin, sound, browser, pictures }, offered)
            }
            None => offer::offer(origin, self.secrecy_of(at), offered),
        }
    }

    /// Offers more to whoever sees fewer pictures than there are.
    pub(super) async fn offer_more(&mut self) {
        let now = Instant::now();
        let live = self.pictures.live(now);
        for at in 0..self.participants.len() {
            let participant = &mut self.participants[at];
            if participant.asking.next.is_some_and(|next| next <= now) {
                participant.asking.next = None;
            }
            let Some(more) = wanted(participant, &live, self.focus.parts().config.video_streams) else {
                continue;
            };
            if participant.asking.next.is_none() {
                participant.asking.next = Some(now + PAUSE);
                self.ask_for_more(at, more).await;
            }
        }
    }

    async fn ask_for_more(&mut self, at: usize, (more, codec): (usize, Codec)) {
        let participant = &self.participants[at];
        let (origin, is_browser) = (participant.origin, participant.web.is_some());
        let fresh = match participant.our_pictures() {
            Some(_) => None,
            None => match self.pictures_at(origin, is_browser.then(|| origin.local.port())) {
                Some(fresh) => Some(fresh),
                None => return,
            },
        };
        let mut offered = self.offered_again(at);
        if let Some((ours, _)) = &fresh {
            let keys = if is_browser {
                Vec::new()
            } else {
                self.keys(&participant.caller, participant.crypto).offered()
            };
            offered.pictures = Some(video::offer::Offer { ours: *ours, keys });
        }
        let (encoding, parameters, usual) = video::offer::format(codec);
        let agreed = self.participants[at].agreed_pictures().map(|agreed| agreed.payload_type);
        (0..more).for_each(|_| offered.lines.add_pictures(encoding, parameters, usual, agreed));
        if let Some(line) = offered.lines.0.last_mut().filter(|_| !is_browser) {
            line.mid = None; // without a bundle there is nothing to name
        }
        let participant = &mut self.participants[at];
        participant.asking.is_refresh = false;
        participant.span().in_scope(|| tracing::info!(more, "more pictures are offered"));
        self.offer_to(at, offered, fresh).await;
    }

    /// Sends an offer to who is in already; `fresh` would carry pictures if there were none.
    pub(super) async fn offer_to(
        &mut self,
        at: usize,
        offered: Offered,
        fresh: Option<(video::Ours, Source)>,
    ) {
        let Some(endpoint) = self.focus.endpoint().cloned() else { return };
        self.participants[at].origin.version += 1;
        let text = self.offer_again(at, &offered);
        let contact = self.contact();
        let participant = &mut self.participants[at];
        let (leg, flow) = (participant.leg, participant.dialog.flow);
        let mut invite = participant.dialog.request("INVITE", &contact);
        if let Some(session) = &participant.session {
            session.keep(&mut invite);
        }
        invite.set_body("application/sdp", text.into());
        participant.asking.waits = Some((offered, fresh));
        self.focus.answered().begin(&invite);
        let call_id = invite.call_id().to_owned();
        let mut sent = endpoint.request(invite, flow, "0").await;
        let (focus, inbox) = (Arc::clone(&self.focus), self.inbox.clone());
        let patience = self.focus.parts().config.offer_timeout;
        tokio::spawn(async move {
            let answer = match tokio::time::timeout(patience, last(&mut sent)).await {
                Ok(answer) => answer,
                Err(_) => {
                    // A phone that asks its user, who does not say: the offer is taken back (§9.1), and the call goes on.
                    sent.cancel().send("").await;
                    tokio::time::timeout(LONGEST, last(&mut sent)).await.unwrap_or_default()
                }
            };
            // A conference that has ended has ended its calls.
            if let Err(mpsc::error::SendError(Input::Offered(_, call_id, answer))) =
                inbox.send(Input::Offered(leg, call_id, answer)).await
            {
                tracing::debug!(leg = leg.0, "an answer came after the end");
                focus.end_answer(&call_id, answer.as_deref()).await;
            }
        });
    }

    /// An offer of ours was answered, or nobody will answer it.
    pub(super) async fn offer_answered(&mut self, leg: LegId, call_id: &str, answer: Option<Box<Message>>) {
        let Some(at) = self.participants.iter().position(|participant| participant.leg == leg) else {
            // The call is over meanwhile.
            return self.focus.end_answer(call_id, answer.as_deref()).await;
        };
        let (contact, random) = (self.contact(), self.random());
        let participant = &mut self.participants[at];
        let Some((offered, fresh)) = participant.asking.waits.take() else {
            return self.focus.answered().give_up(call_id);
        };
        let now = Instant::now();
        let Some(answer) = answer.filter(|answer| !matches!(answer.status(), 408 | 481)) else {
            self.focus.answered().give_up(call_id);
            return self.hang_up(leg, "No Answer To Our Offer").await;
        };
        match answer.status() {
            200..300 => {}
            status => {
                self.focus.answered().give_up(call_id);
                // §14.1: both asked at once.
                let pause = glare(participant.is_called, random);
                // §14.2: it answers another INVITE.
                let busy = retry_after(&answer).filter(|_| status == 500);
                let asking = &mut participant.asking;
                if asking.is_refresh {
                    let Some(session) = &mut participant.session else { return };
                    if matches!(status, 491 | 500) {
                        session.put_off(now + busy.unwrap_or(pause));
                    } else if status == 422 && session.lengthened(&answer, now) {
                        // The same offer goes with the interval that they want.
                        return Box::pin(self.refresh_session(leg)).await;
                    }
                    return;
                }
                asking.next = Some(now + busy.unwrap_or(pause));
                asking.tries += 1;
                asking.is_refused = (status != 491 && busy.is_none()) || asking.tries >= MOST_TRIES;
                return participant
                    .span()
                    .in_scope(|| tracing::info!(status, "more pictures are not wanted"));
            }
        }
        if let Some(session) = &mut participant.session {
            session.refreshed(&answer, now);
        }
        let flow = participant.dialog.flow;
        let Some(ack) = participant.dialog.acknowledge(&answer, &contact) else {
            return self.focus.answered().give_up(call_id);
        };
        self.focus.acknowledge(&answer, ack, flow);
        self.participants[at].asking.tries = 0;
        let before = seen(&self.participants[at]);
        let text = &body::described(&answer);
        let agreed = match &self.participants[at].web {
            Some(_) => offer::answered_by_browser(text, &offered),
            None => offer::answered(text, self.secrecy_of(at), &offered),
        };
        match agreed {
            Some(agreed) => {
                if let Some(browser) = &agreed.browser {
                    self.participants[at].their_ice = Some(browser.ice.clone());
                }
                self.renegotiate(at, agreed, fresh).await;
                let participant = &mut self.participants[at];
                if !participant.asking.is_refresh {
                    participant.asking.is_refused = seen(participant) <= before;
                }
            }
            None => self.hang_up(leg, "No Answer To Our Offer").await,
        }
    }
}

/// How many media with pictures a leg needs more, and in which codec; nothing if none, or if it cannot be asked now.
fn wanted(participant: &Participant, live: &[(LegId, Codec)], most: usize) -> Option<(usize, Codec)> {
    let is_free = participant.unacknowledged.is_none() && !participant.asking.is_waiting();
    let is_inside = participant.is_joined && participant.sound.is_some() && participant.ending.is_none();
    let sound = participant.lines.of_what(What::Sound).first().map(|at| &participant.lines.0[*at]);
    // Without a name there is no bundle.
    let is_bundled = sound.is_some_and(|line| line.mid.is_some());
    let (takes, most) = match participant.web {
        Some(_) => (is_bundled, most),
        // Pictures have no handshake of their own.
        None => {
            let takes = participant.has_screen && participant.dtls().is_none();
            (takes && participant.agreed_pictures().is_none(), 1)
        }
    };
    let is_held = participant.audio() == Audio::OnHold && participant.web.is_none();
    if !is_free || !is_inside || !takes || is_held || participant.asking.is_refused {
        return None;
    }
    let of_others = || live.iter().filter(|(leg, _)| *leg != participant.leg).map(|(_, codec)| *codec);
    let count = |codec| of_others().filter(|one| *one == codec).count();
    let usual = of_others().max_by_key(|codec| count(*codec))?;
    let codec = participant.agreed_pictures().map_or(usual, |agreed| agreed.codec);
    let room = MOST_MEDIA.saturating_sub(participant.lines.0.len());
    let more = count(codec).min(most).saturating_sub(seen(participant)).min(room);
    (more > 0).then_some((more, codec))
}

/// RFC 3840 §10.1: whether a Contact says that whoever is there has pictures.
pub(super) fn says_video(message: &Message) -> bool {
    let contact = message.value(Name::Contact).and_then(NameAddr::parse);
    contact.is_some_and(|contact| {
        let value = contact.params.value("video").unwrap_or_default();
        contact.params.has("video") && !value.eq_ignore_ascii_case("false")
    })
}

/// §14.1: how long who gets a 491 waits, in steps of 10 ms: longer, if the call is ours.
pub(super) fn glare(is_ours: bool, random: u64) -> Duration {
    let (least, steps) = if is_ours { (2_100, 191) } else { (0, 201) };
    Duration::from_millis(least + random % steps * 10)
}

/// RFC 3261 §20.33: when to ask again, at most [`LONGEST`].
fn retry_after(answer: &Message) -> Option<Duration> {
    let value = answer.value(Name::RetryAfter)?.trim();
    let seconds = value.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some(Duration::from_secs(seconds).clamp(PAUSE, LONGEST))
}

/// Media in which a leg sees somebody.
fn seen(participant: &Participant) -> usize {
    let sections = participant.agreed_pictures().into_iter().flat_map(|agreed| &agreed.sections);
    sections.filter(|section| video::receives(section.direction.mirrored())).count()
}

/// Between two offers to one leg.
const PAUSE: Duration = Duration::from_secs(2);
/// How often one offer is made that is not refused, and not taken.
const MOST_TRIES: u8 = 5;
/// How long who is cancelled may take to say so, more than §9.1 has (64*T1); and the longest Retry-After.
const LONGEST: Duration = Duration::from_secs(40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_crosses_waits_by_whose_call_it_is() {
        let all = |is_ours| (0..2_000).map(move |random| glare(is_ours, random).as_millis());
        assert_eq!((all(true).min(), all(true).max()), (Some(2_100), Some(4_000)));
        assert_eq!((all(false).min(), all(false).max()), (Some(0), Some(2_000)));
    }

    #[test]
    fn a_contact_says_whether_there_are_pictures() {
        let says = |contact: &str| {
            let mut message = Message::request("INVITE", "sip:a@x");
            message.push(Name::Contact, contact);
            says_video(&message)
        };
        assert!(says("<sip:a@x>;audio;video") && says("<sip:a@x>;video=\"TRUE\""));
        assert!(!says("<sip:a@x;video>;audio") && !says("<sip:a@x>;video=\"FALSE\"") && !says("<sip:a@x>"));
    }
}
