//! Layers of profiles as they are kept — S-08: service, domain, group, account, device; the later ones win.
//!
//! In    a layer by its name, such as `group:sales` or `account:alice@example.org`. Out its settings, or what holds for a device.
//! State `Records`, owner `provisioning`, collection `profile`; groups of accounts that come from elsewhere are `shared-auth`'s links.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use shared_auth::{AccountCard, Auth, Directory, Links};
use shared_model::{AccountId, Aor, FoundBy, Groups, Member, Pending, Unavailable, Visibility};
use shared_store::{Expected, Place, RecordChange, Records, StoreError};

use super::Settings;

/// Reads and writes layers. Clones share the store.
#[derive(Clone)]
pub struct Profiles {
    records: Arc<dyn Records>,
    /// Which account is in which group elsewhere, and whose it is.
    people: Option<(Links, Directory)>,
}

/// Whom settings are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// Everybody.
    Service,
    /// A domain's accounts.
    Domain(String),
    /// Accounts that name the group.
    Group(String),
    /// One account.
    Account(Aor),
    /// One account's device, by the name of its app password.
    Device(Aor, String),
}

/// Not the name of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a layer is service, domain:DOMAIN, group:NAME, account:ADDRESS or device:ADDRESS/NAME")]
pub struct LayerError;

