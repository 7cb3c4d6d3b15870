//! Joins the services: each gets the handles that it uses, and no service knows another.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use conference::Focus;
use operations::doctor::Running;
use operations::timeline::Trace;
use prometheus::{IntGauge, Opts, Registry};
use shared_auth::Auth;
use shared_model::{
    ConferenceDirectory, Domains, Fact, Moderation, Notices, OwnChat, Pending, Registrations, RoomAddress,
    RoomDirectory, RoomKeeping, RoomSnapshot, Telephony, Unavailable, idn,
};
use shared_runtime::bus::Bus;
use shared_runtime::tls::TlsPolicy;
use shared_runtime::{Redacted, Shutdown, http, listen};
use shared_store::{RecordChange, Store};
use sip_core::transaction::Timers;
use sip_endpoint::{Endpoint, Listeners, Port};
use sip_server::{Hosted, SipServer};
use tokio::net::TcpListener;
use xmpp_server::XmppServer;

use crate::command::Part;
use crate::config::Config;
use crate::doctor::Surgery;
use crate::open;
use crate::trace::Searched;

/// A running service.
pub(crate) struct Service {
    /// Which listener is bound to which address.
    pub(crate) bound: Vec<(&'static str, SocketAddr)>,
    /// Accounts.
    pub(crate) auth: Auth,
    /// Rooms, if the XMPP server runs here.
    pub(crate) rooms: Option<Arc<xmpp_server::Rooms>>,
    /// The XMPP server, if it runs here.
    pub(crate) chat: Option<XmppServer>,
    /// Certificates.
    pub(crate) tls: TlsPolicy,
}

/// What every service is given.
struct Ground {
    store: Store,
    bus: Bus<Fact>,
    auth: Auth,
    tls: TlsPolicy,
    registry: Registry,
    shutdown: Shutdown,
    /// Stops conferences, whose last words go through the proxy.
    calls: Shutdown,
    /// Stops the proxy, and what carries SIP.
    wires: Shutdown,
}

/// Starts the parts that are asked for.
pub(crate) async fn start(config: &Config, parts: &[Part], shutdown: &Shutdown) -> anyhow::Result<Service> {
    let store = open::store(config).await?;
    let (bus, registry) = (Bus::new(), Registry::new());
    own_metrics(&registry)?;
    let auth = open::auth(config, &store, &bus, &registry).await?;
    let names = host_names(config);
    let tls = TlsPolicy::open(&config.certificates(), &config.data_dir, &names).context("tls")?;
    tls.register(&registry)?;
    shutdown.spawn(tls.clone().keep(shutdown.clone()));
    let changes = auth.look_outside(&config.domain, &config.keepers(), &tls, shutdown).context("auth")?;
    shutdown.spawn(shared_auth::note_outside(auth.clone(), changes, shutdown.clone()));
    // Before anybody could tell anything.
    operations::timeline::start(operations::timeline::Parts {
        config: &config.operations,
        facts: bus.subscribe(),
        archive: Arc::clone(&store.archive),
        domains: config.accounts(),
        auth: auth.clone(),
        registry: &registry,
        shutdown: shutdown.clone(),
    })
    .await?;
    match operations::doctor::sweep(&auth).await {
        Ok(0) => {}
        Ok(swept) => tracing::info!(swept, "accounts of looks that were killed are gone"),
        Err(error) => tracing::warn!(%error, "accounts of looks that were killed stay until the next start"),
    }
    shutdown.spawn(tell_unserved(auth.clone(), config.accounts(), shutdown.clone()));
    let (calls, wires) = (Shutdown::new(), Shutdown::new());
    shutdown.spawn(stop_in_order(shutdown.clone(), calls.clone(), wires.clone()));
    let ground = Ground { store, bus, auth, tls, registry, shutdown: shutdown.clone(), calls, wires };

    let (auth, store, bus) = (ground.auth.clone(), ground.store.clone(), ground.bus.clone());
    let stop = shutdown.clone();
    shutdown.spawn(async move { auth.follow_others(store, bus, stop).await });
    ground.auth.bans.load().await?;
    let (bans, stop) = (ground.auth.bans.clone(), shutdown.clone());
    shutdown.spawn(async move { bans.follow(stop).await });

    let mut bound = Vec::new();
    let (mut rooms, mut chat, mut calls) = (None, None, None);
    if parts.contains(&Part::Xmpp) {
        let server = start_xmpp(config, &ground).await?;
        bound.extend(server.c2s().iter().map(|address| ("xmpp.c2s", *address)));
        bound.extend(server.c2s_tls().iter().map(|address| ("xmpp.c2s_tls", *address)));
        bound.extend(server.s2s().iter().map(|address| ("xmpp.s2s", *address)));
        bound.extend(server.s2s_tls().iter().map(|address| ("xmpp.s2s_tls", *address)));
        bound.extend(server.components().iter().map(|address| ("xmpp.components", *address)));
        let profiles = profiles(&ground);
        server.attach_groups(Arc::clone(&profiles) as _);
        server.attach_visibility(profiles);
        rooms = Some(server.rooms());
        chat = Some(server);
    }
    let mut hosted = Vec::new();
    if parts.contains(&Part::Conference) {
        let directory: Arc<dyn RoomDirectory> = match &rooms {
            Some(rooms) => Arc::clone(rooms) as _,
            None => Arc::new(Elsewhere),
        };
        let (ours, theirs) = sip_endpoint::pair();
        let focus = start_conference(config, &ground, directory, chat.as_ref(), theirs).await?;
        if let Some(chat) = &chat {
            chat.attach_calls(Arc::clone(&focus) as _);
        }
        calls = Some(focus);
        hosted.push(Hosted { domain: config.rooms_host(), port: ours });
    }
    let (mut websockets, mut registrations, mut telephony) = (None, None, None);
    if parts.contains(&Part::Sip) {
        let server = start_sip(config, &ground, hosted, calls.as_ref(), chat.as_ref()).await?;
        websockets = Some(server.endpoint().websocket_route("/sip"));
        registrations = Some(server.registrations());
        telephony = Some(server.telephony());
        bound.extend(server.bound().udp.iter().map(|address| ("sip.udp", *address)));
        bound.extend(server.bound().tcp.iter().map(|address| ("sip.tcp", *address)));
        bound.extend(server.bound().tls.iter().map(|address| ("sip.tls", *address)));
    }
    if let Some(chat) = &chat {
        let route = chat.websocket_route("/xmpp-websocket").merge(chat.bosh_route("/http-bind"));
        websockets = Some(websockets.unwrap_or_default().merge(route));
    }
    if parts.contains(&Part::Provisioning) || websockets.is_some() {
        let listeners = listen_https(config, &mut bound)?;
        let mut router = websockets.unwrap_or_default();
        if let (Some(chat), Some(port)) = (&chat, port_of(&bound, "http.https")) {
            router = router.merge(chat.open_uploads(&https_base(config, Some(port))));
        }
        if let (Some(chat), true) = (&chat, parts.contains(&Part::Provisioning)) {
            chat.open_invitations(invitations(config, port_of(&bound, "http.https")));
        }
        if parts.contains(&Part::Provisioning) {
            let halves = Halves {
                rooms: rooms.clone().map(|rooms| rooms as _),
                room_keeping: rooms.clone().map(|rooms| rooms as _),
                room_moderation: rooms.clone().map(|rooms| rooms as _),
                call_moderation: calls.clone().map(|calls| calls as _),
                conferences: calls.map(|calls| calls as _),
                own_chat: chat.as_ref().map(XmppServer::own_chat),
                notices: chat.as_ref().map(XmppServer::notices),
                registrations,
                telephony,
            };
            let metrics = provisioning::Metrics::new(&ground.registry)?;
            router = router.merge(provisioning_router(config, &ground, &bound, (halves, metrics)));
        }
        let keeper = http::Doorkeeper::new(&config.http.trusted_proxies, &ground.registry)?
            .asking_preface(config.http.proxy_protocol);
        let bans = ground.auth.bans.clone();
        let keeper = keeper.keeping_out(Arc::new(move |ip| bans.keeps_out(ip)));
        for listener in listeners {
            keeper.serve_tls(listener, ground.tls.server(&[b"http/1.1"]), router.clone(), shutdown);
        }
    }
    for listener in listen::tcp("operations.listen", &config.operations.listen)? {
        bound.push(("operations.listen", listener.local_addr()?));
        http::serve_plain(
            listener,
            http::operations(ground.registry.clone(), footing(&ground.store, &config.data_dir), shutdown),
            shutdown,
        );
    }
    if let Err(error) = Running::here(&bound).write(&config.data_dir) {
        tracing::warn!(%error, "commands beside this server do not learn where it listens");
    }
    let (stop, data_dir) = (shutdown.clone(), config.data_dir.clone());
    shutdown.spawn(async move {
        stop.begun().await;
        Running::forget(&data_dir);
    });
    Ok(Service { bound, auth: ground.auth, rooms, chat, tls: ground.tls })
}

/// Says whose domain was taken out of the configuration.
async fn tell_unserved(auth: Auth, domains: Domains, shutdown: Shutdown) {
    let looked = tokio::select! {
        looked = operations::doctor::unserved(&auth, &domains) => looked,
        () = shutdown.begun() => return,
    };
    for account in looked.unwrap_or_default() {
        let account = Redacted(account.as_str()).to_string();
        tracing::warn!(account, "this account, and others perhaps, is of a domain that is not served");
    }
}

/// Whether the store takes what it is given: one that can only be read does no new work, nor one on a full disk, which still takes a
/// row in the place of the one before.
fn footing(store: &Store, data_dir: &Path) -> http::Footing {
    let (records, data_dir) = (Arc::clone(&store.records), data_dir.to_owned());
    Arc::new(move || {
        let (records, is_full) = (Arc::clone(&records), operations::doctor::is_full(&data_dir));
        Box::pin(async move {
            let written = RecordChange::put("readiness", "now", b"");
            !is_full && records.commit("readiness", &[written]).await.is_ok()
        })
    })
}

/// What the process itself costs, and which release it is.
fn own_metrics(registry: &Registry) -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    let told = Opts::new("cusax_build_info", "Always 1; the label says which release this is.")
        .const_label("version", env!("CARGO_PKG_VERSION"));
    let build = IntGauge::with_opts(told)?;
    build.set(1);
    Ok(registry.register(Box::new(build))?)
}

