//! Whom administrators keep out, until a moment and for a reason: networks, and addresses, domains and telephone numbers of elsewhere.
//!
//! ```text
//! make, lift ─▶ records (one commit: the ban, and a mark that there is news) ─▶ every process, at once or within a second ─▶ listeners
//! ```
//!
//! In    what an administrator writes. Out whether an address of the network, or of a caller, is kept out; a receiver for who must end what
//!       is up.
//! State records, so that they outlast a restart; in memory all that hold now, at most [`MOST`].
//! Errors [`BanError`] names the rule. A store that does not answer leaves what is known in force.
//! Not here: accounts of ours, which are disabled; who fails proofs (`throttle`); what listeners do to who is kept out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared_model::{Address, idn, without_scheme};
use shared_runtime::{Network, Shutdown, unix_millis};
use shared_store::{Expected, Record, RecordChange, Records, StoreError};
use tokio::sync::watch;

use crate::book::{bare_number, is_e164};

/// Who is kept out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Banned {
    /// Whoever comes from there.
    Network(Network),
    /// Whoever calls or writes from an address of elsewhere.
    Address(Address),
    /// Everybody of a domain of elsewhere.
    Domain(String),
    /// Whoever calls with a telephone number, E.164 with its plus, by whatever carrier.
    Number(String),
}

/// One ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Who is kept out.
    pub who: Banned,
    /// Why, for those who administer the service.
    pub reason: String,
    /// Since when, milliseconds since 1970.
    pub since: i64,
    /// Until when.
    pub until: i64,
}

/// What a record holds; its key says who.
#[derive(Serialize, Deserialize)]
struct Kept {
    reason: String,
    since: i64,
    until: i64,
}

/// Why there is no such ban.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BanError {
    /// Neither a network, nor an address, nor a domain, nor a number.
    #[error(
        "`{0}` is not a network such as 192.0.2.0/24, an address such as eve@example.net, a domain, or a number such as +33123456789"
    )]
    Unreadable(String),
    /// More would be kept out than one can mean.
    #[error("a network is no wider than /{LEAST_V4} (IPv4) or /{LEAST_V6} (IPv6)")]
    TooWide,
    /// This machine is not kept out of itself.
    #[error("loopback addresses are not banned")]
    Loopback,
    /// The same, by an address that others reach it at.
    #[error("this machine itself has an address there")]
    OwnHost,
    /// The configuration names who of it is meant to come here.
    #[error(
        "the configuration spares this network, or a part of it: `auth.throttle_exempt`, `http.trusted_proxies`, `sip.trusted_networks` or `sip.trunks`"
    )]
    Exempt,
    /// An account of ours is disabled, and a domain of ours not kept out.
    #[error("that is of this service: accounts of it are disabled instead")]
    Ours,
    /// An account of ours gets no number that is kept out.
    #[error("the number {0} is banned: lift its ban first")]
    NumberBanned(String),
    /// What is shown to administrators is one line.
    #[error("a reason has 1 to {LONGEST_REASON} characters in one line")]
    BadReason,
    /// It ends, and not before it begins.
    #[error("a ban lasts from a minute to a year")]
    BadTerm,
    /// There is no room for more.
    #[error("there are {MOST} bans, which is as many as there may be; lift one first")]
    TooMany,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes, lifts and knows them. Clones share them.
#[derive(Clone)]
pub struct Bans {
    records: Arc<dyn Records>,
    exempt: Arc<[Network]>,
    /// Domains and hosts of this service.
    own: Arc<[String]>,
    /// Addresses of this machine.
    hosts: Arc<[IpAddr]>,
    known: watch::Sender<Arc<Known>>,
}

/// Those that hold, for who asks at a listener.
#[derive(Default)]
pub struct Known {
    networks: Vec<(Network, i64)>,
    names: HashMap<String, i64>,
}

impl Bans {
    pub(crate) fn new(records: Arc<dyn Records>, exempt: &[Network]) -> Self {
        let (own, hosts) = (Arc::default(), Arc::default());
        Self { records, exempt: exempt.into(), own, hosts, known: watch::Sender::default() }
    }

    /// These networks are not banned either: those of proxies, of peers that are trusted, and of carriers.
    pub fn spare(&mut self, networks: impl IntoIterator<Item = Network>) {
        self.exempt = self.exempt.iter().copied().chain(networks).collect();
    }

