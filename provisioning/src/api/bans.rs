//! Who may not come in now, for administrators: accounts that are disabled, accounts and networks that are slowed down since too many
//! proofs failed, and how that is lifted; whom an administrator bans, which is networks, and addresses and domains of elsewhere. Disabling and
//! enabling is `changeAccount`'s.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared_auth::{AccountCard, Ban, BanError, Banned, Network, SlowedAccount, card_json};
use shared_model::{Aor, ProvisioningEvent};

use super::accounts::kept_address;
use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, operation};
use crate::Face;

pub(super) const TABLE: &[Operation] = &[
    Operation {
        id: "listBans",
        method: Method::GET,
        path: "/bans",
        scope: Scope::AdminRead,
        gives: "Bans",
        takes: &[
            Field::open("text", Kind::Text, "a part of an address, the name or a number of an account"),
            Field::open("after", Kind::Text, "the address behind which to go on with accounts"),
            Field::open("max", Kind::Number, "how many accounts at most; 200 by default and at most"),
        ],
        summary: "Accounts that are disabled or slowed down, networks that are slowed down, and whom administrators ban",
        run: operation!(list),
    },
    Operation {
        id: "makeBan",
        method: Method::POST,
        path: "/bans",
        scope: Scope::AdminWrite,
        gives: "Ban",
        takes: &[
            Field::needed(
                "who",
                Kind::Text,
                "a network such as 192.0.2.0/24, or of elsewhere an address such as eve@example.net, a domain, or a number such as +33123456789",
            ),
            Field::needed("reason", Kind::Text, "why, for administrators; 1 to 200 characters"),
            Field::needed("hours", Kind::Number, "how long it lasts; 1 to 8784"),
        ],
        summary: "Keeps a network, an address, a domain or a number out of calls, chat and these pages from now on; one that is there gives way",
        run: operation!(make),
    },
    Operation {
        id: "removeBan",
        method: Method::DELETE,
        path: "/bans/{who}",
        scope: Scope::AdminWrite,
        gives: "",
        takes: &[],
        summary: "Lifts a ban that an administrator made",
        run: operation!(remove),
    },
    Operation {
        id: "liftBan",
        method: Method::POST,
        path: "/bans/lift",
        scope: Scope::AdminWrite,
        gives: "",
        takes: &[
            Field::open("network", Kind::Text, "a network, such as 192.0.2.1/32"),
            Field::open("address", Kind::Text, "the address of an account"),
        ],
        summary: "Forgets the failed proofs of a network or an account",
        run: operation!(lift),
    },
];

async fn list(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let after = match ask.text("after").filter(|after| !after.is_empty()) {
        Some(after) => Some(Aor(kept_address(face, "after", after)?)),
        None => None,
    };
    let max = ask.number("max").map_or(MOST_ACCOUNTS, |max| max.clamp(1, MOST_ACCOUNTS as _) as usize);
    let slowed = face.auth.authenticator.slowed_accounts();
    let of = |card: &AccountCard| slowed.of(&[card.aor.as_str(), card.jid.as_str()]);
    let text = ask.text("text").map(str::trim).unwrap_or_default();
    // As many as one answer may take time for are looked at; who asks goes on where it ended.
    let is_meant = |card: &AccountCard| (!card.enabled || of(card).is_some()) && card.has_text(text);
    let (cards, after) = face.auth.directory.search(after.as_ref(), max, is_meant).await?;
    let found = cards.iter().map(|card| {
        let mut ban = to_json(of(card).unwrap_or_default());
        ban["account"] = card_json(card);
        ban
    });
    let networks = face.auth.authenticator.slowed(MOST_NETWORKS).into_iter().map(|slowed| {
        json!({
            "network": slowed.network.to_string(), "failures": slowed.failures, "seconds": slowed.wait.as_secs().max(1),
        })
    });
    let made: Vec<Value> = face.auth.bans.all().await?.iter().map(Ban::to_json).collect();
    Ok(json!({
        "made": made, "networks": networks.collect::<Vec<_>>(), "accounts": found.collect::<Vec<_>>(), "after": after,
    }))
}

