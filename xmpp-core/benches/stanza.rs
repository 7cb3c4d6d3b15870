//! What parsing and routing one message costs: framed, typed, readdressed, printed. Prints nanoseconds; fails nothing.

use std::hint::black_box;
use std::time::Instant;

use xmpp_core::Stanza;
use xmpp_core::xml::{Frame, Framer, Limits};

const HEADER: &[u8] = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>";
const MESSAGE: &[u8] = b"<message xml:lang='en' to='romeo@example.net/orchard' id='ktx72v49' type='chat'><body>Art thou not Romeo, and a Montague?</body><active xmlns='http://jabber.org/protocol/chatstates'/><origin-id xmlns='urn:xmpp:sid:0' id='ktx72v49'/></message>";
const ROUNDS: u32 = 200_000;

fn main() {
    let mut framer = Framer::new(Limits::default());
    framer.push(HEADER);
    assert!(matches!(framer.next(), Ok(Some(Frame::Open(_)))));
    let from: xmpp_core::Jid = "juliet@example.org/balcony".parse().expect("a JID");
    let (mut framed, mut routed) = (0_u128, 0_u128);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        framer.push(MESSAGE);
        let Ok(Some(Frame::Element(head, content))) = framer.next() else { return eprintln!("no stanza") };
        let parsed = Instant::now();
        let Ok(stanza) = Stanza::from_frame(&head, content) else { return eprintln!("no stanza") };
        let to = stanza.to.clone();
        let stanza = stanza.addressed(Some(&from), to.as_ref());
        black_box(stanza.to_bytes());
        framed += (parsed - start).as_nanos();
        routed += parsed.elapsed().as_nanos();
    }
    let each = |total: u128| total / u128::from(ROUNDS);
    println!(
        "xmpp stanza parse: {} ns, type and print: {} ns, {} bytes",
        each(framed),
        each(routed),
        MESSAGE.len()
    );
}
