//! Keys by DTLS — RFC 5763 (the certificate is that of the fingerprint in SDP), RFC 5764 §4.1 (profiles), §4.2 (key derivation);
//! RFC 8122 §5 (fingerprints). The handshake is `rtc-dtls`'s.
//!
//! In    records of the peer, and instants. Out records of ours, and the keys of sound when both are proved.
//! State a handshake. Errors a certificate of another fingerprint ends it: nothing is sent or believed then, and that is told, for the call
//! is to end (RFC 5763 §5).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aws_lc_rs::digest;
use bytes::BytesMut;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Profile;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;
use rtc_srtp::crypto::RTCCryptoProvider;
use rtc_srtp::crypto::providers::AwsLcRsProvider;

use crate::media::srtp::{Crypto, MasterKey, Suite};

/// Our certificate, made anew at each start, with its fingerprint.
pub struct Identity {
    certificate: Certificate,
    /// As `a=fingerprint` says it.
    pub fingerprint: String,
}

/// The fingerprint of a certificate (RFC 8122 §5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    hash: Hash,
    octets: [u8; LONGEST],
}

/// What a fingerprint is made with, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// Who says hello: we do (`a=setup:active`), or we wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Active,
    /// The server.
    Passive,
}

/// What offer and answer say of an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dtls {
    /// Of the peer's certificate.
    pub theirs: Fingerprint,
    /// Ours.
    pub side: Side,
}

/// One handshake.
pub(super) struct Handshake {
    endpoint: Endpoint,
    is_done: bool,
    /// Another certificate came.
    is_other: Arc<AtomicBool>,
}

/// What came of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shaken {
    /// Both sides are proved: with these keys.
    Keys(Crypto),
    /// Whoever is there has not the certificate that was signalled.
    Impostor,
}

impl Identity {
    /// A new one; nothing if the system has no random numbers.
    pub fn new() -> Option<Self> {
        let provider = AwsLcRsProvider::new();
        let certificate =
            Certificate::generate_self_signed(vec!["focus.invalid".to_owned()], provider.crypto()).ok()?;
        let fingerprint = Self::fingerprint_of(certificate.certificate.first()?);
        Some(Self { certificate, fingerprint })
    }

    /// The fingerprint of any certificate, as `a=fingerprint` says it.
    pub fn fingerprint_of(certificate: &[u8]) -> String {
        Fingerprint::of(Hash::Sha256, certificate).to_string()
    }
}

impl Hash {
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    /// Octets of its result.
    fn length(self) -> usize {
        self.algorithm().output_len()
    }
}

