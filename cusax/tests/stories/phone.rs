//! A phone: raw SIP over UDP. It answers challenges by itself and remembers the dialog that it is in.

use std::collections::VecDeque;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use sip_core::Message;
use sip_core::header::{AuthParams, Name};

use crate::service::{DOMAIN, PASSWORD};

/// One device of one account.
pub(crate) struct Phone {
    name: String,
    domain: String,
    socket: UdpSocket,
    serial: u32,
    /// The last request that was sent, as it was sent.
    sent: Option<Message>,
    /// The last request that came.
    came: Option<Message>,
    dialog: Option<Dialog>,
    /// What came while the challenge was answered.
    waiting: VecDeque<Message>,
}

/// What a request inside the dialog needs (RFC 3261 §12.2.1.1).
struct Dialog {
    call_id: String,
    local: String,
    remote: String,
    target: String,
    routes: Vec<String>,
    invite_cseq: u32,
}

impl Phone {
    pub(crate) fn new(name: &str, port: u16) -> Self {
        Self::at(name, DOMAIN, port)
    }

    pub(crate) fn at(name: &str, domain: &str, port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", port)).unwrap();
        Self {
            name: name.to_owned(),
            domain: domain.to_owned(),
            socket,
            serial: 0,
            sent: None,
            came: None,
            dialog: None,
            waiting: VecDeque::new(),
        }
    }

    pub(crate) fn register(&mut self) {
        self.send(&[format!("REGISTER sip:{}", self.domain), "Expires: 600".to_owned()]);
        self.receive(&["200".to_owned()]);
    }

    /// A method and a URI, then headers and the lines of a session description. ACK, BYE and CANCEL need no URI: they
    /// belong to what was before.
    pub(crate) fn send(&mut self, body: &[String]) {
        let (method, uri) = body[0].split_once(' ').unwrap_or((&body[0], ""));
        let mut request = match method {
            "CANCEL" => Message::cancel(self.sent.as_ref().expect("an INVITE was sent")),
            "ACK" | "BYE" => self.inside_dialog(method),
            _ => self.outside_dialog(method, uri),
        };
        let (session, headers): (Vec<_>, Vec<_>) = body[1..].iter().partition(|line| is_of_session(line));
        if !session.is_empty() {
            let text: String = session.iter().map(|line| format!("{line}\r\n")).collect();
            request.set_body("application/sdp", text.into());
        }
        for header in headers {
            let (name, value) = header.split_once(':').expect("a header has a colon");
            match Name::of(name.as_bytes()) {
                Name::Other => request.push_other(name, value.trim()),
                known => request.set(known, value.trim()),
            }
        }
        self.put(&request);
        if matches!(method, "CANCEL" | "ACK") {
            return;
        }
        self.sent = Some(request);
        if method != "BYE" {
            // The challenge comes first; it is answered before anybody else's scene.
            let first = self.next_raw(Instant::now() + PATIENCE);
            match first.status() {
                401 | 407 => self.prove(&first),
                _ => self.waiting.push_back(first),
            }
        }
    }

    /// A status, then headers; answers the last request.
    pub(crate) fn answer(&mut self, body: &[String]) {
        let request = self.came.clone().expect("a request came");
        let mut response = Message::response(&request, body[0].parse().unwrap(), "");
        response.ensure_to_tag(&self.name);
        for route in request.values(Name::RecordRoute) {
            response.push(Name::RecordRoute, route);
        }
        response.push(Name::Contact, &self.contact());
        if request.method() == "INVITE" && response.status() == 200 {
            self.dialog = Some(Dialog {
                call_id: request.call_id().to_owned(),
                local: response.value(Name::To).unwrap().to_owned(),
                remote: request.value(Name::From).unwrap().to_owned(),
                target: target_of(&request),
                routes: request.elements(Name::RecordRoute).map(str::to_owned).collect(),
                invite_cseq: 1,
            });
        }
        self.put(&response);
    }

