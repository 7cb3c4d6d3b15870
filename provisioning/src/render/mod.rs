//! Configurations of real clients: one client is one file and one line in [`TABLE`].
//!
//! In    who proved an account, and what for. Out the file that this client reads.
//!       A token in a URL is taken from clients and commands alone that are known; others get a page whose button sends it.
//! Errors 401 and 429 as [`access`](crate::access) says, 403 for a link that something unknown follows, 404 for a file that is not in
//!        the table, 409 when the account has no room for another device.
//!
//! A file that holds a password holds the one that proved the account, or else one that is made for this device: so that
//! what lies in a file can be taken back alone, and no file holds the password of a person who did not type it. Where a client
//! reads no password with spaces or signs, it is one made for the device, too. Each file that holds a password is of a client that only
//! calls, and so is that password good for calls alone: a phone that is lost or read out opens no chat.

mod baresip;
mod cusax_json;
mod gajim;
mod grandstream;
mod jitsi;
mod linphone;
mod mcabber;
pub(crate) mod phones;
mod poezio;
mod polycom;
mod profanity;
mod snom;
#[cfg(test)]
mod tests;
mod yealink;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Form;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use shared_auth::{AccountCard, BookError, DeviceName};
use shared_model::ProvisioningEvent;
use shared_runtime::http::Peer;
use shared_runtime::unix_millis;
use shared_store::StoreError;

use crate::access::{Fields, Proved, peek, prove, prove_unspent, unproven};
use crate::answer::{private, unkept};
use crate::profile::{Chosen, Settings};
use crate::{Face, Parts, device_json, pages};

/// One file for one client.
pub(crate) struct Renderer {
    /// Its name, under `/provision/`.
    pub(crate) file: &'static str,
    /// Whose it is, as people call it.
    pub(crate) client: &'static str,
    media_type: &'static str,
    needs: Needs,
    render: fn(&Plan<'_>) -> String,
}

/// Whether a file holds a password.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Password,
    /// One that needs no quotes: its client knows neither these nor escapes.
    Word,
}

/// What a file is made of.
pub(crate) struct Plan<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) card: &'a AccountCard,
    pub(crate) chosen: Chosen,
    /// Empty where the file needs none.
    pub(crate) password: &'a str,
    /// The hardware address of a desk phone, or empty.
    pub(crate) mac: &'a str,
    /// The URL of its folder, or empty.
    pub(crate) folder: &'a str,
}

/// Every file.
pub(crate) const TABLE: &[Renderer] = &[
    Renderer::new("cusax.json", "cusax", "application/json", Needs::Nothing, cusax_json::render),
    Renderer::new("linphone.xml", "Linphone", "application/xml", Needs::Password, linphone::render),
    // ISO 8859-1 by Java's rule; everything else is escaped.
    Renderer::new(
        "jitsi.properties",
        "Jitsi",
        "text/plain; charset=ISO-8859-1",
        Needs::Nothing,
        jitsi::render,
    ),
    Renderer::new("baresip-accounts", "baresip: accounts", TEXT, Needs::Word, baresip::accounts),
    Renderer::new("baresip-config", "baresip: config", TEXT, Needs::Nothing, baresip::config),
    Renderer::new("profanity-accounts", "Profanity: accounts", TEXT, Needs::Nothing, profanity::render),
    Renderer::new("poezio.cfg", "poezio", TEXT, Needs::Nothing, poezio::render),
    Renderer::new("mcabberrc", "mcabber", TEXT, Needs::Nothing, mcabber::render),
    Renderer::new("gajim-dino.txt", "Gajim and Dino", TEXT, Needs::Nothing, gajim::render),
];

impl Renderer {
    const fn new(
        file: &'static str,
        client: &'static str,
        media_type: &'static str,
        needs: Needs,
        render: fn(&Plan<'_>) -> String,
    ) -> Self {
        Self { file, client, media_type, needs, render }
    }

    /// What devices are called that fetch it.
    fn stem(&self) -> &'static str {
        self.file.split(['.', '-']).next().unwrap_or("device")
    }
}

