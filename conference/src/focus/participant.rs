//! One leg of a conference: its dialog, whose it is, and what it can do with sound.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use shared_model::{Audio, BareJid, Participant as Shown};
use sip_core::Message;
use sip_core::sdp::Direction;
use sip_endpoint::ServerHandle;

use super::admission::Caller;
use super::answer::{Origin, Ours};
use super::conference::{Asking, Payer, Screen, Source};
use super::dialog::Dialog;
use super::document::Referred;
use super::keys::{Keys, Pin};
use super::lines::Lines;
use super::offer::Offered;
use super::policy::Voice;
use super::session::Session;
use crate::labels::LegSpan;
use crate::media::dtls::Dtls;
use crate::media::leg::{Negotiated, UnboundLeg, Waits};
use crate::media::srtp::Crypto;
use crate::media::web::{Credentials, Theirs};
use crate::mixer::{Gate, LegId, Peer};

/// One leg.
pub(super) struct Participant {
    pub(super) leg: LegId,
    pub(super) dialog: Dialog,
    pub(super) caller: Caller,
    pub(super) voice: Voice,
    /// What offer and answer allow, as we see it.
    pub(super) direction: Direction,
    /// It came to send and not to hear: that is no hold.
    pub(super) is_source: bool,
    /// Where we listen, and which version of our description was sent last.
    pub(super) origin: Origin,
    /// Our offer in a 2xx waits for its answer in the ACK.
    pub(super) unanswered: Option<UnboundLeg>,
    /// What would carry the pictures of that offer.
    pub(super) unseen: Option<(super::video::Ours, Source)>,
    /// What that offer named.
    pub(super) offered: Offered,
    /// All media as they were described last.
    pub(super) lines: Lines,
    /// What was agreed on for the sound.
    pub(super) sound: Option<Negotiated>,
    /// How sound is protected.
    pub(super) crypto: Option<Crypto>,
    /// What we said of ourselves, if it is a browser.
    pub(super) web: Option<Ours>,
    /// The credentials that the leg began with, which are its name at the port of browsers.
    pub(super) first_ice: Option<Credentials>,
    /// The browser's own name and password of checks.
    pub(super) their_ice: Option<Theirs>,
    /// The 2xx that waits for its ACK.
    pub(super) unacknowledged: Option<Unacknowledged>,
    /// How long the leg lasts without a refresh.
    pub(super) session: Option<Session>,
    /// The focus called them.
    pub(super) is_called: bool,
    /// For whom, if they have no account.
    pub(super) payer: Option<Payer>,
    /// The leg is in the mix, and was told as a fact.
    pub(super) is_joined: bool,
    /// When it came into the mix.
    pub(super) since: Option<SystemTime>,
    /// Who had them come, or called.
    pub(super) referred: Option<Referred>,
    /// The languages that their device names.
    pub(super) languages: String,
    pub(super) muted: Option<MutedBy>,
    /// An administrator of the service muted them, who have no account by which the room could.
    pub(super) is_silenced: bool,
    pub(super) is_hand_up: bool,
    /// How much louder they are made, in decibels.
    pub(super) gain: i8,
    /// The device that they called with.
    pub(super) device: Option<String>,
    /// The address that the call came from.
    pub(super) source: Option<IpAddr>,
    pub(super) keys: Keys,
    /// They are before the door, and type a PIN.
    pub(super) pin: Option<AtTheDoor>,
    /// How long their sound waits before it is mixed.
    pub(super) waits: Waits,
    /// Their pictures, if they have some.
    pub(super) pictures: Option<Screen>,
    /// It says of itself that it has pictures, too (RFC 3840 §10.1).
    pub(super) has_screen: bool,
    /// Offers of ours to it.
    pub(super) asking: Asking,
    /// They hear a last word until then at most; why the leg ends.
    pub(super) ending: Option<(Instant, &'static str)>,
}

/// Who muted somebody by a key; they are heard again when they want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MutedBy {
    Themselves,
    /// Whoever gives them a voice lifts it, too.
    Moderator,
}

/// Somebody whose PIN is waited for.
pub(super) struct AtTheDoor {
    pub(super) keys: Pin,
    pub(super) until: Instant,
}

impl Participant {
    /// Whether an offer of ours waits for its answer.
    pub(super) fn has_offered(&self) -> bool {
        self.asking.is_waiting() || self.unacknowledged.as_ref().is_some_and(|sent| sent.has_offer)
    }

    /// Somebody whose sound is not there yet.
    pub(super) fn new(leg: LegId, dialog: Dialog, caller: Caller, voice: Voice, origin: Origin) -> Self {
        Self {
            leg,
            dialog,
            caller,
            voice,
            origin,
            direction: Direction::SendReceive,
            is_source: false,
            unanswered: None,
            unseen: None,
            offered: Offered::default(),
            lines: Lines::default(),
            sound: None,
            crypto: None,
            web: None,
            first_ice: None,
            their_ice: None,
            unacknowledged: None,
            session: None,
            is_joined: false,
            since: None,
            referred: None,
            languages: String::new(),
            is_called: false,
            payer: None,
            muted: None,
            is_silenced: false,
            is_hand_up: false,
            gain: 0,
            device: None,
            source: None,
            keys: Keys::default(),
            pin: None,
            waits: Waits::default(),
            pictures: None,
            has_screen: false,
            asking: Asking::default(),
            ending: None,
        }
    }