/// For how long nothing is looked at for an account, and where.
fn to_json(SlowedAccount { wait, networks }: SlowedAccount) -> Value {
    let networks = networks
        .into_iter()
        .map(|(network, wait)| json!({ "network": network.to_string(), "seconds": wait.as_secs().max(1) }));
    json!({ "seconds": wait.map(|wait| wait.as_secs().max(1)), "networks": networks.collect::<Vec<_>>() })
}

async fn make(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let who: Banned = ask.text("who").unwrap_or_default().parse()?;
    if let (Banned::Network(network), Some(from)) = (&who, ask.from)
        && network.contains(from)
    {
        return Err(Problem::field("who", "you come from there yourself"));
    }
    let term = Duration::from_secs(ask.number("hours").unwrap_or_default().saturating_mul(3600));
    if let Banned::Number(number) = &who
        && face.auth.directory.by_number(number).await?.is_some()
    {
        return Err(BanError::Ours.into());
    }
    let (ban, before) = face.auth.bans.make(who, ask.text("reason").unwrap_or_default(), term).await?;
    let before = before.map_or(Value::Null, |ban| ban.to_json());
    face.auth.audit.change(ask.by(), "banned", &ban.who, before, ban.to_json()).await;
    let account = ask.caller.card.account;
    face.tell(account, ProvisioningEvent::Banned { account: Some(account), who: ban.who.to_string() });
    Ok(ban.to_json())
}

async fn remove(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    // What is no name of a ban names none.
    let who: Banned = ask.part("who").parse().map_err(|_| Problem::nothing("ban"))?;
    let before = face.auth.bans.lift(&who).await?.ok_or_else(|| Problem::nothing("ban"))?;
    face.auth.audit.change(ask.by(), "ban lifted", &who, before.to_json(), Value::Null).await;
    let account = ask.caller.card.account;
    face.tell(account, ProvisioningEvent::BanLifted { account: Some(account), who: who.to_string() });
    Ok(Value::Null)
}

impl From<BanError> for Problem {
    fn from(error: BanError) -> Self {
        match error {
            BanError::Store(error) => error.into(),
            BanError::BadReason => Self::field("reason", error.to_string()),
            BanError::NumberBanned(_) => Self::field("numbers", error.to_string()),
            BanError::BadTerm => Self::field("hours", error.to_string()),
            BanError::TooMany => {
                Self { status: StatusCode::CONFLICT, ..Self::field("who", error.to_string()) }
            }
            _ => Self::field("who", error.to_string()),
        }
    }
}

async fn lift(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let given = |name| ask.text(name).filter(|text| !text.is_empty());
    match (given("network"), given("address")) {
        (Some(text), None) => {
            let network: Network = text.parse().map_err(|rule: String| Problem::field("network", rule))?;
            let all = face.auth.authenticator.slowed(MOST_NETWORKS);
            let before = all.into_iter().find(|slowed| slowed.network == network);
            if !face.auth.authenticator.lift_network(&network) {
                return Err(Problem::nothing("ban"));
            }
            let before = before.map_or(
                Value::Null,
                |ban| json!({ "failures": ban.failures, "seconds": ban.wait.as_secs().max(1) }),
            );
            face.auth.audit.change(ask.by(), "network freed", network, before, Value::Null).await;
        }
        (None, Some(text)) => {
            let aor = Aor(kept_address(face, "address", text)?);
            let card = face.auth.directory.by_aor(&aor).await?.ok_or_else(|| Problem::nothing("account"))?;
            let slowed = face.auth.authenticator.slowed_accounts();
            let before = slowed.of(&[card.aor.as_str(), card.jid.as_str()]).map_or(Value::Null, to_json);
            face.auth.authenticator.lift_account(&card);
            face.auth.audit.change(ask.by(), "account freed", &card.aor, before, Value::Null).await;
        }
        _ => return Err(Problem::field("network", "one of `network` and `address` is given")),
    }
    Ok(Value::Null)
}

/// Accounts after which an answer is full.
const MOST_ACCOUNTS: usize = 200;
const MOST_NETWORKS: usize = 500;
