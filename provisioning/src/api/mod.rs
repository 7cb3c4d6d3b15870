//! `/api/v1`: everything that pages do, for programs. One operation is one line of a table; `openapi.json` is printed from it.
//!
//! In    JSON objects whose fields a table names; a token with scopes, or a page's session.
//! Out   JSON. A change is noted with who, what, before and after.
//! Errors RFC 9457 problems: 400 what is no JSON, 401, 403, 404, 405, 409, 413, 422 with the field and the rule, 429, 503.
//!
//! Pages run the same operations ([`run`]), so that neither can do what the other cannot.

mod accounts;
mod bans;
pub(crate) mod caller;
mod chat;
mod conference;
mod doctor;
pub(crate) mod export;
mod groups;
pub(crate) mod invites;
mod listing;
mod live;
mod openapi;
pub(crate) mod own;
pub(crate) mod problem;
mod rooms;
mod service;
mod telephony;
mod timeline;
pub(crate) mod voicemail;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection, RawPathParamsRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, RawPathParams, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, any, get, on};
use serde_json::{Map, Value};
use shared_auth::By;
use shared_model::Pending;
use shared_runtime::http::Peer;

use self::caller::{Caller, Scope};
use self::problem::Problem;
use crate::Face;
use crate::answer::{private, public, unkept};

/// One thing that can be done.
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) method: Method,
    /// Behind `/api/v1`.
    pub(crate) path: &'static str,
    pub(crate) scope: Scope,
    pub(crate) summary: &'static str,
    /// The fields of the body, or for GET those of the query.
    pub(crate) takes: &'static [Field],
    /// The name of the answer's schema; empty: no body.
    pub(crate) gives: &'static str,
    pub(crate) run: Run,
}

/// How it answers.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// By one value.
    Value(for<'a> fn(&'a Face, &'a Ask) -> Pending<'a, Result<Value, Problem>>),
    /// By a file that is too long to be one; no page asks for it.
    File(fn(Arc<Face>, Ask) -> Pending<'static, Result<Response, Problem>>),
}

/// One field of a request.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) needed: bool,
    pub(crate) about: &'static str,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Flag,
    Number,
    List,
    Object,
}

/// One request, its fields known to be of their kinds.
pub(crate) struct Ask {
    pub(crate) caller: Caller,
    /// From where; `None`: a page of ours that reads.
    pub(crate) from: Option<IpAddr>,
    /// The variable parts of the path.
    pub(crate) path: HashMap<String, String>,
    pub(crate) fields: Map<String, Value>,
}

impl Ask {
    /// Who asks, and from where.
    pub(crate) fn by(&self) -> By {
        By::from(&self.caller.card).at(self.from)
    }

    /// A variable part of the path.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.fields.get(name)?.as_bool()
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.fields.get(name)?.as_u64()
    }

    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        let all = self.fields.get(name)?.as_array()?;
        Some(all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }
}

/// Every operation, those of the own account first.
pub(crate) fn table() -> impl Iterator<Item = &'static Operation> {
    [
        own::TABLE,
        listing::TABLE,
        chat::TABLE,
        voicemail::TABLE,
        accounts::TABLE,
        invites::TABLE,
        live::TABLE,
        rooms::TABLE,
        conference::TABLE,
        telephony::TABLE,
        groups::TABLE,
        bans::TABLE,
        timeline::TABLE,
        doctor::TABLE,
        service::TABLE,
    ]
    .into_iter()
    .flatten()
}

/// The routes.
pub(crate) fn router() -> Router<Arc<Face>> {
    let document = || async { public("application/json", openapi::document().to_string()) };
    let first =
        Router::new().route("/api/v1/openapi.json", get(document)).route("/api/{*rest}", any(unknown));
    let all = table().fold(first, |router, operation| {
        let filter = MethodFilter::try_from(operation.method.clone()).unwrap_or(MethodFilter::GET);
        let handler = move |State(face): State<Arc<Face>>,
                            ConnectInfo(peer): ConnectInfo<Peer>,
                            path: Result<RawPathParams, RawPathParamsRejection>,
                            query: Result<Query<Vec<(String, String)>>, QueryRejection>,
                            headers: HeaderMap,
                            body: Result<Bytes, BytesRejection>| async move {
            let (Ok(path), Ok(Query(query))) = (path, query) else {
                return Problem::new(StatusCode::BAD_REQUEST, "the path or the query is no text")
                    .into_response();
            };
            let body = match body {
                Ok(body) => body,
                Err(refused) if refused.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                    return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long")
                        .into_response();
                }
                Err(_) => {
                    let detail = "the body broke off, or is not framed as HTTP says";
                    return Problem::new(StatusCode::BAD_REQUEST, detail).into_response();
                }
            };
            let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let answered = answer(operation, &face, peer, path, query, &headers, &body).await;
            answered.unwrap_or_else(Problem::into_response)
        };
        let most = DefaultBodyLimit::max(crate::most_bytes(operation.path));
        router.route(&format!("/api/v1{}", operation.path), on(filter, handler).layer(most))
    });
    all.method_not_allowed_fallback(async || {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this operation has other methods")
    })
}

async fn unknown() -> Problem {
    Problem::nothing("operation")
}

