//! Calls that nobody takes go to the callee's mailbox, if there is one (RFC 7081 §3; RFC 3842 §3 for its lamp).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{Behind, DOMAIN, PASSWORD, Phone, Served, new_folder, start_with};
use shared_model::{BareJid, CallEvent, CallOutcome, Event, Mailboxes, Pending};
use shared_runtime::Shutdown;
use shared_runtime::bus::Heard;
use shared_runtime::tls::{self, TlsPolicy};
use shared_store::Store;
use sip_core::Message;
use sip_core::header::Name;
use sip_core::transaction::Timers;
use sip_endpoint::{Application, Endpoint, Flow, Incoming, Listeners};
use sip_server::{Config, Hosted, TimerConfig};
use tokio::sync::mpsc;

/// A focus that answers every call, and in which alice and bob's callers may leave messages, not carol's.
struct Focus(mpsc::UnboundedSender<Message>);

impl Application for Focus {
    fn request(&self, incoming: Incoming) {
        let mut response = Message::response(&incoming.request, 200, "");
        for route in incoming.request.values(Name::RecordRoute) {
            response.push(Name::RecordRoute, route);
        }
        response.push(Name::Contact, "<sip:box@mail.example.org>");
        incoming.server.respond(response);
        let _ = self.0.send(incoming.request);
    }

    fn ack(&self, _ack: Message, _flow: Flow) {}
}

#[derive(Default)]
struct Boxes(AtomicU32);

impl Mailboxes for Boxes {
    fn mailbox<'a>(&'a self, owner: &'a BareJid) -> Pending<'a, Option<String>> {
        let serial = self.0.fetch_add(1, Ordering::Relaxed);
        let uri = (owner.local() != "carol.chat").then(|| format!("sip:box-{serial}@mail.example.org"));
        Box::pin(async move { uri })
    }

    fn watched(&self) -> String {
        "sip:box@mail.example.org".to_owned()
    }
}

async fn serve() -> (Served, mpsc::UnboundedReceiver<Message>, Shutdown) {
    serve_with(Config::default()).await
}

async fn serve_with(config: Config) -> (Served, mpsc::UnboundedReceiver<Message>, Shutdown) {
    tls::install_provider();
    let (ours, theirs) = sip_endpoint::pair();
    let (sender, taken) = mpsc::unbounded_channel();
    let (shutdown, folder) = (Shutdown::new(), new_folder());
    std::fs::create_dir_all(&folder).unwrap();
    let tls = TlsPolicy::open(&tls::Config::default(), &folder, &["localhost".to_owned()]).unwrap();
    let listeners = Listeners { ports: vec![theirs], ..Listeners::default() };
    let metrics = sip_endpoint::Metrics::new(&prometheus::Registry::new()).unwrap();
    let random = shared_runtime::random;
    let application = Arc::new(Focus(sender));
    Endpoint::start(listeners, Timers::default(), &tls, metrics, random, &shutdown, application)
        .await
        .unwrap();
    let hosted = Hosted { domain: "mail.example.org".to_owned(), port: ours };
    let timers = TimerConfig { no_answer: Duration::from_millis(300), ..TimerConfig::default() };
    let mailboxes = Some(Arc::new(Boxes::default()) as _);
    let behind = Behind { hosted: vec![hosted], mailboxes, ..Behind::default() };
    let config = Config { timers, ..config };
    let served = start_with(DOMAIN, Store::in_memory(), folder, config, behind).await;
    served.populate().await;
    (served, taken, shutdown)
}

fn invite(from: &Phone, callee: &str) -> Message {
    let to = format!("sip:{callee}@{DOMAIN}");
    from.request("INVITE", &to, &to)
}

#[tokio::test]
async fn who_does_not_answer_in_time_has_a_mailbox_that_does() {
    let (served, mut taken, _focus) = serve().await;
    let mut facts = served.bus.subscribe();
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let story = async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 180).await;
        let cancel = bob.expect("CANCEL").await;
        assert!(cancel.value(Name::Reason).unwrap().contains("No answer"));
        bob.respond(&cancel, 200).await;
        bob.respond(&incoming, 487).await;
    };
    let (ringing, ()) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), story);
    assert_eq!(ringing.status(), 180);
    alice.expect("200").await;
    let at_box = taken.recv().await.unwrap();
    assert!(at_box.uri().starts_with("sip:box-"), "{}", at_box.uri());
    assert!(at_box.value(Name::PAssertedIdentity).unwrap().contains("sip:alice@example.org"));
    let history: Vec<&str> = at_box.elements(Name::HistoryInfo).collect();
    let there = format!("<{}>;index=1.1;mp=1", at_box.uri());
    assert_eq!(history, ["<sip:bob@example.org?Reason=SIP%3Bcause%3D408>;index=1", &there]);
    // For the callee it is a call that was missed.
    loop {
        let Some(Heard::Fact(fact)) = facts.next().await else { panic!("no facts") };
        match fact.event {
            Event::Call(CallEvent::Answered { .. }) => panic!("a mailbox is no callee"),
            Event::Call(CallEvent::Ended { outcome, .. }) => {
                assert_eq!(outcome, CallOutcome::NoAnswer);
                break;
            }
            _ => {}
        }
    }
}

