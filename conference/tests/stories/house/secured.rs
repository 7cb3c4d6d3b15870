//! A telephone whose keys come of a handshake, without ICE (RFC 5763, RFC 5764).

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use conference::media::dtls::Identity;
use conference::media::srtp::{Crypto, Srtp};
use rtc_dtls::config::{ClientAuthType, ConfigBuilder};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_srtp::crypto::RTCCryptoProvider;
use rtc_srtp::crypto::providers::AwsLcRsProvider;
use sip_core::sdp::Sdp;

use super::Phone;
use super::browser::keys;

/// How it shakes hands.
pub(crate) struct Hands {
    certificate: Certificate,
    pub(crate) setup: &'static str,
    /// Where its description says that it is.
    pub(crate) address: &'static str,
    /// Reports have a port of their own.
    pub(crate) reports: Option<UdpSocket>,
}

impl Hands {
    pub(crate) fn new(setup: &'static str) -> Self {
        let provider = AwsLcRsProvider::new();
        let certificate = Certificate::generate_self_signed(vec!["x".to_owned()], provider.crypto()).unwrap();
        Self { certificate, setup, address: "127.0.0.1", reports: None }
    }

    /// The same with a port for reports.
    pub(crate) fn with_reports(self) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { reports: Some(socket), ..self }
    }

    /// Its certificate's.
    pub(crate) fn fingerprint(&self) -> String {
        Identity::fingerprint_of(&self.certificate.certificate[0])
    }

    /// What it says of its sound at a port.
    pub(crate) fn description(&self, port: u16, protocol: &str, direction: &str) -> String {
        let Self { setup, address, .. } = self;
        let reports = match &self.reports {
            Some(socket) => format!("a=rtcp:{}\r\n", socket.local_addr().unwrap().port()),
            None => "a=rtcp-mux\r\n".to_owned(),
        };
        let family = if address.contains(':') { "IP6" } else { "IP4" };
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\na=fingerprint:{}\r\n\
             m=audio {port} {protocol} 0\r\na=setup:{setup}\r\n{reports}a={direction}\r\n",
            self.fingerprint()
        )
    }
}

impl Phone {
    /// Offers sound with keys of a handshake, and takes the answer; its lines.
    pub(crate) async fn offer_hands(&mut self, hands: &Hands, direction: &str) -> Vec<String> {
        let port = self.media.local_addr().unwrap().port();
        let offer = hands.description(port, "UDP/TLS/RTP/SAVP", direction);
        let response = self.send_body("INVITE", "application/sdp", &offer).await;
        assert_eq!(response.status(), 200, "{response:?}");
        self.acknowledge();
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let answer = Sdp::parse(&text).unwrap();
        self.mixer = Some(SocketAddr::new(answer.media[0].connection.unwrap(), answer.media[0].port));
        text.lines().map(str::to_owned).collect()
    }

    /// Shakes hands on each of its ports; what protects its reports, if that is something else.
    pub(crate) fn shake_hands(&mut self, hands: &Hands, is_client: bool) -> Option<Srtp> {
        let mixer = self.mixer.unwrap();
        self.srtp = shake(&self.media, mixer, hands, is_client).and_then(Srtp::new);
        let of_reports = SocketAddr::new(mixer.ip(), mixer.port() + 1);
        hands.reports.as_ref().and_then(|socket| Srtp::new(shake(socket, of_reports, hands, is_client)?))
    }
}

/// Nothing if the focus does not want to.
fn shake(socket: &UdpSocket, focus: SocketAddr, hands: &Hands, is_client: bool) -> Option<Crypto> {
    let config = ConfigBuilder::default()
        .with_crypto_provider(Arc::new(AwsLcRsProvider::new()))
        .with_certificates(vec![hands.certificate.clone()])
        .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80])
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        .with_insecure_skip_verify(true);
    let config = Arc::new(config.build(is_client, None).unwrap());
    let mut endpoint =
        Endpoint::new(focus, TransportProtocol::UDP, (!is_client).then(|| Arc::clone(&config)));
    if is_client {
        endpoint.connect(Instant::now(), focus, config, None).unwrap();
    }
    let begin = Instant::now();
    loop {
        let (mut datagram, mut is_done) = ([0; 2_048], false);
        while let Ok((length, _)) = socket.recv_from(&mut datagram) {
            if !matches!(datagram[0], 20..=63) {
                assert!(matches!(datagram[0], 0..=3), "no sound before there are keys");
                continue;
            }
            let record = BytesMut::from(&datagram[..length]);
            let events = endpoint.read(Instant::now(), focus, None, record).ok()?;
            is_done |= events.iter().any(|event| matches!(event, EndpointEvent::HandshakeComplete));
            if is_done {
                break;
            }
        }
        while let Some(record) = endpoint.poll_transmit() {
            socket.send_to(&record.message, focus).unwrap();
        }
        if is_done {
            let Crypto { suite, theirs, ours } = keys(&endpoint, focus);
            return Some(match is_client {
                true => Crypto { suite, theirs, ours },
                false => Crypto { suite, theirs: ours, ours: theirs },
            });
        }
        if begin.elapsed() > Duration::from_secs(10) {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