/// Conferences hang up (RFC 3261 §15.1.1), who watches something is told that it is over (RFC 6665 §4.1.3), and then the proxy ends that brings their BYEs to the phones.
async fn stop_in_order(shutdown: Shutdown, calls: Shutdown, wires: Shutdown) {
    shutdown.begun().await;
    if !calls.finish(GOODBYE).await {
        tracing::info!("some phones did not answer that their conference is over");
    }
    wires.begin();
    wires.ended().await;
}

/// What the certificate is for.
pub(crate) fn host_names(config: &Config) -> Vec<String> {
    let mut names = vec![config.domain.clone(), config.rooms_domain(), format!("pubsub.{}", config.domain)];
    names.extend(config.xmpp.component.iter().map(|component| component.domain.clone()));
    names.extend(config.domains.iter().map(|domain| domain.name.clone()));
    // RFC 5280 §7.2: certificates hold A-labels.
    names.iter().map(|name| idn::to_ascii(name).into_owned()).collect()
}

/// Where invitations lead that are made in chat.
fn invitations(config: &Config, port: Option<u16>) -> xmpp_server::Invitations {
    let (host, domains, public_url) = (config.host(), config.accounts(), config.http.public_url.clone());
    let links = move |text: &str, invite: &shared_auth::Invite| xmpp_server::InviteLinks {
        // What is made in chat makes an account, of the domain of who makes it.
        uri: provisioning::app_uri(&domains, text, invite).unwrap_or_default(),
        page: provisioning::invite_link(public_url.as_deref(), &host, port, text),
    };
    xmpp_server::Invitations { by_everybody: config.provisioning.users_invite, links: Box::new(links) }
}

