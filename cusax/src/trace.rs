//! `cusax trace`: the timeline of one account, or what all of them have of a call, a room, an address or a stranger; beside a server or
//! without one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use jiff::tz::TimeZone;
use operations::timeline::{Entry, Trace};
use provisioning::{Found, NotSearched, Search, account_meant, number_in};
use shared_model::Pending;
use shared_runtime::bus::Bus;
use shared_runtime::unix_millis;
use shared_store::{Archive, StoreError};
use sip_server::records::{CallRecord, page};

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
        let found = search(&trace, &*store.archive, config.operations.timeline_keep, about, since).await;
        let found = found.map_err(|error| anyhow!("{}", why(error)))?;
        if found.is_empty() {
            bail!("nothing is known of `{about}`: no account has it, and no timeline names it");
        }
        for entry in found {
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

/// Timelines and rows of calls, searched for pages and the API.
pub(crate) struct Searched {
    pub(crate) trace: Trace,
    pub(crate) archive: Arc<dyn Archive>,
    /// How long an entry of a timeline is kept.
    pub(crate) keep: Duration,
}

impl Search for Searched {
    fn about<'a>(
        &'a self,
        sought: &'a str,
        since: Option<i64>,
        text: &'a str,
    ) -> Pending<'a, Result<Vec<Found>, NotSearched>> {
        Box::pin(async move {
            let found = search(&self.trace, &*self.archive, self.keep, sought, since).await?;
            let text = text.to_lowercase();
            let found = found.into_iter().rev().filter(|entry| entry.has(&text));
            Ok(found.map(|entry| Found { account: entry.account, happened: entry.happened() }).collect())
        })
    }
}

/// What all timelines have of something that is no account, the oldest first. Who of other services called or was called is known by the
/// rows of calls alone: those are looked through, since each says what both sides are.
async fn search(
    trace: &Trace,
    archive: &dyn Archive,
    keep: Duration,
    about: &str,
    since: Option<i64>,
) -> Result<Vec<Entry>, NotSearched> {
    let oldest = unix_millis() - i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let calls = match Sought::of(about) {
        Some(sought) => calls_with(archive, &sought, since.unwrap_or(i64::MIN).max(oldest)).await?,
        None => Vec::new(),
    };
    trace.about(about, &calls, since).await.map_err(unavailable)
}

/// The Call-IDs of the newest calls since then that one was in; an error if there were too many calls.
async fn calls_with(archive: &dyn Archive, sought: &Sought, since: i64) -> Result<Vec<String>, NotSearched> {
    let (mut found, mut after, mut read) = (VecDeque::new(), None, 0);
    loop {
        let (rows, more) = page(archive, Some(since), after).await.map_err(unavailable)?;
        read += rows.len();
        let is_with = |row: &CallRecord| sought.is(&row.from) || sought.is(&row.to);
        found.extend(rows.into_iter().filter(is_with).map(|row| row.call_id));
        while found.len() > MOST_CALLS {
            found.pop_front();
        }
        match more {
            None => return Ok(found.into()),
            Some(_) if read >= MOST_ROWS => return Err(NotSearched::TooMany),
            more => after = more,
        }
    }
}

/// Who may be in a call: a number, or a SIP URI.
#[derive(Debug, PartialEq, Eq)]
enum Sought {
    Number(String),
    Address(String),
}

impl Sought {
    fn of(text: &str) -> Option<Self> {
        let bare = bare(text);
        let address = || bare.contains('@').then(|| Self::Address(bare.to_lowercase()));
        number_in(bare).map(Self::Number).or_else(address)
    }

    /// Whether a URI is of whom is looked for; a number by whichever host it came.
    fn is(&self, uri: &str) -> bool {
        let bare = bare(uri);
        match self {
            Self::Address(address) => bare.eq_ignore_ascii_case(address),
            Self::Number(number) => {
                let user = bare.split('@').next().unwrap_or_default();
                user.strip_prefix('+').unwrap_or(user) == number
            }
        }
    }
}

/// What a URI is of, without its scheme, its password and its parameters.
fn bare(uri: &str) -> &str {
    let uri = uri.trim();
    let scheme = ["sip:", "sips:", "tel:"]
        .into_iter()
        .find(|it| uri.get(..it.len()).is_some_and(|at| at.eq_ignore_ascii_case(it)));
    uri[scheme.map_or(0, str::len)..].split([';', '?']).next().unwrap_or_default()
}

fn unavailable(error: StoreError) -> NotSearched {
    tracing::error!(%error, "timelines cannot be searched");
    NotSearched::Unavailable
}

fn why(error: NotSearched) -> &'static str {
    match error {
        NotSearched::TooMany => {
            "there were too many calls since then to look through; give a shorter time (--since)"
        }
        NotSearched::Unavailable => "the store does not answer",
    }
}

/// How often it is looked for what is new.
const EVERY: Duration = Duration::from_millis(500);
/// Rows of calls that are looked through, and calls that are followed from there.
const MOST_ROWS: usize = 100_000;
const MOST_CALLS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_who_they_are_by_whichever_uri() {
        let number = Sought::of("+33 1 23-45").unwrap();
        for (uri, is) in [
            ("sip:+3312345@carrier.example;user=phone", true),
            ("tel:3312345", true),
            ("sip:+33123456@carrier.example", false),
            ("sip:x3312345@carrier.example", false),
        ] {
            assert_eq!(number.is(uri), is, "{uri}");
        }
        let address = Sought::of("SIP:Eve@elsewhere.example;transport=tls").unwrap();
        assert!(address.is("sips:eve@Elsewhere.example") && !address.is("sip:eve@elsewhere.example.org"));
        assert_eq!((Sought::of("192.0.2.7"), Sought::of("a84b4c76e66710")), (None, None));
    }
}
