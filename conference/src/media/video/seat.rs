//! What a leg may show and see — what offer, answer and the room's law came to.

use super::Codec;
use super::feedback::Us;

/// What is known of a leg when it comes, and when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// What it sends and sees.
    pub codec: Codec,
    /// Its payload type, in both directions.
    pub payload_type: u8,
    /// The source of our reports.
    pub ssrc: u32,
    /// What names us to it, in reports about pictures as about sound, so that they go together.
    pub cname: u32,
    /// What it is told to send at most, in bits a second; 0: it is told nothing.
    pub limit: u64,
    /// What it is sent at most, in bits a second, by all streams together; 0: as much as there is. What needs more is not sent
    /// at all.
    pub takes: u64,
    /// Whether the room lets others see it.
    pub is_shown: bool,
    /// Whether the room lets it see others.
    pub sees: bool,
    /// What it sends.
    pub shows: Vec<Shown>,
    /// What it can see at once; the first is the greatest.
    pub views: Vec<View>,
    /// What its packets say beside their heads.
    pub extensions: Extensions,
    /// It is asked for whole pictures by FIR (RFC 5104 §4.3.1), else by PLI (RFC 4585 §6.3.1).
    pub by_fir: bool,
}

impl Seat {
    /// What all that it is sent has in common (RFC 3550 §6.5.1).
    pub(super) fn cname(&self) -> String {
        format!("{:08x}", self.cname)
    }

    /// Who reports to it.
    pub(super) fn us(&self) -> Us {
        Us { ssrc: self.ssrc, cname: self.cname }
    }
}

/// What pictures are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// Somebody (RFC 4796 §5: `main`, `speaker`, or nothing said).
    Face,
    /// What somebody shows: `slides`.
    Slides,
}

/// A camera or a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it is.
    pub content: Content,
    /// The name of its medium, by which packets may say whose they are (RFC 9143 §9.2).
    pub mid: Option<String>,
    /// The names of its layers (RFC 8851); none: it has one, without a name.
    pub rids: Vec<String>,
    /// The sources that the description names.
    pub ssrcs: Vec<u32>,
}

/// A stream that a leg sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Its source.
    pub ssrc: u32,
    /// What alone may be seen there.
    pub content: Option<Content>,
    /// What it is sent there at most, in bits a second; 0: nothing was said of it.
    pub takes: u64,
}

/// Numbers of extensions of heads (RFC 8285), of those that were agreed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extensions {
    /// The name of the medium.
    pub mid: Option<u8>,
    /// The name of the layer.
    pub rid: Option<u8>,
    /// The number of the packet among all of the transport.
    pub transport: Option<u8>,
}