    /// A method or status, then headers that must be there with this value (`Name: -` must not be there), and what the
    /// body says (`+ text`) and does not say (`! text`).
    pub(crate) fn receive(&mut self, body: &[String]) {
        let message = self.take(&body[0]);
        let whole = String::from_utf8_lossy(&message.to_bytes()).into_owned();
        let text = String::from_utf8_lossy(message.body());
        for line in &body[1..] {
            let is_right = match line.split_at_checked(2) {
                Some(("+ ", said)) => text.contains(said),
                Some(("! ", unsaid)) => !text.contains(unsaid),
                _ => continue,
            };
            assert!(is_right, "{} wanted «{line}» and got\n{whole}", self.name);
        }
        for header in body[1..].iter().filter(|line| !line.starts_with(['+', '!'])) {
            let (name, value) = header.split_once(':').map(|(name, value)| (name, value.trim())).unwrap();
            let values: Vec<&str> = message.values(Name::of(name.as_bytes())).collect();
            let is_right = if value == "-" { values.is_empty() } else { values.contains(&value) };
            assert!(is_right, "{} wanted «{header}» and got\n{whole}", self.name);
        }
        if message.is_request() {
            self.came = Some(message);
        }
    }

    /// The first message of this method or status; what came before it waits for its scene, since a NOTIFY may overtake
    /// the answer to its SUBSCRIBE (RFC 6665 §4.4.1).
    fn take(&mut self, what: &str) -> Message {
        let is = |message: &Message| match message.is_request() {
            true => message.method() == what,
            false => message.status().to_string() == what,
        };
        if let Some(at) = self.waiting.iter().position(is) {
            return self.waiting.remove(at).unwrap();
        }
        for _ in 0..MOST_OUT_OF_ORDER {
            let message = self.next();
            if is(&message) {
                return message;
            }
            self.waiting.push_back(message);
        }
        panic!("{} did not get {what}, but {:?}", self.name, self.waiting);
    }

