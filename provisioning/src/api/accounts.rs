//! Accounts, for administrators.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared_auth::{AccountCard, NewAccount, Opens, Profile, card_json, check_password};
use shared_model::{Address, AddressError, Aor, BareJid, Groups};
use shared_runtime::unix_millis;

use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, operation};
use crate::Face;
use crate::address::address_in;

const NAME: Field = Field::open("name", Kind::Text, "the name to show");
const NUMBERS: Field = Field::open("numbers", Kind::List, "telephone numbers, E.164 with their plus");
const VIDEO: Field = Field::open("video", Kind::Flag, "may make video calls");
const ADMIN: Field = Field::open("admin", Kind::Flag, "administers the service");

pub(super) const TABLE: &[Operation] = &[
    Operation {
        id: "listAccounts",
        method: Method::GET,
        path: "/accounts",
        scope: Scope::AdminRead,
        gives: "Accounts",
        takes: &[
            Field::open("text", Kind::Text, "a part of an address, the name or a number"),
            Field::open("group", Kind::Text, "a group in which it is"),
            Field::open("after", Kind::Text, "the address behind which to go on"),
            Field::open("max", Kind::Number, "how many at most; 100 by default, 500 at most"),
        ],
        summary: "Accounts in the order of their addresses, all or those that are searched",
        run: operation!(list),
    },
    Operation {
        id: "createAccount",
        method: Method::POST,
        path: "/accounts",
        scope: Scope::AdminWrite,
        gives: "NewAccount",
        takes: &[
            Field::needed(
                "address",
                Kind::Text,
                "what people dial, and what they chat with unless `jid` says otherwise",
            ),
            Field::open("jid", Kind::Text, "what people chat with"),
            Field::open(
                "password",
                Kind::Text,
                "the password; without one a link is made by which its owner sets it",
            ),
            NAME,
            NUMBERS,
            VIDEO,
            ADMIN,
        ],
        summary: "Makes an account",
        run: operation!(create),
    },
    Operation {
        id: "showOneAccount",
        method: Method::GET,
        path: "/accounts/{address}",
        scope: Scope::AdminRead,
        takes: &[],
        gives: "Account",
        summary: "One account, by its address or JID",
        run: operation!(show),
    },
    Operation {
        id: "changeAccount",
        method: Method::PATCH,
        path: "/accounts/{address}",
        scope: Scope::AdminWrite,
        gives: "Account",
        takes: &[NAME, NUMBERS, VIDEO, ADMIN, Field::open("enabled", Kind::Flag, "may log in")],
        summary: "Changes what is given and leaves the rest",
        run: operation!(change),
    },
    Operation {
        id: "removeOneAccount",
        method: Method::DELETE,
        path: "/accounts/{address}",
        scope: Scope::AdminWrite,
        takes: &[],
        gives: "",
        summary: "Removes an account for good",
        run: operation!(remove),
    },
    Operation {
        id: "makeResetLink",
        method: Method::POST,
        path: "/accounts/{address}/reset-link",
        scope: Scope::AdminWrite,
        takes: &[],
        gives: "Link",
        summary: "Makes a link by which its owner sets a new password",
        run: operation!(reset_link),
    },
    Operation {
        id: "showOneState",
        method: Method::GET,
        path: "/accounts/{address}/state",
        scope: Scope::AdminRead,
        takes: &[],
        gives: "State",
        summary: "Both halves of one account as they are now",
        run: operation!(state),
    },
];

async fn list(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let after = match ask.text("after").filter(|after| !after.is_empty()) {
        Some(after) => Some(Aor(kept_address(face, "after", after)?)),
        None => None,
    };
    let max = ask.number("max").map_or(100, |max| max.clamp(1, 500) as usize);
    let given = |name| ask.text(name).map(str::trim).filter(|text| !text.is_empty());
    let is_meant = |card: &AccountCard| given("text").is_none_or(|text| card.has_text(text));
    let (cards, next) = match given("group") {
        Some(group) => in_group(face, group, after.as_ref(), max, is_meant).await?,
        None => face.auth.directory.search(after.as_ref(), max, is_meant).await?,
    };
    Ok(json!({
        "accounts": cards.iter().map(card_json).collect::<Vec<_>>(), "more": next.is_some(), "after": next,
    }))
}

/// The same among the members of a group.
async fn in_group(
    face: &Face,
    group: &str,
    after: Option<&Aor>,
    max: usize,
    is_meant: impl Fn(&AccountCard) -> bool,
) -> Result<(Vec<AccountCard>, Option<Aor>), Problem> {
    let members = face.profiles.members(&[group.to_owned()], MOST_MEMBERS).await;
    let members = members.map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the service cannot do this now; try again")
    })?;
    let (mut found, mut last) = (Vec::new(), None);
    // In the order of their AORs.
    for member in members.into_iter().filter(|member| after.is_none_or(|after| member.aor > *after)) {
        if found.len() >= max {
            return Ok((found, last));
        }
        found.extend(face.auth.directory.by_aor(&member.aor).await?.filter(&is_meant));
        last = Some(member.aor);
    }
    Ok((found, None))
}

