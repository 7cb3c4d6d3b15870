//! What the own account keeps in the chat half: its picture, its archive, whom it blocks, whether it may be disturbed, its mailbox; and the ends of
//! sessions and registrations. The records are those that chat clients change, and clients that are connected are told at once.
//!
//! Errors 503 where the half concerned does not run in this process; what it refuses names the field and the rule.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use shared_auth::AccountCard;
use shared_model::{Archived, Archiving, OwnChat, OwnChatError, Picture};
use shared_runtime::unix_millis;

use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, operation};
use crate::{Face, picture, state};

const PICTURE: Operation = Operation {
    id: "showPicture",
    method: Method::GET,
    path: "/account/picture",
    scope: Scope::AccountRead,
    takes: &[],
    gives: "Picture",
    summary: "The picture that others see",
    run: operation!(show_picture),
};

pub(super) const TABLE: &[Operation] = &[
    PICTURE,
    Operation {
        id: "setPicture",
        method: Method::PUT,
        scope: Scope::AccountWrite,
        gives: "",
        takes: &[Field::needed(
            "picture",
            Kind::Text,
            "a PNG, JPEG, GIF or WebP file of at most 64 KiB and 1024 × 1024 points, in Base64",
        )],
        summary: "Shows another picture in chat, at once",
        run: operation!(set_picture),
        ..PICTURE
    },
    Operation {
        id: "removePicture",
        method: Method::DELETE,
        scope: Scope::AccountWrite,
        gives: "",
        summary: "Shows no picture any more",
        run: operation!(remove_picture),
        ..PICTURE
    },
    Operation {
        id: "showArchiving",
        path: "/account/archiving",
        gives: "Archiving",
        summary: "What is archived of the own conversations",
        run: operation!(show_archiving),
        ..PICTURE
    },
    Operation {
        id: "setArchiving",
        method: Method::PUT,
        path: "/account/archiving",
        scope: Scope::AccountWrite,
        gives: "Archiving",
        takes: &[
            Field::open("otherwise", Kind::Text, "with whom no list names: always, contacts or never"),
            Field::open("always", Kind::List, "addresses with whom all is archived"),
            Field::open("never", Kind::List, "addresses with whom nothing is archived"),
        ],
        summary: "Archives this from now on; what is not given stays",
        run: operation!(set_archiving),
    },
    Operation {
        id: "listBlocked",
        path: "/account/blocked",
        gives: "Blocked",
        summary: "Who is blocked, in chat and in calls",
        run: operation!(blocked),
        ..PICTURE
    },
    Operation {
        id: "block",
        method: Method::POST,
        path: "/account/blocked",
        scope: Scope::AccountWrite,
        gives: "",
        takes: &[Field::needed("address", Kind::Text, "an address, or a whole domain")],
        summary: "Blocks somebody, in chat and in calls",
        run: operation!(block),
    },
    Operation {
        id: "unblock",
        method: Method::DELETE,
        path: "/account/blocked/{address}",
        scope: Scope::AccountWrite,
        gives: "",
        summary: "Does not block somebody any more",
        run: operation!(unblock),
        ..PICTURE
    },
    Operation {
        id: "showDisturbance",
        path: "/account/undisturbed",
        gives: "Undisturbed",
        summary: "Whether the account said that it does not want to be disturbed, whatever its clients say",
        run: operation!(show_undisturbed),
        ..PICTURE
    },
    Operation {
        id: "setDisturbance",
        method: Method::PUT,
        path: "/account/undisturbed",
        scope: Scope::AccountWrite,
        gives: "Undisturbed",
        takes: &[Field::needed("undisturbed", Kind::Flag, "no call rings, and contacts see why")],
        summary: "Lets no call ring from now on, or lets them ring again",
        run: operation!(set_undisturbed),
    },
    Operation {
        id: "listClients",
        path: "/account/clients",
        gives: "Clients",
        summary: "Chat clients that have access, and whether it can be taken alone",
        run: operation!(clients),
        ..PICTURE
    },
    Operation {
        id: "revokeClient",
        method: Method::DELETE,
        path: "/account/clients/{id}",
        scope: Scope::AccountWrite,
        gives: "",
        summary: "Takes a chat client's token or device password, and ends its sessions; one whose provider lets it in may come back while \
                  that does",
        run: operation!(revoke_client),
        ..PICTURE
    },
    Operation {
        id: "endChat",
        method: Method::DELETE,
        path: "/account/chats/{resource}",
        scope: Scope::AccountWrite,
        gives: "",
        summary: "Ends a chat session; its device may come back while it has a password",
        run: operation!(end_chat),
        ..PICTURE
    },
    Operation {
        id: "endPhone",
        method: Method::DELETE,
        path: "/account/phones/{id}",
        scope: Scope::AccountWrite,
        gives: "",
        summary: "Ends a registration for calls; its device may come back while it has a password",
        run: operation!(end_phone),
        ..PICTURE
    },
];

