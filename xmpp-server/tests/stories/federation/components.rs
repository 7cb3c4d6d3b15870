//! External components: XEP-0114 §3.

use aws_lc_rs::digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use xmpp_core::xml::{Frame, Framer, Limits};
use xmpp_server::{ComponentConfig, Config};

use super::world::{OURS, THEIRS, World, config, until, verified};
use crate::common::{Client, Served};

const NAME: &str = "echo.example.org";
const SECRET: &str = "between-us";

/// A component as bytes.
struct Component {
    io: TcpStream,
    framer: Framer,
}

impl Component {
    async fn open(served: &Served, name: &str) -> (Self, String) {
        let io = TcpStream::connect(served.server.components()[0]).await.unwrap();
        let mut component = Self { io, framer: Framer::new(Limits::default()) };
        component
            .send(&format!(
                "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{name}'>"
            ))
            .await;
        let Some(Frame::Open(head)) = component.frame().await else { panic!("a header comes first") };
        let id = head.attribute("id").unwrap().to_owned();
        (component, id)
    }

    async fn connect(served: &Served) -> Self {
        let (mut component, id) = Self::open(served, NAME).await;
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{id}{SECRET}").as_bytes());
        let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        component.send(&format!("<handshake>{hex}</handshake>")).await;
        assert!(component.next().await.unwrap().starts_with("<handshake"));
        component
    }

    async fn send(&mut self, text: &str) {
        let _ = self.io.write_all(text.as_bytes()).await; // the other side may be gone
    }

    async fn frame(&mut self) -> Option<Frame> {
        loop {
            match self.framer.next().expect("the server writes XML") {
                Some(frame) => return Some(frame),
                None => {
                    let mut chunk = [0_u8; 4096];
                    let read = timeout(std::time::Duration::from_secs(10), self.io.read(&mut chunk)).await;
                    match read.expect("the server says something in time") {
                        Ok(0) | Err(_) => return None,
                        Ok(length) => self.framer.push(&chunk[..length]),
                    }
                }
            }
        }
    }

    async fn next(&mut self) -> Option<String> {
        match self.frame().await? {
            Frame::Element(head, content) => {
                let attributes: String =
                    head.attributes.iter().map(|(name, value)| format!(" {name}='{value}'")).collect();
                Some(format!(
                    "<{} xmlns='{}'{attributes}>{}",
                    head.name,
                    head.ns,
                    String::from_utf8_lossy(&content)
                ))
            }
            _ => None,
        }
    }

    async fn expect(&mut self, parts: &[&str]) -> String {
        let mut passed = Vec::new();
        while let Some(text) = self.next().await {
            if parts.iter().all(|part| text.contains(part)) {
                return text;
            }
            passed.push(text);
        }
        panic!("the stream ended without {parts:?}; it said {passed:#?}");
    }
}

async fn serve(world: &World) -> Served {
    let secret_file = world.authority.path("secret");
    std::fs::write(&secret_file, format!("{SECRET}\n")).unwrap();
    let config = Config {
        components: vec!["127.0.0.1:0".parse().unwrap()],
        component: vec![ComponentConfig { domain: NAME.to_owned(), secret_file }],
        ..config(verified())
    };
    let tls = world.authority.tls(&[OURS, "conference.example.org", NAME]);
    let served = world.serve_with(OURS, tls, config).await;
    let port = served.server.s2s()[0].port();
    world.dns.srv(&format!("_xmpp-server._tcp.{NAME}"), 0, 0, port, "host.example.org");
    served
}