impl Profiles {
    /// Over these records.
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self { records, people: None }
    }

    /// The same, where accounts may be in groups of a directory or a provider, too.
    pub fn with_people(self, auth: &Auth) -> Self {
        let is_kept = auth.authenticator.asks_elsewhere() || auth.authenticator.providers().next().is_some();
        Self { people: is_kept.then(|| (auth.links.clone(), auth.directory.clone())), ..self }
    }

    /// One layer's settings; open ones where there is none.
    pub async fn read(&self, layer: &Layer) -> Result<Settings, StoreError> {
        let record = self.records.get(OWNER, COLLECTION, &layer.to_string()).await?;
        Ok(record.and_then(|record| serde_json::from_slice(&record.value).ok()).unwrap_or_default())
    }

    /// The same of many layers, in one look.
    async fn several(&self, layers: &[Layer]) -> Result<Vec<Settings>, StoreError> {
        let names: Vec<String> = layers.iter().map(Layer::to_string).collect();
        let place = |key| Place { owner: OWNER, collection: COLLECTION, key };
        let places: Vec<Place<'_>> = names.iter().map(|name| place(name)).collect();
        let found = self.records.several(&places).await?.into_iter();
        Ok(found
            .map(|record| record.and_then(|it| serde_json::from_slice(&it.value).ok()).unwrap_or_default())
            .collect())
    }

    /// The same, with what is to be expected when they are written again.
    pub(crate) async fn read_to_change(&self, layer: &Layer) -> Result<(Settings, Expected), StoreError> {
        let Some(record) = self.records.get(OWNER, COLLECTION, &layer.to_string()).await? else {
            return Ok((Settings::default(), Expected::Absent));
        };
        let settings = serde_json::from_slice(&record.value).unwrap_or_default();
        Ok((settings, Expected::Version(record.version)))
    }

    /// Replaces one layer's settings.
    pub async fn write(&self, layer: &Layer, settings: &Settings) -> Result<(), StoreError> {
        self.replace(layer, settings, Expected::Anything).await
    }

    /// The same, if what is there is what is believed: [`StoreError::Conflict`] where it is not.
    pub(crate) async fn replace(
        &self,
        layer: &Layer,
        settings: &Settings,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let key = layer.to_string();
        let value = serde_json::to_vec(settings).map_err(|error| StoreError::Backend(error.to_string()))?;
        let change = match *settings == Settings::default() {
            true => RecordChange::delete(COLLECTION, &key),
            false => RecordChange::put(COLLECTION, &key, &value),
        };
        self.records.commit(OWNER, &[change.expecting(expected)]).await.map(drop)
    }

    /// Removes what an account and its devices say, as when the account is removed.
    pub async fn forget(&self, aor: &Aor) -> Result<(), StoreError> {
        self.write(&Layer::Account(aor.clone()), &Settings::default()).await?;
        let devices = Layer::Device(aor.clone(), String::new()).to_string();
        loop {
            let page = self.records.list(OWNER, COLLECTION, Some(&devices), PAGE).await?;
            let own: Vec<_> = page.iter().take_while(|record| record.key.starts_with(&devices)).collect();
            for record in &own {
                self.records.delete(OWNER, COLLECTION, &record.key).await?;
            }
            if own.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// What holds for a device of an account: its layers, one over the other.
    pub async fn of(&self, card: &AccountCard, device: Option<&str>) -> Result<Settings, StoreError> {
        let domain = Layer::Domain(card.aor.domain().to_owned());
        let mut layers = vec![Layer::Service, domain, Layer::Account(card.aor.clone())];
        layers.extend(device.map(|device| Layer::Device(card.aor.clone(), device.to_owned())));
        let mut found = self.several(&layers).await?.into_iter();
        let mut next = || found.next().unwrap_or_default();
        let (service, domain, own) = (next(), next(), next());
        let own_device = device.map(|_| next());
        self.with_groups(&domain.over(&service), card.account, own, own_device).await
    }

    /// What holds for the accounts of a domain that say nothing themselves.
    pub async fn base(&self, domain: &str) -> Result<Settings, StoreError> {
        let domain = self.read(&Layer::Domain(domain.to_owned())).await?;
        Ok(domain.over(&self.read(&Layer::Service).await?))
    }

    /// What an account says, over what holds for its domain; for who looks at many accounts.
    pub async fn over(
        &self,
        base: &Settings,
        (account, aor): (AccountId, &Aor),
    ) -> Result<Settings, StoreError> {
        let own = self.read(&Layer::Account(aor.clone())).await?;
        self.with_groups(base, account, own, None).await
    }

    async fn with_groups(
        &self,
        base: &Settings,
        account: AccountId,
        own: Settings,
        device: Option<Settings>,
    ) -> Result<Settings, StoreError> {
        let mut whole = device.map_or_else(|| own.clone(), |device| device.over(&own));
        let mut groups = own.groups;
        // What is said here wins over what is said elsewhere.
        groups.extend(self.elsewhere(account).await?);
        for group in groups {
            whole = whole.over(&self.read(&Layer::Group(group)).await?);
        }
        Ok(whole.over(base))
    }
}

impl Profiles {
    /// The groups that an account is in by a directory or a provider.
    pub(crate) async fn elsewhere(&self, account: AccountId) -> Result<Vec<String>, StoreError> {
        match &self.people {
            Some((links, _)) => links.groups(account).await,
            None => Ok(Vec::new()),
        }
    }

    /// At most so many groups that have a layer, with its settings.
    pub(crate) async fn groups(&self, most: usize) -> Result<Vec<(String, Settings)>, StoreError> {
        let page = self.records.list(OWNER, COLLECTION, Some(GROUPS), most).await?;
        let own = page.into_iter().take_while(|record| record.key.starts_with(GROUPS));
        let read = |record: shared_store::Record| {
            let settings = serde_json::from_slice(&record.value).unwrap_or_default();
            (record.key[GROUPS.len()..].to_owned(), settings)
        };
        Ok(own.map(read).collect())
    }
}

impl Profiles {
    async fn members_elsewhere(&self) -> Result<Vec<Member>, Unavailable> {
        let Some((links, directory)) = &self.people else { return Ok(Vec::new()) };
        let failed = |error: StoreError| {
            tracing::error!(%error, "the groups that accounts are in elsewhere cannot be read");
            Unavailable
        };
        let mut members = Vec::new();
        for (account, groups) in links.grouped().await.map_err(failed)? {
            let card = directory.by_id(account).await.map_err(failed)?;
            members.extend(card.map(|AccountCard { aor, .. }| Member { aor, groups }));
        }
        Ok(members)
    }
}

/// Members as they are found: each account once, in all its groups.
struct Found<'a> {
    of: &'a [String],
    most: usize,
    all: BTreeMap<Aor, Vec<String>>,
}

