//! The contract, migrations from every version, and two processes on one file.

use super::*;
use crate::{Expected, contract};

pub(super) struct Folder(std::path::PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("cusax-sqlite-{name}-{}", std::process::id()));
        // What an earlier run with this process id left behind.
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }

    pub(super) fn url(&self) -> String {
        format!("sqlite://{}", self.0.join("cusax.db").display())
    }
}

impl Folder {
    /// Another connection to the file.
    pub(super) async fn connect(&self) -> Connection {
        SqliteConnectOptions::from_str(&self.url()).unwrap().connect().await.unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays behind in a temporary place harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("modes");
    let store = open(&folder.url()).await.unwrap();
    store.records.put("o", "c", "k", b"v", Expected::Anything).await.unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.0), 0o700);
    let files: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() > 1 && files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let folder = Folder::new("contract");
    contract::run(&open(&folder.url()).await.unwrap()).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_keeps_nobody_else_waiting() {
    let folder = Folder::new("appends");
    let store = open(&folder.url()).await.unwrap();
    let entry = |id: usize| crate::Entry {
        owner: "o".to_owned(),
        id: id.to_string(),
        with: String::new(),
        time: 0,
        kind: String::new(),
        body: Vec::new(),
    };
    let callers: Vec<_> = (0..150)
        .map(|id| {
            let archive = Arc::clone(&store.archive);
            tokio::spawn(async move { archive.append(&[entry(id)]).await })
        })
        .collect();
    // The first of them is on its way to the writer by now, for itself and for those behind it.
    tokio::task::yield_now().await;
    callers[0].abort();
    for caller in callers.into_iter().skip(1) {
        caller.await.unwrap().unwrap();
    }
    let page = store.archive.page("o", &crate::Query { max: 200, ..crate::Query::default() }).await.unwrap();
    assert_eq!(page.entries.len(), 150);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_opening_again() {
    let folder = Folder::new("again");
    let first = open(&folder.url()).await.unwrap();
    first.records.put("o", "c", "k", b"v", Expected::Absent).await.unwrap();
    // The first stays open, as a server that was killed leaves its files behind.
    let second = open(&folder.url()).await.unwrap();
    assert_eq!(second.records.get("o", "c", "k").await.unwrap().unwrap().value, b"v");
    second.records.put("o", "c", "k", b"w", Expected::Version(1)).await.unwrap();
    assert_eq!(first.records.get("o", "c", "k").await.unwrap().unwrap().value, b"w");
}

#[tokio::test]
async fn migrates_from_every_version_and_refuses_a_newer_one() {
    for version in 0..=MIGRATIONS.len() {
        let folder = Folder::new(&format!("from-{version}"));
        std::fs::create_dir_all(&folder.0).unwrap();
        let options = SqliteConnectOptions::from_str(&folder.url()).unwrap().create_if_missing(true);
        let mut conn = options.connect().await.unwrap();
        migrate::migrate_to(&mut conn, version).await.unwrap();
        if version > 0 {
            let insert = "INSERT INTO record (owner, collection, record_key, version, value) \
                          VALUES ('o', 'c', 'k', 1, x'76')";
            sqlx::query(insert).execute(&mut conn).await.unwrap();
        }
        let store = open(&folder.url()).await.unwrap();
        let kept = store.records.get("o", "c", "k").await.unwrap().map(|record| record.value);
        assert_eq!(kept, (version > 0).then(|| b"v".to_vec()));
        sqlx::query("INSERT INTO schema_version (version) VALUES (99)").execute(&mut conn).await.unwrap();
        let newer = open(&folder.url()).await.err();
        assert_eq!(newer, Some(StoreError::NewerSchema { found: 99, known: 5 }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_leaves_its_group_untouched() {
    let folder = Folder::new("group");
    let store = open(&folder.url()).await.unwrap();
    let writes = (0..200).map(|n| {
        let records = Arc::clone(&store.records);
        tokio::spawn(async move {
            // Every tenth believes in something that is not there, and others in nothing.
            let expected = match n % 10 {
                0 => Expected::Version(7),
                1 | 5 => Expected::Anything,
                _ => Expected::Absent,
            };
            records.put("o", "c", &n.to_string(), b"v", expected).await
        })
    });
    let mut refused = 0;
    for write in writes.collect::<Vec<_>>() {
        refused += usize::from(write.await.unwrap() == Err(StoreError::Conflict));
    }
    assert_eq!(refused, 20);
    assert_eq!(store.records.list("o", "c", None, 1000).await.unwrap().len(), 180);
}

#[test]
fn no_statement_is_prepared_anew_for_each_limit() {
    for text in [
        include_str!("lists.rs"),
        include_str!("../sql/accounts.rs"),
        include_str!("../sql/archive.rs"),
        include_str!("../sql/records.rs"),
    ] {
        assert!(!text.contains("LIMIT $"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_read_at_once_and_each_gets_its_own() {
    let folder = Folder::new("readers");
    let store = open(&folder.url()).await.unwrap();
    for n in 0..9 {
        store.records.put("o", "c", &n.to_string(), &[n], Expected::Absent).await.unwrap();
    }
    let reads: Vec<_> = (0..200_u8)
        .map(|n| {
            let records = Arc::clone(&store.records);
            tokio::spawn(async move {
                let read = records.get("o", "c", &(n % 9).to_string()).await.unwrap().unwrap();
                assert_eq!(read.value, [n % 9]);
                records.list("o", "c", None, 100).await.unwrap().len()
            })
        })
        .collect();
    for (n, read) in reads.into_iter().enumerate() {
        match n % 3 {
            0 => read.abort(), // who does not wait for its answer leaves the connection as it was
            _ => assert_eq!(read.await.unwrap(), 9),
        }
    }
    assert_eq!(store.records.list("o", "c", None, 100).await.unwrap().len(), 9);
}

/// The name of the variable that makes this test's process the victim; its value is the database's URL.
const VICTIM: &str = "CUSAX_TEST_VICTIM_URL";

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_kill_9() {
    use std::io::BufRead;

    if let Ok(url) = std::env::var(VICTIM) {
        return write_until_killed(&url).await;
    }
    let folder = Folder::new("kill");
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::tests::acknowledged_writes_survive_kill_9", "--nocapture"])
        .env(VICTIM, folder.url())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let acknowledged: Vec<String> =
        lines.filter_map(|line| line.strip_prefix("stored ").map(str::to_owned)).take(300).collect();
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(acknowledged.len(), 300);
    let store = open(&folder.url()).await.unwrap();
    for key in acknowledged {
        assert!(
            store.records.get("o", "c", &key).await.unwrap().is_some(),
            "{key} was acknowledged and lost"
        );
    }
}

/// Eight writers at once, each saying what was acknowledged, until the process is killed.
async fn write_until_killed(url: &str) {
    let store = open(url).await.unwrap();
    let writers = (0..8).map(|writer| {
        let records = Arc::clone(&store.records);
        tokio::spawn(async move {
            for n in 0.. {
                let key = format!("{writer}-{n}");
                records.put("o", "c", &key, b"v", Expected::Absent).await.unwrap();
                println!("\nstored {key}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_is_not_in_the_file_any_more() {
    let folder = Folder::new("removed");
    let store = open(&folder.url()).await.unwrap();
    let secret = b"a card with a telling address ".repeat(500);
    store.records.put("eve", "vcard", "k", &secret, Expected::Anything).await.unwrap();
    store.records.put("bob", "vcard", "k", b"kept", Expected::Anything).await.unwrap();
    let shows = async || {
        let mut other = folder.connect().await;
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut other).await.unwrap();
        let file = std::fs::read(folder.0.join("cusax.db")).unwrap();
        file.windows(21).any(|window| window == &secret[..21])
    };
    assert!(shows().await);
    store.records.remove_owner("eve").await.unwrap();
    assert!(!shows().await);
}
