//! What clients ask of their server beside chat — XEP-0352, XEP-0049, XEP-0048, XEP-0012, XEP-0115, XEP-0157.

use shared_auth::{Opens, Wish};

use crate::common::{Client, DOMAIN, PASSWORD, befriend, serve, serve_with};
use shared_store::Store;
use xmpp_server::Config;

#[tokio::test]
async fn an_inactive_client_gets_presence_late_and_messages_at_once() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    befriend(&mut alice, &mut bob).await;
    bob.send("<presence><show>chat</show></presence>").await;
    alice.expect(&["<show>chat"]).await;
    alice.send("<inactive xmlns='urn:xmpp:csi:0'/>").await;
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    let state = "<message type='chat' to='alice@example.org'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>";
    bob.send(&format!("<presence><show>away</show></presence><presence><show>xa</show></presence>{state}"))
        .await;
    bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    // Nothing yet; then the last of each, in order, before what cannot wait.
    bob.send("<message type='chat' to='alice@example.org'><body>hi</body></message>").await;
    let first = alice.next().await.unwrap();
    assert!(first.contains("<show>xa"), "of two presences the later: {first}");
    assert!(alice.next().await.unwrap().contains("<composing"));
    assert!(alice.next().await.unwrap().contains("<body>hi"));
    bob.send("<presence><show>dnd</show></presence>").await;
    bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    alice.send("<active xmlns='urn:xmpp:csi:0'/>").await;
    assert!(alice.next().await.unwrap().contains("<show>dnd"));
    alice.expect_nothing().await;
}

#[tokio::test]
async fn who_was_invited_has_the_inviter_as_a_contact_and_is_one() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    alice.ask("get", "alice@example.org", "<query xmlns='jabber:iq:roster'/>").await;
    let contact = Some("alice@example.org".parse().unwrap());
    let opens = Opens::Account { user: None, domain: None, name: String::new(), admin: false, contact };
    let invites = &served.auth.invites;
    let (text, _) = invites
        .create(&shared_model::Domains::new(DOMAIN, []), opens, None, std::time::Duration::from_secs(60), 0)
        .await
        .unwrap();
    let wish = Wish { user: "dave", name: "", password: PASSWORD };
    let domains = shared_model::Domains::new(DOMAIN, []);
    invites.accept(&text, &domains, wish, 1).await.unwrap();
    let mut dave = Client::online(&served, "dave", "d").await;
    let roster = dave.ask("get", "dave@example.org", "<query xmlns='jabber:iq:roster'/>").await;
    assert!(roster.contains("jid='alice@example.org'") && roster.contains("subscription='both'"), "{roster}");
    alice.expect(&["type='set'", "jid='dave@example.org'", "subscription='both'"]).await;
    dave.send("<presence><show>chat</show></presence>").await;
    alice.expect(&["from='dave@example.org/d'", "<show>chat"]).await;
}

#[tokio::test]
async fn who_was_invited_makes_the_account_in_the_client() {
    let served = serve().await;
    let opens = |user: Option<&str>| Opens::Account {
        user: user.map(str::to_owned),
        domain: None,
        name: String::new(),
        admin: false,
        contact: None,
    };
    let invites = &served.auth.invites;
    let hour = std::time::Duration::from_secs(3_600);
    let now = shared_runtime::unix_millis();
    let (text, _) =
        invites.create(&shared_model::Domains::new(DOMAIN, []), opens(None), None, hour, now).await.unwrap();
    let mut dave = Client::connect_tls(&served).await;
    let features = dave.open().await;
    assert!(
        features.contains("urn:xmpp:ibr-token:0") && features.contains("features/iq-register"),
        "{features}"
    );
    let query = |inner: &str| format!("<query xmlns='jabber:iq:register'>{inner}</query>");
    let make = |user: &str, password: &str| {
        query(&format!("<username>{user}</username><password>{password}</password>"))
    };
    let uninvited = dave.ask("set", DOMAIN, &make("dave", PASSWORD)).await;
    assert!(uninvited.contains("<not-allowed"), "{uninvited}");
    let show = |token: &str| format!("<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>");
    assert!(dave.ask("set", DOMAIN, &show("guessed")).await.contains("<item-not-found"));
    assert!(dave.ask("set", DOMAIN, &show(&text)).await.contains("type='result'"));
    assert!(dave.ask("get", DOMAIN, &query("")).await.contains("<username"));
    assert!(dave.ask("set", DOMAIN, &make("dave", "password")).await.contains("<not-acceptable"));
    assert!(dave.ask("set", DOMAIN, &make("alice", PASSWORD)).await.contains("<conflict"));
    assert!(dave.ask("set", DOMAIN, &make("dave", PASSWORD)).await.contains("type='result'"));
    assert!(dave.ask("set", DOMAIN, &make("eve", PASSWORD)).await.contains("<not-allowed"), "it is spent");
    dave.prove("dave", PASSWORD).await;
    dave.bind("d").await;
    // A name that the invitation says is the name.
    let (text, _) = invites
        .create(&shared_model::Domains::new(DOMAIN, []), opens(Some("erin")), None, hour, now)
        .await
        .unwrap();
    let mut erin = Client::connect_tls(&served).await;
    erin.open().await;
    erin.ask("set", DOMAIN, &show(&text)).await;
    assert!(erin.ask("get", DOMAIN, &query("")).await.contains("<username>erin<"));
    assert!(erin.ask("set", DOMAIN, &make("mallory", PASSWORD)).await.contains("<not-acceptable"));
    assert!(erin.ask("set", DOMAIN, &make("erin", PASSWORD)).await.contains("type='result'"));
    erin.prove("erin", PASSWORD).await;
}

