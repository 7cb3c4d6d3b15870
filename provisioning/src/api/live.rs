//! Rooms and their calls as they are now, for administrators: who is in the chat, who hears, who speaks; and what is done to them, as the
//! room's law lets an owner do it.
//!
//! Somebody in a call who is in the room's chat too is dealt with by the room, which the call follows; others by the focus.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared_model::{
    Affiliation, Audio, ConferenceSnapshot, Deed, ModerationError, Occupant, Participant, Role, RoomAddress,
    RoomSnapshot,
};

use super::caller::Scope;
use super::problem::Problem;
use super::rooms::of;
use super::{Ask, Field, Kind, Operation, operation};
use crate::Face;

pub(super) const TABLE: &[Operation] = &[
    Operation {
        id: "listConferences",
        method: Method::GET,
        path: "/conferences",
        scope: Scope::AdminRead,
        takes: &[],
        gives: "Conferences",
        summary: "Rooms in whose call somebody is",
        run: operation!(conferences),
    },
    Operation {
        id: "listRooms",
        method: Method::GET,
        path: "/rooms",
        scope: Scope::AdminRead,
        gives: "Rooms",
        takes: &[
            Field::open("text", Kind::Text, "a part of the address or the name"),
            Field::open("after", Kind::Text, "the room behind which to go on"),
            Field::open("max", Kind::Number, "how many at most; 50 by default, 200 at most"),
        ],
        summary: "Rooms in the order of their addresses, hidden ones too",
        run: operation!(list),
    },
    Operation {
        id: "showRoom",
        method: Method::GET,
        path: "/rooms/{room}",
        scope: Scope::AdminRead,
        takes: &[],
        gives: "Room",
        summary: "One room: its rules, who is in its chat, and who is in its call",
        run: operation!(room),
    },
    Operation {
        id: "moderate",
        method: Method::POST,
        path: "/rooms/{room}/moderation",
        scope: Scope::AdminWrite,
        gives: "",
        takes: &[
            Field::needed(
                "deed",
                Kind::Text,
                "mute, unmute or kick; in a call louder or quieter, by 3 dB as the keys of a phone",
            ),
            Field::open("nick", Kind::Text, "an occupant of the chat, by the nick"),
            Field::open("call", Kind::Text, "somebody in the call, by the `call` that the room shows"),
        ],
        summary: "Mutes, unmutes or removes somebody in a room, in its chat and its call alike, or has them heard louder or quieter",
        run: operation!(moderate),
    },
];

async fn conferences(face: &Face, _: &Ask) -> Result<Value, Problem> {
    let mut all = Vec::new();
    for address in face.live.rooms() {
        let participants = participants(face, &address).await;
        if !participants.is_empty() {
            all.push(json!({ "room": address, "participants": participants }));
        }
    }
    Ok(json!({ "conferences": all }))
}

async fn list(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let after = behind(ask)?;
    let max = ask.number("max").map_or(50, |max| max.clamp(1, 200) as usize);
    let rooms = face.rooms.as_ref().ok_or_else(elsewhere)?;
    let mut found = rooms
        .rooms(ask.text("text").unwrap_or_default().trim(), after.as_ref(), max + 1)
        .await
        .map_err(|_| elsewhere())?;
    let more = found.len() > max;
    found.truncate(max);
    let mut all = Vec::new();
    for address in found {
        // One that ended meanwhile is none.
        let Some(snapshot) = snapshot(face, &address).await else { continue };
        let in_call = conference(face, &address).await.map_or(0, |call| call.participants.len());
        all.push(json!({
            "room": address, "name": snapshot.name, "hidden": snapshot.access.hidden,
            "members_only": snapshot.access.members_only, "occupants": snapshot.occupants.len(), "in_call": in_call,
        }));
    }
    Ok(json!({ "rooms": all, "more": more }))
}

