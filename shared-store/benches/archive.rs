//! What archives cost: messages a second that are on the disk, and a page of 50 of an archive of a million.
//!
//! `cargo bench -p shared-store --bench archive` prints both, and fails nothing. A message is two entries, one for each
//! side; a hundred senders wait for each of theirs, as sessions do.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::sync::Arc;
use std::time::Instant;

use shared_store::{Entry, Position, Query, Store};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let folder = std::env::temp_dir().join(format!("cusax-archive-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let store = Store::open(&format!("sqlite://{}/cusax.db", folder.display())).await.unwrap();
    append(&store).await;
    page(&store).await;
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn append(store: &Store) {
    let (start, cpu) = (Instant::now(), cpu());
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let archive = Arc::clone(&store.archive);
        senders.spawn(async move {
            for n in 0..MESSAGES / SENDERS {
                let id = format!("{sender}-{n}");
                let entries = [entry(&format!("user{sender}"), &id), entry("bob", &id)];
                archive.append(&entries).await.unwrap();
            }
        });
    }
    senders.join_all().await;
    let rate = MESSAGES as f64 / start.elapsed().as_secs_f64();
    println!(
        "{rate:.0} messages a second, {:.0} \u{b5}s of CPU each",
        (self::cpu() - cpu) / MESSAGES as f64 * 1e6
    );
}

async fn page(store: &Store) {
    let mut entries = Vec::with_capacity(SIZE);
    for n in 0..SIZE {
        entries.push(entry("carol", &format!("{n}")));
        if entries.len() == 10_000 {
            store.archive.append(&entries).await.unwrap();
            entries.clear();
        }
    }
    for (what, position) in [
        ("newest", Position::Last),
        ("oldest", Position::First),
        ("from the middle", Position::After(format!("{}", SIZE / 2))),
    ] {
        let query = Query { max: 50, position, most_counted: 0, ..Query::default() };
        let start = Instant::now();
        for _ in 0..PAGES {
            assert_eq!(store.archive.page("carol", &query).await.unwrap().entries.len(), 50);
        }
        let each = start.elapsed().as_secs_f64() / f64::from(PAGES) * 1e3;
        println!("a page of 50 of {SIZE}, {what}: {each:.2} ms");
    }
}

fn entry(owner: &str, id: &str) -> Entry {
    Entry {
        owner: owner.to_owned(),
        id: id.to_owned(),
        with: "alice@example.org".to_owned(),
        time: 1_800_000_000_000,
        kind: "message".to_owned(),
        body: vec![b'x'; 300],
    }
}

/// Seconds of user and system time of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // In hundredths of a second, on every Linux.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

const SENDERS: usize = 100;
const MESSAGES: usize = 30_000;
const SIZE: usize = 1_000_000;
const PAGES: u32 = 20;
