//! A phone that sends a tone and hears others.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use conference::media::codec::{Decoder, Encoder, Format, LARGEST_PAYLOAD, LONGEST};
use conference::media::rtcp;
use conference::media::srtp::{Crypto, MasterKey, Srtp, Suite};
use conference::mixer::{Goertzel, Tone};
use sip_core::sdp::{Media, Sdp};
use sip_core::{Message, Name};
use sip_endpoint::{Answer, Application, Endpoint, Flow, Incoming, SentRequest};
use tokio::sync::mpsc;

/// Answers whatever comes with 200, or a NOTIFY that is not wanted with 481, and hands it to the phone; an INVITE the phone answers.
pub(super) struct Ear(
    pub(super) mpsc::UnboundedSender<Message>,
    pub(super) mpsc::UnboundedSender<Incoming>,
    pub(super) Arc<AtomicBool>,
    pub(super) Arc<AtomicBool>,
);

impl Application for Ear {
    fn request(&self, incoming: Incoming) {
        if self.3.load(Ordering::Relaxed) {
            let _ = self.0.send(incoming.request);
            return;
        }
        if incoming.request.method() == "INVITE" {
            let _ = self.1.send(incoming);
            return;
        }
        let is_unwanted = incoming.request.method() == "NOTIFY" && self.2.load(Ordering::Relaxed);
        let status = if is_unwanted { 481 } else { 200 };
        incoming.server.respond(Message::response(&incoming.request, status, ""));
        let _ = self.0.send(incoming.request);
    }

    fn ack(&self, ack: Message, _flow: Flow) {
        let _ = self.0.send(ack);
    }
}

/// Hands over whatever comes, for the test to answer.
pub(super) struct Called(
    pub(super) mpsc::UnboundedSender<Incoming>,
    pub(super) mpsc::UnboundedSender<Message>,
);

impl Application for Called {
    fn request(&self, incoming: Incoming) {
        let _ = self.0.send(incoming);
    }

    fn ack(&self, ack: Message, _flow: Flow) {
        let _ = self.1.send(ack);
    }
}

pub(crate) struct Phone {
    pub(crate) call_id: String,
    pub(super) name: String,
    pub(super) from: String,
    pub(super) endpoint: Endpoint,
    pub(super) flow: Flow,
    pub(super) requests: mpsc::UnboundedReceiver<Message>,
    pub(super) invites: mpsc::UnboundedReceiver<Incoming>,
    pub(crate) media: UdpSocket,
    pub(super) to: String,
    pub(crate) uri: String,
    pub(super) cseq: u32,
    pub(crate) mixer: Option<SocketAddr>,
    pub(super) tone: Tone,
    pub(super) hertz: f64,
    pub(super) encoder: Encoder,
    pub(super) decoder: Decoder,
    pub(super) sequence: u16,
    /// How loud packets say that they are (RFC 6464), if they do.
    pub(crate) level: Option<u8>,
    pub(super) format: Format,
    /// What is supported, or nothing.
    pub(crate) supported: String,
    /// What the Contact says of the device (RFC 3840), such as `;video`.
    pub(crate) features: String,
    pub(super) keys: Option<(Suite, MasterKey)>,
    pub(super) srtp: Option<Srtp>,
    /// The focus's name and password of checks.
    pub(super) ice: Option<(String, String)>,
    /// A browser's own, of its certificate.
    pub(super) fingerprint: String,
    /// Whether a browser has another certificate than it says.
    pub(crate) is_impostor: bool,
    /// Whether it leaves checks to the focus.
    pub(crate) is_lite: bool,
    /// Whether the focus checks where it is.
    pub(super) is_checked: bool,
    /// What the offer says of the sound beside its format.
    pub(crate) lines: String,
    /// Whether it wants no NOTIFY.
    pub(crate) wants_none: Arc<AtomicBool>,
    /// Whether it answers nothing any more.
    pub(crate) is_gone: Arc<AtomicBool>,
}

impl Phone {
    pub(crate) async fn invite(&mut self, uri: &str) -> Message {
        self.invite_to(uri, "sendrecv").await
    }