/// The room to go on from, if the list does; one that is gone meanwhile is a place, too.
pub(super) fn behind(ask: &Ask) -> Result<Option<RoomAddress>, Problem> {
    let after = ask.text("after").filter(|after| !after.is_empty()).map(str::parse).transpose();
    after.map_err(|_| Problem::field("after", "`after` is not the address of a room"))
}

async fn room(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let address = address(ask)?;
    let snapshot = snapshot(face, &address).await.ok_or_else(|| Problem::nothing("room"))?;
    let occupants = snapshot.occupants.iter().map(|occupant| {
        json!({
            "nick": occupant.nick, "jid": occupant.jid, "role": occupant.role, "affiliation": occupant.affiliation,
        })
    });
    let kept = match &face.room_keeping {
        Some(keeping) => keeping.kept(&address).await.ok(),
        None => None,
    };
    let owners = kept.iter().flat_map(|kept| of(&kept.affiliations, Some(Affiliation::Owner)));
    let call = conference(face, &address).await;
    Ok(json!({
        "recorded": call.as_ref().is_some_and(|call| call.is_recorded),
        "description": kept.as_ref().map(|kept| &kept.description),
        "persistent": kept.as_ref().map(|kept| kept.is_persistent),
        "owners": owners.take(MOST_OWNERS).map(|it| &it.jid).collect::<Vec<_>>(),
        "known": kept.as_ref().map(|kept| kept.affiliations.len()),
        "room": address, "name": snapshot.name, "subject": snapshot.subject,
        "members_only": snapshot.access.members_only, "moderated": snapshot.access.moderated,
        "hidden": snapshot.access.hidden, "has_password": snapshot.access.password.is_some(),
        "occupants": occupants.collect::<Vec<_>>(), "participants": call.as_ref().map_or_else(Vec::new, legs),
    }))
}

async fn moderate(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let address = address(ask)?;
    let word = ask.text("deed").unwrap_or_default();
    let deed = DEEDS.iter().find(|(known, _)| *known == word).map(|(_, deed)| *deed);
    let deed = deed
        .ok_or_else(|| Problem::field("deed", "`deed` is one of mute, unmute, kick, louder and quieter"))?;
    let given = |name| ask.text(name).filter(|text| !text.is_empty());
    let (nick, call) = (given("nick"), given("call"));
    let before = moderated(face, &address, nick, call).await;
    let whom = match (nick, call) {
        (Some(nick), None) => {
            by_room(face, &address, nick, deed).await?;
            nick.to_owned()
        }
        (None, Some(call)) => by_call(face, &address, call, deed).await?,
        _ => return Err(Problem::field("nick", "one of `nick` and `call` is given")),
    };
    let after = moderated(face, &address, nick, call).await;
    let (what, on) = (format!("{word} in a room"), format!("{address} {whom}"));
    face.auth.audit.change(ask.by(), &what, on, before, after).await;
    Ok(Value::Null)
}

/// What the audit says of whom a deed is about: their role in the chat, or what their leg of the call does; nothing of who is not there.
async fn moderated(face: &Face, room: &RoomAddress, nick: Option<&str>, call: Option<&str>) -> Value {
    let occupants = snapshot(face, room).await.map(|chat| chat.occupants).unwrap_or_default();
    let occupant = occupants.into_iter().find(|occupant| Some(occupant.nick.as_str()) == nick);
    if let Some(occupant) = occupant {
        return json!({ "role": occupant.role, "affiliation": occupant.affiliation });
    }
    let legs = participants(face, room).await;
    let leg = legs.into_iter().find(|leg| call.is_some() && leg["call"].as_str() == call);
    leg.map_or(Value::Null, |leg| json!({ "audio": leg["audio"], "gain": leg["gain"] }))
}

async fn by_room(face: &Face, room: &RoomAddress, nick: &str, deed: Deed) -> Result<(), Problem> {
    let moderation = face.room_moderation.as_ref().ok_or_else(elsewhere)?;
    moderation.moderate(room, nick, deed).await.map_err(problem)
}

