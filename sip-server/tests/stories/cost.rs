//! What calls cost, said and asked before they ring, and written down when they are over (RFC 7081 §5, §7).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{Behind, DOMAIN, Line, PASSWORD, PATIENCE, Phone, Served, new_folder, start_with};
use shared_model::{Announcement, Announcements};
use shared_runtime::Shutdown;
use shared_runtime::tls::{self, TlsPolicy};
use shared_store::Store;
use sip_core::Message;
use sip_core::header::Name;
use sip_core::transaction::Timers;
use sip_endpoint::{Application, Endpoint, Flow, Incoming, Listeners};
use sip_server::numbers::{Class, Money, NumberConfig, TariffConfig};
use sip_server::records::{CallRecord, CallResult, Direction, page};
use sip_server::{AccountCost, Config, CostConfig, Hosted, TrunkConfig};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8 0\r\n";

async fn served(cost: CostConfig) -> (Served, Phone, Phone) {
    served_with(cost, Behind::default()).await
}

pub(crate) async fn served_with(cost: CostConfig, behind: Behind) -> (Served, Phone, Phone) {
    let mut carrier = Phone::alone("carrier").await;
    let (served, alice) = served_at(&carrier.address().to_string(), cost, behind).await;
    carrier.move_to(&served);
    (served, carrier, alice)
}

/// With a carrier that is there.
async fn served_at(carrier: &str, cost: CostConfig, behind: Behind) -> (Served, Phone) {
    let tariff = |prefix: &str, class, minute| TariffConfig {
        prefix: prefix.to_owned(),
        class,
        setup: Money::parse("0.05").unwrap(),
        minute: Money::parse(minute).unwrap(),
        step: None,
    };
    let numbers = NumberConfig {
        country: "33".to_owned(),
        tariffs: vec![
            tariff("+33", None, "0.10"),
            tariff("+33899", Some(Class::Premium), "1.00"),
            TariffConfig { setup: Money::ZERO, step: Some(1), ..tariff("+337", None, "0.60") },
            TariffConfig { setup: Money::ZERO, step: Some(1), ..tariff("+336", None, "3.00") },
            tariff("+33800", None, "0"),
        ],
        ..NumberConfig::default()
    };
    let trunk = TrunkConfig {
        name: "carrier".to_owned(),
        server: format!("sip:{carrier}"),
        probe: Duration::ZERO,
        ..TrunkConfig::default()
    };
    let config = Config { numbers, cost, trunks: vec![trunk], ..Config::default() };
    let served = start_with(DOMAIN, Store::in_memory(), new_folder(), config, behind).await;
    served.populate().await;
    let alice = Phone::new("alice", &served).await;
    (served, alice)
}

pub(crate) fn call(from: &Phone, dialled: &str) -> Message {
    let uri = format!("sip:{dialled}@{DOMAIN}");
    from.request("INVITE", &uri, &uri)
}

/// A call that the carrier answers, up to its ACK.
pub(crate) async fn answered(alice: &Phone, carrier: &Phone, dialled: &str) -> (Message, Message) {
    let ((ok, sent), ()) = tokio::join!(alice.ask_with(call(alice, dialled), PASSWORD), async {
        let invite = carrier.expect("INVITE").await;
        let mut ok = Message::response(&invite, 200, "");
        for route in invite.values(Name::RecordRoute) {
            ok.push(Name::RecordRoute, route);
        }
        ok.push(Name::Contact, &format!("<{}>", carrier.contact()));
        ok.set_body("application/sdp", SDP.into());
        carrier.send(&ok).await;
    });
    assert_eq!(ok.status(), 200);
    alice.send(&alice.in_dialog("ACK", sent.cseq().unwrap().0, &sent, &ok)).await;
    carrier.expect("ACK").await;
    (sent, ok)
}

