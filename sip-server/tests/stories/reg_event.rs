//! The owner of an address is told what is bound to it (RFC 3680, RFC 6665).

use std::time::Duration;

use crate::common::{DOMAIN, PASSWORD, Phone, serve, serve_with};
use sip_core::Message;
use sip_core::header::Name;
use sip_server::Config;

fn bob() -> String {
    format!("sip:bob@{DOMAIN}")
}

fn subscribe(phone: &Phone, to: &str, expires: &str) -> Message {
    let mut request = phone.request("SUBSCRIBE", to, to);
    request.push(Name::Event, "reg");
    request.push(Name::Expires, expires);
    request.push(Name::Accept, "application/reginfo+xml");
    request
}

/// A SUBSCRIBE inside the dialog that `ok` began.
fn again(phone: &Phone, number: u32, first: &Message, ok: &Message, expires: &str) -> Message {
    let mut request = phone.in_dialog("SUBSCRIBE", number, first, ok);
    request.push(Name::Event, "reg");
    request.push(Name::Expires, expires);
    request
}

/// Sends a request; its answer and the NOTIFY that follows it, which may overtake it.
async fn subscribed(phone: &Phone, request: &Message) -> (Message, Message) {
    phone.send(request).await;
    let (one, other) = (phone.receive().await, phone.receive().await);
    let (answer, notify) = if one.is_request() { (other, one) } else { (one, other) };
    assert_eq!(notify.method(), "NOTIFY");
    phone.respond(&notify, 200).await;
    (answer, notify)
}

/// Begins a subscription: the request that was answered at last, its answer, and the first NOTIFY.
async fn begin(phone: &Phone, to: &str, expires: &str) -> (Message, Message, Message) {
    let first = subscribe(phone, to, expires);
    phone.send(&first).await;
    let challenge = phone.expect("407").await;
    let mut request = subscribe(phone, to, expires);
    request.set(Name::From, first.value(Name::From).unwrap());
    request.set(Name::CallId, first.call_id());
    let request = phone.proving(request, &challenge);
    let (ok, notify) = subscribed(phone, &request).await;
    assert_eq!(ok.status(), 200, "{}", ok.reason());
    (request, ok, notify)
}

async fn notified(phone: &Phone) -> Message {
    let notify = phone.expect("NOTIFY").await;
    phone.respond(&notify, 200).await;
    notify
}

fn text(notify: &Message) -> String {
    String::from_utf8(notify.body().to_vec()).unwrap()
}