pub(crate) async fn get(
    method: Method,
    state: State<Arc<Face>>,
    peer: ConnectInfo<Peer>,
    file: Path<String>,
    Query(fields): Query<Fields>,
    headers: HeaderMap,
) -> Response {
    if method == Method::HEAD {
        return look(&state, peer, &file, &headers, &fields).await;
    }
    if !fields.token.is_empty() && !asks_for_files(&headers) {
        return ask_first(&state, peer, &file, &headers, &fields).await;
    }
    answer(state, peer, file, &headers, &fields).await
}

pub(crate) async fn post(
    state: State<Arc<Face>>,
    peer: ConnectInfo<Peer>,
    file: Path<String>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    answer(state, peer, file, &headers, &fields).await
}

/// `HEAD`: whether the file would come, with no token used up and no password made.
async fn look(
    face: &Face,
    ConnectInfo(peer): ConnectInfo<Peer>,
    file: &str,
    headers: &HeaderMap,
    fields: &Fields,
) -> Response {
    let Some(renderer) = TABLE.iter().find(|renderer| renderer.file == file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match peek(face, peer, headers, fields).await {
        Ok(()) => head(renderer),
        Err(refused) => refused,
    }
}

/// Whether a client asks that shows nobody what it gets: Linphone, or a person's own command. All others may be a browser that was
/// led here, the preview of a chat, or a scanner of mail, and what these are is not known; a link is not theirs to follow.
fn asks_for_files(headers: &HeaderMap) -> bool {
    // Linphone's own field, of old ones their names; linphonec of Debian 12 has none yet when it asks.
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let agent = agent.to_ascii_lowercase();
    headers.contains_key("x-linphone-provisioning")
        || agent == "unknown"
        || ["linphone", "curl/", "wget/"].iter().any(|name| agent.starts_with(name))
}

/// What whoever else follows a link gets: a button for people, which a preview does not press, and nothing of the file.
async fn ask_first(
    face: &Face,
    ConnectInfo(peer): ConnectInfo<Peer>,
    file: &str,
    headers: &HeaderMap,
    fields: &Fields,
) -> Response {
    let Some(renderer) = TABLE.iter().find(|renderer| renderer.file == file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if let Err(refused) = peek(face, peer, headers, fields).await {
        return refused;
    }
    let accepts = headers.get(header::ACCEPT).and_then(|types| types.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") {
        return pages::fetch(headers, renderer, &fields.token);
    }
    let text = "a link is not followed unasked: send its token by POST, as the field `token` of a form\n";
    unkept((StatusCode::FORBIDDEN, text).into_response())
}

/// How long the file would be is not known before it is made (RFC 9110 §8.6).
fn head(renderer: &Renderer) -> Response {
    let nothing = Body::from_stream(futures_util::stream::empty::<Result<Bytes, Infallible>>());
    unkept(([(header::CONTENT_TYPE, renderer.media_type)], nothing).into_response())
}

async fn answer(
    State(face): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(file): Path<String>,
    headers: &HeaderMap,
    fields: &Fields,
) -> Response {
    let Some(renderer) = TABLE.iter().find(|renderer| renderer.file == file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let proved = match renderer.needs {
        Needs::Nothing => prove(&face, peer, headers, fields).await,
        Needs::Password | Needs::Word => prove_unspent(&face, peer, headers, fields).await,
    };
    match proved {
        Ok(proved) => fill(&face, renderer, &proved, ("", "")).await,
        Err(refused) => refused,
    }
}

/// The file for whoever is proved.
async fn fill(face: &Face, renderer: &Renderer, proved: &Proved, (mac, folder): (&str, &str)) -> Response {
    let card = &proved.card;
    if renderer.needs == Needs::Word && card.aor.local().contains(';') {
        let text =
            "this client cannot read a user name with a semicolon in it: it takes the rest for settings\n";
        return unkept((StatusCode::CONFLICT, text).into_response());
    }
    let makes_one = match (&proved.password, renderer.needs) {
        (_, Needs::Nothing) | (Some(_), Needs::Password) => false,
        (Some(password), Needs::Word) => !is_word(password),
        (None, Needs::Password | Needs::Word) => true,
    };
    // Before the token is spent: what cannot be read then is asked for again by the same link.
    let Ok((name, mut settings)) = settings_of(face, renderer, proved, makes_one).await else {
        return unkept(StatusCode::SERVICE_UNAVAILABLE.into_response());
    };
    let password = match (makes_one, renderer.needs) {
        (true, _) => device_password(face, proved, (&name, &mut settings), renderer).await,
        (false, Needs::Nothing) => Ok(String::new()),
        (false, _) => Ok(proved.password.clone().unwrap_or_default()),
    };
    let password = match password {
        Ok(password) => password,
        Err(BookError::TooManyApps) => {
            let text = "this account has as many devices as it may; take one back first\n";
            return unkept((StatusCode::CONFLICT, text).into_response());
        }
        Err(BookError::Spent) => return unproven(),
        Err(_) => return unkept(StatusCode::SERVICE_UNAVAILABLE.into_response()),
    };
    let (account, client) = (card.account, renderer.client.to_owned());
    face.tell(account, ProvisioningEvent::ConfigurationFetched { account, client });
    let chosen = Chosen::of(&settings, card.video);
    let plan = Plan { parts: &face.parts, card, chosen, password: &password, mac, folder };
    let mut file = private(renderer.media_type, (renderer.render)(&plan));
    if mac.is_empty() {
        // A browser keeps it as a file, and shows nobody what is in it (RFC 6266 §4.2).
        let disposition = format!("attachment; filename=\"{}\"", renderer.file);
        file.headers_mut()
            .extend(HeaderValue::try_from(disposition).map(|value| (header::CONTENT_DISPOSITION, value)));
    }
    file
}

/// Whether a password ends nothing, and begins nothing, in a line of parameters.
fn is_word(password: &str) -> bool {
    password.chars().all(|c| c.is_ascii_alphanumeric() || "-._~!*+".contains(c))
}

/// The name of the device that asks, if it is known or will be made, and what holds for it.
async fn settings_of(
    face: &Face,
    renderer: &Renderer,
    proved: &Proved,
    makes_one: bool,
) -> Result<(Option<String>, Settings), StoreError> {
    let name = match &proved.device {
        Some(name) => Some(name.clone()),
        None if makes_one => Some(face.auth.free_device_name(&proved.card, renderer.stem()).await?),
        None => None,
    };
    let settings = face.profiles.of(&proved.card, name.as_deref()).await?;
    Ok((name, settings))
}

/// A password for the device that asks: its own anew, or that of a name that is free, for which settings may wait.
async fn device_password(
    face: &Face,
    proved: &Proved,
    (name, settings): (&Option<String>, &mut Settings),
    renderer: &Renderer,
) -> Result<String, BookError> {
    let called = match proved.device.as_deref() {
        Some(name) => DeviceName::Own(name),
        None => DeviceName::Like(renderer.stem()),
    };
    let (card, token) = (&proved.card, proved.token.as_ref());
    let (device, password) =
        face.auth.fetch_password(card, called, token, unix_millis(), device_json).await?;
    if name.as_ref() != Some(&device.name)
        // Another one was faster, and the token is spent: a file with what was read is better than none.
        && let Ok(own) = face.profiles.of(card, Some(&device.name)).await
    {
        *settings = own;
    }
    Ok(password)
}

/// One line of a file that is made of lines: nothing that would end it.
pub(crate) fn line(value: &str) -> String {
    value.chars().filter(|c| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')).collect()
}

const TEXT: &str = "text/plain; charset=utf-8";
