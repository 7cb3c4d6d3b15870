//! One server for one schema in PostgreSQL: an advisory lock of a connection that does nothing else.
//!
//! State the connection. It waits there, a moment at a time, so that its end is heard at once; where it ended, or says nothing in time,
//!       another one takes the lock again, unless another server was faster.
//! Errors what the database says; who holds the lock is named by where its connection comes from.

use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::Connection;
use crate::StoreError;
use crate::alone::AloneError;

/// The lock, as long as it is held.
pub(crate) struct Alone {
    options: PgConnectOptions,
    connection: Option<Connection>,
    /// How long it may take to answer.
    look: Duration,
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
                // Whoever bounds statements did not mean its waiting.
                ("statement_timeout", "0"),
            ])
            .disable_statement_logging();
        let late = Instant::now() + PATIENCE;
        loop {
            match in_time(LOOK, take(&options)).await? {
                Some(connection) => return Ok(Self { options, connection: Some(connection), look: LOOK }),
                None if Instant::now() > late => {
                    return Err(AloneError::Served(
                        in_time(LOOK, holder(&options)).await.unwrap_or_else(|_| OTHER.to_owned()),
                    ));
                }
                None => tokio::time::sleep(BETWEEN_TRIES).await,
            }
        }
    }

    /// Ends when another server has the lock.
    pub(crate) async fn lost(&mut self) {
        loop {
            match &mut self.connection {
                Some(connection) => {
                    let waited = sqlx::query("SELECT pg_sleep($1)").bind(MOMENT).execute(connection);
                    if in_time(self.look, async { Ok(waited.await?) }).await.is_ok() {
                        continue;
                    }
                    self.connection = None;
                }
                None => tokio::time::sleep(BETWEEN_TRIES).await,
            }
            match in_time(self.look, take(&self.options)).await {
                Ok(Some(connection)) => self.connection = Some(connection),
                Ok(None) => return,
                // It is down, and nobody has the lock; or it is cut off from us, and tells who has it when it is back.
                Err(error) => tracing::debug!(%error, "the database does not say whose it is"),
            }
        }
    }
}

/// What the database says to a question. One that is cut off says nothing, and TCP takes a quarter of an hour to notice.
async fn in_time<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = || StoreError::Backend("no answer".to_owned());
    tokio::time::timeout(patience, asked).await.map_err(|_| late())?
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
const LOOK: Duration = Duration::from_secs(10);
/// Seconds that it waits there at a time: so long it keeps the lock when its server is gone, less than the next one has patience.
const MOMENT: f64 = 1.0;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_database_that_is_cut_off_is_asked_anew_and_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connects, mut connected) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut silent = Vec::new();
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                // AuthenticationOk and ReadyForQuery; and nothing more is heard of it.
                assert_ne!(socket.read(&mut [0; 1024]).await.unwrap(), 0);
                socket.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.unwrap();
                silent.push(socket);
                connects.send(()).unwrap();
            }
        });
        let options =
            PgConnectOptions::from_str(&format!("postgres://x@127.0.0.1:{port}/x?sslmode=disable")).unwrap();
        let connection = Some(options.connect().await.unwrap());
        let mut alone = Alone { options, connection, look: Duration::from_millis(50) };
        let three = async {
            for _ in 0..3 {
                connected.recv().await.unwrap(); // the first, one for which it was given up, one more
            }
        };
        tokio::select! {
            () = alone.lost() => panic!("nobody said that another one has it"),
            asked = tokio::time::timeout(Duration::from_secs(20), three) => asked.expect("it is asked anew"),
        }
    }
}
