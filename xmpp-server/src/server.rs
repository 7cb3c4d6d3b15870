//! The started server: listeners, what all tasks share, and the facts it listens to.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use rustls::crypto::SecureRandom;
use shared_auth::{AccountCard, Auth};
use shared_model::{
    Availability, BareJid, ConferenceDirectory, Domains, Fact, Groups, Notices, OwnChat, Pending, Visibility,
    VoiceMessages,
};
use shared_runtime::bus::Bus;
use shared_runtime::listen::{self, ListenError};
use shared_runtime::tls::TlsPolicy;
use shared_runtime::{Seldom, Shutdown, unix_millis};
use shared_store::{Store, StoreError};
use socket2::TcpKeepalive;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use xmpp_core::stream::StreamCondition;
use xmpp_core::{Element, Jid};

use crate::abusers::Abusers;
use crate::access::EndedPasswords;
use crate::admission::Admission;
use crate::afar::Afar;
use crate::arrivals::Arrivals;
use crate::availability::Presences;
use crate::blocking::BlockLists;
use crate::callers;
use crate::caps::Known;
use crate::component::{self, Components};
use crate::features::{CommandSessions, Invitations, Searches, Target};
use crate::guests::Guests;
use crate::half_open::{HalfOpen, Place};
use crate::halves::Halves;
use crate::in_order::InOrder;
use crate::metrics::Metrics;
use crate::muc::Rooms;
use crate::notices::{Questions, Voice};
use crate::offline::Offline;
use crate::on_the_phone::OnThePhone;
use crate::own_chat::Accounts;
use crate::push::Pushes;
use crate::reach::Reach;
use crate::retention::Grown;
use crate::roster::Rosters;
use crate::router::Router;
use crate::s2s::{self, Federation};
use crate::session::Resumables;
use crate::standing::Standing;
use crate::turn::Turn;
use crate::upload::Uploads;
use crate::voicemail::{self, Mailboxes, Signs};
use crate::{Config, accounts, c2s};

/// What the server is given by whoever starts it.
pub struct Parts<'a> {
    /// `[xmpp]`.
    pub config: Config,
    /// The domains of JIDs.
    pub domains: Domains,
    /// The domain of rooms and their calls.
    pub rooms_domain: String,
    /// Where files of users live.
    pub data_dir: PathBuf,
    /// Name servers by which other servers are found; none: those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// Accounts and proofs.
    pub auth: Auth,
    /// Rosters, cards, rooms, histories.
    pub store: Store,
    /// Certificates.
    pub tls: TlsPolicy,
    /// Facts.
    pub bus: Bus<Fact>,
    /// Where metrics go.
    pub registry: &'a prometheus::Registry,
    /// How the process ends.
    pub shutdown: Shutdown,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is taken; names the listener and the address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The store could not give the rooms, or what everybody is told.
    #[error("what is kept cannot be read: {0}")]
    Store(#[from] StoreError),
    /// A metric is registered twice.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// What no type says; names the key.
    #[error("{0}")]
    Config(String),
    /// A domain is not one.
    #[error("`{0}` is not a domain")]
    BadDomain(String),
    /// A secret cannot be read; names its key.
    #[error("{0}: {1}")]
    Secret(&'static str, std::io::Error),
}

/// A server that runs until its process is told to stop.
pub struct XmppServer {
    c2s: Vec<SocketAddr>,
    c2s_tls: Vec<SocketAddr>,
    s2s: Vec<SocketAddr>,
    s2s_tls: Vec<SocketAddr>,
    components: Vec<SocketAddr>,
    server: Arc<Server>,
}

/// Says whether the process could start anew, or why not.
type MayStart = dyn Fn() -> Result<(), String> + Send + Sync;

/// What all tasks share.
pub(crate) struct Server {
    pub(crate) config: Config,
    /// The service's own domain, which its services stand beside.
    pub(crate) domain: String,
    /// The domains of its accounts.
    pub(crate) domains: Domains,
    pub(crate) rooms_domain: String,
    pub(crate) pubsub_domain: String,
    pub(crate) known_caps: Known,
    pub(crate) auth: Auth,
    pub(crate) store: Store,
    pub(crate) tls: TlsPolicy,
    /// What every client connection is secured with; it follows reloads of the certificate.
    pub(crate) tls_c2s: Arc<rustls::ServerConfig>,
    /// Whether accounts give certificates of their own for their clients (XEP-0257).
    pub(crate) takes_certificates: bool,
    pub(crate) bus: Bus<Fact>,
    pub(crate) shutdown: Shutdown,
    pub(crate) router: Router,
    pub(crate) resumables: Resumables,
    pub(crate) rosters: Rosters,
    pub(crate) block_lists: BlockLists,
    pub(crate) offline: Offline,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) questions: Questions,
    pub(crate) archives_grown: Grown,
    /// Who is archived and delivered to now.
    pub(crate) in_order: InOrder,
    pub(crate) ended_passwords: EndedPasswords,
    pub(crate) half_open: HalfOpen,
    pub(crate) admission: Admission,
    pub(crate) halves: Halves,
    pub(crate) on_the_phone: OnThePhone,
    pub(crate) reach: Reach,
    pub(crate) standing: Standing,
    pub(crate) callers: callers::Known,
    pub(crate) commands: CommandSessions,
    pub(crate) searches: Searches,
    pub(crate) uploads: Arc<Uploads>,
    /// That voice messages were heard.
    pub(crate) signs: Arc<Signs>,
    pub(crate) federation: Federation,
    pub(crate) turn: Turn,
    pub(crate) unheard: voicemail::Unheard,
    pub(crate) afar: Afar,
    pub(crate) pushes: Pushes,
    pub(crate) components: Components,
    /// What the server says of itself in its stream features.
    pub(crate) about: OnceLock<Vec<Element>>,
    /// The calls of the rooms, where there is a focus in this process.
    pub(crate) calls: OnceLock<Arc<dyn ConferenceDirectory>>,
    /// Who knows by whom accounts are found.
    pub(crate) visibility: OnceLock<Arc<dyn Visibility>>,
    pub(crate) may_start: OnceLock<Box<MayStart>>,
    /// Where invitations lead, where somebody serves their pages.
    pub(crate) invitations: OnceLock<Invitations>,
    /// Accounts that were made unasked, and guests, by network.
    pub(crate) arrivals: Arrivals,
    pub(crate) guests: Guests,
    /// Who is on the lists of others.
    pub(crate) abusers: Abusers,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) started: Instant,
    /// Rooms and sessions have ended, as far as there was time: streams to others may.
    parted: watch::Sender<bool>,
    serial: AtomicU64,
    me: Weak<Server>,
}

