//! The directory: whose address is whose, from the one record that calls and chat go by (RFC 7081 §3.1, §3.3; S-14, S-25, S-29).
//!
//! ```text
//! /directory/aor/alice@example.org   /directory/jid/…   /directory/number/+33…      one record, JSON
//! /directory/cards/ID.vcf   /directory/alice@example.org.vcf                         one card (RFC 6350)
//! /.well-known/carddav → /directory/dav/                                            who is listed (RFC 6352), to read alone
//! /provision/phone/TOKEN/directory.xml                                              the same for a desk phone
//! ```
//!
//! In    an account that asks: by password, by token with `directory:read`, by session.
//! Out   for an exact address its record, with the AOR (TEL and IMPP) and the JID, which are public by calls and chat anyway; for a number, and
//!       in lists, those alone whom the asker finds by what their profile says (`listed`): numbers can be tried.
//! State how often each account asked in this minute, bounded.
//! Errors 401; 404 for all that is not there, may not log in, or is not of this service; 429 to who asks too often,
//!        lest somebody try all numbers.

mod carddav;
mod dav;
mod listed;
mod phones;
mod rate;
mod vcard;

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde_json::{Value, json};
use shared_auth::AccountCard;
use shared_model::{AccountId, Aor, BareJid, Unavailable};
use shared_runtime::http::Peer;

use crate::Face;
use crate::access::{Fields, prove};
use crate::address::address_in;
use crate::answer::{private, unkept};
use crate::api::caller::{Caller, Scope};
use crate::api::problem::Problem;
use crate::profile::shown_name;

pub(crate) use listed::Listed;
pub(crate) use phones::book as phone_book;
pub(crate) use rate::Rate;

/// The routes.
pub(crate) fn router() -> Router<Arc<Face>> {
    let dav = || any(carddav::answer).layer(DefaultBodyLimit::max(crate::most_bytes(carddav::HOME)));
    Router::new()
        .route("/directory/{kind}/{address}", get(look_up))
        .route("/directory/cards/{file}", get(card))
        .route("/directory/{file}", get(card))
        .route("/.well-known/carddav", any(to_book))
        .route("/directory/dav/", dav())
        .route("/directory/dav/people/", dav())
        .route("/directory/dav/people/{file}", dav())
}

/// RFC 6764 §5 names 301, 303 and 307.
async fn to_book() -> Response {
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, carddav::HOME)]).into_response()
}

async fn look_up(
    State(face): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path((kind, address)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let asker = match who(&face, peer, &headers).await {
        Ok(asker) => asker,
        Err(response) => return response,
    };
    match find(&face, &asker, &kind, &address).await {
        Ok(record) => private("application/json", record.to_string()),
        Err(problem) => problem.into_response(),
    }
}

/// The record of an exact address; a number's, if the asker finds whose it is.
pub(crate) async fn find(
    face: &Face,
    asker: &AccountCard,
    kind: &str,
    address: &str,
) -> Result<Value, Problem> {
    may(face, asker.account)?;
    let (directory, written) = (&face.auth.directory, address);
    // As the record itself writes it, too.
    let address = address_in(address);
    let found = match (kind, address.parse::<Aor>(), address.parse::<BareJid>()) {
        ("aor", Ok(aor), _) => directory.by_aor(&aor).await?,
        ("jid", _, Ok(jid)) => directory.by_jid(&jid).await?,
        ("number", ..) => match directory.by_number(written).await? {
            Some(card) if finds(face, asker, &card).await? => Some(card),
            _ => None,
        },
        _ => None,
    };
    found
        .filter(|card| card.enabled)
        .map(|card| record(face, &card))
        .ok_or_else(|| Problem::nothing("address"))
}

/// Whether an account finds another whose address it does not know ([`shared_model::finds`]). Nobody is a contact where another process
/// has the rosters.
async fn finds(face: &Face, asker: &AccountCard, found: &AccountCard) -> Result<bool, Problem> {
    let is_contact = async {
        match &face.own_chat {
            Some(chat) => chat.is_contact(&found.jid, &asker.jid).await.map_err(|_| Unavailable),
            None => Ok(false),
        }
    };
    let whom = (found.account, &found.aor, &found.jid);
    let finds = shared_model::finds(&asker.jid, whom, &face.profiles, Box::pin(is_contact)).await;
    finds.map_err(|Unavailable| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the service cannot do this now; try again")
    })
}

/// What is said of an account: both directions, so that a reader can hold one against the other (S-25).
fn record(face: &Face, card: &AccountCard) -> Value {
    json!({
        "name": shown_name(card), "aor": card.aor.to_sip_uri(), "jid": card.jid, "numbers": card.numbers,
        "video": card.video, "call_info": format!("<{}>;purpose=impp", card.jid.to_xmpp_uri()),
        "card": face.url(&format!("/directory/cards/{}.vcf", card.account)),
    })
}

async fn card(
    State(face): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Response {
    let asker = match who(&face, peer, &headers).await {
        Ok(asker) => asker,
        Err(response) => return response,
    };
    if let Err(problem) = may(&face, asker.account) {
        return problem.into_response();
    }
    let name = file.strip_suffix(".vcf").unwrap_or_default();
    let found = match (name.parse::<AccountId>(), name.parse::<Aor>()) {
        (Ok(id), _) => face.auth.directory.by_id(id).await,
        (_, Ok(aor)) => face.auth.directory.by_aor(&aor).await,
        _ => Ok(None),
    };
    match found {
        Ok(Some(card)) if card.enabled => {
            private("text/vcard; charset=utf-8", vcard::print(&card, vcard::Version::Four))
        }
        Ok(_) => Problem::nothing("card").into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The account that asks, or how to answer.
async fn who(face: &Face, peer: Peer, headers: &HeaderMap) -> Result<AccountCard, Response> {
    let scheme = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_bearer = scheme.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    if is_bearer || (scheme.is_empty() && headers.contains_key(header::COOKIE)) {
        let caller = Caller::of(face, peer, &Method::GET, headers).await.map_err(Problem::into_response)?;
        if !caller.may(Scope::DirectoryRead) {
            return Err(unkept(StatusCode::FORBIDDEN.into_response()));
        }
        return Ok(caller.card);
    }
    Ok(prove(face, peer, headers, &Fields::default()).await?.card)
}

/// Whether an account may ask once more now.
fn may(face: &Face, asker: AccountId) -> Result<(), Problem> {
    face.rate.may(asker, std::time::Instant::now()).map_err(Problem::slow)
}
