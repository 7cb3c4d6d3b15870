//! Brings a schema to its newest version.

use super::{BEGIN, Connection, MIGRATIONS, lock};
use crate::StoreError;

/// Runs what is missing of the backend's migrations, in one transaction.
pub(super) async fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    migrate_to(conn, MIGRATIONS.len()).await
}

/// Runs the missing ones of the first `known` migrations.
pub(super) async fn migrate_to(conn: &mut Connection, known: usize) -> Result<(), StoreError> {
    sqlx::query(BEGIN).execute(&mut *conn).await?;
    let outcome = run(conn, known).await;
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    sqlx::query(end).execute(conn).await?;
    outcome
}

async fn run(conn: &mut Connection, known: usize) -> Result<(), StoreError> {
    lock(conn, "schema").await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY)")
        .execute(&mut *conn)
        .await?;
    let found: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM schema_version")
        .fetch_one(&mut *conn)
        .await?;
    let done = usize::try_from(found).unwrap_or(0);
    if done > known {
        return Err(StoreError::NewerSchema { found, known: crate::sql::limit(known) });
    }
    for (version, statements) in (1_i64..).zip(MIGRATIONS).take(known).skip(done) {
        for statement in *statements {
            sqlx::query(*statement).execute(&mut *conn).await?;
        }
        sqlx::query("INSERT INTO schema_version (version) VALUES ($1)")
            .bind(version)
            .execute(&mut *conn)
            .await?;
        tracing::debug!(version, "schema migrated");
    }
    Ok(())
}
