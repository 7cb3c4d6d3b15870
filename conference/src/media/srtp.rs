//! Secure RTP — RFC 3711 (packets, replays), RFC 6188 (AES-256), RFC 7714 (AES-GCM). The ciphers are `rtc-srtp`'s.
//!
//! In    packets and keys. Out protected packets; what a protected one held, or why it is not believed.
//! State a context each way: rollover counters and what was received of the last [`WINDOW`].
//! Errors an index that was received before is a replay, a wrong tag a forgery. Whoever guesses sources (SSRCs) fills
//! nothing: after [`MOST_SOURCES`] that proved nothing no new one is looked at, until new keys come.
//! Not here: who chose the keys (RFC 4568, `focus/sdes.rs`); MKI; unencrypted or unauthenticated sessions.

use bytes::BytesMut;
use rtc_shared::error::Error;
use rtc_srtp::context::Context;
use rtc_srtp::crypto::RTCCryptoProvider;
use rtc_srtp::crypto::providers::AwsLcRsProvider;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

/// A cipher with its tag, by its name in SDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`.
    Aes128Tag80,
    /// `AES_CM_128_HMAC_SHA1_32`.
    Aes128Tag32,
    /// `AES_256_CM_HMAC_SHA1_80`.
    Aes256Tag80,
    /// `AEAD_AES_128_GCM`.
    Gcm128,
    /// `AEAD_AES_256_GCM`.
    Gcm256,
}

/// A master key with its salt. It shows itself to nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MasterKey {
    octets: [u8; LONGEST_KEY],
    length: usize,
}

/// How one leg is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crypto {
    /// In both directions.
    pub suite: Suite,
    /// What the peer protects with.
    pub theirs: MasterKey,
    /// What we protect with.
    pub ours: MasterKey,
}

/// Why a packet is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distrust {
    /// It came before.
    Replayed,
    /// Its tag is wrong, or there is none.
    Forged,
}

/// Both directions of one leg.
pub struct Srtp {
    crypto: Crypto,
    inbound: Context,
    outbound: Context,
    /// Sources that proved themselves, and how many did not.
    proved: Vec<u32>,
    unproved: usize,
}

impl Suite {
    /// All, most wanted first.
    pub const ALL: [Self; 5] =
        [Self::Gcm256, Self::Gcm128, Self::Aes256Tag80, Self::Aes128Tag80, Self::Aes128Tag32];

    /// The name in an `a=crypto`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aes128Tag80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Aes128Tag32 => "AES_CM_128_HMAC_SHA1_32",
            Self::Aes256Tag80 => "AES_256_CM_HMAC_SHA1_80",
            Self::Gcm128 => "AEAD_AES_128_GCM",
            Self::Gcm256 => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.as_str().eq_ignore_ascii_case(name))
    }

    /// Octets of a master key with its salt.
    pub fn key_length(self) -> usize {
        let profile = self.profile();
        profile.key_len() + profile.salt_len()
    }

    /// Octets of a protected report after its index (RFC 3711 §3.4, RFC 7714 §9.3).
    fn octets_after_index(self) -> usize {
        match self {
            Self::Aes128Tag80 | Self::Aes128Tag32 | Self::Aes256Tag80 => self.profile().rtcp_auth_tag_len(),
            Self::Gcm128 | Self::Gcm256 => 0,
        }
    }

    fn profile(self) -> ProtectionProfile {
        match self {
            Self::Aes128Tag80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::Aes128Tag32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Self::Aes256Tag80 => ProtectionProfile::Aes256CmHmacSha1_80,
            Self::Gcm128 => ProtectionProfile::AeadAes128Gcm,
            Self::Gcm256 => ProtectionProfile::AeadAes256Gcm,
        }
    }
}

impl MasterKey {
    /// A key of so many octets; `None` if there are more than any suite has.
    pub fn new(key: &[u8]) -> Option<Self> {
        let mut octets = [0; LONGEST_KEY];
        octets.get_mut(..key.len())?.copy_from_slice(key);
        Some(Self { octets, length: key.len() })
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({} octets)", self.length)
    }
}

