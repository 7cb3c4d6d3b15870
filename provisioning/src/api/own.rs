//! The own account: its two halves, its devices, its sessions, its data.
//!
//! Which of one's numbers one calls with is said here, and which one has by an administrator. Not here: rosters, block lists and
//! archives, which chat clients change themselves.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared_auth::{
    AccountCard, Denied, Device, Holder, OnWire, Origin, Profile, Proof, card_json, check_password,
};
use shared_model::{Protocol, ProvisioningEvent};
use shared_runtime::unix_millis;
use shared_store::StoreError;

use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, Run, operation};
use crate::Face;
use crate::session::SCOPE;

pub(super) const TABLE: &[Operation] = &[
    Operation {
        id: "showAccount",
        method: Method::GET,
        path: "/account",
        scope: Scope::AccountRead,
        takes: &[],
        gives: "Account",
        summary: "The own account",
        run: operation!(show),
    },
    Operation {
        id: "renameAccount",
        method: Method::PATCH,
        path: "/account",
        scope: Scope::AccountWrite,
        gives: "Account",
        takes: &[Field::needed("name", Kind::Text, "the name to show, at most 64 characters")],
        summary: "Changes the name to show",
        run: operation!(rename),
    },
    Operation {
        id: "setCallingNumber",
        method: Method::PUT,
        path: "/account/number",
        scope: Scope::AccountWrite,
        gives: "Account",
        takes: &[Field::needed("number", Kind::Text, "one of the account's numbers, as it shows them")],
        summary: "Calls with this number from now on, unless a call says another: it is the first of the account's",
        run: operation!(set_number),
    },
    Operation {
        id: "changePassword",
        method: Method::PUT,
        path: "/account/password",
        scope: Scope::AccountWrite,
        gives: "",
        takes: &[
            Field::needed("current", Kind::Text, "the password that holds now"),
            Field::needed("password", Kind::Text, "the new one, at least 8 characters and not a common one"),
        ],
        summary: "Changes the password; sessions and tokens end",
        run: operation!(change_password),
    },
    Operation {
        id: "showState",
        method: Method::GET,
        path: "/account/state",
        scope: Scope::AccountRead,
        takes: &[],
        gives: "State",
        summary: "Both halves as they are now, and what is unequal about them",
        run: operation!(state),
    },
    Operation {
        id: "listDevices",
        method: Method::GET,
        path: "/account/devices",
        scope: Scope::AccountRead,
        takes: &[],
        gives: "Devices",
        summary: "Devices that have a password of their own",
        run: operation!(devices),
    },
    Operation {
        id: "addDevice",
        method: Method::POST,
        path: "/account/devices",
        scope: Scope::AccountWrite,
        gives: "NewDevice",
        takes: &[
            Field::needed("name", Kind::Text, "1 to 32 letters, digits, hyphens and underscores"),
            Field::open(
                "calls_alone",
                Kind::Flag,
                "good for calls alone, and none in chat; false by default",
            ),
        ],
        summary: "Makes a password for one device, shown this once",
        run: operation!(add_device),
    },
    Operation {
        id: "removeDevice",
        method: Method::DELETE,
        path: "/account/devices/{name}",
        scope: Scope::AccountWrite,
        takes: &[],
        gives: "",
        summary: "Takes a device's password back",
        run: operation!(remove_device),
    },
    Operation {
        id: "listSessions",
        method: Method::GET,
        path: "/account/sessions",
        scope: Scope::AccountRead,
        takes: &[],
        gives: "Sessions",
        summary: "Browsers that are signed in, and tokens",
        run: operation!(sessions),
    },
    Operation {
        id: "endSession",
        method: Method::DELETE,
        path: "/account/sessions/{id}",
        scope: Scope::AccountWrite,
        takes: &[],
        gives: "",
        summary: "Ends a session or a token",
        run: operation!(end_session),
    },
    Operation {
        id: "createToken",
        method: Method::POST,
        path: "/account/tokens",
        scope: Scope::AccountWrite,
        gives: "NewToken",
        takes: &[
            Field::needed("name", Kind::Text, "what it is for"),
            Field::needed("scopes", Kind::List, "what it may do"),
            Field::open("days", Kind::Number, "how long it is good for; 90 by default, 366 at most"),
        ],
        summary: "Makes a token for a program, shown this once",
        run: operation!(create_token),
    },
    Operation {
        id: "listCalls",
        method: Method::GET,
        path: "/account/calls",
        scope: Scope::AccountRead,
        takes: &[
            Field::open(
                "before",
                Kind::Text,
                "the id of a call, or `before` of a page: only calls before it",
            ),
            Field::open("max", Kind::Number, "calls of a page, 1 to 500; 100 if it is not given"),
            Field::open("most", Kind::Number, "the same, as it was called before"),
        ],
        gives: "Calls",
        summary: "The own calls, those made and those received, the newest first",
        run: operation!(calls),
    },
    Operation {
        id: "exportAccount",
        method: Method::GET,
        path: "/account/export",
        scope: Scope::AccountRead,
        takes: &[],
        gives: "Export",
        summary: "All that is kept of the own account, in one file; 429 while the last one is under way",
        run: Run::File(|face, ask| Box::pin(super::export::begin(face, ask))),
    },
    Operation {
        id: "lookUp",
        method: Method::GET,
        path: "/directory/{kind}/{address}",
        scope: Scope::DirectoryRead,
        takes: &[],
        gives: "Person",
        summary: "Whose address it is; the kind is aor, jid or number",
        run: operation!(look_up),
    },
    Operation {
        id: "removeAccount",
        method: Method::DELETE,
        path: "/account",
        scope: Scope::AccountWrite,
        gives: "",
        takes: &[Field::needed("current", Kind::Text, "the password, so that nobody does it for you")],
        summary: "Removes the own account for good",
        run: operation!(remove),
    },
];