impl Found<'_> {
    fn add(&mut self, Member { aor, mut groups }: Member) {
        groups.retain(|group| self.of.is_empty() || self.of.contains(group));
        if groups.is_empty() || (self.is_full() && !self.all.contains_key(&aor)) {
            return;
        }
        let own = self.all.entry(aor).or_default();
        own.extend(groups);
        own.sort_unstable();
        own.dedup();
    }

    fn is_full(&self) -> bool {
        self.all.len() >= self.most
    }
}

impl Groups for Profiles {
    fn members<'a>(&'a self, of: &'a [String], most: usize) -> Pending<'a, Result<Vec<Member>, Unavailable>> {
        Box::pin(async move {
            let (mut found, mut after) = (Found { of, most, all: BTreeMap::new() }, ACCOUNTS.to_owned());
            loop {
                let page = self.records.list(OWNER, COLLECTION, Some(&after), PAGE).await;
                let page = page.map_err(|error| {
                    tracing::error!(%error, "the groups of accounts cannot be read");
                    Unavailable
                })?;
                for record in page.iter().take_while(|record| record.key.starts_with(ACCOUNTS)) {
                    let settings: Settings = serde_json::from_slice(&record.value).unwrap_or_default();
                    if let Ok(aor) = record.key[ACCOUNTS.len()..].parse() {
                        found.add(Member { aor, groups: settings.groups });
                    }
                }
                let is_last =
                    page.len() < PAGE || page.last().is_some_and(|last| !last.key.starts_with(ACCOUNTS));
                if is_last || found.is_full() {
                    break;
                }
                after = page.into_iter().next_back().map_or(after, |last| last.key);
            }
            self.members_elsewhere().await?.into_iter().for_each(|member| found.add(member));
            Ok(found.all.into_iter().map(|(aor, groups)| Member { aor, groups }).collect())
        })
    }
}

impl Visibility for Profiles {
    fn found_by<'a>(&'a self, account: AccountId, aor: &'a Aor) -> Pending<'a, Result<FoundBy, Unavailable>> {
        Box::pin(async move {
            let read = async { self.over(&self.base(aor.domain()).await?, (account, aor)).await };
            let settings = read.await.map_err(|error: StoreError| {
                tracing::error!(%error, "it is not known by whom an account is found");
                Unavailable
            })?;
            Ok(settings.listed.unwrap_or_default())
        })
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("service"),
            Self::Domain(domain) => write!(f, "domain:{domain}"),
            Self::Group(group) => write!(f, "group:{group}"),
            Self::Account(aor) => write!(f, "account:{aor}"),
            Self::Device(aor, device) => write!(f, "device:{aor}/{device}"),
        }
    }
}

impl FromStr for Layer {
    type Err = LayerError;

    fn from_str(text: &str) -> Result<Self, LayerError> {
        let is_name = |name: &str| (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
        let address = |text: &str| text.parse::<Aor>().map_err(|_| LayerError);
        match text.split_once(':') {
            None if text == "service" => Ok(Self::Service),
            Some(("domain", domain)) => {
                Aor::new("x", domain).map(|aor| Self::Domain(aor.domain().to_owned())).map_err(|_| LayerError)
            }
            Some(("group", group)) if is_name(group) => Ok(Self::Group(group.to_owned())),
            Some(("account", account)) => Ok(Self::Account(address(account)?)),
            Some(("device", rest)) => match rest.split_once('/') {
                Some((account, device)) if is_name(device) => {
                    Ok(Self::Device(address(account)?, device.to_owned()))
                }
                _ => Err(LayerError),
            },
            _ => Err(LayerError),
        }
    }
}

const OWNER: &str = "provisioning";
/// What the layers of groups begin with.
const GROUPS: &str = "group:";
/// What the layers of accounts begin with.
const ACCOUNTS: &str = "account:";
const COLLECTION: &str = "profile";
/// Records read at once.
const PAGE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn layers_lie_on_one_another_from_service_to_device() {
        let profiles = Profiles::new(shared_store::Store::in_memory().records);
        let aor: Aor = "alice@example.org".parse().unwrap();
        let card = AccountCard {
            account: AccountId(1),
            jid: "alice@example.org".parse().unwrap(),
            aor,
            name: String::new(),
            numbers: Vec::new(),
            video: true,
            admin: false,
            enabled: true,
        };
        let seconds = |seconds| Settings { register_seconds: Some(seconds), ..Settings::default() };
        let layers = [
            "service",
            "domain:example.org",
            "group:sales",
            "account:alice@example.org",
            "device:alice@example.org/PHONE",
        ];
        for (layer, is) in layers.iter().zip(100..) {
            let mut settings = seconds(is);
            if layer.starts_with("account") {
                settings.groups = vec!["sales".to_owned()];
            }
            profiles.write(&layer.parse().unwrap(), &settings).await.unwrap();
        }
        for (at, layer) in layers.iter().enumerate().rev() {
            let holds = profiles.of(&card, Some("PHONE")).await.unwrap().register_seconds;
            assert_eq!(holds, Some(100 + at as u32), "{layer}");
            let rest = Settings { groups: vec!["sales".to_owned()], ..Settings::default() };
            let rest = if at == 3 { rest } else { Settings::default() };
            profiles.write(&layer.parse().unwrap(), &rest).await.unwrap();
        }
        assert_eq!(profiles.of(&card, None).await.unwrap().register_seconds, None);
    }