async fn start_xmpp(config: &Config, ground: &Ground) -> anyhow::Result<XmppServer> {
    let parts = xmpp_server::Parts {
        config: config.xmpp.clone(),
        domains: config.accounts(),
        rooms_domain: config.rooms_domain(),
        data_dir: config.data_dir.clone(),
        name_servers: config.sip.dns.clone(),
        auth: ground.auth.clone(),
        store: ground.store.clone(),
        tls: ground.tls.clone(),
        bus: ground.bus.clone(),
        registry: &ground.registry,
        shutdown: ground.shutdown.clone(),
    };
    Ok(XmppServer::start(parts).await?)
}

async fn start_sip(
    config: &Config,
    ground: &Ground,
    hosted: Vec<Hosted>,
    focus: Option<&Arc<Focus>>,
    chat: Option<&XmppServer>,
) -> anyhow::Result<SipServer> {
    let needs = sip_server::Needs {
        config: config.sip.clone(),
        domains: config.accounts(),
        chat: config.domains.iter().filter_map(|domain| Some((domain.name.clone(), domain.chat?))).collect(),
        auth: ground.auth.clone(),
        store: ground.store.clone(),
        bus: ground.bus.clone(),
        tls: &ground.tls,
        registry: &ground.registry,
        hosted,
        services: config.chat_hosts(),
        mailboxes: focus.map(|focus| Arc::clone(focus) as _),
        announcements: focus.map(|focus| Arc::clone(focus) as _),
        availability: chat.map(XmppServer::availability),
        notices: chat.map(XmppServer::notices),
        visibility: profiles(ground),
        goodbye: ground.calls.clone(),
        shutdown: ground.wires.clone(),
    };
    Ok(SipServer::start(needs).await?)
}

