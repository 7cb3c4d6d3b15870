//! Many who say nothing, and one who says too much: others are served meanwhile (RFC 6120 §13.12).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_auth::{NewAccount, Profile};
use shared_store::{Entry, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use xmpp_server::Config;

use crate::common::counted::counted;
use crate::common::failing::failing_records;
use crate::common::{Client, DOMAIN, PASSWORD, Served, serve, serve_over, serve_with};

/// A connection from an address of this machine that opens a stream and goes no further.
async fn slow(served: &Served, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let mut stream = socket.connect(served.server.c2s()[0]).await.unwrap();
    let _ = stream.write_all(b"<?xml version='1.0'?><stream:str").await; // it may be refused already
    stream
}

fn metric(served: &Served, name: &str) -> u64 {
    let families = served.registry.gather();
    let family = families.iter().find(|family| family.name() == name).unwrap();
    let metric = &family.get_metric()[0];
    (metric.get_counter().get_value() + metric.get_gauge().get_value()) as u64
}

#[tokio::test]
async fn thousands_who_go_no_further_leave_room_for_others() {
    let config = Config { unproven_per_network: 300, unproven_connections: 1_600, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut flood = Vec::new();
    for n in 0..4_000_u32 {
        let from = [127, 66, 6, u8::try_from(1 + n % 8).unwrap()];
        flood.push(slow(&served, from).await);
    }
    // One of another network that comes now is served as if they were not there.
    let began = Instant::now();
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    alice.send("<message to='bob@example.org'><body>still here</body></message>").await;
    bob.expect(&["still here"]).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(metric(&served, "xmpp_server_unproven_connections"), 1_200, "four times 300 of a /24");
    assert_eq!(metric(&served, "xmpp_server_refused_connections_total"), 2_800);
    drop(flood);
    let end = Instant::now() + Duration::from_secs(10);
    while metric(&served, "xmpp_server_unproven_connections") > 0 {
        assert!(Instant::now() < end, "their places are free again");
        alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    }
    let socket = slow(&served, [127, 66, 6, 1]).await;
    drop(Client::over(&served, socket));
}

/// As many as this process can open the two ends of, and no room for one more: of some the TLS handshake is half done, of some the header,
/// and of some a stanza, a byte a second.
#[test]
fn ten_thousand_who_are_slow_leave_the_server_serving() {
    // In a process of its own, which may open as many files as one may.
    let alone = ["--exact", "--ignored", "--nocapture", "floods::ten_thousand_who_are_slow"];
    let done = std::process::Command::new(std::env::current_exe().unwrap()).args(alone).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the one before runs it in a process of its own"]
async fn ten_thousand_who_are_slow() {
    const TRICKLE: &str = "<iq type='set' id='slow'><query xmlns='jabber:iq:register'><username>";
    let files = shared_runtime::open_files::raise().unwrap_or(u64::MAX);
    let many = u32::try_from((files.saturating_sub(400) / 2).min(10_000)).unwrap();
    let config = Config {
        unproven_connections: many as usize,
        registration: true,
        login_timeout: Duration::from_secs(600), // however long it takes to open them all
        ..Config::default()
    };
    let served = serve_with(config, Store::in_memory()).await;
    let before = resident();
    let mut trickling = Vec::new();
    let mut silent = Vec::new();
    for n in 0..many {
        let stream = half_open(&served, n).await;
        if n % 3 == 2 { trickling.push(stream) } else { silent.push(stream) }
    }
    all_are_there(&served, many).await;
    let trickle = tokio::spawn(async move {
        for byte in TRICKLE.as_bytes().iter().cycle() {
            for stream in &mut trickling {
                let _ = stream.write_all(std::slice::from_ref(byte)).await; // it may have been sent away
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let full = resident();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut fastest = Duration::MAX;
    for n in 0..5 {
        let began = Instant::now();
        let mut alice = Client::online(&served, "alice", &format!("a{n}")).await;
        let mut bob = Client::online(&served, "bob", &format!("b{n}")).await;
        alice.send("<message to='bob@example.org'><body>still here</body></message>").await;
        bob.expect(&["still here"]).await;
        fastest = fastest.min(began.elapsed());
    }
    assert!(fastest < Duration::from_secs(3), "two logins and a message: {fastest:?}");
    trickle.abort();
    drop(silent);
    all_are_there(&served, 0).await;
    // Of both ends, which are here, and unoptimised.
    let each = (full - before) / i64::from(many);
    assert!(each < 128 * 1024, "{each} bytes each, while they were there");
}

/// A connection that goes no further: in the handshake of TLS, in the header, or after it. Twenty-five networks of five addresses.
async fn half_open(served: &Served, n: u32) -> TcpStream {
    let from = [127, 66, u8::try_from(n % 25).unwrap(), u8::try_from(1 + n / 25 % 5).unwrap()];
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let to = if n.is_multiple_of(3) { served.server.c2s_tls()[0] } else { served.server.c2s()[0] };
    let mut stream = socket.connect(to).await.unwrap();
    let said: &[u8] = match n % 3 {
        // A record of a handshake that says it is 512 bytes long, and the beginning of its ClientHello.
        0 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        1 => b"<?xml version='1.0'?><stream:stream xmlns='jabber:cl",
        _ => b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>",
    };
    stream.write_all(said).await.unwrap();
    stream
}

async fn all_are_there(served: &Served, many: u32) {
    let end = Instant::now() + Duration::from_secs(60);
    while metric(served, "xmpp_server_unproven_connections") != u64::from(many) {
        let there = metric(served, "xmpp_server_unproven_connections");
        assert!(Instant::now() < end, "{there} and not {many}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Bytes of this process in memory.
fn resident() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4096
}

/// RFC 6120 §4.9.3.17: for whom there is no room hears so.
#[tokio::test]
async fn for_whom_there_is_no_room_is_told_at_once() {
    let config = Config { unproven_per_network: 1, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let _first = slow(&served, [127, 66, 6, 1]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.66.6.1:0".parse().unwrap()).unwrap();
    let mut second = socket.connect(served.server.c2s()[0]).await.unwrap();
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>";
    // As clients do, without waiting; what is unread when a socket is closed resets it.
    second.write_all(header.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    second.write_all(b" ").await.unwrap();
    let mut heard = String::new();
    second.read_to_string(&mut heard).await.unwrap();
    assert!(heard.contains("<stream:stream ") && heard.contains("<resource-constraint "), "{heard}");
    assert!(heard.ends_with("</stream:stream>"), "{heard}");
}

/// After a restart all come back at once, to a store that serves four at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_is_let_in_and_who_is_in_is_served_meanwhile() {
    const ACCOUNTS: usize = 60;
    let before = serve().await;
    for n in 0..ACCOUNTS {
        let new = NewAccount {
            aor: format!("u{n}@sip.{DOMAIN}").parse().unwrap(),
            jid: format!("u{n}@{DOMAIN}").parse().unwrap(),
            profile: Profile::default(),
        };
        before.auth.book.create(new, PASSWORD).await.unwrap();
    }
    let (store, fault) = failing_records(&before.store);
    let config = Config { unproven_per_network: 1_000, ..Config::default() };
    let served = Arc::new(serve_over(&before, config, store).await);
    let mut alice = Client::online(&served, "alice", "a").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await; // what was read a moment ago is known
    fault.slow(4, Duration::from_millis(100));
    let began = Instant::now();
    let come = |n: usize| {
        let served = Arc::clone(&served);
        tokio::spawn(async move {
            Client::login(&served, &format!("u{}", n % ACCOUNTS), &format!("r{n}")).await;
        })
    };
    let herd: Vec<_> = (0..5 * ACCOUNTS).map(come).collect();
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let asked = Instant::now();
    alice.ask("get", "alice@example.org", "<query xmlns='jabber:iq:roster'/>").await;
    let waited = asked.elapsed();
    for one in herd {
        one.await.unwrap();
    }
    // Behind so many, and not behind the whole herd of 300: each stage lets a few in, and on a slow machine stages meet.
    assert!(fault.most() <= 40, "{} asked the store at once", fault.most());
    let took = began.elapsed();
    assert!(waited * 3 < took, "alice waited {waited:?}, and all were in after {took:?}");
}

#[tokio::test]
async fn who_says_too_much_is_slowed_and_loses_nothing() {
    for config in
        [Config { rate: 40_000, ..Config::default() }, Config { stanza_rate: 20, ..Config::default() }]
    {
        let served = serve_with(config, Store::in_memory()).await;
        let mut bob = Client::online(&served, "bob", "b").await;
        let mut alice = Client::online(&served, "alice", "a").await;
        let mut carol = Client::online(&served, "carol", "c").await;
        let long = "x".repeat(1_500);
        let all: String = (0..100)
            .map(|n| format!("<message to='bob@example.org/b' id='m{n}'><body>{long}</body></message>"))
            .collect();
        let began = Instant::now();
        alice.send(&all).await;
        carol.send("<message to='bob@example.org/b' id='c'><body>me, too</body></message>").await;
        let (mut next, mut carols) = (0, None);
        while next < 100 {
            let got = bob.next().await.unwrap();
            if got.contains("id='c'") {
                carols = Some(began.elapsed());
                continue;
            }
            assert!(got.contains(&format!("id='m{next}'")), "{next} was next");
            next += 1;
        }
        assert!(began.elapsed() > Duration::from_millis(1_500), "{:?}", began.elapsed());
        assert!(carols.unwrap() < Duration::from_millis(1_000), "carol waits for nobody: {carols:?}");
    }
}

/// Somebody asks for much, reads nothing and goes: what nobody reads is not looked up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_without_reading_is_asked_for_no_more() {
    let before = serve_with(Config::default(), Store::in_memory()).await;
    let (store, asked) = counted(&before.store);
    let served = serve_over(&before, Config::default(), store).await;
    let body = format!("<message from='bob@example.org/b'><body>{}</body></message>", "x".repeat(2_000));
    let entry = |n: i64| Entry {
        owner: "alice@example.org".to_owned(),
        id: format!("{n:016x}"),
        with: "bob@example.org".to_owned(),
        time: n,
        kind: "message".to_owned(),
        body: body.clone().into_bytes(),
    };
    before.store.archive.append(&(0..250).map(entry).collect::<Vec<_>>()).await.unwrap();
    let mut alice = Client::online(&served, "alice", "a").await;
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    let ask = |n: u32| {
        format!(
            "<iq type='set' id='{n}'><query xmlns='urn:xmpp:mam:2'>\
             <set xmlns='http://jabber.org/protocol/rsm'><max>250</max></set></query></iq>"
        )
    };
    asked.take();
    alice.send(&(0..400).map(ask).collect::<String>()).await;
    let mut looks = 0;
    while looks < 4 {
        looks += asked.take().len();
        tokio::task::yield_now().await;
    }
    drop(alice);
    let end = Instant::now() + Duration::from_secs(10);
    while metric(&served, "xmpp_server_sessions") > 0 {
        assert!(Instant::now() < end, "its session is over");
        looks += asked.take().len();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // What fits on the way to it, and what was begun.
    assert!(looks < 60, "{looks} of 400");
}