impl Fingerprint {
    /// Reads `sha-256 AB:CD:…`; nothing if it is of no hash that we know, or has not its length.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, hexadecimal) = text.trim().split_once(' ')?;
        let hash = Hash::ALL.into_iter().find(|hash| hash.name().eq_ignore_ascii_case(name))?;
        let (mut octets, mut read) = ([0; LONGEST], 0);
        for pair in hexadecimal.trim().split(':') {
            let is_octet = pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
            let octet = u8::from_str_radix(pair, 16).ok().filter(|_| is_octet)?;
            *octets.get_mut(read)? = octet;
            read += 1;
        }
        (read == hash.length()).then_some(Self { hash, octets })
    }

    /// That of the strongest hash among several (RFC 8122 §5.1).
    pub fn strongest<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Self> {
        lines.filter_map(Self::parse).max_by_key(|one| one.hash)
    }

    fn of(hash: Hash, certificate: &[u8]) -> Self {
        let (result, mut octets) = (digest::digest(hash.algorithm(), certificate), [0; LONGEST]);
        octets.iter_mut().zip(result.as_ref()).for_each(|(octet, of)| *octet = *of);
        Self { hash, octets }
    }

    fn is_of(&self, certificate: &[u8]) -> bool {
        Self::of(self.hash, certificate) == *self
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.name())?;
        for (n, octet) in self.octets[..self.hash.length()].iter().enumerate() {
            write!(f, "{}{octet:02X}", if n > 0 { ":" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl Handshake {
    /// A handshake with whoever has a certificate of this fingerprint, which is nobody without one; nothing if it cannot be
    /// set up.
    pub(super) fn new(
        identity: &Identity,
        theirs: Option<Fingerprint>,
        side: Side,
        now: Instant,
    ) -> Option<Self> {
        let is_other = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_other);
        let verify = move |chain: &[Vec<u8>], _: &[_]| {
            let is_theirs = theirs.zip(chain.first()).is_some_and(|(theirs, one)| theirs.is_of(one));
            seen.fetch_or(!is_theirs, Ordering::Relaxed);
            if is_theirs { Ok(()) } else { Err(Error::Other("another fingerprint".to_owned())) }
        };
        let config = ConfigBuilder::default()
            .with_crypto_provider(Arc::new(AwsLcRsProvider::new()))
            .with_certificates(vec![identity.certificate.clone()])
            // Not GCM: a picture that is sent again has another transport number in its head, and two heads under one nonce
            // give its key away (RFC 7714 §8.4).
            .with_srtp_protection_profiles(vec![Profile::Srtp_Aes128_Cm_Hmac_Sha1_80])
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(verify)));
        let endpoint = match side {
            Side::Passive => {
                let config = Arc::new(config.build(false, None).ok()?);
                Endpoint::new(peer(), TransportProtocol::UDP, Some(config))
            }
            Side::Active => {
                let config = Arc::new(config.build(true, None).ok()?);
                let mut endpoint = Endpoint::new(peer(), TransportProtocol::UDP, None);
                endpoint.connect(now, peer(), config, None).ok()?;
                endpoint
            }
        };
        Some(Self { endpoint, is_done: false, is_other })
    }

    /// Says hello, if that is ours to say.
    pub(super) fn begin(&mut self, mut send: impl FnMut(&[u8])) {
        self.flush(&mut send);
    }

    /// Whether nothing more will be sent by itself.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Takes a datagram of records; what came of it when the handshake is complete, or comes to nothing.
    pub(super) fn hear(
        &mut self,
        datagram: &[u8],
        now: Instant,
        mut send: impl FnMut(&[u8]),
    ) -> Option<Shaken> {
        let heard = self.endpoint.read(now, peer(), None, BytesMut::from(datagram));
        self.flush(&mut send);
        if self.is_other.swap(false, Ordering::Relaxed) {
            self.is_done = true;
            return Some(Shaken::Impostor);
        }
        match heard {
            Ok(events) => {
                self.is_done |= events.iter().any(|event| matches!(event, EndpointEvent::HandshakeComplete));
                let is_news = events.iter().any(|event| matches!(event, EndpointEvent::HandshakeComplete));
                is_news.then(|| self.keys()).flatten().map(Shaken::Keys)
            }
            Err(error) => {
                tracing::debug!(%error, "a DTLS record was refused");
                None
            }
        }
    }

    /// Sends again what was not answered.
    pub(super) fn timeout(&mut self, now: Instant, mut send: impl FnMut(&[u8])) {
        if !self.is_done && self.endpoint.poll_timeout(&peer()).is_some_and(|due| due <= now) {
            if let Err(error) = self.endpoint.handle_timeout(peer(), now) {
                tracing::debug!(%error, "a DTLS handshake was given up");
                self.is_done = true;
            }
            self.flush(&mut send);
        }
    }

    fn flush(&mut self, send: &mut impl FnMut(&[u8])) {
        while let Some(record) = self.endpoint.poll_transmit() {
            send(&record.message);
        }
    }

    /// RFC 5764 §4.2: client's key, server's key, client's salt, server's salt.
    fn keys(&self) -> Option<Crypto> {
        let state = self.endpoint.get_connection_state(peer())?;
        let (suite, key, salt) = match state.srtp_protection_profile() {
            Profile::Srtp_Aead_Aes_128_Gcm => (Suite::Gcm128, 16, 12),
            Profile::Srtp_Aes128_Cm_Hmac_Sha1_80 => (Suite::Aes128Tag80, 16, 14),
            _ => return None,
        };
        let material = state.export_keying_material(LABEL, &[], (key + salt) * 2).ok()?;
        let material: &[u8] = material.as_ref();
        let (keys, salts) = material.split_at_checked(key * 2)?;
        let join = |n: usize| {
            MasterKey::new(&[&keys[n * key..(n + 1) * key], &salts[n * salt..(n + 1) * salt]].concat())
        };
        let (client, server) = (join(0)?, join(1)?);
        Some(match state.is_client() {
            true => Crypto { suite, theirs: server, ours: client },
            false => Crypto { suite, theirs: client, ours: server },
        })
    }
}

/// The library tells handshakes apart by addresses; here each has its own, and where the peer is may change.
fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 9))
}

