//! Forms of signed-in people: each runs one operation of the API, so that pages and programs can do the same.
//!
//! In    `POST /do/OPERATION` with the form's key, the page to go back to, the parts of the path as `path.NAME`, and fields.
//! Out   the page again: with what was made and is shown once, or with the field and the rule that were not kept.

use std::sync::Arc;

use axum::Form;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use shared_runtime::http::Peer;

use super::account::Parts;
use super::words::Words;
use super::{account, admin, asked, upload};
use crate::Face;
use crate::api::caller::Caller;
use crate::api::problem::Problem;
use crate::api::{self, Ask, Kind, Operation};
use crate::session::{self, Session, go};

/// What came of a form.
pub(super) enum Outcome {
    /// The operation, and what it answered.
    Done(&'static str, Value),
    /// It was not done.
    Refused(Refused),
}

/// A form that was not kept.
pub(super) struct Refused {
    pub(super) operation: &'static str,
    pub(super) problem: Problem,
    /// What was filled in, but for passwords.
    given: Vec<(String, String)>,
}

impl Refused {
    /// What was filled into a field.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

pub(super) async fn run(
    State(face): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Response {
    carry_out(&face, peer, &id, &headers, pairs).await
}

/// The same for the form that brings a picture.
pub(super) async fn run_with_file(
    State(face): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Ok(body) = body else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let Some(parts) = upload::parts(&headers, &body) else { return StatusCode::BAD_REQUEST.into_response() };
    let text = |part: upload::Part<'_>| match part.name.as_str() {
        "picture" => (part.name, BASE64_STANDARD.encode(part.value)),
        _ => (part.name, String::from_utf8_lossy(part.value).into_owned()),
    };
    let pairs = parts.into_iter().map(text).collect();
    carry_out(&face, peer, "setPicture", &headers, pairs).await
}

async fn carry_out(
    face: &Arc<Face>,
    peer: Peer,
    id: &str,
    headers: &HeaderMap,
    pairs: Vec<(String, String)>,
) -> Response {
    let named = |name: &str| pairs.iter().find(|(it, _)| it == name).map_or("", |(_, value)| value.as_str());
    let session = match Session::posted(face, headers, named("key")).await {
        Ok(session) => session,
        Err(response) => return response,
    };
    let Some(operation) = api::table().find(|operation| operation.id == id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let words = Words::of(headers);
    let asked = asked::question(words, operation.id, named);
    if let Some((text, label)) = asked.filter(|_| named("sure").is_empty()) {
        let (path, query) = place(named("back"));
        let back = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        return asked::ask(words, &session, operation.id, (&text, label), &back, &pairs);
    }
    let part =
        |(name, value): &(String, String)| Some((name.strip_prefix("path.")?.to_owned(), value.clone()));
    let outcome = match api::of_form(operation.takes, &fields_of(operation, &pairs)) {
        Ok(fields) => {
            let ask = Ask {
                caller: Caller::of_session(&session),
                from: Some(peer.address.ip().to_canonical()),
                path: pairs.iter().filter_map(part).collect(),
                fields,
            };
            api::carry_out(operation, face, ask).await
        }
        Err(problem) => Err(problem),
    };
    let outcome = match outcome {
        Ok(value) => Outcome::Done(operation.id, value),
        Err(problem) => {
            let detail = words.say(&problem.detail).into_owned();
            let problem = Problem { detail, ..problem };
            let given = given_back(&pairs);
            Outcome::Refused(Refused { operation: operation.id, problem, given })
        }
    };
    show(face, headers, &session, named("back"), outcome).await
}

/// What a form gives of what an operation takes. A number that is left empty is not given; a text or a list that is left empty is to
/// be empty.
fn fields_of(operation: &Operation, pairs: &[(String, String)]) -> Vec<(String, String)> {
    let is_own = |name: &str| ["key", "back", "sure"].contains(&name) || name.starts_with("path.");
    let is_number =
        |name: &str| operation.takes.iter().any(|field| field.name == name && field.kind == Kind::Number);
    let is_left = |(name, value): &(String, String)| is_own(name) || (value.is_empty() && is_number(name));
    pairs.iter().filter(|pair| !is_left(pair)).cloned().collect()
}

/// What stands in a form that comes back: all but secrets and files, which no page is to hold.
fn given_back(pairs: &[(String, String)]) -> Vec<(String, String)> {
    let is_shown =
        |(name, _): &&(String, String)| !["key", "current", "password", "picture"].contains(&name.as_str());
    pairs.iter().filter(is_shown).cloned().collect()
}

async fn show(face: &Face, headers: &HeaderMap, session: &Session, back: &str, outcome: Outcome) -> Response {
    let words = Words::of(headers);
    match &outcome {
        Outcome::Done("removeAccount", _) => {
            let mut response = go("/sign-in");
            response.headers_mut().extend(session::forget().map(|cookie| (header::SET_COOKIE, cookie)));
            response
        }
        // The password ended all sessions; whoever changed it goes on.
        Outcome::Done("changePassword", _) => {
            let mut response = go("/account?done=changePassword");
            if let Some(cookie) = session::begin(face, session.card.account, headers).await {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            response
        }
        // What nobody sees again is shown at once; all else by GET, so that it can be loaded again.
        Outcome::Done(id, value) if value.is_null() || !SHOWN.contains(id) => {
            let (path, query) = place(back);
            let rest = if query.is_empty() { String::new() } else { format!("&{query}") };
            go(&format!("{path}?done={id}{rest}"))
        }
        _ => {
            // The account as it is after the deed.
            let Some(session) = Session::of(face, headers).await else { return go("/sign-in") };
            match place(back) {
                ("/account", _) => {
                    account::show(face, words, &session, &Parts::default(), Some(&outcome)).await
                }
                place => admin::show(face, words, &session, place, Some(&outcome)).await,
            }
        }
    }
}

/// The page to go back to, one of ours, and what it was asked, which is one room or account at most.
fn place(back: &str) -> (&'static str, &str) {
    let (path, query) = back.split_once('?').unwrap_or((back, ""));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_@%=".contains(&byte);
    let is_known = query.starts_with("room=") || query.starts_with("edit=");
    let query = if is_known && query.bytes().all(is_plain) { query } else { "" };
    let path = PLACES.into_iter().find(|place| *place == path).unwrap_or("/account");
    (path, query)
}

const PLACES: [&str; 9] = [
    "/admin",
    "/admin/invites",
    "/admin/service",
    "/admin/rooms",
    "/admin/numbers",
    "/admin/bans",
    "/admin/groups",
    "/admin/timeline",
    "/admin/doctor",
];
/// Operations whose answer is shown once.
const SHOWN: [&str; 7] = [
    "addDevice",
    "createToken",
    "createInvite",
    "inviteContact",
    "createAccount",
    "makeResetLink",
    "diagnose",
];
