//! Opus in Ogg — RFC 7845: a recording as a file that players know.
//!
//! In    frames of 20 ms at 48 kHz. Out the file's bytes, page by page of a second, into whatever takes them.
//! State the encoder, and how many samples there are. Errors those of what takes the bytes.
//!
//! ```text
//! page 0: OpusHead (§5.1)   page 1: OpusTags (§5.2)   pages 2…: packets of 20 ms; the last ends the stream
//! ```
//! Not here: reading anything but what was written so.

use std::io::{self, Write};

use ogg::{PacketReader, PacketWriteEndInfo, PacketWriter};

use super::codec::LARGEST_PAYLOAD;
use super::{FRAME, Frame, RATE, SAMPLES, opus};

/// A file that is being written.
pub struct Writer<W: Write> {
    pages: PacketWriter<'static, W>,
    encoder: opus::Encoder,
    frames: u64,
    serial: u32,
    /// The packet that is written when it is known whether it is the last (§4: the end of the stream is marked on it).
    waiting: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes the heads; `serial` is random (RFC 3533 §4).
    pub fn begin(out: W, serial: u32) -> io::Result<Self> {
        let encoder = opus::Encoder::new(BITS_A_SECOND, false)
            .ok_or_else(|| io::Error::other("no memory for an encoder"))?;
        let mut pages = PacketWriter::new(out);
        pages.write_packet(head(), serial, PacketWriteEndInfo::EndPage, 0)?;
        pages.write_packet(tags(), serial, PacketWriteEndInfo::EndPage, 0)?;
        Ok(Self { pages, encoder, frames: 0, serial, waiting: Vec::new() })
    }

    /// Writes one frame.
    pub fn write(&mut self, frame: &Frame) -> io::Result<()> {
        let mut payload = [0; LARGEST_PAYLOAD];
        let octets = self.encoder.encode(frame, &mut payload).unwrap_or(0);
        let ends_page = self.frames.is_multiple_of(FRAMES_A_PAGE);
        let before = std::mem::replace(&mut self.waiting, payload[..octets].to_vec());
        if self.frames > 0 {
            let end = if ends_page { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
            self.pages.write_packet(before, self.serial, end, self.position())?;
        }
        self.frames += 1;
        Ok(())
    }

    /// How long it is.
    pub fn duration(&self) -> std::time::Duration {
        FRAME * u32::try_from(self.frames).unwrap_or(u32::MAX)
    }

    /// Ends the stream; what took the bytes.
    pub fn finish(mut self) -> io::Result<W> {
        let last = std::mem::take(&mut self.waiting);
        // §4.4: what the encoder delays is skipped at the start, and cut off at the end.
        let position = self.position();
        self.pages.write_packet(last, self.serial, PacketWriteEndInfo::EndStream, position)?;
        let mut out = self.pages.into_inner();
        out.flush()?;
        Ok(out)
    }

    /// §4: samples that can be played with the packets until now.
    fn position(&self) -> u64 {
        self.frames * SAMPLES as u64
    }
}

/// The packets of sound of such a file, as far as it can be read, if they are of 20 ms each.
pub fn packets(file: &[u8]) -> Vec<Vec<u8>> {
    let mut pages = PacketReader::new(io::Cursor::new(file));
    let mut packets = std::iter::from_fn(|| pages.read_packet().ok().flatten()).map(|packet| packet.data);
    let has_head = packets.next().is_some_and(|first| first.starts_with(HEAD));
    let sound = packets.skip(1).take_while(|packet| opus::samples_of(packet) == SAMPLES);
    if has_head { sound.collect() } else { Vec::new() }
}

/// §5.1: version, channels, samples to skip, rate of the source, gain, and that one channel is one stream.
fn head() -> Vec<u8> {
    let mut head = HEAD.to_vec();
    head.extend_from_slice(&DELAY.to_le_bytes());
    head.extend_from_slice(&(RATE as u32).to_le_bytes());
    head.extend_from_slice(&[0, 0, 0]);
    head
}

/// §5.2: who wrote it, and no comments.
fn tags() -> Vec<u8> {
    let mut tags = b"OpusTags".to_vec();
    tags.extend_from_slice(&(VENDOR.len() as u32).to_le_bytes());
    tags.extend_from_slice(VENDOR.as_bytes());
    tags.extend_from_slice(&[0; 4]);
    tags
}

/// A head of one channel begins so.
const HEAD: &[u8] = b"OpusHead\x01\x01";
const BITS_A_SECOND: i32 = 32_000;
/// Samples at 48 kHz that the encoder looks ahead.
const DELAY: u16 = 312;
/// A second.
const FRAMES_A_PAGE: u64 = 50;
const VENDOR: &str = "cusax";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::mixer::{Goertzel, Tone};

    /// The samples of a file.
    pub(crate) fn read(file: &[u8]) -> Vec<i16> {
        let mut reader = PacketReader::new(std::io::Cursor::new(file));
        let (mut decoder, mut samples) = (opus::Decoder::new().unwrap(), Vec::new());
        let (mut last, mut is_ended) = (0, false);
        assert!(reader.read_packet_expected().unwrap().data.starts_with(b"OpusHead\x01\x01"));
        assert!(reader.read_packet_expected().unwrap().data.starts_with(b"OpusTags"));
        while let Some(packet) = reader.read_packet().unwrap() {
            let mut frame = [0; SAMPLES];
            let count = decoder.decode(&packet.data, &mut frame).unwrap_or(SAMPLES);
            samples.extend_from_slice(&frame[..count]);
            last = packet.absgp_page();
            assert!(!is_ended, "nothing comes after the end");
            is_ended = packet.last_in_stream();
        }
        assert_eq!((samples.len() as u64, is_ended), (last, true));
        samples
    }

    #[test]
    fn a_recording_holds_the_tone_that_was_written() {
        let mut tone = Tone::new(700.0, 6_000.0);
        let mut writer = Writer::begin(Vec::new(), 7).unwrap();
        for _ in 0..125 {
            writer.write(&tone.next_frame()).unwrap();
        }
        assert_eq!(writer.duration().as_millis(), 2_500);
        let samples = read(&writer.finish().unwrap());
        assert_eq!(samples.len(), 125 * SAMPLES);
        let amplitude = |hertz| {
            let mut ear = Goertzel::new(hertz, 48_000);
            ear.hear(&samples[4_800..9_600]);
            ear.amplitude()
        };
        assert!(amplitude(700.0) > 4_000.0 && amplitude(440.0) < 500.0);
    }

    #[test]
    fn a_recording_of_nothing_is_a_file_all_the_same() {
        let file = Writer::begin(Vec::new(), 7).unwrap().finish().unwrap();
        let mut reader = PacketReader::new(std::io::Cursor::new(&file));
        assert_eq!(std::iter::from_fn(|| reader.read_packet().unwrap()).count(), 3);
    }
}