#[tokio::test]
async fn what_waits_for_an_inactive_client_survives_its_connection() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let id = alice.manage().await;
    alice.send("<inactive xmlns='urn:xmpp:csi:0'/>").await;
    alice.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    bob.send("<presence to='alice@example.org'/>").await;
    bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    drop(alice);
    let (mut alice, resumed) = Client::resume(&served, "alice", &id, 1).await;
    assert!(resumed.starts_with("<resumed"), "{resumed}");
    assert!(alice.stanza().await.unwrap().contains("from='bob@example.org/b'"));
}

#[tokio::test]
async fn private_storage_keeps_elements_and_bookmarks_are_those_of_new_clients() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let private = |inner: &str| format!("<query xmlns='jabber:iq:private'>{inner}</query>");
    let empty = alice.ask("get", "", &private("<x xmlns='urn:mine'/>")).await;
    assert!(empty.contains("<x xmlns='urn:mine'/>"), "{empty}");
    assert!(
        alice.ask("set", "", &private("<x xmlns='urn:mine'><y>1</y></x>")).await.contains("type='result'")
    );
    assert!(alice.ask("get", "", &private("<x xmlns='urn:mine'/>")).await.contains("<y>1</y>"));
    assert!(
        alice.ask("get", "bob@example.org", &private("<x xmlns='urn:mine'/>")).await.contains("forbidden")
    );
    assert!(alice.ask("set", "", &private("<x xmlns='jabber:iq:roster'/>")).await.contains("not-acceptable"));
    assert!(alice.ask("set", "", &private("")).await.contains("bad-request"));
    let bookmarks = "<storage xmlns='storage:bookmarks'><conference jid='r@conference.example.org' name='R' autojoin='true'>\
                     <nick>Al</nick></conference></storage>";
    assert!(alice.ask("set", "", &private(bookmarks)).await.contains("type='result'"));
    let items =
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'/></pubsub>";
    let new = alice.ask("get", "", items).await;
    assert!(new.contains("<item id='r@conference.example.org'><conference xmlns='urn:xmpp:bookmarks:1' name='R' autojoin='true'><nick>Al"), "{new}");
    let publish = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:bookmarks:1'><item id='s@conference.example.org'>\
                   <conference xmlns='urn:xmpp:bookmarks:1' name='S'/></item></publish></pubsub>";
    assert!(alice.ask("set", "", publish).await.contains("type='result'"));
    let old = alice.ask("get", "", &private("<storage xmlns='storage:bookmarks'/>")).await;
    assert!(
        old.contains("jid='r@conference.example.org'")
            && old.contains("jid='s@conference.example.org' name='S'"),
        "{old}"
    );
    assert!(
        alice
            .ask("set", "", &private("<storage xmlns='storage:bookmarks'/>"))
            .await
            .contains("type='result'")
    );
    assert!(!alice.ask("get", "", items).await.contains("<conference"));
    // Clients of the time between keep them on a node of the old name (XEP-0048 §4), and hear of changes there.
    let old = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='storage:bookmarks'/></pubsub>";
    assert!(!alice.ask("get", "", old).await.contains("<conference"));
    let publish_old = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='storage:bookmarks'><item id='current'>\
                       <storage xmlns='storage:bookmarks'><conference jid='t@conference.example.org' name='T'/></storage></item></publish></pubsub>";
    assert!(alice.ask("set", "", publish_old).await.contains("<publish node='storage:bookmarks'"));
    assert!(alice.ask("get", "", items).await.contains("<item id='t@conference.example.org'>"));
    assert!(alice.ask("set", "", publish).await.contains("type='result'"));
    let both = alice.ask("get", "", old).await;
    assert!(
        both.contains("jid='t@conference.example.org'") && both.contains("jid='s@conference.example.org'"),
        "{both}"
    );
    let mut bob = Client::online(&served, "bob", "b").await;
    assert!(bob.ask("get", "alice@example.org", old).await.contains("type='error'"), "they are hers alone");
}

#[tokio::test]
async fn who_may_see_presence_learns_how_long_somebody_is_away() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let last = "<query xmlns='jabber:iq:last'/>";
    assert!(alice.ask("get", "bob@example.org", last).await.contains("forbidden"));
    befriend(&mut alice, &mut bob).await;
    assert!(alice.ask("get", "bob@example.org", last).await.contains("seconds='0'"));
    bob.send("<presence type='unavailable'><status>tea</status></presence>").await;
    alice.expect(&["type='unavailable'", "bob@example.org/b"]).await;
    bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    let gone = alice.ask("get", "bob@example.org", last).await;
    assert!(gone.contains("seconds='0'>tea<"), "{gone}");
    assert!(alice.ask("get", DOMAIN, last).await.contains("seconds="));
}

