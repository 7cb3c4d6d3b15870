//! One row, and how rows are read.

use serde::{Deserialize, Serialize};
use shared_model::AccountId;
use shared_store::{Archive, Entry, Page, Position, Query, StoreError};

/// One call, when it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// When it began, RFC 3339.
    pub time: String,
    /// When it was answered, if it was.
    pub answered: Option<String>,
    /// When it was over.
    pub ended: String,
    /// Seconds from the answer to the end, begun ones as whole.
    pub seconds: u64,
    /// Who called, as From said.
    pub from: String,
    /// Whom they called, as the Request-URI said.
    pub to: String,
    /// Whose call it was, if they proved it.
    pub caller: Option<AccountId>,
    /// Whose devices rang, if they are ours.
    pub callee: Option<AccountId>,
    /// Which way it went.
    pub direction: Direction,
    /// The trunk that carried it, or was tried last.
    pub trunk: Option<String>,
    /// How it ended.
    pub result: CallResult,
    /// The final status of the INVITE.
    pub status: u16,
    /// The codecs that both sides agreed on.
    pub codecs: Vec<String>,
    /// `free`, `pstn`, `foreign`, `premium`, `emergency`.
    pub class: String,
    /// What it cost the caller, such as `0.05`.
    pub cost: String,
    /// The currency's word.
    pub currency: String,
    /// What the facts and log lines of the call have too.
    pub correlation: String,
    /// The Call-ID.
    pub call_id: String,
    /// Whether the caller asked to stay unknown (RFC 3323): the callee's history says so, and not who it was. Rows of before do not say.
    #[serde(default)]
    pub is_anonymous: bool,
    /// Whether the callee's mailbox answered: for the callee it is a call that was missed.
    #[serde(default)]
    pub is_left_message: bool,
}

/// Which way a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Between SIP users.
    Inside,
    /// To the telephone network.
    Out,
    /// From the telephone network.
    In,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallResult {
    /// It was answered, and one of the two hung up.
    Completed,
    /// It was answered, and ended by us, since what its caller may spend was used up.
    CutOff,
    /// It was answered, and nobody was heard of any more.
    Lost,
    /// The caller gave up while it rang.
    Cancelled,
    /// Nobody answered in time.
    NoAnswer,
    /// It was refused: `status` says how.
    Refused,
}

impl CallResult {
    /// The word in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::CutOff => "cut_off",
            Self::Lost => "lost",
            Self::Cancelled => "cancelled",
            Self::NoAnswer => "no_answer",
            Self::Refused => "refused",
        }
    }
}

impl CallRecord {
    /// The names of the columns of [`CallRecord::columns`].
    pub const COLUMNS: [&'static str; 18] = [
        "time",
        "answered",
        "ended",
        "seconds",
        "from",
        "to",
        "caller",
        "callee",
        "direction",
        "trunk",
        "result",
        "status",
        "codecs",
        "class",
        "cost",
        "currency",
        "correlation",
        "call_id",
    ];

    /// The row as columns.
    pub fn columns(&self) -> [String; 18] {
        let account = |id: Option<AccountId>| id.map(|id| id.to_string()).unwrap_or_default();
        let direction = match self.direction {
            Direction::Inside => "inside",
            Direction::Out => "out",
            Direction::In => "in",
        };
        [
            self.time.clone(),
            self.answered.clone().unwrap_or_default(),
            self.ended.clone(),
            self.seconds.to_string(),
            self.from.clone(),
            self.to.clone(),
            account(self.caller),
            account(self.callee),
            direction.to_owned(),
            self.trunk.clone().unwrap_or_default(),
            self.result.as_str().to_owned(),
            self.status.to_string(),
            self.codecs.join(" "),
            self.class.clone(),
            self.cost.clone(),
            self.currency.clone(),
            self.correlation.clone(),
            self.call_id.clone(),
        ]
    }

    /// The entries in the archive: the row, and what each of its sides sees of it in a history of its own. Ids grow with the time of
    /// the end.
    pub(crate) fn entries(&self, began: i64, ended: i64, random: u64) -> Vec<Entry> {
        let row = self.entry(began, format!("{ended:012x}{random:016x}"));
        let mut entries = self.histories(&row);
        entries.insert(0, row);
        entries
    }

    /// What the caller sees of a row, and the callee, who does not see who wanted to stay unknown (RFC 3323 §4.1.1.3). Who
    /// called themselves sees that they called.
    pub(super) fn histories(&self, row: &Entry) -> Vec<Entry> {
        let shown = if self.is_anonymous { NOBODY } else { &self.from };
        let seen = |account: AccountId, outgoing: bool| {
            let from = if outgoing { &self.from } else { shown };
            let (result, seconds) = match self.is_left_message && !outgoing {
                true => (CallResult::NoAnswer, 0),
                false => (self.result, self.seconds),
            };
            let seen = Seen { time: &self.time, from, to: &self.to, outgoing, result, seconds };
            Entry {
                owner: account.call_history(),
                id: row.id.clone(),
                with: if outgoing { &self.to } else { from }.to_owned(),
                time: row.time,
                kind: HISTORY.to_owned(),
                // A struct of texts and numbers is always JSON.
                body: serde_json::to_vec(&seen).unwrap_or_default(),
            }
        };
        let callee = self.callee.filter(|callee| self.caller != Some(*callee));
        self.caller.map(|it| seen(it, true)).into_iter().chain(callee.map(|it| seen(it, false))).collect()
    }

    fn entry(&self, began: i64, id: String) -> Entry {
        Entry {
            owner: OWNER.to_owned(),
            id,
            with: self.caller.map(|caller| caller.to_string()).unwrap_or_default(),
            time: began,
            kind: KIND.to_owned(),
            // A struct of texts and numbers is always JSON.
            body: serde_json::to_vec(self).unwrap_or_default(),
        }
    }
}

/// What one side sees of a call: not what it cost, and not whose account the other is.
#[derive(Serialize)]
struct Seen<'a> {
    time: &'a str,
    from: &'a str,
    to: &'a str,
    outgoing: bool,
    result: CallResult,
    seconds: u64,
}

/// A page of rows of calls that began at `since` or later, milliseconds since 1970, after the row with the id `after`;
/// and the id to go on from, if there are more.
pub async fn page(
    archive: &dyn Archive,
    since: Option<i64>,
    after: Option<String>,
) -> Result<(Vec<CallRecord>, Option<String>), StoreError> {
    let page = read(archive, since, after.map_or(Position::First, Position::After)).await?;
    let last = page.entries.last().map(|entry| entry.id.clone()).filter(|_| !page.complete);
    Ok((rows(&page).collect(), last))
}

async fn read(archive: &dyn Archive, since: Option<i64>, position: Position) -> Result<Page, StoreError> {
    let query = Query {
        kind: Some(KIND.to_owned()),
        start: since,
        position,
        max: Query::LARGEST_PAGE,
        most_counted: 0,
        ..Query::default()
    };
    archive.page(OWNER, &query).await
}

fn rows(page: &Page) -> impl Iterator<Item = CallRecord> {
    page.entries.iter().filter_map(|entry| serde_json::from_slice(&entry.body).ok())
}

/// A moment in milliseconds since 1970 as RFC 3339 has it, in UTC.
pub(crate) fn time_text(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// Whose archive the rows are in.
pub(crate) const OWNER: &str = "calls";
/// Who called, if they do not want that to be known.
const NOBODY: &str = "sip:anonymous@anonymous.invalid";
pub(super) const KIND: &str = "call";
/// The kind of entries in histories of accounts.
pub(super) const HISTORY: &str = "call seen";
