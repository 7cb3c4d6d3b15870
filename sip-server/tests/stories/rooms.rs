//! What a room's call asks of the proxy: calls for somebody, by whose rights and on whose bill they go (RFC 3325 §5).

use std::sync::Arc;
use std::time::Duration;

use crate::common::{Behind, DOMAIN, PASSWORD, PATIENCE, Phone, Served, new_folder};
use crate::cost::{rows, served_with};
use shared_model::Aor;
use shared_runtime::Shutdown;
use shared_runtime::tls::{self, TlsPolicy};
use sip_core::Message;
use sip_core::header::Name;
use sip_core::transaction::Timers;
use sip_endpoint::{Answer, Application, Endpoint, Flow, Incoming, Listeners};
use sip_server::numbers::Class;
use sip_server::records::{CallResult, Direction};
use sip_server::{AccountCost, CostConfig, Hosted};
use tokio::sync::mpsc;
use tokio::time::timeout;

const ROOM: &str = "sip:dev@conference.example.org";
/// One for which there is no socket.
const FULL: &str = "sip:full@conference.example.org";

/// Takes whatever it is asked, and shows it.
struct Focus(mpsc::UnboundedSender<Message>);

impl Application for Focus {
    fn request(&self, incoming: Incoming) {
        let status = match incoming.request.method() {
            "REFER" => 202,
            "INVITE" if incoming.request.uri() == FULL => 503,
            _ => 200,
        };
        let mut response = Message::response(&incoming.request, status, "");
        for route in incoming.request.values(Name::RecordRoute) {
            response.push(Name::RecordRoute, route);
        }
        response.push(Name::Contact, &format!("<{ROOM}>"));
        incoming.server.respond(response);
        let _ = self.0.send(incoming.request);
    }

    fn ack(&self, _ack: Message, _flow: Flow) {}
}

/// A service with a room, and a carrier behind it.
struct House {
    served: Served,
    carrier: Phone,
    alice: Phone,
    focus: Endpoint,
    asked: mpsc::UnboundedReceiver<Message>,
    _shutdown: Shutdown,
}

impl House {
    async fn start(cost: CostConfig) -> Self {
        tls::install_provider();
        let (ours, theirs) = sip_endpoint::pair();
        let (sender, asked) = mpsc::unbounded_channel();
        let (shutdown, folder) = (Shutdown::new(), new_folder());
        std::fs::create_dir_all(&folder).unwrap();
        let tls = TlsPolicy::open(&tls::Config::default(), &folder, &["localhost".to_owned()]).unwrap();
        let listeners = Listeners { ports: vec![theirs], ..Listeners::default() };
        let metrics = sip_endpoint::Metrics::new(&prometheus::Registry::new()).unwrap();
        let (random, application) = (shared_runtime::random, Arc::new(Focus(sender)));
        let focus =
            Endpoint::start(listeners, Timers::default(), &tls, metrics, random, &shutdown, application)
                .await
                .unwrap();
        let hosted = vec![Hosted { domain: "conference.example.org".to_owned(), port: ours }];
        let (served, carrier, alice) = served_with(cost, Behind { hosted, ..Behind::default() }).await;
        Self { served, carrier, alice, focus, asked, _shutdown: shutdown }
    }