pub(crate) async fn hang_up(alice: &Phone, carrier: &Phone, (sent, ok): &(Message, Message)) {
    alice.send(&alice.in_dialog("BYE", 9_000, sent, ok)).await;
    let bye = carrier.expect("BYE").await;
    carrier.respond(&bye, 200).await;
    alice.expect("200").await;
}

pub(crate) async fn rows(served: &Served) -> Vec<CallRecord> {
    page(&*served.store.archive, None, None).await.unwrap().0
}

#[tokio::test]
async fn a_charged_call_is_announced_and_written_down_with_its_cost() {
    let (served, carrier, alice) = served(CostConfig::default()).await;
    let dialog = answered(&alice, &carrier, "0140000000").await;
    let told = served.told.take();
    assert_eq!(
        told,
        [
            "alice.chat@example.org: You call +33140000000, in the telephone network: it costs 0.05 EUR and 0.10 EUR a minute."
        ]
    );
    assert!(rows(&served).await.is_empty(), "it is not over");
    hang_up(&alice, &carrier, &dialog).await;
    // The answer to the BYE says that the row is there.
    let rows = rows(&served).await;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.result, row.status, row.direction), (CallResult::Completed, 200, Direction::Out));
    assert_eq!(
        (row.class.as_str(), row.cost.as_str(), row.trunk.as_deref()),
        ("pstn", "0.15", Some("carrier"))
    );
    assert_eq!((row.from.as_str(), row.to.as_str()), ("sip:alice@example.org", "sip:0140000000@example.org"));
    assert_eq!((row.codecs.join(" ").as_str(), row.seconds), ("PCMA PCMU", 1));
    assert!(row.answered.is_some() && row.caller.is_some() && row.call_id == dialog.0.call_id());
}

#[tokio::test]
async fn a_call_lasts_until_somebody_hangs_up_and_not_until_that_is_answered() {
    let (served, carrier, alice) = served(CostConfig::default()).await;
    let (sent, ok) = answered(&alice, &carrier, "0140000000").await;
    alice.send(&alice.in_dialog("BYE", 9_000, &sent, &ok)).await;
    let bye = carrier.expect("BYE").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    carrier.respond(&bye, 200).await;
    alice.expect("200").await;
    let rows = rows(&served).await;
    assert_eq!((rows.len(), rows[0].result), (1, CallResult::Completed));
    assert!(rows[0].seconds < 3, "{} seconds", rows[0].seconds);
}

#[tokio::test]
async fn every_call_has_one_row_whatever_became_of_it() {
    let (served, _carrier, alice) = served(CostConfig::default()).await;
    let bob = Phone::registered("bob", &served).await;
    let (busy, ()) = tokio::join!(alice.ask(call(&alice, "bob"), PASSWORD), async {
        let invite = bob.expect("INVITE").await;
        bob.respond(&invite, 486).await;
        bob.expect("ACK").await;
    });
    assert_eq!(busy.status(), 486);
    let ((ringing, sent), incoming) = tokio::join!(alice.ask_with(call(&alice, "bob"), PASSWORD), async {
        let incoming = bob.expect("INVITE").await;
        bob.respond(&incoming, 180).await;
        incoming
    });
    assert_eq!(ringing.status(), 180);
    alice.send(&Message::cancel(&sent)).await;
    alice.expect("200").await;
    let cancel = bob.expect("CANCEL").await;
    bob.respond(&cancel, 200).await;
    bob.respond(&incoming, 487).await;
    alice.expect("487").await;
    assert_eq!(alice.ask(call(&alice, "0899000000"), PASSWORD).await.status(), 403);
    let rows: Vec<_> =
        rows(&served).await.iter().map(|row| (row.result, row.status, row.class.clone())).collect();
    let row = |result, status, class: &str| (result, status, class.to_owned());
    assert_eq!(
        rows,
        [
            row(CallResult::Refused, 486, "free"),
            row(CallResult::Cancelled, 487, "free"),
            row(CallResult::Refused, 403, "premium"),
        ]
    );
    assert!(served.told.take().iter().any(|text| text.contains("class premium are not allowed")));
}

