//! Somebody to try the service with: an account that lasts as long as a check, one in each domain.
//!
//! In    a [`Trial`]: what is tried, and over which listener. Out the account; what came of it in each domain; then the account is gone.
//! State accounts, named by when they were made: one whose look was killed is swept by the next look, or at the next start.
//! Errors findings: no server, no listener, no account, no answer in time, an account that stays.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared_auth::{AccountCard, Auth, NewAccount, Profile, is_trial_name};
use shared_model::{AccountId, Aor, BareJid};
use shared_runtime::{random, unix_millis};
use shared_store::StoreError;

use super::{Findings, Ward};

/// A temporary account.
pub(super) struct Patient {
    pub(super) aor: Aor,
    pub(super) password: String,
    account: AccountId,
    among: Patients,
}

/// Something that is tried with an account of each domain.
pub(super) struct Trial {
    /// The listener that it needs.
    pub(super) listener: &'static str,
    /// What is not tried without it.
    pub(super) without: &'static str,
    /// What it is, in a sentence about the account: `logged in`.
    pub(super) done: &'static str,
    /// How long it may take in one domain.
    pub(super) patience: Duration,
    pub(super) run: for<'a> fn(&'a Ward, &'a Patient) -> Trying<'a>,
}

/// What came of it, or what did not happen, and what to do.
pub(super) type Trying<'a> = Pin<Box<dyn Future<Output = Result<(), Ill>> + Send + 'a>>;

/// What does not hold.
pub(super) struct Ill {
    pub(super) what: String,
    pub(super) remedy: &'static str,
}

/// Where the reason of most of it is.
pub(super) const LOG: &str = "read the log of that moment: it says why";

impl From<String> for Ill {
    fn from(what: String) -> Self {
        Self { what, remedy: LOG }
    }
}

impl Trial {
    /// Tries it in each domain, one after the other.
    pub(super) async fn carry_out(&self, ward: &Ward, found: &mut Findings) {
        if ward.running.is_none() {
            return found.no_server();
        }
        let (Ok((auth, _)), Ok(Some(_))) = (&ward.auth, &ward.tls) else {
            return found.unchecked("not checked: the store or the certificate cannot be read");
        };
        if ward.reach(self.listener).is_none() {
            let (listener, without) = (self.listener, self.without);
            return found.note(format!("not tried: {listener} listens nowhere, and {without}"), "");
        }
        for domain in ward.each_domain(found) {
            let patient = match ward.patients.admit(auth, domain).await {
                Ok(patient) => patient,
                Err(error) => {
                    found.unchecked(format!("no account of {domain} could be made to try it with: {error}"));
                    continue;
                }
            };
            match tokio::time::timeout(self.patience, (self.run)(ward, &patient)).await {
                Ok(Ok(())) => found.ok(format!("an account of {domain} {}", self.done)),
                Ok(Err(ill)) => found.error(format!("{domain}: {}", ill.what), ill.remedy),
                Err(_) => found.error(format!("{domain}: {} did not answer in time", self.listener), LOG),
            }
            if let Err(error) = patient.discharge(auth).await {
                found.warning(
                    format!("the account that it was tried with could not be removed: {error}"),
                    "the next look takes it away, and so does a start of the server",
                );
            }
        }
    }
}

/// Who is there: of a look that is broken off they can be sent home. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Patients(Arc<Mutex<Vec<Aor>>>);

impl Patients {
    pub(super) async fn admit(&self, auth: &Auth, domain: &str) -> Result<Patient, String> {
        let seconds = unix_millis() / 1000;
        let name = format!("{PREFIX}{seconds:010x}{:06x}", random() & 0xff_ffff);
        let password = format!("{:016x}{:016x}", random(), random());
        let aor = Aor::new(&name, domain).map_err(|error| error.to_string())?;
        let jid = BareJid(aor.0.clone());
        let profile = Profile { name: SHOWN.to_owned(), ..Profile::default() };
        self.inside().push(aor.clone());
        let made = auth.book.create_trial(NewAccount { aor: aor.clone(), jid, profile }, &password).await;
        let card = made.map_err(|error| error.to_string())?;
        Ok(Patient { aor, password, account: card.account, among: self.clone() })
    }

