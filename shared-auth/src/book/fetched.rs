//! The password that a device fetches for itself: made, paid for by its token, announced and noted in one transaction.
//!
//! In    whose, how the device is called, the token that lets it in if one does. Out the device and its password.
//! Errors [`BookError::Spent`] where somebody else used the token meanwhile. Of several devices of an account at once one is first, and
//!        the others begin anew with what is there then.

use serde_json::Value;
use shared_model::{AccountEvent, ProvisioningEvent};
use shared_store::{Account, Along, StoreError};

use super::{AccountBook, BookError, Device, Put, place_of, set_app_password};
use crate::audit::{self, By};
use crate::cache::Name;
use crate::{AccountCard, Auth, Token};

/// How a device is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceName<'a> {
    /// So; the password that it had holds until then, and no more.
    Own(&'a str),
    /// So, with a number behind it where another one is called so.
    Like(&'a str),
}

impl Auth {
    /// The name that a device would get now which is called like others.
    pub async fn free_device_name(&self, card: &AccountCard, stem: &str) -> Result<String, StoreError> {
        let account = self.cache.find(Name::Id(card.account)).await?.ok_or(StoreError::NoSuchAccount)?;
        Ok(free_name(&account, stem))
    }

    /// Makes the password of a device that only calls, as it fetches its configuration, by a token perhaps that was shown: in chat it is no
    /// password. `told` is what the audit shows of the device; `now` is stored as its date.
    pub async fn fetch_password(
        &self,
        card: &AccountCard,
        name: DeviceName<'_>,
        token: Option<&Token>,
        now: i64,
        told: impl Fn(&Device) -> Value + Send + Sync,
    ) -> Result<(Device, String), BookError> {
        let by = By::from(card);
        let on = |device: &Device| format!("{} {}", card.aor, device.name);
        let place = token.map(|token| token.place().ok_or(BookError::Spent)).transpose()?;
        // As it was when it was proved: if it is another meanwhile, it is not the version that is replaced.
        let mut account = self.cache.find(Name::Id(card.account)).await?;
        for _ in 0..MOST_TRIES {
            let along = |device: &Device| Along {
                spent: place.cloned().into_iter().collect(),
                entries: vec![audit::entry(&by, MADE, &on(device), Value::Null, told(device))],
                ..Along::default()
            };
            let read = account.take().ok_or(StoreError::NoSuchAccount)?;
            if token.is_some_and(|token| !token.fits(&read, now)) {
                return Err(BookError::Spent);
            }
            match self.book.fetched(Account::clone(&read), name, now, along).await {
                Err(BookError::Store(StoreError::Conflict)) => {
                    if let Some(place) = place
                        && !self.tokens.is_unspent(place).await?
                    {
                        return Err(BookError::Spent);
                    }
                    account = self.cache.ask(Name::Id(card.account)).await?;
                }
                Ok((device, password)) => {
                    self.audit.wrote(&by, MADE, &on(&device), Ok(())).await;
                    return Ok((device, password));
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict.into())
    }
}

impl AccountBook {
    async fn fetched(
        &self,
        mut account: Account,
        name: DeviceName<'_>,
        now: i64,
        along: impl FnOnce(&Device) -> Along,
    ) -> Result<(Device, String), BookError> {
        let id = account.id;
        let name = match name {
            DeviceName::Own(name) => name.to_owned(),
            DeviceName::Like(stem) => free_name(&account, stem),
        };
        let place = place_of(&account, &name, Put::Anew)?;
        let (app, password) = self.calls_password(&account, &name, now)?;
        let device = Device { name: name.clone(), created: now, opens_chat: app.opens_chat };
        let changed = AccountEvent::Changed { account: id };
        let mut along = along(&device);
        along.put.push(self.heralds.announcements.record(&changed));
        set_app_password(&mut account, place, app);
        let updated = self.cache.store().update_along(&account, &along).await;
        // Of what was changed meanwhile, who changed it knew; what else failed may be written all the same.
        if updated != Err(StoreError::Conflict) {
            self.cache.forget(&account);
        }
        updated?;
        self.publish(changed);
        self.note(id, ProvisioningEvent::DevicePasswordMade { account: id, device: name });
        Ok((device, password))
    }
}

fn free_name(account: &Account, stem: &str) -> String {
    let taken = &account.app_passwords;
    let is_free = |name: &String| !taken.iter().any(|taken| taken.name.eq_ignore_ascii_case(name));
    let names = (2..).map(|n| format!("{stem}-{n}"));
    // The names do not end, and those that are taken do.
    std::iter::once(stem.to_owned()).chain(names).find(is_free).unwrap_or_default()
}

const MADE: &str = "device password made";
/// How often it is begun anew: more than the devices of an account, of which each round one is done.
const MOST_TRIES: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared_runtime::{bus::Bus, unix_millis};
    use shared_store::Store;

    use shared_model::AccountId;

    use super::*;
    use crate::{Config, NewAccount, Profile, hash};

    async fn issue(auth: &Auth, account: AccountId) -> String {
        let hour = Duration::from_secs(3600);
        auth.tokens.issue("phone", Some(account), "", hour, unix_millis()).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn phones_of_one_account_that_come_at_once_have_a_password_each_and_a_token_makes_one() {
        let folder =
            std::env::temp_dir().join(format!("cusax-fetched-{}", shared_runtime::hex(&hash::random::<8>())));
        let store = Store::open(&format!("sqlite://{}/cusax.db", folder.display())).await.unwrap();
        let config = Config { iterations: 4096, ..Config::default() };
        let registry = prometheus::Registry::new();
        let auth = Auth::open(&config, &store, &folder, &Bus::new(), &registry).unwrap();
        let address = "alice@example.org";
        let (aor, jid) = (address.parse().unwrap(), address.parse().unwrap());
        let new = NewAccount { aor, jid, profile: Profile::default() };
        let alice = auth.book.create(new, "pencil").await.unwrap();
        let fetch = |token: String| {
            let (auth, alice) = (auth.clone(), alice.clone());
            tokio::spawn(async move {
                let token = auth.tokens.peek("phone", &token, 1).await.unwrap().ok_or(BookError::Spent)?;
                let name = DeviceName::Like("linphone");
                auth.fetch_password(&alice, name, Some(&token), 1, |device| device.name.as_str().into()).await
            })
        };
        let mut all = Vec::new();
        for _ in 0..12 {
            all.push(issue(&auth, alice.account).await);
        }
        let (mut names, mut at_once) = (Vec::new(), Vec::new());
        for one in all.into_iter().map(&fetch).collect::<Vec<_>>() {
            names.push(one.await.unwrap().unwrap().0.name);
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 12, "{names:?}");

        let token = issue(&auth, alice.account).await;
        for one in (0..8).map(|_| fetch(token.clone())).collect::<Vec<_>>() {
            at_once.push(one.await.unwrap().map(drop));
        }
        assert_eq!(at_once.iter().filter(|one| one.is_ok()).count(), 1, "{at_once:?}");
        assert_eq!(at_once.iter().filter(|one| **one == Err(BookError::Spent)).count(), 7, "{at_once:?}");
        assert_eq!(auth.book.app_passwords(alice.account).await.unwrap().len(), 13);
        let told = auth.audit.page(None, 99).await.unwrap();
        assert_eq!(told.iter().filter(|(_, entry)| entry["what"] == MADE).count(), 13, "one entry each");
        // A folder that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_dir_all(&folder);
    }
}
