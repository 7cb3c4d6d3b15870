//! `cusax profile`.

use anyhow::{Context, bail};
use provisioning::{Layer, Profiles, Settings};
use shared_store::Store;

use crate::out::say;

pub(crate) async fn show(store: &Store, layer: &Layer) -> anyhow::Result<()> {
    let settings = Profiles::new(store.records.clone()).read(layer).await?;
    say(serde_json::to_string(&settings)?)
}

pub(crate) async fn set(store: &Store, layer: &Layer, settings: &str) -> anyhow::Result<()> {
    let settings: Settings = serde_json::from_str(settings).context("these are no settings")?;
    if let Some(fault) = settings.fault() {
        bail!(fault);
    }
    Ok(Profiles::new(store.records.clone()).write(layer, &settings).await?)
}