impl XmppServer {
    /// Binds every listener and serves until shutdown.
    ///
    /// Boxed, so that all that runs from here on is compiled once, with this crate, and not with each that starts it.
    pub fn start(parts: Parts<'_>) -> Pending<'_, Result<Self, StartError>> {
        Box::pin(Self::run(parts))
    }

    async fn run(parts: Parts<'_>) -> Result<Self, StartError> {
        let Parts { config, domains, rooms_domain, data_dir, name_servers, .. } = parts;
        let domain = domains.main().to_owned();
        let Parts { auth, store, tls, bus, registry, shutdown, .. } = parts;
        for name in domains.iter().chain([rooms_domain.as_str()]) {
            Jid::new(None, name, None).map_err(|_| StartError::BadDomain(name.to_owned()))?;
        }
        let turn = Turn::open(&config.turn).map_err(StartError::Config)?;
        let metrics = Arc::new(Metrics::register(registry)?);
        let ground = s2s::Ground::open(&config.federation, &name_servers, &tls, &domains)
            .map_err(|error| StartError::Secret("xmpp.federation.secret_file", error))?;
        let components = Components::open(&config.component)
            .map_err(|error| StartError::Secret("xmpp.component", error))?;
        let facts = bus.subscribe();
        let room_facts = bus.subscribe();
        let call_facts = bus.subscribe();
        let half_facts = bus.subscribe();
        let phone_facts = bus.subscribe();
        let gone_facts = bus.subscribe();
        let signs = Arc::<Signs>::default();
        let takes_certificates = config.own_certificates && !tls.has_client_ca();
        let server = Arc::new_cyclic(|this| Server {
            rosters: Rosters::new(Arc::clone(&store.records), config.contacts),
            block_lists: BlockLists::new(Arc::clone(&store.records)),
            offline: Offline::new(Arc::clone(&store.archive), config.offline),
            rooms: Arc::new(Rooms::new(this.clone(), &rooms_domain, &store, &config)),
            router: Router::default(),
            resumables: Resumables::default(),
            questions: Questions::default(),
            archives_grown: Grown::default(),
            in_order: InOrder::default(),
            ended_passwords: EndedPasswords::default(),
            half_open: HalfOpen::new(config.unproven_per_network, config.unproven_connections),
            admission: Admission::new(),
            halves: Halves::default(),
            on_the_phone: OnThePhone::default(),
            reach: Reach::default(),
            standing: Standing::default(),
            callers: callers::Known::default(),
            commands: CommandSessions::default(),
            searches: Searches::default(),
            turn,
            pushes: Pushes::new(Arc::clone(&store.records)),
            me: this.clone(),
            parted: watch::Sender::new(false),
            uploads: Arc::new(Uploads::new(
                config.upload.clone(),
                &data_dir,
                Arc::clone(&store.records),
                &auth.key_for("xmpp upload"),
                Arc::clone(&metrics),
                Arc::clone(&signs),
            )),
            signs,
            unheard: voicemail::Unheard::default(),
            afar: Afar::default(),
            components,
            federation: Federation::new(this.clone(), &config, ground),
            known_caps: Known::default(),
            pubsub_domain: format!("pubsub.{domain}"),
            about: OnceLock::new(),
            calls: OnceLock::new(),
            visibility: OnceLock::new(),
            may_start: OnceLock::new(),
            invitations: OnceLock::new(),
            arrivals: Arrivals::default(),
            guests: Guests::new(&config.guests),
            abusers: Abusers::new(&config.block_lists),
            started: Instant::now(),
            serial: AtomicU64::new(1),
            config,
            domain,
            domains,
            rooms_domain,
            auth,
            store,
            tls_c2s: c2s::tls_of(&tls, takes_certificates),
            takes_certificates,
            tls,
            bus,
            shutdown,
            metrics,
        });
        server.rooms.load().await?;
        server.standing.load(&*server.store.records).await?;
        let _ = server.about.set(crate::features::about(&server)); // nobody else sets it
        let mut c2s = Vec::new();
        let mut c2s_tls = Vec::new();
        let mut bound = Vec::new();
        let plain = listen::tcp("xmpp.c2s", &server.config.c2s)?;
        bound.extend(plain.into_iter().map(|listener| (listener, c2s::Security::StartTls)));
        let direct = listen::tcp("xmpp.c2s_tls", &server.config.c2s_tls)?;
        bound.extend(direct.into_iter().map(|listener| (listener, c2s::Security::Direct)));
        for (listener, security) in bound {
            if let Ok(address) = listener.local_addr() {
                let list = if security == c2s::Security::Direct { &mut c2s_tls } else { &mut c2s };
                list.push(address);
            }
            server.shutdown.spawn(accept(Arc::clone(&server), listener, security));
        }
        let s2s = federate(&server, "xmpp.s2s", &server.config.s2s)?;
        let s2s_tls = federate(&server, "xmpp.s2s_tls", &server.config.s2s_tls)?;
        let mut components = Vec::new();
        for listener in listen::tcp("xmpp.components", &server.config.components)? {
            components.extend(listener.local_addr());
            server.shutdown.spawn(component::accept(Arc::clone(&server), listener));
        }
        server.shutdown.spawn(close(Arc::clone(&server)));
        server.shutdown.spawn(accounts::follow(Arc::clone(&server), facts));
        server.shutdown.spawn(crate::erase::follow(Arc::clone(&server), gone_facts));
        server.shutdown.spawn(crate::muc::follow_conferences(Arc::clone(&server), room_facts));
        if !server.config.archive_for.is_zero() || server.config.archive_most > 0 {
            server.shutdown.spawn(crate::retention::keep_to_terms(Arc::clone(&server)));
        }
        crate::abusers::follow(&server);
        server.shutdown.spawn(crate::abusers::put_out(Arc::clone(&server)));
        server.shutdown.spawn(crate::halves::follow(Arc::clone(&server), half_facts));
        if server.config.reachability && !server.config.reachability_period.is_zero() {
            server.shutdown.spawn(crate::reach::watch(Arc::clone(&server)));
        }
        if server.config.on_the_phone {
            server.shutdown.spawn(crate::on_the_phone::follow(Arc::clone(&server), phone_facts));
        }
        if let Some(signs) = server.signs.listen() {
            server.shutdown.spawn(voicemail::heard::follow(Arc::clone(&server), signs));
        }
        if server.config.call_log {
            server.shutdown.spawn(crate::call_log::follow(Arc::clone(&server), call_facts));
        }
        Ok(Self { c2s, c2s_tls, s2s, s2s_tls, components, server })
    }

    /// Where clients connect and use STARTTLS.
    pub fn c2s(&self) -> &[SocketAddr] {
        &self.c2s
    }

    /// Where clients connect with TLS from the first byte.
    pub fn c2s_tls(&self) -> &[SocketAddr] {
        &self.c2s_tls
    }

    /// Where other servers connect and use STARTTLS.
    pub fn s2s(&self) -> &[SocketAddr] {
        &self.s2s
    }

    /// Where other servers connect with TLS from the first byte.
    pub fn s2s_tls(&self) -> &[SocketAddr] {
        &self.s2s_tls
    }

    /// Where external components connect.
    pub fn components(&self) -> &[SocketAddr] {
        &self.components
    }

    /// The route by which browsers come (RFC 7395), to be joined to an HTTP router that knows its peers as
    /// [`shared_runtime::http::Peer`].
    pub fn websocket_route(&self, path: &str) -> axum::Router {
        c2s::websocket::route(path, Arc::clone(&self.server))
    }

    /// The route by which browsers come that know no WebSockets (XEP-0206), to be joined to an HTTP router that knows its
    /// peers, and keeps deadlines as [`shared_runtime::http::Deadline`].
    pub fn bosh_route(&self, path: &str) -> axum::Router {
        c2s::bosh::route(path, Arc::clone(&self.server))
    }

    /// Takes and hands out files of users (XEP-0363) from now on. `base` is where clients reach the routes, such as
    /// `https://example.org:8443`; they are to be joined to an HTTP router that keeps deadlines as
    /// [`shared_runtime::http::Deadline`].
    pub fn open_uploads(&self, base: &str) -> axum::Router {
        self.server.uploads.open(base, &self.server.shutdown);
        crate::upload::route(Arc::clone(&self.server.uploads))
    }

    /// The rooms, as other services see them: a [`shared_model::RoomDirectory`].
    pub fn rooms(&self) -> Arc<Rooms> {
        Arc::clone(&self.server.rooms)
    }

    /// Who wants to be called, as the call half asks before it rings.
    pub fn availability(&self) -> Arc<dyn Availability> {
        Arc::new(Presences(Arc::clone(&self.server)))
    }

    /// What accounts keep here, for pages that show and change it.
    pub fn own_chat(&self) -> Arc<dyn OwnChat> {
        Arc::new(Accounts(Arc::clone(&self.server)))
    }

    /// What the domain says to accounts, for other services that have to say something.
    pub fn notices(&self) -> Arc<dyn Notices> {
        Arc::new(Voice(Arc::clone(&self.server)))
    }

    /// Who keeps what callers say to mailboxes, for the half that takes it.
    pub fn voice_messages(&self) -> Arc<dyn VoiceMessages> {
        Arc::new(Mailboxes(Arc::clone(&self.server)))
    }

    /// Lets accounts invite in their clients (XEP-0401) from now on. Only the first counts.
    pub fn open_invitations(&self, invitations: Invitations) {
        // A second would be a mistake of whoever composes; the first goes on being asked.
        let _ = self.server.invitations.set(invitations);
    }

    /// Says who is in which group; those of `xmpp.shared_groups` are in each other's rosters from now on.
    pub fn attach_groups(&self, groups: Arc<dyn Groups>) {
        if !self.server.config.shared_groups.is_empty() {
            self.server.shutdown.spawn(crate::shared_groups::follow(Arc::clone(&self.server), groups));
        }
    }

    /// Says by whom accounts are found. Only the first counts; without, their domain finds them.
    pub fn attach_visibility(&self, visibility: Arc<dyn Visibility>) {
        // A second would be a mistake of whoever composes; the first goes on being asked.
        let _ = self.server.visibility.set(visibility);
    }

    /// Says whether the process could start anew; administrators may have it do so by a command from now on, where the operator lets them
    /// (`xmpp.admins_may_stop`). Only the first counts.
    pub fn attach_restart(&self, may_start: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        // A second would be a mistake of whoever composes; the first goes on being asked.
        let _ = self.server.may_start.set(Box::new(may_start));
    }

    /// Gives the rooms the focus, which they ask when they missed what it said. Only the first counts.
    pub fn attach_calls(&self, calls: Arc<dyn ConferenceDirectory>) {
        // A second focus would be a mistake of whoever composes; the first goes on being asked.
        let _ = self.server.calls.set(calls);
    }

    /// How many resources are bound.
    pub fn sessions(&self) -> usize {
        self.server.router.len()
    }
}

impl Server {
    /// What a domain of this server is, besides that of accounts and that of rooms.
    pub(crate) fn service(&self, domain: &str) -> Option<Target> {
        if domain == self.pubsub_domain {
            return Some(Target::PubSub);
        }
        match domain.strip_suffix(&self.domain)? {
            "directory." if self.config.directory => Some(Target::Directory),
            "upload." if self.uploads.is_open() => Some(Target::Upload),
            _ => None,
        }
    }

