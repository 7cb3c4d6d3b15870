//! `cusax trace`: the timeline of one account, or what all of them have of a call, a room, an address or a stranger; beside a server or
//! without one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use jiff::tz::TimeZone;
use operations::timeline::{Entry, Sight, Trace};
use provisioning::{Answer, Found, Search, account_meant};
use shared_model::{Pending, Unavailable};
use shared_runtime::bus::Bus;
use shared_runtime::unix_millis;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::open;
use crate::out::say;

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

/// Prints what happened to an account, or in all timelines what is of something else; the oldest first.
pub(crate) async fn run(
    config: &Config,
    about: &str,
    since: Option<Duration>,
    until: Until,
    json: bool,
) -> anyhow::Result<()> {
    let store = open::known_store(config).await?;
    let desk = open::auth(config, &store, &Bus::new(), &prometheus::Registry::new()).await?;
    let since = since.map(|since| unix_millis() - i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let (zone, trace) = (TimeZone::system(), Trace::new(Arc::clone(&store.archive)));
    let tell = |entry: &Entry, name: Option<&str>| match json {
        true => say(entry.to_json(name)),
        false => say(entry.to_line(&zone)),
    };
    let Some(card) = account_meant(&desk, about).await? else {
        if until == Until::Interrupted {
            bail!("there is no account `{about}`; what is of no account is not followed, only searched");
        }
        let sight = trace.about(about, since).await?;
        if sight.entries.is_empty() {
            bail!("nothing is known of `{about}`: no account has it, and no timeline names it");
        }
        if !sight.is_whole {
            eprintln!("cusax: this is the newest of it; a shorter time (--since) shows all of that time");
        }
        for entry in sight.entries {
            let card = match entry.account {
                Some(account) => desk.directory.by_id(account).await?,
                None => None,
            };
            tell(&entry, card.as_ref().map(|card| card.aor.as_str()))?;
        }
        return Ok(());
    };
    let (mut follow, name) = (trace.follow(card.account, since), card.aor.to_string());
    loop {
        for entry in follow.next().await? {
            tell(&entry, Some(&name))?;
        }
        if until == Until::Now {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Timelines, searched for pages, the API and the command.
pub(crate) struct Searched {
    trace: Trace,
    turns: Semaphore,
}

impl Search for Searched {
    fn about<'a>(
        &'a self,
        sought: &'a str,
        since: Option<i64>,
        text: &'a str,
    ) -> Pending<'a, Result<Answer, Unavailable>> {
        Box::pin(async move {
            // Nobody closes it.
            let _turn = self.turns.acquire().await.map_err(|_| Unavailable)?;
            let Sight { entries, is_whole } = self.trace.about(sought, since).await.map_err(|error| {
                tracing::error!(%error, "timelines cannot be searched");
                Unavailable
            })?;
            let text = text.to_lowercase();
            let found = entries.into_iter().rev().filter(|entry| entry.has(&text));
            let found = found.map(|entry| Found { account: entry.account, happened: entry.happened() });
            Ok(Answer { found: found.collect(), is_whole })
        })
    }
}

impl Searched {
    pub(crate) fn new(trace: Trace) -> Self {
        Self { trace, turns: Semaphore::new(AT_ONCE) }
    }
}

/// How often it is looked for what is new.
const EVERY: Duration = Duration::from_millis(500);
/// Searches at once: one is some ten thousand rows.
const AT_ONCE: usize = 2;
