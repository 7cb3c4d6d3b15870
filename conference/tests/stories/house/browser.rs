//! A phone as a browser is one: ICE, DTLS and one port for all (RFC 8445, RFC 5763, RFC 8843).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use conference::media::dtls::Identity;
use conference::media::srtp::{Crypto, MasterKey, Srtp, Suite};
use rtc_dtls::config::ConfigBuilder;
use rtc_dtls::crypto::Certificate;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_srtp::crypto::RTCCryptoProvider;
use rtc_srtp::crypto::providers::AwsLcRsProvider;
use rtc_stun::attributes::{ATTR_USE_CANDIDATE, ATTR_USERNAME, RawAttribute};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message as Stun, Setter, TransactionId};
use rtc_stun::xoraddr::XorMappedAddress;
use sip_core::sdp::Sdp;
use sip_core::{Message, Name};

use super::Phone;

impl Phone {
    /// Calls as a browser does; the answer, and sound from then on.
    pub(crate) async fn call_as_browser(&mut self, uri: &str) -> Message {
        self.call_as_browser_with(uri, &[]).await
    }

    /// The same, with media beside the sound: the lines of each from `m=` on, without what is said of its way.
    pub(crate) async fn call_as_browser_with(&mut self, uri: &str, beside: &[&str]) -> Message {
        let provider = AwsLcRsProvider::new();
        let certificate = Certificate::generate_self_signed(vec!["x".to_owned()], provider.crypto()).unwrap();
        self.fingerprint = match self.is_impostor {
            true => Identity::fingerprint_of(b"another's"),
            false => Identity::fingerprint_of(&certificate.certificate[0]),
        };
        let ways = format!(
            "c=IN IP4 0.0.0.0\r\na=ice-ufrag:them\r\na=ice-pwd:theirpassword\r\na=fingerprint:{}\r\na=setup:actpass\r\na=rtcp-mux\r\n",
            self.fingerprint
        );
        let mids: String = (1..=beside.len()).map(|mid| format!(" {mid}")).collect();
        let offer = self.browser_offer("them").replace("BUNDLE audio", &format!("BUNDLE audio{mids}"));
        let media = beside.iter().zip(1..).map(|(lines, mid)| format!("{lines}a=mid:{mid}\r\n{ways}"));
        let offer = offer + &media.collect::<String>();
        self.uri = uri.to_owned();
        self.to = format!("<{uri}>");
        let response = self.send_body("INVITE", "application/sdp", &offer).await;
        assert_eq!(response.status(), 200, "{response:?}");
        self.acknowledge();
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let answer = Sdp::parse(&text).unwrap();
        let says = |line: &str| answer.attributes.contains(&line);
        self.is_checked = says("ice-options:ice2");
        assert!(self.is_checked != says("ice-lite") && says(&format!("group:BUNDLE audio{mids}")));
        let media = &answer.media[0];
        let candidate: Vec<&str> = media.attribute("candidate").unwrap().split(' ').collect();
        let focus = SocketAddr::new(candidate[4].parse().unwrap(), candidate[5].parse().unwrap());
        assert_eq!(focus.port(), media.port);
        let ice = (media.attribute("ice-ufrag").unwrap(), media.attribute("ice-pwd").unwrap());
        self.mixer = Some(focus);
        self.ice = Some((ice.0.to_owned(), ice.1.to_owned()));
        let keys = self.shake(focus, ice, certificate);
        assert_eq!(keys.is_none(), self.is_impostor);
        self.srtp = keys.and_then(Srtp::new);
        assert!(response.value(Name::Contact).unwrap().contains(";isfocus"));
        response
    }

    /// Checks anew in the same dialog, as when a browser's net changes; the focus's name before and now.
    pub(crate) async fn check_anew(&mut self) -> (String, String) {
        let before = self.ice.clone().unwrap().0;
        let offer = self.browser_offer("them2");
        let response = self.send_body("INVITE", "application/sdp", &offer).await;
        assert_eq!(response.status(), 200);
        self.acknowledge();
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let answer = Sdp::parse(&text).unwrap();
        let word = |name| answer.media[0].attribute(name).unwrap().to_owned();
        self.ice = Some((word("ice-ufrag"), word("ice-pwd")));
        self.move_on();
        (before, word("ice-ufrag"))
    }

    /// Sends a packet of pictures.
    pub(crate) fn show(&mut self, packet: &[u8]) {
        let sealed = self.seal(packet);
        self.media.send_to(&sealed, self.mixer.unwrap()).unwrap();
    }

