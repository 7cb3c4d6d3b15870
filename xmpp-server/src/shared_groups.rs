//! Shared groups: accounts of one group are in each other's rosters, and nobody takes them out — the domain's own contacts beside
//! those of RFC 6121 §2.
//!
//! ```text
//! who is in which group (provisioning) ─ each minute ─▶ Known ─▶ laid over every roster that is read (`roster`)
//!                                                         └ what differs ─▶ pushes; presence that is seen now, or not any more
//! ```
//!
//! In    accounts and their groups, from [`shared_model::Groups`]; the groups of `xmpp.shared_groups` are shown, and no others.
//! Out   [`Fellow`]s of an account; roster pushes and presence for who is here when a group changes.
//! State what was known at the last look. Rosters' versions are hashes of what is shown, so they change with it.
//! Errors a look that fails is logged, and what was known stays.
//! Not here: what an account may not do with a fellow (`features::roster`, `presence`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use shared_auth::Directory;
use shared_model::{Domains, Groups, Member};
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use crate::presence;
use crate::roster::Contact;
use crate::route;
use crate::server::Server;

/// Somebody of the same group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fellow {
    /// The name to show, possibly empty.
    pub(crate) name: Arc<str>,
    /// The groups that it is in, or has in common with somebody.
    pub(crate) groups: Vec<Arc<str>>,
}

/// Who is in which group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Bare JIDs by group.
    groups: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// What is known of each member, as a fellow of all of its groups.
    members: HashMap<Arc<str>, Fellow>,
}

impl Known {
    /// Adds a member of some groups.
    fn add(&mut self, jid: &str, name: &str, groups: impl Iterator<Item = String>) {
        let jid: Arc<str> = jid.into();
        let mut of = Vec::new();
        for group in groups {
            let group: Arc<str> = group.into();
            let members = self.groups.entry(Arc::clone(&group)).or_default();
            if members.len() < MOST_OF_ONE {
                members.push(Arc::clone(&jid));
                of.push(group);
            }
        }
        self.members.insert(jid, Fellow { name: name.into(), groups: of });
    }

    /// Everybody of the groups of an account, but the account.
    pub(crate) fn fellows(&self, owner: &str) -> BTreeMap<Arc<str>, Fellow> {
        let own = self.members.get(owner).into_iter().flat_map(|own| &own.groups);
        let all = own.filter_map(|group| self.groups.get(group)).flatten();
        let fellow = |jid: &Arc<str>| Some((Arc::clone(jid), self.fellow(owner, jid)?));
        all.filter_map(fellow).collect()
    }

    /// What two accounts have in common.
    pub(crate) fn fellow(&self, owner: &str, other: &str) -> Option<Fellow> {
        let (own, theirs) = (self.members.get(owner)?, self.members.get(other)?);
        let is_common = |group: &&Arc<str>| own.groups.contains(*group);
        let groups: Vec<_> = theirs.groups.iter().filter(is_common).cloned().collect();
        (owner != other && !groups.is_empty()).then(|| Fellow { name: Arc::clone(&theirs.name), groups })
    }
}

/// What is known, shared by all who read rosters.
#[derive(Default, Clone)]
pub(crate) struct SharedGroups(Arc<RwLock<Arc<Known>>>);

impl SharedGroups {
    /// What was known at the last look.
    pub(crate) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, known: &Arc<Known>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(known);
    }
}

