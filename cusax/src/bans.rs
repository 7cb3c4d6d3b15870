//! `cusax ban`: whom administrators keep out. A running server hears of it within a second.

use std::time::Duration;

use anyhow::bail;
use serde_json::Value;
use shared_auth::{Auth, Ban, Banned};
use shared_runtime::unix_millis;

use crate::config::Config;
use crate::out::{say, say_done};

pub(crate) async fn add(
    desk: &Auth,
    config: &Config,
    (who, reason): (&str, &str),
    term: Duration,
    json: bool,
) -> anyhow::Result<()> {
    let (domains, rooms) = (config.accounts(), config.rooms_domain());
    let is_ours = |domain: &str| domains.has(domain) || domain == rooms;
    let (ban, before) = desk.bans.make(who.parse()?, reason, term, is_ours).await?;
    let before = before.map_or(Value::Null, |ban| ban.to_json());
    desk.audit.change("command line", "banned", &ban.who, before, ban.to_json()).await;
    if json { say(ban.to_json()) } else { say_done(&ban.who, "banned", false) }
}

pub(crate) async fn list(desk: &Auth, json: bool) -> anyhow::Result<()> {
    for ban in desk.bans.all().await? {
        let Ban { who, reason, until, .. } = &ban;
        match json {
            true => say(ban.to_json())?,
            false => say(format_args!(
                "{who}  for {} h more: {reason}",
                (until - unix_millis()).max(0) / HOUR + 1
            ))?,
        }
    }
    Ok(())
}

pub(crate) async fn remove(desk: &Auth, who: &str, json: bool) -> anyhow::Result<()> {
    let who: Banned = who.parse()?;
    let Some(before) = desk.bans.lift(&who).await? else { bail!("nobody banned {who}") };
    desk.audit.change("command line", "ban lifted", &who, before.to_json(), Value::Null).await;
    say_done(who, "let in again", json)
}

/// Milliseconds.
const HOUR: i64 = 3_600_000;
