//! Rooms that are made and ended, and who is what in them, for administrators: as an owner's forms do it (XEP-0045 §9, §10).

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared_model::{Affiliated, Affiliation, BareJid, NewRoom, RoomAddress, RoomError, RoomKeeping, is_pin};

use super::caller::Scope;
use super::live::behind;
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, operation};
use crate::Face;

pub(super) const TABLE: &[Operation] = &[
    Operation {
        id: "createRoom",
        method: Method::POST,
        path: "/rooms",
        scope: Scope::AdminWrite,
        gives: "MadeRoom",
        takes: &[
            Field::needed("room", Kind::Text, "its address, or what stands before the @ of it"),
            Field::open("name", Kind::Text, "the name to show"),
            Field::open(
                "owners",
                Kind::List,
                "addresses of accounts that own it; who makes it, if none is given",
            ),
            Field::open("members_only", Kind::Flag, "only members enter"),
            Field::open("moderated", Kind::Flag, "others than members enter without voice"),
            Field::open("hidden", Kind::Flag, "lists do not show it"),
            Field::open("password", Kind::Text, "password of the chat and PIN of the call: 4 to 16 digits"),
        ],
        summary: "Makes a room that stays when nobody is inside",
        run: operation!(create),
    },
    Operation {
        id: "destroyRoom",
        method: Method::DELETE,
        path: "/rooms/{room}",
        scope: Scope::AdminWrite,
        takes: &[],
        gives: "",
        summary: "Ends a room, its call and its archive for good",
        run: operation!(destroy),
    },
    Operation {
        id: "listAffiliations",
        method: Method::GET,
        path: "/rooms/{room}/affiliations",
        scope: Scope::AdminRead,
        gives: "Affiliations",
        takes: &[
            Field::open("affiliation", Kind::Text, "owner, admin, member or outcast; all if it is left out"),
            Field::open("text", Kind::Text, "a part of the address"),
            Field::open("after", Kind::Text, "the address behind which to go on"),
            Field::open("max", Kind::Number, "how many at most; 50 by default, 200 at most"),
        ],
        summary: "Who is what in a room, in the order of their addresses; outcasts are banned",
        run: operation!(list),
    },
    Operation {
        id: "setAffiliation",
        method: Method::PUT,
        path: "/rooms/{room}/affiliations",
        scope: Scope::AdminWrite,
        gives: "",
        takes: &[
            Field::needed("address", Kind::Text, "a JID, or for a ban a whole domain"),
            Field::needed("affiliation", Kind::Text, "owner, admin, member, none, or outcast for a ban"),
            Field::open("reason", Kind::Text, "why; they and those inside are told"),
        ],
        summary: "Says what somebody is in a room from now on; who is banned is out at once",
        run: operation!(set),
    },
    Operation {
        id: "listRoomsOf",
        method: Method::GET,
        path: "/affiliations",
        scope: Scope::AdminRead,
        gives: "RoomsOf",
        takes: &[
            Field::needed("address", Kind::Text, "a JID, or a domain that is banned"),
            Field::open("after", Kind::Text, "what an answer before says in `after`"),
        ],
        summary: "The rooms in which an address is something, or is banned",
        run: operation!(rooms_of),
    },
];

async fn create(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let given = |name| ask.text(name).map(str::trim).filter(|text| !text.is_empty());
    let room = given("room").unwrap_or_default();
    let whole = if room.contains('@') { room.to_owned() } else { format!("{room}@{}", face.rooms_domain) };
    let room: RoomAddress = whole.parse().map_err(|error| Problem::field("room", format!("{error}")))?;
    let name = shared_auth::check_shown_name(given("name").unwrap_or_default())
        .map_err(|error| Problem::field("name", error.to_string()))?;
    let password = given("password").map(str::to_owned);
    if password.as_ref().is_some_and(|pin| !is_pin(pin)) {
        return Err(Problem::field("password", "a PIN is 4 to 16 digits, which a phone can send"));
    }
    let mut owners = Vec::new();
    for owner in ask.list("owners").unwrap_or_default() {
        let jid: Option<BareJid> = owner.parse().ok();
        let card = match &jid {
            Some(jid) => face.auth.directory.by_jid(jid).await?,
            None => None,
        };
        let card = card.ok_or_else(|| Problem::field("owners", format!("there is no account {owner}")))?;
        owners.push(card.jid);
    }
    if owners.is_empty() {
        owners.push(ask.caller.card.jid.clone());
    }
    let is = |name| ask.flag(name).unwrap_or_default();
    let after = json!({
        "name": name, "owners": owners, "members_only": is("members_only"), "moderated": is("moderated"),
        "hidden": is("hidden"), "has_password": password.is_some(),
    });
    let new = NewRoom {
        room: room.clone(),
        name,
        members_only: is("members_only"),
        moderated: is("moderated"),
        hidden: is("hidden"),
        password,
        owners,
    };
    keeping(face)?.make(new).await.map_err(|error| Problem { field: "room", ..problem(error) })?;
    face.auth.audit.change(ask.by(), "room made", &room, Value::Null, after).await;
    Ok(json!({ "room": room, "call": room.to_sip_uri() }))
}

