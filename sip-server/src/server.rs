//! The started service: what it needs, how it starts, and how requests find their way in.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use shared_auth::Auth;
use shared_model::{
    Announcements, Availability, CallEvent, CallOutcome, Domains, Fact, Mailboxes, Notices, Pending,
    Registrations, Telephony, Visibility,
};
use shared_runtime::bus::Bus;
use shared_runtime::listen::ListenError;
use shared_runtime::tls::TlsPolicy;
use shared_runtime::{Shutdown, unix_millis};
use shared_store::Store;
use sip_core::header::{Name, NameAddr};
use sip_core::proxy::{pop_routes, prepare_copy, serve_strict_router};
use sip_core::transaction::Timers;
use sip_core::{Message, Uri};
use sip_endpoint::{Application, Bound, Endpoint, Flow, Incoming, Listeners, Naming, Port, Transport};
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::awaited::Awaited;
use crate::config::{Chat, Config};
use crate::dialogs::Dialogs;
use crate::ended;
use crate::facts::{self, Facts};
use crate::flow_token::FlowTokens;
use crate::gruu::Gruus;
use crate::guard::{Guard, Refused, is_banned, overloaded};
use crate::hep::Exporter;
use crate::in_dialog;
use crate::labels::RequestSpan;
use crate::location::Reach;
use crate::metrics::Metrics;
use crate::numbers::{Dialled, Plan};
use crate::own_registrations::Own;
use crate::proxy::Passed;
use crate::push::{self, Purrs, Pushes};
use crate::records::Calls;
use crate::reg_event::{self, Subscriptions};
use crate::relay::{Relay, Tags, sdp_of};
use crate::routing::{self, Decision};
use crate::stir::Stir;
use crate::suspension::{self, Suspension};
use crate::telephony::Numbers;
use crate::tenants::Tenants;
use crate::trunks::{self, Trunks};
use crate::{caller, cost, proxy, registrar};

/// A domain whose requests go to another endpoint in this process.
pub struct Hosted {
    /// The host part of its URIs.
    pub domain: String,
    /// Our end of the wire.
    pub port: Port,
}

/// What the service is given.
pub struct Needs<'a> {
    /// `[sip]`.
    pub config: Config,
    /// The domains of its addresses of record.
    pub domains: Domains,
    /// What becomes of chat, where a domain has a rule of its own.
    pub chat: HashMap<String, Chat>,
    /// Accounts and proofs.
    pub auth: Auth,
    /// Bindings.
    pub store: Store,
    /// Where facts go.
    pub bus: Bus<Fact>,
    /// What protects TLS listeners.
    pub tls: &'a TlsPolicy,
    /// Where metrics are registered.
    pub registry: &'a prometheus::Registry,
    /// Domains behind other endpoints of this process.
    pub hosted: Vec<Hosted>,
    /// Hosts of what else is ours, such as pubsub, guests and components of chat: nobody calls by such a name.
    pub services: Domains,
    /// Who knows whether somebody wants to be called, if the chat half runs here.
    pub availability: Option<Arc<dyn Availability>>,
    /// Who takes messages for accounts that do not answer, if the focus runs here.
    pub mailboxes: Option<Arc<dyn Mailboxes>>,
    /// Who says things to callers, if the focus runs here.
    pub announcements: Option<Arc<dyn Announcements>>,
    /// Who says things to accounts, if the chat half runs here.
    pub notices: Option<Arc<dyn Notices>>,
    /// By whom accounts are found.
    pub visibility: Arc<dyn Visibility>,
    /// Begins before `shutdown` does, which waits for it: what is to be said last is said while there are wires.
    pub goodbye: Shutdown,
    /// Ends it.
    pub shutdown: Shutdown,
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// What `[sip]` says cannot be meant.
    #[error("{0}")]
    Config(String),
    /// The file that `sip.push.token_file` names cannot be read.
    #[error("sip.push.token_file: {0}")]
    PushToken(std::io::Error),
    /// A metric is registered twice.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// A running registrar and proxy. It stops with the shutdown that it was given.