    /// Calls, to send and to receive, or one of the two.
    pub(crate) async fn invite_to(&mut self, uri: &str, direction: &str) -> Message {
        self.uri = uri.to_owned();
        self.to = format!("<{uri}>");
        self.send_offer("INVITE", direction).await
    }

    /// Calls, and takes the media that come before an answer, if some do.
    pub(crate) async fn invite_early(&mut self, uri: &str) -> SentRequest {
        self.invite_early_with(uri, &[]).await.0
    }

    /// The same with further headers; and the 183, in whose dialog the next requests are.
    pub(crate) async fn invite_early_with(
        &mut self,
        uri: &str,
        headers: &[(&str, &str)],
    ) -> (SentRequest, Message) {
        self.uri = uri.to_owned();
        self.to = format!("<{uri}>");
        let offer = self.offer("sendrecv");
        let mut request = self.build("INVITE", headers);
        request.set_body("application/sdp", offer.into());
        let mut sent = self.endpoint.request(request, self.flow, "0").await;
        loop {
            let Some(Answer::Response(response)) = sent.next().await else { panic!("no early media") };
            if response.status() == 183 {
                let answer = Sdp::parse(std::str::from_utf8(response.body()).unwrap()).unwrap();
                let media = &answer.media[0];
                self.mixer = Some(SocketAddr::new(media.connection.unwrap(), media.port));
                self.to = response.value(Name::To).unwrap().to_owned();
                self.uri = response.value(Name::Contact).unwrap().trim_matches(['<', '>']).to_owned();
                return (sent, *response);
            }
        }
    }

    /// Where it is (RFC 8866 §5.7).
    pub(super) fn connection(&self) -> String {
        let ip = self.media.local_addr().unwrap().ip();
        format!("IN {} {ip}", if ip.is_ipv4() { "IP4" } else { "IP6" })
    }

    fn offer(&self, direction: &str) -> String {
        let (port, kind, at) =
            (self.media.local_addr().unwrap().port(), self.payload_type(), self.connection());
        let profile = if self.keys.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
        let crypto = self.keys.map(|(suite, key)| {
            let key = base64::engine::general_purpose::STANDARD.encode(key.octets());
            format!("a=crypto:1 {} inline:{key}|2^31\r\n", suite.as_str())
        });
        format!(
            "v=0\r\no=- 1 1 {at}\r\ns=-\r\nc={at}\r\nt=0 0\r\n\
             m=audio {port} {profile} {kind} 101\r\na=rtpmap:{kind} {}\r\n\
             a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n{}m=message 9 TCP/MSRP *\r\n",
            self.format.rtpmap(),
            self.lines.clone() + &crypto.unwrap_or_default()
        )
    }

    /// Sends an offer, and for INVITE the ACK of its 2xx.
    pub(crate) async fn send_offer(&mut self, method: &str, direction: &str) -> Message {
        let (kind, offer) = (self.payload_type(), self.offer(direction));
        let mut request = self.build(method, &[]);
        request.set_body("application/sdp", offer.into());
        let response = self.exchange(request).await;
        if method == "INVITE" && response.status() == 200 {
            let answer = std::str::from_utf8(response.body()).unwrap();
            let answer = Sdp::parse(answer).unwrap();
            assert_eq!((answer.media.len(), answer.media[1].port), (2, 0));
            assert!(answer.media[0].rtpmap(&kind.to_string()).is_some());
            if let Some(contact) = response.value(Name::Contact).and_then(sip_core::header::NameAddr::parse) {
                self.uri = contact.uri.to_owned();
            }
            self.take_keys(&answer.media[0]);
            self.mixer = Some(SocketAddr::new(answer.media[0].connection.unwrap(), answer.media[0].port));
            self.acknowledge();
        }
        response
    }

