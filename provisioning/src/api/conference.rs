//! What is done to the call of a room from outside it: somebody is called into it, and it is recorded.
//!
//! In    a room, an address or a number; whether to record. Out what came of a call within [`PATIENCE`]: it was taken, or it rings.
//! Errors what the focus refuses, in its words (409). Who asks has the rights of `/call` in the room's chat: the call goes where they may
//!        call, and on their bill, and as long as they are in the room's call or chat if it leaves our domains. Recordings are for who
//!        moderates the room, and for tokens that change what administrators do.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared_model::CallOutError;

use super::caller::Scope;
use super::live::{address, conference, elsewhere, problem, snapshot};
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, operation};
use crate::Face;

pub(super) const TABLE: &[Operation] = &[
    Operation {
        id: "callInto",
        method: Method::POST,
        path: "/rooms/{room}/conference",
        scope: Scope::AccountWrite,
        gives: "CalledInto",
        takes: &[Field::needed("callee", Kind::Text, "an address or a number, as one's phone would dial it")],
        summary: "Calls somebody into a room's call, by the rights and on the bill of who asks; what leaves our domains ends 15 s after they left call and chat",
        run: operation!(call_into),
    },
    Operation {
        id: "record",
        method: Method::PUT,
        path: "/rooms/{room}/conference/recording",
        scope: Scope::AccountWrite,
        gives: "",
        takes: &[Field::needed("on", Kind::Flag, "whether the call is recorded from now on")],
        summary: "Begins or ends the recording of a room's call; everybody in it is told, and so is the chat",
        run: operation!(record),
    },
];

async fn call_into(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let room = address(ask)?;
    // Numbers are written with spaces.
    let callee: String = ask.text("callee").unwrap_or_default().split_whitespace().collect();
    let nobody = || Problem::field("callee", "`callee` is neither an address nor a number");
    if callee.len() > LONGEST_CALLEE {
        return Err(nobody());
    }
    let card = &ask.caller.card;
    let uri = face.auth.directory.uri_of(&callee, &card.aor.host()).await?.ok_or_else(nobody)?;
    let conferences = face.conferences.as_ref().ok_or_else(elsewhere)?;
    snapshot(face, &room).await.ok_or_else(|| Problem::nothing("room"))?;
    // The call goes on when nobody waits for what comes of it.
    let state = match tokio::time::timeout(PATIENCE, conferences.call_out(&room, &card.jid, &uri)).await {
        Ok(Ok(())) => "in",
        Err(_) => "ringing",
        Ok(Err(CallOutError::Refused(why))) => return Err(Problem::new(StatusCode::CONFLICT, why)),
        Ok(Err(CallOutError::Unavailable)) => return Err(elsewhere()),
    };
    face.auth
        .audit
        .change(ask.by(), "call into a room", format!("{room} {callee}"), Value::Null, state.into())
        .await;
    Ok(json!({ "state": state }))
}

async fn record(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let room = address(ask)?;
    let wanted = ask.flag("on").unwrap_or_default();
    let card = &ask.caller.card;
    let conferences = face.conferences.as_ref().ok_or_else(elsewhere)?;
    let before = conference(face, &room).await.map(|call| call.is_recorded);
    let asker = (!ask.caller.may(Scope::AdminWrite)).then_some(&card.jid);
    conferences.record(&room, asker, wanted).await.map_err(problem)?;
    if before == Some(wanted) {
        return Ok(Value::Null);
    }
    face.auth
        .audit
        .change(ask.by(), "recording of a room", room.to_string(), before.into(), wanted.into())
        .await;
    Ok(Value::Null)
}

/// How long a program waits to hear what came of a call.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of an address or number.
const LONGEST_CALLEE: usize = 256;