pub struct SipServer {
    server: Arc<Server>,
}

/// What every request needs.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) domains: Domains,
    chat: HashMap<String, Chat>,
    pub(crate) auth: Auth,
    pub(crate) store: Store,
    pub(crate) facts: Facts,
    pub(crate) metrics: Metrics,
    pub(crate) guard: Guard,
    pub(crate) tokens: FlowTokens,
    pub(crate) gruus: Gruus,
    pub(crate) dialogs: Dialogs,
    /// The 2xx of calls that were just answered.
    pub(crate) passed: Passed,
    pub(crate) plan: Plan,
    pub(crate) trunks: Trunks,
    pub(crate) calls: Calls,
    pub(crate) awaited: Awaited,
    pub(crate) suspension: Suspension,
    pub(crate) tenants: Tenants,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) push: Option<Arc<Pushes>>,
    pub(crate) purrs: Purrs,
    pub(crate) stir: Stir,
    pub(crate) relay: Option<Arc<Relay>>,
    /// One for each request that may be under way.
    places: Arc<Semaphore>,
    /// How many of these are for requests of calls that are up.
    reserved: usize,
    /// Names this process among those that wrote bindings.
    pub(crate) node: String,
    pub(crate) is_tls_required: bool,
    pub(crate) availability: Option<Arc<dyn Availability>>,
    pub(crate) mailboxes: Option<Arc<dyn Mailboxes>>,
    pub(crate) announcements: Option<Arc<dyn Announcements>>,
    pub(crate) notices: Option<Arc<dyn Notices>>,
    pub(crate) visibility: Arc<dyn Visibility>,
    hosted: Vec<String>,
    pub(crate) services: Domains,
    pub(crate) endpoint: OnceLock<Endpoint>,
    pub(crate) goodbye: Shutdown,
    pub(crate) shutdown: Shutdown,
}

