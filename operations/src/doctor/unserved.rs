//! Accounts of domains that are not served, as when `domain` was changed or one of `[[domains]]` was taken out: nobody reaches them, and they
//! reach nobody.
//!
//! In    the accounts in the order of their addresses, [`MOST`] at most. Out those of which an address is of no domain of ours, some of them
//!       by name.

use shared_auth::Auth;
use shared_model::{Aor, Domains};
use shared_store::StoreError;

/// Some accounts whose address of record or JID is of a domain that is not served: [`NAMED`] at most.
pub async fn unserved(auth: &Auth, domains: &Domains) -> Result<Vec<Aor>, StoreError> {
    let (mut found, mut after, mut rounds) = (Vec::new(), None, 0);
    loop {
        let is_meant = |card: &shared_auth::AccountCard| {
            !domains.has(card.aor.domain()) || !domains.has(card.jid.domain())
        };
        let (cards, last) = auth.directory.search(after.as_ref(), NAMED - found.len(), is_meant).await?;
        found.extend(cards.into_iter().map(|card| card.aor));
        (after, rounds) = (last, rounds + 1);
        if after.is_none() || found.len() >= NAMED || rounds >= MOST / A_ROUND {
            return Ok(found);
        }
    }
}

/// Those that are named.
const NAMED: usize = 3;
/// Accounts that are looked at.
const MOST: usize = 100_000;
/// And in one round, by whoever searches.
const A_ROUND: usize = 10_000;

#[cfg(test)]
mod tests {
    use shared_auth::{Config, NewAccount, Profile};
    use shared_runtime::bus::Bus;
    use shared_store::Store;

    use super::*;

    #[tokio::test]
    async fn accounts_of_a_domain_that_was_taken_out_are_named() {
        let folder = std::env::temp_dir().join(format!("cusax-unserved-{:016x}", shared_runtime::random()));
        let config = Config { iterations: 4096, ..Config::default() };
        let (store, counted) = (Store::in_memory(), prometheus::Registry::new());
        let auth = Auth::open(&config, &store, &folder, &Bus::new(), &counted).unwrap();
        // The keys are read; a folder that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_dir_all(&folder);
        let pairs = [
            ("a@example.org", "a@example.org"),
            ("b@old.example", "b@old.example"),
            ("c@example.org", "c@old.example"),
        ];
        for (aor, jid) in pairs {
            let (aor, jid, profile) = (aor.parse().unwrap(), jid.parse().unwrap(), Profile::default());
            auth.book.create(NewAccount { aor, jid, profile }, "pencil").await.unwrap();
        }
        let all = unserved(&auth, &Domains::new("example.org", ["old.example"])).await.unwrap();
        assert_eq!(all, []);
        let some = unserved(&auth, &Domains::new("example.org", [])).await.unwrap();
        let names: Vec<&str> = some.iter().map(|aor| aor.as_str()).collect();
        assert_eq!(names, ["b@old.example", "c@example.org"]);
    }
}
