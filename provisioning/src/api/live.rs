//! Rooms and their calls as they are now, for administrators: who is in the chat, who hears, who speaks.

use axum::http::Method;
use serde_json::{Value, json};
use shared_model::{Audio, Participant, RoomAddress};

use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Operation, operation};
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
        id: "showRoom",
        method: Method::GET,
        path: "/rooms/{room}",
        scope: Scope::AdminRead,
        takes: &[],
        gives: "Room",
        summary: "One room: its rules, who is in its chat, and who is in its call",
        run: operation!(room),
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

async fn room(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let address: RoomAddress = ask.part("room").parse().map_err(|_| Problem::nothing("room"))?;
    let snapshot = match &face.rooms {
        Some(rooms) => rooms.room(&address).await.ok().flatten(),
        None => None,
    };
    let snapshot = snapshot.ok_or_else(|| Problem::nothing("room"))?;
    let occupants = snapshot.occupants.iter().map(|occupant| {
        json!({
            "nick": occupant.nick, "jid": occupant.jid, "role": occupant.role, "affiliation": occupant.affiliation,
        })
    });
    Ok(json!({
        "room": address, "name": snapshot.name, "subject": snapshot.subject,
        "members_only": snapshot.access.members_only, "moderated": snapshot.access.moderated,
        "hidden": snapshot.access.hidden, "has_password": snapshot.access.password.is_some(),
        "occupants": occupants.collect::<Vec<_>>(), "participants": participants(face, &address).await,
    }))
}

/// Who is in the call; nobody where the focus does not answer.
async fn participants(face: &Face, room: &RoomAddress) -> Vec<Value> {
    let Some(calls) = &face.conferences else { return Vec::new() };
    let snapshot = calls.conference(room).await.ok().flatten();
    snapshot
        .map_or_else(Vec::new, |snapshot| snapshot.participants.iter().map(|(_, it)| to_json(it)).collect())
}

fn to_json(participant: &Participant) -> Value {
    let audio = match participant.audio {
        Audio::SendReceive => "speaks",
        Audio::Muted => "muted",
        Audio::OnHold => "on_hold",
    };
    json!({
        "name": participant.display_name, "uri": participant.uri, "jid": participant.jid, "audio": audio,
        "hand_up": participant.is_hand_up, "encrypted": participant.is_encrypted,
    })
}