    /// Takes away the accounts of a look that is broken off.
    pub async fn discharge_all(&self, auth: &Auth) -> Result<(), String> {
        let all = std::mem::take(&mut *self.inside());
        for aor in all {
            let found = auth.directory.by_aor(&aor).await.map_err(|error| error.to_string())?;
            if let Some(card) = found {
                auth.book.remove(card.account).await.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn inside(&self) -> MutexGuard<'_, Vec<Aor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Patient {
    /// Takes the account away; what it made is erased by the server.
    pub(super) async fn discharge(self, auth: &Auth) -> Result<(), String> {
        auth.book.remove(self.account).await.map_err(|error| error.to_string())?;
        self.among.inside().retain(|aor| *aor != self.aor);
        Ok(())
    }
}

/// Whether an address, as a SIP URI or without its scheme, is that of an account that a look made.
pub fn is_patient(address: &str) -> bool {
    let address = address.strip_prefix("sip:").unwrap_or(address);
    address.split_once('@').is_some_and(|(name, _)| is_trial_name(name))
}

/// Takes away the accounts of looks that did not come to their end, and says how many there were.
pub async fn sweep(auth: &Auth) -> Result<usize, StoreError> {
    let (now, mut swept) = (unix_millis() / 1000, 0);
    // All that begin so stand behind this one, in the order of addresses.
    let mut after = Aor::new("doctor+", "x").ok();
    loop {
        let (cards, more) = auth.directory.list(after.as_ref(), PAGE).await?;
        let is_last = !more || cards.last().is_none_or(|card| !card.aor.local().starts_with(PREFIX));
        after = cards.last().map(|card| card.aor.clone());
        for card in cards.iter().filter(|card| is_left_over(card, now)) {
            match auth.book.remove(card.account).await {
                Ok(()) => swept += 1,
                Err(error) => {
                    tracing::warn!(account = %card.account, %error, "an account of a look that was killed stays");
                }
            }
        }
        if is_last {
            return Ok(swept);
        }
    }
}

/// Whether nobody tries anything with it any more: an earlier release named its accounts by chance, so that their time is none.
fn is_left_over(card: &AccountCard, now: i64) -> bool {
    let made = card.aor.local().strip_prefix(PREFIX).filter(|rest| rest.len() == 16);
    let made = made.and_then(|rest| i64::from_str_radix(rest.get(..10)?, 16).ok());
    card.name == SHOWN && made.is_some_and(|made| !(now - LONGEST_LOOK..=now + LONGEST_LOOK).contains(&made))
}

const PREFIX: &str = "doctor-";
/// The name that such accounts show.
const SHOWN: &str = "cusax doctor";
/// Seconds after which no look is under way any more that made an account.
const LONGEST_LOOK: i64 = 600;
/// Accounts read at once.
const PAGE: usize = 200;

#[cfg(test)]
mod tests {
    use shared_runtime::bus::Bus;
    use shared_store::Store;

    use super::*;

    #[tokio::test]
    async fn who_was_left_behind_is_taken_away_and_nobody_else() {
        let folder = std::env::temp_dir().join(format!("cusax-doctor-{:016x}", random()));
        let config = shared_auth::Config { iterations: 4096, ..Default::default() };
        let registry = prometheus::Registry::new();
        let auth = Auth::open(&config, &Store::in_memory(), &folder, &Bus::new(), &registry).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let make = async |name: &str, shown: &str| {
            let address = format!("{name}@example.org");
            let profile = Profile { name: shown.to_owned(), ..Profile::default() };
            let new = NewAccount { aor: address.parse().unwrap(), jid: address.parse().unwrap(), profile };
            auth.book.create_trial(new, "pencil").await.unwrap();
        };
        for (name, shown) in [
            ("doctor", SHOWN),
            ("doctor-0000000001abcdef", SHOWN),
            ("doctor-0000000002abcdef", "Dr. House"),
            ("doctor-9f86d081884c7d65", SHOWN),
            ("doctor-house", SHOWN),
            ("zoe", SHOWN),
        ] {
            make(name, shown).await;
        }
        let patients = Patients::default();
        let patient = patients.admit(&auth, "example.net").await.unwrap();
        assert!(is_patient(patient.aor.as_str()) && is_patient(&patient.aor.to_sip_uri()));
        assert!(!is_patient("sip:doctor-house@example.org") && !is_patient("doctor-0123456789abcdef"));
        assert_eq!(sweep(&auth).await, Ok(2));
        let (left, _) = auth.directory.list(None, 100).await.unwrap();
        let left: Vec<&str> = left.iter().map(|card| card.aor.local()).collect();
        assert_eq!(left, ["doctor-0000000002abcdef", patient.aor.local(), "doctor-house", "doctor", "zoe"]);
        patient.discharge(&auth).await.unwrap();
        let broken_off = patients.admit(&auth, "example.org").await.unwrap();
        patients.discharge_all(&auth).await.unwrap();
        assert_eq!(auth.directory.by_aor(&broken_off.aor).await.unwrap(), None);
        patients.discharge_all(&auth).await.unwrap();
        assert_eq!(sweep(&auth).await, Ok(0));
    }
}
