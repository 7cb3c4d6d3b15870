//! Archives as rows, in the order of one sequence.

use sqlx::QueryBuilder;

use super::{Connection, Database, INSERT_MANY};
use crate::sql::limit;
use crate::{Entry, Page, Position, Query, StoreError};

pub(super) struct Archive(pub(super) Database);

type Row = (i64, String, String, String, i64, String, Vec<u8>);

/// What a query keeps: parameters 1–5, and the open range of the sequence in 6 and 7.
macro_rules! matching {
    ($head:literal, $tail:literal) => {
        concat!(
            $head,
            " FROM archive WHERE owner = $1 AND (CAST($2 AS TEXT) IS NULL OR peer = $2) ",
            "AND (CAST($3 AS TEXT) IS NULL OR kind = $3) AND at >= $4 AND at <= $5 AND seq > $6 AND seq < $7 ",
            $tail
        )
    };
}

#[async_trait::async_trait]
impl crate::Archive for Archive {
    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.0.append(entries).await
    }

    async fn entry(&self, owner: &str, id: &str) -> Result<Option<Entry>, StoreError> {
        let sql = "SELECT seq, owner, id, peer, at, kind, body FROM archive WHERE owner = $1 AND id = $2";
        let query = sqlx::query_as(sql).bind(owner).bind(id);
        let read = async { Ok(query.fetch_optional(&mut *self.0.reader().await?).await?) };
        let row: Option<Row> = self.0.in_time(read).await?;
        Ok(row.map(entry))
    }

    async fn page(&self, owner: &str, query: &Query) -> Result<Page, StoreError> {
        self.0.in_time(async { page(&mut *self.0.reader().await?, owner, query).await }).await
    }

    async fn replace(&self, owner: &str, id: &str, body: &[u8]) -> Result<bool, StoreError> {
        let (owner, id, body) = (owner.to_owned(), id.to_owned(), body.to_vec());
        self.0.write(|conn| Box::pin(async move { replace(conn, &owner, &id, &body).await })).await
    }

    async fn remove(&self, owner: &str, ids: &[String]) -> Result<u64, StoreError> {
        let (owner, ids) = (owner.to_owned(), ids.to_vec());
        self.0.write(|conn| Box::pin(async move { remove(conn, &owner, &ids).await })).await
    }

    async fn remove_owner(&self, owner: &str) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            // The whole archive lies before an offset of nothing. Others write between the parts of a large one.
            let part = self.trim(owner, 0, PART).await?;
            removed += part;
            if part < PART as u64 {
                return Ok(removed);
            }
        }
    }

    async fn remove_older(&self, kind: &str, time: i64, max: usize) -> Result<u64, StoreError> {
        let kind = kind.to_owned();
        self.0
            .write(move |conn| Box::pin(async move { remove_older(conn, &kind, time, limit(max)).await }))
            .await
    }

    async fn trim(&self, owner: &str, keep: usize, max: usize) -> Result<u64, StoreError> {
        let owner = owner.to_owned();
        let (keep, max) = (limit(keep), limit(max));
        self.0.write(move |conn| Box::pin(async move { trim(conn, &owner, keep, max).await })).await
    }
}

pub(super) async fn append(conn: &mut Connection, entries: &[Entry]) -> Result<(), StoreError> {
    for now in entries.chunks(ROWS) {
        let mut insert = QueryBuilder::<<Connection as sqlx::Connection>::Database>::new(INSERT_MANY);
        insert.push(" archive (owner, id, peer, at, kind, body) ");
        insert.push_values(now, |mut row, entry| {
            row.push_bind(&entry.owner).push_bind(&entry.id).push_bind(&entry.with);
            row.push_bind(entry.time).push_bind(&entry.kind).push_bind(&entry.body[..]);
        });
        insert.push(" ON CONFLICT (owner, id) DO NOTHING");
        insert.build().execute(&mut *conn).await?;
    }
    Ok(())
}