impl SipServer {
    /// Binds and starts.
    ///
    /// Boxed, so that all that runs from here on is compiled once, with this crate, and not with each that starts it.
    pub fn start(needs: Needs<'_>) -> Pending<'_, Result<Self, StartError>> {
        Box::pin(Self::run(needs))
    }

    async fn run(needs: Needs<'_>) -> Result<Self, StartError> {
        let (hosted, ports): (Vec<_>, Vec<_>) =
            needs.hosted.into_iter().map(|hosted| (hosted.domain, hosted.port)).unzip();
        let wrong = |faults: Vec<String>| StartError::Config(faults.join("; "));
        let plan = Plan::new(&needs.config.numbers, &needs.domains).map_err(wrong)?;
        let trunks = Trunks::new(&needs.config.trunks, needs.registry).map_err(wrong)?;
        let metrics = Metrics::new(needs.registry)?;
        let push = Pushes::open(&needs.config.push, needs.tls, &metrics).map_err(StartError::PushToken)?;
        let (keep, currency) = (needs.config.records.keep, needs.config.cost.currency.clone());
        let (calls, writing) = Calls::new(&needs.store, keep, currency, &needs.shutdown);
        if let Some(writing) = writing {
            needs.shutdown.spawn(writing);
        }
        let stir = Stir::open(&needs.config.stir, needs.tls, needs.auth.key_for("origin of calls"));
        let places = needs.config.requests.clamp(1, Semaphore::MAX_PERMITS);
        let server = Arc::new(Server {
            calls,
            plan,
            trunks,
            stir: stir.map_err(StartError::Config)?,
            relay: Relay::open(&needs.config.rtpengine, needs.registry, &needs.shutdown)
                .map_err(StartError::Config)?,
            metrics,
            push,
            purrs: Purrs::new(&needs.auth.key_for("push references")),
            guard: Guard::new(&needs.config.guard, needs.registry)?,
            tokens: FlowTokens::new(&needs.auth.key_for("flow tokens")),
            gruus: Gruus::new(&needs.auth.key_for("temporary GRUUs")),
            dialogs: Dialogs::default(),
            passed: Passed::default(),
            awaited: Awaited::default(),
            suspension: Suspension::default(),
            tenants: Tenants::default(),
            subscriptions: Subscriptions::default(),
            places: Arc::new(Semaphore::new(places)),
            reserved: places / RESERVED,
            node: format!("{:016x}", shared_runtime::random()),
            is_tls_required: needs.tls.is_required(),
            facts: Facts::new(needs.bus.clone()),
            domains: needs.domains,
            chat: needs.chat,
            auth: needs.auth,
            store: needs.store,
            availability: needs.availability,
            mailboxes: needs.mailboxes,
            announcements: needs.announcements,
            notices: needs.notices,
            visibility: needs.visibility,
            hosted,
            services: needs.services,
            endpoint: OnceLock::new(),
            goodbye: needs.goodbye,
            shutdown: needs.shutdown.clone(),
            config: needs.config,
        });
        if let Err(error) = server.calls.restore().await {
            tracing::error!(%error, "calls that were up cannot be read; they will have no rows");
        }
        let config = &server.config;
        let tap =
            Exporter::start(&config.hep, needs.registry, &needs.shutdown).map_err(StartError::Config)?;
        let listeners = Listeners {
            udp: config.udp.clone(),
            tcp: config.tcp.clone(),
            tls: config.tls.clone(),
            ports,
            threads: config.threads,
            limits: config.limits.clone(),
            asks_servers: config.asks_servers(),
            tap: tap.map(|tap| Arc::new(tap) as _),
            naming: Naming { servers: config.dns.clone(), prefer: config.prefer.clone() },
        };
        let timers = Timers {
            b: config.timers.b,
            d: config.timers.b.max(Duration::from_secs(32)),
            ..Timers::default()
        };
        let endpoint = Endpoint::start(
            listeners,
            timers,
            needs.tls,
            sip_endpoint::Metrics::new(needs.registry)?,
            shared_runtime::random,
            &needs.shutdown,
            Arc::new(Face(Arc::clone(&server))),
        )
        .await?;
        // The cell was empty: it is set here alone.
        let _ = server.endpoint.set(endpoint);
        needs.shutdown.spawn(sweep(Arc::clone(&server)));
        needs.shutdown.spawn(ended::follow(
            Arc::clone(&server),
            needs.bus.subscribe(),
            needs.shutdown.clone(),
        ));
        needs.shutdown.spawn(cost::watch(Arc::clone(&server)));
        if let Some(service) = server.push.clone() {
            needs.shutdown.spawn(push::refresh(Arc::clone(&server), service));
        }
        for trunk in server.trunks.iter() {
            needs.shutdown.spawn(trunks::keep(Arc::clone(&server), Arc::clone(trunk)));
        }
        Ok(Self { server })
    }

    /// Where it listens.
    pub fn bound(&self) -> &Bound {
        self.server.endpoint().bound()
    }

    /// Trunks and numbers, for whoever shows them.
    pub fn telephony(&self) -> Arc<dyn Telephony> {
        Arc::new(Numbers(Arc::clone(&self.server)))
    }

    /// Ends registrations for their owners.
    pub fn registrations(&self) -> Arc<dyn Registrations> {
        Arc::new(Own(Arc::clone(&self.server)))
    }

    /// Its sockets and flows, for whoever has an HTTP router to join its WebSockets to.
    pub fn endpoint(&self) -> &Endpoint {
        self.server.endpoint()
    }
}

impl Server {
    /// The endpoint. Requests come in only once it is there.
    #[expect(clippy::expect_used, reason = "the endpoint hands out its first request after it was started")]
    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.endpoint.get().expect("started")
    }

    /// Whether an entry of Route or Record-Route is ours, and of this dialog.
    pub(crate) fn is_own_entry(&self, entry: &str, call_id: &str) -> bool {
        let uri = NameAddr::parse(entry).and_then(|entry| Uri::parse(entry.uri));
        uri.is_some_and(|uri| self.tokens.is_ours(uri.user, call_id))
    }