/// What accounts are given, and by whom they are found.
fn profiles(ground: &Ground) -> Arc<provisioning::Profiles> {
    let profiles = provisioning::Profiles::new(Arc::clone(&ground.store.records));
    Arc::new(profiles.with_people(&ground.auth))
}

/// The focus is a user agent behind the proxy: its endpoint has one wire, which leads there.
async fn start_conference(
    config: &Config,
    ground: &Ground,
    rooms: Arc<dyn RoomDirectory>,
    chat: Option<&XmppServer>,
    port: Port,
) -> anyhow::Result<Arc<Focus>> {
    let parts = conference::Parts {
        config: config.conference.clone(),
        domain: config.rooms_host(),
        rooms,
        chat: chat.map(|chat| chat.rooms() as _),
        messages: chat.map(XmppServer::voice_messages),
        own_chat: chat.map(XmppServer::own_chat),
        srtp: config.domains.iter().filter_map(|domain| Some((domain.name.clone(), domain.srtp?))).collect(),
        accounts: ground.auth.directory.clone(),
        audit: ground.auth.audit.clone(),
        bus: ground.bus.clone(),
        metrics: conference::metrics::Metrics::new(&ground.registry)?,
        random: shared_runtime::random,
        shutdown: ground.calls.clone(),
    };
    let focus = Focus::new(parts).context("conference")?;
    let endpoint = Endpoint::start(
        Listeners { ports: vec![port], ..Listeners::default() },
        Timers::default(),
        &ground.tls,
        // The proxy's endpoint counts what comes and goes; this one would count it twice.
        sip_endpoint::Metrics::new(&Registry::new())?,
        shared_runtime::random,
        &ground.wires,
        Focus::application(&focus),
    )
    .await?;
    focus.attach(endpoint);
    let facts = ground.bus.subscribe();
    let (told, auth, calls) = (Arc::clone(&focus), ground.auth.clone(), ground.calls.clone());
    ground.calls.spawn(conference::bridge::run(told, auth, facts, calls));
    Ok(focus)
}

