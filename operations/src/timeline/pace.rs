//! What keeps a flood out of the timeline: only changes are entries, and so many a minute.
//!
//! In    logins that held; entries to be. Out whether they are entries, and how many of a minute were not.
//! State two generations of at most [`MOST`] logins seen; one window for each account that had entries in the last minute.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use shared_model::{AccountId, Protocol};

use super::words::Whom;

/// Logins that held a while ago: a telephone proves itself with every REGISTER.
pub(super) struct Seen {
    hasher: RandomState,
    now: HashSet<u64>,
    before: HashSet<u64>,
    since: Instant,
    /// Who failed since, so that the next login that holds is news.
    failed: HashSet<AccountId>,
}

impl Seen {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            hasher: RandomState::new(),
            now: HashSet::new(),
            before: HashSet::new(),
            since: now,
            failed: HashSet::new(),
        }
    }

    /// Whether this login is news.
    pub(super) fn is_news(
        &mut self,
        account: AccountId,
        way: (Protocol, IpAddr, &'static str),
        now: Instant,
    ) -> bool {
        if now.duration_since(self.since) > GENERATION || self.now.len() >= MOST {
            self.before = std::mem::take(&mut self.now);
            self.since = now;
        }
        let key = self.hasher.hash_one((account, way));
        let is_new = self.now.insert(key) && !self.before.contains(&key);
        is_new | self.failed.remove(&account)
    }

    /// A login of theirs did not hold.
    pub(super) fn failed(&mut self, account: AccountId) {
        if self.failed.len() < MOST {
            self.failed.insert(account);
        }
    }
}

/// How many entries an account has in a minute.
#[derive(Default)]
pub(super) struct Pace(HashMap<Whom, Window>);

struct Window {
    began: Instant,
    entries: u32,
    failures: u32,
    passed_over: u32,
    failures_passed_over: u32,
}

/// What was passed over in an account's minute.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PassedOver {
    pub(super) whom: Whom,
    pub(super) entries: u32,
    pub(super) failures: u32,
}

impl Pace {
    /// How many have entries in their minute.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is room for one more entry of this account, or of this stranger, and of strangers at all.
    pub(super) fn admits(&mut self, whom: &Whom, is_failure: bool, now: Instant) -> bool {
        let Whom::Stranger(_) = whom else {
            return self.count(whom, is_failure, if is_failure { FAILURES } else { ENTRIES }, now);
        };
        // Who has had theirs takes nothing of the others'; who is new takes memory only where those of all have room.
        let is_full = self.0.get(whom).is_some_and(|window| match is_failure {
            true => window.failures >= OF_A_STRANGER,
            false => window.entries >= OF_A_STRANGER,
        });
        !is_full
            && self.count(&Whom::Strangers, is_failure, OF_STRANGERS, now)
            && self.count(whom, is_failure, OF_A_STRANGER, now)
    }

    fn count(&mut self, whom: &Whom, is_failure: bool, most: u32, now: Instant) -> bool {
        if self.0.len() >= MOST && !self.0.contains_key(whom) {
            return false;
        }
        let window = self.0.entry(whom.clone()).or_insert(Window {
            began: now,
            entries: 0,
            failures: 0,
            passed_over: 0,
            failures_passed_over: 0,
        });
        let (count, over) = match is_failure {
            true => (&mut window.failures, &mut window.failures_passed_over),
            false => (&mut window.entries, &mut window.passed_over),
        };
        let is_admitted = *count < most;
        *count = count.saturating_add(1);
        *over += u32::from(!is_admitted);
        is_admitted
    }

    /// Windows of accounts that are over, of those that passed something over; what strangers did besides is counted alone.
    pub(super) fn close(&mut self, now: Instant) -> Vec<PassedOver> {
        let mut closed = Vec::new();
        self.0.retain(|whom, window| {
            let is_over = now.duration_since(window.began) >= MINUTE;
            let is_told = !matches!(whom, Whom::Stranger(_) | Whom::Strangers);
            if is_over && is_told && (window.passed_over > 0 || window.failures_passed_over > 0) {
                let (entries, failures) = (window.passed_over, window.failures_passed_over);
                closed.push(PassedOver { whom: whom.clone(), entries, failures });
            }
            !is_over
        });
        closed
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// A login by the same way is news again after one to two of these.
const GENERATION: Duration = Duration::from_secs(1_800);
/// Logins of a generation, accounts of a minute.
const MOST: usize = 100_000;
/// Entries of an account in a minute.
const ENTRIES: u32 = 120;
/// Failed logins of an account in a minute that are entries.
const FAILURES: u32 = 5;
/// Entries, and failed logins, of one stranger in a minute.
const OF_A_STRANGER: u32 = 5;
/// Those of all strangers in a minute: scanners are many, and what they say is of little use.
const OF_STRANGERS: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_news_once_and_after_a_failure() {
        let (start, account) = (Instant::now(), AccountId(1));
        let mut seen = Seen::new(start);
        let way = (Protocol::Sip, IpAddr::from([127, 0, 0, 1]), "digest-md5");
        assert!(seen.is_news(account, way, start));
        assert!(!seen.is_news(account, way, start));
        assert!(seen.is_news(account, (Protocol::Xmpp, way.1, way.2), start));
        seen.failed(account);
        assert!(seen.is_news(account, way, start) && !seen.is_news(account, way, start));
        assert!(!seen.is_news(account, way, start + GENERATION * 2), "of the generation before");
        assert!(!seen.is_news(account, way, start + GENERATION * 4));
        seen.is_news(AccountId(2), way, start + GENERATION * 6);
        assert!(seen.is_news(account, way, start + GENERATION * 8));
    }

    #[test]
    fn a_minute_has_so_many_and_tells_the_rest() {
        let (start, whom) = (Instant::now(), Whom::Account(AccountId(1)));
        let mut pace = Pace::default();
        let admitted = (0..50).filter(|_| pace.admits(&whom, true, start)).count();
        assert_eq!(admitted, 5);
        assert!(pace.admits(&whom, false, start), "other entries have room of their own");
        assert_eq!(pace.close(start), []);
        assert_eq!(pace.close(start + MINUTE), [PassedOver { whom: whom.clone(), entries: 0, failures: 45 }]);
        assert!(pace.admits(&whom, true, start + MINUTE));
    }

    #[test]
    fn strangers_have_little_each_and_not_much_together() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        let stranger = |n: u32| Whom::Stranger(format!("192.0.2.{n}"));
        let admitted =
            |pace: &mut Pace, n: u32| (0..50).filter(|_| pace.admits(&stranger(n), true, start)).count();
        assert_eq!(
            (0..10).map(|n| admitted(&mut pace, n)).collect::<Vec<_>>(),
            [5, 5, 5, 5, 5, 5, 0, 0, 0, 0]
        );
        assert_eq!(pace.len(), 7, "six of them, and that of all");
        assert!(pace.admits(&stranger(0), false, start), "what is no failure has room of its own");
        assert!(pace.admits(&Whom::Account(AccountId(1)), true, start));
        assert_eq!(pace.close(start + MINUTE), []);
        assert_eq!(admitted(&mut pace, 9), 5);
    }
}