    /// What they can do with sound.
    pub(super) fn audio(&self) -> Audio {
        let is_mute = self.voice == Voice::Revoked || self.muted.is_some() || self.is_silenced;
        match self.direction {
            // Somebody who only sends from now on (music on hold) or nothing holds us.
            Direction::ReceiveOnly if !self.is_source => Audio::OnHold,
            Direction::Inactive => Audio::OnHold,
            Direction::SendOnly => Audio::Muted,
            Direction::SendReceive | Direction::ReceiveOnly if is_mute => Audio::Muted,
            Direction::SendReceive | Direction::ReceiveOnly => Audio::SendReceive,
        }
    }

    /// The JID of their account, if the proxy proved them.
    pub(super) fn jid(&self) -> Option<&BareJid> {
        self.caller.card.as_ref().map(|card| &card.jid)
    }

    /// What the log says of each line about them.
    pub(super) fn span(&self) -> tracing::Span {
        let account = self.caller.card.as_ref().map(|card| card.account);
        LegSpan { call: &self.dialog.call_id, account }.open()
    }

    /// What the mixer lets pass.
    pub(super) fn gate(&self) -> Gate {
        match self.audio() {
            Audio::OnHold => Gate::Closed,
            _ if self.pin.is_some() || self.ending.is_some() => Gate::Waiting,
            Audio::SendReceive => Gate::Open,
            Audio::Muted => Gate::Muted,
        }
    }

    /// Whether sound is to come from them.
    pub(super) fn peer(&self) -> Peer {
        match self.direction {
            Direction::SendOnly => Peer::Listens,
            Direction::ReceiveOnly if self.is_source => Peer::OnlySpeaks,
            _ => Peer::Speaks,
        }
    }

    /// What the conference document calls their device: its contact, which would name the anonymous.
    pub(super) fn endpoint(&self) -> &str {
        if self.caller.is_anonymous { &self.caller.uri } else { self.dialog.target() }
    }

    /// The handshake of its sound, if it is a telephone that has one.
    pub(super) fn dtls(&self) -> Option<Dtls> {
        self.sound.as_ref().and_then(|sound| sound.dtls)
    }

    /// Whether nobody on the way hears or sees them.
    fn is_encrypted(&self) -> bool {
        let is_shown_so = |shown: &Screen| shown.is_encrypted();
        let has_keys = self.sound.as_ref().is_some_and(Negotiated::is_encrypted);
        self.web.is_some() || (has_keys && self.pictures.as_ref().is_none_or(is_shown_so))
    }

    /// As other services see them. The anonymous have no JID there, so that neither the document nor an occupant's
    /// presence joins them to one; their account is for the operator alone.
    pub(super) fn shown(&self) -> Shown {
        Shown {
            account: self.caller.card.as_ref().map(|card| card.account),
            jid: self.jid().filter(|_| !self.caller.is_anonymous).cloned(),
            uri: self.caller.uri.clone(),
            display_name: self.caller.display_name.clone(),
            audio: self.audio(),
            has_video: self.video().is_some(),
            is_hand_up: self.is_hand_up,
            is_encrypted: self.is_encrypted(),
            gain: self.gain,
        }
    }
}

/// A 2xx that is sent again until its ACK comes (RFC 3261 §13.3.1.4).
pub(super) struct Unacknowledged {
    response: Message,
    server: ServerHandle,
    /// It has an offer of ours, which the ACK answers.
    has_offer: bool,
    interval: Duration,
    again: Instant,
    give_up: Instant,
}

impl Unacknowledged {
    /// Sends it for the first time.
    pub(super) fn send(response: Message, server: ServerHandle, has_offer: bool, now: Instant) -> Self {
        server.respond(response.clone());
        Self { response, server, has_offer, interval: T1, again: now + T1, give_up: now + 64 * T1 }
    }

    /// Whether an ACK of the dialog is that of this answer (RFC 3261 §13.2.2.4: it has its CSeq number).
    pub(super) fn is_acknowledged_by(&self, ack: &Message) -> bool {
        let number = |message: &Message| message.cseq().map(|(number, _)| number);
        number(ack) == number(&self.response)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Instant {
        self.again.min(self.give_up)
    }

    /// Sends it again if that is due. False if no ACK will come any more.
    pub(super) fn timeout(&mut self, now: Instant) -> bool {
        if now >= self.give_up {
            return false;
        }
        if now >= self.again {
            self.server.respond(self.response.clone());
            self.interval = (self.interval * 2).min(T2);
            self.again = now + self.interval;
        }
        true
    }
}

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