async fn show_picture(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let shown = chat(face)?.picture(&ask.caller.card.jid).await.map_err(|error| problem("", error))?;
    let shown = shown.ok_or_else(|| Problem::nothing("picture"))?;
    // What a chat client set may be anything; it is named as what it is.
    let media_type = picture::media_type(&shown.bytes).unwrap_or("application/octet-stream");
    Ok(json!({ "media_type": media_type, "picture": BASE64_STANDARD.encode(&shown.bytes) }))
}

async fn set_picture(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let text = ask.text("picture").unwrap_or_default();
    let bytes =
        BASE64_STANDARD.decode(text).map_err(|_| Problem::field("picture", "`picture` is not Base64"))?;
    let media_type = picture::take(&bytes).map_err(|fault| Problem::field("picture", fault.to_string()))?;
    keep_picture(face, ask, Some(Picture { media_type: media_type.to_owned(), bytes })).await
}

async fn remove_picture(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    keep_picture(face, ask, None).await
}

async fn keep_picture(face: &Face, ask: &Ask, picture: Option<Picture>) -> Result<Value, Problem> {
    let card = &ask.caller.card;
    let what = if picture.is_some() { "picture changed" } else { "picture removed" };
    let before = chat(face)?.picture(&card.jid).await.map_err(|error| problem("", error))?;
    let (before, after) = (picture_state(before.as_ref()), picture_state(picture.as_ref()));
    chat(face)?.set_picture(&card.jid, picture).await.map_err(|error| problem("picture", error))?;
    face.auth.audit.change(ask.by(), what, &card.aor, before, after).await;
    Ok(Value::Null)
}

/// What the audit says of a picture: nobody needs to see it there.
fn picture_state(picture: Option<&Picture>) -> Value {
    picture.map_or(Value::Null, |picture| {
        let media_type = picture::media_type(&picture.bytes).unwrap_or("application/octet-stream");
        json!({ "media_type": media_type, "bytes": picture.bytes.len() })
    })
}

async fn show_archiving(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    Ok(archiving_json(&archiving(face, &ask.caller.card).await?))
}

async fn set_archiving(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let card = &ask.caller.card;
    let before = archiving(face, card).await?;
    let otherwise = match ask.text("otherwise") {
        None => before.otherwise,
        Some(word) => {
            ARCHIVED.iter().find(|(known, _)| *known == word).map(|(_, it)| *it).ok_or_else(|| {
                Problem::field("otherwise", "`otherwise` is one of always, contacts and never")
            })?
        }
    };
    let always = ask.list("always").unwrap_or_else(|| before.always.clone());
    let never = ask.list("never").unwrap_or_else(|| before.never.clone());
    let field = if ask.list("never").is_some() && ask.list("always").is_none() { "never" } else { "always" };
    let wish = Archiving { otherwise, always, never, version: before.version };
    chat(face)?.set_archiving(&card.jid, wish).await.map_err(|error| problem(field, error))?;
    let after = archiving(face, card).await?;
    let (before, after) = (archiving_json(&before), archiving_json(&after));
    face.auth.audit.change(ask.by(), "archive preferences changed", &card.aor, before, after.clone()).await;
    Ok(after)
}

async fn archiving(face: &Face, card: &AccountCard) -> Result<Archiving, Problem> {
    chat(face)?.archiving(&card.jid).await.map_err(|error| problem("", error))
}

fn archiving_json(archiving: &Archiving) -> Value {
    let otherwise = ARCHIVED.iter().find(|(_, it)| *it == archiving.otherwise).map_or("", |(word, _)| word);
    json!({ "otherwise": otherwise, "always": archiving.always, "never": archiving.never })
}

async fn blocked(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let all = chat(face)?.blocked(&ask.caller.card.jid).await.map_err(|error| problem("", error))?;
    Ok(json!({ "blocked": all }))
}

async fn block(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    set_blocked(face, ask, ask.text("address").unwrap_or_default(), true).await
}

async fn unblock(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (whom, jid) = (ask.part("address"), &ask.caller.card.jid);
    let all = chat(face)?.blocked(jid).await.map_err(|error| problem("", error))?;
    if !all.iter().any(|known| known == whom) {
        return Err(Problem::nothing("entry"));
    }
    set_blocked(face, ask, whom, false).await
}

/// Whom somebody blocks is theirs; the audit says that they changed it, and how many it is.
async fn set_blocked(face: &Face, ask: &Ask, whom: &str, is_blocked: bool) -> Result<Value, Problem> {
    let card = &ask.caller.card;
    let count = async || {
        let all = chat(face)?.blocked(&card.jid).await.map_err(|error| problem("", error))?;
        Ok::<_, Problem>(json!({ "entries": all.len() }))
    };
    let before = count().await?;
    chat(face)?.set_blocked(&card.jid, whom, is_blocked).await.map_err(|error| problem("address", error))?;
    // It is changed: what cannot be counted now is not known.
    let after = count().await.unwrap_or_default();
    face.auth.audit.change(ask.by(), "block list changed", &card.aor, before, after).await;
    Ok(Value::Null)
}