    /// The domains besides that of accounts, and what they are for.
    pub(crate) fn services(&self) -> Vec<(String, String)> {
        let mut all = vec![
            (self.rooms_domain.clone(), "Rooms".to_owned()),
            (self.pubsub_domain.clone(), "Publish and subscribe".to_owned()),
        ];
        if self.config.directory {
            all.push((format!("directory.{}", self.domain), "Users of this service".to_owned()));
        }
        if self.uploads.is_open() {
            all.push((format!("upload.{}", self.domain), "Files".to_owned()));
        }
        all
    }

    /// The account of a JID, if there is one.
    pub(crate) async fn account(&self, jid: &Jid) -> Result<Option<AccountCard>, StoreError> {
        if !self.is_home(jid.domain()) {
            return Ok(None);
        }
        match jid.bare_str().parse::<BareJid>() {
            Ok(jid) => self.auth.directory.by_jid(&jid).await,
            Err(_) => Ok(None),
        }
    }

    /// A place for a connection before its login, unless there are as many as there may be and none of them is slow, or so many of
    /// its network.
    pub(crate) fn admit(&self, ip: IpAddr) -> Option<Place> {
        let place = (!self.auth.bans.keeps_out(ip)).then(|| self.half_open.admit(ip)).flatten();
        if place.is_none() {
            self.metrics.refused_connections.inc();
        }
        place
    }