    /// These domains and hosts are this service's own, in whatever form, and these addresses this machine's.
    pub fn serve(
        &mut self,
        names: impl IntoIterator<Item = String>,
        hosts: impl IntoIterator<Item = IpAddr>,
    ) {
        self.hosts = hosts.into_iter().collect();
        let prepared =
            names.into_iter().map(|name| idn::to_unicode(&name).map_or(name.clone(), Cow::into_owned));
        self.own = prepared.collect();
    }

    /// Keeps somebody out from now on; what held of them before gives way, and is answered.
    pub async fn make(
        &self,
        who: Banned,
        reason: &str,
        term: Duration,
    ) -> Result<(Ban, Option<Ban>), BanError> {
        self.check(&who)?;
        let reason = reason.trim();
        if !(1..=LONGEST_REASON).contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
            return Err(BanError::BadReason);
        }
        if !(SHORTEST..=LONGEST).contains(&term) {
            return Err(BanError::BadTerm);
        }
        let since = unix_millis();
        let until = since.saturating_add(i64::try_from(term.as_millis()).unwrap_or(i64::MAX));
        let kept = Kept { reason: reason.to_owned(), since, until };
        let value = serde_json::to_vec(&kept).map_err(|error| StoreError::Backend(error.to_string()))?;
        let key = who.to_string();
        let change = |all: &[Record]| match all.iter().any(|record| record.key == key) || all.len() < MOST {
            true => Ok(RecordChange::put(COLLECTION, &key, &value)),
            false => Err(BanError::TooMany),
        };
        let before = self.change(&who, change).await?;
        Ok((Ban { who, reason: kept.reason, since, until }, before))
    }

    /// Lets somebody in again; what held until now, if anything did.
    pub async fn lift(&self, who: &Banned) -> Result<Option<Ban>, BanError> {
        if !self.all().await?.iter().any(|ban| ban.who == *who) {
            return Ok(None);
        }
        let key = who.to_string();
        self.change(who, |_| Ok(RecordChange::delete(COLLECTION, &key))).await
    }

    /// Those that hold now, in the order of their names.
    pub async fn all(&self) -> Result<Vec<Ban>, StoreError> {
        let (records, now) = (self.records.list(OWNER, COLLECTION, None, 2 * MOST).await?, unix_millis());
        Ok(records.iter().filter_map(read).filter(|ban| ban.until > now).collect())
    }

    /// Refuses numbers of an account that are kept out, and that it had not before: nobody calls with these.
    pub async fn check_numbers(&self, numbers: &[String], before: &[String]) -> Result<(), BanError> {
        let new = |number: &&String| !before.contains(number);
        let new: Vec<String> = numbers.iter().filter(new).map(|number| bare_number(number)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let banned = self.all().await?.into_iter().find_map(|ban| match ban.who {
            Banned::Number(number) if new.contains(&number) => Some(number),
            _ => None,
        });
        banned.map_or(Ok(()), |number| Err(BanError::NumberBanned(number)))
    }

    /// Whether whoever comes from there is kept out.
    pub fn keeps_out(&self, ip: IpAddr) -> bool {
        let known = self.known.borrow();
        if known.networks.is_empty() {
            return false;
        }
        let now = unix_millis();
        known.networks.iter().any(|(network, until)| *until > now && network.contains(ip))
    }

    /// Whether somebody of elsewhere is, or everybody of their domain.
    pub fn refuses(&self, local: &str, domain: &str) -> bool {
        let known = Arc::clone(&self.known.borrow());
        if known.names.is_empty() {
            return false;
        }
        let now = unix_millis();
        let holds = |name: &str| known.names.get(name).is_some_and(|until| *until > now);
        match Address::new(local, domain) {
            Ok(address) => holds(address.as_str()) || holds(address.domain()),
            // One that is no address of ours is of a domain all the same.
            Err(_) => idn::to_unicode(domain).is_some_and(|domain| holds(&domain)),
        }
    }

    /// Whether whoever calls with a number is, E.164 with its plus.
    pub fn refuses_number(&self, number: &str) -> bool {
        self.known.borrow().names.get(number).is_some_and(|until| *until > unix_millis())
    }

    /// Whether addresses, domains or numbers are kept out, and not networks alone.
    pub fn has_names(&self) -> bool {
        !self.known.borrow().names.is_empty()
    }

    /// Tells each change, for who has to end what is up.
    pub fn watch(&self) -> watch::Receiver<Arc<Known>> {
        self.known.subscribe()
    }

    /// Reads those that hold: before listeners open.
    pub async fn load(&self) -> Result<(), StoreError> {
        let mut known = Known::default();
        for ban in self.all().await? {
            match ban.who {
                Banned::Network(network) => known.networks.push((network, ban.until)),
                who => drop(known.names.insert(who.to_string(), ban.until)),
            }
        }
        self.known.send_replace(Arc::new(known));
        Ok(())
    }

    /// Hears what other processes change, such as `cusax ban add`, until shutdown.
    pub async fn follow(&self, shutdown: Shutdown) {
        let mut seen = None;
        loop {
            let mark = self.records.get(OWNER, MARK, MARK).await;
            if let Ok(mark) = mark.map(|mark| mark.map(|mark| mark.version))
                && (seen != Some(mark))
                && self.load().await.is_ok()
            {
                seen = Some(mark);
            }
            tokio::select! {
                () = shutdown.begun() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Whether somebody may be kept out: whoever is none of ours.
    pub fn check(&self, who: &Banned) -> Result<(), BanError> {
        let is_ours = |domain: &str| self.own.iter().any(|own| own == domain);
        let network = match who {
            Banned::Network(network) => network,
            Banned::Address(address) if is_ours(address.domain()) => return Err(BanError::Ours),
            Banned::Domain(domain) if is_ours(domain) => return Err(BanError::Ours),
            Banned::Address(_) | Banned::Domain(_) | Banned::Number(_) => return Ok(()),
        };
        let least = if network.address().is_ipv4() { LEAST_V4 } else { LEAST_V6 };
        let own = ["127.0.0.0/8", "::1"].iter().filter_map(|own| own.parse::<Network>().ok());
        if network.prefix() < least {
            return Err(BanError::TooWide);
        }
        if own.chain(["0.0.0.0".parse(), "::".parse()].into_iter().flatten()).any(|own| own.meets(network)) {
            return Err(BanError::Loopback);
        }
        if self.hosts.iter().any(|host| network.contains(*host)) {
            return Err(BanError::OwnHost);
        }
        match self.exempt.iter().any(|exempt| exempt.meets(network)) {
            true => Err(BanError::Exempt),
            false => Ok(()),
        }
    }

    /// Makes a change to what holds now, and takes those out on the way whose time is over; answers what held of somebody before. Whoever
    /// changes anything meanwhile is seen by the mark, and all is looked at again.
    async fn change(
        &self,
        who: &Banned,
        change: impl Fn(&[Record]) -> Result<RecordChange, BanError>,
    ) -> Result<Option<Ban>, BanError> {
        for _ in 0..TRIES {
            let mark = self.records.get(OWNER, MARK, MARK).await?;
            let mark = mark.map_or(Expected::Absent, |mark| Expected::Version(mark.version));
            let kept = self.records.list(OWNER, COLLECTION, None, 2 * MOST).await?;
            let now = unix_millis();
            // What a later release wrote and this one cannot read is not over.
            let is_over = |record: &Record| until(record).is_some_and(|until| until <= now);
            let (over, kept): (Vec<_>, Vec<_>) = kept.into_iter().partition(is_over);
            let before = kept.iter().filter_map(read).find(|ban| ban.who == *who);
            let change = change(&kept)?;
            let over = over.iter().take(MOST).filter(|record| record.key != change.key);
            let mut changes: Vec<_> =
                over.map(|record| RecordChange::delete(COLLECTION, &record.key)).collect();
            changes.extend([change, RecordChange::put(MARK, MARK, b"").expecting(mark)]);
            match self.records.commit(OWNER, &changes).await {
                Err(StoreError::Conflict) => continue,
                done => drop(done?),
            }
            self.load().await?;
            return Ok(before);
        }
        Err(StoreError::Conflict.into())
    }
}

impl Ban {
    /// As the API, entries of the audit and commands show it.
    pub fn to_json(&self) -> Value {
        json!({ "who": self.who.to_string(), "reason": self.reason, "since": self.since, "until": self.until })
    }
}

impl fmt::Display for Banned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Address(address) => f.write_str(address.as_str()),
            Self::Domain(name) | Self::Number(name) => f.write_str(name),
        }
    }
}

