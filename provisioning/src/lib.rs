//! The HTTPS face: discovery for everybody, configuration for those who prove an account (RFC 7081 §2), pages for people.
//!
//! In    GET and POST requests; a password, a single-use token, an invitation, a session's cookie.
//! Out   JRD, XRD, JSON, clients' configurations, HTML. One renderer is one file, and so is one page.
//! State none of its own but counts; everything else is `shared-auth`'s.
//! Errors 401 with one text for every wrong proof, 429 while throttled, 400 and 404 for what is not understood.

mod access;
mod address;
mod answer;
mod api;
mod calls;
mod config;
mod directory;
mod discovery;
mod ended;
mod links;
mod pages;
mod picture;
mod profile;
mod qr;
mod render;
mod search;
mod session;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, map_response_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http_body_util::BodyExt;
use shared_auth::Auth;
use shared_model::{
    AccountId, Aor, ConferenceDirectory, Correlation, Doctor, Domains, Fact, Moderation, Notices, OwnChat,
    ProvisioningEvent, Registrations, RoomDirectory, RoomKeeping, Spec, Telephony, Timelines,
};
use shared_runtime::Shutdown;
use shared_runtime::bus::Bus;
use shared_runtime::unix_millis;
use shared_store::{Archive, Bindings, Records, StoreError};

use crate::answer::public;
use crate::api::problem::Problem;

pub use access::PURPOSE;
pub use address::address_in;
pub use api::caller::Scope;
pub use api::invites::to_json as invite_json;
pub use api::own::{device_json, new_device_json};
pub use config::{Config, KEYS};
pub use discovery::zone::Zone;
pub use links::{app_uri, invite_link};
pub use pages::web_client::{WebClientFault, web_client_fault};
pub use profile::{Calls, Layer, LayerError, Profiles, Settings};
pub use qr::terminal_code;
pub use render::phones::{Mac, Make, PHONE_SCOPE, phone_device, phone_url};
pub use search::{Answer, Found, Search, account_meant};
pub use state::Metrics;

/// What this crate implements.
pub const SPECS: &[Spec] = &[
    Spec::rfc(3263).note("the records of section 4.1, printed as a zone file"),
    Spec::rfc(6350).note("cards of the directory"),
    Spec::rfc(6352).note("an address book to read; no filters, no synchronisation"),
    Spec::rfc(6415).note("host-meta and host-meta.json with the WebFinger template"),
    Spec::xep(156, "1.4.0").complete(),
    Spec::rfc(7033).note("acct, sip and xmpp resources, rel; the private links for the proven account alone"),
    Spec::rfc(7081).note(
        "sections 2 and 6: both halves by one invitation, their relationship, feature switches, profiles",
    ),
    Spec::rfc(7239).note("`for`, of proxies that are trusted"),
    Spec::rfc(7578).note("files of one form"),
    Spec::rfc(9457).complete(),
    Spec::rfc(6750).note("tokens of the API in the Authorization header"),
    Spec::xep(487, "0.1.0").note("no pins of keys, no ECH; where addresses are configured"),
    Spec::xep(401, "0.6.0").note("landing pages and URIs; the commands are the chat server's"),
];

/// What the face is given.
#[derive(Clone)]
pub struct Parts {
    /// The domains of addresses of record and JIDs.
    pub domains: Domains,
    /// The host of rooms and their calls.
    pub rooms_domain: String,
    /// The host that clients connect to.
    pub host: String,
    /// The ports of the other faces; `None` where nothing listens.
    pub ports: Ports,
    /// What links begin with, such as `https://example.org`; `None`: the host and the port of this face.
    pub public_url: Option<String>,
    /// Accounts and proofs.
    pub auth: Auth,
    /// The URI that makes a conference without a room.
    pub conference_factory: String,
    /// What links to files begin with that people leave here, such as `https://example.org/upload/`.
    pub uploads: String,
    /// URIs of STUN and TURN servers.
    pub turn: Vec<String>,
    /// The certificate of the service's own authority, as PEM, where it has one that nobody else knows.
    pub ca: Option<String>,
    /// `[provisioning]`.
    pub config: Config,
    /// Counts accounts whose halves are unequal.
    pub metrics: Metrics,
    /// What happens, for pages that show what is up.
    pub bus: Bus<Fact>,
    /// Ends what listens.
    pub shutdown: Shutdown,
    /// Where phones are.
    pub bindings: Arc<dyn Bindings>,
    /// Rooms, where the chat server runs in this process.
    pub rooms: Option<Arc<dyn RoomDirectory>>,
    /// Calls of rooms, where the focus runs in this process.
    pub conferences: Option<Arc<dyn ConferenceDirectory>>,
    /// What accounts keep in chat, where the chat server runs in this process.
    pub own_chat: Option<Arc<dyn OwnChat>>,
    /// Says something to accounts by chat, where the chat server runs in this process.
    pub notices: Option<Arc<dyn Notices>>,
    /// Ends registrations, where the registrar runs in this process.
    pub registrations: Option<Arc<dyn Registrations>>,
    /// Makes and ends rooms, where the chat server runs in this process.
    pub room_keeping: Option<Arc<dyn RoomKeeping>>,
    /// Moderates rooms, where the chat server runs in this process.
    pub room_moderation: Option<Arc<dyn Moderation>>,
    /// Moderates calls of rooms, where the focus runs in this process.
    pub call_moderation: Option<Arc<dyn Moderation>>,
    /// Trunks and numbers, where the proxy runs in this process.
    pub telephony: Option<Arc<dyn Telephony>>,
    /// Timelines of accounts, if they are written.
    pub timelines: Option<Arc<dyn Timelines>>,
    /// What finds by more than accounts in them.
    pub search: Option<Arc<dyn Search>>,
    /// Whoever looks whether the service is well.
    pub doctor: Option<Arc<dyn Doctor>>,
    /// Where profiles are.
    pub records: Arc<dyn Records>,
    /// Where changes are noted.
    pub archive: Arc<dyn Archive>,
}

