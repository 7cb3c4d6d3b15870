//! Histories of accounts: calls that came before there were any, and calls of accounts that are no more.
//!
//! In    the newest rows, once; accounts that are removed. Out entries of histories, and none.
//! State that the first was done, a record beside the calls that are up.
//! Errors the store's: what was not done is done at the next start. Done twice is done once, for ids are the rows'.

use shared_model::AccountId;
use shared_store::{Archive, Expected, Position, Query, Records, StoreError};

use super::record::{CallRecord, KIND, OWNER};

/// Gives calls that were written down before this their place in histories.
pub(super) async fn begin(archive: &dyn Archive, records: &dyn Records) -> Result<(), StoreError> {
    if records.get(OWNER, COLLECTION, BEGUN).await?.is_some() {
        return Ok(());
    }
    let (mut entries, mut position, mut rows) = (Vec::new(), Position::Last, 0);
    while rows < MOST {
        let query = Query {
            kind: Some(KIND.to_owned()),
            position,
            max: Query::LARGEST_PAGE,
            most_counted: 0,
            ..Query::default()
        };
        let page = archive.page(OWNER, &query).await?;
        for row in page.entries.iter().rev() {
            let record = serde_json::from_slice::<CallRecord>(&row.body);
            entries.extend(record.into_iter().flat_map(|record| record.histories(row)));
        }
        rows += page.entries.len();
        match page.entries.first() {
            Some(first) if !page.complete => position = Position::Before(first.id.clone()),
            _ => break,
        }
    }
    entries.reverse();
    archive.append(&entries).await?;
    if !entries.is_empty() {
        tracing::info!(rows, entries = entries.len(), "earlier calls are in the histories of accounts");
    }
    records.put(OWNER, COLLECTION, BEGUN, b"1", Expected::Anything).await.map(drop)
}

/// Forgets the history of an account.
pub(crate) async fn forget(archive: &dyn Archive, account: AccountId) -> Result<(), StoreError> {
    archive.remove_owner(&account.call_history()).await.map(drop)
}

const COLLECTION: &str = "histories";
const BEGUN: &str = "begun";
/// Rows that are looked at, the newest.
const MOST: usize = 20_000;

#[cfg(test)]
mod tests {
    use shared_store::{Entry, Store};

    use super::super::{CallResult, Direction};
    use super::*;

    fn record(caller: u128, callee: u128, to: &str) -> CallRecord {
        CallRecord {
            time: "t".to_owned(),
            answered: None,
            ended: "t".to_owned(),
            seconds: 3,
            from: "sip:a@x".to_owned(),
            to: to.to_owned(),
            caller: Some(AccountId(caller)),
            callee: Some(AccountId(callee)),
            direction: Direction::Inside,
            trunk: None,
            result: CallResult::Completed,
            status: 200,
            codecs: Vec::new(),
            class: "free".to_owned(),
            cost: "0".to_owned(),
            currency: "EUR".to_owned(),
            correlation: String::new(),
            call_id: String::new(),
            is_anonymous: false,
            is_left_message: false,
        }
    }

    async fn history(archive: &dyn Archive, account: u128) -> Vec<String> {
        let query = Query { max: 5_000, ..Query::default() };
        let page = archive.page(&AccountId(account).call_history(), &query).await.unwrap();
        page.entries.into_iter().map(|entry| entry.with).collect()
    }

    #[tokio::test]
    async fn earlier_calls_come_into_histories_once_and_in_their_order() {
        let store = Store::in_memory();
        let (archive, records) = (&*store.archive, &*store.records);
        for at in 0..1_500 {
            let mut entries = record(1, 2, &format!("sip:b{at}@x")).entries(at, at, 7);
            let row: Entry = entries.remove(0);
            archive.append(&[row]).await.unwrap();
        }
        begin(archive, records).await.unwrap();
        let (made, got) = (history(archive, 1).await, history(archive, 2).await);
        assert_eq!((made.len(), got.len()), (1_000, 1_000), "of one page");
        assert_eq!((made[0].as_str(), got[0].as_str()), ("sip:b0@x", "sip:a@x"));
        assert_eq!(made[999], "sip:b999@x");
        archive.append(&record(3, 3, "sip:me@x").entries(9, 9_999, 7)[..1]).await.unwrap();
        begin(archive, records).await.unwrap();
        assert!(history(archive, 3).await.is_empty(), "that was done");
        forget(archive, AccountId(1)).await.unwrap();
        assert_eq!((history(archive, 1).await.len(), history(archive, 2).await.len()), (0, 1_000));
    }

    #[test]
    fn what_a_mailbox_took_is_missed_by_the_callee_alone() {
        let left = CallRecord { is_left_message: true, ..record(1, 2, "sip:b@x") };
        let entries = left.entries(1, 1, 1);
        let body = |at: usize| String::from_utf8_lossy(&entries[at].body).into_owned();
        assert!(body(1).contains("\"result\":\"completed\",\"seconds\":3"), "{}", body(1));
        assert!(body(2).contains("\"result\":\"no_answer\",\"seconds\":0"), "{}", body(2));
    }

    #[test]
    fn who_calls_themselves_called() {
        let entries = record(3, 3, "sip:me@x").entries(1, 1, 1);
        assert_eq!(entries.len(), 2);
        assert!(String::from_utf8_lossy(&entries[1].body).contains("\"outgoing\":true"));
    }
}