fn listen_https(
    config: &Config,
    bound: &mut Vec<(&'static str, SocketAddr)>,
) -> anyhow::Result<Vec<TcpListener>> {
    let listeners = listen::tcp("http.https", &config.http.https)?;
    for listener in &listeners {
        bound.push(("http.https", listener.local_addr()?));
    }
    Ok(listeners)
}

/// What the pages show and change of other services, as far as these run in this process.
struct Halves {
    rooms: Option<Arc<dyn RoomDirectory>>,
    conferences: Option<Arc<dyn ConferenceDirectory>>,
    own_chat: Option<Arc<dyn OwnChat>>,
    notices: Option<Arc<dyn Notices>>,
    registrations: Option<Arc<dyn Registrations>>,
    room_keeping: Option<Arc<dyn RoomKeeping>>,
    room_moderation: Option<Arc<dyn Moderation>>,
    call_moderation: Option<Arc<dyn Moderation>>,
    telephony: Option<Arc<dyn Telephony>>,
}

/// The face that hands out configurations knows the other faces by the ports that they listen on.
fn provisioning_router(
    config: &Config,
    ground: &Ground,
    bound: &[(&'static str, SocketAddr)],
    (halves, metrics): (Halves, provisioning::Metrics),
) -> Router {
    let port = |name: &str| port_of(bound, name);
    provisioning::router(provisioning::Parts {
        domains: config.accounts(),
        rooms_domain: config.rooms_domain(),
        host: config.host(),
        ports: provisioning::Ports {
            sip_udp: port("sip.udp"),
            sip_tcp: port("sip.tcp"),
            sip_tls: port("sip.tls"),
            xmpp: port("xmpp.c2s"),
            xmpp_tls: port("xmpp.c2s_tls"),
            xmpp_s2s: port("xmpp.s2s"),
            xmpp_s2s_tls: port("xmpp.s2s_tls"),
            https: port("http.https"),
        },
        public_url: config.http.public_url.clone(),
        auth: ground.auth.clone(),
        conference_factory: match config.conference.factory.as_str() {
            "" => String::new(),
            name => format!("sip:{name}@{}", config.rooms_host()),
        },
        uploads: match config.xmpp.upload.url.as_str() {
            "" => format!("{}/upload/", https_base(config, port("http.https"))),
            url => format!("{url}/upload/"),
        },
        turn: config.xmpp.turn.services.clone(),
        // What cannot be read is not offered; clients then say whom they do not believe.
        ca: ground.tls.local_ca().and_then(|file| std::fs::read_to_string(file).ok()),
        config: config.provisioning.clone(),
        metrics,
        bus: ground.bus.clone(),
        shutdown: ground.shutdown.clone(),
        bindings: Arc::clone(&ground.store.bindings),
        rooms: halves.rooms,
        conferences: halves.conferences,
        own_chat: halves.own_chat,
        notices: halves.notices,
        registrations: halves.registrations,
        room_keeping: halves.room_keeping,
        room_moderation: halves.room_moderation,
        call_moderation: halves.call_moderation,
        telephony: halves.telephony,
        timelines: (config.operations.timeline_entries > 0)
            .then(|| Arc::new(Trace::new(Arc::clone(&ground.store.archive))) as _),
        search: (config.operations.timeline_entries > 0).then(|| {
            let trace = Trace::new(Arc::clone(&ground.store.archive));
            Arc::new(Searched::new(trace)) as _
        }),
        doctor: Some(Arc::new(Surgery::new(config))),
        records: Arc::clone(&ground.store.records),
        archive: Arc::clone(&ground.store.archive),
    })
}

/// What links to files begin with where nothing else is configured for them: what all links begin with, or else the listener.
fn https_base(config: &Config, port: Option<u16>) -> String {
    match &config.http.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("https://{}:{}", config.host(), port.unwrap_or(443)),
    }
}

fn port_of(bound: &[(&'static str, SocketAddr)], name: &str) -> Option<u16> {
    bound.iter().find(|(listener, _)| *listener == name).map(|(_, address)| address.port())
}

/// Rooms are served by another process: a conference goes by what it knows.
struct Elsewhere;

impl RoomDirectory for Elsewhere {
    fn room<'a>(&'a self, _room: &'a RoomAddress) -> Pending<'a, Result<Option<RoomSnapshot>, Unavailable>> {
        Box::pin(async { Err(Unavailable) })
    }
}

/// How long a phone may take to answer that its conference is over.
const GOODBYE: Duration = Duration::from_secs(2);
