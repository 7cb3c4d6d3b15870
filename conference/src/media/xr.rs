//! Extended reports about sound — RFC 3611 §2 (packet), §3 (blocks), §4.4 (receiver reference time), §4.5 (DLRR), §4.7 (VoIP metrics).
//!
//! ```text
//! |V=2|P|        |   type = 207  |            length             |   then who reports, and blocks:
//! |  block's type |  of the type  |    length in words, less one  |
//! ```
//! In    what one end hears; packets of the peer. Out a packet; what the peer says.
//! State the last reference time of the peer. Errors blocks that are unknown, of a wrong length or about others are passed over, and
//!       of two of a kind the last counts.
//! Not here: runs of losses and duplicates, times of receipt, the statistics summary (§4.1–4.3, 4.6): nobody asks for them.

use std::time::{Duration, Instant};

/// What offer and answer agreed on (§5.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// VoIP metrics of ours are wanted.
    pub metrics: bool,
    /// Who sends nothing may measure the time there and back.
    pub round_trip: Option<RoundTrip>,
}

/// Who answers reference times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundTrip {
    /// Whoever gets them.
    All,
    /// Whoever sends sound.
    Senders,
}

/// How somebody hears one sender, from the beginning on (§4.7). What is not known is nothing, and 127 on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Lost of 256.
    pub lost: u8,
    /// Came, but too late to be played, of 256.
    pub discarded: u8,
    /// Lost or too late of 256 while many are, and how long that lasts, in milliseconds.
    pub burst: (u8, u16),
    /// The same while few are.
    pub gap: (u8, u16),
    /// There and back, in milliseconds; 0: not known.
    pub round_trip: u16,
    /// In the device of who hears, in milliseconds.
    pub inside: u16,
    /// R of the E-model, 0 to 100.
    pub rating: Option<u8>,
    /// What a listener would say, times 10: 10 to 50.
    pub listening: Option<u8>,
    /// What somebody who talks would say, times 10.
    pub talking: Option<u8>,
    /// How long sound waits before it is played: now, and at most, in milliseconds.
    pub waits: (u16, u16),
}

/// What the blocks of a packet say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Whose reference time, and the middle of its NTP time.
    pub reference: Option<(u32, u32)>,
    /// Which of our reference times came last, and how long ago in 65,536ths of a second.
    pub answer: Option<(u32, u32)>,
    /// How we are heard.
    pub heard: Option<Heard>,
}

/// What one leg has to say beside its reports.
#[derive(Debug, Default)]
pub struct Extended {
    /// Whose reference time came last, its middle, and when.
    reference: Option<(u32, u32, Instant)>,
}

impl Extended {
    /// The peer said something.
    pub fn hear(&mut self, told: &Told, now: Instant) {
        if let Some((whose, middle)) = told.reference {
            self.reference = Some((whose, middle, now));
        }
    }

    /// A packet, to follow a report; nothing if nothing is wanted. `heard` is how we hear whom; `reference` is the NTP time of who
    /// sends no reports about sound of theirs.
    pub fn print(
        &mut self,
        ours: u32,
        wanted: Wanted,
        heard: Option<(u32, Heard)>,
        reference: Option<u64>,
        now: Instant,
    ) -> Vec<u8> {
        let mut out = vec![0x80, XR, 0, 0];
        out.extend(ours.to_be_bytes());
        if let Some(ntp) = reference.filter(|_| wanted.round_trip.is_some()) {
            out.extend([REFERENCE, 0, 0, 2]);
            out.extend(ntp.to_be_bytes());
        }
        let may_answer = match wanted.round_trip {
            Some(RoundTrip::All) => true,
            Some(RoundTrip::Senders) => reference.is_none(),
            None => false,
        };
        if let Some((whose, middle, came)) = self.reference.take().filter(|_| may_answer) {
            out.extend([DELAY, 0, 0, 3]);
            let since = now.saturating_duration_since(came).min(LONGEST).as_micros() * 65_536 / 1_000_000;
            [whose, middle, since as u32].iter().for_each(|word| out.extend(word.to_be_bytes()));
        }
        if let Some((whom, heard)) = heard.filter(|_| wanted.metrics) {
            heard.print(whom, &mut out);
        }
        if out.len() == HEAD {
            return Vec::new();
        }
        let words = (out.len() / 4 - 1) as u16;
        out[2..4].copy_from_slice(&words.to_be_bytes());
        out
    }
}

