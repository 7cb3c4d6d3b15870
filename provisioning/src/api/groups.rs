//! Groups and domains, for administrators: who is in which group, and what clients of each are told. The settings themselves are
//! profiles' (`service`).

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared_model::Groups;

use super::accounts::find;
use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, operation};
use crate::profile::Settings;
use crate::{Face, Layer};

pub(super) const TABLE: &[Operation] = &[
    Operation {
        id: "listGroups",
        method: Method::GET,
        path: "/groups",
        scope: Scope::AdminRead,
        takes: &[],
        gives: "Groups",
        summary: "Groups that have members or settings",
        run: operation!(groups),
    },
    Operation {
        id: "showGroups",
        method: Method::GET,
        path: "/accounts/{address}/groups",
        scope: Scope::AdminRead,
        takes: &[],
        gives: "OwnGroups",
        summary: "The groups of one account, here and elsewhere; of those here the first wins",
        run: operation!(of_account),
    },
    Operation {
        id: "setGroups",
        method: Method::PUT,
        path: "/accounts/{address}/groups",
        scope: Scope::AdminWrite,
        gives: "OwnGroups",
        takes: &[Field::needed("groups", Kind::List, "the names of its groups, 16 at most")],
        summary: "Puts an account into groups; its client settings and shared contacts follow",
        run: operation!(set),
    },
    Operation {
        id: "listDomains",
        method: Method::GET,
        path: "/domains",
        scope: Scope::AdminRead,
        takes: &[],
        gives: "Domains",
        summary: "The domains that are served, and what clients of each are told",
        run: operation!(domains),
    },
];

async fn groups(face: &Face, _: &Ask) -> Result<Value, Problem> {
    let mut all: BTreeMap<String, (Settings, Vec<String>)> = BTreeMap::new();
    let known = face.profiles.groups(MOST_GROUPS + 1).await?;
    let mut more = known.len() > MOST_GROUPS;
    for (group, settings) in known.into_iter().take(MOST_GROUPS) {
        all.insert(group, (settings, Vec::new()));
    }
    let members = face.profiles.members(&[], MOST_MEMBERS + 1).await;
    let members = members.map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the service cannot do this now; try again")
    })?;
    more |= members.len() > MOST_MEMBERS;
    for member in members.into_iter().take(MOST_MEMBERS) {
        for group in member.groups {
            all.entry(group).or_default().1.push(member.aor.to_string());
        }
    }
    let print =
        |(group, (settings, members))| json!({ "group": group, "settings": settings, "members": members });
    Ok(json!({ "groups": all.into_iter().map(print).collect::<Vec<_>>(), "more": more }))
}

async fn of_account(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let card = find(face, ask).await?;
    let elsewhere = face.profiles.elsewhere(card.account).await?;
    let groups = face.profiles.read(&Layer::Account(card.aor)).await?.groups;
    Ok(json!({ "groups": groups, "elsewhere": elsewhere }))
}

async fn set(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let card = find(face, ask).await?;
    let mut groups = ask.list("groups").unwrap_or_default();
    let mut seen = std::collections::HashSet::new();
    groups.retain(|group| seen.insert(group.clone()));
    if let Some(bad) = groups.iter().find(|group| format!("group:{group}").parse::<Layer>().is_err()) {
        return Err(Problem::field(
            "groups",
            format!("`{bad}` is not the name of a group: 1 to 64 bytes of text"),
        ));
    }
    let layer = Layer::Account(card.aor.clone());
    let (before, expected) = face.profiles.read_to_change(&layer).await?;
    let settings = Settings { groups, ..before.clone() };
    if let Some(fault) = settings.fault() {
        return Err(Problem::field("groups", fault));
    }
    face.profiles.replace(&layer, &settings, expected).await?;
    face.listed.forget();
    let (old, new) = (json!({ "groups": before.groups }), json!({ "groups": settings.groups }));
    face.auth.audit.change(ask.by(), "groups changed", &card.aor, old, new).await;
    let elsewhere = face.profiles.elsewhere(card.account).await?;
    Ok(json!({ "groups": settings.groups, "elsewhere": elsewhere }))
}

async fn domains(face: &Face, _: &Ask) -> Result<Value, Problem> {
    let mut all = Vec::new();
    let accounts = face.domains.iter().map(|domain| (domain, "accounts"));
    for (domain, serves) in accounts.chain([(face.rooms_domain.as_str(), "rooms")]) {
        let settings = face.profiles.read(&Layer::Domain(domain.to_owned())).await?;
        all.push(json!({ "domain": domain, "serves": serves, "settings": settings }));
    }
    Ok(json!({ "domains": all }))
}

/// Groups, and members of all of them together, in one answer.
const MOST_GROUPS: usize = 1_000;
const MOST_MEMBERS: usize = 10_000;
