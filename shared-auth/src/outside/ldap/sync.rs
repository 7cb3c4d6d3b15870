//! Keeps accounts as the directory has them: new people get one, what changed is written, who is gone is ended.
//!
//! In    everybody in the directory, each `auth.ldap.interval`. Out changed accounts, and so facts, by which both halves end.
//! State the names that were complained of, so that the log tells of each once; who was missing in the reading before, for nobody
//!       ends who was not missing in two complete ones in a row.
//! Errors while the directory does not answer, or answers half, or names nobody, nothing is changed. If more than half of the accounts would end
//!        at once it is taken to be at fault (`auth.ldap.many_missing` says that it is not).
//! Not here: renaming. Another user name is another account; whoever gets the name of one that is gone does not get its data.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use shared_model::AccountId;
use shared_runtime::{Redacted, Shutdown};

use super::{Everybody, Ldap, LdapConfig, LdapError};
use crate::outside::{Link, Person, Policy, Registry, RegistryError, Source, is_too_many, pause};

/// Reads the directory again and again until shutdown.
pub(crate) async fn follow(ldap: Arc<Ldap>, registry: Arc<Registry>, shutdown: Shutdown) {
    let (mut complained, mut missing) = (HashSet::new(), HashSet::new());
    let (mut was_silent, mut is_first, mut nobodies) = (false, true, (0, 0));
    loop {
        let before = std::mem::take(&mut missing);
        let settled = match ldap.everybody().await {
            Ok(all) => {
                nobodies = tell_of_nobodies(&all, &ldap.config, nobodies);
                settle(&all.people, &ldap.config, &registry, &mut complained, &before, is_first).await
            }
            Err(error) => Err(error.into()),
        };
        match settled {
            Ok(now) => {
                missing = now;
                is_first = false;
                if was_silent {
                    tracing::info!("the directory answers again");
                }
                was_silent = false;
                registry.metrics.outside(Source::Ldap, "read");
            }
            Err(error) => {
                registry.metrics.outside(Source::Ldap, "failed");
                if !was_silent {
                    tracing::error!(%error, "accounts stay as they are until the directory answers");
                }
                was_silent = true;
            }
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(pause(ldap.config.interval, missing.is_empty())) => {}
        }
    }
}

/// Says who has no account, unless as many were told of `before`.
fn tell_of_nobodies(all: &Everybody, config: &LdapConfig, before: (usize, usize)) -> (usize, usize) {
    let now = (all.unfit, all.without_id);
    if now.0 > 0 && now.0 != before.0 {
        let (attribute, first) = (&config.user, Redacted(all.unfit_names.join("; ")));
        tracing::warn!(%attribute, entries = now.0, %first, "entries have no account whose user name is none that an account can have");
    }
    if now.1 > 0 && now.1 != before.1 {
        let attribute = &config.id;
        tracing::warn!(%attribute, entries = now.1, "entries without what auth.ldap.id names have no account");
    }
    now
}

/// Why accounts were not made equal to the directory.
#[derive(Debug, thiserror::Error)]
enum SyncError {
    #[error(transparent)]
    Ldap(#[from] LdapError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("the directory names nobody at all")]
    Nobody,
    #[error(
        "{gone} of {all} accounts are not in the directory any more; if that is right, set auth.ldap.many_missing until they ended"
    )]
    ManyMissing { gone: usize, all: usize },
}

/// Who is missing now, of whom those end who were so `before`. `is_first`: links are not believed, for whoever died while an account was made left one without.
async fn settle(
    people: &[Person],
    config: &LdapConfig,
    registry: &Registry,
    complained: &mut HashSet<String>,
    before: &HashSet<AccountId>,
    is_first: bool,
) -> Result<HashSet<AccountId>, SyncError> {
    if is_first && people.is_empty() {
        let (base, filter, user) = (&config.base, &config.filter, &config.user);
        tracing::warn!(%base, %filter, %user, "the directory names nobody: look at auth.ldap.base and filter, and at user, which an entry must have");
    }
    let links = registry.linked(Source::Ldap).await.map_err(RegistryError::from)?;
    let seen: HashSet<(&str, &str)> = people.iter().map(key).collect();
    let known: HashMap<(&str, &str), &Link> =
        links.iter().map(|(_, link)| (key(&link.person), link)).collect();
    for person in people {
        let link = known.get(&key(person));
        if !is_first && link.is_some_and(|link| !link.ended && !link.ending && is_same(&link.person, person))
        {
            continue;
        }
        match registry.admit(person, Policy::Create).await {
            Ok(_) => {}
            Err(error) => {
                registry.metrics.outside(Source::Ldap, "refused");
                if complained.insert(person.user.clone()) {
                    tracing::warn!(user = %Redacted(&person.user), %error, "somebody in the directory has no account");
                }
            }
        }
    }
    let there: Vec<_> = links.iter().filter(|(_, link)| !link.ended).collect();
    let all = there.len();
    if people.is_empty() && all > 0 {
        return Err(SyncError::Nobody);
    }
    let gone: Vec<_> = there.into_iter().filter(|(_, link)| !seen.contains(&key(&link.person))).collect();
    if is_too_many(gone.len(), all) && !config.many_missing {
        return Err(SyncError::ManyMissing { gone: gone.len(), all });
    }
    for (account, link) in gone.iter().filter(|(account, _)| before.contains(account)) {
        if let Err(error) = registry.end(*account, link, config.missing).await {
            tracing::error!(%account, %error, "an account that ended in the directory did not end here; it is tried again");
        }
    }
    Ok(gone.into_iter().map(|(account, _)| *account).collect())
}