#[tokio::test]
async fn what_must_be_confirmed_rings_when_the_caller_says_yes() {
    let confirm = vec![Class::Pstn];
    let quick = Duration::from_millis(100);
    let (served, carrier, alice) =
        served(CostConfig { confirm, confirm_within: quick, ..CostConfig::default() }).await;
    let ask = async |answer: Option<&'static str>| {
        served.told.answers.lock().unwrap().push(answer);
        let (first, sent) = alice.ask_with(call(&alice, "0140000000"), PASSWORD).await;
        assert_eq!(first.status(), 182, "the phone hears that it waits");
        let last = alice.receive().await;
        alice.send(&Message::ack(&sent, &last)).await;
        last
    };
    let declined = ask(Some("No!")).await;
    assert_eq!(declined.status(), 603);
    let silence = ask(None).await;
    assert_eq!(silence.status(), 403);
    assert!(silence.value(Name::Warning).unwrap().starts_with("399 example.org \""));
    served.told.take();
    served.told.answers.lock().unwrap().push(Some("Yes"));
    let ((waiting, _), ()) = tokio::join!(alice.ask_with(call(&alice, "0140000000"), PASSWORD), async {
        let invite = carrier.expect("INVITE").await;
        carrier.respond(&invite, 486).await;
    });
    assert_eq!(waiting.status(), 182);
    alice.expect("486").await;
    assert!(served.told.take()[0].starts_with("alice.chat@example.org? You call +33140000000"));
}

#[tokio::test]
async fn a_caller_who_hangs_up_while_asked_makes_no_call() {
    let (served, _carrier, alice) =
        served(CostConfig { confirm: vec![Class::Pstn], ..CostConfig::default() }).await;
    let (waiting, sent) = alice.ask_with(call(&alice, "0140000000"), PASSWORD).await;
    assert_eq!(waiting.status(), 182);
    alice.send(&Message::cancel(&sent)).await;
    alice.expect("200").await;
    alice.expect("487").await;
    assert_eq!(rows(&served).await[0].result, CallResult::Cancelled);
}

#[tokio::test]
async fn what_is_spent_is_spent_and_only_so_many_calls_are_up() {
    let money = |text| Money::parse(text);
    let cost = CostConfig { per_day: money("0.40"), calls: 2, ..CostConfig::default() };
    let (served, carrier, alice) = served(cost).await;
    let first = answered(&alice, &carrier, "0140000000").await;
    let second = answered(&alice, &carrier, "0140000001").await;
    let third = alice.ask(call(&alice, "0140000002"), PASSWORD).await;
    assert_eq!(third.status(), 403);
    assert!(third.value(Name::Warning).unwrap().contains("2 charged calls at once"));
    hang_up(&alice, &carrier, &first).await;
    hang_up(&alice, &carrier, &second).await;
    // 0.30 are spent; a third call would make it 0.45.
    let spent = alice.ask(call(&alice, "0140000002"), PASSWORD).await;
    assert!(spent.value(Name::Warning).unwrap().contains("left of your 0.40 EUR of today"), "{spent:?}");
    assert!(
        served.told.take().last().unwrap().starts_with("alice.chat@example.org: Your call was not made.")
    );
    // Help costs nothing, whatever was spent.
    let (answered, ()) = tokio::join!(alice.ask(call(&alice, "112"), PASSWORD), async {
        let invite = carrier.expect("INVITE").await;
        carrier.respond(&invite, 486).await;
    });
    assert_eq!(answered.status(), 486);
}

