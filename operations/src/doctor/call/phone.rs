//! A telephone as small as a check needs: one socket, one account, one call with itself.
//!
//! In    the account and the proxy. Out requests and answers over UDP, and one packet of sound each way.
//! Errors a sentence for the operator.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use shared_auth::{DigestAlgorithm, DigestProof, Qop};
use shared_runtime::random;
use sip_core::header::{AuthParams, NameAddr, quote};
use sip_core::{Message, Name};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use super::super::patient::Patient;

pub(super) struct Phone<'a> {
    patient: &'a Patient,
    socket: UdpSocket,
    own: SocketAddr,
    tag: String,
    call_id: String,
    cseq: u32,
}

impl<'a> Phone<'a> {
    pub(super) async fn new(patient: &'a Patient, server: SocketAddr) -> Result<Self, String> {
        let socket = bind(server).await?;
        socket.connect(server).await.map_err(|error| error.to_string())?;
        let own = socket.local_addr().map_err(|error| error.to_string())?;
        let (tag, call_id) = (format!("{:016x}", random()), format!("doctor-{:016x}", random()));
        Ok(Self { patient, socket, own, tag, call_id, cseq: 0 })
    }

    /// REGISTER, for longer where the registrar wants it (§10.2.8).
    pub(super) async fn register(&mut self, seconds: u32) -> Result<(), String> {
        let answer = self.ask_to_register(seconds).await?;
        let least = answer.value(Name::MinExpires).and_then(|value| value.trim().parse().ok());
        let answer = match least.filter(|least| answer.status() == 423 && *least > seconds) {
            Some(least) => self.ask_to_register(least).await?,
            None => answer,
        };
        let what = if seconds == 0 { "unregistering" } else { "registering" };
        match answer.status() {
            200 => Ok(()),
            status => Err(format!("{what} was answered with {status} {}", answer.reason())),
        }
    }

    /// The same once, with the answer to a challenge (§22).
    async fn ask_to_register(&mut self, seconds: u32) -> Result<Message, String> {
        let uri = format!("sip:{}", self.patient.aor.host());
        let what = if seconds == 0 { "unregistering" } else { "registering" };
        let mut request = self.request("REGISTER", &uri);
        request.set(Name::CallId, &format!("{}-register", self.call_id));
        request.push(Name::Expires, &seconds.to_string());
        self.ask(request, what).await
    }

    /// INVITE, sound, BYE; both sides are this telephone.
    pub(super) async fn call_oneself(&mut self) -> Result<(), String> {
        let (here, there) = (bind(self.own).await?, bind(self.own).await?);
        let uri = self.patient.aor.to_sip_uri();
        let mut invite = self.request("INVITE", &uri);
        invite.set_body("application/sdp", described(self.own, &here)?.into());
        let (sent, answer) = self.ask_twice(invite, "the call").await?;
        let (mut incoming, mut answer) = (None, Some(answer).filter(|answer| answer.status() >= 200));
        let late = Instant::now() + PATIENCE;
        while answer.is_none() {
            let message = self.hear(late, "the call was not answered in time").await?;
            if message.is_request() && message.method() == "INVITE" && incoming.is_none() {
                let mut yes = Message::response(&message, 200, "");
                yes.ensure_to_tag(&format!("{:016x}", random()));
                yes.push(Name::Contact, &self.contact());
                yes.set_body("application/sdp", described(self.own, &there)?.into());
                self.send(&yes).await?;
                incoming = Some(message);
            } else if !message.is_request() && message.status() >= 200 && is_of(&message, "INVITE") {
                answer = Some(message);
            }
        }
        let Some(answer) = answer else { return Err("the call was not answered".to_owned()) };
        if answer.status() >= 300 {
            self.send(&Message::ack(&sent, &answer)).await?;
            return Err(format!("the call was answered with {} {}", answer.status(), answer.reason()));
        }
        self.send(&self.in_dialog("ACK", &sent, &answer)).await?;
        let Some(incoming) = incoming else {
            return Err("the call was answered by somebody else than its callee".to_owned());
        };
        let sound = exchange((&here, peer(&answer)?), (&there, peer(&incoming)?)).await;
        self.cseq += 1;
        let bye = self.in_dialog("BYE", &sent, &answer);
        self.send(&bye).await?;
        let late = Instant::now() + PATIENCE;
        loop {
            let message = self.hear(late, "hanging up was not answered in time").await?;
            if message.is_request() && message.method() == "BYE" {
                self.send(&Message::response(&message, 200, "")).await?;
            } else if !message.is_request() && is_of(&message, "BYE") {
                return sound;
            }
        }
    }

    /// Sends a request, answers a challenge, and waits for the last word.
    async fn ask(&mut self, request: Message, what: &str) -> Result<Message, String> {
        let (_, answer) = self.ask_twice(request, what).await?;
        Ok(answer)
    }

