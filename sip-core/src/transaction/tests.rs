//! A row for each arrow of RFC 3261's figures 5 to 8 that a peer can see, with a false clock.

use std::time::{Duration, Instant};

use super::*;
use crate::header::Name;

type Layer = Transactions<u8>;

fn request(method: &str) -> Message {
    let mut request = Message::request(method, "sip:b@x");
    for (name, value) in [
        (Name::Via, "SIP/2.0/UDP a;branch=z9hG4bK1"),
        (Name::From, "<sip:a@x>;tag=1"),
        (Name::To, "<sip:b@x>"),
        (Name::CallId, "c"),
        (Name::CSeq, &format!("1 {method}")),
    ] {
        request.push(name, value);
    }
    request
}

/// What the layer did, in short: `>CODE` or `>METHOD` sent, the other words told.
fn told(events: Vec<Event<u8>>) -> Vec<String> {
    let wire = |bytes: &bytes::Bytes| {
        let message = Message::parse(bytes.clone()).unwrap();
        if message.is_request() { format!(">{}", message.method()) } else { format!(">{}", message.status()) }
    };
    events
        .iter()
        .map(|event| match event {
            Event::Send(_, bytes) => wire(bytes),
            Event::Request(_, request, _) => request.method().to_owned(),
            Event::Ack(..) => "ack".to_owned(),
            Event::Cancelled(..) => "cancelled".to_owned(),
            Event::Response(_, response) => response.status().to_string(),
            Event::Failed(_, failure) => format!("{failure:?}"),
            Event::Ended(_) => "ended".to_owned(),
        })
        .collect()
}

struct Bench {
    layer: Layer,
    now: Instant,
    reliability: Reliability,
}

impl Bench {
    fn new(reliability: Reliability) -> Self {
        Self { layer: Transactions::new(Timers::default()), now: Instant::now(), reliability }
    }

    fn send(&mut self, message: Message) -> Vec<String> {
        let mut out = Vec::new();
        let key = ClientKey::of(&message).unwrap();
        self.layer.request(key, message, 0, self.reliability, self.now, &mut out);
        told(out)
    }

    fn receive(&mut self, message: Message) -> Vec<String> {
        let mut out = Vec::new();
        let key = if message.is_request() { ServerKey::of(&message) } else { None };
        self.layer.receive(message, key, 0, self.reliability, self.now, &mut out);
        told(out)
    }

    fn respond(&mut self, request: &Message, status: u16) -> Vec<String> {
        let mut out = Vec::new();
        let key = ServerKey::of(request).unwrap();
        self.layer.respond(&key, &Message::response(request, status, ""), self.now, &mut out);
        told(out)
    }

    /// Lets time pass, step by step, and gathers what happens.
    fn pass(&mut self, seconds: u64) -> Vec<String> {
        let mut out = Vec::new();
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.layer.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.layer.timeout(self.now, &mut out);
        }
        self.now = end;
        told(out)
    }
}

#[test]
fn an_invite_is_sent_seven_times_and_given_up_after_32_seconds() {
    let mut bench = Bench::new(Reliability::Unreliable);
    assert_eq!(bench.send(request("INVITE")), [">INVITE"]);
    let all = bench.pass(40);
    assert_eq!(all.iter().filter(|what| *what == ">INVITE").count(), 6);
    assert_eq!(all[6..], ["Timeout", "ended"]);
    assert!(bench.layer.is_empty());
}

#[test]
fn a_reliable_transport_needs_no_second_invite() {
    let mut bench = Bench::new(Reliability::Reliable);
    bench.send(request("INVITE"));
    assert_eq!(bench.pass(40), ["Timeout", "ended"]);
}

#[test]
fn a_provisional_response_ends_retransmissions_for_good() {
    let mut bench = Bench::new(Reliability::Unreliable);
    bench.send(request("INVITE"));
    assert_eq!(bench.receive(Message::response(&request("INVITE"), 180, "")), ["180"]);
    assert_eq!(bench.pass(100), Vec::<String>::new());
}

#[test]
fn a_refusal_is_acknowledged_each_time_and_passed_once() {
    let mut bench = Bench::new(Reliability::Unreliable);
    bench.send(request("INVITE"));
    let busy = Message::response(&request("INVITE"), 486, "");
    assert_eq!(bench.receive(busy.clone()), [">ACK", "486"]);
    assert_eq!(bench.receive(busy.clone()), [">ACK"]);
    assert_eq!(bench.pass(33), ["ended"]);
    assert_eq!(bench.receive(busy), Vec::<String>::new(), "RFC 6026 §7.3: of no transaction");
}

#[test]
fn every_2xx_is_passed_while_accepted() {
    let mut bench = Bench::new(Reliability::Unreliable);
    bench.send(request("INVITE"));
    let ok = Message::response(&request("INVITE"), 200, "");
    assert_eq!(bench.receive(ok.clone()), ["200"]);
    assert_eq!(bench.receive(ok), ["200"]);
    assert_eq!(bench.pass(33), ["ended"]);
}