/// Help is called at once and for nothing, whatever else the caller may do, and however it is written (RFC 5031).
#[tokio::test]
async fn help_is_neither_refused_nor_asked_about_nor_announced() {
    let nothing = AccountCost {
        account: format!("alice@{DOMAIN}"),
        allow: Some(Vec::new()),
        other_domains: Some(false),
        ..AccountCost::default()
    };
    let cost = CostConfig {
        confirm: vec![Class::Pstn, Class::Emergency],
        per_day: Money::parse("0.01"),
        accounts: vec![nothing],
        ..CostConfig::default()
    };
    let (served, carrier, alice) = served(cost).await;
    for uri in ["sip:112@example.org", "tel:112;phone-context=example.org", "urn:service:sos"] {
        let (ringing, ()) = tokio::join!(alice.ask(alice.request("INVITE", uri, uri), PASSWORD), async {
            let invite = carrier.expect("INVITE").await;
            assert!(invite.uri().starts_with("sip:112@"), "{uri}: {}", invite.uri());
            carrier.respond(&invite, 486).await;
            carrier.expect("ACK").await;
        });
        assert_eq!(ringing.status(), 486, "{uri}");
    }
    assert!(served.told.take().is_empty());
    let rows = rows(&served).await;
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert_eq!(
            (row.class.as_str(), row.direction, row.trunk.as_deref()),
            ("emergency", Direction::Out, Some("carrier"))
        );
    }
}

#[tokio::test]
async fn who_may_call_inside_only_is_told_so() {
    let own = AccountCost {
        account: format!("alice@{DOMAIN}"),
        allow: Some(vec![Class::Free]),
        other_domains: Some(false),
        ..AccountCost::default()
    };
    let (served, _carrier, alice) = served(CostConfig { accounts: vec![own], ..CostConfig::default() }).await;
    for uri in ["sip:0140000000@example.org", "sip:friend@127.0.0.1:9"] {
        let refused = alice.ask(alice.request("INVITE", uri, uri), PASSWORD).await;
        assert_eq!(refused.status(), 403, "{uri}");
        assert!(refused.value(Name::Warning).unwrap().starts_with("399 example.org"), "{uri}");
        assert_eq!(served.told.take().len(), 1);
    }
}

#[tokio::test]
async fn a_bye_that_its_sender_had_sent_back_to_itself_ends_no_bill() {
    let (served, carrier, alice) = served(CostConfig::default()).await;
    let (sent, ok) = answered(&alice, &carrier, "0140000000").await;
    let mut bye = alice.in_dialog("BYE", 8_000, &sent, &ok);
    let routes: Vec<String> = bye.elements(Name::Route).map(str::to_owned).collect();
    bye.set(Name::Route, &routes[0]);
    alice.send(&bye).await;
    let back = alice.expect("BYE").await;
    alice.respond(&back, 200).await;
    alice.expect("200").await;
    // Nor one that speaks for the carrier.
    let mut turned = alice.request("BYE", ok.value(Name::Contact).unwrap().trim_matches(['<', '>']), "");
    turned.set(Name::From, ok.value(Name::To).unwrap());
    turned.set(Name::To, sent.value(Name::From).unwrap());
    turned.set(Name::CallId, sent.call_id());
    alice.send(&turned).await;
    let back = alice.expect("BYE").await;
    alice.respond(&back, 200).await;
    alice.expect("200").await;
    let mut of_nobody = alice.in_dialog("BYE", 8_001, &sent, &ok);
    of_nobody.set(Name::To, &format!("<sip:0140000000@{DOMAIN}>;tag=another"));
    alice.send(&of_nobody).await;
    let bye = carrier.expect("BYE").await;
    carrier.respond(&bye, 481).await;
    alice.expect("481").await;
    assert!(rows(&served).await.is_empty(), "the call is up, and costs");
    hang_up(&alice, &carrier, &(sent, ok)).await;
    assert_eq!(rows(&served).await.len(), 1);
}