    #[tokio::test]
    async fn what_an_account_and_its_devices_say_goes_with_it_and_nothing_of_others() {
        let profiles = Profiles::new(shared_store::Store::in_memory().records);
        let some = Settings { register_seconds: Some(1), ..Settings::default() };
        let others = ["service", "account:alicea@b", "device:alicea@b/PHONE", "device:alice@bc/PHONE"];
        let own = (0..2 * PAGE).map(|at| format!("device:alice@b/{at}"));
        let own: Vec<String> = own.chain(["account:alice@b".to_owned()]).collect();
        let layers = || own.iter().map(String::as_str).chain(others);
        for layer in layers() {
            profiles.write(&layer.parse().unwrap(), &some).await.unwrap();
        }
        profiles.forget(&"alice@b".parse().unwrap()).await.unwrap();
        for layer in layers() {
            let is_there = profiles.read(&layer.parse().unwrap()).await.unwrap() == some;
            assert_eq!(is_there, others.contains(&layer), "{layer}");
        }
    }

    #[tokio::test]
    async fn groups_of_a_directory_are_layers_and_memberships_like_those_that_are_said_here() {
        let store = shared_store::Store::in_memory();
        let folder = std::env::temp_dir().join(format!("cusax-groups-{:016x}", shared_runtime::random()));
        let config = shared_auth::Config { iterations: 4096, ..Default::default() };
        let (bus, counted) = (shared_runtime::bus::Bus::new(), prometheus::Registry::new());
        let auth = Auth::open(&config, &store, &folder, &bus, &counted).unwrap();
        // The keys are read; a folder that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_dir_all(&folder);
        let people = Some((auth.links.clone(), auth.directory.clone()));
        let profiles = Profiles { people, ..Profiles::new(Arc::clone(&store.records)) };
        let create = async |name: &str| {
            let address = format!("{name}@example.org");
            let profile = shared_auth::Profile::default();
            let (aor, jid) = (address.parse().unwrap(), address.parse().unwrap());
            auth.book.create(shared_auth::NewAccount { aor, jid, profile }, "pencil").await.unwrap()
        };
        let (alice, bob) = (create("alice").await, create("bob").await);
        let put = async |id: AccountId, user: &str, groups: &[&str], ended: bool| {
            let person = serde_json::json!({
                "source": "ldap", "subject": user, "user": user, "name": user, "numbers": null, "admin": null,
                "groups": groups,
            });
            let link = serde_json::json!({ "person": person, "ended": ended }).to_string();
            let (key, expected) = (id.to_string(), shared_store::Expected::Anything);
            profiles.records.put("outside", "ldap", &key, link.as_bytes(), expected).await.unwrap();
        };
        put(alice.account, "alice", &["Sales", "Board"], false).await;
        put(bob.account, "bob", &["Sales"], true).await;
        let seconds = |seconds| Settings { register_seconds: Some(seconds), ..Settings::default() };
        let own = Settings { groups: vec!["own".to_owned()], ..Settings::default() };
        for (layer, settings) in
            [("group:Sales", seconds(100)), ("group:own", seconds(200)), ("account:alice@example.org", own)]
        {
            profiles.write(&layer.parse().unwrap(), &settings).await.unwrap();
        }
        let holds = async |card: &AccountCard| profiles.of(card, None).await.unwrap().register_seconds;
        assert_eq!(holds(&alice).await, Some(200), "what is said here wins");
        profiles.write(&"group:own".parse().unwrap(), &Settings::default()).await.unwrap();
        assert_eq!(holds(&alice).await, Some(100));
        assert_eq!(holds(&bob).await, None, "gone there");
        let members = profiles.members(&[], 10).await.unwrap();
        assert_eq!((members.len(), members[0].groups.len()), (1, 3), "{members:?}");
        put(alice.account, "bob", &["Sales"], false).await;
        let here = Settings { groups: vec!["own".to_owned()], ..Settings::default() };
        profiles.write(&"account:zoe@example.org".parse().unwrap(), &here).await.unwrap();
        profiles.write(&"account:alice@example.org".parse().unwrap(), &Settings::default()).await.unwrap();
        let first = profiles.members(&[], 1).await.unwrap();
        assert_eq!(first[0].aor.local(), "zoe", "who is in a group by what is said here is first");
        let sales = profiles.members(&["Sales".to_owned()], 1).await.unwrap();
        assert_eq!((sales.len(), &sales[0].aor), (1, &alice.aor), "others take no room");
        profiles.write(&"account:zoe@example.org".parse().unwrap(), &Settings::default()).await.unwrap();
        let members = profiles.members(&[], 10).await.unwrap();
        assert_eq!((members.len(), &members[0].aor), (1, &alice.aor), "the name there is nobody's here");
    }

