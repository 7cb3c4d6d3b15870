//! A focus over UDP, a room whose answers the test sets, and phones that send tones.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conference::media::codec::{Decoder, Encoder, Format, LARGEST_PAYLOAD, LONGEST};
use conference::metrics::Metrics;
use conference::mixer::{Goertzel, Tone};
use conference::{Config, Focus, Parts, bridge};
use shared_auth::{Auth, NewAccount, Profile};
use shared_model::{
    Affiliation, Audio, BareJid, ConferenceDirectory, Correlation, Fact, Occupant, Pending, Role, RoomAccess,
    RoomAddress, RoomDirectory, RoomEvent, RoomSnapshot, Unavailable,
};
use shared_runtime::{Shutdown, bus::Bus, tls};
use shared_store::Store;
use sip_core::sdp::Sdp;
use sip_core::transaction::Timers;
use sip_core::{Message, Name};
use sip_endpoint::{Application, Endpoint, Flow, Incoming, Listeners, Target, Transport};
use tokio::sync::mpsc;

pub(crate) const ROOM: &str = "dev@conference.example.org";
pub(crate) const URI: &str = "sip:dev@conference.example.org";

pub(crate) fn jid(name: &str) -> BareJid {
    BareJid::new(name, "chat.example.org").unwrap()
}

pub(crate) fn occupant(name: &str, role: Role) -> Occupant {
    Occupant { nick: name.to_owned(), jid: jid(name), role, affiliation: Affiliation::None }
}

/// The chat half, as the focus asks it.
struct Rooms(Mutex<Option<RoomSnapshot>>);

impl RoomDirectory for Rooms {
    fn room<'a>(&'a self, room: &'a RoomAddress) -> Pending<'a, Result<Option<RoomSnapshot>, Unavailable>> {
        let known = self.0.lock().unwrap().clone();
        Box::pin(async move {
            let known = known.ok_or(Unavailable)?;
            Ok(Some(known).filter(|known| known.room == *room))
        })
    }
}

pub(crate) struct House {
    pub(crate) focus: Arc<Focus>,
    pub(crate) bus: Bus<Fact>,
    rooms: Arc<Rooms>,
    address: SocketAddr,
    pub(crate) auth: Auth,
    shutdown: Shutdown,
    tls: tls::TlsPolicy,
    folder: PathBuf,
}

