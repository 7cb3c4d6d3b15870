//! Opening the store for a command, beside a server or without one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use operations::doctor::Running;
use shared_auth::{Auth, KeyError};
use shared_model::{AccountId, Correlation, Fact, ProvisioningEvent};
use shared_runtime::Shutdown;
use shared_runtime::bus::{Bus, Subscription};
use shared_store::Store;
use tokio::sync::OnceCell;

use crate::config::{self, Config};
use crate::out::{say, say_done};

/// What a command works on: read and opened when it is first needed, once.
pub(crate) struct Ground {
    file: Option<PathBuf>,
    config: OnceCell<Config>,
    store: OnceCell<Store>,
    auth: OnceCell<Auth>,
    bus: Bus<Fact>,
    /// What the command does to accounts, until its end.
    facts: Subscription<Fact>,
}

impl Ground {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        let (bus, config) = (Bus::new(), OnceCell::new());
        Self { file, config, store: OnceCell::new(), auth: OnceCell::new(), facts: bus.subscribe(), bus }
    }

    pub(crate) async fn config(&self) -> anyhow::Result<&Config> {
        self.config.get_or_try_init(|| async { config::load(self.file.as_deref()) }).await
    }

    /// The store, which is made if need be.
    pub(crate) async fn store(&self) -> anyhow::Result<&Store> {
        let config = self.config().await?;
        self.store.get_or_try_init(|| store(config)).await
    }

    /// The store that is there.
    pub(crate) async fn known_store(&self) -> anyhow::Result<&Store> {
        let config = self.config().await?;
        self.store.get_or_try_init(|| known_store(config)).await
    }

    /// What knows accounts, in a store that is made if need be.
    pub(crate) async fn accounts(&self) -> anyhow::Result<&Auth> {
        self.store().await?;
        self.known_accounts().await
    }

    /// What knows accounts, for a command that makes nothing: where there is no store, that is said.
    pub(crate) async fn known_accounts(&self) -> anyhow::Result<&Auth> {
        let (config, store) = (self.config().await?, self.known_store().await?);
        let open = || async { auth(config, store, &self.bus, &prometheus::Registry::new()).await };
        self.auth.get_or_try_init(open).await
    }

    /// Tells what the command did to an account, or to nobody's.
    pub(crate) fn tell(&self, account: Option<AccountId>, event: ProvisioningEvent) {
        self.bus.publish(Fact::new(account.map_or(Correlation(0), Correlation::of_account), event));
    }

    /// Puts what the command did into the timelines of its accounts. A server beside it hears of some of it, and leaves the writing to it.
    pub(crate) async fn tell_timelines(self) -> anyhow::Result<()> {
        let (Some(config), Some(store), Some(auth)) = (self.config.get(), self.store.get(), self.auth.get())
        else {
            return Ok(()); // nothing was done to anybody
        };
        let registry = prometheus::Registry::new();
        let written = operations::timeline::write_down(operations::timeline::Parts {
            config: &config.operations,
            facts: self.facts,
            archive: Arc::clone(&store.archive),
            domains: config.accounts(),
            auth: auth.clone(),
            registry: &registry,
            shutdown: Shutdown::new(),
        });
        // What is not written in time is not told: the command did its work.
        tokio::time::timeout(PATIENCE, written).await.context("the store is slow")?.map_err(Into::into)
    }
}

/// Opens the store that is there: a mistyped path makes no empty one.
pub(crate) async fn known_store(config: &Config) -> anyhow::Result<Store> {
    match config.store_file() {
        Some(file) if !file.exists() => {
            bail!("there is no store at {}: `cusax serve` or `cusax user add` makes it", file.display())
        }
        _ => store(config).await,
    }
}

/// Opens the store, making the data folder if need be.
pub(crate) async fn store(config: &Config) -> anyhow::Result<Store> {
    shared_store::make_private_folder(&config.data_dir)
        .with_context(|| format!("data_dir: cannot make {}", config.data_dir.display()))?;
    let opened = Store::open(&config.store_url()).await;
    opened.with_context(|| match config.store_file() {
        Some(file) => format!("store at {}", file.display()),
        None => "store".to_owned(),
    })
}

/// Opens what knows accounts, if the key file is the store's own.
pub(crate) async fn auth(
    config: &Config,
    store: &Store,
    bus: &Bus<Fact>,
    registry: &prometheus::Registry,
) -> anyhow::Result<Auth> {
    shared_auth::fit_key(store, &config.data_dir).await.context("auth")?;
    let mut auth = Auth::open(&config.auth, store, &config.data_dir, bus, registry).context("auth")?;
    auth.bans.spare(config.http.trusted_proxies.iter().copied().chain(config.sip.known_networks()));
    auth.bans.serve(config.own_names(), config.own_addresses());
    Ok(auth)
}

/// `cusax renew-key`: the store's key file is lost for good; where it is not, nothing is changed.
pub(crate) async fn renew_key(ground: &Ground, json: bool) -> anyhow::Result<()> {
    let (store, data_dir) = (ground.store().await?, &ground.config().await?.data_dir);
    let is_its_own = is_kept(shared_auth::fit_key(store, data_dir).await).context("auth")?;
    if !is_its_own {
        shared_auth::renew_key(store, data_dir).await.context("auth")?;
        let desk = ground.known_accounts().await?;
        desk.audit.note("command line", "key renewed", "auth.key").await;
    }
    match (json, is_its_own) {
        (true, true) => say_done("auth.key", "kept", json),
        (true, false) => say_done("auth.key", "renewed", json),
        (false, true) => {
            say("the key file of data_dir is the store's own already: nothing is changed, and phones go on")
        }
        (false, false) => say(
            "the store has the key file of data_dir for its own now; phones work again once their owner signed in on a page, or has a new password",
        ),
    }
}

/// Whether the key file is the store's own. What cannot be told is no loss: a store that does not answer keeps its key.
fn is_kept(fits: Result<(), KeyError>) -> Result<bool, KeyError> {
    match fits {
        Ok(()) => Ok(true),
        Err(KeyError::Missing(_) | KeyError::Another(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The port in links to the HTTPS face: where the system chooses it, the one that the server beside us has.
pub(crate) async fn link_port(config: &Config) -> anyhow::Result<Option<u16>> {
    let is_chosen = config.https_port() == Some(0) && config.http.public_url.is_none();
    if !is_chosen {
        return Ok(config.https_port());
    }
    if let Some(running) = Running::read(&config.data_dir)
        && running.answers().await
        && let Some(bound) = running.listeners.iter().find(|bound| bound.listener == "http.https")
    {
        return Ok(Some(bound.address.port()));
    }
    bail!(
        "the system chooses the port of http.https when the server starts, and none answers: start it first"
    )
}

/// How long a command waits until the timelines have it.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_lost_where_it_is_missing_or_another_and_not_where_that_cannot_be_told() {
        let file = || PathBuf::from("auth.key");
        assert!(is_kept(Ok(())).unwrap());
        assert!(!is_kept(Err(KeyError::Missing(file()))).unwrap());
        assert!(!is_kept(Err(KeyError::Another(file()))).unwrap());
        for untold in [
            KeyError::Store(shared_store::StoreError::Conflict),
            KeyError::Damaged(file()),
            KeyError::Io { path: file(), error: std::io::ErrorKind::PermissionDenied.into() },
        ] {
            assert!(is_kept(Err(untold)).is_err());
        }
    }
}
