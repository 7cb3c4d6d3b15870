//! A sender, a net that delays, loses and doubles, and a listener whose clock is another.

use super::super::codec::{Encoder, Encoding, LARGEST_PAYLOAD};
use super::*;
use crate::mixer::{Goertzel, Prompt, Tone};

/// A sender of a tone, numbered from just below the wrap.
struct Sender {
    encoder: Encoder,
    format: Format,
    tone: Tone,
    sequence: u16,
    timestamp: u32,
}

impl Sender {
    fn new(format: Format) -> Self {
        let encoding = Encoding { has_redundancy: true, ..Encoding::of(format) };
        let encoder = Encoder::new(encoding).unwrap();
        Self {
            encoder,
            format,
            tone: Tone::new(400.0, 8_000.0),
            sequence: 65_500,
            timestamp: u32::MAX - 5_000,
        }
    }

    fn next(&mut self) -> (u16, u32, Vec<u8>) {
        let mut payload = [0; LARGEST_PAYLOAD];
        let octets = self.encoder.encode(&self.tone.next_frame(), &mut payload);
        let packet = (self.sequence, self.timestamp, payload[..octets].to_vec());
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.format.frame_ticks());
        packet
    }
}

/// A listener.
struct Listener {
    playout: Playout,
    decoder: Decoder,
    silent: usize,
    ear: Goertzel,
}

impl Listener {
    fn new(format: Format) -> Self {
        let (playout, decoder) = (Playout::new(format), Decoder::new(format).unwrap());
        Self { playout, decoder, silent: 0, ear: Goertzel::new(400.0, 48_000) }
    }

    fn hear(&mut self, (sequence, timestamp, payload): &(u16, u32, Vec<u8>)) {
        self.playout.insert(*sequence, *timestamp, Kind::Sound(None), payload);
    }

    fn tick(&mut self) -> Frame {
        let mut frame = [0; SAMPLES];
        if !self.playout.take(Worth::All, &mut self.decoder, &mut frame) {
            self.silent += 1;
        }
        self.ear.hear(&frame);
        frame
    }
}

#[test]
fn plays_what_comes_in_order_across_the_wrap_of_everything() {
    for format in Format::ALL {
        let (mut sender, mut listener) = (Sender::new(format), Listener::new(format));
        for _ in 0..100 {
            listener.hear(&sender.next());
            listener.tick();
        }
        assert_eq!((listener.silent, listener.playout.take_lost()), (1, 0), "{format:?}: one tick to gather");
        assert!(listener.ear.amplitude() > 6_000.0, "{format:?}: {}", listener.ear.amplitude());
    }
}

#[test]
fn a_lost_packet_is_concealed_and_counted() {
    for format in [Format::Opus, Format::Pcmu, Format::G722] {
        let (mut sender, mut listener) = (Sender::new(format), Listener::new(format));
        for n in 0..200 {
            let packet = sender.next();
            if n % 10 != 9 {
                listener.hear(&packet);
            }
            let frame = listener.tick();
            let loudness = frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / SAMPLES as f64;
            assert!(n < 5 || loudness.sqrt() > 3_000.0, "{format:?}: a hole at {n}: {}", loudness.sqrt());
        }
        assert_eq!((listener.silent, listener.playout.take_lost()), (1, 19), "{format:?}");
    }
}

#[test]
fn what_is_out_of_order_is_put_in_order_and_what_is_late_or_doubled_dropped() {
    let (mut sender, mut listener) = (Sender::new(Format::Pcmu), Listener::new(Format::Pcmu));
    let packets: Vec<_> = (0..50).map(|_| sender.next()).collect();
    listener.hear(&packets[1]);
    listener.hear(&packets[0]);
    listener.hear(&packets[2]);
    listener.tick();
    for n in 3..50 {
        if n % 2 == 1 {
            listener.hear(&packets[n + 1 - usize::from(n == 49)]);
            listener.hear(&packets[n]);
        }
        listener.hear(&packets[n - 3]);
        listener.tick();
    }
    assert_eq!((listener.silent, listener.playout.take_lost()), (0, 0));
    // Each third one before is there twice, or was played.
    assert!(listener.playout.take_late() >= 47);
}

