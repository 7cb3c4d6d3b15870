//! Which key file a store was written with: a database that comes back without its `auth.key` is refused, for every password
//! would be wrong.
//!
//! In    the store, and the data folder before the key file of it is made.
//! Out   that they belong together, or [`KeyError::Missing`] and [`KeyError::Another`].
//! State one record: a MAC by the key over a constant, which tells nothing of the key.
//! Not here: which passwords are lost with a key; whoever has none sets them anew.

use std::path::Path;

use shared_runtime::hex;
use shared_store::{Account, Expected, Store, StoreError};

use crate::keys::{KeyError, Keys, file_in};
use crate::login::all_credentials;

/// Refuses a key file that is not the one that the accounts of `store` were written with, or is missing beside them; notes the
/// key in a store that does not know its own.
pub async fn fit_key(store: &Store, data_dir: &Path) -> Result<(), KeyError> {
    let noted = noted(store).await?;
    let keys = Keys::look(data_dir)?;
    if let (Some(noted), Some(keys)) = (&noted, &keys)
        && *noted == name_of(keys)
    {
        return Ok(());
    }
    let accounts = store.accounts.list(None, MOST).await?.accounts;
    match (keys, noted) {
        // Also without accounts: another node may be about to make one.
        (None, Some(_)) => Err(KeyError::Missing(file_in(data_dir))),
        (None, None) if accounts.iter().any(has_sealed) => Err(KeyError::Missing(file_in(data_dir))),
        (Some(_), Some(_)) => Err(KeyError::Another(file_in(data_dir))),
        // A store of a release that noted none: what the key opens, it has sealed.
        (Some(keys), None)
            if accounts.iter().any(has_sealed) && !accounts.iter().any(|a| opens(&keys, a)) =>
        {
            Err(KeyError::Another(file_in(data_dir)))
        }
        (_, None) => note_first(store, &Keys::open(data_dir)?, data_dir).await,
    }
}

/// Takes the key file that is there, or a new one, for the store's own from now on: its former one is lost.
pub async fn renew_key(store: &Store, data_dir: &Path) -> Result<(), KeyError> {
    let name = name_of(&Keys::open(data_dir)?);
    store.records.put(OWNER, COLLECTION, NAME, &name, Expected::Anything).await?;
    Ok(())
}

/// Notes the key in a store that knew none; a node that is faster is right.
async fn note_first(store: &Store, keys: &Keys, data_dir: &Path) -> Result<(), KeyError> {
    let name = name_of(keys);
    match store.records.put(OWNER, COLLECTION, NAME, &name, Expected::Absent).await {
        Ok(_) => Ok(()),
        Err(StoreError::Conflict) => match noted(store).await? == Some(name) {
            true => Ok(()),
            false => Err(KeyError::Another(file_in(data_dir))),
        },
        Err(error) => Err(error.into()),
    }
}

async fn noted(store: &Store) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(store.records.get(OWNER, COLLECTION, NAME).await?.map(|record| record.value))
}

/// What names a key and tells nothing of it.
fn name_of(keys: &Keys) -> Vec<u8> {
    hex(&keys.key_for("its name in the store")[..16]).into_bytes()
}

fn has_sealed(account: &Account) -> bool {
    all_credentials(account).any(|(_, credentials)| !credentials.ha1.is_empty())
}

fn opens(keys: &Keys, account: &Account) -> bool {
    let mut all = all_credentials(account).flat_map(|(_, credentials)| &credentials.ha1);
    all.any(|ha1| keys.open_sealed(account.id, &ha1.sealed).is_some())
}