    /// The next message that is not 100, with challenges answered.
    fn next(&mut self) -> Message {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut buffer = [0; 65_535];
            let length =
                self.socket.recv(&mut buffer).unwrap_or_else(|_| panic!("{} got nothing", self.name));
            let message = Message::parse(buffer[..length].to_vec().into()).unwrap();
            match message.status() {
                100 => continue,
                401 | 407 if self.sent.as_ref().is_some_and(|sent| !is_proven(sent)) => self.prove(&message),
                200..300 if message.cseq().is_some_and(|(_, method)| method == "INVITE") => {
                    self.dialog = Some(dialog_of_answer(&message));
                    return message;
                }
                300.. if message.cseq().is_some_and(|(_, method)| method == "INVITE") => {
                    let ack = Message::ack(self.sent.as_ref().unwrap(), &message);
                    self.put(&ack);
                    return message;
                }
                _ => return message,
            }
        }
    }

    /// The next message that is not 100.
    fn next_raw(&self, end: Instant) -> Message {
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut buffer = [0; 65_535];
            let length =
                self.socket.recv(&mut buffer).unwrap_or_else(|_| panic!("{} got nothing", self.name));
            let message = Message::parse(buffer[..length].to_vec().into()).unwrap();
            if message.status() != 100 {
                return message;
            }
        }
    }

    fn prove(&mut self, challenge: &Message) {
        let mut request = self.sent.take().unwrap();
        if request.method() == "INVITE" {
            self.put(&Message::ack(&request, challenge));
        }
        let (from, to) = match challenge.status() {
            401 => (Name::WwwAuthenticate, Name::Authorization),
            _ => (Name::ProxyAuthenticate, Name::ProxyAuthorization),
        };
        let offer = challenge.values(from).find(|offer| offer.contains("algorithm=SHA-256")).unwrap();
        request.push(to, &self.credentials(offer, &request));
        self.serial += 1;
        let cseq = format!("{} {}", self.serial, request.method());
        request.set(Name::CSeq, &cseq);
        request.set(Name::Via, &self.via());
        self.put(&request);
        self.sent = Some(request);
    }

    fn credentials(&self, offer: &str, request: &Message) -> String {
        let offer = AuthParams::parse(offer).unwrap();
        let (realm, nonce) = (offer.value("realm").unwrap(), offer.value("nonce").unwrap());
        let hash = |text: String| -> String {
            digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let ha1 = hash(format!("{}:{realm}:{PASSWORD}", self.name));
        let ha2 = hash(format!("{}:{}", request.method(), request.uri()));
        let response = hash(format!("{ha1}:{nonce}:00000001:c:auth:{ha2}"));
        format!(
            "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{}\", response=\"{response}\", \
             algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\"",
            self.name,
            request.uri(),
        )
    }

    fn outside_dialog(&mut self, method: &str, uri: &str) -> Message {
        self.serial += 1;
        let own = format!("sip:{}@{}", self.name, self.domain);
        let to = if method == "REGISTER" { &own } else { uri };
        let mut request = Message::request(method, uri);
        request.push(Name::Via, &self.via());
        request.push(Name::MaxForwards, "70");
        request.push(Name::From, &format!("<{own}>;tag={}{}", self.name, self.serial));
        request.push(Name::To, &format!("<{to}>"));
        request.push(Name::CallId, &format!("{}-{}-{}", self.name, self.serial, self.port()));
        request.push(Name::CSeq, &format!("{} {method}", self.serial));
        request.push(Name::Contact, &self.contact());
        request.push(Name::ContentLength, "0");
        request
    }

    fn inside_dialog(&mut self, method: &str) -> Message {
        self.serial += 1;
        let (via, dialog) = (self.via(), self.dialog.as_ref().expect("a dialog"));
        let number = if method == "ACK" { dialog.invite_cseq } else { 10_000 + self.serial };
        let mut request = Message::request(method, &dialog.target);
        request.push(Name::Via, &via);
        request.push(Name::MaxForwards, "70");
        for route in &dialog.routes {
            request.push(Name::Route, route);
        }
        request.push(Name::From, &dialog.local);
        request.push(Name::To, &dialog.remote);
        request.push(Name::CallId, &dialog.call_id);
        request.push(Name::CSeq, &format!("{number} {method}"));
        request.push(Name::ContentLength, "0");
        request
    }

    fn put(&self, message: &Message) {
        self.socket.send(&message.to_bytes()).unwrap();
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    fn via(&self) -> String {
        format!(
            "SIP/2.0/UDP 127.0.0.1:{0};rport;branch=z9hG4bK{1}{0}{2}",
            self.port(),
            self.name,
            self.serial
        )
    }

    fn contact(&self) -> String {
        format!("<sip:{}@127.0.0.1:{}>", self.name, self.port())
    }
}

fn dialog_of_answer(ok: &Message) -> Dialog {
    let mut routes: Vec<String> = ok.elements(Name::RecordRoute).map(str::to_owned).collect();
    routes.reverse();
    Dialog {
        call_id: ok.call_id().to_owned(),
        local: ok.value(Name::From).unwrap().to_owned(),
        remote: ok.value(Name::To).unwrap().to_owned(),
        target: target_of(ok),
        routes,
        invite_cseq: ok.cseq().unwrap().0,
    }
}

fn target_of(message: &Message) -> String {
    let contact = message.elements(Name::Contact).next().unwrap();
    sip_core::header::NameAddr::parse(contact).unwrap().uri.to_owned()
}

/// RFC 8866 §5: a line is one letter and `=`.
fn is_of_session(line: &str) -> bool {
    line.as_bytes().get(1) == Some(&b'=')
}

fn is_proven(request: &Message) -> bool {
    request.value(Name::Authorization).or(request.value(Name::ProxyAuthorization)).is_some()
}

/// Messages that may come before the one that a scene waits for.
const MOST_OUT_OF_ORDER: usize = 4;
/// How long a scene may take.
const PATIENCE: Duration = Duration::from_secs(10);
