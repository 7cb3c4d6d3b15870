//! `cusax trace`: the timeline of one account, or what all of them have of a call, a room, an address or a stranger; beside a server or
//! without one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use jiff::tz::TimeZone;
use operations::timeline::{Entry, Sight, Trace};
use provisioning::{Answer, Found, NotSearched, Search, account_meant, number_in};
use shared_model::{Pending, without_scheme};
use shared_runtime::bus::Bus;
use shared_runtime::unix_millis;
use shared_store::{Archive, StoreError};
use sip_server::records::{CallRecord, newest};
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
        let searched = Searched::new(trace, Arc::clone(&store.archive), config.operations.timeline_keep);
        let sight = searched.sight(about, since).await.map_err(|error| anyhow!("{}", why(error)))?;
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

/// Timelines and rows of calls, searched for pages, the API and the command.
pub(crate) struct Searched {
    trace: Trace,
    archive: Arc<dyn Archive>,
    /// How long an entry of a timeline is kept.
    keep: Duration,
    turns: Semaphore,
}

impl Search for Searched {
    fn about<'a>(
        &'a self,
        sought: &'a str,
        since: Option<i64>,
        text: &'a str,
    ) -> Pending<'a, Result<Answer, NotSearched>> {
        Box::pin(async move {
            let Sight { entries, is_whole, .. } = self.sight(sought, since).await?;
            let text = text.to_lowercase();
            let found = entries.into_iter().rev().filter(|entry| entry.has(&text));
            let found = found.map(|entry| Found { account: entry.account, happened: entry.happened() });
            Ok(Answer { found: found.collect(), is_whole })
        })
    }
}

impl Searched {
    pub(crate) fn new(trace: Trace, archive: Arc<dyn Archive>, keep: Duration) -> Self {
        Self { trace, archive, keep, turns: Semaphore::new(AT_ONCE) }
    }

    /// What all timelines have of something that is no account. It is looked up; only what is no call, no stream and no room may be who
    /// called or was called from elsewhere, of which rows of calls alone know: those are looked through.
    async fn sight(&self, about: &str, since: Option<i64>) -> Result<Sight, NotSearched> {
        // Nobody closes it.
        let _turn = self.turns.acquire().await.map_err(|_| NotSearched::Unavailable)?;
        let sight = self.trace.about(about, &[], since).await.map_err(unavailable)?;
        let Some(sought) = Sought::of(about).filter(|_| !sight.has_activity) else { return Ok(sight) };
        let oldest = unix_millis() - i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        let calls = self.calls_with(&sought, since.unwrap_or(i64::MIN).max(oldest)).await;
        let (calls, are_all) = calls.map_err(unavailable)?;
        let sight = match calls.is_empty() {
            true => sight,
            false => self.trace.about(about, &calls, since).await.map_err(unavailable)?,
        };
        match sight.entries.is_empty() && !are_all {
            true => Err(NotSearched::TooMany),
            false => Ok(Sight { is_whole: sight.is_whole && are_all, ..sight }),
        }
    }

    /// The Call-IDs of the newest calls since then that one was in, and whether those are all.
    async fn calls_with(&self, sought: &Sought, since: i64) -> Result<(Vec<String>, bool), StoreError> {
        let (mut found, mut before, mut read) = (Vec::new(), None, 0);
        loop {
            let (rows, more) = newest(&*self.archive, Some(since), before).await?;
            read += rows.len();
            let is_with = |row: &CallRecord| sought.is(&row.from) || sought.is(&row.to);
            found.extend(rows.into_iter().filter(is_with).map(|row| row.call_id));
            match more {
                None if found.len() <= MOST_CALLS => return Ok((found, true)),
                Some(_) if found.len() <= MOST_CALLS && read < MOST_ROWS => before = more,
                _ => {
                    found.truncate(MOST_CALLS);
                    return Ok((found, false));
                }
            }
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
    without_scheme(uri).split([';', '?']).next().unwrap_or_default()
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
/// Searches at once: one is some ten thousand rows.
const AT_ONCE: usize = 2;
/// Rows of calls that are looked through, a page at once, and calls that are followed from there.
const MOST_ROWS: usize = 50_000;
const MOST_CALLS: usize = 100;

#[cfg(test)]
mod tests {
    use shared_model::Correlation;
    use shared_store::{Entry as Row, Store};
    use sip_server::records::{CallResult, Direction};

    use super::*;

    /// A row of a call that began at this millisecond.
    fn call(n: i64, from: &str) -> Row {
        let record = CallRecord {
            time: String::new(),
            answered: None,
            ended: String::new(),
            seconds: 0,
            from: from.to_owned(),
            to: "sip:bob@example.org".to_owned(),
            caller: None,
            callee: None,
            direction: Direction::In,
            trunk: None,
            result: CallResult::Refused,
            status: 404,
            codecs: Vec::new(),
            class: String::new(),
            cost: String::new(),
            currency: String::new(),
            correlation: String::new(),
            call_id: format!("c{n}"),
            is_anonymous: false,
            is_left_message: false,
        };
        let (id, with, body) = (format!("{n:09}"), String::new(), serde_json::to_vec(&record).unwrap());
        Row { owner: "calls".to_owned(), id, with, time: n, kind: "call".to_owned(), body }
    }

    /// What bob's timeline has of a call, and its row in the index.
    fn told(call_id: &str) -> [Row; 2] {
        let (at, bob) = (Correlation::of_call(call_id).to_string(), format!("timeline:{:032x}", 2));
        let what =
            serde_json::json!({ "correlation": at, "protocol": "sip", "event": "call_begun", "text": "x" });
        let row = |owner, id, with, body| Row { owner, id, with, time: 1, kind: "timeline".to_owned(), body };
        let (id, body) = (format!("{bob} {at} 0"), serde_json::to_vec(&what).unwrap());
        [row(format!("timeline#{at}"), id, String::new(), Vec::new()), row(bob, call_id.to_owned(), at, body)]
    }

    #[tokio::test]
    async fn many_calls_hide_neither_a_call_nor_who_called_lately() {
        let folder = std::env::temp_dir().join(format!("cusax-searched-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&format!("sqlite://{}/cusax.db", folder.display())).await.unwrap();
        let archive = store.archive;
        let (old, calls) = ("sip:old@elsewhere.example", MOST_ROWS as i64 + 10);
        let from = |n| match n {
            0 => old,
            n if n == calls - 1 => "sip:new@elsewhere.example",
            _ => "sip:x@elsewhere.example",
        };
        let rows: Vec<Row> = (0..calls).map(|n| call(n, from(n))).collect();
        archive.append(&rows).await.unwrap();
        let newest = format!("c{}", calls - 1);
        for call_id in ["a84b4c76@192.0.2.1", &newest, "c0"] {
            archive.append(&told(call_id)).await.unwrap();
        }
        let searched = Searched::new(Trace::new(Arc::clone(&archive)), archive, Duration::MAX);
        let sight = async |sought: &str| {
            let sight = searched.sight(sought, None).await?;
            Ok((sight.entries.len(), sight.is_whole))
        };
        assert_eq!(sight("a84b4c76@192.0.2.1").await, Ok((1, true)), "by its Call-ID it is looked up");
        assert_eq!(sight("sip:new@elsewhere.example").await, Ok((1, false)));
        assert_eq!(sight(old).await, Err(NotSearched::TooMany));
        assert_eq!(sight("192.0.2.1").await, Ok((0, true)));
        // It is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&folder);
    }

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