    /// The server, for a task of its own; none while it ends.
    pub(crate) fn me(&self) -> Option<Arc<Self>> {
        self.me.upgrade()
    }

    /// Ends when the process stops and nothing more is to be told to other servers and components.
    pub(crate) async fn parted(&self) {
        // The server itself holds the sender.
        let _ = self.parted.subscribe().wait_for(|is_parted| *is_parted).await;
    }

    /// Whether it is so.
    pub(crate) fn is_parted(&self) -> bool {
        *self.parted.borrow()
    }

    /// A number that no other session of this process has.
    pub(crate) fn new_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// An id that nobody can guess (RFC 6120 §4.7.3).
    pub(crate) fn new_id(&self) -> String {
        let mut bytes = [0_u8; 12];
        if random().fill(&mut bytes).is_err() {
            let fallback = self.new_serial() ^ unix_millis().unsigned_abs();
            bytes[..8].copy_from_slice(&fallback.to_be_bytes());
        }
        shared_runtime::hex(&bytes)
    }
}

fn random() -> &'static dyn SecureRandom {
    rustls::crypto::aws_lc_rs::default_provider().secure_random
}

/// Binds listeners for other servers.
fn federate(
    server: &Arc<Server>,
    key: &'static str,
    addresses: &[SocketAddr],
) -> Result<Vec<SocketAddr>, StartError> {
    let mut bound = Vec::new();
    for listener in listen::tcp(key, addresses)? {
        bound.extend(listener.local_addr());
        Federation::listen(server, listener, key == "xmpp.s2s_tls");
    }
    Ok(bound)
}