const OWNER: &str = "cusax";
const COLLECTION: &str = "auth-key";
const NAME: &str = "name";
/// Accounts that are looked at in a store that does not know its key.
const MOST: usize = 100;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use shared_model::Protocol;
    use shared_runtime::bus::Bus;

    use super::*;
    use crate::{Auth, Config, Denied, NewAccount, Origin, Profile, Proof};

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("cusax-key-kept-{:016x}", shared_runtime::random())))
        }

        fn key(&self) -> PathBuf {
            file_in(&self.0)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const HOME: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn open(store: &Store, folder: &Folder) -> Auth {
        let config = Config { iterations: 4096, ..Config::default() };
        Auth::open(&config, store, &folder.0, &Bus::new(), &prometheus::Registry::new()).unwrap()
    }

    /// A store with an account, as it is after a first start, and its data folder.
    async fn lived_in() -> (Store, Folder) {
        let (store, folder) = (Store::in_memory(), Folder::new());
        fit_key(&store, &folder.0).await.unwrap();
        let auth = open(&store, &folder);
        let new = NewAccount {
            aor: "alice@example.org".parse().unwrap(),
            jid: shared_model::BareJid::new("alice", "example.org").unwrap(),
            profile: Profile::default(),
        };
        auth.book.create(new, "correct horse").await.unwrap();
        fit_key(&store, &folder.0).await.unwrap();
        (store, folder)
    }

    #[tokio::test]
    async fn a_restored_store_without_its_key_or_with_another_is_refused() {
        let (store, folder) = lived_in().await;
        let key = std::fs::read(folder.key()).unwrap();
        std::fs::remove_file(folder.key()).unwrap();
        let refused = fit_key(&store, &folder.0).await.unwrap_err();
        assert!(matches!(refused, KeyError::Missing(_)), "{refused}");
        assert!(!folder.key().exists(), "none is made");
        std::fs::write(folder.key(), [7; 32]).unwrap();
        let refused = fit_key(&store, &folder.0).await.unwrap_err();
        assert!(matches!(refused, KeyError::Another(_)), "{refused}");
        std::fs::write(folder.key(), &key).unwrap();
        fit_key(&store, &folder.0).await.unwrap();
        std::fs::remove_file(folder.key()).unwrap();
        renew_key(&store, &folder.0).await.unwrap();
        fit_key(&store, &folder.0).await.unwrap();
    }

    #[tokio::test]
    async fn a_password_that_is_typed_after_the_key_was_lost_makes_digest_work_again() {
        let (store, folder) = lived_in().await;
        std::fs::remove_file(folder.key()).unwrap();
        renew_key(&store, &folder.0).await.unwrap();
        let auth = open(&store, &folder);
        let origin = |protocol| Origin::new(protocol, HOME);
        let typed = async |password: &str| {
            let (name, domain) = ("alice".to_owned(), "example.org".to_owned());
            let proof = Proof::Plain { name, domain, password: password.to_owned(), authzid: String::new() };
            auth.authenticator.verify(proof, origin(Protocol::Xmpp)).await.map(drop)
        };
        let called = async || {
            let challenge = auth.authenticator.challenges("example.org", false, HOME).remove(0);
            let proof = crate::authenticator::tests::answer(&challenge, "alice", "correct horse", 1);
            auth.authenticator.verify(Proof::Digest(proof), origin(Protocol::Sip)).await.map(drop)
        };
        assert_eq!(called().await, Err(Denied::NoKey), "what the lost key sealed does not open");
        assert_eq!(typed("wrong").await, Err(Denied::WrongProof));
        assert_eq!(called().await, Err(Denied::NoKey), "a wrong password makes nothing");
        assert_eq!(typed("correct horse").await, Ok(()));
        assert_eq!(called().await, Ok(()));
        assert_eq!(typed("correct horse").await, Ok(()));
    }

    #[tokio::test]
    async fn a_store_of_before_is_judged_by_what_its_key_opens() {
        let (store, folder) = lived_in().await;
        let forget = || store.records.remove_owner(OWNER);
        forget().await.unwrap();
        fit_key(&store, &folder.0).await.unwrap();
        forget().await.unwrap();
        std::fs::write(folder.key(), [7; 32]).unwrap();
        assert!(matches!(fit_key(&store, &folder.0).await, Err(KeyError::Another(_))));
        std::fs::remove_file(folder.key()).unwrap();
        assert!(matches!(fit_key(&store, &folder.0).await, Err(KeyError::Missing(_))));
    }

    #[tokio::test]
    async fn the_first_key_is_the_stores_also_while_it_has_no_accounts() {
        let (store, first, second) = (Store::in_memory(), Folder::new(), Folder::new());
        fit_key(&store, &first.0).await.unwrap();
        let refused = fit_key(&store, &second.0).await.unwrap_err();
        assert!(matches!(refused, KeyError::Missing(_)) && !second.key().exists(), "{refused}");
        assert!(refused.to_string().contains("cusax renew-key"), "{refused}");
        std::fs::create_dir_all(&second.0).unwrap();
        std::fs::write(second.key(), [7; 32]).unwrap();
        assert!(matches!(fit_key(&store, &second.0).await, Err(KeyError::Another(_))));
        fit_key(&store, &first.0).await.unwrap();
        std::fs::remove_file(second.key()).unwrap();
        renew_key(&store, &second.0).await.unwrap();
        fit_key(&store, &second.0).await.unwrap();
    }
}
