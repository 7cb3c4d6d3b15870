//! Many records, a row each: they come through one socket as they are.

use super::Connection;
use crate::sql::limit;
use crate::{Record, StoreError};

/// The first of a collection in the order of their keys.
pub(super) async fn list(
    conn: &mut Connection,
    (owner, collection): (&str, &str),
    after: Option<&str>,
    max: usize,
) -> Result<Vec<Record>, StoreError> {
    let sql = "SELECT record_key, value, version FROM record WHERE owner = $1 AND collection = $2 \
               AND (CAST($3 AS TEXT) IS NULL OR record_key > $3) ORDER BY record_key LIMIT $4";
    let rows: Vec<(String, Vec<u8>, i64)> =
        sqlx::query_as(sql).bind(owner).bind(collection).bind(after).bind(limit(max)).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(key, value, version)| record(key, value, version)).collect())
}

/// Of each owner what has one of these keys.
pub(super) async fn among(
    conn: &mut Connection,
    owners: &[&str],
    collection: &str,
    keys: &[&str],
) -> Result<Vec<(String, Record)>, StoreError> {
    let sql = "SELECT owner, record_key, value, version FROM record \
               WHERE owner = ANY($1) AND collection = $2 AND record_key = ANY($3)";
    let rows: Vec<(String, String, Vec<u8>, i64)> =
        sqlx::query_as(sql).bind(owners).bind(collection).bind(keys).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(owner, key, value, version)| (owner, record(key, value, version))).collect())
}

fn record(key: String, value: Vec<u8>, version: i64) -> Record {
    Record { key, value, version: version.cast_unsigned() }
}
