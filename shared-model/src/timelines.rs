//! What an operator sees of an account and of the service, for whoever shows it.

use crate::{AccountId, Correlation, Pending, Unavailable};

/// One thing that happened to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// When, milliseconds since 1970.
    pub time: i64,
    /// What events of one activity share.
    pub correlation: Correlation,
    /// The face of the service.
    pub protocol: String,
    /// The word for it.
    pub event: String,
    /// The sentence for it.
    pub text: String,
    /// The Call-ID, if it is about one.
    pub call_id: Option<String>,
    /// The id of the stream, if it is about one.
    pub stream: Option<String>,
    /// The room, if it is about one.
    pub room: Option<String>,
}

/// Reads timelines. Operations implement it; provisioning shows them.
pub trait Timelines: Send + Sync {
    /// What happened to an account since a moment (milliseconds since 1970), the newest first; with a text, what has it.
    fn search<'a>(
        &'a self,
        account: AccountId,
        since: Option<i64>,
        text: &'a str,
    ) -> Pending<'a, Result<Vec<Happened>, Unavailable>>;
    /// The newest that happened to an account, or what happened before an entry: so much at most, the newest first. `None`: that
    /// entry is not there, or not any more.
    fn page<'a>(
        &'a self,
        account: AccountId,
        before: Option<&'a str>,
        most: usize,
    ) -> Pending<'a, Result<Option<Past>, Unavailable>>;
}

/// A part of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Past {
    /// The newest first.
    pub entries: Vec<Happened>,
    /// The entry before which there is more.
    pub before: Option<String>,
}

/// One thing that a look at the service found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The check that found it.
    pub check: String,
    /// `ok`, `note`, `unchecked`, `warning`, `error`.
    pub severity: String,
    /// What it is.
    pub text: String,
    /// What to do; empty if nothing is to be done.
    pub remedy: String,
}

/// Why nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotLooked {
    /// Another look is under way.
    UnderWay,
    /// The look broke off.
    BrokeOff,
}

/// Looks whether the service is well.
pub trait Doctor: Send + Sync {
    /// Every finding, and whether all holds. One look at a time, since each makes accounts and calls.
    fn look(&self) -> Pending<'_, Result<(Vec<Diagnosis>, bool), NotLooked>>;
}
