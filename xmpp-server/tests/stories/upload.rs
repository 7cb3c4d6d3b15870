//! Files over HTTP — XEP-0363.

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::http::{self, ask};
use crate::common::{Client, DOMAIN, Served, attribute, serve, serve_again, serve_with};
use shared_store::Store;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use xmpp_server::{Config, UploadConfig};

const UPLOAD: &str = "upload.example.org";

async fn open(served: &Served) -> SocketAddr {
    http::serve(served, |base| served.server.open_uploads(base)).await
}

fn request(name: &str, size: usize, rest: &str) -> String {
    format!("<request xmlns='urn:xmpp:http:upload:0' filename='{name}' size='{size}' {rest}/>")
}

/// The path of a slot, and what proves it.
async fn slot(client: &mut Client, name: &str, size: usize, rest: &str) -> (String, String) {
    let answer = client.ask("get", UPLOAD, &request(name, size, rest)).await;
    let url = attribute(&answer, "put", "url");
    assert_eq!(url, attribute(&answer, "get", "url"));
    let words = answer.split("name='Authorization'>").nth(1).unwrap().split('<').next().unwrap();
    let path = url.splitn(4, '/').nth(3).unwrap();
    (format!("/{path}"), words.to_owned())
}

#[tokio::test]
async fn a_file_is_left_once_and_fetched_in_whole_or_part() {
    let served = serve().await;
    let to = open(&served).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let items = alice.ask("get", DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#items'/>").await;
    assert!(items.contains(UPLOAD), "{items}");
    let info = alice.ask("get", UPLOAD, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains("urn:xmpp:http:upload:0") && info.contains("<value>104857600<"), "{info}");
    let (path, words) = slot(&mut alice, "très cool.jpg", 10, "content-type='image/jpeg'").await;
    assert!(path.ends_with("/tr%C3%A8s%20cool.jpg"), "{path}");
    assert_eq!(ask(to, "GET", &path, &[], b"").await.status, 404, "nothing was left yet");
    let auth = ("Authorization", words.as_str());
    let typed = ("Content-Type", "image/jpeg");
    assert_eq!(ask(to, "PUT", &path, &[typed], b"0123456789").await.status, 403, "without the words");
    let (other, _) = slot(&mut alice, "b.jpg", 10, "").await;
    assert_eq!(ask(to, "PUT", &other, &[auth, typed], b"0123456789").await.status, 403, "another's words");
    assert_eq!(ask(to, "PUT", &path, &[auth, typed], b"012345678").await.status, 413);
    assert_eq!(
        ask(to, "PUT", &path, &[auth, ("Content-Type", "text/html")], b"0123456789").await.status,
        415
    );
    let put = ask(to, "PUT", &path, &[auth, typed], b"0123456789").await;
    assert_eq!(put.status, 201, "{}", put.text());
    assert_eq!(put.header("access-control-allow-origin"), Some("*"));
    assert_eq!(ask(to, "PUT", &path, &[auth, typed], b"9876543210").await.status, 409, "once");
    let whole = ask(to, "GET", &path, &[], b"").await;
    assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"));
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("content-length", "10"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
        ("content-disposition", "inline; filename*=UTF-8''tr%C3%A8s%20cool.jpg"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(whole.header(name), Some(value));
    }
    let part = ask(to, "GET", &path, &[("Range", "bytes=2-4")], b"").await;
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(ask(to, "GET", &path, &[("Range", "bytes=10-")], b"").await.status, 416);
    let head = ask(to, "HEAD", &path, &[], b"").await;
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, Some("10")));
    let tag = whole.header("etag").unwrap();
    assert_eq!(ask(to, "GET", &path, &[("If-None-Match", tag)], b"").await.status, 304);
    assert_eq!(ask(to, "OPTIONS", &path, &[("Origin", "https://web.example")], b"").await.status, 204);
    assert_eq!(ask(to, "DELETE", &path, &[], b"").await.status, 405);
    for odd in ["/upload/../x", "/upload/7a1-0011/x", "/upload/%2e%2e%2f%2e%2e%2fauth.key/x"] {
        assert_eq!(ask(to, "GET", odd, &[], b"").await.status, 404, "{odd}");
    }
}

#[tokio::test]
async fn what_could_act_in_a_browser_is_saved_instead() {
    let served = serve().await;
    let to = open(&served).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let (path, words) = slot(&mut alice, "x.html", 8, "content-type='text/html'").await;
    let headers = [("Authorization", words.as_str()), ("Content-Type", "text/html")];
    assert_eq!(ask(to, "PUT", &path, &headers, b"<script>").await.status, 201);
    let got = ask(to, "GET", &path, &[], b"").await;
    assert_eq!(got.header("content-disposition"), Some("attachment; filename*=UTF-8''x.html"));
}