async fn show_undisturbed(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let is_so = chat(face)?.is_undisturbed(&ask.caller.card.jid).await.map_err(|error| problem("", error))?;
    Ok(json!({ "undisturbed": is_so }))
}

async fn set_undisturbed(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, is_so) = (&ask.caller.card, ask.flag("undisturbed").unwrap_or_default());
    let before = show_undisturbed(face, ask).await?;
    chat(face)?.set_undisturbed(&card.jid, is_so).await.map_err(|error| problem("undisturbed", error))?;
    let after = json!({ "undisturbed": is_so });
    face.auth.audit.change(ask.by(), "do not disturb changed", &card.aor, before, after.clone()).await;
    Ok(after)
}

async fn clients(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let all = chat(face)?.clients(&ask.caller.card.jid).await.map_err(|error| problem("", error))?;
    let all = all.into_iter().map(|client| {
        json!({
            "id": client.id, "name": client.name, "last_seen": client.last_seen, "connected": client.is_connected,
            "revocable": client.is_revocable, "by_provider": client.is_by_provider,
        })
    });
    Ok(json!({ "clients": all.collect::<Vec<_>>() }))
}

async fn revoke_client(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, id) = (&ask.caller.card, ask.part("id"));
    let all = clients(face, ask).await?["clients"].as_array().cloned().unwrap_or_default();
    let before = all.into_iter().find(|client| client["id"] == id).unwrap_or_default();
    chat(face)?.revoke_client(&card.jid, id).await.map_err(|error| match error {
        OwnChatError::Nothing => Problem::nothing("client"),
        OwnChatError::Refused(rule) => Problem::new(StatusCode::CONFLICT, rule),
        error => problem("", error),
    })?;
    let on = format!("{} {id}", card.jid);
    face.auth.audit.change(ask.by(), "chat client revoked", on, before, Value::Null).await;
    Ok(Value::Null)
}

async fn end_chat(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, resource) = (&ask.caller.card, ask.part("resource"));
    chat(face)?.end_session(&card.jid, resource).await.map_err(|error| problem("", error))?;
    face.auth.audit.note(ask.by(), "chat session ended", format!("{}/{resource}", card.jid)).await;
    Ok(Value::Null)
}

async fn end_phone(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, id) = (&ask.caller.card, ask.part("id"));
    let registrations = face.registrations.as_ref().ok_or_else(|| elsewhere("calls"))?;
    let bindings = face.bindings.by_aor(&card.aor, unix_millis()).await?;
    let binding = bindings.iter().find(|binding| state::phone_id(binding) == id);
    let binding = binding.ok_or_else(|| Problem::nothing("registration"))?;
    let ended = registrations.end(&card.aor, card.account, &binding.key).await;
    if !ended.map_err(|_| problem("", OwnChatError::Unavailable))? {
        return Err(Problem::nothing("registration"));
    }
    let before = json!({ "contact": binding.contact, "expires": binding.expires });
    let on = format!("{} {}", card.aor, binding.contact);
    face.auth.audit.change(ask.by(), "registration ended", on, before, Value::Null).await;
    Ok(Value::Null)
}

/// Block list, archive preferences, whether it may be disturbed, as an export has them; null where the chat half does not say.
pub(super) async fn kept(face: &Face, ask: &Ask) -> [Value; 3] {
    let part = |answer: Result<Value, Problem>, name: &str| match answer {
        Ok(value) if name.is_empty() => value,
        Ok(value) => value[name].clone(),
        Err(_) => Value::Null,
    };
    [
        part(blocked(face, ask).await, "blocked"),
        part(show_archiving(face, ask).await, ""),
        part(show_undisturbed(face, ask).await, "undisturbed"),
    ]
}

pub(super) fn chat(face: &Face) -> Result<&Arc<dyn OwnChat>, Problem> {
    face.own_chat.as_ref().ok_or_else(|| elsewhere("chat"))
}

fn elsewhere(what: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("{what} is not served by this process"))
}

pub(super) fn problem(field: &'static str, error: OwnChatError) -> Problem {
    match error {
        OwnChatError::Refused(rule) => Problem::field(field, rule),
        OwnChatError::Nothing => Problem::nothing("session"),
        OwnChatError::Changed => Problem::from(shared_store::StoreError::Conflict),
        OwnChatError::Unavailable => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the service cannot do this now; try again")
        }
    }
}

/// The words for what is archived.
const ARCHIVED: [(&str, Archived); 3] =
    [("always", Archived::Always), ("contacts", Archived::Contacts), ("never", Archived::Never)];