impl House {
    pub(crate) async fn start() -> Self {
        tls::install_provider();
        let random = random();
        let folder = std::env::temp_dir().join(format!("cusax-conference-{random:016x}"));
        let shutdown = Shutdown::new();
        let bus = Bus::new();
        let registry = prometheus::Registry::new();
        let store = Store::in_memory();
        let auth_config = shared_auth::Config { iterations: 4096, ..shared_auth::Config::default() };
        let auth = Auth::open(&auth_config, &store, &folder, &bus, &registry).unwrap();
        for name in ["alice", "bob", "carol"] {
            let aor = format!("{name}@example.org").parse().unwrap();
            auth.book
                .create(NewAccount { aor, jid: jid(name), profile: Profile::default() }, "x")
                .await
                .unwrap();
        }
        let snapshot = RoomSnapshot {
            room: ROOM.parse().unwrap(),
            name: "Development".to_owned(),
            subject: String::new(),
            access: RoomAccess::default(),
            affiliations: Vec::new(),
            occupants: Vec::new(),
        };
        let rooms = Arc::new(Rooms(Mutex::new(Some(snapshot))));
        let first = 20_000 + (random % 20_000) as u16 / 2 * 2;
        let config = Config {
            media: SocketAddr::from(([127, 0, 0, 1], 0)),
            rtp_ports: format!("{first}-{}", first + 400),
            ..Config::default()
        };
        let focus = Focus::new(Parts {
            config,
            domain: "conference.example.org".to_owned(),
            rooms: rooms.clone(),
            accounts: auth.directory.clone(),
            bus: bus.clone(),
            metrics: Metrics::new(&registry).unwrap(),
            shutdown: shutdown.clone(),
        })
        .unwrap();
        let tls = tls::TlsPolicy::open(&tls::Config::default(), &folder, &["localhost".to_owned()]).unwrap();
        let endpoint = endpoint(&tls, &shutdown, Focus::application(&focus)).await;
        let address = endpoint.bound().udp[0];
        focus.attach(endpoint);
        shutdown.spawn(bridge::run(focus.clone(), bus.subscribe(), shutdown.clone()));
        Self { focus, bus, rooms, address, auth, shutdown, tls, folder }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.finish(Duration::from_secs(5)).await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    pub(crate) fn occupants(&self, occupants: Vec<Occupant>) {
        self.rooms.0.lock().unwrap().as_mut().unwrap().occupants = occupants;
    }

    pub(crate) fn affiliations(&self, affiliations: Vec<(BareJid, Affiliation)>) {
        self.rooms.0.lock().unwrap().as_mut().unwrap().affiliations = affiliations;
    }

    pub(crate) fn access(&self, access: RoomAccess) {
        self.rooms.0.lock().unwrap().as_mut().unwrap().access = access;
    }

    pub(crate) fn room_is_down(&self) {
        *self.rooms.0.lock().unwrap() = None;
    }

    /// Tells a fact about the room, before it the join of whoever it is about, as rooms do.
    pub(crate) fn happens(&self, event: RoomEvent) {
        let room: RoomAddress = ROOM.parse().unwrap();
        if let RoomEvent::RoleChanged { jid, nick, role, .. } = &event {
            let joined = RoomEvent::OccupantJoined {
                room: room.clone(),
                jid: jid.clone(),
                nick: nick.clone(),
                role: *role,
            };
            self.bus.publish(Fact::new(Correlation::of_room(&room), joined));
        }
        self.bus.publish(Fact::new(Correlation::of_room(&room), event));
    }

    /// Waits until the focus shows somebody so.
    pub(crate) async fn until_audio(&self, name: &str, audio: Audio) {
        let room = ROOM.parse().unwrap();
        let seen = async {
            loop {
                let snapshot = self.focus.conference(&room).await.unwrap();
                let mut participants = snapshot.iter().flat_map(|snapshot| &snapshot.participants);
                if participants.any(|(_, p)| p.jid == Some(jid(name)) && p.audio == audio) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), seen).await.unwrap();
    }

    /// Calls the room and begins a tone.
    pub(crate) async fn call(&self, name: &str, hertz: f64) -> Phone {
        let mut phone = self.phone(name, hertz).await;
        let response = phone.invite(URI).await;
        assert_eq!(response.status(), 200);
        assert!(response.value(Name::Contact).unwrap().contains(";isfocus"));
        phone
    }

    /// The status that a call to `uri` comes to.
    pub(crate) async fn invite(&self, name: &str, uri: &str) -> u16 {
        self.phone(name, 440.0).await.invite(uri).await.status()
    }

    /// The status that a wish to watch from outside any call comes to.
    pub(crate) async fn wish_to_watch(&self, name: &str) -> u16 {
        self.phone(name, 440.0).await.send("SUBSCRIBE", &[("Event", "conference")]).await.status()
    }

    /// Subscribes outside any call.
    pub(crate) async fn watch(&self, name: &str) -> Phone {
        let mut phone = self.phone(name, 440.0).await;
        assert_eq!(phone.send("SUBSCRIBE", &[("Event", "conference")]).await.status(), 200);
        phone
    }

    /// A phone that has not called yet.
    pub(crate) async fn silent_phone(&self, name: &str) -> Phone {
        self.phone(name, 440.0).await
    }

    async fn phone(&self, name: &str, hertz: f64) -> Phone {
        let (sender, requests) = mpsc::unbounded_channel();
        let endpoint = endpoint(&self.tls, &self.shutdown, Arc::new(Ear(sender))).await;
        let target =
            Target { transport: Transport::Udp, address: self.address, host: "127.0.0.1".to_owned() };
        let flow = endpoint.flow_to(&target).unwrap();
        let media = UdpSocket::bind((IpAddr::from([127, 0, 0, 1]), 0)).unwrap();
        media.set_nonblocking(true).unwrap();
        Phone {
            call_id: format!("{:016x}", random()),
            name: name.to_owned(),
            from: format!("<sip:{name}@example.org>;tag=t{name}"),
            endpoint,
            flow,
            requests,
            media,
            to: format!("<{URI}>"),
            uri: URI.to_owned(),
            cseq: 0,
            mixer: None,
            tone: Tone::new(hertz, 6_000.0),
            hertz,
            encoder: Encoder::new(Format::Pcmu).unwrap(),
            decoder: Decoder::new(Format::Pcmu).unwrap(),
            sequence: 0,
        }
    }
}

fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(())
}

