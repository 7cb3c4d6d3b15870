//! A phone with a camera: pictures of three octets, whole or not, and what it sees of others.

use std::cell::RefCell;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use base64::Engine;
use conference::media::rtcp;
use conference::media::srtp::{Crypto, MasterKey, Srtp, Suite};
use conference::media::video::feedback;
use sip_core::Message;
use sip_core::sdp::Sdp;

use super::{House, Phone, URI};

pub(crate) struct Viewer {
    pub(crate) phone: Phone,
    pub(crate) camera: UdpSocket,
    pub(crate) focus: SocketAddr,
    pub(crate) answer: String,
    ssrc: u32,
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
        let mut phone = house.phone_of(name, hertz).await;
        let camera = UdpSocket::bind("127.0.0.1:0").unwrap();
        camera.set_nonblocking(true).unwrap();
        let ports = [&phone.media, &camera].map(|socket| socket.local_addr().unwrap().port());
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n\
             m=video {} {profile} 96\r\na=rtcp-mux\r\n{lines}",
            ports[0], ports[1]
        );
        phone.uri = URI.to_owned();
        let response: Message = phone.send_body("INVITE", "application/sdp", &offer).await;
        assert_eq!(response.status(), 200);
        phone.acknowledge();
        let answer = String::from_utf8_lossy(response.body()).into_owned();
        let sdp = Sdp::parse(&answer).unwrap();
        let at = |n: usize| SocketAddr::new(sdp.media[n].connection.unwrap(), sdp.media[n].port);
        phone.mixer = Some(at(0));
        let (focus, ssrc) = (at(1), ports[1].into());
        Self { phone, camera, focus, answer, ssrc, sequence: ports[1], srtp: RefCell::new(None) }
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
        let mut packet = vec![0x80, 0x80 | 96];
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
        assert_eq!(source, self.focus);
        let packet = match self.srtp.borrow_mut().as_mut() {
            Some(srtp) if rtcp::is_rtcp(&packet) => srtp.open_report(&packet[..length]).unwrap().to_vec(),
            Some(srtp) => srtp.open(&packet[..length]).unwrap().to_vec(),
            None => packet[..length].to_vec(),
        };
        if rtcp::is_rtcp(&packet) {
            let is_wish = feedback::read(&packet).contains(&feedback::Wish::WholePicture);
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
