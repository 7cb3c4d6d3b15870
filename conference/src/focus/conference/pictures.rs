//! Pictures of legs: who has some, and who may show and see them (S-39: as with sound, the room's law holds).
//!
//! In    offers with pictures, and what rules and keys make of a leg. Out ports, seats in the [`PictureRoom`].
//! State beside each leg what was agreed on. Errors no free port: the call has no pictures, and its sound all the same.
//!
//! Whose voice is revoked is not shown. Who muted themselves is.

use sip_core::sdp::Direction;

use super::super::admission::Caller;
use super::super::answer::Origin;
use super::super::lines::Lines;
use super::super::offer::Offered;
use super::super::participant::Participant;
use super::super::policy::Voice;
use super::super::video;
use super::super::video::offer::Offer;
use super::Conference;
use crate::media::srtp::Crypto;
use crate::media::video::room::{Pictures, UnboundPictures};
use crate::media::video::seat::{Seat, View};
use crate::mixer::Gate;

/// What would carry a leg's pictures.
pub(in crate::focus) enum Source {
    Ports(UnboundPictures),
    /// The port of all browsers.
    Web,
}

/// The pictures of a leg.
pub(in crate::focus) struct Screen {
    pictures: Pictures,
    ours: video::Ours,
    agreed: video::Agreed,
}

impl Conference {
    /// What we would say of an offer's pictures, and what would carry them; `port` is that of all browsers. Nothing if none
    /// are offered, or wanted.
    pub(super) fn pictures_for(
        &self,
        offer: &str,
        origin: Origin,
        browsers: Option<u16>,
    ) -> Option<(video::Ours, Source)> {
        video::is_offered(offer).then(|| self.pictures_at(origin, browsers)).flatten()
    }

    /// What would carry pictures that we offer ourselves. Nothing if none are wanted.
    pub(super) fn pictures_at(&self, origin: Origin, browsers: Option<u16>) -> Option<(video::Ours, Source)> {
        let config = &self.focus.parts().config;
        if !config.video || self.mailbox.is_some() {
            return None;
        }
        let (port, source) = match browsers {
            Some(port) => (port, Source::Web),
            None => {
                let ports = UnboundPictures::bind(self.focus.ports(), self.focus.bind_ip(origin.local.ip()));
                let ports = ports
                    .inspect_err(|error| tracing::warn!(%error, "a leg has no sockets for its pictures"))
                    .ok()?;
                (ports.port(), Source::Ports(ports))
            }
        };
        Some((
            video::Ours {
                port,
                ssrc: self.random() as u32,
                cname: origin.source(),
                limit: config.video_kbits,
                streams: config.video_streams,
                crypto: None,
            },
            source,
        ))
    }

    /// What an offer of ours to a phone names: keys for its sound and, if it may have some, its pictures.
    pub(super) fn offered(
        &self,
        callee: &Caller,
        sound: Option<Crypto>,
        pictures: Option<video::Ours>,
    ) -> Offered {
        let sound = self.keys(callee, sound).offered();
        let pictures = pictures.map(|ours| Offer { ours, keys: self.keys(callee, ours.crypto).offered() });
        Offered { sound, dtls: None, pictures, lines: Lines::default() }
    }

    /// Starts a leg's pictures.
    pub(super) fn show(
        &self,
        participant: &mut Participant,
        (ours, source): (video::Ours, Source),
        agreed: video::Agreed,
    ) {
        let seat = self.seat(participant, ours, &agreed);
        let (room, leg) = (&self.pictures, participant.leg);
        let pictures = match source {
            Source::Ports(ports) => {
                let caller = (participant.source, !participant.is_called);
                room.join(leg, ports, agreed.way, caller, seat, participant.waits.clone())
            }
            Source::Web => {
                let Some(first) = &participant.first_ice else { return };
                let web = self.focus.web().pictures(first, agreed.payload_type);
                Ok(room.join_web(leg, web, seat, participant.waits.clone()))
            }
        };
        match pictures {
            Ok(pictures) => {
                let ours = video::Ours { crypto: agreed.way.crypto, ..ours };
                participant.pictures = Some(Screen { pictures, ours, agreed });
            }
            Err(error) => tracing::error!(%error, "a leg's pictures could not be started"),
        }
    }