/// Whether nothing changed: whoever reads does not know of which domain it is.
fn is_same(kept: &Person, read: &Person) -> bool {
    *kept == Person { domain: kept.domain.clone(), ..read.clone() }
}

/// Who it is, under which name: another name is another account.
fn key(person: &Person) -> (&str, &str) {
    (&person.subject, &person.user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::registry::tests::{person, registry};

    #[tokio::test]
    async fn nobody_ends_who_is_missing_in_the_directory_of_another_domain() {
        let (auth, main, _changes) = registry();
        let other = Registry {
            domain: "example.net".to_owned(),
            mark: "example.net".to_owned(),
            cache: Arc::clone(&main.cache),
            book: Arc::clone(&main.book),
            links: main.links.clone(),
            metrics: Arc::clone(&main.metrics),
            record: main.record.clone(),
        };
        let (alice, namesake) = (person(Source::Ldap, "1", "alice"), person(Source::Ldap, "1", "alice"));
        let (config, nobody) = (LdapConfig::default(), HashSet::new());
        let mut complained = HashSet::new();
        for _ in 0..2 {
            for (registry, person) in [(&main, &alice), (&other, &namesake)] {
                let people = std::slice::from_ref(person);
                let missing =
                    settle(people, &config, registry, &mut complained, &nobody, false).await.unwrap();
                assert!(missing.is_empty(), "{missing:?}");
            }
        }
        let (all, _) = auth.directory.list(None, 9).await.unwrap();
        let aors: Vec<&str> = all.iter().map(|card| card.aor.as_str()).collect();
        assert_eq!(aors, ["alice@example.net", "alice@example.org"]);
        let ids: HashSet<AccountId> = all.iter().map(|card| card.account).collect();
        // Another one in her place there ends the one there alone.
        let carol = [person(Source::Ldap, "3", "carol")];
        settle(&carol, &config, &other, &mut complained, &ids, false).await.unwrap();
        let (all, _) = auth.directory.list(None, 9).await.unwrap();
        let enabled: Vec<&str> =
            all.iter().filter(|card| card.enabled).map(|card| card.aor.as_str()).collect();
        assert_eq!(enabled, ["alice@example.org", "carol@example.net"]);
    }

    #[tokio::test]
    async fn who_is_missing_in_two_complete_readings_ends_and_nobody_by_an_empty_one() {
        let (auth, registry, _changes) = registry();
        let (alice, bob) = (person(Source::Ldap, "1", "alice"), person(Source::Ldap, "2", "bob"));
        let both = [alice.clone(), bob];
        let (config, mut complained) = (LdapConfig::default(), HashSet::new());
        let nobody = settle(&both, &config, &registry, &mut complained, &HashSet::new(), true).await.unwrap();
        assert!(nobody.is_empty());
        let id = registry.admit(&both[1], Policy::Never).await.unwrap();
        let is_enabled = async || auth.directory.by_id(id).await.unwrap().unwrap().enabled;
        for _ in 0..2 {
            let none = settle(&[], &config, &registry, &mut complained, &HashSet::from([id]), false).await;
            assert!(matches!(none, Err(SyncError::Nobody)), "{none:?}");
        }
        let alone = [alice];
        let missing = settle(&alone, &config, &registry, &mut complained, &nobody, false).await.unwrap();
        assert_eq!(missing, HashSet::from([id]));
        assert!(is_enabled().await, "missing once");
        settle(&alone, &config, &registry, &mut complained, &missing, false).await.unwrap();
        assert!(!is_enabled().await);
        settle(&both, &config, &registry, &mut complained, &HashSet::new(), false).await.unwrap();
        assert!(is_enabled().await, "back");
    }
}