#[test]
fn other_requests_slow_down_to_t2_and_time_out() {
    let mut bench = Bench::new(Reliability::Unreliable);
    assert_eq!(bench.send(request("OPTIONS")), [">OPTIONS"]);
    let all = bench.pass(40);
    assert_eq!(all.iter().filter(|what| *what == ">OPTIONS").count(), 10);
    assert_eq!(all[10..], ["Timeout", "ended"]);
}

#[test]
fn a_lost_flow_is_told_to_those_who_wait() {
    let mut bench = Bench::new(Reliability::Reliable);
    bench.send(request("OPTIONS"));
    let mut out = Vec::new();
    bench.layer.flow_lost(0, true, bench.now, &mut out);
    assert_eq!(told(out), ["Unreachable", "ended"]);
}

#[test]
fn an_invite_that_somebody_has_outlives_its_flow_where_there_is_another_way() {
    for (heard, another_way, ends) in
        [(None, true, true), (Some(100), true, true), (Some(180), true, false), (Some(180), false, true)]
    {
        let mut bench = Bench::new(Reliability::Reliable);
        bench.send(request("INVITE"));
        if let Some(status) = heard {
            bench.receive(Message::response(&request("INVITE"), status, ""));
        }
        let mut out = Vec::new();
        bench.layer.flow_lost(0, another_way, bench.now, &mut out);
        let wanted: &[&str] = if ends { &["Unreachable", "ended"] } else { &[] };
        assert_eq!(told(out), wanted, "{heard:?} {another_way}");
    }
}

#[test]
fn who_has_an_invite_and_lost_its_flow_says_so_once_a_minute_or_has_gone() {
    for (is_heard, ends) in [(false, true), (true, false)] {
        let mut bench = Bench::new(Reliability::Reliable);
        bench.send(request("INVITE"));
        let ringing = || Message::response(&request("INVITE"), 180, "");
        bench.receive(ringing());
        bench.layer.flow_lost(0, true, bench.now, &mut Vec::new());
        assert!(bench.pass(60).is_empty(), "it may say so yet");
        if is_heard {
            bench.receive(ringing());
        }
        let wanted: &[&str] = if ends { &["Timeout", "ended"] } else { &[] };
        assert_eq!(bench.pass(60), wanted);
    }
}

#[test]
fn what_was_not_delivered_ends_if_nothing_was_heard_of_it() {
    for method in ["INVITE", "OPTIONS"] {
        for (heard, ends) in [(None, true), (Some(180), false), (Some(200), false), (Some(486), false)] {
            let mut bench = Bench::new(Reliability::Unreliable);
            bench.send(request(method));
            if let Some(status) = heard {
                bench.receive(Message::response(&request(method), status, ""));
            }
            let tell = |bench: &mut Bench, branch: &str| {
                let mut out = Vec::new();
                bench.layer.undelivered(ClientKey::new(branch, method), bench.now, &mut out);
                told(out)
            };
            assert!(tell(&mut bench, "z9hG4bK2").is_empty(), "another's");
            let wanted: &[&str] = if ends { &["Unreachable", "ended"] } else { &[] };
            assert_eq!(tell(&mut bench, "z9hG4bK1"), wanted, "{method} {heard:?}");
        }
    }
}

#[test]
fn an_invite_is_answered_100_and_its_retransmissions_get_the_last_word() {
    let mut bench = Bench::new(Reliability::Unreliable);
    let invite = request("INVITE");
    assert_eq!(bench.receive(invite.clone()), [">100", "INVITE"]);
    assert_eq!(bench.receive(invite.clone()), [">100"]);
    assert_eq!(bench.respond(&invite, 180), [">180"]);
    assert_eq!(bench.receive(invite.clone()), [">180"]);
    assert_eq!(bench.respond(&invite, 486), [">486"]);
    assert_eq!(bench.receive(invite), [">486"]);
    assert_eq!(bench.pass(2), [">486", ">486"], "timer G");
    assert_eq!(bench.receive(request("ACK")), Vec::<String>::new(), "the ACK of a refusal is absorbed");
    assert_eq!(bench.pass(40), Vec::<String>::new());
    assert!(bench.layer.is_empty());
}

#[test]
fn a_2xx_is_sent_as_often_as_the_user_says_and_its_ack_goes_up() {
    let mut bench = Bench::new(Reliability::Unreliable);
    let invite = request("INVITE");
    bench.receive(invite.clone());
    assert_eq!(bench.respond(&invite, 200), [">200"]);
    assert_eq!(bench.receive(invite.clone()), Vec::<String>::new(), "RFC 6026: absorbed");
    assert_eq!(bench.respond(&invite, 200), [">200"]);
    assert_eq!(bench.receive(request("ACK")), ["ack"]);
}