    /// The room calls for somebody, as the focus says it; the last answer.
    async fn calls(&self, dialled: &str, asker: Option<&str>) -> Message {
        let uri = number(dialled);
        let mut invite = Message::request("INVITE", &uri);
        let serial = shared_runtime::random();
        invite.push(Name::MaxForwards, "70");
        invite.push(Name::From, &format!("\"Development\" <{ROOM}>;tag=room"));
        invite.push(Name::To, &format!("<{uri}>"));
        invite.push(Name::CallId, &format!("room-{serial:x}"));
        invite.push(Name::CSeq, "1 INVITE");
        invite.push(Name::Contact, &format!("<{ROOM}>;isfocus"));
        if let Some(asker) = asker {
            invite.push(Name::PAssertedIdentity, &format!("<sip:{asker}@{DOMAIN}>"));
        }
        let mut sent = self.focus.request(invite, self.focus.port(0), "0").await;
        loop {
            match timeout(PATIENCE, sent.next()).await.unwrap() {
                Some(Answer::Response(response)) if response.status() >= 200 => return *response,
                Some(Answer::Response(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// What came to the room.
    async fn came(&mut self) -> Message {
        timeout(PATIENCE, self.asked.recv()).await.unwrap().unwrap()
    }
}

fn number(dialled: &str) -> String {
    format!("sip:{dialled}@{DOMAIN}")
}

#[tokio::test]
async fn a_room_calls_a_number_by_the_rights_and_on_the_bill_of_who_asked() {
    let account = "bob@example.org".to_owned();
    let barred = AccountCost { account, allow: Some(vec![Class::Free]), ..AccountCost::default() };
    let house = House::start(CostConfig { accounts: vec![barred], ..CostConfig::default() }).await;
    let (served, carrier) = (&house.served, &house.carrier);
    let account = async |name: &str| {
        let aor = Aor::new(name, DOMAIN).unwrap();
        served.auth.directory.by_aor(&aor).await.unwrap().unwrap().account
    };
    let (busy, incoming) = tokio::join!(house.calls("0140000000", Some("alice")), async {
        let invite = carrier.expect("INVITE").await;
        carrier.respond(&invite, 486).await;
        invite
    });
    assert_eq!(busy.status(), 486);
    carrier.expect("ACK").await;
    // Her number, and nothing else of her.
    let shown: Vec<&str> = incoming.values(Name::PAssertedIdentity).collect();
    assert_eq!(shown, ["<sip:+15550197@example.org;user=phone>"]);
    assert!(incoming.value(Name::From).unwrap().contains(ROOM));
    let cost = "alice.chat@example.org: You call +33140000000, in the telephone network: \
        it costs 0.05 EUR and 0.10 EUR a minute.";
    assert_eq!(served.told.take(), [cost]);
    // What a direct call is told.
    let direct = house.alice.request("INVITE", &number("0899000000"), &number("0899000000"));
    let direct = house.alice.ask(direct, PASSWORD).await;
    let words = direct.value(Name::Warning).unwrap();
    let premium = house.calls("0899000000", Some("alice")).await;
    assert_eq!((premium.status(), premium.value(Name::Warning)), (403, Some(words)));
    let told =
        "alice.chat@example.org: Your call was not made. Calls of class premium are not allowed for you.";
    assert_eq!(served.told.take(), [told, told]);
    assert_eq!(house.calls("0140000000", Some("bob")).await.status(), 403);
    let rows = rows(served).await;
    let seen: Vec<_> = rows.iter().map(|row| (row.caller, row.result, row.class.as_str())).collect();
    let (alice, bob) = (Some(account("alice").await), Some(account("bob").await));
    let expected = [
        (alice, CallResult::Refused, "pstn"),
        (alice, CallResult::Refused, "premium"),
        (alice, CallResult::Refused, "premium"),
        (bob, CallResult::Refused, "pstn"),
    ];
    assert_eq!(seen, expected);
    assert_eq!((rows[0].direction, rows[0].from.as_str()), (Direction::Out, ROOM));
}

#[tokio::test]
async fn a_room_calls_no_number_for_nobody_nor_for_who_claims_to_be_somebody() {
    let house = House::start(CostConfig::default()).await;
    for asker in [None, Some("nobody")] {
        let refused = house.calls("0140000000", asker).await;
        assert_eq!((refused.status(), refused.reason()), (403, "No Relaying"), "{asker:?}");
    }
    // The same header from outside.
    let mut stranger = Phone::new("stranger", &house.served).await;
    stranger.domain = "elsewhere.example";
    for method in ["INVITE", "REFER"] {
        let mut claim = stranger.request(method, &number("0140000000"), &number("0140000000"));
        claim.push(Name::PAssertedIdentity, "<sip:alice@example.org>");
        stranger.send(&claim).await;
        let refused = stranger.receive().await;
        assert_eq!((refused.status(), refused.reason()), (403, "No Relaying"), "{method}");
        if method == "INVITE" {
            stranger.send(&Message::ack(&claim, &refused)).await;
        }
    }
    let bob = Phone::new("bob", &house.served).await;
    let mut claim = bob.request("INVITE", &number("0899000000"), &number("0899000000"));
    claim.push(Name::PAssertedIdentity, "<sip:alice@example.org>");
    assert_eq!(bob.ask(claim, PASSWORD).await.status(), 403);
    let told = house.served.told.take();
    assert!(told.iter().all(|text| text.starts_with("bob.chat@")) && !told.is_empty(), "{told:?}");
    // Who is called here is not told who asked.
    let bob = Phone::registered("bob", &house.served).await;
    let (answer, incoming) = tokio::join!(house.calls("bob", Some("alice")), async {
        let invite = bob.expect("INVITE").await;
        bob.respond(&invite, 486).await;
        invite
    });
    assert_eq!((answer.status(), incoming.value(Name::PAssertedIdentity)), (486, None));
    assert_eq!(rows(&house.served).await.last().unwrap().caller, None);
    assert!(house.served.told.take().is_empty());
    tokio::select! {
        _ = house.carrier.receive() => panic!("the carrier was called"),
        () = tokio::time::sleep(Duration::from_millis(100)) => {}
    }
}

#[tokio::test]
async fn who_has_a_room_call_a_number_proves_who_they_are() {
    let mut house = House::start(CostConfig::default()).await;
    let invite = house.alice.request("INVITE", ROOM, ROOM);
    let (ok, sent) = house.alice.ask_with(invite, PASSWORD).await;
    assert_eq!(ok.status(), 200);
    house.alice.send(&house.alice.in_dialog("ACK", sent.cseq().unwrap().0, &sent, &ok)).await;
    house.came().await;
    let refer = |serial: u32, to: &str| {
        let mut refer = house.alice.in_dialog("REFER", 5_000 + serial, &sent, &ok);
        refer.push(Name::ReferTo, to);
        // Whoever is in the dialog may write this.
        refer.push(Name::PAssertedIdentity, "<sip:bob@example.org>");
        refer
    };
    let (inside, removal) = (refer(1, "<sip:bob@example.org>"), refer(2, "<tel:+33140000000>;method=BYE"));
    let outside = [
        refer(3, "<tel:+33140000000>"),
        refer(4, "<sip:0140000000@example.org>"),
        refer(5, "<sip:dan@far.example>"),
    ];
    for refer in [inside, removal] {
        house.alice.send(&refer).await;
        house.alice.expect("202").await;
        assert_eq!(house.came().await.value(Name::PAssertedIdentity), None, "a dialog proves nobody");
    }
    for refer in outside {
        house.alice.send(&refer).await;
        house.alice.expect("407").await;
        assert!(house.asked.try_recv().is_err());
        let serial = refer.cseq().unwrap().0;
        let mut again = refer;
        again.set(Name::CSeq, &format!("{} REFER", serial + 100));
        assert_eq!(house.alice.ask(again, PASSWORD).await.status(), 202);
        let asserted = house.came().await;
        let asserted: Vec<&str> = asserted.values(Name::PAssertedIdentity).collect();
        assert_eq!(asserted, ["<sip:alice@example.org>"]);
    }
}

#[tokio::test]
async fn a_room_hears_what_proved_who_calls_and_its_503_is_the_callers() {
    let mut house = House::start(CostConfig::default()).await;
    let mut invite = house.alice.request("INVITE", FULL, FULL);
    invite.push_other("P-Proved-By", "otherwise");
    let refused = house.alice.ask(invite, PASSWORD).await;
    assert_eq!((refused.status(), refused.value(Name::RetryAfter)), (503, Some("5")));
    let came = house.came().await;
    assert_eq!(came.other_values("P-Proved-By").collect::<Vec<_>>(), ["password"]);
}