    /// Answers the focus's offer in the ACK.
    pub(crate) fn answer_in_ack(&mut self) {
        let port = self.media.local_addr().unwrap().port();
        self.acknowledge_with(format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        ));
    }

    /// Sends the ACK of the last INVITE with an answer.
    pub(crate) fn acknowledge_with(&mut self, answer: String) {
        let number = self.cseq;
        let mut ack = self.build("ACK", &[]);
        ack.set(Name::CSeq, &format!("{number} ACK"));
        ack.set_body("application/sdp", answer.into());
        self.cseq = number;
        self.endpoint.send_ack(ack, self.flow);
    }

    /// Sends a request inside the dialog, if there is one.
    pub(crate) async fn send(&mut self, method: &str, headers: &[(&str, &str)]) -> Message {
        let request = self.build(method, headers);
        self.exchange(request).await
    }

    /// Sends a request with a body.
    pub(crate) async fn send_body(&mut self, method: &str, kind: &str, body: &str) -> Message {
        let mut request = self.build(method, &[]);
        request.set_body(kind, body.to_owned().into());
        self.exchange(request).await
    }

    /// Sends a request with a body, and one more header.
    pub(crate) async fn send_body_with(
        &mut self,
        method: &str,
        kind: &str,
        body: &str,
        header: (&str, &str),
    ) -> Message {
        let mut request = self.build(method, &[header]);
        request.set_body(kind, body.to_owned().into());
        self.exchange(request).await
    }

    /// Calls so often at once, each time as another call; how often each status came.
    pub(crate) async fn flood(&mut self, count: usize) -> std::collections::BTreeMap<u16, usize> {
        let mut sent = Vec::new();
        for n in 0..count {
            self.call_id = format!("flood-{n}");
            let mut request = self.build("INVITE", &[]);
            request
                .set_body("application/sdp", "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n".into());
            sent.push(self.endpoint.request(request, self.flow, "0").await);
        }
        let mut statuses = std::collections::BTreeMap::new();
        for sent in sent {
            *statuses.entry(sent.last().await.unwrap().status()).or_default() += 1;
        }
        statuses
    }

    /// What names this call to others: `Call-ID;to-tag=…;from-tag=…`, as the focus has the tags.
    pub(crate) fn names(&self) -> String {
        let tag = |value: &str| value.rsplit_once("tag=").unwrap().1.to_owned();
        format!("{};to-tag={};from-tag={}", self.call_id, tag(&self.to), tag(&self.from))
    }

    /// Sends the ACK of the last INVITE.
    pub(super) fn acknowledge(&mut self) {
        let number = self.cseq;
        let mut ack = self.build("ACK", &[]);
        ack.set(Name::CSeq, &format!("{number} ACK"));
        self.cseq = number;
        self.endpoint.send_ack(ack, self.flow);
    }

    /// Calls with one more header; the answer.
    pub(crate) async fn invite_with(&mut self, name: &str, value: &str) -> Message {
        self.invite_with_all(&[(name, value)]).await
    }

    /// The same with several.
    pub(crate) async fn invite_with_all(&mut self, headers: &[(&str, &str)]) -> Message {
        let port = self.media.local_addr().unwrap().port();
        let mut request = self.build("INVITE", headers);
        let offer = format!("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {port} RTP/AVP 0\r\n");
        request.set_body("application/sdp", offer.into());
        let response = self.exchange(request).await;
        if response.status() == 200 {
            self.acknowledge();
        }
        response
    }

    /// The document of the next NOTIFY.
    pub(crate) async fn document(&mut self) -> String {
        String::from_utf8_lossy(self.request("NOTIFY").await.body()).into_owned()
    }

    /// The next INVITE that comes.
    pub(crate) async fn is_invited(&mut self) -> Incoming {
        tokio::time::timeout(Duration::from_secs(10), self.invites.recv()).await.unwrap().unwrap()
    }

    /// The next request of this method that comes.
    pub(crate) async fn request(&mut self, method: &str) -> Message {
        let wait = async {
            loop {
                let request = self.requests.recv().await.unwrap();
                if request.method() == method {
                    return request;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap()
    }

    /// Whether a request of this method came that nobody took yet.
    pub(crate) fn has_got(&mut self, method: &str) -> bool {
        std::iter::from_fn(|| self.requests.try_recv().ok()).any(|request| request.method() == method)
    }

    fn build(&mut self, method: &str, headers: &[(&str, &str)]) -> Message {
        self.cseq += 1;
        let local = self.endpoint.bound().udp[0];
        let name = &self.name;
        let mut request = Message::request(method, &self.uri);
        request.push(Name::MaxForwards, "70");
        if let Some((_, from)) = headers.iter().find(|(name, _)| *name == "From") {
            self.from = (*from).to_owned();
        }
        request.push(Name::From, &self.from);
        request.push(Name::To, &self.to);
        request.push(Name::CallId, &self.call_id);
        request.push(Name::CSeq, &format!("{} {method}", self.cseq));
        request.push(Name::Contact, &format!("<sip:{name}@{local}>{}", self.features));
        if !self.supported.is_empty() {
            request.push(Name::Supported, &self.supported);
        }
        if name != "stranger" {
            request.push(Name::PAssertedIdentity, &format!("<sip:{name}@example.org>"));
        }
        for (name, value) in headers.iter().filter(|(name, _)| *name != "From") {
            match Name::of(name.as_bytes()) {
                Name::Other => request.push_other(name, value),
                known => request.push(known, value),
            }
        }
        request
    }

    async fn exchange(&mut self, request: Message) -> Message {
        let sent = self.endpoint.request(request, self.flow, "0").await;
        let response = sent.last().await.unwrap();
        if response.status() < 300 {
            self.to = response.value(Name::To).unwrap().to_owned();
        }
        response
    }

    /// From the next offer on, sound is encrypted with a new key.
    pub(crate) fn encrypt(&mut self, suite: Suite) {
        let key: Vec<u8> =
            (0..6).flat_map(|_| super::random().to_be_bytes()).take(suite.key_length()).collect();
        self.keys = Some((suite, MasterKey::new(&key).unwrap()));
    }

    fn take_keys(&mut self, media: &Media<'_>) {
        let Some((suite, ours)) = self.keys else { return };
        let line = media.attribute("crypto").unwrap();
        let key = line.strip_prefix(&format!("1 {} inline:", suite.as_str())).unwrap();
        let key = base64::engine::general_purpose::STANDARD.decode(key).unwrap();
        let crypto = Crypto { suite, theirs: MasterKey::new(&key).unwrap(), ours };
        match &mut self.srtp {
            Some(srtp) => assert!(srtp.change(crypto)),
            None => self.srtp = Srtp::new(crypto),
        }
    }

    /// Protects a packet, if the call is protected.
    pub(crate) fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        match &mut self.srtp {
            Some(srtp) => srtp.seal(packet).unwrap().to_vec(),
            None => packet.to_vec(),
        }
    }

    fn speak(&mut self) {
        let packet = self.packet();
        let packet = self.seal(&packet);
        self.media.send_to(&packet, self.mixer.unwrap()).unwrap();
    }

    /// The next packet of the tone.
    pub(crate) fn packet(&mut self) -> Vec<u8> {
        let mut payload = [0; LARGEST_PAYLOAD];
        let octets = self.encoder.encode(&self.tone.next_frame(), &mut payload);
        self.packet_of(self.payload_type(), &payload[..octets])
    }

    fn packet_of(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, kind];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.sequence) * self.format.frame_ticks()).to_be_bytes());
        packet.extend_from_slice(&[7; 4]);
        if let Some(level) = self.level {
            packet[0] |= 0x10;
            packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0x80 | level, 0, 0]);
        }
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    /// Presses keys, each for three packets (RFC 4733 §2.5.1.2), of which the first is lost.
    pub(crate) fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            let event = "0123456789*#ABCD".find(key).unwrap() as u8;
            let packet = self.packet_of(101, &[event, 10, 1, 0x40]);
            let packet = self.seal(&packet);
            for _ in 0..2 {
                self.media.send_to(&packet, self.mixer.unwrap()).unwrap();
            }
        }
    }

    fn payload_type(&self) -> u8 {
        match self.format {
            Format::Pcmu => 0,
            Format::Pcma => 8,
            Format::G722 => 9,
            _ => 96,
        }
    }

    /// How loud, in the mean of squares, what came in so many frames of 20 ms was.
    pub(crate) fn loudness(&mut self, frames: u32) -> f64 {
        let begin = std::time::Instant::now();
        let (mut power, mut count) = (0.0, 0);
        while begin.elapsed() < Duration::from_millis(20) * frames {
            let mut packet = [0; 2_048];
            while let Ok((length, _)) = self.media.recv_from(&mut packet) {
                let mut samples = [0; LONGEST];
                let opened = match &mut self.srtp {
                    Some(srtp) => srtp.open(&packet[..length]).map(Vec::from).unwrap_or_default(),
                    None => packet[..length].to_vec(),
                };
                let decoded = self.decoder.decode(opened.get(12..).unwrap_or_default(), &mut samples);
                power += samples[..decoded].iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
                count += decoded;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        (power / f64::from(count.max(1) as u32)).sqrt()
    }

    /// How loud each tone was at its loudest, in what comes in so many frames of 20 ms.
    pub(crate) fn loudest<const N: usize>(&mut self, hertz: [f64; N], frames: u32) -> [f64; N] {
        let mut tones = hertz.map(Level::new);
        for _ in 0..frames {
            self.hear(&mut tones);
            std::thread::sleep(Duration::from_millis(20));
        }
        tones.map(|tone| tone.pieces.into_iter().fold(0.0, f64::max))
    }

    fn hear(&mut self, tones: &mut [Level]) {
        let mut packet = [0; 2048];
        while let Ok((length, _)) = self.media.recv_from(&mut packet) {
            if self.is_checked && self.is_check(&packet[..length]) {
                continue;
            }
            let mut samples = [0; LONGEST];
            let opened = match &mut self.srtp {
                _ if rtcp::is_rtcp(&packet) => continue,
                // What was on its way when keys changed is lost.
                Some(srtp) => srtp.open(&packet[..length]).map(Vec::from).unwrap_or_default(),
                None => packet[..length].to_vec(),
            };
            let count = self.decoder.decode(opened.get(12..).unwrap_or_default(), &mut samples);
            tones.iter_mut().for_each(|tone| tone.hear(&samples[..count]));
        }
    }
}

/// How loud one tone is, in the mean of pieces of 100 ms: a play-out that adapts shifts its phase now and then.
struct Level {
    hertz: f64,
    piece: Goertzel,
    samples: usize,
    pieces: Vec<f64>,
}

impl Level {
    fn new(hertz: f64) -> Self {
        Self { hertz, piece: Goertzel::new(hertz, 48_000), samples: 0, pieces: Vec::new() }
    }

    fn hear(&mut self, samples: &[i16]) {
        self.piece.hear(samples);
        self.samples += samples.len();
        if self.samples >= 4_800 {
            self.pieces.push(self.piece.amplitude());
            (self.piece, self.samples) = (Goertzel::new(self.hertz, 48_000), 0);
        }
    }

    fn amplitude(&self) -> f64 {
        self.pieces.iter().sum::<f64>() / self.pieces.len().max(1) as f64
    }
}

/// Everybody talks for so many frames of 20 ms; who hears whom then.
pub(crate) fn talk<const N: usize>(phones: &mut [Phone], frames: usize) -> Vec<[bool; N]> {
    let hertz: Vec<f64> = phones.iter().map(|phone| phone.hertz).collect();
    let detectors = || hertz.iter().map(|hertz| Level::new(*hertz)).collect::<Vec<_>>();
    let mut ears: Vec<Vec<Level>> = phones.iter().map(|_| detectors()).collect();
    // Media is paced by the clock; there is nothing to wait for but time.
    let begin = std::time::Instant::now();
    for frame in 1..=frames {
        for (phone, tones) in phones.iter_mut().zip(&mut ears) {
            phone.speak();
            phone.hear(tones);
        }
        let due = Duration::from_millis(20) * frame as u32;
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
    }
    let is_heard = |ear: &Vec<Level>| std::array::from_fn(|n| ear[n].amplitude() > 1_000.0);
    ears.iter().map(is_heard).collect()
}