#[tokio::test]
async fn half_a_file_is_none_and_its_slot_is_good_still() {
    let served = serve().await;
    let to = open(&served).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let (path, words) = slot(&mut alice, "big", 1000, "").await;
    let mut half = TcpStream::connect(to).await.unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {words}\r\nContent-Length: 1000\r\n\r\nhalf"
    );
    half.write_all(head.as_bytes()).await.unwrap();
    let under_way = served.folder.join("upload").join("under-way");
    let count = || std::fs::read_dir(&under_way).map(|all| all.count()).unwrap_or(0);
    wait_for(|| count() == 1).await;
    assert_eq!(ask(to, "GET", &path, &[], b"").await.status, 404);
    let headers = [("Authorization", words.as_str())];
    assert_eq!(ask(to, "PUT", &path, &headers, &[7; 1000]).await.status, 409, "it is being received");
    drop(half);
    wait_for(|| count() == 0).await;
    assert_eq!(ask(to, "PUT", &path, &headers, &[7; 1000]).await.status, 201);
    assert_eq!(ask(to, "GET", &path, &[], b"").await.body, vec![7; 1000]);
}

#[tokio::test]
async fn files_survive_the_process_and_halves_do_not() {
    let served = serve().await;
    let to = open(&served).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let (path, words) = slot(&mut alice, "a", 2, "").await;
    assert_eq!(ask(to, "PUT", &path, &[("Authorization", &words)], b"hi").await.status, 201);
    let uploads = served.folder.join("upload");
    let half = uploads.join("under-way").join("half");
    std::fs::write(&half, "h").unwrap();
    let again = serve_again(&served, Config::default()).await;
    std::fs::remove_dir_all(again.folder.join("upload")).ok();
    std::fs::rename(&uploads, again.folder.join("upload")).unwrap();
    let to = open(&again).await;
    assert_eq!(ask(to, "GET", &path, &[], b"").await.text(), "hi");
    let half = again.folder.join("upload").join("under-way").join("half");
    wait_for(|| !half.exists()).await;
}

#[tokio::test]
async fn bounds_are_told_and_kept() {
    let upload = UploadConfig { max_bytes: 100, quota: 150, ..UploadConfig::default() };
    let served = serve_with(Config { upload, ..Config::default() }, Store::in_memory()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    assert!(
        alice.ask("get", UPLOAD, &request("a", 5, "")).await.contains("remote-server-not-found"),
        "no HTTP yet"
    );
    let to = open(&served).await;
    let large = alice.ask("get", UPLOAD, &request("a", 101, "")).await;
    assert!(large.contains("not-acceptable") && large.contains("<max-file-size>100<"), "{large}");
    assert!(alice.ask("get", UPLOAD, &request("a", 0, "")).await.contains("not-acceptable"));
    assert!(alice.ask("get", UPLOAD, &request("..", 5, "")).await.contains("bad-request"));
    let (path, words) = slot(&mut alice, "a", 90, "").await;
    assert_eq!(ask(to, "PUT", &path, &[("Authorization", &words)], &[1; 90]).await.status, 201);
    let full = alice.ask("get", UPLOAD, &request("b", 61, "")).await;
    assert!(full.contains("resource-constraint") && full.contains("<retry"), "{full}");
    slot(&mut alice, "b", 60, "").await;
    let full = alice.ask("get", UPLOAD, &request("c", 1, "")).await;
    assert!(full.contains("resource-constraint"), "a slot counts before its file comes: {full}");
    let mut bob = Client::online(&served, "bob", "b").await;
    slot(&mut bob, "c", 100, "").await;
}

#[tokio::test]
async fn a_file_is_gone_when_its_time_is_over() {
    let upload = UploadConfig { expiry: Duration::from_millis(400), ..UploadConfig::default() };
    let served = serve_with(Config { upload, ..Config::default() }, Store::in_memory()).await;
    let to = open(&served).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let (path, words) = slot(&mut alice, "a", 2, "").await;
    assert_eq!(ask(to, "PUT", &path, &[("Authorization", &words)], b"hi").await.status, 201);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while ask(to, "GET", &path, &[], b"").await.status != 404 {
        assert!(std::time::Instant::now() < deadline, "it stays");
    }
    let past = "<request xmlns='urn:xmpp:http:upload:0' filename='a' size='2'><ephemeral \
                xmlns='urn:xmpp:http:upload:purpose:0' expire-before='2001-01-01T00:00:00Z'/></request>";
    let answer = alice.ask("get", UPLOAD, past).await;
    let url = attribute(&answer, "get", "url");
    let words = answer.split("name='Authorization'>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    ask(to, "PUT", &path, &[("Authorization", &words)], b"hi").await;
    assert_eq!(
        ask(to, "GET", &path, &[], b"").await.status,
        404,
        "never shown after the time that was asked for"
    );
}

/// Waits until something holds, which happens in another task.
async fn wait_for(holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "it does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