/// Packets of a sender whose clock is `drift` parts in a million off ours, in a net that delays each by up to `jitter` ms.
fn far_away(format: Format, drift: f64, jitter: u32, seconds: usize) -> (Listener, Vec<usize>) {
    let (mut sender, mut listener) = (Sender::new(format), Listener::new(format));
    let (mut on_their_way, mut seed, mut sent): (Vec<(f64, _)>, u32, usize) = (Vec::new(), 9, 0);
    let mut depths = Vec::new();
    for tick in 0..seconds * 50 {
        let now = tick as f64 * 20.0;
        while sent as f64 * 20.0 * (1.0 - drift / 1e6) <= now {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let delay = f64::from((seed >> 8) % (jitter * 16 + 1)) / 16.0;
            on_their_way.push((sent as f64 * 20.0 * (1.0 - drift / 1e6) + delay, sender.next()));
            sent += 1;
        }
        on_their_way.sort_by(|a, b| a.0.total_cmp(&b.0));
        let arrived = on_their_way.iter().take_while(|(at, _)| *at <= now).count();
        for (_, packet) in on_their_way.drain(..arrived) {
            listener.hear(&packet);
        }
        listener.tick();
        depths.push(listener.playout.in_hand());
    }
    (listener, depths)
}

#[test]
fn clocks_that_drift_either_way_lose_nothing() {
    for drift in [-300.0, 300.0] {
        let (mut listener, depths) = far_away(Format::Pcmu, drift, 0, 300);
        // 300 in a million over 300 s are 90 ms.
        let end = depths[depths.len() - 200..].iter().max().unwrap();
        assert!(*end <= SAMPLES * 3, "{drift}: {end} samples in hand");
        assert_eq!((listener.playout.take_lost(), listener.playout.take_late()), (0, 0), "{drift}");
        assert!(listener.silent <= 2, "{drift}: {}", listener.silent);
    }
}

#[test]
fn delay_grows_with_jitter_and_shrinks_after_it() {
    let (_, calm) = far_away(Format::Pcmu, 0.0, 0, 60);
    let (mut rough, depths) = far_away(Format::Pcmu, 0.0, 60, 60);
    let mean = |depths: &[usize]| depths.iter().sum::<usize>() / depths.len();
    let (of_calm, of_rough) = (mean(&calm[1_500..]), mean(&depths[1_500..]));
    assert!(of_calm < SAMPLES * 3 / 2, "{of_calm}");
    assert!(of_rough > of_calm + SAMPLES && of_rough < SAMPLES * 7, "{of_calm} {of_rough}");
    assert!(rough.playout.take_late() < 60, "few come too late once the delay fits");
    assert!(rough.silent < 20, "{}", rough.silent);
    // The net calms down.
    let mut sender = Sender::new(Format::Pcmu);
    rough.playout.restart(Format::Pcmu);
    for _ in 0..50 * 120 {
        rough.hear(&sender.next());
        rough.tick();
    }
    assert!(rough.playout.in_hand() < SAMPLES * 2, "{}", rough.playout.in_hand());
}

#[test]
fn a_burst_is_cut_to_what_may_wait() {
    let (mut sender, mut listener) = (Sender::new(Format::Pcmu), Listener::new(Format::Pcmu));
    for _ in 0..30 {
        listener.hear(&sender.next());
    }
    listener.tick();
    assert!(listener.playout.in_hand() <= MOST, "{}", listener.playout.in_hand());
}

#[test]
fn a_sender_that_restarts_is_heard() {
    let (mut sender, mut listener) = (Sender::new(Format::Pcmu), Listener::new(Format::Pcmu));
    for sequence in [5_000, 20_000, 7] {
        sender.sequence = sequence;
        for _ in 0..20 {
            listener.hear(&sender.next());
            listener.tick();
        }
    }
    assert!(listener.silent < 6, "{}", listener.silent);
}