/// A phone that rang and then lost its network says nothing to a CANCEL, and keeps no caller from the mailbox.
#[tokio::test]
async fn a_phone_that_is_gone_is_not_waited_for() {
    let (served, mut taken, _focus) = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let story = async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 180).await;
    };
    let (ringing, ()) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), story);
    assert_eq!(ringing.status(), 180);
    let at_box = tokio::time::timeout(Duration::from_secs(6), taken.recv()).await;
    assert!(at_box.expect("long before 64*T1").unwrap().uri().starts_with("sip:box-"));
    alice.expect("200").await;
}

#[tokio::test]
async fn who_is_busy_or_away_has_one_too_and_who_declines_has_none() {
    let (served, mut taken, _focus) = serve().await;
    let alice = Phone::new("alice", &served).await;
    assert_eq!(alice.ask(invite(&alice, "bob"), PASSWORD).await.status(), 200, "bob is away");
    taken.recv().await.unwrap();
    assert_eq!(alice.ask(invite(&alice, "carol"), PASSWORD).await.status(), 480, "carol wants no messages");

    let alice = Phone::new("alice", &served).await;
    let bob = Phone::registered("bob", &served).await;
    for (status, answered) in [(486, 200), (603, 603)] {
        let story = async {
            let incoming = bob.expect("INVITE").await;
            bob.respond(&incoming, status).await;
            bob.expect("ACK").await;
        };
        let (answer, ()) = tokio::join!(alice.ask(invite(&alice, "bob"), PASSWORD), story);
        assert_eq!(answer.status(), answered);
    }
    assert!(taken.recv().await.unwrap().uri().starts_with("sip:box-"));
    // Whom bob blocks gets no further there than at his phones.
    let carol = Phone::new("carol", &served).await;
    assert_eq!(carol.ask(invite(&carol, "bob"), PASSWORD).await.status(), 603);
    assert!(taken.try_recv().is_err());
}

#[tokio::test]
async fn a_mailbox_hears_why_the_call_comes_there() {
    let (served, mut taken, _focus) = serve().await;
    let (carol, alice) = (Phone::new("carol", &served).await, Phone::registered("alice", &served).await);
    // One is here and does not want to be disturbed, one is away.
    for (caller, callee, why) in [(&carol, "alice", 486), (&alice, "bob", 480)] {
        assert_eq!(caller.ask(invite(caller, callee), PASSWORD).await.status(), 200);
        let at_box = taken.recv().await.unwrap();
        let history = at_box.elements(Name::HistoryInfo).next().unwrap();
        assert_eq!(history, format!("<sip:{callee}@{DOMAIN}?Reason=SIP%3Bcause%3D{why}>;index=1"));
    }
    let quiet = tokio::time::timeout(Duration::from_millis(50), alice.receive()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test]
async fn the_lamp_of_ones_own_mailbox_and_no_others() {
    let (served, mut taken, _focus) = serve().await;
    let bob = Phone::new("bob", &served).await;
    for (callee, status) in [("bob", 200), ("alice", 480)] {
        let to = format!("sip:{callee}@{DOMAIN}");
        let mut subscribe = bob.request("SUBSCRIBE", &to, &to);
        subscribe.push(Name::Event, "message-summary");
        assert_eq!(bob.ask(subscribe, PASSWORD).await.status(), status, "{callee}");
    }
    let asked = taken.recv().await.unwrap();
    assert_eq!(asked.uri(), "sip:box@mail.example.org");
    assert!(asked.value(Name::PAssertedIdentity).unwrap().contains("sip:bob@example.org"));
    assert!(taken.try_recv().is_err());
    // RFC 6665 §8.2.2: what may be subscribed to here.
    let uri = format!("sip:{DOMAIN}");
    bob.send(&bob.request("OPTIONS", &uri, &uri)).await;
    let packages = bob.expect("200").await;
    assert_eq!(packages.value(Name::AllowEvents), Some("conference, message-summary, reg"));
}

#[tokio::test]
async fn a_caller_may_want_the_person_or_the_mailbox_alone() {
    let (served, mut taken, _focus) = serve().await;
    let alice = Phone::new("alice", &served).await;
    let bob = Phone::new("bob", &served).await;
    assert_eq!(bob.register_as(";audio;actor=\"principal\"").await.status(), 200);
    let wanting = |name, rule: &str| {
        let mut call = invite(&alice, "bob");
        call.push(name, rule);
        call
    };
    let no_machine = wanting(Name::RejectContact, "*;actor=\"msg-taker\"");
    let (busy, ()) = tokio::join!(alice.ask(no_machine, PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 486).await;
        bob.expect("ACK").await;
    });
    assert_eq!(busy.status(), 486);
    let no_person = wanting(Name::AcceptContact, "*;actor=\"msg-taker\";require");
    assert_eq!(alice.ask(no_person, PASSWORD).await.status(), 200);
    assert!(taken.recv().await.unwrap().uri().starts_with("sip:box-"));
    assert!(taken.try_recv().is_err(), "one call in all");
}

