//! Who is in address books: whoever their domain finds, kept for a while, since to know it every account and its profile is read; and
//! those contacts of who asks whom their contacts find.
//!
//! In    who asks; what happens to accounts and profiles. Out people of their domain in the order of their AORs: people of other domains
//!       are no business of theirs.
//! State a list a domain of at most [`MOST_LISTED`] people, dropped when an account or a profile of this process changes, and after [`KEPT`]:
//!       a profile that another process changes is seen then.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use shared_auth::AccountCard;
use shared_model::FoundBy;
use shared_store::StoreError;

use super::finds;
use crate::Face;

/// The list.
#[derive(Default)]
pub(crate) struct Listed(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    people: HashMap<Box<str>, (Instant, Arc<Vec<AccountCard>>)>,
    /// Counts what made lists old, so that one that was begun before is not kept after.
    age: u64,
}

impl Listed {
    /// Something changed that may be in the list.
    pub(crate) fn forget(&self) {
        let mut kept = self.kept();
        kept.people.clear();
        kept.age += 1;
    }

    /// Those whom an account finds without their addresses.
    pub(super) async fn people(
        &self,
        face: &Face,
        asker: &AccountCard,
    ) -> Result<Arc<Vec<AccountCard>>, StoreError> {
        let mut people = self.of_domain(face, asker.jid.domain()).await?;
        let contacts = contacts(face, asker).await?;
        if !contacts.is_empty() {
            let all = Arc::make_mut(&mut people);
            all.extend(contacts);
            all.sort_by(|one, other| one.aor.cmp(&other.aor));
            all.dedup_by(|one, other| one.account == other.account);
        }
        Ok(people)
    }

    /// Those whom everybody of their domain finds.
    async fn of_domain(&self, face: &Face, domain: &str) -> Result<Arc<Vec<AccountCard>>, StoreError> {
        let (known, age) = self.known(domain, Instant::now());
        if let Some(known) = known {
            return Ok(known);
        }
        let people = Arc::new(read(face, domain).await?);
        let mut kept = self.kept();
        if kept.age == age {
            kept.people.insert(domain.into(), (Instant::now(), Arc::clone(&people)));
        }
        Ok(people)
    }

    fn known(&self, domain: &str, now: Instant) -> (Option<Arc<Vec<AccountCard>>>, u64) {
        let kept = self.kept();
        let fresh = kept.people.get(domain).filter(|(since, _)| now.duration_since(*since) < KEPT);
        (fresh.map(|(_, people)| Arc::clone(people)), kept.age)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(face: &Face, domain: &str) -> Result<Vec<AccountCard>, StoreError> {
    let (mut all, mut after, mut bases) = (Vec::new(), None, HashMap::new());
    loop {
        let (cards, more) = face.auth.directory.list(after.as_ref(), PAGE).await?;
        after = cards.last().map(|card| card.aor.clone());
        for card in cards.into_iter().filter(|card| card.enabled && card.jid.domain() == domain) {
            // By the domain of what is dialled, which may be another.
            let base = match bases.entry(card.aor.domain().to_owned()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(open) => open.insert(face.profiles.base(card.aor.domain()).await?),
            };
            let settings = face.profiles.over(base, (card.account, &card.aor)).await?;
            if settings.listed.unwrap_or_default() == FoundBy::Domain {
                all.push(card);
            }
        }
        if !more || all.len() >= MOST_LISTED {
            return Ok(all);
        }
    }
}

/// Those contacts of an account that it finds.
async fn contacts(face: &Face, asker: &AccountCard) -> Result<Vec<AccountCard>, StoreError> {
    let Some(chat) = &face.own_chat else { return Ok(Vec::new()) };
    let failed = |error: String| StoreError::Backend(error);
    let mut found = Vec::new();
    for jid in chat
        .contacts(&asker.jid)
        .await
        .map_err(|error| failed(error.to_string()))?
        .into_iter()
        .take(MOST_LISTED)
    {
        let Some(card) = face.auth.directory.by_jid(&jid).await?.filter(|card| card.enabled) else {
            continue;
        };
        if finds(face, asker, &card).await.map_err(|problem| failed(problem.detail))? {
            found.push(card);
        }
    }
    Ok(found)
}

/// Accounts read at once.
const PAGE: usize = 500;
/// People in a list.
const MOST_LISTED: usize = 2_000;
/// How long a list is believed.
const KEPT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_kept_for_a_while_and_no_longer_than_it_is_true() {
        let (listed, now) = (Listed::default(), Instant::now());
        listed.kept().people.insert("x".into(), (now, Arc::default()));
        assert!(listed.known("x", now).0.is_some() && listed.known("x", now + KEPT).0.is_none());
        assert!(listed.known("y", now).0.is_none(), "people of one domain are not shown to another");
        let (_, age) = listed.known("x", now);
        listed.forget();
        assert!(listed.known("x", now).0.is_none());
        assert_ne!(listed.known("x", now).1, age, "what was begun before is not kept");
    }
}
