//! One server for one schema in PostgreSQL: an advisory lock of a connection that does nothing else.
//!
//! State the connection. It is asked now and then whether it lives; where it does not, another one takes the lock again, unless
//!       another server was faster.
//! Errors what the database says; who holds the lock is named by where its connection comes from.

use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection as _};

use super::Connection;
use crate::StoreError;
use crate::alone::AloneError;

/// The lock, as long as it is held.
pub(crate) struct Alone {
    options: PgConnectOptions,
    connection: Option<Connection>,
}

impl Alone {
    /// Takes the lock. One of a server that was killed a moment ago is waited for.
    pub(crate) async fn begin(url: &str) -> Result<Self, AloneError> {
        let options = PgConnectOptions::from_str(url).map_err(StoreError::from)?;
        // What is left of a machine that is gone is noticed within a minute and a half.
        let options = options
            .application_name(NAME)
            .options([
                ("tcp_keepalives_idle", "30"),
                ("tcp_keepalives_interval", "15"),
                ("tcp_keepalives_count", "4"),
            ])
            .disable_statement_logging();
        let late = Instant::now() + PATIENCE;
        loop {
            match take(&options).await? {
                Some(connection) => return Ok(Self { options, connection: Some(connection) }),
                None if Instant::now() > late => {
                    return Err(AloneError::Served(
                        holder(&options).await.unwrap_or_else(|_| OTHER.to_owned()),
                    ));
                }
                None => tokio::time::sleep(BETWEEN_TRIES).await,
            }
        }
    }

    /// Ends when another server has the lock.
    pub(crate) async fn lost(&mut self) {
        loop {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let lives = match &mut self.connection {
                Some(connection) => connection.ping().await.is_ok(),
                None => false,
            };
            if lives {
                continue;
            }
            self.connection = None;
            match take(&self.options).await {
                Ok(Some(connection)) => self.connection = Some(connection),
                Ok(None) => return,
                // Nor can anybody else have it now.
                Err(error) => tracing::debug!(%error, "the database does not say whose it is"),
            }
        }
    }
}

/// A connection with the lock, unless another one has it.
async fn take(options: &PgConnectOptions) -> Result<Option<Connection>, StoreError> {
    let mut connection = options.connect().await?;
    let asked =
        sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1 || current_schema(), 0))");
    let is_taken: bool = asked.bind(NAME).fetch_one(&mut connection).await?;
    Ok(is_taken.then_some(connection))
}

async fn holder(options: &PgConnectOptions) -> Result<String, StoreError> {
    let mut connection = options.connect().await?;
    let asked = sqlx::query_scalar(
        "SELECT COALESCE(host(a.client_addr), 'this machine') FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
         WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = $1 AND a.datname = current_database() LIMIT 1",
    );
    let from: Option<String> = asked.bind(NAME).fetch_optional(&mut connection).await?;
    Ok(from.map_or_else(|| OTHER.to_owned(), |from| format!("{NAME} of {from}")))
}

const NAME: &str = "cusax serve";
const OTHER: &str = "another server";
/// How long the lock of one that ended is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
const BETWEEN_TRIES: Duration = Duration::from_millis(200);
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);
