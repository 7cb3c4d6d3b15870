//! Calls that outlive the process: what is up is written down now and then, and taken up again at the next start.
//!
//! ```text
//! open ─ 10 s ─▶ record ─ start ─▶ open      a BYE finds its call, and one that never comes is missed in time
//!   └─ ended ──▶ record removed
//! ```
//!
//! A call whose carrier asks for proof inside the dialog is written down at once, with how far our CSeq is ahead there since.
//! State which calls have a record (in their entries), and records of calls that ended meanwhile.
//! Errors what the store does not take is tried again with the next round. Calls that are younger than [`YOUNG`] when the
//! process is killed have no row; a shutdown writes down all of them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use shared_model::{AccountId, Correlation};
use shared_runtime::unix_millis;
use shared_store::{RecordChange, StoreError};

use super::calls::{Begun, Calls, Open};
use super::record::{Direction, OWNER};
use crate::dialogs::Ahead;
use crate::numbers::Rate;

/// Records of calls that are up no more.
#[derive(Default)]
pub(super) struct Gone(Mutex<Vec<Box<str>>>);

impl Gone {
    pub(super) fn put(&self, call_id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call_id.into());
    }

    fn take(&self) -> Vec<Box<str>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A call that is up, as it is stored.
#[derive(Serialize, Deserialize)]
struct Kept {
    began: i64,
    answered: i64,
    session: Duration,
    from: String,
    to: String,
    call_id: String,
    caller: Option<AccountId>,
    callee: Option<AccountId>,
    direction: Direction,
    trunk: Option<String>,
    rate: Rate,
    is_charged: bool,
    codecs: Vec<String>,
    #[serde(default)]
    is_anonymous: bool,
    #[serde(default)]
    is_left_message: bool,
    #[serde(default)]
    ahead: Option<Ahead>,
}

impl Calls {
    /// Writes down the calls that are up since [`YOUNG`], or all, and forgets those that are over.
    pub(crate) async fn keep(&self, now: Instant, is_last: bool) {
        let records = &self.records;
        let is_due = |open: &Open| {
            open.is_changed
                || !open.is_kept && (is_last || now.saturating_duration_since(open.since) >= YOUNG)
        };
        let due: Vec<Box<str>> =
            self.open.iter().filter(|open| is_due(open)).map(|open| open.key().clone()).collect();
        for due in due.chunks(TOGETHER) {
            let changes: Vec<_> = due.iter().filter_map(|call_id| self.change(call_id)).collect();
            match records.commit(OWNER, &changes).await {
                Ok(_) => due.iter().for_each(|call_id| self.note_kept(call_id)),
                Err(error) => tracing::warn!(%error, "calls that are up cannot be written down"),
            }
        }
        let gone = self.gone.take();
        for gone in gone.chunks(TOGETHER) {
            let changes: Vec<_> =
                gone.iter().map(|call_id| RecordChange::delete(UP, &key(call_id))).collect();
            if let Err(error) = records.commit(OWNER, &changes).await {
                tracing::warn!(%error, "calls that are over cannot be forgotten");
                gone.iter().for_each(|call_id| self.gone.put(call_id));
            }
        }
    }

