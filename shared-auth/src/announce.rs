//! Changes of accounts, told from one process to another over the store: `cusax user disable` beside a running server.
//!
//! In    what an [`AccountBook`](crate::AccountBook) did here; records that others wrote.
//! Out   the same fact on this process's bus, about a second later.
//! State one small record a change, removed after an hour.
//! Errors a change that cannot be announced is logged: others see it when what they remember of accounts is old.

use std::sync::Arc;
use std::time::Duration;

use shared_model::{AccountEvent, AccountId, Correlation, Fact};
use shared_runtime::bus::Bus;
use shared_runtime::{Shutdown, random, unix_millis};
use shared_store::{Expected, FullKey, Records, Store, StoreError};

/// The writing end.
pub(crate) struct Announcements {
    records: Arc<dyn Records>,
    /// Names this process among those that write.
    process: u64,
}

impl Announcements {
    pub(crate) fn new(records: Arc<dyn Records>) -> Self {
        Self { records, process: random() }
    }

    /// Names this process.
    pub(crate) fn process(&self) -> u64 {
        self.process
    }

    /// Tells other processes, which remember accounts and have sessions of theirs.
    pub(crate) async fn tell(&self, event: &AccountEvent) {
        let ((owner, collection, key), value) = self.record(event);
        let written = self.records.put(&owner, &collection, &key, &value, Expected::Anything).await;
        if let Err(error) = written {
            tracing::warn!(%error, "running servers do not hear that an account changed");
        }
    }

    /// What tells them, for who writes it along with the change.
    pub(crate) fn record(&self, event: &AccountEvent) -> (FullKey, Vec<u8>) {
        let (word, account) = match event {
            AccountEvent::Disabled { account } => ("disabled", account),
            AccountEvent::Removed { account } => ("removed", account),
            AccountEvent::Created { account } => ("created", account),
            AccountEvent::Changed { account } => ("changed", account),
            AccountEvent::DeviceEnded { account, .. } => (DEVICE_ENDED, account),
            AccountEvent::PasswordEnded { account, .. } => (PASSWORD_ENDED, account),
        };
        let key = format!("{:020}-{:016x}", unix_millis(), random());
        let mut value = format!("{word} {account} {:016x}", self.process);
        match event {
            AccountEvent::DeviceEnded { device, .. } => value.extend([" ", device]),
            AccountEvent::PasswordEnded { at, .. } => value.extend([" ", &at.to_string()]),
            _ => {}
        }
        ((OWNER.to_owned(), COLLECTION.to_owned(), key), value.into_bytes())
    }
}

/// Publishes what other processes announce, until shutdown. `process` is this one; `forget` drops what is remembered of
/// accounts, so that who hears the fact finds the account as it is now.
pub(crate) async fn follow(
    store: Store,
    bus: Bus<Fact>,
    process: u64,
    forget: impl Fn(),
    shutdown: Shutdown,
) {
    let own = format!("{process:016x}");
    let mut after = format!("{:020}", unix_millis() - LATENESS);
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let mut is_more = true;
        while is_more {
            let listed = store.records.list(OWNER, COLLECTION, Some(&after), MOST).await;
            let Ok(records) = listed else { break };
            is_more = records.len() == MOST && !shutdown.is_begun();
            for record in records {
                after.clone_from(&record.key);
                let text = String::from_utf8_lossy(&record.value);
                if let Some((account, event)) = read(&text, &own) {
                    forget();
                    bus.publish(Fact::new(Correlation::of_account(account), event).elsewhere());
                }
            }
        }
        forget_old(&store).await;
    }
}

fn read(text: &str, own: &str) -> Option<(AccountId, AccountEvent)> {
    let mut words = text.splitn(4, ' ');
    let (word, account, process) = (words.next()?, words.next()?, words.next()?);
    if process == own {
        return None;
    }
    let account: AccountId = account.parse().ok()?;
    let event = match word {
        "created" => AccountEvent::Created { account },
        "changed" => AccountEvent::Changed { account },
        "disabled" => AccountEvent::Disabled { account },
        "removed" => AccountEvent::Removed { account },
        DEVICE_ENDED => AccountEvent::DeviceEnded { account, device: words.next()?.to_owned() },
        PASSWORD_ENDED => AccountEvent::PasswordEnded { account, at: words.next()?.parse().ok()? },
        _ => return None,
    };
    Some((account, event))
}

