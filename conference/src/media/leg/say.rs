//! What a leg says: sound, in one packet a tick or several, and noise for silence — RFC 3550 §5.1, RFC 3551 §4.1, RFC 3389 §4.

use rtc_rtp::header::Header;
use rtc_shared::marshal::Marshal;

use super::{Negotiated, RtpLeg};
use crate::media::Frame;
use crate::media::codec::{Encoder, Encoding, LARGEST_PACKET, LARGEST_PAYLOAD};
use crate::media::opus::PAUSE;

impl RtpLeg {
    /// Encodes `frame` for this leg alone, and sends it.
    pub fn say(&mut self, frame: &Frame) {
        let encoding = self.encoding();
        if self.encoder.as_ref().is_none_or(|(known, _)| *known != encoding) {
            self.encoder = Encoder::new(encoding).map(|encoder| (encoding, encoder));
        }
        let mut payload = [0; LARGEST_PAYLOAD];
        let octets = self.encoder.as_mut().map_or(0, |(_, encoder)| encoder.encode(frame, &mut payload));
        self.send(&payload[..octets]);
    }

    /// Sends a payload that was encoded for several legs at once, unless it says only that a pause goes on (RFC 3551 §4.1).
    pub fn send(&mut self, payload: &[u8]) {
        let Encoding { has_pauses, .. } = self.negotiated.encoding;
        if has_pauses && payload.len() <= PAUSE {
            self.is_paused = true;
            return self.skip();
        }
        self.hushed = 0;
        let Negotiated { payload_type, packets, encoding: Encoding { format, .. }, .. } = self.negotiated;
        match packets {
            ..=1 => self.send_packet(payload_type, payload, format.frame_ticks()),
            several => {
                for part in payload.chunks((payload.len() / usize::from(several)).max(1)) {
                    self.send_packet(payload_type, part, format.frame_ticks() / u32::from(several));
                }
            }
        }
    }

    /// Whether the peer takes noise for silence.
    pub fn takes_noise(&self) -> bool {
        self.negotiated.noise.is_some()
    }

    /// Lets 20 ms of silence pass: noise of this level, in decibels below the loudest, stands for it, and is told anew now and then.
    pub fn hush(&mut self, level: u8) {
        let Some(noise) = self.negotiated.noise else { return self.skip() };
        let is_due = self.hushed.is_multiple_of(NOISE);
        self.hushed = self.hushed.wrapping_add(1);
        if !is_due {
            return self.skip();
        }
        // §4: without the marker, which is for the speech after it.
        self.is_paused = false;
        self.send_packet(noise, &[level & 0x7f], self.negotiated.encoding.format.frame_ticks());
        self.is_paused = true;
    }

    /// One packet, and so many ticks of the clock pass.
    fn send_packet(&mut self, payload_type: u8, payload: &[u8], ticks: u32) {
        let header = Header {
            version: 2,
            marker: std::mem::take(&mut self.is_paused),
            payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            ..Header::default()
        };
        self.timestamp = self.timestamp.wrapping_add(ticks);
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = [0; HEADER + LARGEST_PACKET];
        let target = self.latch.target();
        let Ok(head) = header.marshal_to(&mut packet) else { return };
        let Some(room) = packet.get_mut(head..head + payload.len()) else { return };
        room.copy_from_slice(payload);
        let packet = &packet[..head + payload.len()];
        let is_sent = match &mut self.srtp {
            Some(srtp) => srtp.seal(packet).is_some_and(|sealed| self.wire.send(&sealed, target)),
            None => !self.has_secret() && self.wire.send(packet, target),
        };
        if is_sent {
            self.counters.sent += 1;
            self.packets = self.packets.wrapping_add(1);
            self.octets = self.octets.wrapping_add(payload.len() as u32);
        }
    }

    /// Lets 20 ms pass without sending.
    pub fn skip(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(self.negotiated.encoding.format.frame_ticks());
    }
}

/// Ticks between two words about the noise of a pause: 200 ms.
const NOISE: u32 = 10;
/// Octets of an RTP header without contributing sources or extensions.
const HEADER: usize = 12;