impl FromStr for Banned {
    type Err = BanError;

    /// An address may be written as a URI of SIP or XMPP, a number as one of `tel` and as people write it.
    fn from_str(text: &str) -> Result<Self, BanError> {
        let bad = || BanError::Unreadable(text.chars().take(LONGEST_REASON).collect());
        let name = without_scheme(text);
        if let Ok(network) = name.parse() {
            return Ok(Self::Network(network));
        }
        if let Some(number) = number(name) {
            return Ok(Self::Number(number));
        }
        match name.split_once('@') {
            Some((local, domain)) => Address::new(local, domain).map(Self::Address).map_err(|_| bad()),
            // A word without a dot is a typing error rather than somebody's domain.
            None if !name.contains('.') => Err(bad()),
            None => match Address::new("anybody", name) {
                Ok(address) => Ok(Self::Domain(address.domain().to_owned())),
                Err(_) => Err(bad()),
            },
        }
    }
}

/// A telephone number with its plus.
fn number(text: &str) -> Option<String> {
    let bare = bare_number(text);
    let digits = bare.strip_prefix('+')?;
    is_e164(digits).then_some(bare)
}

fn read(record: &Record) -> Option<Ban> {
    let Kept { reason, since, until } = serde_json::from_slice(&record.value).ok()?;
    Some(Ban { who: record.key.parse().ok()?, reason, since, until })
}

