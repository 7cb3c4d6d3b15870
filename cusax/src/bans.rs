//! `cusax ban`: whom administrators keep out. A running server hears of it within a second.

use std::time::Duration;

use anyhow::bail;
use serde_json::Value;
use shared_auth::{Auth, Ban, BanError, Banned};
use shared_model::ProvisioningEvent;
use shared_runtime::unix_millis;

use crate::open::Ground;
use crate::out::{say, say_done};

pub(crate) async fn add(
    ground: &Ground,
    (who, reason): (&str, &str),
    term: Duration,
    json: bool,
) -> anyhow::Result<()> {
    let (desk, who): (_, Banned) = (ground.known_accounts().await?, who.parse()?);
    if let Banned::Number(number) = &who
        && desk.directory.by_number(number).await?.is_some()
    {
        return Err(BanError::Ours.into());
    }
    let (ban, before) = desk.bans.make(who, reason, term).await?;
    let before = before.map_or(Value::Null, |ban| ban.to_json());
    desk.audit.change("command line", "banned", &ban.who, before, ban.to_json()).await;
    ground.tell(None, ProvisioningEvent::Banned { account: None, who: ban.who.to_string() });
    if json { say(ban.to_json()) } else { say_done(&ban.who, "banned", false) }
}

pub(crate) async fn list(desk: &Auth, json: bool) -> anyhow::Result<()> {
    for ban in desk.bans.all().await? {
        let Ban { who, reason, until, .. } = &ban;
        match json {
            true => say(ban.to_json())?,
            false => say(format_args!("{who}  for {} more: {reason}", left(until - unix_millis())))?,
        }
    }
    Ok(())
}

pub(crate) async fn remove(ground: &Ground, who: &str, json: bool) -> anyhow::Result<()> {
    let (desk, who): (_, Banned) = (ground.known_accounts().await?, who.parse()?);
    let Some(before) = desk.bans.lift(&who).await? else { bail!("nobody banned {who}") };
    desk.audit.change("command line", "ban lifted", &who, before.to_json(), Value::Null).await;
    ground.tell(None, ProvisioningEvent::BanLifted { account: None, who: who.to_string() });
    say_done(who, "let in again", json)
}

/// How long a ban of which so many milliseconds are left still holds; below two hours in minutes.
fn left(millis: i64) -> String {
    match millis.max(0) / MINUTE + 1 {
        minutes @ ..=120 => format!("{minutes} min"),
        minutes => format!("{} h", (minutes - 1) / 60 + 1),
    }
}

/// Milliseconds.
const MINUTE: i64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_ban_is_said_as_it_was_given() {
        for (minutes, said) in [(0, "1 min"), (5, "5 min"), (120, "120 min"), (180, "3 h"), (24 * 60, "24 h")]
        {
            assert_eq!(left(minutes * MINUTE - 1), said);
        }
    }
}
