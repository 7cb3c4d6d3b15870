//! A phone with a camera: pictures of three octets, whole or not, and what it sees of others.

use std::cell::RefCell;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use base64::Engine;
use conference::media::rtcp;
use conference::media::srtp::{Crypto, MasterKey, Srtp, Suite};
use conference::media::video::feedback;
use sip_core::sdp::Sdp;
use sip_core::{Message, Name};

use super::{House, Phone, URI};

pub(crate) struct Viewer {
    pub(crate) phone: Phone,
    pub(crate) camera: UdpSocket,
    pub(crate) focus: SocketAddr,
    pub(crate) answer: String,
    ssrc: u32,
    kind: u8,
    sequence: u16,
    srtp: RefCell<Option<Srtp>>,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A picture: its mark, its number and its source.
    Picture(u8, u16, u32),
    /// A whole picture is wanted.
    Wanted,
}

impl Viewer {
    /// Calls with a camera; `lines` follow the medium of pictures.
    pub(crate) async fn call(house: &House, name: &str, hertz: f64, lines: &str) -> Self {
        Self::call_over(house, name, hertz, lines, "RTP/AVPF").await
    }

    /// The same, with pictures that are encrypted.
    pub(crate) async fn call_in_secret(house: &House, name: &str, hertz: f64, lines: &str) -> Self {
        let suite = Suite::Aes128Tag80;
        let octets: Vec<u8> = (0..6).flat_map(|_| super::random().to_be_bytes()).collect();
        let octets = &octets[..suite.key_length()];
        let text = base64::engine::general_purpose::STANDARD.encode(octets);
        let lines = format!("{lines}a=crypto:1 {} inline:{text}\r\n", suite.as_str());
        let viewer = Self::call_over(house, name, hertz, &lines, "RTP/SAVPF").await;
        let sdp = Sdp::parse(&viewer.answer).unwrap();
        let key = sdp.media[1].attribute("crypto").unwrap().split("inline:").nth(1).unwrap();
        let key = base64::engine::general_purpose::STANDARD.decode(key).unwrap();
        let (theirs, ours) = (MasterKey::new(&key).unwrap(), MasterKey::new(octets).unwrap());
        viewer.srtp.replace(Srtp::new(Crypto { suite, theirs, ours }));
        viewer
    }

    async fn call_over(house: &House, name: &str, hertz: f64, lines: &str, profile: &str) -> Self {
        let mut viewer = Self::with_camera(house, name, hertz).await;
        let offer = viewer.description("0 101", &format!("{profile} 96"), lines);
        viewer.phone.uri = URI.to_owned();
        let response: Message = viewer.phone.send_body("INVITE", "application/sdp", &offer).await;
        assert_eq!(response.status(), 200);
        viewer.phone.acknowledge();
        viewer.learn(response.body());
        viewer
    }

    /// Calls without an offer, and answers that of the focus.
    pub(crate) async fn call_without_offer(house: &House, name: &str, hertz: f64) -> Self {
        let mut viewer = Self::with_camera(house, name, hertz).await;
        let response = viewer.phone.send("INVITE", &[]).await;
        assert_eq!(response.status(), 200);
        viewer.learn(response.body());
        let answer = viewer.description("0", &format!("RTP/AVP {}", viewer.kind), &viewer.lines());
        viewer.phone.acknowledge_with(answer);
        viewer
    }

    /// Calls with sound alone, and says that it does video.
    pub(crate) async fn call_for_sound(house: &House, name: &str, hertz: f64) -> Self {
        let mut viewer = Self::with_camera(house, name, hertz).await;
        viewer.phone.features = ";audio;video".to_owned();
        assert_eq!(viewer.phone.invite(URI).await.status(), 200);
        viewer
    }

    /// Takes an offer of the focus within the call; the offer.
    pub(crate) async fn takes_pictures(&mut self) -> String {
        let incoming = self.phone.is_invited().await;
        let offer = String::from_utf8_lossy(incoming.request.body()).into_owned();
        let sdp = Sdp::parse(&offer).unwrap();
        let mut answer =
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n".to_owned();
        for media in &sdp.media {
            let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
            let (port, formats) = match (media.kind, media.port) {
                ("audio", _) => (port(&self.phone.media), "0".to_owned()),
                ("video", 1..) => {
                    self.focus = SocketAddr::new(media.connection.unwrap(), media.port);
                    self.kind = media.formats[0].parse().unwrap();
                    (port(&self.camera), format!("{0}\r\na=rtpmap:{0} VP8/90000", self.kind))
                }
                _ => (0, media.formats[0].to_owned()),
            };
            answer.push_str(&format!("m={} {port} {} {formats}\r\n", media.kind, media.protocol));
            answer.push_str(&format!("a={}\r\n", media.direction.mirrored().as_str()));
        }
        let mut response = Message::response(&incoming.request, 200, "");
        response.push(Name::Contact, "<sip:viewer@127.0.0.1:9>");
        response.set_body("application/sdp", answer.into());
        incoming.server.respond(response);
        self.phone.request("ACK").await;
        offer
    }

    /// An offer within the call, with this medium of pictures at `{camera}`.
    pub(crate) fn offer(&self, pictures: &str) -> String {
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let pictures = pictures.replace("{camera}", &port(&self.camera).to_string());
        format!(
            "v=0\r\no=- 1 3 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n\
            m=message 0 TCP/MSRP *\r\n{pictures}",
            port(&self.phone.media)
        )
    }

