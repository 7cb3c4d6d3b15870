//! A focus over UDP, a room whose answers the test sets, and phones that send tones.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conference::media::codec::{Decoder, Encoder, Encoding, Format};
use conference::metrics::Metrics;
use conference::mixer::Tone;
use conference::{Config, Focus, Parts, Secrecy, bridge};
use shared_auth::{Auth, NewAccount, Profile};
use shared_model::{
    Affiliation, Audio, BareJid, ConferenceDirectory, Correlation, Deed, Fact, Moderation, ModerationError,
    Occupant, Pending, Role, RoomAccess, RoomAddress, RoomDirectory, RoomEvent, RoomSnapshot, Unavailable,
};
use shared_runtime::{Shutdown, bus::Bus, tls};
use shared_store::Store;
use sip_core::transaction::Timers;
use sip_core::{Message, Name};
use sip_endpoint::{Application, Endpoint, Incoming, Listeners, Target, Transport};
use tokio::sync::mpsc;

mod browser;
mod file;
mod messages;
mod phone;
mod secured;
mod viewer;

pub(crate) use file::{loudest_in, tone_in};
pub(crate) use phone::{Phone, talk};
pub(crate) use secured::Hands;
pub(crate) use viewer::{Seen, Viewer};

pub(crate) const ROOM: &str = "dev@conference.example.org";
/// Carol's.
pub(crate) const NUMBER: &str = "+15550100";
pub(crate) const URI: &str = "sip:dev@conference.example.org";

pub(crate) fn jid(name: &str) -> BareJid {
    BareJid::new(name, "chat.example.org").unwrap()
}

pub(crate) fn occupant(name: &str, role: Role) -> Occupant {
    Occupant { nick: name.to_owned(), jid: jid(name), role, affiliation: Affiliation::None }
}

/// The chat half, as the focus asks it.
struct Rooms(Mutex<Option<RoomSnapshot>>, Mutex<Vec<(String, Deed)>>);

impl Moderation for Rooms {
    fn moderate<'a>(
        &'a self,
        _room: &'a RoomAddress,
        whom: &'a str,
        deed: Deed,
    ) -> Pending<'a, Result<(), ModerationError>> {
        Box::pin(async move {
            self.1.lock().unwrap().push((whom.to_owned(), deed));
            Ok(())
        })
    }
}

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
    pub(crate) messages: Arc<messages::Messages>,
    rooms: Arc<Rooms>,
    address: SocketAddr,
    pub(crate) auth: Auth,
    shutdown: Shutdown,
    /// Ends the wires, after what the focus says last.
    wires: Shutdown,
    tls: tls::TlsPolicy,
    folder: PathBuf,
    registry: prometheus::Registry,
    /// What the focus sends by the wire to its proxy, and who listens there.
    pub(crate) called: mpsc::UnboundedReceiver<Incoming>,
    /// The ACKs of its calls.
    pub(crate) acks: mpsc::UnboundedReceiver<Message>,
    _outside: Endpoint,
}

impl House {
    /// A house whose focus says nothing by itself.
    pub(crate) async fn start() -> Self {
        Self::start_with(Config { prompts: false, ..Config::default() }).await
    }

    /// A house whose focus is so, but for its ports.
    pub(crate) async fn start_with(config: Config) -> Self {
        Self::start_under(config, &[]).await
    }

