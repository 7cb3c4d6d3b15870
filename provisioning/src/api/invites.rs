//! Invitations: an administrator's, and where the service allows it those of people who invite a contact.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared_auth::{Invite, Opens};
use shared_runtime::unix_millis;

use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, accounts, operation};
use crate::Face;
use crate::links::app_uri;

const DAYS: Field = Field::open("days", Kind::Number, "how long it is good for; 7 by default, 60 at most");

pub(super) const TABLE: &[Operation] = &[
    Operation {
        id: "listInvites",
        method: Method::GET,
        path: "/invites",
        scope: Scope::AdminRead,
        takes: &[],
        gives: "Invites",
        summary: "Invitations that are open",
        run: operation!(list),
    },
    Operation {
        id: "createInvite",
        method: Method::POST,
        path: "/invites",
        scope: Scope::AdminWrite,
        gives: "NewInvite",
        takes: &[
            Field::open(
                "user",
                Kind::Text,
                "the user name of the account; without one the invited one chooses",
            ),
            Field::open("domain", Kind::Text, "the domain of the account; the service's own without one"),
            Field::open("name", Kind::Text, "the name to show"),
            Field::open("admin", Kind::Flag, "the account will administer the service"),
            DAYS,
        ],
        summary: "Invites somebody to an account",
        run: operation!(create),
    },
    Operation {
        id: "revokeInvite",
        method: Method::DELETE,
        path: "/invites/{id}",
        scope: Scope::AdminWrite,
        takes: &[],
        gives: "",
        summary: "Takes an invitation back",
        run: operation!(revoke),
    },
    Operation {
        id: "listOwnInvites",
        method: Method::GET,
        path: "/account/invites",
        scope: Scope::AccountRead,
        takes: &[],
        gives: "Invites",
        summary: "The own invitations that are open",
        run: operation!(list_own),
    },
    Operation {
        id: "inviteContact",
        method: Method::POST,
        path: "/account/invites",
        scope: Scope::AccountWrite,
        takes: &[DAYS],
        gives: "NewInvite",
        summary: "Invites somebody to an account and to the own list",
        run: operation!(invite_contact),
    },
    Operation {
        id: "revokeOwnInvite",
        method: Method::DELETE,
        path: "/account/invites/{id}",
        scope: Scope::AccountWrite,
        takes: &[],
        gives: "",
        summary: "Takes an own invitation back",
        run: operation!(revoke_own),
    },
];

async fn list(face: &Face, _: &Ask) -> Result<Value, Problem> {
    let all = face.auth.invites.list(unix_millis()).await?;
    Ok(json!({ "invites": all.iter().map(to_json).collect::<Vec<_>>() }))
}

async fn list_own(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let all = face.auth.invites.list(unix_millis()).await?;
    let own = all.iter().filter(|invite| invite.by == Some(ask.caller.card.account));
    Ok(json!({ "invites": own.map(to_json).collect::<Vec<_>>() }))
}

async fn create(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let text = |name| ask.text(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let name = shared_auth::check_shown_name(&text("name").unwrap_or_default())
        .map_err(|error| Problem::field("name", error.to_string()))?;
    let domain = match text("domain") {
        Some(domain) => face.domains.find(&domain).ok_or_else(|| accounts::not_of(face, "domain"))?,
        None => face.domains.main(),
    };
    let opens = Opens::Account {
        user: text("user").map(|user| user.to_ascii_lowercase()),
        domain: Some(domain.to_owned()),
        name,
        admin: ask.flag("admin").unwrap_or(false),
        contact: None,
    };
    make(face, ask, opens).await
}

async fn invite_contact(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    if !face.config.users_invite {
        return Err(Problem::new(StatusCode::FORBIDDEN, "only administrators invite here"));
    }
    let contact = ask.caller.card.jid.clone();
    let opens = Opens::Account {
        user: None,
        domain: Some(contact.domain().to_owned()),
        name: String::new(),
        admin: false,
        contact: Some(contact),
    };
    make(face, ask, opens).await
}

async fn make(face: &Face, ask: &Ask, opens: Opens) -> Result<Value, Problem> {
    let days = ask.number("days").unwrap_or(7);
    if !(1..=60).contains(&days) {
        return Err(Problem::field("days", "an invitation is good for 1 to 60 days"));
    }
    let (lifetime, caller) = (Duration::from_secs(days * 86_400), &ask.caller.card);
    let by = Some(caller.account);
    let (text, invite) = face.auth.invites.create(&face.domains, opens, by, lifetime, unix_millis()).await?;
    face.auth.audit.change(ask.by(), "invitation made", &invite.id, Value::Null, to_json(&invite)).await;
    let uri = app_uri(&face.domains, &text, &invite).unwrap_or_default();
    Ok(json!({ "invite": to_json(&invite), "link": face.url(&format!("/invite/{text}")), "xmpp": uri }))
}

async fn revoke(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let id = ask.part("id");
    let all = face.auth.invites.list(unix_millis()).await?;
    take_back(face, ask, all.iter().find(|invite| invite.id == id)).await
}

async fn revoke_own(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (id, own) = (ask.part("id"), Some(ask.caller.card.account));
    let all = face.auth.invites.list(unix_millis()).await?;
    let found = all.iter().find(|invite| invite.id == id && invite.by == own);
    take_back(face, ask, Some(found.ok_or_else(|| Problem::nothing("invitation"))?)).await
}

/// Takes the invitation back whose id is asked for; it is what was there, if it was listed.
async fn take_back(face: &Face, ask: &Ask, invite: Option<&Invite>) -> Result<Value, Problem> {
    let (id, before) = (ask.part("id"), invite.map_or(Value::Null, to_json));
    if !face.auth.invites.revoke(id).await? {
        return Err(Problem::nothing("invitation"));
    }
    face.auth.audit.change(ask.by(), "invitation taken back", id, before, Value::Null).await;
    Ok(Value::Null)
}

/// An invitation as the API shows it.
pub fn to_json(invite: &Invite) -> Value {
    let (kind, user, domain, contact) = match &invite.opens {
        Opens::Account { user, domain, contact, .. } => {
            ("account", user.clone(), domain.as_ref(), contact.as_ref())
        }
        Opens::Password { .. } => ("password", None, None, None),
        Opens::Contact { contact } => ("contact", None, None, Some(contact)),
    };
    json!({
        "id": invite.id, "kind": kind, "user": user, "domain": domain, "contact": contact, "created": invite.created, "expires": invite.expires,
    })
}