/// Until when a record holds, whoever it is of.
fn until(record: &Record) -> Option<i64> {
    serde_json::from_slice::<Kept>(&record.value).ok().map(|kept| kept.until)
}

const OWNER: &str = "cusax";
const COLLECTION: &str = "bans";
const MARK: &str = "bans-changed";
/// How often it is looked whether another process changed something.
const EVERY: Duration = Duration::from_secs(1);
/// How often a change is tried again that another one overtook.
const TRIES: usize = 32;
/// Bans that there are at once.
const MOST: usize = 1000;
/// The widest networks.
const LEAST_V4: u8 = 16;
const LEAST_V6: u8 = 32;
const LONGEST_REASON: usize = 200;
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

#[cfg(test)]
mod tests {
    use shared_store::Store;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn house() -> (Store, Bans) {
        let store = Store::in_memory();
        let mut bans = Bans::new(Arc::clone(&store.records), &["198.51.100.0/24".parse().unwrap()]);
        let names = ["example.org", "xn--mnchen-3ya.example.org"].map(str::to_owned);
        bans.serve(names, ["203.0.112.9".parse().unwrap()]);
        (store, bans)
    }

    async fn make(bans: &Bans, who: &str) -> Result<Option<Ban>, BanError> {
        bans.make(who.parse()?, "spam", DAY).await.map(|(_, before)| before)
    }

    #[tokio::test]
    async fn a_ban_keeps_out_until_it_is_lifted_and_outlasts_a_restart() {
        let (store, bans) = house();
        let bad = [
            "192.0.2.0/24",
            "2001:db8::/32",
            "SIP:Eve@Example.net",
            "spam.example",
            "spam.bücher.example",
            "tel:+33-1 23.45.67",
        ];
        for who in bad {
            assert_eq!(make(&bans, who).await, Ok(None), "{who}");
        }
        let again = Bans::new(store.records, &[]);
        again.load().await.unwrap();
        for bans in [&bans, &again] {
            assert!(
                bans.keeps_out("192.0.2.7".parse().unwrap())
                    && bans.keeps_out("::ffff:192.0.2.7".parse().unwrap())
            );
            assert!(
                bans.keeps_out("2001:db8::1".parse().unwrap())
                    && !bans.keeps_out("192.0.3.1".parse().unwrap())
            );
            assert!(bans.refuses("eve", "example.NET") && !bans.refuses("bob", "example.net"));
            assert!(bans.refuses("anybody", "spam.example") && bans.refuses("a b", "SPAM.example"));
            assert!(!bans.refuses("anybody", "not.spam.example"));
            assert!(bans.refuses_number("+331234567") && !bans.refuses_number("+3312345678"));
            assert!(bans.refuses("", "spam.XN--bcher-kva.example"), "without a user part, and as in the DNS");
        }
        let before = make(&bans, "192.0.2.0/24").await.unwrap().unwrap();
        assert_eq!((before.reason.as_str(), before.until - before.since), ("spam", 86_400_000));
        let network = "192.0.2.0/24".parse().unwrap();
        assert!(bans.lift(&network).await.unwrap().is_some());
        assert!(!bans.keeps_out("192.0.2.7".parse().unwrap()));
        assert_eq!(bans.lift(&network).await, Ok(None));
        assert_eq!(bans.all().await.unwrap().len(), 5);
    }