#[tokio::test]
async fn a_bye_that_the_carrier_refuses_ends_no_bill() {
    let (served, carrier, alice) = served(CostConfig::default()).await;
    let (sent, ok) = answered(&alice, &carrier, "0140000000").await;
    for (number, status) in [(8_000, 403), (8_001, 500), (8_002, 420)] {
        alice.send(&alice.in_dialog("BYE", number, &sent, &ok)).await;
        let bye = carrier.expect("BYE").await;
        carrier.respond(&bye, status).await;
        alice.expect(&status.to_string()).await;
        assert!(rows(&served).await.is_empty(), "{status}: the call is up, and costs");
    }
    hang_up(&alice, &carrier, &(sent, ok)).await;
    assert_eq!(rows(&served).await.len(), 1);
}

/// A carrier that is called by connections, on a host of its own.
struct Exchange(TcpListener);

impl Exchange {
    async fn open() -> Self {
        Self(TcpListener::bind("127.0.0.2:0").await.unwrap())
    }

    fn line(&self, stream: TcpStream) -> Line {
        Line::stream("TCP", self.0.local_addr().unwrap(), stream)
    }

    /// By the connection that we open.
    async fn called(&self, served: &Served) -> Phone {
        let (stream, _) = timeout(PATIENCE, self.0.accept()).await.expect("nobody calls").unwrap();
        Phone::over("carrier", served, self.line(stream))
    }

    /// By one of its own, from another port.
    async fn calling(&self, served: &Served) -> Phone {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let stream = socket.connect(served.server.bound().tcp[0]).await.unwrap();
        Phone::over("carrier", served, self.line(stream))
    }
}

/// Who ends a call with a carrier that is called by TCP, by its connection or a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Caller,
    CallerAnew,
    Carrier,
    CarrierAnew,
}

#[tokio::test]
async fn a_call_to_a_carrier_by_tcp_ends_its_bill_by_whichever_connection() {
    for end in [End::Caller, End::CallerAnew, End::Carrier, End::CarrierAnew] {
        let exchange = Exchange::open().await;
        let at = format!("{};transport=tcp", exchange.0.local_addr().unwrap());
        let (served, alice) = served_at(&at, CostConfig::default(), Behind::default()).await;
        let ((ok, sent), (carrier, invite)) =
            tokio::join!(alice.ask_with(call(&alice, "0140000000"), PASSWORD), async {
                let carrier = exchange.called(&served).await;
                let invite = carrier.expect("INVITE").await;
                let mut ok = Message::response(&invite, 200, "");
                for route in invite.values(Name::RecordRoute) {
                    ok.push(Name::RecordRoute, route);
                }
                // As carriers do: an address of its own network.
                ok.push(Name::Contact, "<sip:gateway@192.0.2.9:5060;transport=tcp>");
                carrier.send(&ok).await;
                (carrier, invite)
            });
        assert_eq!(ok.status(), 200);
        alice.send(&alice.in_dialog("ACK", sent.cseq().unwrap().0, &sent, &ok)).await;
        carrier.expect("ACK").await;
        assert!(rows(&served).await.is_empty(), "{end:?}: it is up");
        match end {
            End::Caller => hang_up(&alice, &carrier, &(sent, ok)).await,
            End::CallerAnew => {
                drop(carrier);
                let again = async {
                    let carrier = exchange.called(&served).await;
                    let bye = carrier.expect("BYE").await;
                    carrier.respond(&bye, 200).await;
                };
                alice.send(&alice.in_dialog("BYE", 9_000, &sent, &ok)).await;
                again.await;
                alice.expect("200").await;
            }
            End::Carrier | End::CarrierAnew => {
                let other = exchange.calling(&served).await;
                let carrier = if end == End::Carrier { &carrier } else { &other };
                let contact = invite.value(Name::Contact).unwrap().trim_matches(['<', '>']).to_owned();
                let mut bye = carrier.request("BYE", &contact, "");
                bye.push(Name::Route, &invite.elements(Name::RecordRoute).collect::<Vec<_>>().join(", "));
                bye.set(Name::From, ok.value(Name::To).unwrap());
                bye.set(Name::To, invite.value(Name::From).unwrap());
                bye.set(Name::CallId, invite.call_id());
                carrier.send(&bye).await;
                let bye = alice.expect("BYE").await;
                alice.respond(&bye, 200).await;
                carrier.expect("200").await;
            }
        }
        let rows = rows(&served).await;
        assert_eq!(rows.len(), 1, "{end:?}");
        assert_eq!((rows[0].result, rows[0].cost.as_str()), (CallResult::Completed, "0.15"), "{end:?}");
    }
}

