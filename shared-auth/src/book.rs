//! The book of accounts: everything that changes one.
//!
//! In    what an operator, a user or an invitation asks for.
//! Out   the changed account, and an `AccountEvent` fact.
//! Errors [`BookError`] names what is wrong with the request.
//!
//! A password change writes every verifier in one transaction. PBKDF2 runs beside the async tasks.

mod fetched;
mod transfer;
mod upgrade;

use std::sync::Arc;

use shared_model::{AccountEvent, AccountId, Aor, BareJid, Correlation, Fact, ProvisioningEvent};
use shared_runtime::bus::Bus;
use shared_runtime::unix_millis;
use shared_store::{Account, AppPassword, Credentials, DigestAlgorithm, StoreError};
use subtle::ConstantTimeEq;

pub use fetched::DeviceName;
pub(crate) use transfer::lacking;
pub use upgrade::Upgrade;

use crate::announce::Announcements;
use crate::cache::{AccountCache, Name};
use crate::hash;
use crate::keys::Keys;
use crate::password::{self, Owner, PasswordError};
use crate::{AccountCard, Config, GoneAccounts, How, Identity, Links, Source, is_trial_name};

/// Creates and changes accounts.
pub struct AccountBook {
    iterations: u32,
    cache: Arc<AccountCache>,
    keys: Arc<Keys>,
    heralds: Heralds,
}

/// Whom the book tells of changes.
pub(crate) struct Heralds {
    pub(crate) bus: Bus<Fact>,
    pub(crate) announcements: Announcements,
    pub(crate) gone: GoneAccounts,
    pub(crate) links: Links,
}

/// An account to create; it is enabled at once.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// What people dial.
    pub aor: Aor,
    /// What people chat with.
    pub jid: BareJid,
    /// What is not a name to log in with.
    pub profile: Profile,
}

/// What may change about an account without a password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name to show, possibly empty.
    pub name: String,
    /// Telephone numbers, E.164; spaces, hyphens and parentheses are removed.
    pub numbers: Vec<String>,
    /// Whether it may make video calls.
    pub video: bool,
    /// Whether it administers the service.
    pub admin: bool,
}

/// A device that has a password of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Unique in the account.
    pub name: String,
    /// When the password was made, milliseconds since 1970.
    pub created: i64,
    /// Whether it is good for chat, too, or for calls alone.
    pub opens_chat: bool,
}

