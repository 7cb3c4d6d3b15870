//! Calls that the focus makes — RFC 4579 §5.5, §5.10 (into the place of another call, which comes into the conference so), RFC 4028 §7.3
//! (again, with the interval that they want).
//!
//! In    whom to call and for whom, as [`super::refer`] was asked; answers. Out INVITE and what follows of it: ACK, a leg, or the next try.
//! State calls that nobody answered yet.
//! Errors 486 when the conference is full, or too many calls are under way.
//!
//! Whom the room does not let in is not called.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use shared_auth::AccountCard;
use shared_model::{Aor, BareJid};
use sip_core::dialog::{as_sips, is_sips};
use sip_core::header::Name;
use sip_core::sdp::Direction;
use sip_core::{Message, Uri};
use sip_endpoint::{Answer, Cancel, SentRequest};
use tokio::sync::mpsc;

use super::super::Input;
use super::super::admission::Caller;
use super::super::answer::Origin;
use super::super::body;
use super::super::dialog::Dialog;
use super::super::document::{Referred, Seen};
use super::super::named::plain;
use super::super::offer::{self, Offered};
use super::super::participant::Participant;
use super::super::policy::{self, Voice};
use super::super::session::{Session, wanted_by};
use super::super::video;
use super::departed::{called, person};
use super::refer::Teller;
use super::{Conference, Payer, Source, calls};
use crate::media::leg::UnboundLeg;
use crate::media::web::Role;
use crate::mixer::LegId;

/// A call of ours that nobody answered yet.
pub(in crate::focus) struct Dialling {
    leg: LegId,
    sound: UnboundLeg,
    origin: Origin,
    offered: Offered,
    /// What would carry pictures.
    pictures: Option<(video::Ours, Source)>,
    /// The INVITE, as it was sent.
    request: Message,
    callee: Caller,
    voice: Voice,
    cancel: Cancel,
    pub(super) teller: Option<Teller>,
    asker: Asker,
    device: Device,
}

/// For whom a call is made.
pub(super) struct Asker {
    /// Who proved to have asked: the proxy lets the call go where they may call, and on their bill.
    pub(super) aor: Option<Aor>,
    pub(super) jid: BareJid,
    pub(super) is_anonymous: bool,
    /// When they asked.
    pub(super) when: SystemTime,
    /// What whoever is called is told of them (RFC 3892 §2.2).
    pub(super) referred_by: Option<String>,
    /// What is to become of another call of whoever is called, in headers.
    pub(super) beside: Vec<(&'static str, String)>,
    /// The interval in seconds that whoever is called wants sessions to have, at least (RFC 4028 §7.3).
    pub(super) least: Option<u32>,
}

impl Dialling {
    /// As those who watch are told of it.
    pub(super) fn seen(&self) -> Seen {
        called(self.request.uri(), &self.callee, self.asker.referred())
    }
}

impl Asker {
    /// As those who watch are told of them.
    pub(super) fn referred(&self) -> Referred {
        let uri = self.aor.as_ref().map(Aor::to_sip_uri);
        Referred { when: self.when, by: person(&self.jid, uri, self.is_anonymous) }
    }
}

/// What a call of ours is offered to. Nobody says beforehand: who does not take the one is offered the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Device {
    Phone,
    Browser,
    /// A telephone that took a browser's offer, but for ICE: it has keys of a handshake alone.
    Secured,
}

impl Conference {
    /// Whether somebody may be called, and whether they would be heard.
    pub(super) async fn may_call(
        &self,
        uri: &str,
        is_moderator: bool,
    ) -> Result<(Caller, Voice), (u16, &'static str)> {
        if self.participants.len() + self.dialling.len() >= self.focus.parts().config.legs {
            return Err((486, "Conference Is Full"));
        }
        if self.dialling.len() + self.asked() >= MOST_DIALLING || self.referring.len() >= MOST_REFERRING {
            return Err((486, "Too Many Calls Are Under Way"));
        }
        let parsed = Uri::parse(uri).ok_or((400, "No URI To Call"))?;
        if parsed.host.eq_ignore_ascii_case(&self.focus.parts().domain) {
            return Err((403, "A Conference Does Not Call A Conference"));
        }
        let card = self.callee(&parsed).await;
        let jid = card.as_ref().map(|card| &card.jid);
        let strangers = self.focus.parts().config.strangers || is_moderator;
        if let Some(room) = &self.snapshot
            && let Err(refusal) = policy::admit(room, jid, strangers)
            && refusal != policy::Refusal::PinWanted
        {
            return Err(match refusal {
                // Who asks has an account: it is the rule for whom they call that they should read.
                policy::Refusal::AccountWanted => (403, "Only Moderators Call Who Has No Account Here"),
                refusal => refusal.status(),
            });
        }
        let voice = self.voice(jid);
        let display_name = card.as_ref().map(|card| card.name.clone()).unwrap_or_default();
        let shown = if parsed.is_sip() { plain(&parsed) } else { uri.to_owned() };
        Ok((Caller::called(card, shown, display_name), voice))
    }