    #[tokio::test]
    async fn what_cannot_be_meant_is_refused() {
        let (_, mut bans) = house();
        bans.spare(["203.0.113.128/25".parse().unwrap()]);
        for (who, refused) in [
            ("192.0.0.0/15", BanError::TooWide),
            ("::/0", BanError::TooWide),
            ("127.0.0.1", BanError::Loopback),
            ("::1", BanError::Loopback),
            ("203.0.112.0/24", BanError::OwnHost),
            ("198.51.0.0/16", BanError::Exempt),
            ("198.51.100.7", BanError::Exempt),
            ("203.0.113.0/24", BanError::Exempt),
            ("alice@example.org", BanError::Ours),
            ("example.org", BanError::Ours),
            ("eve@MÜNCHEN.example.org", BanError::Ours),
            ("+0123456789", BanError::Unreadable("+0123456789".to_owned())),
            ("0123456789", BanError::Unreadable("0123456789".to_owned())),
            ("nonsense", BanError::Unreadable("nonsense".to_owned())),
            ("@example.net", BanError::Unreadable("@example.net".to_owned())),
        ] {
            assert_eq!(make(&bans, who).await, Err(refused), "{who}");
        }
        let who: Banned = "192.0.2.1".parse().unwrap();
        for (reason, term, refused) in [
            (" ", DAY, BanError::BadReason),
            ("two\nlines", DAY, BanError::BadReason),
            ("spam", Duration::from_secs(1), BanError::BadTerm),
            ("spam", 400 * DAY, BanError::BadTerm),
        ] {
            assert_eq!(bans.make(who.clone(), reason, term).await.map(drop), Err(refused));
        }
        assert!(bans.all().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn there_are_no_more_than_so_many_and_old_ones_make_room() {
        let (store, bans) = house();
        let put = |at: usize, until: i64| {
            let kept = serde_json::to_vec(&Kept { reason: "old".to_owned(), since: 0, until }).unwrap();
            let key = format!("10.0.{}.{}/32", at / 256, at % 256);
            let records = Arc::clone(&store.records);
            async move { records.put(OWNER, COLLECTION, &key, &kept, Expected::Anything).await.map(drop) }
        };
        for at in 0..MOST {
            put(at, i64::MAX).await.unwrap();
        }
        assert_eq!(make(&bans, "192.0.2.1").await, Err(BanError::TooMany));
        put(0, 1).await.unwrap();
        assert_eq!(make(&bans, "192.0.2.1").await, Ok(None));
        let kept = store.records.list(OWNER, COLLECTION, None, 2 * MOST).await.unwrap();
        assert_eq!(kept.len(), MOST, "what is over is gone");
    }

    #[tokio::test]
    async fn what_others_make_at_the_same_time_stays_and_so_does_what_is_not_understood() {
        let (store, here) = house();
        let there = Bans::new(Arc::clone(&store.records), &[]);
        let later = br#"{"reasons":["of a later release"]}"#;
        store.records.put(OWNER, COLLECTION, "of-a-later-release", later, Expected::Anything).await.unwrap();
        for at in 0..100 {
            let (one, other) = (format!("192.0.2.{at}"), format!("203.0.113.{at}"));
            let (one, other) = tokio::join!(make(&here, &one), make(&there, &other));
            assert_eq!((one, other), (Ok(None), Ok(None)), "{at}");
        }
        assert_eq!(here.all().await.unwrap().len(), 200);
        let kept = store.records.list(OWNER, COLLECTION, None, 2 * MOST).await.unwrap();
        assert_eq!(kept.len(), 201);
    }

    #[tokio::test]
    async fn there_is_one_place_for_one_of_two_who_come_at_once() {
        let (store, here) = house();
        let there = Bans::new(Arc::clone(&store.records), &[]);
        let kept = serde_json::to_vec(&Kept { reason: "old".to_owned(), since: 0, until: i64::MAX }).unwrap();
        for at in 1..MOST {
            let key = format!("10.0.{}.{}/32", at / 256, at % 256);
            store.records.put(OWNER, COLLECTION, &key, &kept, Expected::Anything).await.unwrap();
        }
        let (one, other) = tokio::join!(make(&here, "192.0.2.1"), make(&there, "192.0.2.2"));
        assert_eq!([&one, &other].iter().filter(|made| made.is_ok()).count(), 1, "{one:?} {other:?}");
        assert_eq!(here.all().await.unwrap().len(), MOST);
    }

    #[tokio::test]
    async fn another_process_hears_of_it() {
        let (store, here) = house();
        let there = Bans::new(Arc::clone(&store.records), &[]);
        let (mut changes, shutdown) = (there.watch(), Shutdown::new());
        let (task, stop) = (there.clone(), shutdown.clone());
        shutdown.spawn(async move { task.follow(stop).await });
        changes.changed().await.unwrap();
        make(&here, "192.0.2.1").await.unwrap();
        changes.changed().await.unwrap();
        assert!(there.keeps_out("192.0.2.1".parse().unwrap()));
        shutdown.begin();
    }
}