    /// Where devices are, as far as they can be reached from here.
    pub(crate) fn reach(&self) -> Reach<'_> {
        let push = self.push.as_deref();
        Reach { bindings: &self.store.bindings, endpoint: self.endpoint(), push, node: &self.node }
    }

    /// Ends when the server is told to stop. Cancel safe.
    pub(crate) async fn begun_shutdown(&self) {
        self.shutdown.begun().await;
    }

    /// Whether the host of a URI is a domain of ours, or an address that we listen on.
    pub(crate) fn is_our_host(&self, uri: &Uri<'_>) -> bool {
        self.domains.has(uri.host) || self.endpoint().is_own(uri.host, uri.port)
    }

    /// Whether an emergency number is called.
    pub(crate) fn is_emergency(&self, request: &Message) -> bool {
        let dialled = || {
            let uri = Uri::parse(request.uri()).filter(|uri| !uri.is_sip() || self.is_our_host(uri));
            uri.map(|uri| self.plan.read(&uri))
        };
        request.method() == "INVITE" && matches!(dialled(), Some(Dialled::Emergency(_)))
    }

    /// Counts what a stranger asked for and nobody has, or what a scanner sent.
    pub(crate) fn note_guess(&self, flow: &Flow) {
        self.auth.authenticator.guessed(flow.remote.ip(), flow.transport != Transport::Udp);
    }

    /// The domain of ours that a URI names, or the main one: an address of this machine stands for it.
    pub(crate) fn domain_of(&self, uri: &Uri<'_>) -> &str {
        self.domains.find(uri.host).unwrap_or(self.domains.main())
    }

    /// What becomes of MESSAGE, PUBLISH and presence for whom a URI names.
    pub(crate) fn chat_of(&self, uri: &Uri<'_>) -> Chat {
        self.chat.get(self.domain_of(uri)).copied().unwrap_or(self.config.chat)
    }

    /// The flow to the endpoint that serves a domain.
    pub(crate) fn hosted(&self, host: &str) -> Option<Flow> {
        let index = self.hosted.iter().position(|domain| domain.eq_ignore_ascii_case(host))?;
        Some(self.endpoint().port(index))
    }
}

/// The application that the endpoint calls.
struct Face(Arc<Server>);

impl Application for Face {
    fn request(&self, incoming: Incoming) {
        let server = Arc::clone(&self.0);
        // What belongs to a call that is up finds a place when others find none any more: a BYE ends what costs.
        let is_welcome =
            server.places.available_permits() > server.reserved || is_begun(&server, &incoming.request);
        let place = Arc::clone(&server.places).try_acquire_owned().ok().filter(|_| is_welcome);
        let Some(place) = place else {
            server.metrics.overloaded.inc();
            return incoming.server.respond(overloaded(&incoming.request));
        };
        let span = RequestSpan { request: &incoming.request, flow: &incoming.flow }.open();
        // In a box, since what wraps a task moves it, and all that may become of a request is much.
        let served = Box::pin(async move {
            serve(server, incoming).await;
            drop(place);
        });
        self.0.shutdown.spawn(served.instrument(span));
    }

    fn at_once(&self, request: &Message, flow: &Flow) -> Option<Message> {
        let server = &*self.0;
        let is_ready = server.endpoint.get().is_some() && server.places.available_permits() > server.reserved;
        if !is_ready || !caller::is_unproved(server, request, flow) {
            return None;
        }
        if let Some(answer) = self.refuses(request, flow) {
            return Some(answer);
        }
        let Decision::Answer(answer) = routing::decide(server, &mut request.clone(), flow).now_or_never()?
        else {
            return None;
        };
        server.metrics.request(request.method(), flow.transport);
        server.metrics.response(request.method(), answer.status());
        Some(*answer)
    }

