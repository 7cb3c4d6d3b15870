//! `cusax trace`: the timeline of one account, beside a server or without one.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use jiff::tz::TimeZone;
use operations::timeline::Trace;
use shared_auth::{AccountCard, Auth};
use shared_model::Address;
use shared_runtime::bus::Bus;
use shared_runtime::unix_millis;

use crate::config::Config;
use crate::out::say;
use crate::{accounts, open};

/// How long it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until everything that happened is told.
    Now,
    /// Until it is interrupted.
    Interrupted,
}

impl Until {
    pub(crate) fn of(follows: bool) -> Self {
        if follows { Self::Interrupted } else { Self::Now }
    }
}

/// Prints what happened to an account, the oldest first.
pub(crate) async fn run(
    config: &Config,
    account: &str,
    since: Option<Duration>,
    until: Until,
    json: bool,
) -> anyhow::Result<()> {
    let store = open::known_store(config).await?;
    let desk = open::auth(config, &store, &Bus::new(), &prometheus::Registry::new()).await?;
    let card = find(&desk, account).await?;
    let since = since.map(|since| unix_millis() - i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let mut follow = Trace::new(store.archive).follow(card.account, since);
    let (zone, name) = (TimeZone::system(), card.aor.to_string());
    loop {
        for entry in follow.next().await? {
            if json { say(entry.to_json(&name))? } else { say(entry.to_line(&zone))? }
        }
        if until == Until::Now {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// An account by its number, its address of record, or its JID.
async fn find(desk: &Auth, account: &str) -> anyhow::Result<AccountCard> {
    let account = &provisioning::address_in(account);
    if account.contains('@') {
        let address: Address = account.parse().with_context(|| format!("`{account}` is no address"))?;
        return accounts::find(desk, &address).await;
    }
    let digits: String = account.chars().filter(|c| !" -()./".contains(*c)).collect();
    if !digits.contains(|c: char| c.is_ascii_digit()) {
        bail!("`{account}` is neither an address, such as alice@example.org, nor a number");
    }
    let number = format!("+{}", digits.trim_start_matches('+'));
    let by_number = desk.directory.by_number(&number).await?;
    by_number
        .ok_or_else(|| anyhow!("nobody has the number {number}; an account is alice@example.org or a number"))
}

/// How often it is looked for what is new.
const EVERY: Duration = Duration::from_millis(500);