/// A focus that says what it is asked to with a 183, and ends it with these statuses, one after another, or when it is cancelled.
#[derive(Default)]
struct Announcer {
    ends: Mutex<Vec<u16>>,
    asked: Mutex<Vec<String>>,
}

impl Application for Announcer {
    fn request(&self, incoming: Incoming) {
        let Incoming { request, server, .. } = incoming;
        self.asked.lock().unwrap().push(request.uri().to_owned());
        assert!(request.value(Name::Route).is_none() && request.value(Name::ProxyAuthorization).is_none());
        if request.method() == "PRACK" {
            return server.respond(Message::response(&request, 200, ""));
        }
        let mut progress = Message::response(&request, 183, "");
        progress.ensure_to_tag("voice");
        for route in request.values(Name::RecordRoute) {
            progress.push(Name::RecordRoute, route);
        }
        progress.push(Name::Contact, "<sip:voice@voice.example.org>");
        progress.set_body("application/sdp", SDP.into());
        server.respond(progress);
        match self.ends.lock().unwrap().pop() {
            Some(status) => server.respond(Message::response(&request, status, "")),
            None => drop(tokio::spawn(async move {
                server.cancelled().await;
                server.respond(Message::response(&request, 487, ""));
            })),
        }
    }

    fn ack(&self, _ack: Message, _flow: Flow) {}
}

impl Announcements for Announcer {
    fn announcement(&self, what: Announcement) -> Option<String> {
        Some(format!("sip:{what:?}@voice.example.org"))
    }
}

/// A service that says what calls cost.
async fn announcing(cost: CostConfig) -> (Served, Phone, Phone, Arc<Announcer>, Shutdown) {
    tls::install_provider();
    let (ours, theirs) = sip_endpoint::pair();
    let (shutdown, folder, announcer) = (Shutdown::new(), new_folder(), Arc::new(Announcer::default()));
    std::fs::create_dir_all(&folder).unwrap();
    let tls = TlsPolicy::open(&tls::Config::default(), &folder, &["localhost".to_owned()]).unwrap();
    let listeners = Listeners { ports: vec![theirs], ..Listeners::default() };
    let metrics = sip_endpoint::Metrics::new(&prometheus::Registry::new()).unwrap();
    let application = Arc::clone(&announcer) as _;
    let random = shared_runtime::random;
    Endpoint::start(listeners, Timers::default(), &tls, metrics, random, &shutdown, application)
        .await
        .unwrap();
    let hosted = vec![Hosted { domain: "voice.example.org".to_owned(), port: ours }];
    let announcements = Some(Arc::clone(&announcer) as _);
    let behind = Behind { hosted, announcements, ..Behind::default() };
    let (served, carrier, alice) = served_with(CostConfig { announce: true, ..cost }, behind).await;
    (served, carrier, alice, announcer, shutdown)
}

/// A call with a description, which early media need.
fn call_with_sound(from: &Phone, dialled: &str) -> Message {
    let mut invite = call(from, dialled);
    invite.set_body("application/sdp", SDP.into());
    invite
}