    fn refuses(&self, request: &Message, flow: &Flow) -> Option<Message> {
        let server = &*self.0;
        if flow.transport == Transport::InProcess || is_begun(server, request) {
            return None;
        }
        if is_banned(server, request, flow) && !server.is_emergency(request) {
            return Some(server.guard.refuse_banned().answer(request));
        }
        if let Some(refused) = server.guard.refuses(request, flow.remote.ip(), Instant::now()) {
            if refused == Refused::Scanner {
                server.note_guess(flow);
            }
            return Some(refused.answer(request));
        }
        let lateness = server.endpoint.get()?.lateness(flow);
        // RFC 7339 §5.10.1: nobody in need is turned away since others call too.
        if !server.guard.is_late(lateness) || server.is_emergency(request) {
            return None;
        }
        Some(server.guard.refuse_late().answer(request))
    }

    fn ack(&self, ack: Message, flow: Flow) {
        let server = Arc::clone(&self.0);
        // In a box, as a request is.
        self.0.shutdown.spawn(Box::pin(async move { forward_ack(&server, ack, flow).await }));
    }

    fn flow_lost(&self, flow: Flow) {
        let server = Arc::clone(&self.0);
        self.0.shutdown.spawn(async move { suspension::suspend(&server, &flow).await });
    }

    fn stray(&self, mut response: Message, _flow: Flow) {
        let endpoint = self.0.endpoint();
        let is_ours = response.top_via().is_some_and(|via| endpoint.is_own_via(&via));
        if is_ours && (200..300).contains(&response.status()) && !self.0.passed.again(&response) {
            response.pop_front(Name::Via);
            // Of who is not known to be trusted (RFC 3325 §5).
            crate::features::asserted_identity::strip(&mut response);
            endpoint.send_stray(&response);
        }
    }
}

/// Whether a request is of a dialog that went through us: a tag alone is anybody's word.
fn is_begun(server: &Server, request: &Message) -> bool {
    let has_token = |route: &str| server.is_own_entry(route, request.call_id());
    request.is_in_dialog()
        && (server.dialogs.other_side(request).is_some() || request.elements(Name::Route).any(has_token))
}

async fn serve(server: Arc<Server>, mut incoming: Incoming) {
    server.wait_for_endpoint().await;
    server.metrics.request(incoming.request.method(), incoming.flow.transport);
    if let Some(inbox) = reg_event::within(&server, &incoming.request) {
        match inbox.send(incoming).await {
            Ok(()) => return,
            // A subscription that ends at this moment is unknown.
            Err(unsent) => incoming = unsent.0,
        }
    }
    let Incoming { mut request, flow, server: handle } = incoming;
    let is_invite = request.method() == "INVITE";
    let decision = tokio::select! {
        biased;
        decision = routing::decide(&server, &mut request, &flow) => decision,
        // §9.2: whoever gives up while a name is looked up need not wait for it.
        () = handle.cancelled(), if is_invite => Decision::Answer(Box::new(Message::response(&request, 487, ""))),
    };
    let asked = cost::Asked { server: &server, request: &request, flow: &flow, handle: &handle };
    let answer = match decision {
        Decision::Answer(answer) => *answer,
        Decision::Register(identity) => registrar::register(&server, &request, &flow, &identity).await,
        Decision::Subscribe(subscriber) => {
            return reg_event::subscribe(&server, request, flow, handle, subscriber).await;
        }
        // §8.2.2.2: the call is there already.
        Decision::Forward(_) if server.dialogs.is_answered(&request) => Message::response(&request, 482, ""),
        Decision::Forward(mut route) => match cost::admit(asked, &route).await {
            Ok(charge) => {
                route.charge = charge;
                let attempt;
                (route.call, attempt) = facts::tell_call(&server, &request, &route);
                proxy::forward(Arc::clone(&server), request, flow, handle, route).await;
                return drop(attempt);
            }
            Err(refusal) => {
                if let Some(begun) = server.calls.begin(&request, &mut route) {
                    let status = refusal.status();
                    server.calls.unanswered(begun, status, status == 487, None).await;
                }
                *refusal
            }
        },
    };
    server.metrics.response(request.method(), answer.status());
    handle.respond(answer);
}