impl Srtp {
    /// Begins with fresh counters; `None` if a key has not the suite's length.
    pub fn new(crypto: Crypto) -> Option<Self> {
        let (inbound, outbound) =
            (context(crypto.suite, crypto.theirs)?, context(crypto.suite, crypto.ours)?);
        Some(Self { crypto, inbound, outbound, proved: Vec::new(), unproved: 0 })
    }

    /// Changes keys: a direction whose key stays goes on counting (RFC 4568 §7.1.4). False if a key is wrong.
    pub fn change(&mut self, crypto: Crypto) -> bool {
        let before = self.crypto;
        let fresh = |before: MasterKey, now: MasterKey| {
            (crypto.suite != self.crypto.suite || before != now).then(|| context(crypto.suite, now))
        };
        let (inbound, outbound) = (fresh(before.theirs, crypto.theirs), fresh(before.ours, crypto.ours));
        if matches!(inbound, Some(None)) || matches!(outbound, Some(None)) {
            return false;
        }
        if let Some(inbound) = inbound.flatten() {
            (self.inbound, self.unproved) = (inbound, 0);
            self.proved.clear();
        }
        if let Some(outbound) = outbound.flatten() {
            self.outbound = outbound;
        }
        self.crypto = crypto;
        true
    }

    /// What a packet of RTP held, header and payload.
    pub fn open(&mut self, packet: &[u8]) -> Result<BytesMut, Distrust> {
        let ssrc = self.admit(packet, 8)?;
        let opened = self.inbound.decrypt_rtp(packet);
        self.judge(ssrc, opened)
    }

    /// What a compound packet of RTCP held.
    pub fn open_report(&mut self, packet: &[u8]) -> Result<BytesMut, Distrust> {
        // RFC 3711 §3.4: the bit that says that it is encrypted stands before the tag. Without it the library verifies nothing.
        let after = self.crypto.suite.octets_after_index();
        let index = packet.len().checked_sub(after + 4).ok_or(Distrust::Forged)?;
        if packet[index] & 0x80 == 0 {
            return Err(Distrust::Forged);
        }
        let ssrc = self.admit(packet, 4)?;
        let opened = self.inbound.decrypt_rtcp(packet);
        self.judge(ssrc, opened)
    }

    /// Protects a packet of RTP; `None` when the key is used up (RFC 3711 §9.2).
    pub fn seal(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.outbound.encrypt_rtp(packet).ok()
    }

    /// Protects a compound packet of RTCP.
    pub fn seal_report(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.outbound.encrypt_rtcp(packet).ok()
    }

    /// The source of a packet, if it is known or may be tried: the library keeps a state for each that it is shown.
    fn admit(&mut self, packet: &[u8], at: usize) -> Result<u32, Distrust> {
        let octets = packet.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Distrust::Forged)?;
        let ssrc = u32::from_be_bytes(*octets);
        if !self.proved.contains(&ssrc) {
            if self.unproved >= MOST_SOURCES {
                return Err(Distrust::Forged);
            }
            self.unproved += 1;
        }
        Ok(ssrc)
    }

    fn judge(&mut self, ssrc: u32, opened: Result<BytesMut, Error>) -> Result<BytesMut, Distrust> {
        let opened = opened.map_err(|error| match error {
            Error::SrtpSsrcDuplicated(..) | Error::SrtcpSsrcDuplicated(..) => Distrust::Replayed,
            _ => Distrust::Forged,
        })?;
        if !self.proved.contains(&ssrc) && self.proved.len() < MOST_SOURCES {
            self.proved.push(ssrc);
            self.unproved -= 1;
        }
        Ok(opened)
    }
}

fn context(suite: Suite, key: MasterKey) -> Option<Context> {
    let profile = suite.profile();
    let (key, salt) = key.octets().split_at_checked(profile.key_len())?;
    let provider = AwsLcRsProvider::new();
    let (sound, reports) = (srtp_replay_protection(WINDOW), srtcp_replay_protection(WINDOW));
    Context::new(key, salt, profile, Some(sound), Some(reports), provider.crypto()).ok()
}

