//! Opening the store for a command, beside a server or without one.

use anyhow::{Context, bail};
use shared_auth::Auth;
use shared_runtime::bus::Bus;
use shared_store::Store;

use crate::config::Config;
use crate::out::say;

/// Opens the store and what knows accounts.
pub(crate) async fn accounts(config: &Config) -> anyhow::Result<Auth> {
    let store = store(config).await?;
    auth(config, &store, &Bus::new(), &prometheus::Registry::new()).await
}

/// Opens the store and what knows accounts, for a command that makes nothing: where there is no store, that is said.
pub(crate) async fn known_accounts(config: &Config) -> anyhow::Result<Auth> {
    let store = known_store(config).await?;
    auth(config, &store, &Bus::new(), &prometheus::Registry::new()).await
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
    bus: &Bus<shared_model::Fact>,
    registry: &prometheus::Registry,
) -> anyhow::Result<Auth> {
    shared_auth::fit_key(store, &config.data_dir).await.context("auth")?;
    Auth::open(&config.auth, store, &config.data_dir, bus, registry).context("auth")
}

/// `cusax renew-key`: the store's key file is lost for good.
pub(crate) async fn renew_key(config: &Config) -> anyhow::Result<()> {
    shared_auth::renew_key(&store(config).await?, &config.data_dir).await.context("auth")?;
    say(
        "the store has the key file of data_dir for its own now; phones work again once their owner signed in on a page, or has a new password",
    )
}