async fn show(_: &Face, ask: &Ask) -> Result<Value, Problem> {
    Ok(card_json(&ask.caller.card))
}

async fn rename(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let card = &ask.caller.card;
    let name = shared_auth::check_shown_name(ask.text("name").unwrap_or_default())
        .map_err(|error| Problem::field("name", error.to_string()))?;
    let profile = Profile { name, numbers: card.numbers.clone(), video: card.video, admin: card.admin };
    face.auth.book.set_profile(card.account, profile).await?;
    let after = reread(face, card).await?;
    face.auth.audit.change(ask.by(), "name changed", &card.aor, card_json(card), card_json(&after)).await;
    Ok(card_json(&after))
}

async fn set_number(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, number) = (&ask.caller.card, ask.text("number").unwrap_or_default());
    let mut numbers = card.numbers.clone();
    let at = numbers.iter().position(|own| own == number);
    let at = at.ok_or_else(|| Problem::field("number", "this is none of the account's numbers"))?;
    numbers[..=at].rotate_right(1);
    let profile = Profile { name: card.name.clone(), numbers, video: card.video, admin: card.admin };
    face.auth.book.set_profile(card.account, profile).await?;
    let after = reread(face, card).await?;
    let (before, now) = (json!({ "numbers": card.numbers }), json!({ "numbers": after.numbers }));
    face.auth.audit.change(ask.by(), "calling number changed", &card.aor, before, now).await;
    Ok(card_json(&after))
}

async fn change_password(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, password) = (&ask.caller.card, ask.text("password").unwrap_or_default());
    prove_again(face, ask).await?;
    check_password(password, card.aor.local())
        .map_err(|error| Problem::field("password", error.to_string()))?;
    face.auth.book.set_password(card.account, password).await?;
    face.auth.audit.note(ask.by(), "password changed", &card.aor).await;
    Ok(Value::Null)
}

async fn state(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    Ok(crate::state::of(face, &ask.caller.card).await?.to_json())
}

pub(super) async fn devices(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let all = face.auth.book.app_passwords(ask.caller.card.account).await?;
    let all: Vec<Value> = all.iter().map(device_json).collect();
    Ok(json!({ "devices": all }))
}

async fn add_device(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, name) = (&ask.caller.card, ask.text("name").unwrap_or_default());
    let (now, book) = (unix_millis(), &face.auth.book);
    let device =
        Device { name: name.to_owned(), created: now, opens_chat: !ask.flag("calls_alone").unwrap_or(false) };
    let password = match device.opens_chat {
        true => book.add_app_password(card.account, name, now).await?,
        false => book.add_calls_password(card.account, name, now).await?,
    };
    let on = format!("{} {name}", card.aor);
    face.auth.audit.change(ask.by(), "device added", on, Value::Null, device_json(&device)).await;
    Ok(new_device_json(card, &device, &password))
}

/// A device, as the API and the audit show it.
pub fn device_json(Device { name, created, opens_chat }: &Device) -> Value {
    json!({ "name": name, "created": created, "opens_chat": opens_chat })
}

/// The password of a new device, as the API shows it once.
pub fn new_device_json(card: &AccountCard, device: &Device, password: &str) -> Value {
    let name = &device.name;
    // SCRAM proves one password, so that chat clients say which; SIP tries them all.
    let chat = device.opens_chat.then(|| format!("{}+{name}@{}", card.jid.local(), card.jid.domain()));
    json!({ "name": name, "password": password, "calls_as": card.aor.local(), "chats_as": chat })
}

async fn remove_device(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, name) = (&ask.caller.card, ask.part("name"));
    let all = face.auth.book.app_passwords(card.account).await?;
    let before = all.iter().find(|device| device.name == name).map_or(Value::Null, device_json);
    face.auth.book.remove_app_password(card.account, name).await?;
    let on = format!("{} {name}", card.aor);
    face.auth.audit.change(ask.by(), "device removed", on, before, Value::Null).await;
    Ok(Value::Null)
}

async fn sessions(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let all = face.auth.bearers.list(ask.caller.card.account, unix_millis()).await?;
    let all = all.into_iter().map(|bearer| {
        let kind = match bearer.scopes.first().map(String::as_str) {
            Some(SCOPE) => "browser",
            Some(crate::PHONE_SCOPE) => "phone",
            _ => "token",
        };
        json!({
            "id": bearer.id, "name": bearer.name, "kind": kind, "created": bearer.created, "expires": bearer.expires,
            "current": bearer.id == ask.caller.bearer,
        })
    });
    Ok(json!({ "sessions": all.collect::<Vec<_>>() }))
}

