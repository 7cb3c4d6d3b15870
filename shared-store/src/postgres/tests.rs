//! The contract and migrations from every version, on a real server.

use sqlx::Connection as _;

use super::server::Server;
use super::*;
use crate::contract;

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract_and_migrates_from_every_version() {
    let Some(server) = Server::start() else { return };
    let mut admin = connect_when_up(&server.url("postgres")).await;
    sqlx::raw_sql("CREATE DATABASE contract").execute(&mut admin).await.unwrap();
    contract::run(&open(&server.url("contract")).await.unwrap()).await;

    let create = [
        "CREATE DATABASE from_0",
        "CREATE DATABASE from_1",
        "CREATE DATABASE from_2",
        "CREATE DATABASE from_3",
        "CREATE DATABASE from_4",
    ];
    for (version, create) in create.into_iter().enumerate() {
        sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
        let url = server.url(&format!("from_{version}"));
        let mut conn = Connection::connect(&url).await.unwrap();
        migrate::migrate_to(&mut conn, version).await.unwrap();
        let store = open(&url).await.unwrap();
        contract::records(&store).await;
        sqlx::query("INSERT INTO schema_version (version) VALUES (99)").execute(&mut conn).await.unwrap();
        assert_eq!(open(&url).await.err(), Some(StoreError::NewerSchema { found: 99, known: 4 }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_for_one_server() {
    let Some(server) = Server::start() else { return };
    drop(connect_when_up(&server.url("postgres")).await);
    let url = server.url("postgres");
    let first = Store::alone(&url, "cusax serve").await.unwrap();
    let Err(refused) = Store::alone(&url, "cusax serve").await else { panic!("two servers") };
    assert!(
        refused.to_string().starts_with("the store is served by cusax serve of 127.0.0.1 already"),
        "{refused}"
    );
    // Commands go on beside it, and whoever has another schema.
    assert!(Store::open(&url).await.is_ok());
    let mut admin = connect_when_up(&url).await;
    sqlx::raw_sql("CREATE SCHEMA other").execute(&mut admin).await.unwrap();
    let other = format!("{url}?options=-csearch_path%3Dother");
    assert!(Store::alone(&other, "cusax serve").await.is_ok());
    drop(first);
    assert!(Store::alone(&url, "cusax serve").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_whose_connection_is_cut_is_taken_again_at_once() {
    let Some(server) = Server::start() else { return };
    let mut admin = connect_when_up(&server.url("postgres")).await;
    let url = server.url("postgres");
    let mut alone = Store::alone(&url, "cusax serve").await.unwrap();
    let waiting = tokio::spawn(async move { alone.lost().await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let holder = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted";
    let first: i32 = sqlx::query_scalar(holder).fetch_one(&mut admin).await.unwrap();
    sqlx::query("SELECT pg_terminate_backend($1)").bind(first).execute(&mut admin).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        let holds: Option<i32> = sqlx::query_scalar(holder).fetch_optional(&mut admin).await.unwrap();
        if holds.is_some_and(|pid| pid != first) {
            break;
        }
        assert!(Instant::now() < deadline, "nobody holds it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!waiting.is_finished());
    // Whoever ends leaves it to the next one, though it waits there.
    waiting.abort();
    assert!(Store::alone(&url, "cusax serve").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_a_database_that_is_silent_is_told_and_it_goes_on_when_it_speaks() {
    let Some(server) = Server::start() else { return };
    drop(connect_when_up(&server.url("postgres")).await);
    let url = server.url("postgres");
    let store = open(&url).await.unwrap();
    let mut other = Connection::connect(&url).await.unwrap();
    let mut locked = other.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE record, archive, account IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *locked)
        .await
        .unwrap();
    let change = [crate::RecordChange::put("c", "k", b"v")];
    let asked = async {
        tokio::join!(
            store.records.get("o", "c", "k"),
            store.records.list("o", "c", None, 9),
            store.records.commit("o", &change),
            store.accounts.by_number("7"),
        )
    };
    let asked = tokio::time::timeout(ANSWER + Duration::from_secs(5), asked).await.unwrap();
    let answers = [asked.0.err(), asked.1.err(), asked.2.err(), asked.3.err()];
    for answer in answers {
        let error = answer.unwrap().to_string();
        assert!(error.contains("statement timeout"), "{error}");
    }
    locked.rollback().await.unwrap();
    assert_eq!(store.accounts.by_number("7").await, Ok(None));
    store.records.commit("o", &change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_writes_again_is_written_to() {
    let Some(server) = Server::start() else { return };
    let mut admin = connect_when_up(&server.url("postgres")).await;
    sqlx::raw_sql("CREATE DATABASE turning").execute(&mut admin).await.unwrap();
    let url = server.url("turning");
    let store = open(&url).await.unwrap();
    let turn = async |admin: &mut Connection, is_read_only: &str| {
        let turn = format!("ALTER DATABASE turning SET default_transaction_read_only = {is_read_only}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(turn)).execute(admin).await.unwrap();
    };
    turn(&mut admin, "on").await;
    // Who comes anew finds it so.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'turning'";
    sqlx::raw_sql(end).execute(&mut admin).await.unwrap();
    let change = [crate::RecordChange::put("c", "k", b"v")];
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    // Many at once, of which each has a connection that takes no writes.
    let many = || futures_util::future::join_all((0..8).map(|_| store.records.get("o", "c", "k")));
    while !matches!(store.records.commit("o", &change).await, Err(StoreError::ReadOnly(_))) {
        assert!(std::time::Instant::now() < deadline);
    }
    many().await;
    // One is found so: what lies idle beside it is no better.
    assert!(store.records.commit("o", &change).await.is_err());
    turn(&mut admin, "off").await;
    // What was taken is given back, or closed, meanwhile.
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..9 {
        store.records.commit("o", &change).await.unwrap();
    }
}

/// Connects as soon as the server accepts: it says so on no channel but its port.
async fn connect_when_up(url: &str) -> Connection {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        match Connection::connect(url).await {
            Ok(conn) => return conn,
            Err(error) if std::time::Instant::now() > deadline => {
                panic!("PostgreSQL does not come up: {error}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[tokio::test]
async fn where_nobody_listens_is_said_and_soon() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let begun = std::time::Instant::now();
    let Err(error) = Store::open(&format!("postgres://cusax@127.0.0.1:{port}/none")).await else {
        panic!("nobody listens there")
    };
    assert!(error.to_string().contains(&format!("no connection to 127.0.0.1:{port}: ")), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(8), "before who waits for it gives up");
}
