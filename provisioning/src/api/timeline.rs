//! What happened: for administrators to anybody, in a call, in a room, from an address, with a stranger; for people to themselves, page by
//! page as far back as it is kept.

use std::collections::HashMap;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared_model::{AccountId, Happened, Unavailable};
use shared_runtime::unix_millis;

use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, operation};
use crate::{Answer, Face, account_meant};

pub(super) const TABLE: &[Operation] = &[
    Operation {
        id: "ownTimeline",
        method: Method::GET,
        path: "/account/timeline",
        scope: Scope::AccountRead,
        gives: "Timeline",
        takes: &[
            Field::open("before", Kind::Text, "the entry before which to go on, as the page before says"),
            MAX,
        ],
        summary: "What happened to the own account, the newest first",
        run: operation!(own),
    },
    Operation {
        id: "searchTimeline",
        method: Method::GET,
        path: "/timeline",
        scope: Scope::AdminRead,
        gives: "Timeline",
        takes: &[
            Field::needed(
                "about",
                Kind::Text,
                "an account by address, JID or number; a call by its Call-ID, anything by its correlation, a room, a network address; \
                 who is not of ours by number, SIP URI or JID",
            ),
            Field::open(
                "since",
                Kind::Text,
                "only within this time, such as 1h or 7d; all that is kept by default",
            ),
            Field::open("text", Kind::Text, "only what has this, in a sentence, an id or a name"),
            PART,
            MAX,
        ],
        summary: "What happened over every protocol, to an account, in a call, in a room, from an address, with a stranger; the newest first",
        run: operation!(search),
    },
];

async fn own(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let timelines = face.timelines.as_ref().ok_or_else(nowhere)?;
    let before = ask.text("before").filter(|before| !before.is_empty());
    let read = timelines.page(ask.caller.card.account, before, most(ask)).await.map_err(|_| nowhere())?;
    let gone = || Problem::field("before", "this entry is not in the timeline, or not any more");
    let past = read.ok_or_else(gone)?;
    let entries: Vec<Value> = past.entries.iter().map(shown).collect();
    Ok(json!({ "entries": entries, "more": past.before.is_some(), "before": past.before }))
}

/// The newest that happened to an account, or what happened before an entry, and before which one there is more; `None` where no
/// timeline is written.
pub(super) async fn before(
    face: &Face,
    account: AccountId,
    before: Option<&str>,
) -> Option<Result<(Vec<Value>, Option<String>), Unavailable>> {
    let page = face.timelines.as_ref()?.page(account, before, MOST).await;
    // An entry that is gone says nothing of those before it.
    let past = page.and_then(|past| past.ok_or(Unavailable));
    Some(past.map(|past| (past.entries.iter().map(shown).collect(), past.before)))
}

async fn search(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (about, text) = (ask.text("about").unwrap_or_default().trim(), ask.text("text").unwrap_or_default());
    if about.is_empty() || about.len() > LONGEST {
        return Err(Problem::field(
            "about",
            "an account, a Call-ID, a correlation, a room, a number, a SIP URI, a JID or a network address",
        ));
    }
    let since = match ask.text("since").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => {
            let length = shared_runtime::config::parse_duration(text)
                .ok_or_else(|| Problem::field("since", "a length of time is written 7d, 12h or 30m"))?;
            Some(unix_millis().saturating_sub(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)))
        }
    };
    let (account, found, is_whole) = match account_meant(&face.auth, about).await? {
        Some(card) => {
            let timelines = face.timelines.as_ref().ok_or_else(nowhere)?;
            let all = timelines.search(card.account, since, text).await.map_err(|_| nowhere())?;
            (Some(card.aor), all.into_iter().map(|happened| (None, happened)).collect(), true)
        }
        None => {
            let Answer { found, is_whole } = elsewhere(face, about, since, text).await?;
            (
                None,
                found.into_iter().map(|found| (found.account, found.happened)).collect::<Vec<_>>(),
                is_whole,
            )
        }
    };
    let (page, max) = (usize::try_from(ask.number("page").unwrap_or(0)), most(ask));
    let first = page.unwrap_or(usize::MAX).saturating_mul(max);
    let (mut entries, mut names) = (Vec::new(), HashMap::new());
    for (id, happened) in found.iter().skip(first).take(max) {
        let mut entry = shown(happened);
        if let Some(id) = id {
            if !names.contains_key(id) {
                names.insert(*id, face.auth.directory.by_id(*id).await?.map(|card| card.aor));
            }
            entry["account"] = json!(names[id]);
        }
        entries.push(entry);
    }
    let more = found.len() > first.saturating_add(max);
    Ok(json!({ "account": account, "entries": entries, "more": more, "whole": is_whole }))
}

/// What is in timelines of what is no account.
async fn elsewhere(face: &Face, about: &str, since: Option<i64>, text: &str) -> Result<Answer, Problem> {
    let search = face.search.as_ref().ok_or_else(nowhere)?;
    let answer = search.about(about, since, text).await.map_err(|_| nowhere())?;
    if answer.found.is_empty() {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "nothing is known of this: no account has it, and no timeline names it",
        ));
    }
    Ok(answer)
}

fn nowhere() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no timeline can be read now")
}

fn most(ask: &Ask) -> usize {
    ask.number("max").map_or(MOST, |most| usize::try_from(most).unwrap_or(MOST)).clamp(1, MOST)
}

fn shown(entry: &Happened) -> Value {
    json!({
        "time": entry.time, "correlation": entry.correlation, "protocol": entry.protocol, "event": entry.event,
        "text": entry.text, "call_id": entry.call_id, "stream": entry.stream, "room": entry.room,
    })
}

const PART: Field = Field::open("page", Kind::Number, "which of the pages; 0, the newest, by default");
const MAX: Field = Field::open("max", Kind::Number, "how many on a page; 100 by default and at most");
/// Bytes of what is looked for: no address and no Call-ID that is kept is longer.
const LONGEST: usize = 512;
/// Entries of one page.
const MOST: usize = 100;