#[tokio::test]
async fn a_component_speaks_with_users_here_and_elsewhere() {
    let world = World::new().await;
    let ours = serve(&world).await;
    let theirs = world.serve(THEIRS, verified()).await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut bob = Client::online(&theirs, "bob", "b").await;
    alice.send("<message to='x@echo.example.org' type='chat' id='early'><body>x</body></message>").await;
    alice.expect(&["type='error'", "id='early'", "remote-server-timeout"]).await;
    let mut echo = Component::connect(&ours).await;
    alice.send("<message to='x@echo.example.org' type='chat' id='1'><body>hi</body></message>").await;
    let got = echo.expect(&["<message", "id='1'", "<body>hi</body>"]).await;
    assert!(
        got.contains("xmlns='jabber:component:accept'") && got.contains("from='alice@example.org/a'"),
        "{got}"
    );
    echo.send("<message from='x@echo.example.org/e' to='alice@example.org' type='chat' id='2'><body>hi to you</body></message>").await;
    alice.expect(&["<message", "hi to you", "from='x@echo.example.org/e'"]).await;
    // Subscriptions, and questions to its domain, are its own affair.
    alice.send("<presence type='subscribe' to='x@echo.example.org'/>").await;
    echo.expect(&["<presence", "type='subscribe'", "from='alice@example.org'"]).await;
    echo.send("<presence type='subscribed' from='x@echo.example.org' to='alice@example.org'/>").await;
    alice.expect(&["jabber:iq:roster", "subscription='to'"]).await;
    alice.send("<iq type='get' id='q' to='echo.example.org'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>").await;
    echo.expect(&["<iq", "id='q'", "disco#info"]).await;
    echo.send("<iq type='result' id='q' from='echo.example.org' to='alice@example.org/a'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>").await;
    alice.expect(&["<iq", "id='q'", "type='result'"]).await;
    let listed = alice.ask("get", OURS, "<query xmlns='http://jabber.org/protocol/disco#items'/>").await;
    assert!(listed.contains("jid='echo.example.org'"), "{listed}");
    // Another domain reaches it, and it reaches that.
    bob.send("<message to='y@echo.example.org' type='chat' id='3'><body>from afar</body></message>").await;
    echo.expect(&["<message", "from afar", "from='bob@example.net/b'"]).await;
    echo.send("<message from='y@echo.example.org' to='bob@example.net' type='chat' id='4'><body>to afar</body></message>").await;
    bob.expect(&["<message", "to afar", "from='y@echo.example.org'"]).await;
    echo.send("<message from='y@echo.example.org' to='z@nowhere.example' type='chat' id='5'/>").await;
    echo.expect(&["type='error'", "id='5'", "remote-server-not-found", "to='y@echo.example.org'"]).await;
    echo.send("<message from='y@echo.example.org' to='a b@example.org' id='6'/>").await;
    echo.expect(&["type='error'", "id='6'", "jid-malformed"]).await;
    // A nick that is newer than old tables is a nick; one that is none is one user's fault.
    echo.send("<message from='g@echo.example.org/😀' to='alice@example.org' type='chat' id='7'><body>smile</body></message>").await;
    alice.expect(&["<message", "smile", "from='g@echo.example.org/😀'"]).await;
    echo.send("<message from='g@echo.example.org/&#9;' to='alice@example.org' id='8'/>").await;
    echo.expect(&["type='error'", "id='8'", "jid-malformed"]).await;
    // It goes, and nobody is there.
    drop(echo);
    let is_gone = || super::world::metric(&ours, "xmpp_server_components") == 0;
    until("the component is gone", is_gone).await;
    alice.send("<message to='x@echo.example.org' type='chat' id='late'><body>x</body></message>").await;
    alice.expect(&["type='error'", "id='late'", "remote-server-timeout"]).await;
}