#[tokio::test]
async fn what_a_call_costs_is_heard_before_it_rings_and_why_it_does_not() {
    let (_served, carrier, alice, announcer, _focus) = announcing(CostConfig::default()).await;
    announcer.ends.lock().unwrap().extend([480, 480]);
    let ((early, _), ()) =
        tokio::join!(alice.ask_with(call_with_sound(&alice, "0140000000"), PASSWORD), async {
            let invite = carrier.expect("INVITE").await;
            carrier.respond(&invite, 486).await;
        });
    assert_eq!((early.status(), early.body().as_ref()), (183, SDP.as_bytes()));
    assert_eq!(early.values(Name::Via).count(), 1, "as the caller sent it");
    alice.expect("486").await;
    let (early, _) = alice.ask_with(call_with_sound(&alice, "0899000000"), PASSWORD).await;
    assert_eq!(early.status(), 183);
    let refused = alice.expect("403").await;
    assert!(refused.value(Name::Warning).unwrap().contains("premium"));
    let asked = announcer.asked.lock().unwrap().clone();
    assert_eq!(asked, ["sip:Charged@voice.example.org", "sip:Refused@voice.example.org"]);
    // Without a description nothing can be heard.
    let (refused, _) = alice.ask_with(call(&alice, "0899000000"), PASSWORD).await;
    assert_eq!(refused.status(), 403);
}

#[tokio::test]
async fn what_is_said_before_a_call_is_acknowledged_by_way_of_us() {
    let cost = CostConfig { confirm: vec![Class::Pstn], ..CostConfig::default() };
    let (served, _carrier, alice, announcer, _focus) = announcing(cost).await;
    let (early, sent) = alice.ask_with(call_with_sound(&alice, "0140000000"), PASSWORD).await;
    assert_eq!(early.status(), 183);
    // Nobody but us knows where the name in its Contact is.
    let us = format!("@{};lr>", served.server.bound().udp[0]);
    let last = early.elements(Name::RecordRoute).last().expect("a way back");
    assert!(last.ends_with(&us), "{last}");
    let mut prack = alice.in_dialog("PRACK", sent.cseq().unwrap().0 + 1, &sent, &early);
    prack.push_other("RAck", &format!("1 {} INVITE", sent.cseq().unwrap().0));
    alice.send(&prack).await;
    alice.expect("200").await;
    let asked = announcer.asked.lock().unwrap().clone();
    assert_eq!(asked, ["sip:Confirm@voice.example.org", "sip:voice@voice.example.org"]);
}

#[tokio::test]
async fn a_question_is_answered_by_key_by_chat_or_by_hanging_up() {
    let confirm = vec![Class::Pstn];
    let within = Duration::from_secs(20);
    let cost = CostConfig { confirm, confirm_within: within, ..CostConfig::default() };
    let (served, carrier, alice, announcer, _focus) = announcing(cost).await;
    let rings = async || {
        let invite = carrier.expect("INVITE").await;
        carrier.respond(&invite, 486).await;
        carrier.expect("ACK").await;
    };
    // By key: 480 is the focus's word for it. Nobody answers the chat.
    announcer.ends.lock().unwrap().push(480);
    let ((early, _), ()) =
        tokio::join!(alice.ask_with(call_with_sound(&alice, "0140000000"), PASSWORD), rings());
    assert_eq!(early.status(), 183);
    alice.expect("486").await;
    served.told.answers.lock().unwrap().push(None);
    announcer.ends.lock().unwrap().push(603);
    alice.ask_with(call_with_sound(&alice, "0140000000"), PASSWORD).await;
    alice.expect("603").await;
    // By hanging up.
    let (_, sent) = alice.ask_with(call_with_sound(&alice, "0140000000"), PASSWORD).await;
    alice.send(&Message::cancel(&sent)).await;
    alice.expect("200").await;
    alice.expect("487").await;
    // By chat, though nothing can be said.
    served.told.answers.lock().unwrap().push(Some("yes"));
    announcer.ends.lock().unwrap().push(503);
    tokio::join!(alice.ask_with(call_with_sound(&alice, "0140000000"), PASSWORD), rings());
    alice.expect("486").await;
}
