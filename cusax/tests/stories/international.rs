//! A domain in other letters than ASCII, as it is configured and as clients write it: RFC 5890 §2.3.2.1, RFC 7622 §3.2,
//! RFC 3261 §25.1.

use crate::chat::Chat;
use crate::phone::Phone;
use crate::service::Service;

#[test]
fn a_domain_is_served_in_both_spellings() {
    for configured in [UNICODE, ASCII] {
        let service = Service::start_at(configured);
        service.add_account(&format!("alice@{ASCII}"));
        service.add_account(&format!("bob@{UNICODE}"));

        // SIP writes A-labels alone.
        let udp = service.port("sip.udp");
        let (mut alice, mut bob) = (Phone::at("alice", ASCII, udp), Phone::at("bob", ASCII, udp));
        alice.register();
        bob.register();
        alice.send(&[format!("INVITE sip:bob@{ASCII}")]);
        let told = "Call-Info: <xmpp:alice@m%C3%BCnchen.example>;purpose=impp".to_owned();
        bob.receive(&["INVITE".to_owned(), told]);
        bob.answer(&["486".to_owned()]);
        alice.receive(&["486".to_owned()]);

        // Chat answers in U-labels whoever asks.
        let c2s = service.port("xmpp.c2s");
        let mut writer = Chat::at("alice", (ASCII, UNICODE), "one", c2s);
        let mut reader = Chat::at("bob", (UNICODE, UNICODE), "two", c2s);
        writer.log_in();
        reader.log_in();
        writer.send(&format!("<message to='bob@{ASCII}' type='chat'><body>hi</body></message>"));
        reader.receive(&format!(
            "<message from='alice@{UNICODE}/one' to='bob@{UNICODE}'><body>hi</body></message>"
        ));
        reader.send(&format!("<presence to='lounge@conference.{ASCII}/bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>"));
        reader.receive(&format!("<presence from='lounge@conference.{UNICODE}/bob'/>"));

        // What is for machines is in ASCII.
        let zone = service.says(&["config", "zone"]);
        assert!(zone.contains(&format!("$ORIGIN {ASCII}.\n")) && zone.is_ascii(), "{zone}");
        assert!(
            zone.contains(&format!("_xmpp-client._tcp.{ASCII}. IN SRV")) || !zone.contains("_xmpp-client"),
            "{zone}"
        );
        let invite = service.says(&["--json", "invite", "create", "--domain", ASCII]);
        let invite: serde_json::Value = serde_json::from_str(&invite).unwrap();
        let link = invite["link"].as_str().unwrap();
        assert!(link.starts_with(&format!("https://{ASCII}")), "{link}");
        assert!(invite["xmpp"].as_str().unwrap().starts_with("xmpp:m%C3%BCnchen.example?"), "{invite}");
        let shown = service.says(&["user", "show", &format!("bob@{ASCII}")]);
        assert!(
            shown.contains(&format!("sip:bob@{ASCII}")) && shown.contains(&format!("xmpp:bob@{UNICODE}")),
            "{shown}"
        );
    }
}

const UNICODE: &str = "münchen.example";
const ASCII: &str = "xn--mnchen-3ya.example";
