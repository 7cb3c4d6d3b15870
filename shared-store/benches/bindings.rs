//! What bindings cost that are not in use: bytes of resident memory each, and how long a service takes to have them again.
//!
//! `cargo bench -p shared-store --bench bindings` prints a line for 100,000 and one for 1,000,000, and fails nothing. The
//! bindings are those of phones behind TLS: an instance, a flow, a User-Agent. The allocator is the service's.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::time::Instant;

use shared_model::{AccountId, Aor};
use shared_store::{Binding, BindingUpdate, BoundBy, Store};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    // The reading is done by a process of its own, which the filling left nothing behind in.
    if let Ok(folder) = std::env::var(FOLDER) {
        return read(&folder, std::env::var(COUNT).unwrap().parse().unwrap()).await;
    }
    for count in [100_000, 1_000_000] {
        let folder = std::env::temp_dir().join(format!("cusax-bindings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        fill(&Store::open(&url(folder.to_str().unwrap())).await.unwrap(), count).await;
        let mut reader = std::process::Command::new(std::env::current_exe().unwrap());
        assert!(reader.env(FOLDER, &folder).env(COUNT, count.to_string()).status().unwrap().success());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

async fn read(folder: &str, count: usize) {
    let store = Store::open(&url(folder)).await.unwrap();
    let (before, start) = (resident(), Instant::now());
    // They are read when somebody first asks.
    assert_eq!(store.bindings.by_aor(&aor(count - 1), 0).await.unwrap().len(), 1);
    let seconds = start.elapsed().as_secs_f64();
    let bytes = resident().saturating_sub(before) / count;
    println!("{count} bindings: {bytes} bytes each, there again after {seconds:.2} s");
}

fn url(folder: &str) -> String {
    format!("sqlite://{folder}/cusax.db")
}

async fn fill(store: &Store, count: usize) {
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..count {
        let bindings = std::sync::Arc::clone(&store.bindings);
        waiting.spawn(async move { bindings.commit(&aor(n), &registration(n), 0).await.unwrap() });
        if waiting.len() >= WRITERS {
            waiting.join_next().await;
        }
    }
    waiting.join_all().await;
}

fn aor(n: usize) -> Aor {
    Aor::new(&format!("user{n}"), "example.org").unwrap()
}

fn registration(n: usize) -> BindingUpdate {
    let contact = format!("sip:user{n}@10.{}.{}.{}:5060;transport=tls", n >> 16 & 255, n >> 8 & 255, n & 255);
    let instance = format!("<urn:uuid:00000000-0000-4000-8000-{n:012}>");
    let binding = Binding {
        account: AccountId(n as u128),
        aor: aor(n),
        key: format!("{instance};1"),
        contact,
        instance,
        reg_id: Some(1),
        parameters: ";audio;methods=\"INVITE,ACK,BYE,CANCEL,OPTIONS\"".to_owned(),
        path: Vec::new(),
        flow: format!("tls {n:016x} 192.0.2.1:5061"),
        received: Some(([198, 51, (n >> 8 & 255) as u8, (n & 255) as u8], 40_000).into()),
        call_id: format!("{n:032x}"),
        cseq: 1,
        q: 1000,
        expires: i64::MAX,
        node: "0123456789abcdef".to_owned(),
        user_agent: "Linphone/5.2.5 (Debian GNU/Linux 12, Qt 5.15.8) LinphoneCore/5.3.0".to_owned(),
        updated: 1,
        by: BoundBy::Password,
        name: String::new(),
    };
    BindingUpdate {
        call_id: format!("{n:032x}"),
        cseq: 1,
        set: vec![binding],
        limit: 10,
        ..Default::default()
    }
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

const FOLDER: &str = "CUSAX_BENCH_FOLDER";
const COUNT: &str = "CUSAX_BENCH_COUNT";
/// Enough to fill the groups that are written together.
const WRITERS: usize = 2_000;
