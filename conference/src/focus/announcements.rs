//! Announcements — what callers hear before their call goes on (RFC 7081 §5; a [`shared_model::Announcements`]).
//!
//! In    an INVITE of the proxy in this process, with an offer; keys (RFC 4733, or INFO in the [`early`](super::early) dialog).
//! Out   183 with an answer, sound, and at the end 480 (it was said, or confirmed by `1`) or 603 (by another key, or not in
//!       [`LONGEST`]); no call comes of it.
//! State those that are said now, at most [`MOST`]; 503 beyond. Their URIs hold a number that nobody outside knows.
//! Errors 504 if somebody who insists on reliable provisional responses does not acknowledge the 183 (RFC 3262 §3); 488 for browsers, which would take this answer for the call's own (RFC 3261 §13.2.1: one answer an offer).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use shared_model::{Announcement, Announcements, RoomAddress};
use sip_core::Message;
use sip_core::header::Name;
use sip_endpoint::Incoming;
use tokio::sync::mpsc;

use super::Focus;
use super::admission::came_from;
use super::answer::{self, Origin};
use super::early::Dialogs;
use super::reliable::{Early, repeat};
use super::sdes::Keys;
use crate::media::leg::UnboundLeg;
use crate::mixer::{Command, Gate, Heard, LegId, Mixer, Peer, Prompt};

/// What the focus keeps of them.
pub(super) struct Desk {
    secret: u64,
    open: Arc<AtomicUsize>,
    early: Early,
    dialogs: Dialogs,
}

impl Desk {
    pub(super) fn new(secret: u64) -> Self {
        Self { secret, open: Arc::default(), early: Early::default(), dialogs: Dialogs::default() }
    }

    fn name(&self, what: Announcement) -> String {
        format!("announcement-{}-{:016x}", what as u8, self.secret)
    }

    /// What a URI of ours stands for.
    pub(super) fn meant(&self, room: &RoomAddress) -> Option<Announcement> {
        [Announcement::Charged, Announcement::Confirm, Announcement::Refused]
            .into_iter()
            .find(|what| room.local() == self.name(*what))
    }

    /// Takes the PRACK of what was said reliably; gives another back.
    pub(super) fn acknowledged(&self, prack: Incoming) -> Result<(), Box<Incoming>> {
        self.early.acknowledged(prack)
    }

    /// Takes a request in the early dialog of what is said; gives another back.
    pub(super) fn take(&self, incoming: Incoming) -> Result<(), Box<Incoming>> {
        self.dialogs.take(incoming)
    }

    /// One more, if it may be.
    fn begin(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.open));
        (place.0.fetch_add(1, Ordering::Relaxed) < MOST).then_some(place)
    }
}

/// One that is said now.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Announcements for Focus {
    fn announcement(&self, what: Announcement) -> Option<String> {
        let parts = self.parts();
        parts.config.prompts.then(|| format!("sip:{}@{}", self.desk().name(what), parts.domain))
    }
}

impl Focus {
    /// Says it to whoever sent this INVITE.
    pub(super) fn announce(self: &Arc<Self>, incoming: Incoming, what: Announcement) {
        let Some(place) = self.desk().begin() else {
            return incoming.server.respond(Message::response(&incoming.request, 503, ""));
        };
        let focus = Arc::clone(self);
        self.parts().shutdown.spawn(async move {
            let status = tokio::select! {
                status = focus.speak(&incoming, what) => status,
                () = incoming.server.cancelled() => 487,
                () = focus.parts().shutdown.begun() => 503,
            };
            incoming.server.respond(Message::response(&incoming.request, status, ""));
            drop(place);
        });
    }