async fn destroy(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let room = address(ask)?;
    let kept = keeping(face)?.kept(&room).await.map_err(problem)?;
    let owners: Vec<&str> =
        of(&kept.affiliations, Some(Affiliation::Owner)).map(|it| it.jid.as_str()).collect();
    let before =
        json!({ "description": kept.description, "owners": owners, "known": kept.affiliations.len() });
    keeping(face)?.destroy(&room, "").await.map_err(problem)?;
    face.auth.audit.change(ask.by(), "room ended", &room, before, Value::Null).await;
    Ok(Value::Null)
}

async fn list(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let room = address(ask)?;
    let wanted = match ask.text("affiliation").filter(|word| !word.is_empty()) {
        Some(word) => Some(affiliation(word)?),
        None => None,
    };
    let (text, after) =
        (ask.text("text").unwrap_or_default().to_lowercase(), ask.text("after").unwrap_or_default());
    let max = ask.number("max").map_or(50, |max| max.clamp(1, 200) as usize);
    let kept = keeping(face)?.kept(&room).await.map_err(problem)?;
    let mut found =
        of(&kept.affiliations, wanted).filter(|it| it.jid.as_str() > after && it.jid.contains(&text));
    let page: Vec<Value> = found
        .by_ref()
        .take(max)
        .map(|it| json!({ "address": it.jid, "affiliation": it.affiliation, "reason": it.reason }))
        .collect();
    Ok(json!({ "affiliations": page, "more": found.next().is_some() }))
}

async fn set(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (room, text) = (address(ask)?, ask.text("address").unwrap_or_default().trim());
    let affiliation = affiliation(ask.text("affiliation").unwrap_or_default())?;
    let reason = ask.text("reason").map(str::trim).filter(|reason| !reason.is_empty());
    let whom = Affiliated { jid: text.to_owned(), affiliation, reason: reason.map(str::to_owned) };
    let refused = |error| match error {
        RoomError::Refused(_) => Problem { field: "address", ..problem(error) },
        error => problem(error),
    };
    let before = keeping(face)?.affiliate(&room, whom).await.map_err(refused)?;
    let (before, after) =
        (json!({ "affiliation": before }), json!({ "affiliation": affiliation, "reason": reason }));
    face.auth.audit.change(ask.by(), "affiliation changed", format!("{room} {text}"), before, after).await;
    Ok(Value::Null)
}

async fn rooms_of(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let address = ask.text("address").unwrap_or_default().trim().to_lowercase();
    let after = behind(ask)?;
    let after = after.as_ref().map(|after| after.as_str());
    let (rooms, next) = keeping(face)?.rooms_of(&address, after).await.map_err(problem)?;
    let rooms =
        rooms.into_iter().map(|(room, affiliation)| json!({ "room": room, "affiliation": affiliation }));
    Ok(json!({ "rooms": rooms.collect::<Vec<_>>(), "after": next }))
}

/// Those of a list, all or of one kind.
pub(super) fn of(all: &[Affiliated], kind: Option<Affiliation>) -> impl Iterator<Item = &Affiliated> {
    all.iter().filter(move |it| kind.is_none_or(|kind| it.affiliation == kind))
}

fn affiliation(word: &str) -> Result<Affiliation, Problem> {
    let all = [
        Affiliation::Owner,
        Affiliation::Admin,
        Affiliation::Member,
        Affiliation::None,
        Affiliation::Outcast,
    ];
    let rule = "an affiliation is owner, admin, member, none or outcast";
    all.into_iter().find(|it| it.as_str() == word).ok_or_else(|| Problem::field("affiliation", rule))
}

fn keeping(face: &Face) -> Result<&dyn RoomKeeping, Problem> {
    face.room_keeping.as_deref().ok_or_else(super::live::elsewhere)
}

fn address(ask: &Ask) -> Result<RoomAddress, Problem> {
    ask.part("room").parse().map_err(|_| Problem::nothing("room"))
}

fn problem(error: RoomError) -> Problem {
    match error {
        RoomError::Nothing => Problem::nothing("room"),
        RoomError::Exists | RoomError::Refused(_) => Problem::new(StatusCode::CONFLICT, error.to_string()),
        RoomError::Unavailable => super::live::elsewhere(),
    }
}
