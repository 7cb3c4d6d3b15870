//! Bindings as rows: AOR, key and expiry in columns, the rest as one JSON body.

use shared_model::Aor;

use super::{Connection, Database, lock};
use crate::binding::{apply, order};
use crate::sql::{limit, read, write};
use crate::{Binding, BindingUpdate, Committed, StoreError};

pub(super) struct Bindings(pub(super) Database);

#[async_trait::async_trait]
impl crate::Bindings for Bindings {
    async fn commit(&self, aor: &Aor, update: &BindingUpdate, now: i64) -> Result<Committed, StoreError> {
        let (aor, update) = (aor.clone(), update.clone());
        self.0.write(move |conn| Box::pin(async move { commit(conn, &aor, &update, now).await })).await
    }

    async fn by_aor(&self, aor: &Aor, now: i64) -> Result<Vec<Binding>, StoreError> {
        let mut live = self.0.in_time(async { all(&mut *self.0.reader().await?, aor).await }).await?;
        live.retain(|binding| binding.expires > now);
        order(&mut live);
        Ok(live)
    }

    async fn ending(&self, after: i64, until: i64, max: usize) -> Result<Vec<Binding>, StoreError> {
        let sql = "SELECT body FROM binding WHERE expires > $1 AND expires <= $2 ORDER BY expires LIMIT $3";
        let query = sqlx::query_scalar(sql).bind(after).bind(until).bind(limit(max));
        let read_all = async { Ok(query.fetch_all(&mut *self.0.reader().await?).await?) };
        let bodies: Vec<Vec<u8>> = self.0.in_time(read_all).await?;
        bodies.iter().map(|body| read(body)).collect()
    }

    async fn expire(&self, now: i64, max: usize) -> Result<Vec<Binding>, StoreError> {
        self.0.write(move |conn| Box::pin(async move { expire(conn, now, limit(max)).await })).await
    }
}

async fn all(conn: &mut Connection, aor: &Aor) -> Result<Vec<Binding>, StoreError> {
    let bodies: Vec<Vec<u8>> = sqlx::query_scalar("SELECT body FROM binding WHERE aor = $1")
        .bind(aor.as_str())
        .fetch_all(conn)
        .await?;
    bodies.iter().map(|body| read(body)).collect()
}

async fn commit(
    conn: &mut Connection,
    aor: &Aor,
    update: &BindingUpdate,
    now: i64,
) -> Result<Committed, StoreError> {
    lock(conn, aor.as_str()).await?;
    let committed = apply(all(conn, aor).await?, update, now)?;
    for gone in &committed.removed {
        sqlx::query("DELETE FROM binding WHERE aor = $1 AND binding_key = $2")
            .bind(aor.as_str())
            .bind(&gone.key)
            .execute(&mut *conn)
            .await?;
    }
    let upsert = "INSERT INTO binding (aor, binding_key, expires, body) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT (aor, binding_key) DO UPDATE SET expires = excluded.expires, body = excluded.body";
    for set in &update.set {
        sqlx::query(upsert)
            .bind(aor.as_str())
            .bind(&set.key)
            .bind(set.expires)
            .bind(write(set)?)
            .execute(&mut *conn)
            .await?;
    }
    Ok(committed)
}

async fn expire(conn: &mut Connection, now: i64, max: i64) -> Result<Vec<Binding>, StoreError> {
    let sql = "DELETE FROM binding WHERE expires <= $1 AND (aor, binding_key) IN \
               (SELECT aor, binding_key FROM binding WHERE expires <= $1 ORDER BY expires LIMIT $2) RETURNING body";
    let bodies: Vec<Vec<u8>> = sqlx::query_scalar(sql).bind(now).bind(max).fetch_all(conn).await?;
    bodies.iter().map(|body| read(body)).collect()
}
