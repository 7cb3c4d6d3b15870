//! What is damaged in the file, as SQLite finds it (`PRAGMA quick_check`).
//!
//! In    the file, and how long it may take; it is read alone. Out a line for each fault, with the name of the table or index that it is in.
//! Errors a file that does not open at all; [`StoreError::Overloaded`] where the time was too short for its size.

use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::ConnectOptions;
use sqlx::error::DatabaseError;
use sqlx::sqlite::SqliteConnectOptions;

use super::{BUSY, Connection};
use crate::StoreError;

/// At most [`MOST`] faults.
pub(crate) async fn damage(url: &str, within: Duration) -> Result<Vec<String>, StoreError> {
    // Who waits for a lock all the time that there is would be told that the file is too large for it.
    let options = SqliteConnectOptions::from_str(url)?.read_only(true).busy_timeout(BUSY.min(within / 2));
    let mut conn = options.disable_statement_logging().connect().await?;
    let late = Instant::now() + within;
    conn.lock_handle().await?.set_progress_handler(STEPS, move || Instant::now() < late);
    let checked = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("PRAGMA quick_check({MOST})")));
    let lines: Result<Vec<String>, sqlx::Error> = checked.fetch_all(&mut conn).await;
    conn.lock_handle().await?.remove_progress_handler();
    match lines {
        Err(_) if Instant::now() >= late => Err(StoreError::Overloaded),
        // What cannot be read to its end for its own sake says so by the error; that it is locked or cannot be read at all is no damage.
        Err(sqlx::Error::Database(error)) if is_of_the_file(&*error) => Ok(vec![error.to_string()]),
        Err(error) => Err(error.into()),
        Ok(lines) => {
            let mut faults = Vec::new();
            for line in lines.iter().flat_map(|lines| lines.lines()).filter(|line| *line != "ok") {
                if !line.starts_with("***") {
                    faults.push(named(&mut conn, line).await);
                }
            }
            Ok(faults)
        }
    }
}

/// Whether an error is that the file is not as SQLite writes it: `SQLITE_CORRUPT` or `SQLITE_NOTADB`, by the low octet of what it is.
fn is_of_the_file(error: &dyn DatabaseError) -> bool {
    let code = error.code().and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| [11, 26].contains(&(code & 0xff)))
}

/// A fault with the name of what it is in: SQLite says the page of its root.
async fn named(conn: &mut Connection, line: &str) -> String {
    let root = line.strip_prefix("Tree ").and_then(|rest| rest.split(' ').next()?.parse::<i64>().ok());
    let Some(root) = root else { return line.to_owned() };
    let name: Option<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE rootpage = $1")
        .bind(root)
        .fetch_optional(conn)
        .await
        .unwrap_or_default();
    name.map_or_else(|| line.to_owned(), |name| format!("{name}: {line}"))
}

/// Faults that are told: where there are more, these are enough to know what to do.
const MOST: usize = 10;
/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 100;

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::super::tests::Folder;
    use super::*;
    use crate::{Expected, Store};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_page_that_was_overwritten_is_named_by_its_table() {
        let folder = Folder::new("damage");
        let store = super::super::open(&folder.url()).await.unwrap();
        for n in 0..200 {
            store.records.put("o", "c", &n.to_string(), &[7; 1000], Expected::Anything).await.unwrap();
        }
        let find = async |within| damage(&folder.url(), within).await;
        assert_eq!(find(Duration::from_secs(10)).await, Ok(Vec::new()), "beside whoever writes");
        assert_eq!(find(Duration::ZERO).await, Err(StoreError::Overloaded));
        drop(store);
        Store::settle(&folder.url()).await.unwrap();
        let mut conn = folder.connect().await;
        let root: i64 = sqlx::query_scalar("SELECT rootpage FROM sqlite_master WHERE name = 'record'")
            .fetch_one(&mut conn)
            .await
            .unwrap();
        let size: i64 = sqlx::query_scalar("PRAGMA page_size").fetch_one(&mut conn).await.unwrap();
        drop(conn);
        let file = Store::file(&folder.url()).unwrap().unwrap();
        let mut file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
        file.seek(SeekFrom::Start(u64::try_from((root - 1) * size).unwrap())).unwrap();
        file.write_all(&[0xee; 512]).unwrap();
        let found = find(Duration::from_secs(10)).await.unwrap();
        assert!(found.iter().any(|line| line.starts_with("record: ")), "{found:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_somebody_keeps_locked_is_not_damaged() {
        let folder = Folder::new("locked");
        drop(super::super::open(&folder.url()).await.unwrap());
        Store::settle(&folder.url()).await.unwrap();
        let mut conn = folder.connect().await;
        sqlx::raw_sql("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE").execute(&mut conn).await.unwrap();
        let found = damage(&folder.url(), Duration::from_secs(2)).await;
        assert!(matches!(&found, Err(StoreError::Backend(error)) if error.contains("locked")), "{found:?}");
    }
}