/// Looks who is in which group, again and again, until shutdown.
pub(crate) async fn follow(server: Arc<Server>, groups: Arc<dyn Groups>) {
    loop {
        if let Some(after) =
            look(&server.config.shared_groups, &server.domains, &server.auth.directory, &*groups).await
        {
            let (before, after) = (server.rosters.shared.known(), Arc::new(after));
            if *before != *after {
                server.rosters.shared.set(&after);
                tell(&server, &before, &after).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(server.config.shared_groups_round) => {}
            () = server.shutdown.begun() => return,
        }
    }
}

async fn look(
    shown: &[String],
    domains: &Domains,
    directory: &Directory,
    groups: &dyn Groups,
) -> Option<Known> {
    let members = match groups.members(shown, MOST_MEMBERS).await {
        Ok(members) => members,
        Err(_) => {
            tracing::error!("it cannot be said who is in which group");
            return None;
        }
    };
    let mut known = Known::default();
    let mut found = Vec::new();
    for Member { aor, groups } in members {
        let of: Vec<String> = groups.into_iter().filter(|group| shown.contains(group)).collect();
        if of.is_empty() {
            continue;
        }
        match directory.by_aor(&aor).await {
            Ok(Some(card)) if card.enabled && domains.has(card.jid.domain()) => found.push((card, of)),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "a member of a group cannot be read");
                return None;
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.jid.as_str().cmp(b.jid.as_str()));
    for (card, of) in found {
        known.add(card.jid.as_str(), &card.name, of.into_iter());
    }
    Some(known)
}

/// Tells everybody who is here what is different for them.
async fn tell(server: &Server, before: &Known, after: &Known) {
    let here: Vec<Jid> = server.router.bares().iter().filter_map(|bare| bare.parse().ok()).collect();
    for user in &here {
        let (had, has) = (before.fellows(user.as_str()), after.fellows(user.as_str()));
        let names = had.keys().chain(has.keys().filter(|jid| !had.contains_key(*jid)));
        let changed: Vec<_> = names.filter(|name| had.get(*name) != has.get(*name)).collect();
        if changed.is_empty() {
            continue;
        }
        let entries = match server.rosters.all(user.as_str()).await {
            Ok(entries) => entries.into_iter().map(|(jid, entry)| (jid.to_string(), entry)),
            Err(error) => {
                tracing::error!(%error, "a roster could not be read");
                continue;
            }
        };
        let entries: HashMap<String, Contact> = entries.collect();
        let entry = |name: &str| entries.get(name).cloned().unwrap_or_default();
        let fellows = changed.iter().filter_map(|name| Some((name, name.parse::<Jid>().ok()?)));
        let fellows: Vec<_> = fellows.collect();
        let items = fellows.iter().map(|(name, fellow)| item(&entry(name), fellow)).collect();
        presence::push_all(server, user, items).await;
        for (name, fellow) in &fellows {
            let (saw, sees) = (had.contains_key(**name), has.contains_key(**name));
            if sees != saw && (sees || !entry(name).subscription().to) {
                show(server, user, fellow, sees);
            }
        }
    }
}

/// An entry as it is pushed, or that there is none any more.
fn item(entry: &Contact, fellow: &Jid) -> Element {
    match entry.is_listed {
        true => entry.to_item(fellow).to_element(),
        false => Element::new("item", ns::ROSTER).with("jid", fellow).with("subscription", "remove"),
    }
}

/// Sends what is to be seen of somebody, or that nothing is any more.
fn show(server: &Server, user: &Jid, fellow: &Jid, sees: bool) {
    for session in server.router.sessions(fellow.as_str()) {
        let Some(presence) = &session.presence else { continue };
        let presence = match sees {
            true => crate::reach::shown(server, &session.jid, presence),
            false => Stanza::new(Kind::Presence, Some("unavailable")),
        };
        for viewer in server.router.sessions(user.as_str()).iter().filter(|viewer| viewer.presence.is_some())
        {
            route::pass(server, presence.clone().addressed(Some(&session.jid), Some(&viewer.jid)));
        }
    }
}

/// How often it is looked who is in which group.
pub(crate) const ROUND: Duration = Duration::from_secs(60);
/// Accounts in groups that are looked at.
const MOST_MEMBERS: usize = 50_000;
/// Members of one group that are shown.
const MOST_OF_ONE: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fellows_are_of_one_group_at_least_and_never_oneself() {
        let mut known = Known::default();
        for (jid, groups) in
            [("a@x", "sales,board"), ("b@x", "sales"), ("c@x", "board,sales"), ("d@x", "lab")]
        {
            known.add(jid, "", groups.split(',').map(str::to_owned));
        }
        let groups = |fellow: Option<Fellow>| fellow.map(|fellow| fellow.groups.join(","));
        assert_eq!(groups(known.fellow("a@x", "c@x")).as_deref(), Some("board,sales"));
        assert_eq!(groups(known.fellow("b@x", "c@x")).as_deref(), Some("sales"));
        for (one, other) in [("a@x", "a@x"), ("a@x", "d@x"), ("a@x", "e@x"), ("e@x", "a@x")] {
            assert_eq!(known.fellow(one, other), None, "{one} and {other}");
        }
        assert_eq!(known.fellows("a@x").into_keys().collect::<Vec<_>>(), ["b@x".into(), "c@x".into()]);
    }
}