/// What the body of a packet, from its source on, says to `ours`.
pub fn read(body: &[u8], ours: u32, told: &mut Told) {
    let Some(from) = word(body, 0) else { return };
    let mut rest = &body[4..];
    while let Some((&[kind, _, high, low], after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([high, low])) * 4;
        let Some((block, after)) = after.split_at_checked(length) else { return };
        rest = after;
        match (kind, block.len()) {
            // The middle: the low half of the seconds, and the high one of their parts.
            (REFERENCE, 8) => {
                told.reference = block[2..].first_chunk().map(|four| (from, u32::from_be_bytes(*four)))
            }
            (DELAY, _) => {
                let mut all = block.chunks_exact(12).filter(|one| word(one, 0) == Some(ours));
                told.answer = all.next_back().and_then(|one| word(one, 4).zip(word(one, 8))).or(told.answer);
            }
            (METRICS, 32) if word(block, 0) == Some(ours) => told.heard = Heard::read(block).or(told.heard),
            _ => {}
        }
    }
}

impl Heard {
    /// What somebody there would say, 1 (bad) to 5 (good): who talks, or else who listens.
    pub fn mos(&self) -> Option<f64> {
        self.talking.or(self.listening).map(|tenths| f64::from(tenths) / 10.0)
    }

    fn print(&self, whom: u32, out: &mut Vec<u8>) {
        let known = |value: Option<u8>| value.unwrap_or(UNKNOWN);
        out.extend([METRICS, 0, 0, 8]);
        out.extend(whom.to_be_bytes());
        out.extend([self.lost, self.discarded, self.burst.0, self.gap.0]);
        [self.burst.1, self.gap.1, self.round_trip, self.inside]
            .iter()
            .for_each(|two| out.extend(two.to_be_bytes()));
        // Levels and echoes of the line are nothing that we measure.
        out.extend([UNKNOWN, UNKNOWN, UNKNOWN, GMIN]);
        out.extend([known(self.rating), UNKNOWN, known(self.listening), known(self.talking)]);
        out.extend([CONFIGURATION, 0]);
        [self.waits.0, self.waits.1, self.waits.1].iter().for_each(|two| out.extend(two.to_be_bytes()));
    }

    /// Of a block without its head.
    fn read(block: &[u8]) -> Option<Self> {
        let octet = |at: usize| block.get(at).copied();
        let two = |at: usize| block.get(at..)?.first_chunk().map(|two| u16::from_be_bytes(*two));
        let score = |at: usize| octet(at).map(|score| Some(score).filter(|score| (10..=50).contains(score)));
        Some(Self {
            lost: octet(4)?,
            discarded: octet(5)?,
            burst: (octet(6)?, two(8)?),
            gap: (octet(7)?, two(10)?),
            round_trip: two(12)?,
            inside: two(14)?,
            rating: octet(20).filter(|rating| *rating <= 100),
            listening: score(22)?,
            talking: score(23)?,
            waits: (two(26)?, two(28)?),
        })
    }
}

/// The time there and back by an answer to a reference time of ours (§4.5), where `now` is an NTP time.
pub fn round_trip((middle, delay): (u32, u32), now: u64) -> Option<Duration> {
    let trip = ((now >> 16) as u32).wrapping_sub(middle).wrapping_sub(delay);
    let is_sane = middle != 0 && trip < 60 << 16;
    is_sane.then(|| Duration::from_micros(u64::from(trip) * 1_000_000 / 65_536))
}

fn word(body: &[u8], at: usize) -> Option<u32> {
    body.get(at..)?.first_chunk().map(|octets| u32::from_be_bytes(*octets))
}

/// The type of the packet.
pub const XR: u8 = 207;
const REFERENCE: u8 = 4;
const DELAY: u8 = 5;
const METRICS: u8 = 7;
/// Of a packet and who reports.
const HEAD: usize = 8;
const UNKNOWN: u8 = 127;
/// §4.7.2: packets in a row that end a burst, as is recommended.
pub const GMIN: u8 = 16;
/// §4.7.6: what is missing is made of what was there (11), the buffer adapts (11), in two seconds or more (1111).
const CONFIGURATION: u8 = 0xff;
/// What the delay of an answer can say.
const LONGEST: Duration = Duration::from_secs(65_535);

#[cfg(test)]
mod tests {
    use super::*;