/// What every connection gets.
pub(crate) fn tune(socket: &TcpStream) {
    let _ = socket.set_nodelay(true); // slower without, and still right
    // A peer that vanished must not look available for ever.
    let _ = socket2::SockRef::from(socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
}

/// Ends all sessions when the process stops and the rooms have said so to those inside (XEP-0045 §11.2), and then the streams by which
/// other servers and components hear who is gone (RFC 6121 §4.5.2).
async fn close(server: Arc<Server>) {
    server.shutdown.begun().await;
    server.rooms.closed().await;
    server.router.close(&StreamCondition::SystemShutdown.into());
    let until = tokio::time::Instant::now() + LAST_PRESENCE;
    while server.metrics.sessions.get() > 0 && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.parted.send_replace(true);
}

async fn accept(server: Arc<Server>, listener: TcpListener, security: c2s::Security) {
    let mut failed = Seldom::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.shutdown.begun() => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                server.metrics.connections.inc();
                // Memory before the login is capped.
                let Some(place) = server.admit(peer.ip()) else {
                    server.shutdown.spawn(c2s::turn_away(Arc::clone(&server), socket, peer, security));
                    continue;
                };
                tune(&socket);
                let task = c2s::serve(Arc::clone(&server), Box::new(socket), (peer, place), security);
                server.shutdown.spawn(task);
            }
            Err(error) => {
                // Out of descriptors, most likely: give the others time to close some.
                if let Some(times) = failed.say(Instant::now()) {
                    tracing::warn!(%error, times, "a connection could not be accepted");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Silence on a connection after which the system asks whether the peer is there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long sessions may take to say that they are gone when the process stops.
const LAST_PRESENCE: Duration = Duration::from_millis(1500);