    /// What was sent last, and its first answer that is no challenge; of an INVITE that may be 100.
    async fn ask_twice(&mut self, request: Message, what: &str) -> Result<(Message, Message), String> {
        let first = self.answer_to(&request, what).await?;
        if !matches!(first.status(), 401 | 407) {
            return Ok((request, first));
        }
        let method = request.method().to_owned();
        if method == "INVITE" {
            self.send(&Message::ack(&request, &first)).await?;
        }
        let (asks, answers) = match first.status() {
            401 => (Name::WwwAuthenticate, Name::Authorization),
            _ => (Name::ProxyAuthenticate, Name::ProxyAuthorization),
        };
        let proof = first.values(asks).find_map(|challenge| self.prove(challenge, &request));
        let proof = proof.ok_or_else(|| format!("{what}: no challenge with an algorithm that is known"))?;
        let mut again = request.clone();
        self.cseq += 1;
        again.set(Name::CSeq, &format!("{} {method}", self.cseq));
        again.set(Name::Via, &self.via());
        again.push(answers, &proof);
        let second = self.answer_to(&again, what).await?;
        Ok((again, second))
    }

    async fn answer_to(&self, request: &Message, what: &str) -> Result<Message, String> {
        let late = Instant::now() + PATIENCE;
        let cseq = request.cseq().map(|(number, _)| number);
        for _ in 0..5 {
            self.send(request).await?;
            let soon = (Instant::now() + PATIENCE / 5).min(late);
            while let Ok(message) = self.hear(soon, "").await {
                if !message.is_request() && message.cseq().map(|(number, _)| number) == cseq {
                    return Ok(message);
                }
            }
        }
        Err(format!("{what}: the server did not answer in time"))
    }

    /// RFC 7616 §3.4.
    fn prove(&self, challenge: &str, request: &Message) -> Option<String> {
        let fields = AuthParams::parse(challenge)?;
        let field = |name: &str| fields.value(name).map(std::borrow::Cow::into_owned);
        let word = field("algorithm").unwrap_or_else(|| "MD5".to_owned());
        let algorithm = match word.to_ascii_uppercase().as_str() {
            "MD5" => DigestAlgorithm::Md5,
            "SHA-256" => DigestAlgorithm::Sha256,
            "SHA-512-256" => DigestAlgorithm::Sha512_256,
            _ => return None,
        };
        let qop = Qop { cnonce: format!("{:016x}", random()), nc: "00000001".to_owned(), body: None };
        let proof = DigestProof {
            username: self.patient.aor.local().to_owned(),
            realm: field("realm")?,
            nonce: field("nonce")?,
            uri: request.uri().to_owned(),
            response: String::new(),
            algorithm,
            qop: field("qop").map(|_| qop),
            method: request.method().to_owned(),
        };
        let proof = proof.answered(&self.patient.password);
        let mut text = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\", algorithm={word}",
            quote(&proof.username),
            quote(&proof.realm),
            quote(&proof.nonce),
            quote(&proof.uri),
            proof.response,
        );
        if let Some(qop) = &proof.qop {
            text.push_str(&format!(", qop=auth, nc={}, cnonce=\"{}\"", qop.nc, qop.cnonce));
        }
        if let Some(opaque) = field("opaque") {
            text.push_str(&format!(", opaque={}", quote(&opaque)));
        }
        Some(text)
    }

    fn request(&mut self, method: &str, uri: &str) -> Message {
        self.cseq += 1;
        let own = format!("<{}>", self.patient.aor.to_sip_uri());
        let mut request = Message::request(method, uri);
        request.push(Name::Via, &self.via());
        request.push(Name::MaxForwards, "70");
        request.push(Name::From, &format!("{own};tag={}", self.tag));
        request.push(Name::To, &own);
        request.push(Name::CallId, &self.call_id);
        request.push(Name::CSeq, &format!("{} {method}", self.cseq));
        request.push(Name::Contact, &self.contact());
        request
    }

    /// A request in the dialog that an answer made (§12.2.1.1).
    fn in_dialog(&self, method: &str, sent: &Message, answer: &Message) -> Message {
        let target = answer.value(Name::Contact).and_then(NameAddr::parse);
        let mut request = Message::request(method, target.map_or("sip:doctor.invalid", |target| target.uri));
        request.push(Name::Via, &self.via());
        let routes: Vec<&str> = answer.elements(Name::RecordRoute).collect();
        for route in routes.into_iter().rev() {
            request.push(Name::Route, route);
        }
        request.push(Name::MaxForwards, "70");
        for (name, of) in [(Name::From, sent), (Name::To, answer), (Name::CallId, sent)] {
            request.push(name, of.value(name).unwrap_or_default());
        }
        let number = match method {
            "ACK" => sent.cseq().map_or(self.cseq, |(number, _)| number),
            _ => self.cseq,
        };
        request.push(Name::CSeq, &format!("{number} {method}"));
        request
    }

    fn via(&self) -> String {
        format!("SIP/2.0/UDP {};branch=z9hG4bK{:016x};rport", self.own, random())
    }

    fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.patient.aor.local(), self.own)
    }

    async fn send(&self, message: &Message) -> Result<(), String> {
        let mut message = message.clone();
        message.ensure_content_length();
        self.socket.send(&message.to_bytes()).await.map(drop).map_err(|error| format!("sip.udp: {error}"))
    }

    /// The next message that is one.
    async fn hear(&self, late: Instant, otherwise: &str) -> Result<Message, String> {
        let mut datagram = vec![0; 65_535];
        loop {
            let heard = tokio::time::timeout_at(late, self.socket.recv(&mut datagram)).await;
            match heard {
                Err(_) => return Err(otherwise.to_owned()),
                Ok(Err(error)) => return Err(format!("sip.udp: {error}")),
                Ok(Ok(length)) => {
                    let bytes = Bytes::copy_from_slice(datagram.get(..length).unwrap_or_default());
                    if let Ok(message) = Message::parse(bytes) {
                        return Ok(message);
                    }
                }
            }
        }
    }
}