const LABEL: &str = "EXTRACTOR-dtls_srtp";
/// Octets of the longest hash.
const LONGEST: usize = 64;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    impl Shaken {
        pub(crate) fn keys(self) -> Option<Crypto> {
            if let Self::Keys(keys) = self { Some(keys) } else { None }
        }
    }

    impl Handshake {
        /// The browser's side, which believes whom it meets.
        pub(crate) fn client(identity: &Identity) -> Self {
            let config = ConfigBuilder::default()
                .with_crypto_provider(Arc::new(AwsLcRsProvider::new()))
                .with_certificates(vec![identity.certificate.clone()])
                .with_srtp_protection_profiles(vec![Profile::Srtp_Aes128_Cm_Hmac_Sha1_80])
                .with_insecure_skip_verify(true);
            let config = Arc::new(config.build(true, None).unwrap());
            let mut endpoint = Endpoint::new(peer(), TransportProtocol::UDP, None);
            endpoint.connect(Instant::now(), peer(), config, None).unwrap();
            Self { endpoint, is_done: false, is_other: Arc::default() }
        }

        /// Who waits for a hello of who has this fingerprint.
        fn server(identity: &Identity, theirs: &str) -> Self {
            Self::new(identity, Fingerprint::parse(theirs), Side::Passive, Instant::now()).unwrap()
        }
    }

    /// Both sides talk until nothing is left to say.
    fn shake(server: &mut Handshake, client: &mut Handshake) -> (Option<Crypto>, Option<Crypto>) {
        let (mut to_server, mut ours, mut theirs) = (Vec::new(), None, None);
        client.begin(|record| to_server.push(record.to_vec()));
        for _ in 0..20 {
            let (mut to_client, now) = (Vec::new(), Instant::now());
            for record in to_server.drain(..) {
                let heard = server.hear(&record, now, |record| to_client.push(record.to_vec()));
                ours = heard.and_then(Shaken::keys).or(ours);
            }
            for record in to_client {
                let heard = client.hear(&record, now, |record| to_server.push(record.to_vec()));
                theirs = heard.and_then(Shaken::keys).or(theirs);
            }
        }
        (ours, theirs)
    }

    #[test]
    fn both_sides_come_to_the_same_keys() {
        let (focus, browser) = (Identity::new().unwrap(), Identity::new().unwrap());
        let mut server = Handshake::server(&focus, &browser.fingerprint.to_lowercase());
        let (ours, theirs) = shake(&mut server, &mut Handshake::client(&browser));
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        assert_eq!((ours.ours, ours.theirs, ours.suite), (theirs.theirs, theirs.ours, Suite::Aes128Tag80));
        assert_ne!(ours.ours, ours.theirs);
    }

    #[test]
    fn who_says_hello_looks_at_the_certificate_too() {
        let (focus, phone, other) =
            (Identity::new().unwrap(), Identity::new().unwrap(), Identity::new().unwrap());
        for (theirs, is_right) in [(&phone, true), (&other, false)] {
            let theirs = Fingerprint::parse(&theirs.fingerprint);
            let mut client = Handshake::new(&focus, theirs, Side::Active, Instant::now()).unwrap();
            let (there, here) = shake(&mut Handshake::server(&phone, &focus.fingerprint), &mut client);
            assert_eq!((here.is_some(), there.is_some()), (is_right, is_right));
            if let Some((here, there)) = here.zip(there) {
                assert_eq!((here.ours, here.theirs), (there.theirs, there.ours));
            }
        }
    }

    #[test]
    fn fingerprints_are_of_four_hashes_and_the_strongest_counts() {
        let all = Hash::ALL.map(|hash| Fingerprint::of(hash, b"certificate").to_string());
        for text in &all {
            let read = Fingerprint::parse(&text.to_lowercase()).unwrap();
            assert!(read.is_of(b"certificate") && !read.is_of(b"other"));
            assert_eq!(read.to_string(), *text);
            assert_eq!(Fingerprint::parse(&text[..text.len() - 3]), None);
            assert_eq!(Fingerprint::parse(&format!("{text}:00")), None);
        }
        let strongest = Fingerprint::strongest(["md5 00", &all[2], &all[0], "sha-512 00"].into_iter());
        assert_eq!(strongest.unwrap().to_string(), all[2]);
        for wrong in ["", "sha-256", "sha-256 +1:22", "md5 00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00"] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn another_certificate_gets_no_keys() {
        let (focus, browser, other) =
            (Identity::new().unwrap(), Identity::new().unwrap(), Identity::new().unwrap());
        let mut server = Handshake::server(&focus, &browser.fingerprint);
        let (ours, _) = shake(&mut server, &mut Handshake::client(&other));
        assert_eq!(ours, None);
        assert!(server.hear(b"\x16rubbish", Instant::now(), |_| ()).is_none());
    }

    /// What a peer may send that proved its address: records of a true handshake with octets changed, cut or doubled.
    #[test]
    fn no_record_harms_a_handshake() {
        let (focus, browser) = (Identity::new().unwrap(), Identity::new().unwrap());
        let mut seed = 3_u32;
        let mut random = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as usize
        };
        for _ in 0..300 {
            let mut server = Handshake::server(&focus, &browser.fingerprint);
            let mut client = Handshake::client(&browser);
            let (mut to_server, now) = (Vec::new(), Instant::now());
            client.begin(|record| to_server.push(record.to_vec()));
            for _ in 0..4 {
                let mut to_client = Vec::new();
                for record in to_server.drain(..) {
                    let mut changed = record.clone();
                    for _ in 0..random() % 5 {
                        let at = random() % changed.len();
                        changed[at] = random() as u8;
                    }
                    if random() % 4 == 0 {
                        changed.truncate(random() % record.len());
                    }
                    server.hear(&changed, now, |record| to_client.push(record.to_vec()));
                    if random() % 2 == 0 {
                        server.hear(&record, now, |record| to_client.push(record.to_vec()));
                    }
                }
                for record in to_client {
                    client.hear(&record, now, |record| to_server.push(record.to_vec()));
                }
            }
        }
    }
}