/// Where the other faces listen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    /// SIP over UDP.
    pub sip_udp: Option<u16>,
    /// SIP over TCP.
    pub sip_tcp: Option<u16>,
    /// SIP over TLS.
    pub sip_tls: Option<u16>,
    /// XMPP with STARTTLS.
    pub xmpp: Option<u16>,
    /// XMPP with direct TLS.
    pub xmpp_tls: Option<u16>,
    /// XMPP of other servers with STARTTLS.
    pub xmpp_s2s: Option<u16>,
    /// XMPP of other servers with direct TLS.
    pub xmpp_s2s_tls: Option<u16>,
    /// This face.
    pub https: Option<u16>,
}

/// What every handler is given.
struct Face {
    parts: Parts,
    profiles: Profiles,
    live: state::Live,
    listed: directory::Listed,
    /// Of questions to the directory.
    rate: directory::Rate,
    /// Of changes by pages and the API.
    changes: directory::Rate,
    /// Of links to a new password that are sent by chat.
    forgotten: directory::Rate,
    /// Files of own data that are being written.
    exports: api::export::Exports,
    /// The chat client for browsers, where it is served here.
    web_client_files: Option<pages::web_client::Files>,
}

impl Face {
    /// Tells what happened to an account.
    fn tell(&self, account: AccountId, event: ProvisioningEvent) {
        self.parts.bus.publish(Fact::new(Correlation::of_account(account), event));
    }
}

impl std::ops::Deref for Face {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// Every route.
pub fn router(mut parts: Parts) -> Router {
    let web_client_files = open_web_client(&mut parts);
    parts.shutdown.spawn(parts.auth.audit.clone().forget_old(parts.config.audit, parts.shutdown.clone()));
    let live = state::Live::new(parts.metrics.clone());
    parts.shutdown.spawn(live.clone().follow(parts.bus.subscribe(), parts.shutdown.clone()));
    let face = Face {
        profiles: Profiles::new(Arc::clone(&parts.records)).with_people(&parts.auth),
        live,
        listed: directory::Listed::default(),
        rate: directory::Rate::new(QUESTIONS),
        changes: directory::Rate::new(CHANGES),
        forgotten: directory::Rate::an_hour(FORGOTTEN),
        exports: api::export::Exports::default(),
        web_client_files,
        parts,
    };
    let face = Arc::new(face);
    face.shutdown.spawn(ended::follow(Arc::clone(&face), face.bus.subscribe()));
    Router::new()
        .route("/.well-known/webfinger", get(discovery::webfinger::answer))
        .route("/.well-known/host-meta", get(discovery::host_meta::xml))
        .route("/.well-known/host-meta.json", get(discovery::host_meta::json))
        .route("/provision/{file}", get(render::get).post(render::post))
        .route("/provision/phone/{token}/{file}", get(render::phones::answer))
        .route(
            "/provision/cusax.schema.json",
            get(|| async { public("application/schema+json", SCHEMA.into()) }),
        )
        .route("/provision/ca.pem", get(authority))
        .merge(api::router())
        .merge(directory::router())
        .merge(pages::router(&face))
        .fallback(pages::astray::nowhere)
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .layer(from_fn(bound))
        .layer(map_response_with_state(has_default_port(&face), guard))
        .with_state(face)
}

/// The files of the chat client for browsers. Their folder was looked at with the configuration; where they are gone since, no page
/// leads to it.
fn open_web_client(parts: &mut Parts) -> Option<pages::web_client::Files> {
    let folder = parts.config.web_client_files.as_ref().filter(|_| parts.has_chat())?;
    match pages::web_client::Files::open(folder) {
        Ok(files) => Some(files),
        Err(error) => {
            tracing::error!(%error, "there is no chat client for browsers");
            parts.config.web_client_files = None;
            None
        }
    }
}

/// A body that says that it is too long gets its answer when it is through, up to a bound: who still writes reads nothing, and
/// would find the connection broken in place of the answer.
async fn bound(request: Request, next: Next) -> Response {
    let most = most_bytes(request.uri().path());
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_none_or(|length: usize| length <= most) {
        return next.run(request).await;
    }
    // RFC 9110 §10.1.1: who asks first whether to send it reads its answer now.
    let asks = request
        .headers()
        .get(header::EXPECT)
        .is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let (is_picture, headers) = (request.uri().path() == "/do/setPicture", request.headers().clone());
    let for_programs = request.uri().path().starts_with("/api/");
    let (mut body, mut read) = (request.into_body(), 0);
    while !asks
        && read < MOST_DRAINED
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, |part| part.len());
    }
    let detail = format!("a body has at most {most} bytes");
    if is_picture {
        return pages::too_long(&headers);
    }
    if for_programs {
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response();
    }
    (StatusCode::PAYLOAD_TOO_LARGE, format!("{detail}\n")).into_response()
}