    /// What offer and answer changed of a leg's pictures; `fresh` would carry them if it had none.
    pub(super) fn renegotiate_pictures(
        &mut self,
        at: usize,
        agreed: Option<video::Agreed>,
        fresh: Option<(video::Ours, Source)>,
    ) {
        let mut shown = self.participants[at].pictures.take();
        match (agreed, &mut shown) {
            (Some(agreed), Some(shown)) => {
                shown.pictures.renegotiate(agreed.way);
                shown.ours.crypto = agreed.way.crypto;
                shown.agreed = agreed;
            }
            (Some(agreed), None) => {
                if let Some(fresh) = fresh {
                    let mut participant = self.participants.remove(at);
                    self.show(&mut participant, fresh, agreed);
                    self.participants.insert(at, participant);
                }
                return;
            }
            (None, _) => return,
        }
        self.participants[at].pictures = shown;
        self.seat_anew(at);
    }

    /// What a leg may show and see changed.
    pub(super) fn seat_anew(&self, at: usize) {
        let participant = &self.participants[at];
        if let Some(shown) = &participant.pictures {
            shown.pictures.seat(self.seat(participant, shown.ours, &shown.agreed));
        }
    }

    fn seat(&self, participant: &Participant, ours: video::Ours, agreed: &video::Agreed) -> Seat {
        let is_inside = matches!(participant.gate(), Gate::Open | Gate::Muted);
        let sections = || agreed.sections.iter();
        let views: Vec<View> =
            sections().filter(|one| video::receives(one.direction.mirrored())).map(|one| one.view).collect();
        // What several media take, each for itself, is taken together, if it is said of all of them.
        let said = match views.iter().any(|view| view.takes == 0) {
            true => 0,
            false => views.iter().map(|view| view.takes).fold(0, u64::saturating_add),
        };
        let configured = u64::from(self.focus.parts().config.video_leg_kbits) * 1_000;
        Seat {
            codec: agreed.codec,
            payload_type: agreed.payload_type,
            ssrc: agreed.sections.first().map_or(ours.ssrc, |section| section.view.ssrc),
            cname: ours.cname,
            limit: u64::from(ours.limit) * 1_000,
            takes: [said, agreed.takes, configured].into_iter().filter(|bits| *bits > 0).min().unwrap_or(0),
            is_shown: is_inside && participant.voice == Voice::Granted,
            sees: is_inside,
            shows: sections()
                .filter(|one| video::receives(one.direction))
                .map(|one| one.shown.clone())
                .collect(),
            views,
            extensions: agreed.extensions,
            by_fir: agreed.by_fir,
        }
    }
}

impl Screen {
    /// Whether keys of the description protect it; a browser's are of its handshake.
    pub(in crate::focus) fn is_encrypted(&self) -> bool {
        self.agreed.way.crypto.is_some()
    }
}

impl Participant {
    /// What it may do with pictures, as it sees it; nothing if it has none.
    pub(in crate::focus) fn video(&self) -> Option<Direction> {
        let sections = || self.pictures.iter().flat_map(|shown| &shown.agreed.sections);
        let shows = self.voice == Voice::Granted && sections().any(|one| video::receives(one.direction));
        let sees = sections().any(|one| video::receives(one.direction.mirrored()));
        self.pictures.as_ref()?;
        Some(match (shows, sees) {
            (true, true) => Direction::SendReceive,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::ReceiveOnly,
            (false, false) => Direction::Inactive,
        })
    }

    /// What was agreed on for its pictures, if it has some.
    pub(super) fn agreed_pictures(&self) -> Option<&video::Agreed> {
        self.pictures.as_ref().map(|shown| &shown.agreed)
    }

    /// What we say of its pictures, if it has some.
    pub(super) fn our_pictures(&self) -> Option<video::Ours> {
        self.pictures.as_ref().map(|shown| shown.ours)
    }
}