/// An ACK of a 2xx follows its dialog's route as other requests do, without a transaction (§16.11).
async fn forward_ack(server: &Server, mut ack: Message, flow: Flow) {
    server.wait_for_endpoint().await;
    let endpoint = server.endpoint();
    let call_id = ack.call_id().to_owned();
    let is_ours =
        |uri: &Uri<'_>| endpoint.is_own(uri.host, uri.port) || server.tokens.is_ours(uri.user, &call_id);
    let tokens = pop_routes(&mut ack, is_ours);
    if ack.value(Name::MaxForwards).is_some_and(|hops| hops.trim() == "0") {
        return;
    }
    // Nobody is told that an ACK goes nowhere: its 2xx comes again.
    let Ok(route) = in_dialog::route(server, &ack, &flow, &tokens).await else { return };
    let route_ahead = route.ahead_of_invite;
    if let Some(branch) = route.groups.into_iter().flatten().next() {
        prepare_copy(&mut ack, branch.uri.as_deref());
        serve_strict_router(&mut ack);
        if branch.trunk.is_some() {
            proxy::ahead::count(&mut ack, route_ahead, 0);
        }
        if let Some(relay) = &server.relay
            && let Some(call) = server.dialogs.name_within(&ack).filter(|call| relay.has(call))
            && let (Some(answerer), Some(offerer)) = (ack.from_tag(), ack.to_tag())
            && let Some(sdp) = sdp_of(&ack)
        {
            // Who sends the ACK answers what was offered in the 2xx.
            let tags = Tags { offerer, answerer: Some(answerer) };
            if let Some(sdp) = relay.answer(&call, tags, sdp).await {
                ack.set_body("application/sdp", sdp.into());
            }
        }
        endpoint.send_ack(ack, branch.flow);
    }
}

/// Takes bindings out whose time is over, and tells it.
async fn sweep(server: Arc<Server>) {
    loop {
        tokio::select! {
            () = server.shutdown.begun() => {
                return server.calls.keep(Instant::now(), true).await;
            }
            () = tokio::time::sleep(SWEEP) => {}
        }
        server.dialogs.forget_old(Instant::now());
        server.passed.forget_old(Instant::now());
        server.tenants.forget_old(Instant::now());
        server.relay.iter().for_each(|relay| relay.forget_old(Instant::now()));
        for (call_id, tag) in server.calls.end_silent(Instant::now()).await {
            let (call_id, outcome) = (server.dialogs.name(&call_id, &tag), CallOutcome::Completed);
            let reason = Some("neither side refreshed it (RFC 4028)".to_owned());
            server.facts.call(&call_id, CallEvent::Ended { call_id: call_id.clone(), outcome, reason });
            if let Some(relay) = server.relay.clone().filter(|relay| relay.has(&call_id)) {
                tokio::spawn(async move { relay.delete(&call_id).await });
            }
        }
        server.calls.keep(Instant::now(), false).await;
        server.guard.forget_quiet(Instant::now());
        match server.store.bindings.expire(unix_millis(), MOST_A_SWEEP).await {
            Ok(expired) => {
                for binding in &expired {
                    registrar::tell_unbound(&server, binding);
                    server.awaited.tell(&binding.aor);
                }
            }
            Err(error) => tracing::warn!(%error, "expired bindings could not be removed"),
        }
    }
}

impl Server {
    /// What may be subscribed to here (RFC 6665 §8.2.2).
    pub(crate) fn event_packages(&self) -> &'static str {
        match self.mailboxes {
            Some(_) => "conference, message-summary, reg",
            None => "conference, reg",
        }
    }

    /// Requests that come in the instant between binding and starting wait for the rest.
    async fn wait_for_endpoint(&self) {
        while self.endpoint.get().is_none() {
            tokio::task::yield_now().await;
        }
    }
}

/// One place of so many is for requests of calls that are up.
const RESERVED: usize = 8;
/// How often expired bindings are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// How many are taken out at once.
const MOST_A_SWEEP: usize = 500;