    /// The next packet that came and is no sound: pictures, or reports.
    pub(crate) fn see(&mut self) -> Option<Vec<u8>> {
        let mut datagram = [0; 2_048];
        loop {
            let (length, _) = self.media.recv_from(&mut datagram).ok()?;
            if self.is_check(&datagram[..length]) {
                continue;
            }
            let srtp = self.srtp.as_mut().unwrap();
            match datagram[1] & 0x7f {
                0 => {}
                _ if conference::media::rtcp::is_rtcp(&datagram) => {
                    return Some(srtp.open_report(&datagram[..length]).unwrap().to_vec());
                }
                _ => return Some(srtp.open(&datagram[..length]).unwrap().to_vec()),
            }
        }
    }

    /// Takes an offer of the focus within the call, all of it, as who only looks; the offer.
    pub(crate) async fn takes_more(&mut self) -> String {
        let incoming = self.is_invited().await;
        let offer = String::from_utf8_lossy(incoming.request.body()).into_owned();
        let sdp = Sdp::parse(&offer).unwrap();
        let group = sdp.attributes.iter().find(|line| line.starts_with("group:BUNDLE")).unwrap();
        let mut answer = format!("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na={group}\r\n");
        for media in &sdp.media {
            let (formats, direction) = match media.kind {
                "audio" => ("0 101".to_owned(), "sendrecv"),
                _ => (media.formats[0].to_owned(), "recvonly"),
            };
            answer.push_str(&format!(
                "m={} 9 {} {formats}\r\nc=IN IP4 0.0.0.0\r\n",
                media.kind, media.protocol
            ));
            for name in ["rtpmap", "extmap", "mid"] {
                media.values(name).for_each(|value| answer.push_str(&format!("a={name}:{value}\r\n")));
            }
            answer.push_str(&format!(
                "a=ice-ufrag:them\r\na=ice-pwd:theirpassword\r\na=fingerprint:{}\r\na=setup:active\r\na=rtcp-mux\r\na={direction}\r\n",
                self.fingerprint
            ));
        }
        let mut response = Message::response(&incoming.request, 200, "");
        response.push(Name::Contact, &format!("<sip:{}@{}>", self.name, self.endpoint.bound().udp[0]));
        response.set_body("application/sdp", answer.into());
        incoming.server.respond(response);
        self.request("ACK").await;
        offer
    }