/// What ended in the last hour, by whichever process, and when (milliseconds since 1970), the oldest first: for who was away, or
/// missed facts.
pub(crate) async fn ended_lately(records: &dyn Records) -> Result<Vec<(i64, AccountEvent)>, StoreError> {
    let (mut ended, mut after) = (Vec::new(), format!("{:020}", unix_millis() - KEPT));
    loop {
        let page = records.list(OWNER, COLLECTION, Some(&after), MOST).await?;
        for record in &page {
            let at = record.key.split('-').next().and_then(|at| at.parse().ok());
            // No process has no name: none is passed over as this one's own.
            let event = read(&String::from_utf8_lossy(&record.value), "");
            if let (Some(at), Some((_, event))) = (at, event)
                && !matches!(event, AccountEvent::Created { .. } | AccountEvent::Changed { .. })
            {
                ended.push((at, event));
            }
        }
        match page.last() {
            Some(last) if page.len() == MOST => after.clone_from(&last.key),
            _ => return Ok(ended),
        }
    }
}

async fn forget_old(store: &Store) {
    let old = format!("{:020}", unix_millis() - KEPT);
    let Ok(records) = store.records.list(OWNER, COLLECTION, None, MOST).await else { return };
    for record in records.iter().filter(|record| record.key < old) {
        // What is not removed now is removed the next time.
        let _ = store.records.delete(OWNER, COLLECTION, &record.key).await;
    }
}

const OWNER: &str = "cusax";
const COLLECTION: &str = "account-announcements";
const DEVICE_ENDED: &str = "device-ended";
const PASSWORD_ENDED: &str = "password-ended";
/// How often announcements are looked for.
const EVERY: Duration = Duration::from_secs(1);
/// Announcements read at once.
const MOST: usize = 100;
/// Milliseconds by which the clocks of two machines may differ.
const LATENESS: i64 = 5_000;
/// Milliseconds that an announcement is kept.
const KEPT: i64 = 3_600_000;

#[cfg(test)]
mod tests {
    use shared_model::{Event, Origin};
    use shared_runtime::bus::Heard;

    use super::*;

    #[tokio::test]
    async fn another_process_hears_and_this_one_does_not_hear_itself() {
        let store = Store::in_memory();
        let (here, there) =
            (Announcements::new(Arc::clone(&store.records)), Announcements::new(Arc::clone(&store.records)));
        let (bus, shutdown) = (Bus::new(), Shutdown::new());
        let mut facts = bus.subscribe();
        shutdown.spawn(follow(store, bus, here.process(), || {}, shutdown.clone()));
        here.tell(&AccountEvent::Disabled { account: AccountId(1) }).await;
        let account = AccountId(2);
        let all = [
            AccountEvent::Created { account },
            AccountEvent::Changed { account },
            AccountEvent::Disabled { account },
            AccountEvent::Removed { account },
            AccountEvent::DeviceEnded { account, device: "PHONE 2".to_owned() },
            AccountEvent::PasswordEnded { account, at: 7 },
        ];
        for event in &all {
            there.tell(event).await;
        }
        let mut told = Vec::new();
        for _ in &all {
            let heard = facts.next().await;
            let Some(Heard::Fact(fact)) = heard else { panic!("{heard:?}") };
            assert_eq!(fact.origin, Origin::Elsewhere);
            told.push(fact.event);
        }
        let ended = ended_lately(&*there.records).await.unwrap();
        let ended: Vec<AccountEvent> = ended.into_iter().map(|(_, event)| event).collect();
        assert_eq!(ended.len(), 5, "its own, too: {ended:?}");
        assert!(ended.contains(&all[4]) && !ended.contains(&all[1]), "{ended:?}");
        assert!(all.into_iter().all(|event| told.contains(&Event::Account(event))), "{told:?}");
        shutdown.begin();
    }
}