#[tokio::test]
async fn the_server_names_itself_in_its_features() {
    let config = Config { admin_addresses: vec!["mailto:admin@example.org".to_owned()], ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut client = Client::connect(&served).await;
    client.authenticate("alice", PASSWORD).await;
    client.bind("a").await;
    let mut other = Client::connect(&served).await;
    let features = other.open().await;
    for part in
        ["<c xmlns='http://jabber.org/protocol/caps'", "<c xmlns='urn:xmpp:caps'><hash", "<max-bytes>262144"]
    {
        assert!(features.contains(part), "{part}: {features}");
    }
    let ver = features.split("ver='").nth(1).unwrap().split('\'').next().unwrap();
    let info = format!("<query xmlns='http://jabber.org/protocol/disco#info' node='urn:cusax#{ver}'/>");
    let info = client.ask("get", DOMAIN, &info).await;
    assert!(info.contains("var='admin-addresses'") && info.contains("mailto:admin@example.org"), "{info}");
    assert!(info.contains(&format!("node='urn:cusax#{ver}'")), "{info}");
    let wrong = "<query xmlns='http://jabber.org/protocol/disco#info' node='urn:cusax#x'/>";
    assert!(client.ask("get", DOMAIN, wrong).await.contains("item-not-found"));
    // XEP-0390 §5.5: by each hash of the new kind, too.
    let hashes: Vec<&str> = features.split("<hash ").skip(1).collect();
    assert_eq!(hashes.len(), 2, "{features}");
    for hash in hashes {
        let algorithm = hash.split("algo='").nth(1).unwrap().split('\'').next().unwrap();
        let ver = hash.split(['>', '<']).nth(1).unwrap();
        let node = format!("urn:xmpp:caps#{algorithm}.{ver}");
        let info = format!("<query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/>");
        let info = client.ask("get", DOMAIN, &info).await;
        assert!(info.contains(&node) && info.contains("var='urn:xmpp:caps'"), "{info}");
        let wrong = format!("<query xmlns='http://jabber.org/protocol/disco#info' node='{node}x'/>");
        assert!(client.ask("get", DOMAIN, &wrong).await.contains("item-not-found"));
    }
}

#[tokio::test]
async fn an_avatar_is_the_same_in_card_node_and_presence() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    befriend(&mut alice, &mut bob).await;
    // The bytes 0, 0, 0 and their SHA-1.
    let (photo, hash) = ("AAAA", "29e2dcfbb16f63bb0254df7585a15bb6fb5e927d");
    let publish = |node: &str, payload: &str| {
        format!(
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:{node}'><item id='{hash}'>{payload}</item></publish></pubsub>"
        )
    };
    let data = publish("data", &format!("<data xmlns='urn:xmpp:avatar:data'>{photo}</data>"));
    assert!(alice.ask("set", "", &data).await.contains("type='result'"));
    let info = format!(
        "<metadata xmlns='urn:xmpp:avatar:metadata'><info id='{hash}' bytes='3' type='image/png'/></metadata>"
    );
    assert!(alice.ask("set", "", &publish("metadata", &info)).await.contains("type='result'"));
    bob.expect(&["<presence", "vcard-temp:x:update", hash]).await;
    let card = bob.ask("get", "alice@example.org", "<vCard xmlns='vcard-temp'/>").await;
    assert!(card.contains("<PHOTO><TYPE>image/png</TYPE><BINVAL>AAAA</BINVAL></PHOTO>"), "{card}");
    alice.send("<presence><show>away</show></presence>").await;
    assert!(bob.expect(&["<show>away"]).await.contains(hash));
    alice.send("<presence to='bob@example.org/b'/>").await;
    assert!(bob.expect(&["<presence"]).await.contains(hash), "directed presence too");
    // The other way round: a photo in a card becomes an avatar.
    let set = "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/gif</TYPE><BINVAL>AAAB</BINVAL></PHOTO></vCard>";
    assert!(alice.ask("set", "", set).await.contains("type='result'"));
    let items =
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'/></pubsub>";
    let metadata = bob.ask("get", "alice@example.org", items).await;
    assert!(metadata.contains("type='image/gif'") && !metadata.contains(hash), "{metadata}");
    // And a card without one takes it away (XEP-0153 §4.1).
    assert!(
        alice
            .ask("set", "", "<vCard xmlns='vcard-temp'><FN>Alice</FN></vCard>")
            .await
            .contains("type='result'")
    );
    let shown = bob.expect(&["<presence", "vcard-temp:x:update"]).await;
    assert!(shown.contains("<photo/>") || shown.contains("<photo></photo>"), "{shown}");
    let metadata = bob.ask("get", "alice@example.org", items).await;
    assert!(!metadata.contains("<info"), "{metadata}");
    let info =
        alice.ask("get", "alice@example.org", "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains("urn:xmpp:pep-vcard-conversion:0"), "{info}");
}
