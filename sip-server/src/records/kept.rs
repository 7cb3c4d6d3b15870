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
use sip_core::Message;

use super::calls::{Begun, Calls, Open};
use super::record::{Direction, OWNER};
use crate::dialogs::Ahead;
use crate::numbers::Rate;

/// Records of calls that are up no more.
#[derive(Default)]
pub(super) struct Gone(Mutex<Vec<Box<str>>>);

impl Gone {
    pub(super) fn put(&self, call: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call.into());
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
    #[serde(default)]
    tag: String,
    #[serde(default)]
    callee_tag: String,
    #[serde(default)]
    nth: u32,
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
            let changes: Vec<_> = due.iter().filter_map(|call| self.change(call)).collect();
            match records.commit(OWNER, &changes).await {
                Ok(_) => due.iter().for_each(|call| self.note_kept(call)),
                Err(error) => tracing::warn!(%error, "calls that are up cannot be written down"),
            }
        }
        let gone = self.gone.take();
        for gone in gone.chunks(TOGETHER) {
            let changes: Vec<_> = gone.iter().map(|call| RecordChange::delete(UP, &place(call))).collect();
            if let Err(error) = records.commit(OWNER, &changes).await {
                tracing::warn!(%error, "calls that are over cannot be forgotten");
                gone.iter().for_each(|call| self.gone.put(call));
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

    fn change(&self, call: &str) -> Option<RecordChange> {
        let open = self.open.get(call)?;
        let begun = &open.begun;
        let kept = Kept {
            began: begun.began,
            answered: open.answered,
            session: open.session,
            from: begun.from.clone(),
            to: begun.to.clone(),
            call_id: begun.call_id.to_string(),
            tag: begun.tag.to_string(),
            callee_tag: begun.callee_tag.to_string(),
            nth: begun.nth,
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
        Some(RecordChange::put(UP, &place(call), &serde_json::to_vec(&kept).ok()?))
    }

    /// Notes that a request went to the carrier with a CSeq that is so far ahead. Ends when another process would know, or the store had
    /// its time: the request waits meanwhile. Who is killed before the next round leaves an old count.
    pub(crate) async fn went_ahead(&self, request: &Message, ahead: Ahead) {
        let Some(call) = self.key_of(request) else { return };
        let call = &*call;
        if !self.count_on(call, ahead) {
            return;
        }
        let change = self.change(call);
        match tokio::time::timeout(PATIENCE, self.records.commit(OWNER, change.as_slice())).await {
            Ok(Ok(_)) => self.note_kept(call),
            Ok(Err(error)) => tracing::warn!(%error, "the count of a call cannot be written down"),
            Err(_) => tracing::warn!("the store takes long for the count of a call"),
        }
        // Whether it was written or not: a call that ended meanwhile must not be taken up again.
        if !self.open.contains_key(call) {
            self.gone.put(call);
        }
    }

    /// Whether the call is up. From now on it may be written down; until it surely is, the next round has it to do.
    fn count_on(&self, call: &str, ahead: Ahead) -> bool {
        let Some(mut open) = self.open.get_mut(call) else { return false };
        open.ahead = Some(open.ahead.unwrap_or_default().max(ahead));
        (open.is_kept, open.is_changed) = (true, true);
        true
    }

    /// Forgets a call before it is paid and gets its row, so that another process does neither again.
    pub(super) async fn forget(&self, call: &str) {
        if let Err(error) = self.records.take(OWNER, UP, &place(call)).await {
            tracing::warn!(%error, "a call that is over cannot be forgotten");
            self.gone.put(call);
        }
    }

    /// A call that ended while it was written down is gone with the next round.
    fn note_kept(&self, call: &str) {
        match self.open.get_mut(call) {
            Some(mut open) => {
                open.is_kept = true;
                open.is_changed = false;
            }
            None => self.gone.put(call),
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
            tag: kept.tag.into(),
            callee_tag: kept.callee_tag.into(),
            nth: kept.nth,
            caller: kept.caller,
            callee: kept.callee,
            direction: kept.direction,
            trunk: kept.trunk,
            rate: kept.rate,
            charge,
            codecs: kept.codecs,
            is_anonymous: kept.is_anonymous,
            is_left_message: kept.is_left_message,
            // Its numbers were heard by nobody meanwhile.
            ends: None,
        };
        let (session, answered) = (kept.session, kept.answered);
        let (taken_up, ahead) = (Some(now), kept.ahead);
        let until = now + session;
        let (is_kept, is_changed) = (true, false);
        let open = Open { begun, answered, since, until, session, is_kept, is_changed, taken_up, ahead };
        // It counts for what its caller spends, and is not ended from here.
        self.open.insert(open.begun.key(), open);
    }
}

/// Call-IDs may be long; keys of a store may not.
fn place(call: &str) -> String {
    Correlation::of_call(call).to_string()
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
    use crate::numbers::{Class, Money, Tariff};
    use crate::records::{CallResult, page};
    use crate::routing::Route;
    use shared_runtime::Shutdown;
    use shared_store::Store;
    use sip_core::Name;

    fn calls(store: &Store, shutdown: &Shutdown) -> Calls {
        let (calls, writing) = Calls::new(store, 100, "EUR".to_owned(), shutdown);
        shutdown.spawn(writing.unwrap());
        calls
    }

    /// What alice says in a call.
    fn of(call_id: &str) -> Message {
        let mut request = Message::request("INVITE", "sip:bob@x");
        request.push(Name::From, "<sip:alice@x>;tag=1");
        request.push(Name::To, "<sip:bob@x>;tag=2");
        request.push(Name::CallId, call_id);
        request
    }

    fn up(calls: &Calls, call_id: &str) {
        begin(calls, &of(call_id));
    }

    /// The call that a request is in.
    fn begin(calls: &Calls, within: &Message) {
        let mut invite = within.clone();
        invite.set(Name::To, "<sip:bob@x>");
        let begun = calls.begin(&invite, &mut Route::default()).unwrap();
        calls.answered(begun, &Message::response(within, 200, ""), None);
    }

    #[tokio::test]
    async fn a_call_that_was_up_at_a_crash_gets_its_row_when_it_ends() {
        let (store, shutdown) = (Store::open("memory:").await.unwrap(), Shutdown::new());
        let killed = calls(&store, &shutdown);
        let later = Instant::now() + 2 * YOUNG;
        up(&killed, "old");
        up(&killed, "over");
        killed.keep(later, false).await;
        killed.ended(&of("over"), Instant::now()).await;
        killed.keep(later, false).await;
        up(&killed, "young");
        killed.keep(Instant::now(), false).await;
        killed.went_ahead(&of("old"), Ahead { all: 3, of_invite: 1 }).await;
        killed.went_ahead(&of("old"), Ahead { all: 2, of_invite: 2 }).await;
        drop(killed);

        let next = calls(&store, &shutdown);
        next.restore().await.unwrap();
        assert_eq!(next.ahead(&of("old")), Some(Ahead { all: 3, of_invite: 2 }));
        for call_id in ["old", "over", "young"] {
            next.ended(&of(call_id), Instant::now()).await;
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

    /// Whoever knows a Call-ID may call by it, and pays nobody's bill with that, nor ends one.
    #[tokio::test]
    async fn two_calls_of_one_call_id_have_a_row_each() {
        let (store, shutdown) = (Store::open("memory:").await.unwrap(), Shutdown::new());
        let calls = calls(&store, &shutdown);
        up(&calls, "same");
        let mut second = of("same");
        second.set(Name::From, "<sip:carol@x>;tag=3");
        begin(&calls, &second);
        calls.keep(Instant::now() + 2 * YOUNG, false).await;
        assert_eq!(store.records.list(OWNER, UP, None, 10).await.unwrap().len(), 2);
        calls.ended(&second, Instant::now()).await;
        assert!(calls.is_up(&of("same")) && !calls.is_up(&second));
        let mut bye = of("same");
        bye.set(Name::From, "<sip:bob@x>;tag=2");
        bye.set(Name::To, "<sip:alice@x>;tag=4");
        assert!(!calls.is_up(&bye), "a stranger's tag");
        bye.set(Name::To, "<sip:alice@x>;tag=1");
        calls.ended(&bye, Instant::now()).await;
        let rows = page(&*store.archive, None, None).await.unwrap().0;
        let from: Vec<_> = rows.iter().map(|row| row.from.as_str()).collect();
        assert_eq!(from, ["sip:carol@x", "sip:alice@x"]);
        assert!(store.records.list(OWNER, UP, None, 10).await.unwrap().is_empty());
    }

    /// Whose two calls have the same Call-ID and tags pays both: neither takes the place of the other, here or after a restart.
    #[tokio::test]
    async fn two_calls_of_one_dialog_have_a_row_each() {
        let (store, shutdown) = (Store::open("memory:").await.unwrap(), Shutdown::new());
        let killed = calls(&store, &shutdown);
        up(&killed, "same");
        up(&killed, "same");
        killed.keep(Instant::now() + 2 * YOUNG, false).await;
        drop(killed);
        let next = calls(&store, &shutdown);
        next.restore().await.unwrap();
        next.ended(&of("same"), Instant::now()).await;
        assert!(next.is_up(&of("same")));
        next.ended(&of("same"), Instant::now()).await;
        assert!(!next.is_up(&of("same")));
        assert_eq!(page(&*store.archive, None, None).await.unwrap().0.len(), 2);
        assert!(store.records.list(OWNER, UP, None, 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_call_that_an_earlier_release_wrote_down_is_found() {
        let (store, shutdown) = (Store::open("memory:").await.unwrap(), Shutdown::new());
        let earlier = calls(&store, &shutdown);
        up(&earlier, "old");
        let change = earlier.change(&earlier.key_of(&of("old")).unwrap()).unwrap();
        let mut kept: serde_json::Value = serde_json::from_slice(change.value.as_deref().unwrap()).unwrap();
        for unknown in ["tag", "callee_tag", "nth"] {
            kept.as_object_mut().unwrap().remove(unknown);
        }
        let value = serde_json::to_vec(&kept).unwrap();
        store.records.commit(OWNER, &[RecordChange::put(UP, &place("old"), &value)]).await.unwrap();
        let next = calls(&store, &shutdown);
        next.restore().await.unwrap();
        next.ended(&of("old"), Instant::now()).await;
        assert!(!next.is_up(&of("old")));
        assert!(store.records.list(OWNER, UP, None, 10).await.unwrap().is_empty());
    }

    /// A call that another process left counts for what its caller spends, and nobody ends it: its numbers are not known.
    #[tokio::test]
    async fn a_call_that_is_taken_up_counts_and_is_ended_by_nobody() {
        let (store, shutdown) = (Store::open("memory:").await.unwrap(), Shutdown::new());
        let killed = calls(&store, &shutdown);
        let tariff = Tariff { setup: Money(5), minute: Money(60), step: 1 };
        let rate = Rate { class: Class::Pstn, tariff };
        let account = AccountId(7);
        let mut invite = of("paid");
        invite.set(Name::To, "<sip:bob@x>");
        let charge = killed.charges.begin(account, rate, Instant::now(), |_| Ok::<_, ()>(())).ok();
        let begun = killed.goes_out(None, (&invite, &mut Route::default()), rate, charge).unwrap();
        let begun = Begun { caller: Some(account), rate, ..begun };
        killed.answered(begun, &Message::response(&of("paid"), 200, ""), None);
        killed.keep(Instant::now() + 2 * YOUNG, false).await;
        drop(killed);
        let next = calls(&store, &shutdown);
        next.restore().await.unwrap();
        let later = Instant::now() + YOUNG;
        assert!(next.charges.accounts().is_empty());
        assert!(next.charges.beyond(account, Money::ZERO, later, YOUNG).is_empty());
        let seen = next.charges.begin(account, rate, later, |open| Err::<(), _>(open.to_vec()));
        assert!(seen.is_err_and(|open| open.len() == 1 && open[0] > Money(5)));
        assert!(next.is_up(&of("paid")));
    }
}