async fn endpoint(tls: &tls::TlsPolicy, shutdown: &Shutdown, application: Arc<dyn Application>) -> Endpoint {
    let listeners = Listeners { udp: vec![SocketAddr::from(([127, 0, 0, 1], 0))], ..Listeners::default() };
    let metrics = sip_endpoint::Metrics::new(&prometheus::Registry::new()).unwrap();
    Endpoint::start(listeners, Timers::default(), tls, metrics, random, shutdown, application).await.unwrap()
}

/// Answers whatever comes with 200 and hands it to the phone.
struct Ear(mpsc::UnboundedSender<Message>);

impl Application for Ear {
    fn request(&self, incoming: Incoming) {
        incoming.server.respond(Message::response(&incoming.request, 200, ""));
        let _ = self.0.send(incoming.request);
    }

    fn ack(&self, _ack: Message, _flow: Flow) {}
}

pub(crate) struct Phone {
    pub(crate) call_id: String,
    name: String,
    from: String,
    endpoint: Endpoint,
    flow: Flow,
    requests: mpsc::UnboundedReceiver<Message>,
    media: UdpSocket,
    to: String,
    uri: String,
    cseq: u32,
    mixer: Option<SocketAddr>,
    tone: Tone,
    hertz: f64,
    encoder: Encoder,
    decoder: Decoder,
    sequence: u16,
}

impl Phone {
    async fn invite(&mut self, uri: &str) -> Message {
        self.uri = uri.to_owned();
        self.to = format!("<{uri}>");
        self.send_offer("INVITE", "sendrecv").await
    }

    /// Sends an offer, and for INVITE the ACK of its 2xx.
    pub(crate) async fn send_offer(&mut self, method: &str, direction: &str) -> Message {
        let port = self.media.local_addr().unwrap().port();
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n\
             m=message 9 TCP/MSRP *\r\n"
        );
        let mut request = self.build(method, &[]);
        request.set_body("application/sdp", offer.into());
        let response = self.exchange(request).await;
        if method == "INVITE" && response.status() == 200 {
            let answer = std::str::from_utf8(response.body()).unwrap();
            let answer = Sdp::parse(answer).unwrap();
            assert_eq!((answer.media.len(), answer.media[1].port), (2, 0));
            self.mixer = Some(SocketAddr::new(answer.media[0].connection.unwrap(), answer.media[0].port));
            let number = self.cseq;
            let mut ack = self.build("ACK", &[]);
            ack.set(Name::CSeq, &format!("{number} ACK"));
            self.cseq = number;
            self.endpoint.send_ack(ack, self.flow);
        }
        response
    }

    /// Answers the focus's offer in the ACK.
    pub(crate) fn answer_in_ack(&mut self) {
        let port = self.media.local_addr().unwrap().port();
        let answer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        );
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

    /// The document of the next NOTIFY.
    pub(crate) async fn document(&mut self) -> String {
        String::from_utf8_lossy(self.request("NOTIFY").await.body()).into_owned()
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
        request.push(Name::Contact, &format!("<sip:{name}@{local}>"));
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

    fn speak(&mut self) {
        let mut payload = [0; LARGEST_PAYLOAD];
        let octets = self.encoder.encode(&self.tone.next_frame(), &mut payload);
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&[7; 4]);
        packet.extend_from_slice(&payload[..octets]);
        self.sequence = self.sequence.wrapping_add(1);
        self.media.send_to(&packet, self.mixer.unwrap()).unwrap();
    }

    fn hear(&mut self, tones: &mut [Goertzel]) {
        let mut packet = [0; 2048];
        while let Ok((length, _)) = self.media.recv_from(&mut packet) {
            let mut samples = [0; LONGEST];
            let count = self.decoder.decode(&packet[12..length], &mut samples);
            tones.iter_mut().for_each(|tone| tone.hear(&samples[..count]));
        }
    }
}

/// Everybody talks for so many frames of 20 ms; who hears whom then.
pub(crate) fn talk<const N: usize>(phones: &mut [Phone], frames: usize) -> Vec<[bool; N]> {
    let hertz: Vec<f64> = phones.iter().map(|phone| phone.hertz).collect();
    let detectors = || hertz.iter().map(|hertz| Goertzel::new(*hertz, 48_000)).collect::<Vec<_>>();
    let mut ears: Vec<Vec<Goertzel>> = phones.iter().map(|_| detectors()).collect();
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
    let is_heard = |ear: &Vec<Goertzel>| std::array::from_fn(|n| ear[n].amplitude() > 1_000.0);
    ears.iter().map(is_heard).collect()
}