/// Why an account was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The password cannot be used.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Not a number as E.164 writes it.
    #[error("`{0}` is not a telephone number as E.164 writes it: a plus and 7 to 15 digits")]
    BadNumber(String),
    /// An app password's name is 1–32 letters, digits, hyphens and underscores.
    #[error("an app password is named with 1 to 32 letters, digits, hyphens and underscores")]
    BadAppName,
    /// The account has an app password of this name.
    #[error("there is an app password of this name")]
    AppNameTaken,
    /// The account has no app password of this name.
    #[error("there is no app password of this name")]
    NoSuchApp,
    /// The account has as many app passwords as it may.
    #[error("an account has at most {MOST_APP_PASSWORDS} app passwords")]
    TooManyApps,
    /// Somebody else used the token meanwhile.
    #[error("the token is used up")]
    Spent,
    /// The name holds a plus, which separates the name of an app password.
    #[error("the name of an account may not hold a plus")]
    BadName,
    /// Only the service itself has accounts of such names, to try itself with.
    #[error("names of this kind are those of accounts that the service tries itself with (cusax doctor)")]
    TrialName,
    /// An account that had one of the names was removed, and what was its is still being erased.
    #[error("the data of the former owner of this name are being erased; try again later")]
    StillErased,
    /// An open invitation keeps the name for whoever has it.
    #[error(
        "an open invitation keeps this name: it is to be followed, or taken back first (cusax invite list)"
    )]
    Invited,
    /// Another system keeps the person and the password.
    #[error("the password of this account is kept elsewhere ({}) and changed there; devices get passwords of their own", .0.as_str())]
    KeptElsewhere(Source),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccountBook {
    pub(crate) fn new(config: &Config, cache: Arc<AccountCache>, keys: Arc<Keys>, heralds: Heralds) -> Self {
        Self { iterations: config.iterations.max(LEAST_ITERATIONS), cache, keys, heralds }
    }

    /// Creates an account with its main password.
    pub async fn create(&self, new: NewAccount, password: &str) -> Result<AccountCard, BookError> {
        self.create_as(AccountId(u128::from_be_bytes(hash::random())), new, password).await
    }

    /// Creates an account that the service tries itself with; [`is_trial_name`](crate::is_trial_name) must know its name.
    pub async fn create_trial(&self, new: NewAccount, password: &str) -> Result<AccountCard, BookError> {
        let id = AccountId(u128::from_be_bytes(hash::random()));
        let credentials = self.credentials(id, &new.aor, password).await?;
        self.store(id, new, credentials).await
    }

    /// Creates the account that somebody rolled the id of beforehand.
    pub(crate) async fn create_as(
        &self,
        id: AccountId,
        new: NewAccount,
        password: &str,
    ) -> Result<AccountCard, BookError> {
        check_names(&new)?; // before the rounds of a hash are spent on it
        let credentials = self.credentials(id, &new.aor, password).await?;
        self.insert(id, new, credentials).await
    }

    /// Stores a new account whose names nobody has, nor had by one whose data are still being erased.
    async fn insert(
        &self,
        id: AccountId,
        new: NewAccount,
        credentials: Credentials,
    ) -> Result<AccountCard, BookError> {
        check_names(&new)?;
        self.store(id, new, credentials).await
    }

    async fn store(
        &self,
        id: AccountId,
        new: NewAccount,
        credentials: Credentials,
    ) -> Result<AccountCard, BookError> {
        let account = &Account {
            id,
            credentials,
            aor: new.aor,
            jid: new.jid,
            display_name: new.profile.name,
            numbers: e164(&new.profile.numbers)?,
            video: new.profile.video,
            admin: new.profile.admin,
            enabled: true,
            app_passwords: Vec::new(),
            version: 1,
        };
        let is_held = || self.heralds.gone.holds(&account.aor, &account.jid, unix_millis());
        if is_held().await? {
            return Err(BookError::StillErased);
        }
        self.cache.store().create(account).await?;
        // Somebody may have removed the one before meanwhile.
        if is_held().await? {
            self.cache.store().remove(account.id).await?;
            self.cache.clear();
            return Err(BookError::StillErased);
        }
        self.tell(AccountEvent::Created { account: id }).await;
        Ok(AccountCard::from(account))
    }

    /// Replaces the main password, and what the one before opened ends; app passwords stay.
    pub async fn set_password(&self, id: AccountId, password: &str) -> Result<(), BookError> {
        let account = self.read(id).await?;
        if let Some(keeper) = self.keeper(id).await? {
            return Err(BookError::KeptElsewhere(keeper));
        }
        let credentials = self.credentials(id, &account.aor, password).await?;
        self.change(account, |account| account.credentials = credentials).await?;
        self.tell(AccountEvent::PasswordEnded { account: id, at: unix_millis() }).await;
        self.note(id, ProvisioningEvent::PasswordChanged { account: id });
        Ok(())
    }

    /// Who keeps the main password of an account, if it is not us.
    pub async fn keeper(&self, id: AccountId) -> Result<Option<Source>, BookError> {
        match self.read(id).await?.credentials.scram.is_empty() {
            true => Ok(self.heralds.links.keeper(id).await?),
            false => Ok(None),
        }
    }

    /// Allows or forbids logging in.
    pub async fn set_enabled(&self, id: AccountId, enabled: bool) -> Result<(), BookError> {
        let account = self.read(id).await?;
        self.change(account, |account| account.enabled = enabled).await?;
        self.tell(match enabled {
            true => AccountEvent::Changed { account: id },
            false => AccountEvent::Disabled { account: id },
        })
        .await;
        Ok(())
    }

    /// Replaces name, numbers and rights.
    pub async fn set_profile(&self, id: AccountId, profile: Profile) -> Result<(), BookError> {
        let numbers = e164(&profile.numbers)?;
        let account = self.read(id).await?;
        self.change(account, |account| {
            account.display_name = profile.name;
            account.numbers = numbers;
            account.video = profile.video;
            account.admin = profile.admin;
        })
        .await?;
        self.tell(AccountEvent::Changed { account: id }).await;
        Ok(())
    }

    /// Removes the account for good. Its names are free when its data are erased ([`GoneAccounts::erased`]).
    pub async fn remove(&self, id: AccountId) -> Result<(), BookError> {
        self.heralds.gone.note(&self.read(id).await?, unix_millis()).await?;
        let removed = self.cache.store().remove(id).await?;
        self.cache.clear();
        if !removed {
            return Err(StoreError::NoSuchAccount.into());
        }
        // First: what fails after it must not keep it from those who have something of the account's.
        self.tell(AccountEvent::Removed { account: id }).await;
        Ok(self.heralds.links.forget_all(id).await?)
    }

    /// Makes a further password for one device and answers it; it is shown this once. `now` is stored as its date.
    pub async fn add_app_password(&self, id: AccountId, name: &str, now: i64) -> Result<String, BookError> {
        let account = self.read(id).await?;
        place_of(&account, name, Put::New)?;
        let password = readable_password();
        let credentials = self.credentials(id, &account.aor, &password).await?;
        // Computing took a while.
        let account = self.read(id).await?;
        let name = name.to_owned();
        let app = AppPassword { name, credentials, created: now, opens_chat: true };
        self.put_app_password(account, app, Put::New).await?;
        Ok(password)
    }

    /// The same for a device that only calls: in chat it is no password.
    pub async fn add_calls_password(&self, id: AccountId, name: &str, now: i64) -> Result<String, BookError> {
        let account = self.read(id).await?;
        let (app, password) = self.calls_password(&account, name, now)?;
        self.put_app_password(account, app, Put::New).await?;
        Ok(password)
    }

    /// A password for a device that only calls, which nobody has yet.
    fn calls_password(
        &self,
        account: &Account,
        name: &str,
        now: i64,
    ) -> Result<(AppPassword, String), BookError> {
        let password = readable_password();
        let owner = Owner { account: account.id, user: account.aor.local(), realm: &account.aor.host() };
        let credentials = password::credentials_for_calls(&password, &owner, &self.keys)?;
        Ok((AppPassword { name: name.to_owned(), credentials, created: now, opens_chat: false }, password))
    }

    async fn put_app_password(&self, account: Account, app: AppPassword, put: Put) -> Result<(), BookError> {
        let (id, place, device) = (account.id, place_of(&account, &app.name, put)?, app.name.clone());
        self.change(account, |account| set_app_password(account, place, app)).await?;
        self.tell(AccountEvent::Changed { account: id }).await;
        self.note(id, ProvisioningEvent::DevicePasswordMade { account: id, device });
        Ok(())
    }

    /// Removes a device's password; what it opened ends.
    pub async fn remove_app_password(&self, id: AccountId, name: &str) -> Result<(), BookError> {
        let account = self.read(id).await?;
        let kept: Vec<_> = account.app_passwords.iter().filter(|app| app.name != name).cloned().collect();
        if kept.len() == account.app_passwords.len() {
            return Err(BookError::NoSuchApp);
        }
        self.change(account, |account| account.app_passwords = kept).await?;
        self.tell(AccountEvent::DeviceEnded { account: id, device: name.to_owned() }).await;
        Ok(())
    }

    /// As which version the store has an account now, whatever is remembered of it.
    pub async fn version(&self, id: AccountId) -> Result<u64, BookError> {
        Ok(self.read(id).await?.version)
    }

    /// The devices of an account that have a password of their own.
    pub async fn app_passwords(&self, id: AccountId) -> Result<Vec<Device>, BookError> {
        let devices = self.read(id).await?.app_passwords.into_iter();
        let device =
            |app: AppPassword| Device { opens_chat: app.opens_chat, name: app.name, created: app.created };
        Ok(devices.map(device).collect())
    }

    /// HA1 of the main password in hexadecimal; as good as the password.
    pub async fn ha1(&self, id: AccountId, algorithm: DigestAlgorithm) -> Result<Option<String>, BookError> {
        let account = self.cache.find(Name::Id(id)).await?.ok_or(StoreError::NoSuchAccount)?;
        let sealed = account.credentials.ha1.iter().find(|ha1| ha1.algorithm == algorithm);
        let clear = sealed.and_then(|ha1| self.keys.open_sealed(id, &ha1.sealed));
        Ok(clear.map(|clear| shared_runtime::hex(&clear)))
    }

    /// Whether a password that was proved is the main one, and not of one device alone: what may change an account.
    pub async fn is_main(&self, proved: &Identity, password: &str) -> Result<bool, BookError> {
        if proved.how == How::Bind {
            return Ok(true);
        }
        let id = proved.account;
        let account = self.cache.find(Name::Id(id)).await?.ok_or(StoreError::NoSuchAccount)?;
        let wanted = self.ha1(id, DigestAlgorithm::Sha512_256).await?.unwrap_or_default();
        let given = password::ha1_of(&account.aor, password, DigestAlgorithm::Sha512_256).unwrap_or_default();
        Ok(!wanted.is_empty() && bool::from(wanted.as_bytes().ct_eq(given.as_bytes())))
    }

    async fn read(&self, id: AccountId) -> Result<Account, BookError> {
        Ok(self.cache.store().by_id(id).await?.ok_or(StoreError::NoSuchAccount)?)
    }

    async fn change(&self, mut account: Account, change: impl FnOnce(&mut Account)) -> Result<(), BookError> {
        change(&mut account);
        let updated = self.cache.store().update(&account).await;
        self.cache.clear();
        Ok(updated?)
    }

    async fn credentials(&self, id: AccountId, aor: &Aor, password: &str) -> Result<Credentials, BookError> {
        let (keys, aor, iterations) = (Arc::clone(&self.keys), aor.clone(), self.iterations);
        let password = zeroize::Zeroizing::new(password.to_owned());
        let derived = tokio::task::spawn_blocking(move || {
            let owner = Owner { account: id, user: aor.local(), realm: &aor.host() };
            password::credentials(&password, &owner, iterations, &keys)
        });
        Ok(derived.await.map_err(|error| StoreError::Backend(error.to_string()))??)
    }

    /// Tells what is for the timeline of an account, and changes nothing that is remembered of it.
    pub(crate) fn note(&self, id: AccountId, event: ProvisioningEvent) {
        self.heralds.bus.publish(Fact::new(Correlation::of_account(id), event));
    }

    async fn tell(&self, event: AccountEvent) {
        self.cache.clear();
        self.heralds.announcements.tell(&event).await;
        self.publish(event);
    }

    /// Tells this process.
    fn publish(&self, event: AccountEvent) {
        let (AccountEvent::Created { account }
        | AccountEvent::Changed { account }
        | AccountEvent::Disabled { account }
        | AccountEvent::Removed { account }
        | AccountEvent::DeviceEnded { account, .. }
        | AccountEvent::PasswordEnded { account, .. }) = event;
        self.heralds.bus.publish(Fact::new(Correlation::of_account(account), event));
    }
}

