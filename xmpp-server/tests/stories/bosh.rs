//! Streams over HTTP requests — XEP-0124, XEP-0206.

use std::net::SocketAddr;

use crate::common::http::{self, ask};
use crate::common::{Client, DOMAIN, PASSWORD, Served, attribute, serve};
use base64::Engine;

/// A client that polls.
struct Bosh {
    to: SocketAddr,
    sid: String,
    rid: u64,
}

fn body(attributes: &str, inside: &str) -> String {
    format!(
        "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' {attributes}>{inside}</body>"
    )
}

async fn post(to: SocketAddr, text: &str) -> String {
    let reply =
        ask(to, "POST", "/http-bind", &[("Content-Type", "text/xml; charset=utf-8")], text.as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    reply.text()
}

async fn open(served: &Served) -> SocketAddr {
    http::serve(served, |_| served.server.bosh_route("/http-bind")).await
}

impl Bosh {
    async fn begin(to: SocketAddr) -> (Self, String) {
        let answer = post(
            to,
            &body(&format!("to='{DOMAIN}' rid='1000' wait='60' hold='1' ver='1.6' xmpp:version='1.0'"), ""),
        )
        .await;
        (Self { to, sid: attribute(&answer, "body", "sid"), rid: 1000 }, answer)
    }

    /// The next request.
    async fn say(&mut self, attributes: &str, inside: &str) -> String {
        self.rid += 1;
        let attributes = format!("rid='{}' sid='{}' {attributes}", self.rid, self.sid);
        post(self.to, &body(&attributes, inside)).await
    }

    /// As it is up to a bound resource.
    async fn log_in(to: SocketAddr, user: &str, resource: &str) -> Self {
        let (mut bosh, greeting) = Self::begin(to).await;
        assert!(greeting.contains("<stream:features") && greeting.contains("PLAIN"), "{greeting}");
        let proof = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{PASSWORD}"));
        let auth = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>");
        assert!(bosh.say("", &auth).await.contains("<success"));
        let features = bosh.say(&format!("to='{DOMAIN}' xmpp:restart='true'"), "").await;
        assert!(features.contains("urn:ietf:params:xml:ns:xmpp-bind"), "{features}");
        let bind = format!(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        );
        assert!(bosh.say("", &bind).await.contains(&format!("<jid>{user}@{DOMAIN}/{resource}</jid>")));
        bosh
    }
}

#[tokio::test]
async fn a_browser_logs_in_and_hears_what_comes() {
    let served = serve().await;
    let to = open(&served).await;
    let (_, greeting) = Bosh::begin(to).await;
    for part in [
        "wait='60'",
        "hold='1'",
        "requests='2'",
        "inactivity='60'",
        "maxpause='120'",
        "authid='",
        "xmpp:restartlogic='true'",
    ] {
        assert!(greeting.contains(part), "{part}: {greeting}");
    }
    let mut web = Bosh::log_in(to, "alice", "web").await;
    assert!(web.say("", "<presence/>").await.contains("<presence"));
    let mut bob = Client::online(&served, "bob", "b").await;
    let wait = tokio::spawn(async move {
        let said = web.say("", "").await;
        (web, said)
    });
    bob.send(&format!("<message to='alice@{DOMAIN}' type='chat'><body>hi &amp; bye</body></message>")).await;
    let (mut web, said) = wait.await.unwrap();
    assert!(
        said.contains("<message xmlns='jabber:client'") && said.contains("<body>hi &amp; bye</body>"),
        "{said}"
    );
    let message = format!(
        "<message to='bob@{DOMAIN}' type='chat'><body>yes</body></message><iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
    );
    assert!(web.say("", &message).await.contains("id='p'"));
    bob.expect(&["<body>yes</body>"]).await;
    let end = web.say("type='terminate'", "<presence type='unavailable'/>").await;
    assert!(end.contains("type='terminate'"), "{end}");
    let after = web.say("", "").await;
    assert!(after.contains("item-not-found"), "{after}");
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_is_answered_again() {
    let served = serve().await;
    let to = open(&served).await;
    let mut web = Bosh::log_in(to, "alice", "web").await;
    let ping = format!("<iq type='get' id='p1' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>");
    let first = web.say("", &ping).await;
    web.rid -= 1;
    assert_eq!(web.say("", &ping).await, first, "and it is not done twice");
    web.rid += 1; // one too many
    let early = format!("rid='{}' sid='{}'", web.rid + 2, web.sid);
    assert!(post(to, &body(&early, "")).await.contains("item-not-found"));
    assert!(web.say("", "").await.contains("item-not-found"), "which ends the session");
}

#[tokio::test]
async fn requests_that_overtake_each_other_come_in_order() {
    let served = serve().await;
    let to = open(&served).await;
    let web = Bosh::log_in(to, "alice", "web").await;
    let request = |ahead: u64, id: &str| {
        let ping = format!("<iq type='get' id='{id}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>");
        body(&format!("rid='{}' sid='{}'", web.rid + ahead, web.sid), &ping)
    };
    let (second, first) = (request(2, "second"), request(1, "first"));
    let second = tokio::spawn(async move { post(to, &second).await });
    tokio::task::yield_now().await;
    let first = post(to, &first).await;
    let both = first + &second.await.unwrap();
    assert!(both.find("id='first'").unwrap() < both.find("id='second'").unwrap(), "{both}");
}

#[tokio::test]
async fn one_request_waits_and_no_more() {
    let served = serve().await;
    let to = open(&served).await;
    let web = Bosh::log_in(to, "alice", "web").await;
    let request = |ahead: u64| body(&format!("rid='{}' sid='{}'", web.rid + ahead, web.sid), "");
    let (first, second) = (request(1), request(2));
    let first = tokio::spawn(async move { post(to, &first).await });
    let second = tokio::spawn(async move { post(to, &second).await });
    let answer = first.await.unwrap();
    assert!(answer.ends_with("httpbind'/>"), "the oldest is answered with nothing: {answer}");
    let pause = body(&format!("rid='{}' sid='{}' pause='60'", web.rid + 3, web.sid), "");
    assert!(post(to, &pause).await.ends_with("httpbind'/>"));
    assert!(second.await.unwrap().ends_with("httpbind'/>"));
    assert_eq!(served.server.sessions(), 1, "who pauses is not gone");
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let served = serve().await;
    let to = open(&served).await;
    assert_eq!(ask(to, "POST", "/http-bind", &[], b"not xml").await.status, 400);
    assert!(post(to, &body("rid='1' sid='none'", "")).await.contains("condition='item-not-found'"));
    let foreign =
        post(to, &body("to='other.example' rid='1' wait='5' hold='1' xmpp:version='1.0'", "")).await;
    assert!(
        foreign.contains("type='terminate'") && foreign.contains("condition='host-unknown'"),
        "{foreign}"
    );
    let nobodys = post(to, &body("rid='1' wait='5' hold='1' xmpp:version='1.0'", "")).await;
    assert!(nobodys.contains("condition='improper-addressing'"), "{nobodys}");
    let mut away = Bosh::log_in(to, "alice", "away").await;
    assert!(away.say("pause='120'", "").await.ends_with("httpbind'/>"));
    let longer = away.say("pause='121'", "").await;
    assert!(longer.contains("condition='policy-violation'"), "{longer}");
    assert_eq!(ask(to, "OPTIONS", "/http-bind", &[], b"").await.status, 204);
    assert_eq!(ask(to, "GET", "/http-bind", &[], b"").await.status, 200);
    let web = Bosh::log_in(to, "alice", "web").await;
    let request = |ahead: u64| body(&format!("rid='{}' sid='{}'", web.rid + ahead, web.sid), "");
    let (first, second) = (request(1), request(2));
    let first = tokio::spawn(async move { post(to, &first).await });
    let second = tokio::spawn(async move { post(to, &second).await });
    first.await.unwrap(); // answered because the second waits
    served.shutdown.begin();
    let end = second.await.unwrap();
    assert!(end.contains("type='terminate'"), "{end}");
}