fn is_of(answer: &Message, method: &str) -> bool {
    answer.cseq().is_some_and(|(_, of)| of == method)
}

async fn bind(beside: SocketAddr) -> Result<UdpSocket, String> {
    let own = match beside.ip() {
        ip if ip.is_loopback() => SocketAddr::new(ip, 0),
        std::net::IpAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        std::net::IpAddr::V6(_) => SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0)),
    };
    UdpSocket::bind(own).await.map_err(|error| error.to_string())
}

fn described(own: SocketAddr, sound: &UdpSocket) -> Result<String, String> {
    let port = sound.local_addr().map_err(|error| error.to_string())?.port();
    let (ip, kind) = (own.ip(), if own.is_ipv4() { "IP4" } else { "IP6" });
    Ok(format!(
        "v=0\r\no=- 1 1 IN {kind} {ip}\r\ns=-\r\nc=IN {kind} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=sendrecv\r\n"
    ))
}

/// Where the other side of a description listens (RFC 8866 §5.7, §5.14).
fn peer(message: &Message) -> Result<SocketAddr, String> {
    let text = String::from_utf8_lossy(message.body()).into_owned();
    let ip =
        text.lines().find_map(|line| line.strip_prefix("c=IN IP")?.split(' ').nth(1)?.trim().parse().ok());
    let port = text.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok());
    match (ip, port) {
        (Some(ip), Some(port)) => Ok(SocketAddr::new(ip, port)),
        _ => Err("what the proxy brought has no description of sound".to_owned()),
    }
}

/// One packet of sound (RFC 3550 §5.1) each way, a few times.
async fn exchange(
    (here, to_there): (&UdpSocket, SocketAddr),
    (there, to_here): (&UdpSocket, SocketAddr),
) -> Result<(), String> {
    let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
    packet.extend([0xff; 160]);
    let (mut one, mut other) = (false, false);
    for _ in 0..10 {
        // What is lost is sent again.
        let _ = here.send_to(&packet, to_there).await;
        let _ = there.send_to(&packet, to_here).await;
        let mut came = [0; 512];
        one |= matches!(timeout(MOMENT, there.recv(&mut came)).await, Ok(Ok(length)) if length > 12);
        other |= matches!(timeout(MOMENT, here.recv(&mut came)).await, Ok(Ok(length)) if length > 12);
        if one && other {
            return Ok(());
        }
    }
    let silent = match (one, other) {
        (false, false) => "nobody",
        (true, false) => "the callee alone",
        (_, true) => "the caller alone",
    };
    Err(format!("the call was up, and {silent} heard sound (sent to {to_there} and {to_here})"))
}

const PATIENCE: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use shared_auth::Auth;
    use shared_runtime::bus::Bus;
    use shared_store::Store;

    use super::super::super::Patients;
    use super::*;

    /// RFC 3261 §10.2.8.
    #[tokio::test]
    async fn a_registrar_that_wants_longer_is_asked_for_longer() {
        let folder = std::env::temp_dir().join(format!("cusax-doctor-{:016x}", random()));
        let config = shared_auth::Config { iterations: 4096, ..Default::default() };
        let registry = prometheus::Registry::new();
        let auth = Auth::open(&config, &Store::in_memory(), &folder, &Bus::new(), &registry).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let patients = Patients::default();
        let patient = patients.admit(&auth, "example.org").await.unwrap();
        let registrar = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut phone = Phone::new(&patient, registrar.local_addr().unwrap()).await.unwrap();
        let answers = tokio::spawn(async move {
            let (mut datagram, mut asked) = (vec![0; 65_535], Vec::new());
            for (status, least) in [(423, Some("600")), (200, None)] {
                let (length, from) = registrar.recv_from(&mut datagram).await.unwrap();
                let request = Message::parse(Bytes::copy_from_slice(&datagram[..length])).unwrap();
                asked.push(request.value(Name::Expires).unwrap().to_owned());
                let mut answer = Message::response(&request, status, "");
                least.into_iter().for_each(|least| answer.push(Name::MinExpires, least));
                answer.ensure_content_length();
                registrar.send_to(&answer.to_bytes(), from).await.unwrap();
            }
            asked
        });
        assert_eq!(phone.register(60).await, Ok(()));
        assert_eq!(answers.await.unwrap(), ["60", "600"]);
    }
}
