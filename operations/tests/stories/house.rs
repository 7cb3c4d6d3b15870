//! A house of one account, with a timeline.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use operations::Config;
use operations::timeline::{Entry, Parts, Trace, start};
use prometheus::Registry;
use shared_auth::{Auth, NewAccount, Profile};
use shared_model::{AccountId, Correlation, Domains, Event, Fact};
use shared_runtime::Shutdown;
use shared_runtime::bus::Bus;
use shared_store::{Archive, Store};

pub(crate) struct House {
    pub(crate) alice: AccountId,
    pub(crate) bob: AccountId,
    pub(crate) bus: Bus<Fact>,
    pub(crate) registry: Registry,
    pub(crate) trace: Trace,
    pub(crate) shutdown: Shutdown,
    pub(crate) auth: Auth,
    archive: Arc<dyn Archive>,
    folder: PathBuf,
}

impl House {
    pub(crate) async fn new(config: Config) -> Self {
        Self::with(config, |store| Arc::clone(&store.archive)).await
    }

    /// With an archive that is not quite the store's.
    pub(crate) async fn with(config: Config, archive: impl FnOnce(&Store) -> Arc<dyn Archive>) -> Self {
        let folder = std::env::temp_dir().join(format!("cusax-timeline-{:016x}", shared_runtime::random()));
        let (store, bus, registry, shutdown) =
            (Store::in_memory(), Bus::new(), Registry::new(), Shutdown::new());
        // What makes the accounts tells another bus.
        let auth =
            Auth::open(&shared_auth::Config::default(), &store, &folder, &Bus::new(), &registry).unwrap();
        let mut people = Vec::new();
        for name in ["alice", "bob"] {
            let (aor, jid) = (
                format!("{name}@example.org").parse().unwrap(),
                format!("{name}.chat@example.org").parse().unwrap(),
            );
            let new = NewAccount { aor, jid, profile: Profile::default() };
            people.push(auth.book.create(new, "correct horse battery").await.unwrap());
        }
        let archive = archive(&store);
        let trace = Trace::new(Arc::clone(&archive));
        let parts = Parts {
            config: &config,
            facts: bus.subscribe(),
            archive: Arc::clone(&archive),
            domains: domains(),
            auth: auth.clone(),
            registry: &registry,
            shutdown: shutdown.clone(),
        };
        start(parts).await.unwrap();
        let (alice, bob) = (people[0].account, people[1].account);
        Self { alice, bob, bus, registry, trace, shutdown, auth, archive, folder }
    }

    /// Stops, and starts over the same store when something was done in between.
    pub(crate) async fn again(&mut self, meanwhile: impl Future<Output = ()>) {
        self.shutdown.begin();
        assert!(self.shutdown.finish(Duration::from_secs(10)).await);
        meanwhile.await;
        (self.registry, self.shutdown) = (Registry::new(), Shutdown::new());
        let parts = Parts {
            config: &Config::default(),
            facts: self.bus.subscribe(),
            archive: Arc::clone(&self.archive),
            domains: domains(),
            auth: self.auth.clone(),
            registry: &self.registry,
            shutdown: self.shutdown.clone(),
        };
        start(parts).await.unwrap();
    }

    pub(crate) fn tell(&self, at: Correlation, event: impl Into<Event>) {
        self.bus.publish(Fact::new(at, event));
    }

    /// The timeline of an account as soon as it is as is wanted.
    pub(crate) async fn until(&self, account: AccountId, is_wanted: impl Fn(&[Entry]) -> bool) -> Vec<Entry> {
        let late = Instant::now() + Duration::from_secs(10);
        loop {
            let entries = self.trace.follow(account, None).next().await.unwrap();
            if is_wanted(&entries) {
                return entries;
            }
            assert!(Instant::now() < late, "the timeline stays {entries:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What a counter says.
    pub(crate) fn counted(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        family.map_or(0.0, |family| family.get_metric().iter().map(|m| m.get_counter().get_value()).sum())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.shutdown.begin();
        // It is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn domains() -> Domains {
    Domains::new("example.org", [])
}

pub(crate) fn events(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.what.event.as_ref()).collect()
}