    /// Is called by the focus, and takes its offer.
    pub(crate) async fn is_called(house: &mut House, name: &str, hertz: f64) -> Self {
        let mut viewer = Self::with_camera(house, name, hertz).await;
        let incoming =
            tokio::time::timeout(Duration::from_secs(10), house.called.recv()).await.unwrap().unwrap();
        viewer.learn(incoming.request.body());
        let mut response = Message::response(&incoming.request, 200, "");
        let to = format!("{};tag={name}", response.value(Name::To).unwrap());
        response.set(Name::To, &to);
        response.push(Name::Contact, &format!("<sip:{name}@127.0.0.1:9>"));
        let answer = viewer.description("0", &format!("RTP/AVP {}", viewer.kind), &viewer.lines());
        response.set_body("application/sdp", answer.into());
        incoming.server.respond(response);
        viewer
    }

    /// Describes itself anew, with these changes; what the focus answers.
    pub(crate) async fn describe_anew(&mut self, lines: &str, change: impl Fn(String) -> String) -> String {
        let offer = change(self.description("0 101", &format!("RTP/AVPF {}", self.kind), lines));
        let response = self.phone.send_body("INVITE", "application/sdp", &offer).await;
        assert_eq!(response.status(), 200);
        self.phone.acknowledge();
        String::from_utf8_lossy(response.body()).into_owned()
    }

    async fn with_camera(house: &House, name: &str, hertz: f64) -> Self {
        let phone = house.phone_of(name, hertz).await;
        let camera = UdpSocket::bind("127.0.0.1:0").unwrap();
        camera.set_nonblocking(true).unwrap();
        let (port, focus) = (camera.local_addr().unwrap().port(), SocketAddr::from(([0, 0, 0, 0], 0)));
        let (answer, srtp) = (String::new(), RefCell::new(None));
        Self { phone, camera, focus, answer, ssrc: port.into(), kind: 96, sequence: port, srtp }
    }

    fn description(&self, sound: &str, pictures: &str, lines: &str) -> String {
        let ports = [&self.phone.media, &self.camera].map(|socket| socket.local_addr().unwrap().port());
        let [sound_port, port] = ports;
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {sound_port} RTP/AVP {sound}\r\na=rtpmap:101 telephone-event/8000\r\n\
             m=video {port} {pictures}\r\na=rtcp-mux\r\n{lines}"
        )
    }

    fn lines(&self) -> String {
        format!("a=rtpmap:{} VP8/90000\r\n", self.kind)
    }

    /// What the focus said: where it listens, and the first payload type of its pictures.
    fn learn(&mut self, description: &[u8]) {
        self.answer = String::from_utf8_lossy(description).into_owned();
        let sdp = Sdp::parse(&self.answer).unwrap();
        let at = |n: usize| SocketAddr::new(sdp.media[n].connection.unwrap(), sdp.media[n].port);
        self.phone.mixer = Some(at(0));
        (self.focus, self.kind) = (at(1), sdp.media[1].formats[0].parse().unwrap());
    }

    /// Forgets its keys for a while.
    pub(crate) fn srtp_away(&self) -> Option<Srtp> {
        self.srtp.take()
    }

    /// Has them again.
    pub(crate) fn srtp_back(&self, srtp: Option<Srtp>) {
        self.srtp.replace(srtp);
    }

    /// Sends a picture with this mark; the number that it had.
    pub(crate) fn show(&mut self, is_whole: bool, mark: u8) -> u16 {
        let mut packet = vec![0x80, 0x80 | self.kind];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.sequence) * 3_000).to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(&[0x10, u8::from(!is_whole), mark]);
        let sealed = self.srtp.borrow_mut().as_mut().map(|srtp| srtp.seal(&packet).unwrap().to_vec());
        self.camera.send_to(&sealed.unwrap_or(packet), self.focus).unwrap();
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence.wrapping_sub(1)
    }

    /// The next that comes.
    pub(crate) fn see(&self) -> Option<Seen> {
        let mut packet = [0; 2_048];
        let (length, source) = self.camera.recv_from(&mut packet).ok()?;
        if source != self.focus {
            // Of a test that ended, whose phone had this port before.
            return self.see();
        }
        let packet = match self.srtp.borrow_mut().as_mut() {
            Some(srtp) if rtcp::is_rtcp(&packet) => srtp.open_report(&packet[..length]).unwrap().to_vec(),
            Some(srtp) => srtp.open(&packet[..length]).unwrap().to_vec(),
            None => packet[..length].to_vec(),
        };
        if rtcp::is_rtcp(&packet) {
            let is_wish = feedback::read(&packet).contains(&feedback::Wish::WholePicture(self.ssrc));
            return if is_wish { Some(Seen::Wanted) } else { self.see() };
        }
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
        Some(Seen::Picture(packet[packet.len() - 1], sequence, ssrc))
    }

    /// Waits until something comes that is wanted; what comes before it is passed over.
    pub(crate) fn until(&self, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let begin = Instant::now();
        loop {
            match self.see() {
                Some(seen) if wanted(&seen) => return seen,
                Some(_) => {}
                None => std::thread::yield_now(),
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "{} waits for pictures", self.phone.call_id);
        }
    }

    /// Waits for a picture with this mark; its number and source.
    pub(crate) fn sees(&self, mark: u8) -> (u16, u32) {
        match self.until(|seen| matches!(seen, Seen::Picture(of, ..) if *of == mark)) {
            Seen::Picture(_, sequence, ssrc) => (sequence, ssrc),
            Seen::Wanted => unreachable!(),
        }
    }
}
