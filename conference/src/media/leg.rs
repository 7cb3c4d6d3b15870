//! An RTP leg — RFC 3550 §5.1 (packets), §11 (ports); RFC 3551 (profile); symmetric as RFC 4961 says.
//!
//! In    datagrams from the other end, read when the mixer's tick comes: no task, no lock, no queue but the kernel's.
//! Out   one packet a tick to where the other end is.
//! State play-out, coders, our sequence number and timestamp, the address that packets come from.
//! Errors what is not RTP, or of another payload type, is dropped. A full send buffer drops the packet, as a net would.
//! Not here: RTCP reports (the port is bound and drained), SRTP, telephone-events (dropped, never mixed).

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rtc_rtp::header::Header;
use rtc_shared::marshal::{Marshal, Unmarshal};

use super::codec::{Decoder, Encoder, Format, LARGEST_PAYLOAD};
use super::playout::Playout;
use super::ports::{PortPair, Ports, PortsError};
use super::{FRAME, Frame};

/// What offer and answer agreed on for one leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// The codec.
    pub format: Format,
    /// Its payload type, 0 to 127, in both directions.
    pub payload_type: u8,
    /// Where the other end said it listens; what it sends from wins (RFC 4961).
    pub remote: SocketAddr,
}

/// One leg's sound.
pub struct RtpLeg {
    ports: PortPair,
    local: SocketAddr,
    negotiated: Negotiated,
    /// Where packets really come from, once one came.
    latched: Option<SocketAddr>,
    decoder: Decoder,
    encoder: Encoder,
    playout: Playout,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    last_heard: Instant,
    counters: Counters,
}

/// What a leg did since it was last asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that were played.
    pub received: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets sent.
    pub sent: u64,
    /// Datagrams that were no RTP of this leg.
    pub rejected: u64,
}

/// A pair of ports that waits for its offer and answer.
pub struct UnboundLeg {
    ports: PortPair,
    local: SocketAddr,
}

impl UnboundLeg {
    /// Takes the next free pair of `ports` on `ip`.
    pub fn bind(ports: &Ports, ip: IpAddr) -> Result<Self, PortsError> {
        let ports = ports.bind(ip)?;
        let local = ports.rtp.local_addr().map_err(|_| PortsError::AllTaken)?;
        Ok(Self { ports, local })
    }

    /// Where the other end shall send, as far as the socket knows.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Starts the leg. `seed` is random: our SSRC and the beginnings of sequence numbers and timestamps
    /// (RFC 3550 §5.1). `None` if there is no memory for the coders.
    pub fn start(self, negotiated: Negotiated, seed: u64, now: Instant) -> Option<RtpLeg> {
        Some(RtpLeg {
            ports: self.ports,
            local: self.local,
            negotiated,
            latched: None,
            decoder: Decoder::new(negotiated.format)?,
            encoder: Encoder::new(negotiated.format)?,
            playout: Playout::new(),
            ssrc: (seed >> 32) as u32,
            sequence: seed as u16 & 0x7fff,
            timestamp: (seed >> 16) as u32,
            last_heard: now,
            counters: Counters::default(),
        })
    }
}

impl RtpLeg {
    /// Where the other end shall send, as far as the socket knows.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// What was agreed on.
    pub fn negotiated(&self) -> Negotiated {
        self.negotiated
    }

    /// When the last packet came; the start of the leg if none did.
    pub fn last_heard(&self) -> Instant {
        self.last_heard
    }

    /// Changes what was agreed on, as a re-INVITE does. Numbering goes on; a new address is latched anew.
    pub fn renegotiate(&mut self, negotiated: Negotiated) {
        if negotiated.format != self.negotiated.format
            && let (Some(decoder), Some(encoder)) =
                (Decoder::new(negotiated.format), Encoder::new(negotiated.format))
        {
            (self.decoder, self.encoder) = (decoder, encoder);
        }
        if negotiated.remote != self.negotiated.remote {
            self.latched = None;
        }
        self.negotiated = negotiated;
    }

    /// Reads what came since the last tick and plays the next 20 ms; false, and silence, if there is nothing.
    pub fn hear(&mut self, now: Instant, frame: &mut Frame) -> bool {
        let mut datagram = [0; LARGEST_DATAGRAM];
        for _ in 0..MOST_A_TICK {
            let Ok((length, source)) = self.ports.rtp.recv_from(&mut datagram) else { break };
            self.receive(&datagram[..length], source, now);
        }
        while self.ports.rtcp.recv_from(&mut datagram).is_ok() {}
        self.playout.take(frame)
    }

    /// Encodes `frame` and sends it.
    pub fn say(&mut self, frame: &Frame) {
        let mut payload = [0; LARGEST_PAYLOAD];
        let octets = self.encoder.encode(frame, &mut payload);
        self.send(&payload[..octets]);
    }

    /// Sends a payload that was encoded for several legs at once.
    pub fn send(&mut self, payload: &[u8]) {
        let header = Header {
            version: 2,
            payload_type: self.negotiated.payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            ..Header::default()
        };
        self.skip();
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = [0; HEADER + LARGEST_PAYLOAD];
        let target = self.latched.unwrap_or(self.negotiated.remote);
        let Ok(head) = header.marshal_to(&mut packet) else { return };
        let Some(room) = packet.get_mut(head..head + payload.len()) else { return };
        room.copy_from_slice(payload);
        if target.port() != 0 && self.ports.rtp.send_to(&packet[..head + payload.len()], target).is_ok() {
            self.counters.sent += 1;
        }
    }

    /// Lets 20 ms pass without sending.
    pub fn skip(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(self.negotiated.format.frame_ticks());
    }

    /// What happened since the last call.
    pub fn take_counters(&mut self) -> Counters {
        self.counters.lost += self.playout.take_lost();
        std::mem::take(&mut self.counters)
    }

    fn receive(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) {
        let mut rest = datagram;
        let header = match Header::unmarshal(&mut rest) {
            Ok(header) if header.version == 2 => header,
            _ => return self.counters.rejected += 1,
        };
        let padding = if header.padding { usize::from(rest.last().copied().unwrap_or(0)) } else { 0 };
        let Some(payload) = rest.len().checked_sub(padding).and_then(|end| rest.get(..end)) else {
            return self.counters.rejected += 1;
        };
        // The first that speaks RTP of this leg holds it; another source is heard only after a pause.
        let is_ours = match self.latched {
            Some(latched) => latched == source || now.duration_since(self.last_heard) > RELATCH,
            None => true,
        };
        if !is_ours || header.payload_type != self.negotiated.payload_type {
            return self.counters.rejected += 1;
        }
        self.latched = Some(source);
        self.last_heard = now;
        self.counters.received += 1;
        self.playout.insert(header.sequence_number, payload, &mut self.decoder);
    }
}

/// Octets of an RTP header without contributing sources or extensions.
const HEADER: usize = 12;
/// Octets of a datagram that is looked at.
const LARGEST_DATAGRAM: usize = 2_048;
/// Datagrams read a tick; ten times what a sender of 20 ms sends, so that a flood costs a bounded time.
const MOST_A_TICK: usize = 10;
/// After so long without a packet another source may take the leg over (a phone that changed its network).
const RELATCH: std::time::Duration = FRAME.saturating_mul(25);