    /// Whose address or number a URI is.
    async fn callee(&self, uri: &Uri<'_>) -> Option<AccountCard> {
        let (accounts, user) = (&self.focus.parts().accounts, uri.user_unescaped());
        let named = match Aor::new(&user, uri.host) {
            Ok(aor) => accounts.by_aor(&aor).await,
            Err(_) => Ok(None),
        };
        let card = match named {
            Ok(None) if user.starts_with('+') => {
                let number: String = user.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect();
                // A number is its owner's here; elsewhere it is whoever that host takes for it.
                let is_here =
                    |card: &AccountCard| !uri.is_sip() || card.aor.domain().eq_ignore_ascii_case(uri.host);
                accounts.by_number(&number).await.map(|card| card.filter(is_here))
            }
            named => named,
        };
        card.unwrap_or_else(|error| {
            tracing::warn!(%error, "a callee's account cannot be read");
            None
        })
    }

    pub(super) async fn dial(
        &mut self,
        uri: &str,
        callee: Caller,
        voice: Voice,
        (teller, asker): (Option<Teller>, Asker),
        device: Device,
    ) {
        let ip = self.focus.local_ip(None, None);
        let bound = self.wire(ip, device == Device::Browser);
        let (Ok(sound), Some(endpoint)) = (bound, self.focus.endpoint().cloned()) else {
            tracing::warn!("no RTP port is free");
            return self.tell_end(teller, 503).await;
        };
        let local = std::net::SocketAddr::new(ip, sound.local().port());
        let origin = Origin { session: self.random(), version: 1, local };
        let ours = calls::ours(&sound);
        let pictures = match device {
            Device::Secured => None,
            _ => self.pictures_at(origin, ours.as_ref().map(|_| local.port())),
        };
        let our_pictures = pictures.as_ref().map(|(ours, _)| *ours);
        let secrecy = self.focus.parts().secrecy(&callee);
        let offered = match device {
            Device::Secured => Offered { dtls: Some(self.handshake(None, None)), ..Offered::default() },
            _ => self.offered(&callee, None, our_pictures),
        };
        let text = match &ours {
            Some(ours) => offer::offer_to_browser(origin, ours, our_pictures.as_ref()),
            None => offer::offer(origin, secrecy, &offered),
        };
        let offered = offered.saying(&text);
        let mut request = self.invitation(uri, text);
        if let Some(least) = asker.least {
            request.push(Name::SessionExpires, &least.to_string());
            request.push(Name::MinSe, &least.to_string());
        }
        if let Some(referred_by) = &asker.referred_by {
            request.push(Name::ReferredBy, referred_by);
        }
        for (name, value) in &asker.beside {
            match Name::of(name.as_bytes()) {
                Name::Other => request.push_other(name, value),
                known => request.push(known, value),
            }
        }
        if let Some(aor) = &asker.aor {
            // RFC 3325 §5: for the proxy, which takes it off.
            request.push(Name::PAssertedIdentity, &format!("<{}>", aor.to_sip_uri()));
        }
        if asker.is_anonymous && callee.card.is_none() {
            // Their number, which is shown outside, is theirs to hide.
            request.push(Name::Privacy, "id");
        }
        self.focus.answered().begin(&request);
        let call_id = request.call_id().to_owned();
        let mut sent = endpoint.request(request.clone(), endpoint.port(0), "0").await;
        let leg = LegId(self.name());
        let cancel = sent.cancel().clone();
        let (focus, inbox) = (Arc::clone(&self.focus), self.inbox.clone());
        tokio::spawn(async move {
            let answer = tokio::time::timeout(LONGEST_RING, last(&mut sent)).await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(_) => {
                    sent.cancel().send("").await;
                    None
                }
            };
            // A conference that has ended wants nobody any more.
            if let Err(mpsc::error::SendError(Input::Dialled(_, answer))) =
                inbox.send(Input::Dialled(leg, answer)).await
            {
                focus.end_answer(&call_id, answer.as_deref()).await;
            }
        });
        tracing::info!(leg = leg.0, "the focus calls somebody");
        let is_first = device == Device::Phone && asker.least.is_none();
        self.dialling.push(Dialling {
            leg,
            sound,
            origin,
            offered,
            pictures,
            request,
            callee,
            voice,
            cancel,
            teller,
            asker,
            device,
        });
        if is_first {
            self.tell_trying(self.dialling.len() - 1).await;
        }
    }

    /// A request of the conference outside any dialog.
    pub(super) fn begun_by_us(&self, method: &str, uri: &str) -> Message {
        let own = self.room.to_sip_uri();
        let mut request = Message::request(method, uri);
        request.push(Name::MaxForwards, "70");
        request.push(Name::From, &format!("\"{}\" <{own}>;tag={:016x}", self.title(), self.random()));
        request.push(Name::To, &format!("<{uri}>"));
        request.push(Name::CallId, &format!("{:016x}{:016x}", self.random(), self.random()));
        request.push(Name::CSeq, &format!("1 {method}"));
        let mut request = self.describe(request);
        if is_sips(&request) {
            request.set(Name::Contact, &as_sips(&self.contact()));
        }
        request
    }

    fn invitation(&self, uri: &str, offer: String) -> Message {
        let mut request = self.begun_by_us("INVITE", uri);
        if self.snapshot.is_some() && self.focus.made().room(&self.room).is_none() {
            // RFC 7081 §3.5: where the chat of this call is. Who may not come is not called.
            request.push(Name::CallInfo, &format!("<{}>;purpose=impp", self.room.to_xmpp_uri()));
        }
        request.set_body("application/sdp", offer.into());
        request
    }

    /// What the conference is called, without what a quoted string cannot hold.
    fn title(&self) -> String {
        let name = self.snapshot.as_ref().map_or("", |room| room.name.as_str());
        let name = if name.is_empty() { self.room.local() } else { name };
        name.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect()
    }

    /// A call of ours was answered, or nobody will answer it.
    pub(super) async fn dialled(&mut self, leg: LegId, answer: Option<Box<Message>>) {
        let Some(at) = self.dialling.iter().position(|dialling| dialling.leg == leg) else {
            // It was given up meanwhile.
            if let Some(answer) = answer.filter(|answer| answer.status() < 300) {
                self.focus.stray(&answer).await;
            }
            return;
        };
        let dialling = self.dialling.remove(at);
        let Dialling { mut sound, origin, offered, pictures, request, callee, voice, .. } = dialling;
        let Dialling { teller, asker, device, .. } = dialling;
        let status = answer.as_ref().map_or(408, |answer| answer.status());
        tracing::info!(leg = leg.0, status, "the call of the focus was answered");
        // A browser refuses what it cannot take (RFC 3261 §21.4.26, §21.6.4).
        let is_unfit = matches!(status, 415 | 488 | 606);
        // No carrier has browsers, and a second call would be told, asked and paid for once more.
        let may_be_browser = callee.card.is_some() || !is_number(request.uri());
        if is_unfit && may_be_browser && device == Device::Phone {
            let uri = request.uri().to_owned();
            self.focus.answered().give_up(request.call_id());
            return self.dial(&uri, callee, voice, (teller, asker), Device::Browser).await;
        }
        // RFC 4028 §7.3: once more, with what they want.
        let least = answer.as_ref().filter(|_| status == 422 && asker.least.is_none());
        let least = least.and_then(|answer| wanted_by(answer, None));
        if least.is_some() {
            let uri = request.uri().to_owned();
            self.focus.answered().give_up(request.call_id());
            let asker = Asker { least, ..asker };
            return self.dial(&uri, callee, voice, (teller, asker), device).await;
        }
        let Some(answer) = answer.as_ref().filter(|answer| answer.status() < 300) else {
            self.focus.answered().give_up(request.call_id());
            let why = answer.as_deref().and_then(words);
            let why = why.as_deref().unwrap_or(sip_core::status::reason(status));
            self.note_not_come(request.uri(), &callee, (status, why), asker.referred());
            if let Some(teller) = teller {
                self.tell(teller, status, why).await;
            }
            return;
        };
        let Some(endpoint) = self.focus.endpoint().cloned() else { return };
        let flow = endpoint.port(0);
        let Some(mut dialog) = Dialog::begun_with(&request, answer, flow) else {
            self.focus.end_answer(request.call_id(), Some(answer)).await;
            return self.tell_end(teller, 500).await;
        };
        self.focus.acknowledge(answer, dialog.ack(&self.contact()), flow);
        let text = &body::described(answer);
        let agreed = match device {
            Device::Browser => offer::answered_by_browser(text, &offered),
            _ => offer::answered(text, self.focus.parts().secrecy(&callee), &offered),
        };
        let is_secured = agreed.is_none() && device == Device::Browser && offer::is_of_secured(text);
        let again = callee.clone();
        let referred = asker.referred();
        let payer = callee.card.is_none().then(|| Payer::new(asker.jid.clone()));
        let mut participant = Participant::new(leg, dialog, callee, voice, origin);
        (participant.is_called, participant.payer) = (true, payer);
        participant.referred = Some(referred.clone());
        participant.session = Session::answered_by(answer, Instant::now());
        participant.has_screen = super::again::says_video(answer);
        participant.source = contact_ip(participant.dialog.target());
        participant.web = calls::ours(&sound);
        participant.first_ice = participant.web.as_ref().map(|ours| ours.ice.clone());
        if let Some(browser) = agreed.as_ref().and_then(|agreed| agreed.browser.as_ref()) {
            sound.expect(browser.peer(Role::Controlling));
            participant.their_ice = Some(browser.ice.clone());
        }
        match agreed {
            Some(agreed) => {
                self.begin(&mut participant, sound, agreed, pictures).await;
                self.participants.push(participant);
                // While it rang, they may have been banned, muted or disabled.
                self.apply_rules().await;
                self.end_disabled().await;
                self.tell_end(teller, 200).await;
            }
            None => {
                participant.direction = Direction::Inactive;
                self.participants.push(participant);
                self.hang_up(leg, "No Answer To Our Offer").await;
                if is_secured {
                    let uri = request.uri().to_owned();
                    // What was to be replaced is by now.
                    let asker = Asker { beside: Vec::new(), ..asker };
                    return self.dial(&uri, again, voice, (teller, asker), Device::Secured).await;
                }
                let why = (488, sip_core::status::reason(488));
                self.note_not_come(request.uri(), &again, why, referred);
                self.tell_end(teller, 488).await;
            }
        }
    }

    /// Stops calling everybody.
    pub(super) async fn stop_dialling(&mut self) {
        for Dialling { cancel, teller, request, .. } in std::mem::take(&mut self.dialling) {
            cancel.send("").await;
            self.focus.answered().give_up(request.call_id());
            self.tell_end(teller, 487).await;
        }
    }
}