#[tokio::test]
async fn who_asks_the_focus_for_a_call_says_so_in_their_own_name() {
    let (served, mut taken, _focus) = serve().await;
    let alice = Phone::new("alice", &served).await;
    let room = "sip:room@mail.example.org";
    let refer = |mut request: Message| {
        request.push(Name::ReferTo, "<sip:carol@example.org>");
        request.push(Name::ReferredBy, "<sip:bob@example.org>");
        request
    };
    assert_eq!(alice.ask(refer(alice.request("REFER", room, room)), PASSWORD).await.status(), 200);
    assert_eq!(taken.recv().await.unwrap().value(Name::ReferredBy), Some("<sip:alice@example.org>"));
    let (ok, sent) = alice.ask_with(alice.request("INVITE", room, room), PASSWORD).await;
    assert_eq!(ok.status(), 200);
    taken.recv().await.unwrap();
    alice.send(&refer(alice.in_dialog("REFER", 9_000, &sent, &ok))).await;
    alice.expect("200").await;
    assert_eq!(taken.recv().await.unwrap().value(Name::ReferredBy), Some("<sip:alice@example.org>"));
}

#[tokio::test]
async fn a_code_leads_who_is_proved_to_where_mailboxes_are() {
    let (served, mut taken, _focus) = serve().await;
    let bob = Phone::new("bob", &served).await;
    for to in ["sip:*97@example.org", "sip:%2A97@example.org;user=phone"] {
        assert_eq!(bob.ask(bob.request("INVITE", to, to), PASSWORD).await.status(), 200, "{to}");
        let asked = taken.recv().await.unwrap();
        assert_eq!(asked.uri(), "sip:box@mail.example.org");
        assert!(asked.value(Name::PAssertedIdentity).unwrap().contains("sip:bob@example.org"));
    }
    let elsewhere = "sip:*98@example.org";
    assert_eq!(bob.ask(bob.request("INVITE", elsewhere, elsewhere), PASSWORD).await.status(), 404);
    let stranger = Phone::new("stranger", &served).await;
    let to = "sip:*97@example.org";
    let mut call = stranger.request("INVITE", to, to);
    call.set(Name::From, "<sip:eve@elsewhere.example>;tag=1");
    stranger.send(&call).await;
    stranger.expect("404").await;
    assert!(taken.try_recv().is_err());
}

#[tokio::test]
async fn a_trusted_peers_word_opens_no_mailbox() {
    let trusted_networks = vec!["127.0.0.0/8".parse().unwrap()];
    let (served, mut taken, _focus) = serve_with(Config { trusted_networks, ..Config::default() }).await;
    let asserted = "<sip:bob@example.org>";
    for (method, from, to, is_believed) in [
        ("INVITE", "<sip:x@peer.example>", "sip:box@mail.example.org", false),
        ("INVITE", asserted, "sip:%42OX@MAIL.example.org;transport=udp", false),
        ("SUBSCRIBE", "<sip:x@peer.example>", "sip:box@mail.example.org", false),
        ("INVITE", asserted, "sip:room@mail.example.org", true),
    ] {
        let peer = Phone::new("peer", &served).await;
        let mut request = peer.request(method, to, to);
        request.set(Name::From, &format!("{from};tag=1"));
        request.push(Name::PAssertedIdentity, asserted);
        request.push(Name::Event, "message-summary");
        peer.send(&request).await;
        peer.expect("200").await;
        let there = taken.recv().await.unwrap();
        assert_eq!(
            there.value(Name::PAssertedIdentity),
            is_believed.then_some(asserted),
            "{method} {from} {to}"
        );
    }
}
