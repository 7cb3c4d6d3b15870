//! `cusax profile`.

use anyhow::{Context, bail};
use provisioning::{Layer, Profiles, Settings};
use serde_json::{Map, Value};
use shared_store::Store;

use crate::accounts::find;
use crate::open::Ground;
use crate::out::{say, say_done};

pub(crate) async fn show(store: &Store, layer: &Layer) -> anyhow::Result<()> {
    let settings = Profiles::new(store.records.clone()).read(layer).await?;
    say(serde_json::to_string(&settings)?)
}

pub(crate) async fn set(ground: &Ground, layer: &Layer, settings: &str, json: bool) -> anyhow::Result<()> {
    // What is no object would be read as settings in the order of their fields.
    let settings: Map<String, Value> =
        serde_json::from_str(settings).context("settings are a JSON object")?;
    let settings: Settings = serde_json::from_value(settings.into()).context("these are no settings")?;
    let (config, store) = (ground.config().await?, ground.store().await?);
    if let Some(fault) = settings.fault() {
        bail!(fault);
    }
    let desk = ground.accounts().await?;
    match layer {
        Layer::Domain(domain) if !config.accounts().has(domain) => {
            bail!("this service has no accounts of {domain}");
        }
        Layer::Account(aor) => drop(find(desk, &aor.0).await?),
        Layer::Device(aor, device) => {
            let account = find(desk, &aor.0).await?.account;
            if !desk.book.app_passwords(account).await?.iter().any(|known| known.name == *device) {
                eprintln!("cusax: {aor} has no device {device} yet; the settings wait for it");
            }
        }
        Layer::Service | Layer::Group(_) | Layer::Domain(_) => {}
    }
    Profiles::new(store.records.clone()).write(layer, &settings).await?;
    say_done(layer, "set", json)
}