/// The room's law first, of what is done in its chat, too: who is removed, and who is given back the voice that the chat took. The call's
/// then, which does not follow where no role is another now. Whether who is muted in the call loses the voice in the chat, the focus knows.
async fn by_call(face: &Face, room: &RoomAddress, call_id: &str, deed: Deed) -> Result<String, Problem> {
    let call = conference(face, room).await.ok_or_else(|| Problem::nothing("call"))?;
    let leg = call.participants.iter().find(|(id, _)| id == call_id).map(|(_, leg)| leg);
    let leg = leg.ok_or_else(|| Problem::nothing("participant"))?;
    let chat = snapshot(face, room).await;
    let is_of_the_chat = |occupant: &&Occupant| match deed {
        Deed::Kick => true,
        Deed::Unmute => occupant.role == Role::Visitor,
        Deed::Mute | Deed::Gain(_) => false,
    };
    let occupants = chat.iter().flat_map(|chat| &chat.occupants).filter(is_of_the_chat);
    let mut nicks: Vec<&str> = occupants
        .filter(|occupant| leg.jid.as_ref() == Some(&occupant.jid))
        .map(|it| it.nick.as_str())
        .collect();
    nicks.dedup();
    for nick in &nicks {
        by_room(face, room, nick, deed).await?;
    }
    let moderation = face.call_moderation.as_ref().ok_or_else(elsewhere)?;
    match moderation.moderate(room, call_id, deed).await {
        // It followed the chat already.
        Err(ModerationError::Nobody) if !nicks.is_empty() => {}
        done => done.map_err(problem)?,
    }
    Ok(leg.uri.clone())
}

pub(super) fn address(ask: &Ask) -> Result<RoomAddress, Problem> {
    ask.part("room").parse().map_err(|_| Problem::nothing("room"))
}

pub(super) async fn snapshot(face: &Face, room: &RoomAddress) -> Option<RoomSnapshot> {
    face.rooms.as_ref()?.room(room).await.ok().flatten()
}

pub(super) async fn conference(face: &Face, room: &RoomAddress) -> Option<ConferenceSnapshot> {
    face.conferences.as_ref()?.conference(room).await.ok().flatten()
}

/// Who is in the call; nobody where the focus does not answer.
async fn participants(face: &Face, room: &RoomAddress) -> Vec<Value> {
    conference(face, room).await.as_ref().map_or_else(Vec::new, legs)
}

fn legs(call: &ConferenceSnapshot) -> Vec<Value> {
    call.participants.iter().map(|(id, it)| to_json(id, it)).collect()
}

fn to_json(call: &str, participant: &Participant) -> Value {
    let (audio, hears, speaks) = match participant.audio {
        Audio::SendReceive => ("speaks", true, true),
        Audio::Muted => ("muted", true, false),
        Audio::OnHold => ("on_hold", false, false),
    };
    json!({
        "call": call, "name": participant.display_name, "uri": participant.uri, "jid": participant.jid, "audio": audio,
        "hears": hears, "speaks": speaks, "video": participant.has_video, "hand_up": participant.is_hand_up, "encrypted": participant.is_encrypted,
        "gain": participant.gain,
    })
}

pub(super) fn problem(error: ModerationError) -> Problem {
    match error {
        ModerationError::Nobody => Problem::nothing("occupant or participant"),
        ModerationError::Refused(why) => Problem::new(StatusCode::CONFLICT, why),
        ModerationError::Unavailable => elsewhere(),
    }
}

pub(super) fn elsewhere() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "rooms are not served by this process, or do not answer")
}

/// Owners that are shown with a room; all are in the list of who is what.
const MOST_OWNERS: usize = 20;
const DEEDS: [(&str, Deed); 5] = [
    ("mute", Deed::Mute),
    ("unmute", Deed::Unmute),
    ("kick", Deed::Kick),
    ("louder", Deed::Gain(STEP)),
    ("quieter", Deed::Gain(-STEP)),
];
/// Decibels, as of a key of a phone.
const STEP: i8 = 3;
