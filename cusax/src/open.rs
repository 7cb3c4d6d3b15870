//! Opening the store for a command, beside a server or without one.

use anyhow::Context;
use shared_auth::Auth;
use shared_runtime::bus::Bus;
use shared_store::Store;

use crate::config::Config;

/// Opens the store and what knows accounts.
pub(crate) async fn accounts(config: &Config) -> anyhow::Result<Auth> {
    let store = store(config).await?;
    auth(config, &store, &Bus::new(), &prometheus::Registry::new())
}

/// Opens the store, making the data folder if need be.
pub(crate) async fn store(config: &Config) -> anyhow::Result<Store> {
    shared_store::make_private_folder(&config.data_dir)
        .with_context(|| format!("data_dir: cannot make {}", config.data_dir.display()))?;
    Store::open(&config.store_url()).await.context("store")
}

/// Opens what knows accounts.
pub(crate) fn auth(
    config: &Config,
    store: &Store,
    bus: &Bus<shared_model::Fact>,
    registry: &prometheus::Registry,
) -> anyhow::Result<Auth> {
    Auth::open(&config.auth, store, &config.data_dir, bus, registry).context("auth")
}