fn has(notify: &Message, parts: &[&str]) {
    let text = text(notify);
    for part in parts {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

fn quick() -> Config {
    Config { notify_interval: Duration::ZERO, ..Config::default() }
}

#[tokio::test]
async fn the_owner_is_told_the_whole_and_then_every_change() {
    let served = serve_with(quick()).await;
    let watcher = Phone::new("bob", &served).await;
    let (request, ok, whole) = begin(&watcher, &bob(), "3600").await;
    assert_eq!(ok.value(Name::Expires), Some("3600"));
    assert_eq!(whole.value(Name::Event), Some("reg"));
    let left = whole.value(Name::SubscriptionState).unwrap().strip_prefix("active;expires=").unwrap();
    assert!((3_590..=3_600).contains(&left.parse::<u32>().unwrap()), "{left}");
    assert_eq!(whole.value(Name::ContentType), Some("application/reginfo+xml"));
    has(&whole, &["version=\"0\" state=\"full\"", "aor=\"sip:bob@example.org\"", "state=\"init\""]);

    let desk = Phone::new("bob", &served).await;
    let instance = ";q=0.5;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000b>\"";
    assert_eq!(desk.register_as(instance).await.status(), 200);
    let contact = desk.contact();
    has(
        &notified(&watcher).await,
        &[
            "version=\"1\" state=\"partial\"",
            "state=\"active\" event=\"registered\"",
            "q=\"0.500\"",
            &format!("<uri>{contact}</uri>"),
            "gr:pub-gruu uri=\"sip:bob@example.org;gr=urn:uuid:",
        ],
    );
    assert_eq!(desk.register_as(instance).await.status(), 200);
    has(&notified(&watcher).await, &["version=\"2\"", "event=\"refreshed\""]);
    // A refresh is told the whole.
    let (ok_again, whole) = subscribed(&watcher, &again(&watcher, 5_000, &request, &ok, "600")).await;
    assert_eq!((ok_again.status(), ok_again.value(Name::Expires)), (200, Some("600")));
    has(&whole, &["version=\"3\" state=\"full\"", "event=\"registered\""]);
    assert_eq!(desk.register_as(&format!("{instance};expires=0")).await.status(), 200);
    has(
        &notified(&watcher).await,
        &["version=\"4\"", "state=\"terminated\"", "state=\"terminated\" event=\"unregistered\""],
    );
    let (_, last) = subscribed(&watcher, &again(&watcher, 5_001, &request, &ok, "0")).await;
    assert_eq!(last.value(Name::SubscriptionState), Some("terminated;reason=timeout"));
    has(&last, &["version=\"5\" state=\"full\""]);
    let mut unknown = watcher.ask(again(&watcher, 5_002, &request, &ok, "600"), PASSWORD).await;
    while unknown.is_request() {
        unknown = watcher.receive().await;
    }
    assert_eq!(unknown.status(), 481);
}

#[tokio::test]
async fn nobody_else_is_told() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    for to in [bob(), format!("sip:nobody@{DOMAIN}")] {
        assert_eq!(alice.ask(subscribe(&alice, &to, "600"), PASSWORD).await.status(), 403, "{to}");
    }
    let mut stranger = subscribe(&alice, &bob(), "600");
    stranger.set(Name::From, "<sip:bob@elsewhere.example>;tag=1");
    assert_eq!(alice.ask(stranger, PASSWORD).await.status(), 403);
    let watcher = Phone::new("bob", &served).await;
    let mut brief = subscribe(&watcher, &bob(), "5");
    brief.set(Name::Event, "reg;id=1");
    assert_eq!(watcher.ask(brief, PASSWORD).await.status(), 423);
    let mut plain = subscribe(&watcher, &bob(), "600");
    plain.set(Name::Accept, "text/plain");
    assert_eq!(watcher.ask(plain, PASSWORD).await.status(), 406);
}

#[tokio::test]
async fn a_fetch_is_told_the_whole_once() {
    let served = serve_with(quick()).await;
    let watcher = Phone::registered("bob", &served).await;
    let (_, ok, whole) = begin(&watcher, &bob(), "0").await;
    assert_eq!(ok.value(Name::Expires), Some("0"));
    assert_eq!(whole.value(Name::SubscriptionState), Some("terminated;reason=timeout"));
    has(&whole, &["state=\"full\"", "event=\"registered\""]);
}

#[tokio::test]
async fn a_subscriber_who_knows_nothing_of_it_is_not_told_again() {
    let served = serve_with(quick()).await;
    let watcher = Phone::new("bob", &served).await;
    let (request, ok, _) = begin(&watcher, &bob(), "3600").await;
    let desk = Phone::registered("bob", &served).await;
    let notify = watcher.expect("NOTIFY").await;
    watcher.respond(&notify, 481).await;
    // The subscription ends when the 481 is there; until then it answers as before.
    let ended = async {
        for number in 6_000.. {
            watcher.send(&again(&watcher, number, &request, &ok, "600")).await;
            let mut answer = watcher.receive().await;
            while answer.is_request() {
                watcher.respond(&answer, 200).await;
                answer = watcher.receive().await;
            }
            if answer.status() == 481 {
                break;
            }
        }
    };
    tokio::time::timeout(crate::common::PATIENCE, ended).await.expect("it does not end");
    assert_eq!(desk.register("0").await.status(), 200);
}

#[tokio::test]
async fn changes_that_come_soon_after_another_are_told_together() {
    let interval = Duration::from_secs(2);
    let served = serve_with(Config { notify_interval: interval, ..Config::default() }).await;
    let watcher = Phone::new("bob", &served).await;
    begin(&watcher, &bob(), "3600").await;
    let before = std::time::Instant::now();
    let (_one, _two) = (Phone::registered("bob", &served).await, Phone::registered("bob", &served).await);
    let told = text(&notified(&watcher).await);
    assert_eq!(told.matches("event=\"registered\"").count(), 2, "{told}");
    assert!(before.elapsed() > interval / 2);
}

/// RFC 3680 §5.1: the name that a device gives itself.
#[tokio::test]
async fn who_watches_is_told_what_a_device_calls_itself() {
    let served = serve_with(quick()).await;
    let (watcher, desk) = (Phone::new("bob", &served).await, Phone::new("bob", &served).await);
    begin(&watcher, &bob(), "3600").await;
    let mut request = desk.request("REGISTER", &format!("sip:{DOMAIN}"), &desk.aor());
    request.set(Name::Contact, &format!("\"B\u{f6}b \\\"at\\\" <desk>\" <{}>", desk.contact()));
    assert_eq!(desk.ask(request, PASSWORD).await.status(), 200);
    let named = "<display-name>B\u{f6}b &quot;at&quot; &lt;desk&gt;</display-name>";
    has(&notified(&watcher).await, &[named]);
}

/// RFC 6665 §4.1.3, §4.4.1: who watches subscribes anew a little later.
#[tokio::test]
async fn who_watches_is_told_that_the_service_stops() {
    let served = serve_with(quick()).await;
    let [watcher, gone] = [Phone::new("bob", &served).await, Phone::new("bob", &served).await];
    for phone in [&watcher, &gone] {
        begin(phone, &bob(), "3600").await;
    }
    let (goodbye, begun) = (served.goodbye.clone(), std::time::Instant::now());
    let stopping = tokio::spawn(async move { goodbye.finish(Duration::from_secs(5)).await });
    let last = notified(&watcher).await;
    let state = |notify: &Message| notify.value(Name::SubscriptionState).unwrap().to_owned();
    assert!(state(&last).starts_with("terminated;reason=probation;retry-after="), "{last:?}");
    assert!(stopping.await.unwrap() && begun.elapsed() < Duration::from_secs(2), "the other answers nothing");
    assert!(state(&gone.expect("NOTIFY").await).starts_with("terminated;reason=probation"));
    let late = watcher.ask(subscribe(&watcher, &bob(), "3600"), PASSWORD).await;
    assert_eq!((late.status(), late.value(Name::RetryAfter)), (503, Some("5")));
}

/// RFC 3680 §5.1, RFC 6665 §4.1.3: what an administrator takes away is told as what a phone takes away.
#[tokio::test]
async fn who_watches_hears_what_a_new_password_ends_and_that_the_account_ends() {
    let served = serve_with(quick()).await;
    let (watcher, _desk) = (Phone::new("bob", &served).await, Phone::registered("bob", &served).await);
    begin(&watcher, &bob(), "3600").await;
    let aor = shared_model::Aor::new("bob", crate::common::DOMAIN).unwrap();
    let account = served.auth.directory.by_aor(&aor).await.unwrap().unwrap().account;
    served.auth.book.set_password(account, "another horse").await.unwrap();
    has(&notified(&watcher).await, &["state=\"partial\"", "state=\"terminated\" event=\"unregistered\""]);
    served.auth.book.set_enabled(account, false).await.unwrap();
    let last = notified(&watcher).await;
    assert_eq!(last.value(Name::SubscriptionState), Some("terminated;reason=rejected"));
}
