//! Keys of a leg that two handshakes make, or one (RFC 5764 §3): of its sound, and of reports that have a port of their own.
//!
//! Until there are keys nothing is sent, and nothing that comes is believed but what is about them; of that, what comes from
//! whom the [`Latch`] believes. Who has keys says no more from elsewhere.

use std::net::SocketAddr;
use std::time::Instant;

use super::wire::Wire;
use super::{Association, Dtls, Negotiated, RtpLeg, Srtp};
use crate::media::dtls::Shaken;
use crate::media::latch::Latch;

/// The associations of a leg.
pub(super) struct Secured {
    /// What it was begun for: with whose certificate, and where they said they are.
    of: (Dtls, SocketAddr),
    sound: Association,
    reports: Option<Reports>,
}

struct Reports {
    association: Association,
    srtp: Option<Box<Srtp>>,
}

impl Secured {
    /// Whether reports have a port of their own, and no keys yet.
    pub(super) fn is_shaking_reports(&self) -> bool {
        self.reports.as_ref().is_some_and(|reports| reports.srtp.is_none())
    }
}

impl RtpLeg {
    /// Whether nothing may pass without keys.
    pub(super) fn has_secret(&self) -> bool {
        self.wire.is_web() || self.negotiated.dtls.is_some()
    }

    /// Whether something can be sent.
    pub fn is_ready(&self) -> bool {
        !self.has_secret() || self.srtp.is_some()
    }

    /// What protects reports.
    pub(super) fn srtp_of_reports(&mut self) -> Option<&mut Srtp> {
        let reports = self.secured.as_mut().and_then(|secured| secured.reports.as_mut());
        match reports {
            Some(reports) => reports.srtp.as_deref_mut(),
            None => self.srtp.as_deref_mut(),
        }
    }

    /// Whether the associations go on under what was agreed on: the certificate and the address are the same (RFC 5763 §6.6), or
    /// there is no address while they hold (RFC 3264 §8.4).
    pub(super) fn goes_on(&self, negotiated: &Negotiated) -> bool {
        let is_held = negotiated.remote.ip().is_unspecified();
        self.secured.as_ref().is_some_and(|secured| {
            let (dtls, remote) = secured.of;
            negotiated.dtls == Some(dtls) && (is_held || negotiated.remote == remote)
        })
    }

    /// Begins and ends associations as it was agreed on.
    pub(super) fn secure(&mut self, goes_on: bool) {
        if self.wire.is_web() {
            return;
        }
        if !goes_on {
            self.secured = None;
        }
        self.associate();
        if self.lacks_association() {
            tracing::warn!("a handshake cannot be begun yet");
        }
    }

    /// Whether all handshakes that it needs are begun.
    #[cfg(test)]
    pub(super) fn is_shaking(&self) -> bool {
        self.secured.is_some() && !self.lacks_association()
    }

    /// Whether a handshake is to be begun that could not be.
    fn lacks_association(&self) -> bool {
        let lacks = |secured: &Secured| secured.reports.is_none() && self.reports.is_some();
        let is_wanted = self.negotiated.dtls.is_some() && self.handshakes.is_some() && !self.wire.is_web();
        is_wanted && self.secured.as_deref().is_none_or(lacks)
    }

    /// Begins what is not begun.
    fn associate(&mut self) {
        let Wire::Ports(ports) = &self.wire else { return };
        let Some((dtls, handshakes)) = self.negotiated.dtls.zip(self.handshakes.as_ref()) else { return };
        if self.secured.is_none() {
            let sound = handshakes.begin(dtls, &ports.rtp, self.latch.target());
            let of = (dtls, self.negotiated.remote);
            self.secured = sound.map(|sound| Box::new(Secured { of, sound, reports: None }));
        }
        let Some(secured) = &mut self.secured else { return };
        secured.reports = match (secured.reports.take(), &self.reports) {
            (None, Some(latch)) => handshakes
                .begin(dtls, &ports.rtcp, latch.target())
                .map(|association| Reports { association, srtp: None }),
            (known, Some(_)) => known,
            (_, None) => None,
        };
    }

    /// Takes keys that are new, and begins what had no room in the queue.
    pub(super) fn take_keys(&mut self) {
        if self.lacks_association() {
            self.associate();
        }
        let Some(secured) = &mut self.secured else { return };
        let mut is_impostor = false;
        match secured.sound.news() {
            Some(Shaken::Keys(keys)) => {
                self.srtp = Srtp::new(keys).map(Box::new);
                self.latch.prove();
            }
            Some(Shaken::Impostor) => is_impostor = true,
            None => {}
        }
        if let Some(reports) = &mut secured.reports {
            match reports.association.news() {
                Some(Shaken::Keys(keys)) => {
                    reports.srtp = Srtp::new(keys).map(Box::new);
                    self.reports.iter_mut().for_each(Latch::prove);
                }
                Some(Shaken::Impostor) => is_impostor = true,
                None => {}
            }
        }
        if is_impostor {
            self.meet_impostor();
        }
    }

    /// Somebody has not the certificate that was signalled: the call is to end (RFC 5763 §5).
    pub(super) fn meet_impostor(&mut self) {
        self.is_impostor = true;
        self.counters.forged += 1;
    }

    /// Whether the peer has another certificate than was signalled.
    pub fn is_impostor(&self) -> bool {
        self.is_impostor
    }

    /// Something about the association of the sound came.
    pub(super) fn shake(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) {
        let Some(secured) = &self.secured else { return };
        match may_shake(&mut self.latch, self.srtp.is_some(), source, now) {
            true => secured.sound.hear(datagram, source),
            false => self.counters.forged += 1,
        }
    }

    /// The same of reports.
    pub(super) fn shake_reports(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) {
        let Some(reports) = self.secured.as_ref().and_then(|secured| secured.reports.as_ref()) else {
            return;
        };
        let Some(latch) = &mut self.reports else { return };
        match may_shake(latch, reports.srtp.is_some(), source, now) {
            true => reports.association.hear(datagram, source),
            false => self.counters.forged += 1,
        }
    }
}

/// Who is proved is where they were: a record proves nothing by itself.
fn may_shake(latch: &mut Latch, is_proved: bool, source: SocketAddr, now: Instant) -> bool {
    if is_proved { latch.target() == source } else { latch.believes(source, now) }
}
