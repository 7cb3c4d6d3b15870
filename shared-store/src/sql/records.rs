//! Records as rows.

use sqlx::QueryBuilder;

use super::{Connection, Database, lists, lock};
use crate::{Expected, Place, Record, RecordChange, StoreError};

pub(super) struct Records(pub(super) Database);

type Row = (String, Vec<u8>, i64);

#[async_trait::async_trait]
impl crate::Records for Records {
    async fn get(&self, owner: &str, collection: &str, key: &str) -> Result<Option<Record>, StoreError> {
        let sql = "SELECT record_key, value, version FROM record \
                   WHERE owner = $1 AND collection = $2 AND record_key = $3";
        let query = sqlx::query_as(sql).bind(owner).bind(collection).bind(key);
        let read = async { Ok(query.fetch_optional(&mut *self.0.reader().await?).await?) };
        let row: Option<Row> = self.0.in_time(read).await?;
        Ok(row.map(record))
    }

    async fn several(&self, places: &[Place<'_>]) -> Result<Vec<Option<Record>>, StoreError> {
        let mut found = Vec::with_capacity(places.len());
        for group in places.chunks(PLACES[PLACES.len() - 1]) {
            let read = async { several(&mut *self.0.reader().await?, group).await };
            found.extend(self.0.in_time(read).await?);
        }
        Ok(found)
    }

    async fn list(
        &self,
        owner: &str,
        collection: &str,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let read = async { lists::list(&mut *self.0.reader().await?, (owner, collection), after, max).await };
        self.0.in_time(read).await
    }

    async fn among(
        &self,
        owners: &[&str],
        collection: &str,
        keys: &[&str],
    ) -> Result<Vec<(String, Record)>, StoreError> {
        let mut found = Vec::new();
        if !keys.is_empty() {
            for group in owners.chunks(OWNERS) {
                let read =
                    async { lists::among(&mut *self.0.reader().await?, group, collection, keys).await };
                found.extend(self.0.in_time(read).await?);
            }
        }
        Ok(found)
    }

    async fn commit(&self, owner: &str, changes: &[RecordChange]) -> Result<Vec<u64>, StoreError> {
        let is_one = changes.len() == 1 && changes[0].expected == Expected::Anything;
        let (owner, changes) = (owner.to_owned(), changes.to_vec());
        match is_one {
            true => {
                self.0.write_one(|conn| Box::pin(async move { commit(conn, &owner, &changes).await })).await
            }
            false => self.0.write(|conn| Box::pin(async move { commit(conn, &owner, &changes).await })).await,
        }
    }

    async fn take(&self, owner: &str, collection: &str, key: &str) -> Result<Option<Record>, StoreError> {
        let (owner, collection, key) = (owner.to_owned(), collection.to_owned(), key.to_owned());
        self.0.write_one(|conn| Box::pin(async move { take(conn, &owner, &collection, &key).await })).await
    }

    async fn remove_owner(&self, owner: &str) -> Result<u64, StoreError> {
        let owner = owner.to_owned();
        self.0.write(|conn| Box::pin(async move { remove_owner(conn, &owner).await })).await
    }
}

async fn several(conn: &mut Connection, places: &[Place<'_>]) -> Result<Vec<Option<Record>>, StoreError> {
    let Some(last) = places.last() else { return Ok(Vec::new()) };
    let size = PLACES.into_iter().find(|size| *size >= places.len()).unwrap_or(places.len());
    let mut select = QueryBuilder::<<Connection as sqlx::Connection>::Database>::new(
        "SELECT owner, collection, record_key, value, version FROM record WHERE ",
    );
    // Not as a list of triples, for which SQLite reads all that the owner has.
    for (at, place) in places.iter().chain(std::iter::repeat(last)).take(size).enumerate() {
        select.push(if at == 0 { "(owner = " } else { " OR (owner = " }).push_bind(place.owner);
        select.push(" AND collection = ").push_bind(place.collection);
        select.push(" AND record_key = ").push_bind(place.key).push(")");
    }
    let rows: Vec<(String, String, String, Vec<u8>, i64)> = select.build_query_as().fetch_all(conn).await?;
    let found = |place: &Place<'_>| {
        let is_it = |row: &&(String, String, String, Vec<u8>, i64)| {
            row.0 == place.owner && row.1 == place.collection && row.2 == place.key
        };
        let (_, _, key, value, version) = rows.iter().find(is_it)?;
        Some(record((key.clone(), value.clone(), *version)))
    };
    Ok(places.iter().map(found).collect())
}

async fn commit(
    conn: &mut Connection,
    owner: &str,
    changes: &[RecordChange],
) -> Result<Vec<u64>, StoreError> {
    lock(conn, owner).await?;
    let mut versions = Vec::with_capacity(changes.len());
    for change in changes {
        versions.push(make(conn, owner, change).await?);
    }
    Ok(versions)
}

async fn make(conn: &mut Connection, owner: &str, change: &RecordChange) -> Result<u64, StoreError> {
    if change.expected != Expected::Anything {
        let sql = "SELECT version FROM record WHERE owner = $1 AND collection = $2 AND record_key = $3";
        let old: Option<i64> = sqlx::query_scalar(sql)
            .bind(owner)
            .bind(&change.collection)
            .bind(&change.key)
            .fetch_optional(&mut *conn)
            .await?;
        if !change.expected.holds(old.map(i64::cast_unsigned)) {
            return Err(StoreError::Conflict);
        }
    }
    let Some(value) = &change.value else {
        take(conn, owner, &change.collection, &change.key).await?;
        return Ok(0);
    };
    put(conn, owner, &change.collection, &change.key, value).await
}

/// Writes a record, whatever is there, and answers its version.
pub(super) async fn put(
    conn: &mut Connection,
    owner: &str,
    collection: &str,
    key: &str,
    value: &[u8],
) -> Result<u64, StoreError> {
    let upsert = "INSERT INTO record (owner, collection, record_key, version, value) VALUES ($1, $2, $3, 1, $4) \
                  ON CONFLICT (owner, collection, record_key) DO UPDATE \
                  SET version = record.version + 1, value = excluded.value RETURNING version";
    let version: i64 =
        sqlx::query_scalar(upsert).bind(owner).bind(collection).bind(key).bind(value).fetch_one(conn).await?;
    Ok(version.cast_unsigned())
}

/// Removes a record and answers it.
pub(super) async fn take(
    conn: &mut Connection,
    owner: &str,
    collection: &str,
    key: &str,
) -> Result<Option<Record>, StoreError> {
    let sql = "DELETE FROM record WHERE owner = $1 AND collection = $2 AND record_key = $3 \
               RETURNING record_key, value, version";
    let row: Option<Row> =
        sqlx::query_as(sql).bind(owner).bind(collection).bind(key).fetch_optional(conn).await?;
    Ok(row.map(record))
}

async fn remove_owner(conn: &mut Connection, owner: &str) -> Result<u64, StoreError> {
    Ok(sqlx::query("DELETE FROM record WHERE owner = $1").bind(owner).execute(conn).await?.rows_affected())
}

fn record((key, value, version): Row) -> Record {
    Record { key, value, version: version.cast_unsigned() }
}

/// Places of one statement: few sizes, so that each is prepared once.
const PLACES: [usize; 4] = [1, 4, 16, 64];
/// Owners of one statement.
const OWNERS: usize = 256;