async fn end_session(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, id) = (&ask.caller.card, ask.part("id"));
    let all = sessions(face, ask).await?["sessions"].as_array().cloned().unwrap_or_default();
    let before = all.into_iter().find(|session| session["id"] == id).unwrap_or_default();
    if !face.auth.bearers.revoke(card.account, id).await? {
        return Err(Problem::nothing("session"));
    }
    let (account, name) = (card.account, id.to_owned());
    face.tell(account, ProvisioningEvent::TokenRevoked { account, name });
    let on = format!("{} {id}", card.aor);
    face.auth.audit.change(ask.by(), "session ended", on, before, Value::Null).await;
    Ok(Value::Null)
}

async fn create_token(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, scopes) = (&ask.caller.card, ask.list("scopes").unwrap_or_default());
    let bad = |word: &&String| Scope::parse(word).is_none_or(|scope| !ask.caller.may(scope));
    if scopes.is_empty() || scopes.iter().any(|word| bad(&word)) {
        return Err(Problem::field("scopes", "a token has scopes, and none that its maker has not"));
    }
    let days = ask.number("days").unwrap_or(90);
    if !(1..=366).contains(&days) {
        return Err(Problem::field("days", "a token is good for 1 to 366 days"));
    }
    let words: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let name = shared_auth::check_shown_name(ask.text("name").unwrap_or_default())
        .map_err(|error| Problem::field("name", error.to_string()))?;
    let (lifetime, holder) = (Duration::from_secs(days * 86_400), (card.account, Holder::Person));
    let (text, bearer) = face.auth.bearers.issue(holder, &name, &words, lifetime, unix_millis()).await?;
    let (account, scopes) = (card.account, words.join(" "));
    let after = json!({ "name": name, "scopes": words, "expires": bearer.expires });
    face.tell(account, ProvisioningEvent::TokenMade { account, name, scopes });
    let on = format!("{} {}", card.aor, bearer.id);
    face.auth.audit.change(ask.by(), "token made", on, Value::Null, after).await;
    Ok(json!({ "id": bearer.id, "token": text, "expires": bearer.expires }))
}

async fn calls(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (field, most) = match (ask.number("max"), ask.number("most")) {
        (None, Some(most)) => ("most", most),
        (max, _) => ("max", max.unwrap_or(100)),
    };
    if !(1..=500).contains(&most) {
        return Err(Problem::field(field, "a page has 1 to 500 calls"));
    }
    let (account, before) = (ask.caller.card.account, ask.text("before"));
    let most = usize::try_from(most).unwrap_or(100);
    let page = crate::calls::page(&*face.archive, account, before, most).await;
    let page = page.map_err(|error| match error {
        StoreError::NoSuchEntry => {
            Problem::field("before", "this call is not in the history, or not any more")
        }
        error => error.into(),
    })?;
    Ok(json!({ "calls": page.calls, "before": page.before }))
}

async fn look_up(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    crate::directory::find(face, &ask.caller.card, ask.part("kind"), ask.part("address")).await
}

async fn remove(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let card = &ask.caller.card;
    prove_again(face, ask).await?;
    face.auth.book.remove(card.account).await?;
    face.auth
        .audit
        .change(ask.by(), "account removed by its owner", &card.aor, card_json(card), Value::Null)
        .await;
    crate::forget(&face.auth, &face.records, card.account, &card.aor).await?;
    Ok(Value::Null)
}

/// The main password once more, for what cannot be undone.
async fn prove_again(face: &Face, ask: &Ask) -> Result<(), Problem> {
    let (card, current) = (&ask.caller.card, ask.text("current").unwrap_or_default());
    let proof = Proof::Plain {
        name: card.aor.local().to_owned(),
        domain: card.aor.domain().to_owned(),
        password: current.to_owned(),
        authzid: String::new(),
    };
    // Who has a session, or a token of somebody's, guesses no faster than who has none.
    let from = ask.from.ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "this is done by a request"))?;
    let origin = Origin::new(Protocol::Provisioning, from);
    let proved = face.auth.authenticator.verify(proof, origin).await;
    match proved.as_ref().map_err(Denied::on_wire) {
        Ok(identity) if identity.account == card.account => {
            if face.auth.book.is_main(identity, current).await? {
                return Ok(());
            }
        }
        Err(OnWire::TryLater(wait)) => return Err(Problem::slow(wait)),
        Err(OnWire::TemporaryFailure) => {
            let detail = "the service cannot do this now; try again";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
        }
        Ok(_) | Err(_) => {}
    }
    face.auth.audit.note(ask.by(), "wrong password given again", &card.aor).await;
    Err(Problem {
        status: StatusCode::FORBIDDEN,
        ..Problem::field("current", "this is not the account's password")
    })
}

async fn reread(face: &Face, card: &AccountCard) -> Result<AccountCard, Problem> {
    face.auth.directory.by_id(card.account).await?.ok_or_else(|| Problem::nothing("account"))
}
