//! What a proxy does to one INVITE: nanoseconds to parse it, and to parse, change and print it.
//!
//! `cargo bench -p sip-core` prints two lines and fails nothing.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use sip_core::{Message, Name};

fn main() {
    let wire = Bytes::from_static(INVITE.as_bytes());
    time("parse an INVITE", || {
        black_box(Message::parse(wire.clone()).is_ok());
    });
    time("parse, forward and print an INVITE", || {
        let Ok(mut message) = Message::parse(wire.clone()) else { return };
        message.set_uri("sip:bob@192.0.2.4:5060");
        message.push_front(Name::Via, "SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bK00112233.44556677");
        message.set(Name::MaxForwards, "69");
        black_box(message.to_bytes());
    });
}

/// The fastest of many batches: what others do on the machine makes a batch slower, never faster.
fn time(what: &str, mut work: impl FnMut()) {
    let batch = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            work();
        }
        start.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
    };
    let best = (0..BATCHES).map(|_| batch(&mut work)).fold(f64::INFINITY, f64::min);
    println!("{what}: {best:.0} ns");
}

const BATCHES: u32 = 400;
const ROUNDS: u32 = 1_000;

const INVITE: &str = "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n\
    Via: SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;rport\r\n\
    Max-Forwards: 70\r\n\
    Route: <sip:ss1.atlanta.example.com;lr>\r\n\
    From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n\
    To: Bob <sip:bob@biloxi.example.com>\r\n\
    Call-ID: 3848276298220188511@atlanta.example.com\r\n\
    CSeq: 2 INVITE\r\n\
    Contact: <sip:alice@client.atlanta.example.com;transport=tcp>\r\n\
    Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, UPDATE\r\n\
    Supported: replaces, outbound, gruu\r\n\
    User-Agent: phone 1.0\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 151\r\n\r\n\
    v=0\r\no=alice 2890844526 2890844526 IN IP4 client.atlanta.example.com\r\ns=-\r\nc=IN IP4 192.0.2.101\r\n\
    t=0 0\r\nm=audio 49172 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