async fn answer(
    operation: &'static Operation,
    face: &Arc<Face>,
    peer: Peer,
    path: HashMap<String, String>,
    query: Vec<(String, String)>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Problem> {
    let caller = Caller::of(face, peer, &operation.method, headers).await?;
    let fields = if operation.method == Method::GET {
        of_form(operation.takes, &query)?
    } else {
        of_body(operation.takes, headers, body)?
    };
    let ask = Ask { caller, from: Some(peer.address.ip().to_canonical()), path, fields };
    if let Run::File(begin) = operation.run {
        allowed(operation, face, &ask)?;
        return begin(Arc::clone(face), ask).await;
    }
    let value = carry_out(operation, face, ask).await?;
    Ok(if operation.gives.is_empty() {
        unkept(StatusCode::NO_CONTENT.into_response())
    } else {
        private("application/json", value.to_string())
    })
}

/// Does it; a change in a task of its own, so that it is made and noted whole though whoever asked is gone.
pub(crate) async fn carry_out(
    operation: &'static Operation,
    face: &Arc<Face>,
    ask: Ask,
) -> Result<Value, Problem> {
    if operation.method == Method::GET {
        return run(operation, face, ask).await;
    }
    let own = Arc::clone(face);
    let done = face.shutdown.spawn(async move { run(operation, &own, ask).await }).await;
    done.unwrap_or_else(|error| {
        tracing::error!(operation = operation.id, %error, "an operation broke off");
        Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this broke off; look whether it was done"))
    })
}

/// Does it, if the caller may.
pub(crate) async fn run(operation: &Operation, face: &Face, ask: Ask) -> Result<Value, Problem> {
    allowed(operation, face, &ask)?;
    match operation.run {
        Run::Value(run) => run(face, &ask).await,
        Run::File(_) => Err(Problem::nothing("value")),
    }
}

/// Whether the caller may, and said what is needed.
fn allowed(operation: &Operation, face: &Face, ask: &Ask) -> Result<(), Problem> {
    if !ask.caller.may(operation.scope) {
        let detail = format!("this needs the scope {}", operation.scope.as_str());
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    if operation.method != Method::GET {
        face.changes.may(ask.caller.card.account, Instant::now()).map_err(Problem::slow)?;
    }
    for field in operation.takes.iter().filter(|field| field.needed) {
        if !ask.fields.contains_key(field.name) {
            return Err(Problem::field(field.name, format!("`{}` is missing", field.name)));
        }
    }
    Ok(())
}

fn of_body(takes: &[Field], headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Problem> {
    if takes.is_empty() || body.is_empty() {
        return Ok(Map::new());
    }
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media_type.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a body is application/json"));
    }
    let no_object = |_| Problem::new(StatusCode::BAD_REQUEST, "the body is not a JSON object");
    let fields: Map<String, Value> = serde_json::from_slice(body).map_err(no_object)?;
    for (name, value) in &fields {
        let field = find(takes, name)?;
        if !field.kind.fits(value) {
            return Err(Problem::field(field.name, format!("`{name}` is not {}", field.kind.as_str())));
        }
    }
    Ok(fields)
}

/// Fields as a form or a query writes them, where everything is text.
pub(crate) fn of_form(takes: &[Field], pairs: &[(String, String)]) -> Result<Map<String, Value>, Problem> {
    let mut fields = Map::new();
    for (name, text) in pairs {
        let field = find(takes, name)?;
        let value = match field.kind {
            Kind::Text => Value::from(text.as_str()),
            // What else it might be would be read as one of the two, by guessing.
            Kind::Flag => match text.as_str() {
                "on" | "true" => Value::from(true),
                "off" | "false" => Value::from(false),
                _ => Value::Null,
            },
            Kind::Number => text.parse::<u32>().map_or(Value::Null, Value::from),
            Kind::List => text.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
            Kind::Object => serde_json::from_str(text).unwrap_or_default(),
        };
        if !field.kind.fits(&value) {
            return Err(Problem::field(field.name, format!("`{name}` is not {}", field.kind.as_str())));
        }
        fields.insert(name.clone(), value);
    }
    Ok(fields)
}

fn find<'a>(takes: &'a [Field], name: &str) -> Result<&'a Field, Problem> {
    let unknown = || {
        let known: Vec<&str> = takes.iter().map(|field| field.name).collect();
        let name: String = name.chars().take(64).collect();
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("`{name}` is no field here; known are {}", known.join(", ")),
        )
    };
    takes.iter().find(|field| field.name == name).ok_or_else(unknown)
}

impl Field {
    pub(crate) const fn needed(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, needed: true, about }
    }

    pub(crate) const fn open(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, needed: false, about }
    }
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Flag => value.is_boolean(),
            Self::Number => value.as_u64().is_some_and(|number| number <= u64::from(u32::MAX)),
            Self::List => {
                value.as_array().is_some_and(|all| all.len() <= 64 && all.iter().all(Value::is_string))
            }
            Self::Object => value.is_object(),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Flag => "true or false",
            Self::Number => "a number without a sign",
            Self::List => "a list of at most 64 texts",
            Self::Object => "an object",
        }
    }
}

/// An operation's function, boxed so that the table can hold it.
macro_rules! operation {
    ($name:ident) => {
        crate::api::Run::Value(|face, ask| Box::pin($name(face, ask)))
    };
}
use operation;