/// The address that a device is called by: its description may name another of its own.
fn contact_ip(contact: &str) -> Option<IpAddr> {
    let ip: IpAddr = Uri::parse(contact)?.host.trim_matches(['[', ']']).parse().ok()?;
    Some(ip.to_canonical())
}

/// Whether a URI is a telephone number, of whatever plan.
fn is_number(uri: &str) -> bool {
    let is_digits =
        |user: &str| user.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | '(' | ')'));
    Uri::parse(uri).is_none_or(|uri| !uri.is_sip() || is_digits(&uri.user_unescaped()))
}

/// What an answer says to a human (RFC 3261 §20.43, warn-code 399).
fn words(answer: &Message) -> Option<String> {
    let (_agent, text) = answer.elements(Name::Warning).next()?.strip_prefix("399 ")?.split_once(' ')?;
    let text = text.trim().strip_prefix('"')?.strip_suffix('"')?;
    Some(text.chars().filter(|c| !c.is_control()).take(LONGEST_WORDS).collect())
}

/// The final response; `None` if none will come.
pub(super) async fn last(sent: &mut SentRequest) -> Option<Box<Message>> {
    while let Some(answer) = sent.next().await {
        match answer {
            Answer::Response(response) if response.status() >= 200 => return Some(response),
            Answer::Response(_) => {}
            Answer::Failed(_) => return None,
        }
    }
    None
}

/// Characters of what whoever refuses says of it.
const LONGEST_WORDS: usize = 200;
/// How long a call of ours may ring.
pub(super) const LONGEST_RING: Duration = Duration::from_secs(90);
/// Calls of ours that ring at once.
const MOST_DIALLING: usize = 20;
/// Of those who were asked to call, and said that they will.
const MOST_REFERRING: usize = 100;