    /// The status at the end.
    async fn speak(&self, incoming: &Incoming, what: Announcement) -> u16 {
        let Incoming { request, flow, server } = incoming;
        let offer = std::str::from_utf8(request.body()).unwrap_or_default();
        if request.method() != "INVITE" || offer.is_empty() || answer::is_browser(offer) {
            return 488;
        }
        let parts = self.parts();
        let source = came_from(request, flow);
        let ip = self.local_ip(answer::media_ip(offer), source);
        let (notices, heard) = mpsc::channel(NOTICES);
        let keys_by_info = notices.clone();
        let mixer = self.mixers().open(notices);
        let leg = UnboundLeg::bind(self.ports(), self.bind_ip(ip)).ok();
        let Some((mixer, leg)) = mixer.zip(leg) else { return 503 };
        let local = SocketAddr::new(ip, leg.local().port());
        let origin = Origin { session: (parts.random)(), version: 1, local };
        let keys = Keys { secrecy: parts.config.srtp, now: None, random: parts.random, dtls: None };
        let agreed = answer::answer(offer, origin, &keys, None, None);
        let Ok(agreed) = agreed.and_then(|agreed| agreed.between(ip, source)) else { return 488 };
        let Some(rtp) = leg.start(agreed.negotiated, source, origin.session, Instant::now()) else {
            return 488;
        };
        mixer.tell(Command::Add(LEG, Box::new(rtp), Gate::Waiting, Peer::Listens)).await;
        let mut progress = Message::response(request, 183, "");
        for route in request.elements(Name::RecordRoute) {
            progress.push(Name::RecordRoute, route);
        }
        progress.push(Name::Contact, &format!("<sip:{}>", parts.domain));
        progress.set_body("application/sdp", agreed.text.into());
        let reliable = self.desk().early.begin(request, &mut progress, (parts.random)());
        // RFC 3261 §8.2.6.2: what is more than 100 makes an early dialog.
        progress.ensure_to_tag(&format!("{:016x}", (parts.random)()));
        let Some(mut dialog) = self.desk().dialogs.begin(&progress) else { return 503 };
        server.respond(progress.clone());
        // The same ports and coders: what else a second offer wants is not worth a change for so short a time.
        let again = Origin { version: origin.version + 1, ..origin };
        let answer =
            |offer: &str| answer::answer(offer, again, &keys, None, None).ok().map(|agreed| agreed.text);
        let status = tokio::select! {
            status = tokio::time::timeout(LONGEST, say(&mixer, heard, what)) => status.unwrap_or(603),
            () = repeat(reliable, &progress, server, answer) => 504,
            () = dialog.attend((LEG, keys_by_info), answer) => 603,
        };
        mixer.tell(Command::Remove(LEG)).await;
        status
    }
}

/// Says it until it was heard, or answered.
async fn say(mixer: &Mixer, mut heard: mpsc::Receiver<Heard>, what: Announcement) -> u16 {
    let prompt = match what {
        Announcement::Charged => Prompt::Charged,
        Announcement::Confirm => Prompt::ConfirmCharge,
        Announcement::Refused => Prompt::CallRefused,
    };
    // The phone opens its ear when the 183 is there.
    let mut pause = LEAD;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {
                mixer.tell(Command::Prompt(LEG, prompt)).await;
                pause = LONGEST;
            }
            notice = heard.recv() => match notice {
                Some(Heard::Prompted(..)) if what != Announcement::Confirm => return 480,
                Some(Heard::Prompted(..)) => pause = AGAIN,
                Some(Heard::Key(_, '1')) if what == Announcement::Confirm => return 480,
                Some(Heard::Key(..)) if what == Announcement::Confirm => return 603,
                Some(_) => {}
                None => return 503,
            },
        }
    }
}

/// There is one leg.
const LEG: LegId = LegId(1);
/// Announcements at once.
const MOST: usize = 50;
const NOTICES: usize = 16;
/// How long after the 183 it begins.
const LEAD: Duration = Duration::from_millis(200);
/// After how long a question is asked again.
const AGAIN: Duration = Duration::from_secs(4);
/// How long an answer is waited for at most; the proxy is less patient.
const LONGEST: Duration = Duration::from_secs(120);