    /// The same, where some domains have rules of their own.
    pub(crate) async fn start_under(config: Config, srtp: &[(&str, Secrecy)]) -> Self {
        tls::install_provider();
        let random = random();
        let folder = std::env::temp_dir().join(format!("cusax-conference-{random:016x}"));
        let (shutdown, wires) = (Shutdown::new(), Shutdown::new());
        let bus = Bus::new();
        let registry = prometheus::Registry::new();
        let store = Store::in_memory();
        let auth_config = shared_auth::Config { iterations: 4096, ..shared_auth::Config::default() };
        let auth = Auth::open(&auth_config, &store, &folder, &bus, &registry).unwrap();
        for name in ["alice", "bob", "carol"] {
            let aor = format!("{name}@example.org").parse().unwrap();
            let numbers = if name == "carol" { vec![NUMBER.to_owned()] } else { Vec::new() };
            let profile = Profile { numbers, ..Profile::default() };
            auth.book.create(NewAccount { aor, jid: jid(name), profile }, "x").await.unwrap();
        }
        let snapshot = RoomSnapshot {
            room: ROOM.parse().unwrap(),
            name: "Development".to_owned(),
            subject: String::new(),
            description: String::new(),
            access: RoomAccess::default(),
            affiliations: Vec::new(),
            occupants: Vec::new(),
        };
        let rooms = Arc::new(Rooms(Mutex::new(Some(snapshot)), Mutex::default()));
        let first = 20_000 + (random % 20_000) as u16 / 2 * 2;
        let config = Config {
            media: if config.media.is_ipv6() { config.media } else { SocketAddr::from(([127, 0, 0, 1], 0)) },
            rtp_ports: format!("{first}-{}", first + 400),
            ..config
        };
        let messages = Arc::new(messages::Messages::default());
        let focus = Focus::new(Parts {
            config,
            domain: "conference.example.org".to_owned(),
            rooms: rooms.clone(),
            chat: Some(rooms.clone()),
            messages: Some(messages.clone()),
            own_chat: Some(messages.clone()),
            srtp: srtp.iter().map(|(domain, secrecy)| ((*domain).to_owned(), *secrecy)).collect(),
            accounts: auth.directory.clone(),
            audit: auth.audit.clone(),
            bus: bus.clone(),
            metrics: Metrics::new(&registry).unwrap(),
            random: self::random,
            shutdown: shutdown.clone(),
        })
        .unwrap();
        let tls = tls::TlsPolicy::open(&tls::Config::default(), &folder, &["localhost".to_owned()]).unwrap();
        let (ours, theirs) = sip_endpoint::pair();
        let endpoint = endpoint_with(&tls, &wires, vec![theirs], Focus::application(&focus)).await;
        let address = endpoint.bound().udp[0];
        focus.attach(endpoint);
        let (sender, called) = mpsc::unbounded_channel();
        let (ears, acks) = mpsc::unbounded_channel();
        let outside = endpoint_with(&tls, &wires, vec![ours], Arc::new(phone::Called(sender, ears))).await;
        shutdown.spawn(bridge::run(focus.clone(), auth.clone(), bus.subscribe(), shutdown.clone()));
        Self {
            focus,
            bus,
            messages,
            rooms,
            address,
            auth,
            shutdown,
            wires,
            tls,
            folder,
            registry,
            called,
            acks,
            _outside: outside,
        }
    }

    pub(crate) async fn stop(self) {
        self.begin_to_stop().await;
        self.wires.finish(Duration::from_secs(5)).await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    /// The focus stops, and whoever it speaks to does not: how long that takes.
    pub(crate) async fn begin_to_stop(&self) -> Duration {
        let begun = std::time::Instant::now();
        self.shutdown.finish(Duration::from_secs(5)).await;
        begun.elapsed()
    }

    /// The same, when that is so much.
    pub(crate) async fn happened_in_chat(&self, count: usize) -> Vec<(String, Deed)> {
        let done = async {
            while self.done_in_chat().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), done).await.unwrap();
        self.done_in_chat()
    }

    /// What the focus had the chat do to whom.
    pub(crate) fn done_in_chat(&self) -> Vec<(String, Deed)> {
        self.rooms.1.lock().unwrap().clone()
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
        self.until(|participant| participant.jid == Some(jid(name)) && participant.audio == audio).await;
    }

    /// Calls the room and begins a tone.
    pub(crate) async fn call(&self, name: &str, hertz: f64) -> Phone {
        let mut phone = self.phone(name, hertz).await;
        let response = phone.invite(URI).await;
        assert_eq!(response.status(), 200);
        assert!(response.value(Name::Contact).unwrap().contains(";isfocus"));
        phone
    }

