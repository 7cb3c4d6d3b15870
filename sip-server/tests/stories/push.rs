//! Sleeping devices are woken by their push service (RFC 8599); the gateway at the other end speaks HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::common::{DOMAIN, PASSWORD, Phone, Served, serve, serve_with};
use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use shared_model::{BindingEvent, Event};
use shared_runtime::bus::Heard;
use sip_core::Message;
use sip_core::header::Name;
use sip_server::{Config, PushConfig};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A push gateway.
struct Gateway {
    url: String,
    pushes: mpsc::UnboundedReceiver<Value>,
    /// What it answers.
    status: Arc<AtomicU16>,
}

impl Gateway {
    async fn start() -> Self {
        let (sender, pushes) = mpsc::unbounded_channel();
        let status = Arc::new(AtomicU16::new(202));
        let answered = Arc::clone(&status);
        let take = move |headers: HeaderMap, Json(push): Json<Value>| async move {
            assert_eq!(headers["authorization"], "Bearer secret");
            let _ = sender.send(push);
            StatusCode::from_u16(answered.load(Ordering::Relaxed)).unwrap()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/push", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, axum::Router::new().route("/push", post(take))).into_future());
        Self { url, pushes, status }
    }

    async fn pushed(&mut self) -> Value {
        timeout(crate::common::PATIENCE, self.pushes.recv()).await.expect("nobody was woken").unwrap()
    }

    /// A server that knows it.
    async fn serve(&self, push: PushConfig) -> Served {
        let token = std::env::temp_dir()
            .join(format!("cusax-push-token-{}", self.url.replace(|c: char| !c.is_ascii_digit(), "")));
        std::fs::write(&token, "secret\n").unwrap();
        let push = PushConfig { url: Some(self.url.clone()), token_file: Some(token), ..push };
        serve_with(Config { push, ..Config::default() }).await
    }
}

const FCM: &str = ";pn-provider=fcm;pn-param=project;pn-prid=token%2F1";
const INSTANCE: &str = ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000b>\"";

async fn register(phone: &Phone, in_uri: &str, in_header: &str, expires: &str) -> Message {
    let to = format!("sip:{}@{DOMAIN}", phone.name);
    let mut request = phone.request("REGISTER", &format!("sip:{DOMAIN}"), &to);
    request.set(Name::Contact, &format!("<{}{in_uri}>{in_header}", phone.contact()));
    request.push(Name::Expires, expires);
    phone.ask(request, PASSWORD).await
}

async fn sleeper(phone: &Phone) -> Message {
    let bound = register(phone, FCM, &format!("{INSTANCE};reg-id=1"), "3600").await;
    assert_eq!(bound.status(), 200);
    bound
}

/// Closes a phone's connection, and waits until the server knows.
async fn fall_asleep(served: &Served, phone: Phone) {
    let mut facts = served.bus.subscribe();
    drop(phone);
    let suspended = async {
        while let Some(Heard::Fact(fact)) = facts.next().await {
            if let Event::Binding(BindingEvent::Suspended { contact, .. }) = fact.event {
                return assert!(!contact.contains("pn-"), "how a device is woken is told nobody: {contact}");
            }
        }
    };
    timeout(crate::common::PATIENCE, suspended).await.expect("nothing was suspended");
}

fn caps(response: &Message) -> Vec<String> {
    response.other_values("Feature-Caps").map(str::to_owned).collect()
}

fn invite(from: &Phone) -> Message {
    let bob = format!("sip:bob@{DOMAIN}");
    from.request("INVITE", &bob, &bob)
}

async fn refuse(phone: &Phone, status: u16) {
    let incoming = phone.expect("INVITE").await;
    phone.respond(&incoming, status).await;
    phone.expect("ACK").await;
}

#[tokio::test]
async fn a_device_that_sleeps_is_woken_for_a_call_and_rung_when_it_registers() {
    let mut gateway = Gateway::start().await;
    let served = gateway.serve(PushConfig::default()).await;
    let alice = Phone::new("alice", &served).await;
    let bob = Phone::over_tcp("bob", &served).await;
    let told = caps(&sleeper(&bob).await);
    assert!(told.len() == 1 && told[0].starts_with("*;+sip.pns=\"fcm\";+sip.pnspurr=\""), "{told:?}");
    // While it is awake it is rung, and not woken.
    let (busy, ()) = tokio::join!(alice.ask(invite(&alice), PASSWORD), refuse(&bob, 486));
    assert_eq!(busy.status(), 486);
    fall_asleep(&served, bob).await;
    let (busy, _) = tokio::join!(alice.ask(invite(&alice), PASSWORD), async {
        let push = gateway.pushed().await;
        assert_eq!(
            push,
            serde_json::json!({
                "provider": "fcm", "param": "project", "prid": "token/1", "why": "call", "seconds": 20
            })
        );
        let bob = Phone::over_tcp("bob", &served).await;
        sleeper(&bob).await;
        refuse(&bob, 486).await;
        bob
    });
    assert_eq!(busy.status(), 486);
    assert!(gateway.pushes.try_recv().is_err(), "woken once");
}

#[tokio::test]
async fn who_does_not_wake_or_cannot_be_woken_is_unavailable() {
    let mut gateway = Gateway::start().await;
    let push =
        PushConfig { wait: Duration::from_millis(300), interval: Duration::ZERO, ..PushConfig::default() };
    let served = gateway.serve(push.clone()).await;
    let alice = Phone::new("alice", &served).await;
    let bob = Phone::over_tcp("bob", &served).await;
    sleeper(&bob).await;
    fall_asleep(&served, bob).await;
    assert_eq!(alice.ask(invite(&alice), PASSWORD).await.status(), 480);
    gateway.pushed().await;
    drop(served);
    // The wait would be longer than the test is patient: a push that fails ends it.
    let served = gateway.serve(PushConfig { wait: Duration::from_secs(60), ..push }).await;
    let alice = Phone::new("alice", &served).await;
    let bob = Phone::over_tcp("bob", &served).await;
    sleeper(&bob).await;
    fall_asleep(&served, bob).await;
    for status in [410, 500] {
        gateway.status.store(status, Ordering::Relaxed);
        assert_eq!(alice.ask(invite(&alice), PASSWORD).await.status(), 480);
        gateway.pushed().await;
    }
}

#[tokio::test]
async fn a_caller_who_gives_up_does_not_wait() {
    let mut gateway = Gateway::start().await;
    let served = gateway.serve(PushConfig { wait: Duration::from_secs(60), ..PushConfig::default() }).await;
    let alice = Phone::new("alice", &served).await;
    let bob = Phone::over_tcp("bob", &served).await;
    sleeper(&bob).await;
    fall_asleep(&served, bob).await;
    let call = invite(&alice);
    alice.send(&call).await;
    let challenge = alice.expect("407").await;
    alice.send(&Message::ack(&call, &challenge)).await;
    let proven = alice.proving(invite(&alice), &challenge);
    alice.send(&proven).await;
    gateway.pushed().await;
    alice.send(&Message::cancel(&proven)).await;
    let mut ends = [alice.receive().await.status(), alice.receive().await.status()];
    ends.sort_unstable();
    assert_eq!(ends, [200, 487]);
}

#[tokio::test]
async fn a_register_is_told_which_services_there_are() {
    let gateway = Gateway::start().await;
    let vapid = Some("BPubKey".to_owned());
    let served = gateway.serve(PushConfig { vapid, ..PushConfig::default() }).await;
    let bob = Phone::new("bob", &served).await;
    let all = register(&bob, ";pn-provider", "", "0").await;
    assert_eq!(
        caps(&all),
        ["*;+sip.pns=\"apns\"", "*;+sip.pns=\"fcm\"", "*;+sip.pns=\"webpush\";+sip.vapid=\"BPubKey\""]
    );
    assert_eq!(caps(&register(&bob, ";pn-provider=apns", "", "3600").await), ["*;+sip.pns=\"apns\""]);
    let unknown = register(&bob, ";pn-provider=acme;pn-prid=1", "", "3600").await;
    assert_eq!((unknown.status(), unknown.reason()), (555, "Push Notification Service Not Supported"));
    let brief = register(&bob, FCM, "", "200").await;
    assert_eq!((brief.status(), brief.value(Name::MinExpires)), (423, Some("225")));
    let incomplete = register(&bob, ";pn-provider=fcm;pn-prid=1", "", "3600").await;
    assert_eq!((incomplete.status(), caps(&incomplete).len()), (200, 0));
    let told = caps(&register(&bob, FCM, ";+sip.pnsreg", "3600").await);
    assert!(told[0].contains(";+sip.pnsreg=\"180\""), "{told:?}");
    // Without a gateway the parameters mean nothing.
    let served = serve().await;
    let bob = Phone::new("bob", &served).await;
    let plain = register(&bob, ";pn-provider=acme;pn-prid=1", "", "200").await;
    assert_eq!((plain.status(), caps(&plain).len()), (200, 0));
}

#[tokio::test]
async fn a_device_that_may_sleep_on_datagrams_is_woken_before_it_is_rung() {
    let mut gateway = Gateway::start().await;
    let served = gateway.serve(PushConfig::default()).await;
    let alice = Phone::new("alice", &served).await;
    let bob = Phone::new("bob", &served).await;
    // It slept on while the server was started anew: its registration is long ago.
    sleeper(&bob).await;
    age(&served).await;
    let (busy, ()) = tokio::join!(alice.ask(invite(&alice), PASSWORD), async {
        gateway.pushed().await;
        // Nothing came before: the first that comes is the answer to this REGISTER, or the call that follows it.
        sleeper(&bob).await;
        refuse(&bob, 486).await;
    });
    assert_eq!(busy.status(), 486);
}

/// Makes bob's binding look as if it had been refreshed long ago.
async fn age(served: &Served) {
    let aor: shared_model::Aor = format!("bob@{DOMAIN}").parse().unwrap();
    let mut old = served.store.bindings.by_aor(&aor, 0).await.unwrap().remove(0);
    old.updated = 0;
    old.cseq += 1;
    let update = shared_store::BindingUpdate {
        call_id: old.call_id.clone(),
        cseq: old.cseq,
        set: vec![old],
        limit: 10,
        ..shared_store::BindingUpdate::default()
    };
    served.store.bindings.commit(&aor, &update, 0).await.unwrap();
}

#[tokio::test]
async fn others_ring_while_one_is_woken_and_the_first_to_answer_has_the_call() {
    let mut gateway = Gateway::start().await;
    let served = gateway.serve(PushConfig::default()).await;
    let (alice, desk) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let mobile = Phone::over_tcp("bob", &served).await;
    sleeper(&mobile).await;
    fall_asleep(&served, mobile).await;
    let (ok, ()) = tokio::join!(alice.ask(invite(&alice), PASSWORD), async {
        let at_desk = desk.expect("INVITE").await;
        gateway.pushed().await;
        let mobile = Phone::over_tcp("bob", &served).await;
        sleeper(&mobile).await;
        let at_mobile = mobile.expect("INVITE").await;
        // A CANCEL waits for something provisional (RFC 3261 §9.1).
        mobile.respond(&at_mobile, 100).await;
        desk.respond(&at_desk, 200).await;
        let cancel = mobile.expect("CANCEL").await;
        mobile.respond(&cancel, 200).await;
        mobile.respond(&at_mobile, 487).await;
        mobile.expect("ACK").await;
    });
    assert_eq!(ok.status(), 200);
}

#[tokio::test]
async fn a_binding_that_ends_soon_is_refreshed() {
    let mut gateway = Gateway::start().await;
    let refresh = Duration::from_millis(1_500);
    let served = gateway.serve(PushConfig { refresh, ..PushConfig::default() }).await;
    let bob = Phone::new("bob", &served).await;
    assert_eq!(register(&bob, FCM, INSTANCE, "2").await.status(), 423, "the server's own bound");
    // A short binding is made by hand; the registrar grants a minute at least.
    sleeper(&bob).await;
    let aor: shared_model::Aor = format!("bob@{DOMAIN}").parse().unwrap();
    let mut short = served.store.bindings.by_aor(&aor, 0).await.unwrap().remove(0);
    (short.expires, short.cseq) = (shared_runtime::unix_millis() + 1_600, short.cseq + 1);
    let update = shared_store::BindingUpdate {
        call_id: short.call_id.clone(),
        cseq: short.cseq,
        set: vec![short],
        limit: 10,
        ..shared_store::BindingUpdate::default()
    };
    served.store.bindings.commit(&aor, &update, 0).await.unwrap();
    assert_eq!(gateway.pushed().await["why"], "refresh");
}

#[tokio::test]
async fn a_device_that_sleeps_inside_a_dialog_is_woken_for_what_comes_in_it() {
    let mut gateway = Gateway::start().await;
    let served = gateway.serve(PushConfig::default()).await;
    let alice = Phone::new("alice", &served).await;
    let bob = Phone::over_tcp("bob", &served).await;
    let told = caps(&sleeper(&bob).await);
    let purr = told[0].split("pnspurr=\"").nth(1).unwrap().trim_end_matches('"').to_owned();
    let ((ok, call), ()) = tokio::join!(alice.ask_with(invite(&alice), PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        let mut ok = Message::response(&incoming, 200, "");
        ok.ensure_to_tag("bob");
        for route in incoming.values(Name::RecordRoute) {
            ok.push(Name::RecordRoute, route);
        }
        ok.push(Name::Contact, &format!("<{};pn-purr={purr}>", bob.contact()));
        bob.send(&ok).await;
    });
    assert_eq!(ok.status(), 200);
    fall_asleep(&served, bob).await;
    let info = alice.in_dialog("INFO", 5_000, &call, &ok);
    alice.send(&info).await;
    assert_eq!(gateway.pushed().await["why"], "request");
    let bob = Phone::over_tcp("bob", &served).await;
    sleeper(&bob).await;
    let incoming = bob.expect("INFO").await;
    assert_eq!(incoming.uri(), info.uri(), "the dialog's target stays");
    bob.respond(&incoming, 200).await;
    alice.expect("200").await;
    // It is awake now.
    let bye = alice.in_dialog("BYE", 5_001, &call, &ok);
    alice.send(&bye).await;
    let incoming = bob.expect("BYE").await;
    bob.respond(&incoming, 200).await;
    alice.expect("200").await;
    assert!(gateway.pushes.try_recv().is_err());
    // Somebody who is not in the dialog wakes nobody.
    let mut stranger = alice.in_dialog("INFO", 5_002, &call, &ok);
    stranger.set(Name::CallId, "another");
    alice.send(&stranger).await;
    assert!(alice.receive().await.status() >= 400);
    assert!(gateway.pushes.try_recv().is_err());
}
