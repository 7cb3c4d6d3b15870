//! Many records as one row: each row is a way between two threads of its own.
//!
//! In    what a statement finds. Out records.
//! ```text
//! | octets of owner ' ' octets of key ' ' octets of value ' ' version ';' | owner | key | value |   and the next
//! ```
//! Errors a row that is not so is a damaged database.

use super::Connection;
use crate::sql::limit;
use crate::{Record, StoreError};

/// Puts rows of `owner, record_key, version, value` together.
macro_rules! packed {
    ($rows:literal) => {
        concat!(
            "SELECT CAST(group_concat(octet_length(owner) || ' ' || octet_length(record_key) || ' ' || length(value) || ' ' || version ",
            "|| ';' || owner || record_key || value, '') AS BLOB) FROM (SELECT owner, record_key, version, value FROM record ",
            $rows,
            ")"
        )
    };
}

/// The first of a collection in the order of their keys.
pub(super) async fn list(
    conn: &mut Connection,
    (owner, collection): (&str, &str),
    after: Option<&str>,
    max: usize,
) -> Result<Vec<Record>, StoreError> {
    let sql = packed!(
        "WHERE owner = $1 AND collection = $2 AND (CAST($3 AS TEXT) IS NULL OR record_key > $3) \
         ORDER BY record_key LIMIT CAST($4 AS BIGINT)"
    );
    let row: Option<Vec<u8>> = sqlx::query_scalar(sql)
        .bind(owner)
        .bind(collection)
        .bind(after)
        .bind(limit(max))
        .fetch_one(conn)
        .await?;
    let mut found: Vec<Record> = unpacked(row.as_deref())?.into_iter().map(|(_, record)| record).collect();
    // As they are already; only the statement does not promise it.
    found.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(found)
}

/// Of each owner what has one of these keys.
pub(super) async fn among(
    conn: &mut Connection,
    owners: &[&str],
    collection: &str,
    keys: &[&str],
) -> Result<Vec<(String, Record)>, StoreError> {
    // The plus keeps the keys out of the search: an owner is looked at once, and not once for each key.
    let sql = packed!(
        "WHERE owner IN (SELECT value FROM json_each($1)) AND collection = $2 \
         AND +record_key IN (SELECT value FROM json_each($3))"
    );
    let row: Option<Vec<u8>> = sqlx::query_scalar(sql)
        .bind(json(owners)?)
        .bind(collection)
        .bind(json(keys)?)
        .fetch_one(conn)
        .await?;
    unpacked(row.as_deref())
}

fn json(words: &[&str]) -> Result<String, StoreError> {
    serde_json::to_string(words).map_err(|error| StoreError::Backend(error.to_string()))
}

fn unpacked(row: Option<&[u8]>) -> Result<Vec<(String, Record)>, StoreError> {
    let mut rest = row.unwrap_or_default();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (one, left) = first(rest).ok_or_else(|| {
            StoreError::Backend("rows that were put together cannot be told apart".to_owned())
        })?;
        found.push(one);
        rest = left;
    }
    Ok(found)
}

fn first(rest: &[u8]) -> Option<((String, Record), &[u8])> {
    let end = rest.iter().position(|byte| *byte == b';')?;
    let (head, rest) = (std::str::from_utf8(&rest[..end]).ok()?, &rest[end + 1..]);
    let mut numbers = head.split(' ');
    let mut next = || numbers.next()?.parse::<usize>().ok();
    let (owner, key, value, version) = (next()?, next()?, next()?, next()?);
    let (owner, rest) = rest.split_at_checked(owner)?;
    let (key, rest) = rest.split_at_checked(key)?;
    let (value, rest) = rest.split_at_checked(value)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let record = Record { key: text(key)?, value: value.to_vec(), version: version as u64 };
    Some(((text(owner)?, record), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_apart_whatever_is_in_them() {
        let row = b"1 2 3 4;oky;1 0 0 9;p".as_slice();
        // A value that is cut short.
        assert!(unpacked(Some(row)).is_err());
        let row = b"1 2 3 4;okk;\x00\xff0 0 0 9;".as_slice();
        let record =
            |key: &str, value: &[u8], version| Record { key: key.to_owned(), value: value.to_vec(), version };
        let all = [("o".to_owned(), record("kk", b";\x00\xff", 4)), (String::new(), record("", b"", 9))];
        assert_eq!(unpacked(Some(row)).unwrap(), all);
        assert_eq!(unpacked(None).unwrap(), []);
        for damaged in
            [b"1 2;".as_slice(), b"x", b"1 1 1 -1;abc", b"9 9 9 9;", b"18446744073709551615 1 1 1;a"]
        {
            assert!(unpacked(Some(damaged)).is_err(), "{damaged:?}");
        }
    }
}