#[test]
fn other_requests_are_answered_alike_for_32_seconds() {
    let mut bench = Bench::new(Reliability::Unreliable);
    let options = request("OPTIONS");
    assert_eq!(bench.receive(options.clone()), ["OPTIONS"]);
    assert_eq!(bench.receive(options.clone()), Vec::<String>::new());
    assert_eq!(bench.respond(&options, 200), [">200"]);
    assert_eq!(bench.receive(options.clone()), [">200"]);
    bench.pass(33);
    assert_eq!(bench.receive(options), ["OPTIONS"], "a new transaction");
}

#[test]
fn a_cancel_finds_its_invite_or_gets_481() {
    let mut bench = Bench::new(Reliability::Unreliable);
    assert_eq!(bench.receive(request("CANCEL")), [">481"]);
    let mut bench = Bench::new(Reliability::Unreliable);
    bench.receive(request("INVITE"));
    assert_eq!(bench.receive(request("CANCEL")), [">200", "cancelled"]);
    assert_eq!(bench.receive(request("CANCEL")), [">200"]);
}

#[test]
fn a_cancel_of_ours_waits_for_a_provisional_response() {
    let mut bench = Bench::new(Reliability::Unreliable);
    bench.send(request("INVITE"));
    let key = ClientKey::of(&request("INVITE")).unwrap();
    let mut out = Vec::new();
    bench.layer.cancel(&key, "", bench.now, &mut out);
    assert_eq!(told(out), Vec::<String>::new());
    assert_eq!(bench.receive(Message::response(&request("INVITE"), 180, "")), ["180", ">CANCEL"]);
    assert_eq!(bench.receive(Message::response(&request("INVITE"), 183, "")), ["183"], "once");
}

#[test]
fn who_does_not_even_say_that_it_was_cancelled_is_given_up() {
    let mut bench = Bench::new(Reliability::Unreliable);
    bench.send(request("INVITE"));
    bench.receive(Message::response(&request("INVITE"), 180, ""));
    assert_eq!(bench.pass(600), Vec::<String>::new(), "a phone may ring long");
    let key = ClientKey::of(&request("INVITE")).unwrap();
    let mut out = Vec::new();
    bench.layer.cancel(&key, "", bench.now, &mut out);
    assert_eq!(told(out), [">CANCEL"]);
    bench.receive(Message::response(&request("CANCEL"), 200, ""));
    let all = bench.pass(40);
    assert_eq!(all.iter().filter(|what| *what == "Timeout").count(), 1, "{all:?}");
    assert!(bench.layer.is_empty());
}

#[test]
fn what_nobody_answers_is_forgotten_when_nobody_waits_any_more() {
    let mut bench = Bench::new(Reliability::Unreliable);
    assert_eq!(bench.receive(request("OPTIONS")), ["OPTIONS"]);
    assert_eq!(bench.respond(&request("OPTIONS"), 100), [">100"]);
    assert_eq!(bench.pass(31), Vec::<String>::new());
    assert!(!bench.layer.is_empty());
    bench.pass(2);
    assert!(bench.layer.is_empty());
}

#[test]
fn the_ack_of_an_answer_without_a_transaction_is_told_to_nobody() {
    let mut bench = Bench::new(Reliability::Unreliable);
    let invite = request("INVITE");
    let ack = Message::ack(&invite, &Message::response(&invite, 407, ""));
    assert_eq!(bench.receive(ack), Vec::<String>::new());
    let mut of_2xx = request("ACK");
    of_2xx.set(Name::Via, "SIP/2.0/UDP a;branch=z9hG4bK2");
    of_2xx.set(Name::To, Message::response(&invite, 200, "").value(Name::To).unwrap());
    assert_eq!(bench.receive(of_2xx), ["ack"]);
}

/// Whatever came and was said, nothing is left ten minutes later: a stranger's CANCEL, too.
#[test]
fn every_transaction_ends() {
    for reliability in [Reliability::Unreliable, Reliability::Reliable] {
        for status in [0, 180, 200, 486] {
            for method in ["INVITE", "BYE"] {
                let mut bench = Bench::new(reliability);
                let came = request(method);
                bench.receive(came.clone());
                if status > 0 {
                    bench.respond(&came, status);
                }
                bench.receive(Message::cancel(&came));
                if status < 200 {
                    bench.respond(&came, 487);
                }
                let mut alone = request("CANCEL");
                alone.set(Name::Via, "SIP/2.0/UDP b;branch=z9hG4bKalone");
                bench.receive(alone);
                let mut ours = request(method);
                ours.set(Name::Via, "SIP/2.0/UDP us;branch=z9hG4bKours");
                bench.send(ours.clone());
                if status > 0 {
                    bench.receive(Message::response(&ours, status, ""));
                    if status < 200 {
                        bench.receive(Message::response(&ours, 408, ""));
                    }
                }
                bench.pass(600);
                assert!(bench.layer.is_empty(), "{method} {status} {reliability:?}: {:?}", bench.layer);
            }
        }
    }
}