    #[tokio::test]
    async fn nobody_replaces_what_somebody_else_wrote_meanwhile() {
        let profiles = Profiles::new(shared_store::Store::in_memory().records);
        let layer = "account:alice@example.org".parse().unwrap();
        let seconds = |seconds| Settings { register_seconds: Some(seconds), ..Settings::default() };
        for settings in [seconds(1), Settings::default(), Settings::default(), seconds(2)] {
            let (_, expected) = profiles.read_to_change(&layer).await.unwrap();
            profiles.replace(&layer, &settings, expected).await.unwrap();
        }
        let (_, expected) = profiles.read_to_change(&layer).await.unwrap();
        profiles.write(&layer, &seconds(3)).await.unwrap();
        for late in [Settings::default(), seconds(4)] {
            assert_eq!(profiles.replace(&layer, &late, expected).await, Err(StoreError::Conflict));
        }
        assert_eq!(profiles.read(&layer).await, Ok(seconds(3)));
    }

    #[test]
    fn names_of_layers_are_read_as_they_are_written() {
        for text in ["service", "domain:example.org", "group:a b", "account:a@b", "device:a@b/PHONE"] {
            assert_eq!(text.parse::<Layer>().unwrap().to_string(), text);
        }
        for bad in ["", "services", "group:", "account:a", "device:a@b", "device:a@b/\n", "x:y"] {
            assert_eq!(bad.parse::<Layer>(), Err(LayerError), "{bad}");
        }
    }

    #[tokio::test]
    async fn members_are_the_accounts_that_name_a_group() {
        let profiles = Profiles::new(shared_store::Store::in_memory().records);
        let settings = |groups: &[&str]| Settings {
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            listed: Some(FoundBy::Domain),
            ..Settings::default()
        };
        for (layer, groups) in [
            ("account:alice@example.org", &["sales", "board"][..]),
            ("account:bob@example.org", &[]),
            ("account:carol@example.org", &["sales"]),
            ("device:alice@example.org/PHONE", &["sales"]),
            ("group:sales", &["board"]),
        ] {
            profiles.write(&layer.parse().unwrap(), &settings(groups)).await.unwrap();
        }
        let members = profiles.members(&[], 10).await.unwrap();
        let of: Vec<_> = members.iter().map(|member| (member.aor.local(), member.groups.len())).collect();
        assert_eq!(of, [("alice", 2), ("carol", 1)]);
        assert_eq!(profiles.members(&[], 1).await.unwrap().len(), 1);
    }
}