    /// Takes up again the calls that another process left.
    pub(crate) async fn restore(&self) -> Result<(), StoreError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.records.list(OWNER, UP, after.as_deref(), TOGETHER).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key.clone());
            for record in &page {
                match serde_json::from_slice(&record.value) {
                    Ok(kept) => self.take_up(kept),
                    Err(error) => tracing::warn!(%error, "a call that was up is not readable"),
                }
            }
        }
    }

    fn change(&self, call_id: &str) -> Option<RecordChange> {
        let open = self.open.get(call_id)?;
        let begun = &open.begun;
        let kept = Kept {
            began: begun.began,
            answered: open.answered,
            session: open.session,
            from: begun.from.clone(),
            to: begun.to.clone(),
            call_id: begun.call_id.to_string(),
            caller: begun.caller,
            callee: begun.callee,
            direction: begun.direction,
            trunk: begun.trunk.clone(),
            rate: begun.rate,
            is_charged: begun.charge.is_some(),
            codecs: begun.codecs.clone(),
            is_anonymous: begun.is_anonymous,
            is_left_message: begun.is_left_message,
            ahead: open.ahead,
        };
        Some(RecordChange::put(UP, &key(call_id), &serde_json::to_vec(&kept).ok()?))
    }

    /// Notes that a request went to the carrier with a CSeq that is so far ahead. Ends when another process would know, or the store had
    /// its time: the request waits meanwhile. Who is killed before the next round leaves an old count.
    pub(crate) async fn went_ahead(&self, call_id: &str, ahead: Ahead) {
        if !self.count_on(call_id, ahead) {
            return;
        }
        let change = self.change(call_id);
        match tokio::time::timeout(PATIENCE, self.records.commit(OWNER, change.as_slice())).await {
            Ok(Ok(_)) => self.note_kept(call_id),
            Ok(Err(error)) => tracing::warn!(%error, "the count of a call cannot be written down"),
            Err(_) => tracing::warn!("the store takes long for the count of a call"),
        }
        // Whether it was written or not: a call that ended meanwhile must not be taken up again.
        if !self.is_up(call_id) {
            self.gone.put(call_id);
        }
    }

    /// Whether the call is up. From now on it may be written down; until it surely is, the next round has it to do.
    fn count_on(&self, call_id: &str, ahead: Ahead) -> bool {
        let Some(mut open) = self.open.get_mut(call_id) else { return false };
        open.ahead = Some(open.ahead.unwrap_or_default().max(ahead));
        (open.is_kept, open.is_changed) = (true, true);
        true
    }

    /// Forgets a call before it is paid and gets its row, so that another process does neither again.
    pub(super) async fn forget(&self, call_id: &str) {
        if let Err(error) = self.records.take(OWNER, UP, &key(call_id)).await {
            tracing::warn!(%error, "a call that is over cannot be forgotten");
            self.gone.put(call_id);
        }
    }

    /// A call that ended while it was written down is gone with the next round.
    fn note_kept(&self, call_id: &str) {
        match self.open.get_mut(call_id) {
            Some(mut open) => {
                open.is_kept = true;
                open.is_changed = false;
            }
            None => self.gone.put(call_id),
        }
    }

    fn take_up(&self, kept: Kept) {
        let now = Instant::now();
        let lasted = Duration::from_millis(u64::try_from(unix_millis() - kept.answered).unwrap_or(0));
        let since = now.checked_sub(lasted).unwrap_or(now);
        let charge = kept.caller.filter(|_| kept.is_charged).and_then(|caller| {
            // It was judged when it began.
            self.charges.begin(caller, kept.rate, now, |_| Ok::<_, ()>(())).ok()
        });
        if let Some(charge) = &charge {
            charge.answered(since);
        }
        let begun = Begun {
            began: kept.began,
            from: kept.from,
            to: kept.to,
            call_id: kept.call_id.into(),
            caller: kept.caller,
            callee: kept.callee,
            direction: kept.direction,
            trunk: kept.trunk,
            rate: kept.rate,
            charge,
            codecs: kept.codecs,
            is_anonymous: kept.is_anonymous,
            is_left_message: kept.is_left_message,
        };
        let (session, answered) = (kept.session, kept.answered);
        let (taken_up, ahead) = (Some(now), kept.ahead);
        let until = now + session;
        let (is_kept, is_changed) = (true, false);
        let open = Open { begun, answered, since, until, session, is_kept, is_changed, taken_up, ahead };
        self.open.insert(open.begun.call_id.clone(), open);
    }
}

/// Call-IDs may be long; keys of a store may not.
fn key(call_id: &str) -> String {
    Correlation::of_call(call_id).to_string()
}

/// The collection of records.
const UP: &str = "up";
/// Calls of less than this are not worth a write: most that are over soon are.
const YOUNG: Duration = Duration::from_secs(10);
/// How long a request waits for its count to be written down.
const PATIENCE: Duration = Duration::from_millis(200);
/// Records of one commit.
const TOGETHER: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{CallResult, page};
    use crate::routing::Route;
    use shared_runtime::Shutdown;
    use shared_store::Store;
    use sip_core::{Message, Name};

    fn calls(store: &Store, shutdown: &Shutdown) -> Calls {
        let (calls, writing) = Calls::new(store, 100, "EUR".to_owned(), shutdown);
        shutdown.spawn(writing.unwrap());
        calls
    }

    fn up(calls: &Calls, call_id: &str) {
        let mut invite = Message::request("INVITE", "sip:bob@x");
        invite.push(Name::From, "<sip:alice@x>;tag=1");
        invite.push(Name::To, "<sip:bob@x>");
        invite.push(Name::CallId, call_id);
        let begun = calls.begin(&invite, &mut Route::default()).unwrap();
        calls.answered(begun, &Message::response(&invite, 200, ""), None);
    }

    #[tokio::test]
    async fn a_call_that_was_up_at_a_crash_gets_its_row_when_it_ends() {
        let (store, shutdown) = (Store::open("memory:").await.unwrap(), Shutdown::new());
        let killed = calls(&store, &shutdown);
        let later = Instant::now() + 2 * YOUNG;
        up(&killed, "old");
        up(&killed, "over");
        killed.keep(later, false).await;
        killed.ended("over", Instant::now()).await;
        killed.keep(later, false).await;
        up(&killed, "young");
        killed.keep(Instant::now(), false).await;
        killed.went_ahead("old", Ahead { all: 3, of_invite: 1 }).await;
        killed.went_ahead("old", Ahead { all: 2, of_invite: 2 }).await;
        drop(killed);

        let next = calls(&store, &shutdown);
        next.restore().await.unwrap();
        assert_eq!(next.ahead("old"), Some(Ahead { all: 3, of_invite: 2 }));
        for call_id in ["old", "over", "young"] {
            next.ended(call_id, Instant::now()).await;
        }
        assert!(store.records.list(OWNER, UP, None, 10).await.unwrap().is_empty(), "paid once");
        let rows = page(&*store.archive, None, None).await.unwrap().0;
        let rows: Vec<_> =
            rows.iter().map(|row| (row.call_id.as_str(), row.result, row.from.as_str())).collect();
        let completed = CallResult::Completed;
        assert_eq!(rows, [("over", completed, "sip:alice@x"), ("old", completed, "sip:alice@x")]);
        next.keep(later, false).await;
        assert!(store.records.list(OWNER, UP, None, 10).await.unwrap().is_empty());
    }
}