#[tokio::test]
async fn an_occupant_goes_with_its_component_and_one_that_was_shown_presence_hears_that_it_is_there() {
    let world = World::new().await;
    let ours = serve(&world).await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut echo = Component::connect(&ours).await;
    let room = "dev@conference.example.org";
    alice.enter(room, "Alice").await;
    alice.ask("set", room, crate::common::rooms::INSTANT).await;
    echo.send("<presence from='z@echo.example.org/r' to='dev@conference.example.org/Z'><x xmlns='http://jabber.org/protocol/muc'/></presence>").await;
    alice.expect(&["<presence", "/Z'"]).await;
    // RFC 6121 §4.6.6, for a bridge that looks for ghosts.
    alice.send("<presence to='x@echo.example.org'/>").await;
    echo.expect(&["<presence", "from='alice@example.org/a'", "to='x@echo.example.org'"]).await;
    echo.send("<presence type='probe' id='p' from='x@echo.example.org' to='alice@example.org/a'/>").await;
    let shown = echo.expect(&["<presence", "from='alice@example.org/a'", "to='x@echo.example.org'"]).await;
    assert!(!shown.contains("type="), "{shown}");
    echo.send("<presence type='probe' id='q' from='y@echo.example.org' to='alice@example.org/a'/>").await;
    echo.expect(&["type='unsubscribed'", "id='q'"]).await;
    drop(echo);
    let is_gone = || super::world::metric(&ours, "xmpp_server_components") == 0;
    until("the component is gone", is_gone).await;
    alice
        .send("<message type='groupchat' to='dev@conference.example.org'><body>anybody?</body></message>")
        .await;
    // XEP-0045 §18.1.2: what did not reach it takes it out.
    alice.expect(&["<presence", "type='unavailable'", "/Z'"]).await;
}

/// RFC 6121 A.3.2, note 1.
#[tokio::test]
async fn who_ends_a_subscription_hears_that_it_ended() {
    let world = World::new().await;
    let ours = serve(&world).await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    let mut echo = Component::connect(&ours).await;
    let say = |type_: &str, id: &str| {
        format!("<presence type='{type_}' id='{id}' from='x@echo.example.org' to='alice@example.org'/>")
    };
    let ended = ["type='unsubscribed'", "from='alice@example.org'", "to='x@echo.example.org'"];
    echo.send(&say("subscribe", "1")).await;
    alice.expect(&["type='subscribe'", "x@echo.example.org"]).await;
    echo.send(&say("unsubscribe", "2")).await; // none, pending in
    echo.expect(&ended).await;
    echo.send(&say("subscribe", "3")).await;
    alice.expect(&["type='subscribe'", "id='3'"]).await;
    alice.send("<presence type='subscribed' to='x@echo.example.org'/>").await;
    echo.expect(&["type='subscribed'"]).await;
    echo.send(&say("unsubscribe", "4")).await; // from
    echo.expect(&ended).await;
    // Where nothing ends, nobody is told.
    echo.send(&say("unsubscribe", "5")).await;
    let ping =
        "<iq type='get' id='p' from='x@echo.example.org' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>";
    echo.send(ping).await;
    loop {
        let next = echo.next().await.unwrap();
        assert!(!next.contains("unsubscribed"), "{next}");
        if next.contains("id='p'") {
            break;
        }
    }
}

#[tokio::test]
async fn a_component_proves_its_secret_and_keeps_to_its_domain() {
    let world = World::new().await;
    let ours = serve(&world).await;
    let (mut unknown, _) = Component::open(&ours, "other.example.org").await;
    unknown.expect(&["<error", "host-unknown"]).await;
    let (mut wrong, _) = Component::open(&ours, NAME).await;
    wrong.send("<handshake>0000000000000000000000000000000000000000</handshake>").await;
    wrong.expect(&["<error", "not-authorized"]).await;
    let (mut early, _) = Component::open(&ours, NAME).await;
    early.send("<message from='x@echo.example.org' to='alice@example.org'/>").await;
    early.expect(&["<error", "not-authorized"]).await;
    let mut liar = Component::connect(&ours).await;
    liar.send("<message from='alice@example.org' to='alice@example.org'><body>x</body></message>").await;
    liar.expect(&["<error", "invalid-from"]).await;
    let mut old = Component::connect(&ours).await;
    let mut new = Component::connect(&ours).await;
    old.expect(&["<error", "conflict"]).await;
    let mut alice = Client::online(&ours, "alice", "a").await;
    alice.send("<message to='x@echo.example.org' id='1'><body>x</body></message>").await;
    new.expect(&["<message", "id='1'"]).await;
    ours.shutdown.begin();
    new.expect(&["<error", "system-shutdown"]).await;
}