#[test]
fn pauses_are_no_losses() {
    let (mut sender, mut listener) = (Sender::new(Format::Pcmu), Listener::new(Format::Pcmu));
    for _ in 0..20 {
        listener.hear(&sender.next());
        listener.tick();
    }
    // 200 ms of a key, whose packets share one timestamp (RFC 4733 §2.5.1.2).
    for _ in 0..10 {
        let (sequence, _, _) = sender.next();
        listener.playout.insert(sequence, 77, Kind::Event, &[5, 10, 0, 160]);
        listener.tick();
    }
    let target = listener.playout.target;
    for _ in 0..20 {
        listener.hear(&sender.next());
        listener.tick();
    }
    // Comfort noise, then nothing for a second (RFC 3389).
    let (sequence, timestamp, _) = sender.next();
    listener.playout.insert(sequence, timestamp, Kind::Noise(50), &[]);
    let (mut noise, mut steps) = (0.0, 0);
    for _ in 0..50 {
        sender.timestamp = sender.timestamp.wrapping_add(160);
        let frame = listener.tick();
        noise = frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / SAMPLES as f64;
        steps = frame.windows(2).filter(|pair| pair[0] != pair[1]).count();
    }
    assert!((50.0..200.0).contains(&noise.sqrt()), "-50 dB are 104: {}", noise.sqrt());
    assert!(steps < SAMPLES / 4, "a telephone hears no more than 4 kHz of it: {steps}");
    for _ in 0..20 {
        listener.hear(&sender.next());
        listener.tick();
    }
    assert_eq!((listener.playout.take_lost(), listener.playout.take_late()), (0, 0));
    assert_eq!((listener.silent, listener.playout.target), (1, target));
}

#[test]
fn time_passes_for_who_is_not_decoded() {
    let (mut sender, mut listener) = (Sender::new(Format::Opus), Listener::new(Format::Opus));
    for _ in 0..100 {
        let (sequence, timestamp, payload) = sender.next();
        listener.playout.insert(sequence, timestamp, Kind::Sound(Some(90)), &payload);
        assert_eq!(listener.playout.level(), Some(90));
        let mut frame = [1; SAMPLES];
        listener.playout.take(Worth::Nothing, &mut listener.decoder, &mut frame);
        assert_eq!(frame, [0; SAMPLES]);
    }
    assert!(listener.playout.in_hand() <= SAMPLES * 2);
}

/// Frames with sound in them when only voice is wanted, of a hundred that one encoder made of these.
fn tasted(mut frame: impl FnMut(usize) -> Frame) -> usize {
    let mut encoder = Encoder::new(Encoding::of(Format::Opus)).unwrap();
    let mut listener = Listener::new(Format::Opus);
    let mut one = |n: usize| {
        let mut payload = [0; LARGEST_PAYLOAD];
        let octets = encoder.encode(&frame(n), &mut payload);
        listener.hear(&(n as u16, (n * SAMPLES) as u32, payload[..octets].to_vec()));
        let mut out = [0; SAMPLES];
        listener.playout.take(Worth::Voice, &mut listener.decoder, &mut out);
        out.iter().any(|sample| *sample != 0)
    };
    (0..100).filter(|n| one(*n)).count()
}

#[test]
fn of_what_its_encoder_takes_for_no_voice_a_fifth_is_decoded() {
    let mut seed = 1_u32;
    let mut noise = |loudness: i32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((seed >> 16) as i16 as i32 * loudness / 32_768) as i16
    };
    let quiet = tasted(|_| std::array::from_fn(|_| noise(60)));
    assert!((15..25).contains(&quiet), "{quiet}");
    let prompt = |n| Prompt::Entry.frame(n % 50).unwrap();
    assert!(tasted(prompt) > 85, "{}", tasted(prompt));
}