/// AES-256 with the salt of counter mode.
const LONGEST_KEY: usize = 46;
/// Packets whose order may differ.
const WINDOW: usize = 128;
/// Sources that are tried without proof, and sources that proved themselves.
const MOST_SOURCES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(suite: Suite, seed: u8) -> MasterKey {
        MasterKey::new(&vec![seed; suite.key_length()]).unwrap()
    }

    fn pair(suite: Suite) -> (Srtp, Srtp) {
        let (one, two) = (key(suite, 1), key(suite, 2));
        let new = |theirs, ours| Srtp::new(Crypto { suite, theirs, ours }).unwrap();
        (new(two, one), new(one, two))
    }

    fn packet(sequence: u16, ssrc: u8) -> Vec<u8> {
        let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, ssrc, 1, 2, 3, 4];
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet
    }

    #[test]
    fn what_is_sealed_opens_once_and_only_unchanged() {
        for suite in Suite::ALL {
            let (mut ours, mut theirs) = pair(suite);
            for sequence in [65_534, 65_535, 0, 1] {
                let sealed = ours.seal(&packet(sequence, 7)).unwrap();
                let mut changed = sealed.clone();
                changed[13] ^= 1;
                assert_eq!(theirs.open(&changed), Err(Distrust::Forged), "{suite:?}");
                assert_eq!(theirs.open(&sealed).unwrap(), packet(sequence, 7), "{suite:?}");
                assert_eq!(theirs.open(&sealed), Err(Distrust::Replayed), "{suite:?}");
            }
            let report = crate::media::rtcp::compose(7, "x", None, &[]);
            let sealed = ours.seal_report(&report).unwrap();
            assert_eq!(theirs.open_report(&sealed).unwrap(), report);
            assert_eq!(theirs.open_report(&sealed), Err(Distrust::Replayed));
            assert_eq!(theirs.open(&packet(2, 7)), Err(Distrust::Forged), "in the clear");
            for length in 0..sealed.len() {
                let cut = &sealed[..length];
                let opened = (theirs.open(cut).is_err(), theirs.open_report(cut).is_err());
                assert_eq!(opened, (true, true), "{suite:?}: {length} of {}", sealed.len());
            }
        }
    }

    #[test]
    fn guessed_sources_fill_nothing_and_who_is_known_is_heard_on() {
        let (mut ours, mut theirs) = pair(Suite::Aes128Tag80);
        theirs.open(&ours.seal(&packet(1, 7)).unwrap()).unwrap();
        for ssrc in 0..=255 {
            assert!(theirs.open(&packet(1, ssrc)).is_err());
        }
        assert_eq!(theirs.unproved, MOST_SOURCES);
        theirs.open(&ours.seal(&packet(2, 7)).unwrap()).unwrap();
        assert!(theirs.open(&ours.seal(&packet(2, 8)).unwrap()).is_err());
    }

    #[test]
    fn a_key_that_stays_goes_on_counting() {
        let suite = Suite::Gcm128;
        let (mut ours, mut theirs) = pair(suite);
        let sealed = ours.seal(&packet(5, 7)).unwrap();
        theirs.open(&sealed).unwrap();
        let crypto = Crypto { suite, theirs: key(suite, 1), ours: key(suite, 3) };
        assert!(theirs.change(crypto));
        assert_eq!(theirs.open(&sealed), Err(Distrust::Replayed));
        assert!(theirs.change(Crypto { theirs: key(suite, 4), ..crypto }));
        assert_eq!(theirs.open(&sealed), Err(Distrust::Forged), "another key");
        assert!(!theirs.change(Crypto { theirs: MasterKey::new(&[1; 3]).unwrap(), ..crypto }));
    }

    #[test]
    fn keys_show_themselves_to_nobody() {
        let shown = format!(
            "{:?}",
            Crypto { suite: Suite::Gcm256, theirs: key(Suite::Gcm256, 99), ours: key(Suite::Gcm256, 98) }
        );
        assert!(!shown.contains("99") && !shown.contains("98"), "{shown}");
        assert_eq!(MasterKey::new(&[0; 47]), None);
    }
}