/// Whether a device may have a password already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    New,
    Anew,
}

/// Which app password is replaced; `None`: one more.
fn place_of(account: &Account, name: &str, put: Put) -> Result<Option<usize>, BookError> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !(1..=32).contains(&name.len()) || !name.chars().all(is_word) {
        return Err(BookError::BadAppName);
    }
    let same = account.app_passwords.iter().position(|app| app.name.eq_ignore_ascii_case(name));
    match same.map(|at| (at, account.app_passwords[at].name == name)) {
        Some((at, true)) if put == Put::Anew => Ok(Some(at)),
        Some(_) => Err(BookError::AppNameTaken),
        None if account.app_passwords.len() >= MOST_APP_PASSWORDS => Err(BookError::TooManyApps),
        None => Ok(None),
    }
}

/// Replaces an app password, or adds one more.
fn set_app_password(account: &mut Account, place: Option<usize>, app: AppPassword) {
    match place.and_then(|at| account.app_passwords.get_mut(at)) {
        Some(before) => *before = app,
        None => account.app_passwords.push(app),
    }
}

/// A leading plus is a number; any other separates an app password's name.
fn check_names(new: &NewAccount) -> Result<(), BookError> {
    let names = [new.aor.local(), new.jid.local()];
    let has_plus = |name: &str| name.get(1..).is_some_and(|rest| rest.contains('+'));
    if names.into_iter().any(has_plus) {
        return Err(BookError::BadName);
    }
    if names.into_iter().any(is_trial_name) { Err(BookError::TrialName) } else { Ok(()) }
}

