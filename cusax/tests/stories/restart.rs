//! A new start by a command of an administrator (XEP-0133 §4.30).

use std::time::{Duration, Instant};

use crate::chat::Chat;
use crate::service::{DOMAIN, Service};

#[test]
fn an_administrator_restarts_the_service_from_a_client() {
    let mut service = Service::start_with(DOMAIN, &[("CUSAX_XMPP__ADMINS_MAY_STOP", "true")]);
    for name in ["alice", "bob"] {
        service.add_account(name);
    }
    service.says(&["user", "change", &format!("alice@{DOMAIN}"), "--admin", "true"]);
    let port = service.port("xmpp.c2s");
    let (mut alice, mut bob) = (Chat::new("alice", "desk", port), Chat::new("bob", "phone", port));
    alice.log_in();
    bob.log_in();
    let node = "http://jabber.org/protocol/admin#restart";
    let mut ask = |id: &str, words: &str, form: &str| {
        alice.send(&format!(
            "<iq type='set' id='{id}' to='{DOMAIN}'><command xmlns='http://jabber.org/protocol/commands' \
             node='{node}'{words}>{form}</command></iq>"
        ));
        alice.receive(&format!("<iq type='result' id='{id}'/>"))
    };
    let asked = ask("ask", "", "");
    let session = asked.children().next().and_then(|command| command.attribute("sessionid")).unwrap();
    let done = ask(
        "do",
        &format!(" sessionid='{session}'"),
        "<x xmlns='jabber:x:data' type='submit'><field var='delay'><value>0</value></field>\
         <field var='announcement'><value>back in a moment</value></field></x>",
    );
    let note = done.children().next().and_then(|command| command.children().next()).unwrap().text();
    assert_eq!(note, "the service restarts in 0 s");
    bob.receive("<message type='headline'><body>back in a moment</body></message>");
    bob.receive(
        "<error xmlns='http://etherx.jabber.org/streams'>\
         <system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>",
    );
    let (late, process) = (Instant::now() + Duration::from_secs(30), service.process_id());
    // The same process, at another free port.
    let port = loop {
        match service.told_port("xmpp.c2s") {
            Some(now) if now != port => break now,
            _ => assert!(Instant::now() < late, "it starts anew"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let (mut alice, mut bob) = (Chat::new("alice", "desk", port), Chat::new("bob", "phone", port));
    alice.log_in();
    bob.log_in();
    alice.send(&format!("<message to='bob@{DOMAIN}' type='chat'><body>there again</body></message>"));
    bob.receive("<message type='chat'><body>there again</body></message>");
    assert_eq!(service.process_id(), process);
    service.tell_to_stop();
    service.has_stopped();
}