    const HEARD: Heard = Heard {
        lost: 12,
        discarded: 3,
        burst: (85, 120),
        gap: (9, 260),
        round_trip: 40,
        inside: 60,
        rating: Some(80),
        listening: Some(41),
        talking: None,
        waits: (20, 240),
    };
    const ALL: Wanted = Wanted { metrics: true, round_trip: Some(RoundTrip::All) };

    fn told(packet: &[u8], ours: u32) -> Told {
        let mut told = Told::default();
        read(&packet[4..], ours, &mut told);
        told
    }

    #[test]
    fn what_is_printed_can_be_read() {
        let (now, mut extended) = (Instant::now(), Extended::default());
        let packet = extended.print(1, ALL, Some((7, HEARD)), Some(0x1111_2222_3333_4444), now);
        assert_eq!((packet.len(), packet[1], &packet[2..4]), (8 + 12 + 36, 207, &[0, 13][..]));
        let expected = Told { reference: Some((1, 0x2222_3333)), heard: Some(HEARD), answer: None };
        assert_eq!(told(&packet, 7), expected);
        assert_eq!(told(&packet, 8).heard, None, "about somebody else");
        // Who gets a reference time answers it, once.
        let mut other = Extended::default();
        other.hear(&expected, now);
        let answer = other.print(7, ALL, None, None, now + Duration::from_millis(500));
        assert_eq!(told(&answer, 1).answer, Some((0x2222_3333, 32_768)));
        assert!(other.print(7, ALL, None, None, now).is_empty());
        let came = (0x2222_3333_u64 + 65_536) << 16;
        assert_eq!(round_trip((0x2222_3333, 32_768), came), Some(Duration::from_millis(500)));
        assert_eq!(round_trip((0x2222_3333, 3 << 16), came), None, "a lie");
    }

    #[test]
    fn what_is_not_wanted_is_not_sent() {
        let now = Instant::now();
        let mut extended = Extended::default();
        extended.hear(&Told { reference: Some((1, 2)), ..Told::default() }, now);
        assert!(extended.print(1, Wanted::default(), Some((7, HEARD)), Some(9), now).is_empty());
        extended.hear(&Told { reference: Some((1, 2)), ..Told::default() }, now);
        let senders = Wanted { metrics: false, round_trip: Some(RoundTrip::Senders) };
        let packet = extended.print(1, senders, Some((7, HEARD)), Some(9 << 16), now);
        assert_eq!(
            told(&packet, 1),
            Told { reference: Some((1, 9)), ..Told::default() },
            "who sends nothing asks alone"
        );
    }

    #[test]
    fn whatever_is_cut_off_or_wrong_is_passed_over() {
        let (now, mut extended) = (Instant::now(), Extended::default());
        extended.hear(&Told { reference: Some((7, 9)), ..Told::default() }, now);
        let whole = extended.print(1, ALL, Some((7, HEARD)), Some(5), now);
        for length in 4..whole.len() {
            let told = told(&whole[..length], 7);
            assert!(told.heard.is_none() && (told.answer.is_none() || length >= 36), "{length}: {told:?}");
        }
        // An unknown block before, and lengths that are not those of their kinds.
        let body = |blocks: &[&[u8]]| [&[0, 0, 0, 1][..], &blocks.concat()].concat();
        let mut told = Told::default();
        read(
            &body(&[&[99, 0, 0, 1, 0, 0, 0, 0], &[REFERENCE, 0, 0, 1, 9, 9, 9, 9], &whole[HEAD..20]]),
            7,
            &mut told,
        );
        assert_eq!(told, Told { reference: Some((1, 0)), ..Told::default() });
        for kind in [REFERENCE, DELAY, METRICS] {
            for words in [0, 1, 4, 7, 9, 0xffff_u16] {
                let [high, low] = words.to_be_bytes();
                let mut told = Told::default();
                read(&body(&[&[kind, 0, high, low], &[0; 36]]), 7, &mut told);
                assert_eq!(told, Told::default(), "{kind} {words}");
            }
        }
        // Scores that there are not.
        let mut wrong = Vec::new();
        Heard { rating: Some(101), listening: Some(9), talking: Some(51), ..HEARD }.print(7, &mut wrong);
        let mut told = Told::default();
        read(&body(&[&wrong]), 7, &mut told);
        let heard = told.heard.unwrap();
        assert_eq!((heard.rating, heard.listening, heard.talking), (None, None, None));
    }
}
