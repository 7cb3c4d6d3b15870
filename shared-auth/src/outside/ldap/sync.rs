//! Keeps accounts as the directory has them: new people get one, what changed is written, who is gone is ended.
//!
//! In    everybody in the directory, each `auth.ldap.interval`. Out changed accounts, and so facts, by which both halves end.
//! State the names that were complained of, so that the log tells of each once.
//! Errors while the directory does not answer, or answers half, nothing is changed. If more than half of the accounts would end
//!        at once it is taken to be at fault (`auth.ldap.many_missing` says that it is not).
//! Not here: renaming. Another user name is another account; whoever gets the name of one that is gone does not get its data.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use shared_runtime::{Redacted, Shutdown};

use super::{Ldap, LdapError};
use crate::outside::{Link, Person, Policy, Registry, RegistryError, Source};

/// Reads the directory again and again until shutdown.
pub(crate) async fn follow(ldap: Arc<Ldap>, registry: Arc<Registry>, shutdown: Shutdown) {
    let mut complained = HashSet::new();
    let (mut was_silent, mut is_first) = (false, true);
    loop {
        match once(&ldap, &registry, &mut complained, is_first).await {
            Ok(()) => {
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
            () = tokio::time::sleep(ldap.config.interval) => {}
        }
    }
}

/// Why accounts were not made equal to the directory.
#[derive(Debug, thiserror::Error)]
enum SyncError {
    #[error(transparent)]
    Ldap(#[from] LdapError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(
        "{gone} of {all} accounts are not in the directory any more; if that is right, set auth.ldap.many_missing until they ended"
    )]
    ManyMissing { gone: usize, all: usize },
}

/// `is_first`: links are not believed, for whoever died while an account was made left one without.
async fn once(
    ldap: &Ldap,
    registry: &Registry,
    complained: &mut HashSet<String>,
    is_first: bool,
) -> Result<(), SyncError> {
    let people = ldap.everybody().await?;
    let links = registry.links.all(Source::Ldap).await.map_err(RegistryError::from)?;
    let seen: HashSet<(&str, &str)> = people.iter().map(key).collect();
    let known: HashMap<(&str, &str), &Link> =
        links.iter().map(|(_, link)| (key(&link.person), link)).collect();
    for person in &people {
        let link = known.get(&key(person));
        if !is_first && link.is_some_and(|link| !link.ended && link.person == *person) {
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
    let gone: Vec<_> = there.into_iter().filter(|(_, link)| !seen.contains(&key(&link.person))).collect();
    if gone.len() >= MANY && gone.len() * 2 > all && !ldap.config.many_missing {
        return Err(SyncError::ManyMissing { gone: gone.len(), all });
    }
    for (account, link) in gone {
        registry.end(*account, link, ldap.config.missing).await?;
    }
    Ok(())
}

/// Who it is, under which name: another name is another account.
fn key(person: &Person) -> (&str, &str) {
    (&person.subject, &person.user)
}

/// Fewer accounts than this may end at once, however few there are.
const MANY: usize = 10;