/// A number without what people write between its digits.
pub(crate) fn bare_number(number: &str) -> String {
    number.chars().filter(|c| !" -()./".contains(*c)).collect()
}

/// Whether digits are a telephone number of the world, with its country's.
pub(crate) fn is_e164(digits: &str) -> bool {
    (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Normal forms of telephone numbers, each once.
fn e164(numbers: &[String]) -> Result<Vec<String>, BookError> {
    let mut normal: Vec<String> = Vec::with_capacity(numbers.len());
    for number in numbers {
        let bare = bare_number(number);
        if !bare.strip_prefix('+').is_some_and(is_e164) {
            return Err(BookError::BadNumber(number.clone()));
        }
        if !normal.contains(&bare) {
            normal.push(bare);
        }
    }
    Ok(normal)
}

/// Twenty letters and digits in four groups, 100 bits, without those that look alike.
fn readable_password() -> String {
    [(); 4].map(|()| hash::random_letters::<5>()).join("-")
}

/// App passwords of one account.
pub(crate) const MOST_APP_PASSWORDS: usize = 32;
/// RFC 5802 §5.1 and RFC 7677 §4 recommend no less.
pub(crate) const LEAST_ITERATIONS: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_e164_or_refused() {
        let read = |number: &str| e164(&[number.to_owned()]);
        assert_eq!(read("+33 1 23-45 (67) 89"), Ok(vec!["+33123456789".to_owned()]));
        for bad in ["123456789", "+12", "+0123456789", "+1234567890123456", "+12345abc", ""] {
            assert_eq!(read(bad), Err(BookError::BadNumber(bad.to_owned())));
        }
        assert_eq!(e164(&["+33123456789".into(), "+33 123456789".into()]).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_device_has_one_password_at_each_moment_of_its_renewal() {
        let folder =
            std::env::temp_dir().join(format!("cusax-renewal-{}", shared_runtime::hex(&hash::random::<8>())));
        let (store, bus) = (shared_store::Store::in_memory(), Bus::new());
        let config = Config { iterations: 4096, ..Config::default() };
        let auth = crate::Auth::open(&config, &store, &folder, &bus, &prometheus::Registry::new()).unwrap();
        let address = "alice@example.org";
        let new = NewAccount {
            aor: address.parse().unwrap(),
            jid: address.parse().unwrap(),
            profile: Profile::default(),
        };
        let alice = auth.book.create(new, "pencil").await.unwrap().account;
        let card = auth.directory.by_id(alice).await.unwrap().unwrap();
        let fetch = async |name: &str, now| {
            let fetched =
                auth.fetch_password(&card, DeviceName::Own(name), None, now, |_| serde_json::Value::Null);
            fetched.await.map(drop)
        };
        for at in 0..MOST_APP_PASSWORDS {
            fetch(&format!("d{at}"), 0).await.unwrap();
        }
        let before = store.accounts.by_id(alice).await.unwrap().unwrap();
        fetch("d3", 1).await.unwrap();
        let after = store.accounts.by_id(alice).await.unwrap().unwrap();
        assert_eq!(after.version, before.version + 1, "it is one change");
        assert_ne!(after.app_passwords[3].credentials, before.app_passwords[3].credentials);
        assert_eq!((after.app_passwords.len(), after.app_passwords[3].created), (MOST_APP_PASSWORDS, 1));
        assert_eq!(fetch("new", 1).await, Err(BookError::TooManyApps));
        assert_eq!(fetch("D3", 1).await, Err(BookError::AppNameTaken));
        assert_eq!(auth.book.add_app_password(alice, "d3", 1).await, Err(BookError::AppNameTaken));
        // A folder that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_dir_all(&folder);
    }

    #[test]
    fn nobody_is_called_as_the_service_calls_whom_it_tries_itself_with() {
        let named = |aor: &str, jid: &str| {
            let profile = Profile::default();
            check_names(&NewAccount { aor: aor.parse().unwrap(), jid: jid.parse().unwrap(), profile })
        };
        assert_eq!(named("doctor-house@x", "+33@x"), Ok(()));
        assert_eq!(named("doctor-0123456789abcdef@x", "alice@x"), Err(BookError::TrialName));
        assert_eq!(named("alice@x", "Doctor-0123456789ABCDEF@x"), Err(BookError::TrialName));
    }

    #[test]
    fn made_passwords_have_four_groups_and_differ() {
        let password = readable_password();
        assert_eq!(password.split('-').map(str::len).collect::<Vec<_>>(), [5; 4]);
        assert_ne!(password, readable_password());
    }
}