    fn browser_offer(&self, name: &str) -> String {
        let fingerprint = &self.fingerprint;
        let lite = match self.is_lite {
            true => {
                let port = self.media.local_addr().unwrap().port();
                format!("a=ice-lite\r\na=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n")
            }
            false => String::new(),
        };
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE audio\r\n{lite}\
             m=audio 9 UDP/TLS/RTP/SAVPF 0 101\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:0 PCMU/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=mid:audio\r\na=ice-ufrag:{name}\r\na=ice-pwd:theirpassword\r\n\
             a=fingerprint:{fingerprint}\r\na=setup:actpass\r\na=rtcp-mux\r\na=sendrecv\r\n"
        )
    }

    /// Goes to another address, proves and chooses it, as when a telephone leaves a wireless net.
    pub(crate) fn move_on(&mut self) {
        let media = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        media.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let (name, password) = self.ice.clone().unwrap();
        media.send_to(&check(&name, &password), self.mixer.unwrap()).unwrap();
        self.media = media;
        let (mut is_answered, mut is_asked) = (false, !self.is_checked);
        while !(is_answered && is_asked) {
            let mut datagram = [0; 2_048];
            let length = self.media.recv(&mut datagram).unwrap();
            let is_asked_now = self.is_check(&datagram[..length]);
            (is_answered, is_asked) = (is_answered || !is_asked_now, is_asked || is_asked_now);
        }
        self.media.set_nonblocking(true).unwrap();
    }

    /// Whether it is a check of the focus, which is answered then.
    pub(super) fn is_check(&self, datagram: &[u8]) -> bool {
        let mut request = Stun::new();
        request.raw = datagram.to_vec();
        if !matches!(datagram.first(), Some(0..=3))
            || request.decode().is_err()
            || request.typ != BINDING_REQUEST
        {
            return false;
        }
        let focus = self.mixer.unwrap();
        let (provider, password) = (AwsLcRsProvider::new(), "theirpassword".to_owned());
        MessageIntegrity::check(&mut request, password.as_bytes(), provider.crypto()).unwrap();
        let integrity = MessageIntegrity::new_short_term_integrity_with_provider(password, provider.crypto());
        let setters: Vec<Box<dyn Setter + '_>> = vec![
            Box::new(request.transaction_id),
            Box::new(BINDING_SUCCESS),
            Box::new(XorMappedAddress { ip: focus.ip(), port: focus.port() }),
            Box::new(integrity),
            Box::new(FINGERPRINT),
        ];
        let mut answer = Stun::new();
        answer.build(&setters).unwrap();
        self.media.send_to(&answer.raw, focus).unwrap();
        true
    }

    /// Nothing if the focus refuses the certificate.
    fn shake(
        &mut self,
        focus: SocketAddr,
        (name, password): (&str, &str),
        certificate: Certificate,
    ) -> Option<Crypto> {
        let config = ConfigBuilder::default()
            .with_crypto_provider(Arc::new(AwsLcRsProvider::new()))
            .with_certificates(vec![certificate])
            .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80])
            .with_insecure_skip_verify(true);
        let config = Arc::new(config.build(true, None).unwrap());
        let mut endpoint = Endpoint::new(focus, TransportProtocol::UDP, None);
        let (begin, mut is_checked, mut is_begun) = (Instant::now(), false, false);
        loop {
            if !is_checked && !self.is_lite {
                self.media.send_to(&check(name, password), focus).unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
            let mut datagram = [0; 2_048];
            while let Ok((length, _)) = self.media.recv_from(&mut datagram) {
                match datagram[0] {
                    0..=3 if self.is_check(&datagram[..length]) => {
                        is_checked |= self.is_lite && chooses(&datagram[..length]);
                        if is_checked && !is_begun {
                            is_begun = true;
                            endpoint.connect(Instant::now(), focus, Arc::clone(&config), None).unwrap();
                        }
                    }
                    0..=3 if !is_checked => {
                        (is_checked, is_begun) = (true, true);
                        endpoint.connect(Instant::now(), focus, Arc::clone(&config), None).unwrap();
                    }
                    20..=63 => {
                        let record = BytesMut::from(&datagram[..length]);
                        let events = endpoint.read(Instant::now(), focus, None, record).ok()?;
                        if events.iter().any(|event| matches!(event, EndpointEvent::HandshakeComplete)) {
                            self.flush(&mut endpoint, focus);
                            return Some(keys(&endpoint, focus));
                        }
                    }
                    _ => {}
                }
            }
            self.flush(&mut endpoint, focus);
            assert!(begin.elapsed() < Duration::from_secs(10));
        }
    }

    fn flush(&self, endpoint: &mut Endpoint, focus: SocketAddr) {
        while let Some(record) = endpoint.poll_transmit() {
            self.media.send_to(&record.message, focus).unwrap();
        }
    }
}

/// The client's side of RFC 5764 §4.2.
pub(super) fn keys(endpoint: &Endpoint, focus: SocketAddr) -> Crypto {
    let state = endpoint.get_connection_state(focus).unwrap();
    let material = state.export_keying_material("EXTRACTOR-dtls_srtp", &[], 60).unwrap();
    let material: &[u8] = material.as_ref();
    let key = |n: usize| {
        MasterKey::new(&[&material[n * 16..n * 16 + 16], &material[32 + n * 14..46 + n * 14]].concat())
            .unwrap()
    };
    Crypto { suite: Suite::Aes128Tag80, theirs: key(1), ours: key(0) }
}

fn chooses(check: &[u8]) -> bool {
    let mut request = Stun::new();
    request.raw = check.to_vec();
    request.decode().unwrap();
    request.contains(ATTR_USE_CANDIDATE)
}

fn check(name: &str, password: &str) -> Vec<u8> {
    let provider = AwsLcRsProvider::new();
    let raw = |typ, value: Vec<u8>| RawAttribute { typ, length: value.len() as u16, value };
    let integrity =
        MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), provider.crypto());
    let setters: Vec<Box<dyn Setter + '_>> = vec![
        Box::new(TransactionId::new()),
        Box::new(BINDING_REQUEST),
        Box::new(raw(ATTR_USERNAME, format!("{name}:them").into_bytes())),
        Box::new(raw(ATTR_USE_CANDIDATE, Vec::new())),
        Box::new(integrity),
        Box::new(FINGERPRINT),
    ];
    let mut request = Stun::new();
    request.build(&setters).unwrap();
    request.raw
}