    /// Calls the room with another codec.
    pub(crate) async fn call_in(&self, name: &str, hertz: f64, format: Format) -> Phone {
        self.call_in_with(name, hertz, format, "").await
    }

    /// The same, with lines of what it wishes.
    pub(crate) async fn call_in_with(&self, name: &str, hertz: f64, format: Format, lines: &str) -> Phone {
        let mut phone = self.phone(name, hertz).await;
        (phone.format, phone.lines) = (format, lines.to_owned());
        phone.encoder = Encoder::new(Encoding::of(format)).unwrap();
        phone.decoder = Decoder::new(format).unwrap();
        assert_eq!(phone.invite(URI).await.status(), 200);
        phone
    }

    /// The value of a counter, or how often a histogram was told something.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let metric = &family.get_metric()[0];
        metric.get_counter().get_value() + metric.get_histogram().get_sample_count() as f64
    }

    /// Waits until the focus shows somebody for whom it holds.
    pub(crate) async fn until(&self, holds: impl Fn(&shared_model::Participant) -> bool) {
        let room = ROOM.parse().unwrap();
        let seen = async {
            loop {
                let snapshot = self.focus.conference(&room).await.unwrap();
                if snapshot.iter().flat_map(|snapshot| &snapshot.participants).any(|(_, p)| holds(p)) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), seen).await.unwrap();
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

    /// A phone that has not called yet, with a tone of its own.
    pub(crate) async fn phone_of(&self, name: &str, hertz: f64) -> Phone {
        self.phone(name, hertz).await
    }

    /// A phone that has not called yet.
    pub(crate) async fn silent_phone(&self, name: &str) -> Phone {
        self.phone(name, 440.0).await
    }

    /// The same, whose sound is at another address than 127.0.0.1.
    pub(crate) async fn phone_at(&self, name: &str, hertz: f64, ip: IpAddr) -> Phone {
        let mut phone = self.phone(name, hertz).await;
        phone.media = UdpSocket::bind((ip, 0)).unwrap();
        phone.media.set_nonblocking(true).unwrap();
        phone
    }

    async fn phone(&self, name: &str, hertz: f64) -> Phone {
        let (sender, requests) = mpsc::unbounded_channel();
        let (bell, invites) = mpsc::unbounded_channel();
        let (wants_none, is_gone) = (Arc::default(), Arc::default());
        let ear = phone::Ear(sender, bell, Arc::clone(&wants_none), Arc::clone(&is_gone));
        let endpoint = endpoint(&self.tls, &self.wires, Arc::new(ear)).await;
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
            invites,
            media,
            to: format!("<{URI}>"),
            uri: URI.to_owned(),
            cseq: 0,
            mixer: None,
            tone: Tone::new(hertz, 6_000.0),
            hertz,
            encoder: Encoder::new(Encoding::of(Format::Pcmu)).unwrap(),
            decoder: Decoder::new(Format::Pcmu).unwrap(),
            sequence: 0,
            level: None,
            format: Format::Pcmu,
            supported: String::new(),
            features: String::new(),
            keys: None,
            srtp: None,
            ice: None,
            fingerprint: String::new(),
            is_impostor: false,
            is_lite: false,
            is_checked: false,
            lines: String::new(),
            wants_none,
            is_gone,
        }
    }
}

fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(())
}

async fn endpoint(tls: &tls::TlsPolicy, shutdown: &Shutdown, application: Arc<dyn Application>) -> Endpoint {
    endpoint_with(tls, shutdown, Vec::new(), application).await
}

async fn endpoint_with(
    tls: &tls::TlsPolicy,
    shutdown: &Shutdown,
    ports: Vec<sip_endpoint::Port>,
    application: Arc<dyn Application>,
) -> Endpoint {
    let udp = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let listeners = Listeners { udp, ports, ..Listeners::default() };
    let metrics = sip_endpoint::Metrics::new(&prometheus::Registry::new()).unwrap();
    Endpoint::start(listeners, Timers::default(), tls, metrics, random, shutdown, application).await.unwrap()
}