/// How long a body may be, by its path: pictures are longer than forms, and whoever fetches an address book names each card.
fn most_bytes(path: &str) -> usize {
    if path.ends_with("/account/picture") || path == "/do/setPicture" {
        LONGEST_PICTURE
    } else if path.starts_with("/directory/dav/") {
        LONGEST_LIST
    } else {
        LONGEST_FORM
    }
}

/// What holds for each answer: it is what it says that it is, and where the host's name alone leads here, browsers come back over TLS
/// alone (RFC 6797 §6.1). Beside another port there may be a page of somebody else's in the clear, which that would shut (§8.3).
async fn guard(State(has_default_port): State<bool>, mut response: Response) -> Response {
    let over_tls = has_default_port.then_some((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"));
    for (name, value) in std::iter::once((header::X_CONTENT_TYPE_OPTIONS, "nosniff")).chain(over_tls) {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether links to this face name no port, or the one of HTTPS.
fn has_default_port(parts: &Parts) -> bool {
    let base = parts.url("");
    let host = base.trim_start_matches("https://").split('/').next().unwrap_or_default();
    // What stands in brackets is no port.
    let port = host.rsplit(']').next().and_then(|rest| rest.rsplit_once(':')).map(|(_, port)| port);
    port.is_none_or(|port| port == "443")
}

/// Forgets what this face keeps of an account that was removed: its profile and those of its devices, its sessions and
/// tokens, and the links for devices that nobody followed.
pub async fn forget(
    auth: &Auth,
    records: &Arc<dyn Records>,
    account: AccountId,
    aor: &Aor,
) -> Result<(), StoreError> {
    auth.bearers.forget(account).await?;
    auth.tokens.forget(PURPOSE, account, unix_millis()).await?;
    Profiles::new(Arc::clone(records)).forget(aor).await
}

/// Whom devices shall believe where the service has an authority of its own.
async fn authority(State(face): State<Arc<Face>>) -> Response {
    match &face.ca {
        Some(ca) => public("application/x-pem-file", ca.clone()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The grammar of `cusax.json`.
const SCHEMA: &str = include_str!("render/cusax.schema.json");
/// Questions of one account to the directory in a minute.
const QUESTIONS: u32 = 120;
/// Changes of one account in a minute.
const CHANGES: u32 = 60;
/// Links to a new password that are sent to one account in an hour.
const FORGOTTEN: u32 = 1;
/// The longest form that is read, in bytes; more gets 413.
const LONGEST_FORM: usize = 8 * 1024;
/// The longest request of an address book: the addresses of some thousand cards.
const LONGEST_LIST: usize = 512 * 1024;
/// The longest that brings a picture, in Base64 or as a browser sends a file.
const LONGEST_PICTURE: usize = picture::MOST_BYTES / 3 * 4 + 4 * 1024;
/// Bytes of a longer one that are passed over before its answer.
const MOST_DRAINED: usize = 8 * 1024 * 1024;