async fn create(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let aor = address(face, "address", ask.text("address").unwrap_or_default())?;
    let jid = match ask.text("jid").filter(|jid| !jid.is_empty()) {
        Some(jid) => address(face, "jid", jid)?,
        None => aor.clone(),
    };
    let profile = profile(ask, Profile::default())?;
    face.auth.bans.check_numbers(&profile.numbers, &[]).await?;
    let given = ask.text("password").filter(|password| !password.is_empty());
    // Whoever chooses it: telephones are reached from everywhere.
    if let Some(given) = given {
        check_password(given, aor.local()).map_err(|error| Problem::field("password", error.to_string()))?;
    }
    // Nobody knows a password that is made here, so that nobody can log in before its owner sets one.
    let made = (0..4).map(|_| format!("{:016x}", shared_runtime::random())).collect::<String>();
    let (aor, jid) = (Aor(aor), BareJid(jid));
    face.auth.invites.check_free(&face.domains, (&aor, &jid), unix_millis()).await?;
    let new = NewAccount { aor, jid, profile };
    let card = face.auth.book.create(new, given.unwrap_or(&made)).await?;
    face.auth.audit.change(ask.by(), "account created", &card.aor, Value::Null, card_json(&card)).await;
    let link = match given {
        Some(_) => None,
        None => Some(link_for(face, ask, &card).await?),
    };
    Ok(json!({ "account": card_json(&card), "link": link }))
}

async fn show(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    Ok(card_json(&find(face, ask).await?))
}

async fn change(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let card = find(face, ask).await?;
    let same = Profile {
        name: card.name.clone(),
        numbers: card.numbers.clone(),
        video: card.video,
        admin: card.admin,
    };
    let (wanted, enabled) = (profile(ask, same.clone())?, ask.flag("enabled").unwrap_or(card.enabled));
    let is_self = card.account == ask.caller.card.account;
    if is_self && (!enabled || !wanted.admin) {
        return Err(Problem::new(StatusCode::CONFLICT, "nobody takes these rights from themselves"));
    }
    face.auth.bans.check_numbers(&wanted.numbers, &same.numbers).await?;
    if wanted != same {
        face.auth.book.set_profile(card.account, wanted).await?;
    }
    if enabled != card.enabled {
        face.auth.book.set_enabled(card.account, enabled).await?;
    }
    let after = face.auth.directory.by_id(card.account).await?.ok_or_else(|| Problem::nothing("account"))?;
    let (before, now) = (card_json(&card), card_json(&after));
    face.auth.audit.change(ask.by(), "account changed", &card.aor, before, now).await;
    Ok(card_json(&after))
}

async fn remove(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let card = find(face, ask).await?;
    if card.account == ask.caller.card.account {
        return Err(Problem::new(StatusCode::CONFLICT, "the own account is removed at /account"));
    }
    face.auth.book.remove(card.account).await?;
    face.auth.audit.change(ask.by(), "account removed", &card.aor, card_json(&card), Value::Null).await;
    crate::forget(&face.auth, &face.records, card.account, &card.aor).await?;
    Ok(Value::Null)
}

async fn reset_link(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let card = find(face, ask).await?;
    Ok(json!({ "link": link_for(face, ask, &card).await? }))
}

async fn state(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    Ok(crate::state::of(face, &find(face, ask).await?).await?.to_json())
}

async fn link_for(face: &Face, ask: &Ask, card: &AccountCard) -> Result<String, Problem> {
    let (opens, by) = (Opens::Password { account: card.account }, Some(ask.caller.card.account));
    let (text, _) = face.auth.invites.create(&face.domains, opens, by, DAY, unix_millis()).await?;
    face.auth.audit.note(ask.by(), "reset link made", &card.aor).await;
    Ok(face.url(&format!("/invite/{text}")))
}

/// What is given, over what was there.
fn profile(ask: &Ask, same: Profile) -> Result<Profile, Problem> {
    let name = match ask.text("name") {
        Some(name) => {
            shared_auth::check_shown_name(name).map_err(|error| Problem::field("name", error.to_string()))?
        }
        None => same.name,
    };
    Ok(Profile {
        name,
        numbers: ask.list("numbers").unwrap_or(same.numbers),
        video: ask.flag("video").unwrap_or(same.video),
        admin: ask.flag("admin").unwrap_or(same.admin),
    })
}

pub(super) async fn find(face: &Face, ask: &Ask) -> Result<AccountCard, Problem> {
    let nothing = || Problem::nothing("account");
    let address = Address::kept(&address_in(ask.part("address"))).map_err(|_| nothing())?;
    if let Some(card) = face.auth.directory.by_aor(&Aor(address.clone())).await? {
        return Ok(card);
    }
    face.auth.directory.by_jid(&BareJid(address)).await?.ok_or_else(nothing)
}

pub(super) fn address(face: &Face, field: &'static str, text: &str) -> Result<Address, Problem> {
    of_ours(face, field, text.parse())
}

/// Of an account that there is, made by an older release perhaps.
pub(super) fn kept_address(face: &Face, field: &'static str, text: &str) -> Result<Address, Problem> {
    of_ours(face, field, Address::kept(text))
}

fn of_ours(
    face: &Face,
    field: &'static str,
    read: Result<Address, AddressError>,
) -> Result<Address, Problem> {
    let address = read.map_err(|error| Problem::field(field, format!("{error}")))?;
    if !face.domains.has(address.domain()) {
        return Err(not_of(face, field));
    }
    Ok(address)
}

/// What a field gets that is of a domain which is none of ours.
pub(super) fn not_of(face: &Face, field: &'static str) -> Problem {
    let all: Vec<&str> = face.domains.iter().collect();
    Problem::field(field, format!("accounts here are of the domain {}", all.join(", ")))
}

/// Members of a group that are looked at.
const MOST_MEMBERS: usize = 10_000;
/// How long a link for a password is good.
const DAY: Duration = Duration::from_secs(86_400);
