//! `cusax phone`.

use std::time::Duration;

use anyhow::bail;
use provisioning::{Mac, Make, PHONE_SCOPE};
use shared_auth::{Auth, Bearer, BookError, Holder};
use shared_model::{AccountId, Address};
use shared_runtime::unix_millis;

use crate::accounts::find;
use crate::config::Config;
use crate::open::link_port;
use crate::out::{say, say_done};

pub(crate) async fn add(
    desk: &Auth,
    config: &Config,
    address: &Address,
    (make, mac): (Make, &Mac),
    json: bool,
) -> anyhow::Result<()> {
    let (port, account) = (link_port(config).await?, find(desk, address).await?.account);
    let old = of(desk, account).await?.into_iter().find(|phone| phone.name == mac.as_str());
    let scopes = [PHONE_SCOPE, make.as_str(), mac.as_str()];
    let now = unix_millis();
    let (token, _) =
        desk.bearers.issue((account, Holder::Device), mac.as_str(), &scopes, LIFETIME, now).await?;
    if let Some(old) = old {
        desk.bearers.revoke(account, &old.id).await?;
    }
    let url =
        provisioning::phone_url(config.http.public_url.as_deref(), &config.host(), port, (make, &token));
    if json {
        say(serde_json::json!({ "mac": mac.as_str(), "make": make.as_str(), "url": url }))
    } else {
        say(url)
    }
}

pub(crate) async fn list(desk: &Auth, address: &Address, json: bool) -> anyhow::Result<()> {
    for phone in of(desk, find(desk, address).await?.account).await? {
        let make = phone.scopes.get(1).map_or("", String::as_str);
        if json {
            say(serde_json::json!({ "mac": phone.name, "make": make, "created_unix_ms": phone.created }))?;
        } else {
            say(format_args!("{}  {make}", phone.name))?;
        }
    }
    Ok(())
}

pub(crate) async fn remove(desk: &Auth, address: &Address, mac: &Mac, json: bool) -> anyhow::Result<()> {
    let account = find(desk, address).await?.account;
    let mut was_there = false;
    for phone in of(desk, account).await?.iter().filter(|phone| phone.name == mac.as_str()) {
        was_there |= desk.bearers.revoke(account, &phone.id).await?;
    }
    match desk.book.remove_app_password(account, &provisioning::phone_device(mac)).await {
        // It never asked for its file.
        Err(BookError::NoSuchApp) if was_there => {}
        Err(BookError::NoSuchApp) => bail!("{address} has no phone {}", mac.as_str()),
        Ok(()) => {}
        Err(error) => return Err(error.into()),
    }
    say_done(mac.as_str(), "removed", json)
}

async fn of(desk: &Auth, account: AccountId) -> anyhow::Result<Vec<Bearer>> {
    let all = desk.bearers.list(account, unix_millis()).await?;
    Ok(all
        .into_iter()
        .filter(|bearer| bearer.scopes.first().is_some_and(|scope| scope == PHONE_SCOPE))
        .collect())
}

/// Phones stand on desks for years.
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);