async fn page(conn: &mut Connection, owner: &str, query: &Query) -> Result<Page, StoreError> {
    let mut whole = (i64::MIN, i64::MAX);
    if let Some(id) = &query.after {
        whole.0 = place(conn, owner, id).await?;
    }
    if let Some(id) = &query.before {
        whole.1 = place(conn, owner, id).await?;
    }
    let (after, before) = match &query.position {
        Position::First | Position::Last => whole,
        Position::After(id) => (place(conn, owner, id).await?.max(whole.0), whole.1),
        Position::Before(id) => (whole.0, place(conn, owner, id).await?.min(whole.1)),
    };
    let select = match query.is_backward() {
        false => {
            matching!("SELECT seq, owner, id, peer, at, kind, body", "ORDER BY seq LIMIT CAST($8 AS BIGINT)")
        }
        true => matching!(
            "SELECT seq, owner, id, peer, at, kind, body",
            "ORDER BY seq DESC LIMIT CAST($8 AS BIGINT)"
        ),
    };
    let rows: Vec<Row> = sqlx::query_as(select)
        .bind(owner)
        .bind(&query.with)
        .bind(&query.kind)
        .bind(query.start.unwrap_or(i64::MIN))
        .bind(query.end.unwrap_or(i64::MAX))
        .bind(after)
        .bind(before)
        .bind(limit(query.page_size() + 1))
        .fetch_all(&mut *conn)
        .await?;
    let first = rows.iter().take(query.page_size()).map(|row| row.0).min();
    let is_at_an_end = matches!(query.position, Position::First | Position::Last);
    let is_all = is_at_an_end && rows.len() <= query.page_size();
    let count = match is_all {
        true => rows.len() as u64,
        false => count(conn, owner, query, whole).await?,
    };
    let index = match first {
        // Nothing comes before it.
        _ if is_all || query.position == Position::First => 0,
        Some(first) if count <= query.most_counted => {
            self::count(conn, owner, query, (whole.0, first)).await?
        }
        _ => 0,
    };
    Ok(Page::cut(rows.into_iter().map(entry).collect(), query, count, index))
}

/// How many match in an open range of the sequence; one more than are counted means more.
async fn count(
    conn: &mut Connection,
    owner: &str,
    query: &Query,
    (after, before): (i64, i64),
) -> Result<u64, StoreError> {
    let sql = concat!(
        "SELECT COUNT(*) FROM (SELECT 1 AS one FROM archive WHERE owner = $1 AND (CAST($2 AS TEXT) IS NULL OR peer = $2) ",
        "AND (CAST($3 AS TEXT) IS NULL OR kind = $3) AND at >= $4 AND at <= $5 AND seq > $6 AND seq < $7 LIMIT CAST($8 AS BIGINT)) AS found"
    );
    let most = i64::try_from(query.most_counted.saturating_add(1)).unwrap_or(i64::MAX);
    let count: i64 = sqlx::query_scalar(sql)
        .bind(owner)
        .bind(&query.with)
        .bind(&query.kind)
        .bind(query.start.unwrap_or(i64::MIN))
        .bind(query.end.unwrap_or(i64::MAX))
        .bind(after)
        .bind(before)
        .bind(most)
        .fetch_one(conn)
        .await?;
    Ok(count.cast_unsigned())
}

async fn place(conn: &mut Connection, owner: &str, id: &str) -> Result<i64, StoreError> {
    let sql = "SELECT seq FROM archive WHERE owner = $1 AND id = $2";
    let seq: Option<i64> = sqlx::query_scalar(sql).bind(owner).bind(id).fetch_optional(conn).await?;
    seq.ok_or(StoreError::NoSuchEntry)
}

async fn replace(conn: &mut Connection, owner: &str, id: &str, body: &[u8]) -> Result<bool, StoreError> {
    let sql = "UPDATE archive SET body = $3 WHERE owner = $1 AND id = $2";
    let done = sqlx::query(sql).bind(owner).bind(id).bind(body).execute(conn).await?;
    Ok(done.rows_affected() > 0)
}

async fn remove(conn: &mut Connection, owner: &str, ids: &[String]) -> Result<u64, StoreError> {
    let mut removed = 0;
    for id in ids {
        let sql = "DELETE FROM archive WHERE owner = $1 AND id = $2";
        removed += sqlx::query(sql).bind(owner).bind(id).execute(&mut *conn).await?.rows_affected();
    }
    Ok(removed)
}

async fn remove_older(conn: &mut Connection, kind: &str, time: i64, max: i64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM archive WHERE seq IN \
               (SELECT seq FROM archive WHERE kind = $1 AND at < $2 ORDER BY at, seq LIMIT CAST($3 AS BIGINT))";
    Ok(sqlx::query(sql).bind(kind).bind(time).bind(max).execute(conn).await?.rows_affected())
}

async fn trim(conn: &mut Connection, owner: &str, keep: i64, max: i64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM archive WHERE seq IN (SELECT seq FROM archive WHERE owner = $1 AND seq <= \
               (SELECT seq FROM archive WHERE owner = $1 ORDER BY seq DESC LIMIT 1 OFFSET $2) ORDER BY seq LIMIT CAST($3 AS BIGINT))";
    Ok(sqlx::query(sql).bind(owner).bind(keep).bind(max).execute(conn).await?.rows_affected())
}

fn entry((_, owner, id, with, time, kind, body): Row) -> Entry {
    Entry { owner, id, with, time, kind, body }
}

/// Entries that are removed at once.
const PART: usize = 10_000;
/// Rows of one statement. Each number of them is prepared once: the libraries keep a hundred statements.
pub(super) const ROWS: usize = 64;
