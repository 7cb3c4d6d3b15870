//! What happened to an account: for administrators that of anybody, for people their own of the last day.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared_model::{AccountId, Aor, BareJid, Happened};
use shared_runtime::unix_millis;

use super::accounts::address;
use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, operation};
use crate::Face;

pub(super) const TABLE: &[Operation] = &[
    Operation {
        id: "ownTimeline",
        method: Method::GET,
        path: "/account/timeline",
        scope: Scope::AccountRead,
        gives: "Timeline",
        takes: &[],
        summary: "What happened to the own account within the last day, the newest first",
        run: operation!(own),
    },
    Operation {
        id: "searchTimeline",
        method: Method::GET,
        path: "/timeline",
        scope: Scope::AdminRead,
        gives: "Timeline",
        takes: &[
            Field::needed("account", Kind::Text, "the address of an account, or its JID"),
            Field::open(
                "since",
                Kind::Text,
                "only within this time, such as 1h or 7d; all that is kept by default",
            ),
            Field::open("text", Kind::Text, "only what has this, in a sentence, an id or a name"),
            Field::open("page", Kind::Number, "which hundred; 0, the newest, by default"),
        ],
        summary: "What happened to an account over every protocol, the newest first",
        run: operation!(search),
    },
];

async fn own(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    read(face, ask.caller.card.account, Some(unix_millis() - DAY), "", 0).await
}

async fn search(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let address = address(face, "account", ask.text("account").unwrap_or_default())?;
    let by_aor = face.auth.directory.by_aor(&Aor(address.clone())).await?;
    let card = match by_aor {
        Some(card) => Some(card),
        None => face.auth.directory.by_jid(&BareJid(address)).await?,
    };
    let card = card.ok_or_else(|| Problem::nothing("account"))?;
    let since = match ask.text("since").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => {
            let length = shared_runtime::config::parse_duration(text)
                .ok_or_else(|| Problem::field("since", "a length of time is written 7d, 12h or 30m"))?;
            Some(unix_millis().saturating_sub(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)))
        }
    };
    let page = ask.number("page").unwrap_or(0);
    let page = usize::try_from(page).unwrap_or(usize::MAX);
    read(face, card.account, since, ask.text("text").unwrap_or_default(), page).await
}

async fn read(
    face: &Face,
    account: AccountId,
    since: Option<i64>,
    text: &str,
    page: usize,
) -> Result<Value, Problem> {
    let nowhere = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no timeline can be read now");
    let timelines = face.timelines.as_ref().ok_or_else(nowhere)?;
    let all = timelines.search(account, since, text).await.map_err(|_| nowhere())?;
    let first = page.saturating_mul(PAGE);
    let entries: Vec<Value> = all.iter().skip(first).take(PAGE).map(shown).collect();
    Ok(json!({ "entries": entries, "more": all.len() > first.saturating_add(PAGE) }))
}

fn shown(entry: &Happened) -> Value {
    json!({
        "time": entry.time, "correlation": entry.correlation, "protocol": entry.protocol, "event": entry.event,
        "text": entry.text, "call_id": entry.call_id, "stream": entry.stream, "room": entry.room,
    })
}

/// Entries of one page.
const PAGE: usize = 100;
/// Milliseconds.
const DAY: i64 = 86_400_000;
