//! What accounts keep in the chat half, changed from outside: the same records as clients use, and clients are told at once.

use crate::common::{Client, Served, befriend, serve, serve_again};
use shared_model::{
    Archived, Archiving, BareJid, CalledBy, KeptPart, MayRing, OwnChat, OwnChatError, Picture,
};
use xmpp_server::Config;

/// A client that is in by the password of a device.
async fn device(served: &Served, user: &str, password: &str, resource: &str) -> Client {
    let mut client = Client::connect(served).await;
    client.authenticate(user, password).await;
    client.bind(resource).await;
    client
}

fn alice() -> BareJid {
    "alice@example.org".parse().unwrap()
}

#[tokio::test]
async fn a_picture_from_outside_is_in_card_node_and_presence_and_goes_from_all() {
    let served = serve().await;
    let own = served.server.own_chat();
    let mut phone = Client::online(&served, "alice", "phone").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    befriend(&mut phone, &mut bob).await;
    bob.send("<presence to='alice@example.org/phone'/>").await;
    phone.expect(&["<presence", "from='bob@example.org/b'"]).await;
    assert_eq!(own.picture(&alice()).await, Ok(None));
    let picture = Picture { media_type: "image/png".to_owned(), bytes: b"abc".to_vec() };
    own.set_picture(&alice(), Some(picture.clone())).await.unwrap();
    // SHA-1 of the three bytes.
    let hash = "a9993e364706816aba3e25717850c26c9cd0d89d";
    bob.expect(&["<presence", "from='alice@example.org/phone'", &format!("<photo>{hash}</photo>")]).await;
    phone.expect(&["<presence", hash]).await;
    let card = bob.ask("get", "alice@example.org", "<vCard xmlns='vcard-temp'/>").await;
    assert!(card.contains("<TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL>"), "{card}");
    let items = |node: &str| {
        format!(
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:{node}'/></pubsub>"
        )
    };
    let metadata = bob.ask("get", "alice@example.org", &items("metadata")).await;
    assert!(metadata.contains(&format!("id='{hash}' bytes='3' type='image/png'")), "{metadata}");
    assert!(bob.ask("get", "alice@example.org", &items("data")).await.contains("YWJj"));
    assert_eq!(own.picture(&alice()).await, Ok(Some(picture)));
    own.set_picture(&alice(), None).await.unwrap();
    bob.expect(&["<presence", "from='alice@example.org/phone'", "<photo/>"]).await;
    assert_eq!(own.picture(&alice()).await, Ok(None));
    assert!(!bob.ask("get", "alice@example.org", &items("metadata")).await.contains("<info"));
    assert!(!bob.ask("get", "alice@example.org", &items("data")).await.contains("YWJj"));
    assert!(!bob.ask("get", "alice@example.org", "<vCard xmlns='vcard-temp'/>").await.contains("PHOTO"));
}

/// All of a part: what each entry is of, and the entry.
async fn whole(own: &dyn OwnChat, part: KeptPart) -> Vec<(String, String)> {
    let (mut all, mut from) = (Vec::new(), None::<String>);
    loop {
        let page = own.kept(&alice(), part, from.as_deref()).await.unwrap();
        assert!(page.entries.len() <= 100, "a page is bounded");
        all.extend(page.entries.into_iter().map(|it| (it.name, it.text)));
        from = page.next;
        if from.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn all_the_rest_that_an_account_keeps_is_told_page_by_page() {
    let served = serve().await;
    let mut phone = Client::online(&served, "alice", "phone").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    befriend(&mut phone, &mut bob).await;
    phone.ask("set", "alice@example.org", "<vCard xmlns='vcard-temp'><NOTE>me</NOTE></vCard>").await;
    let publish = |node: &str, item: usize| {
        format!(
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'><item id='{item:03}'><m xmlns='x'/></item></publish>\
             <publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
             <value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
             <field var='pubsub#max_items'><value>200</value></field></x></publish-options></pubsub>"
        )
    };
    // More than one page of items, and a node behind.
    for item in 0..120 {
        phone.ask("set", "alice@example.org", &publish("mood", item)).await;
    }
    phone.ask("set", "alice@example.org", &publish("next", 7)).await;
    let private = "<query xmlns='jabber:iq:private'><p xmlns='urn:p'/></query>";
    phone.ask("set", "alice@example.org", private).await;
    phone
        .ask("set", "alice@example.org", "<enable xmlns='urn:xmpp:push:0' jid='push.example.net' node='n'/>")
        .await;
    let room = |name: &str, owner: &str| {
        let owners = vec![owner.parse().unwrap()];
        let (address, rooms) =
            (format!("{name}@conference.example.org").parse().unwrap(), served.server.rooms());
        let options = xmpp_server::RoomOptions { owners, ..Default::default() };
        async move { rooms.create(&address, options).await.unwrap() }
    };
    for other in 0..120 {
        room(&format!("other{other}"), "bob@example.org").await;
    }
    room("own", "alice@example.org").await;
    phone.send("</stream:stream>").await;
    while phone.next().await.is_some() {}
    for text in ["later", "still later"] {
        bob.send(&format!("<message to='alice@example.org' type='chat'><body>{text}</body></message>")).await;
    }
    bob.ask("get", "example.org", "<ping xmlns='urn:xmpp:ping'/>").await;

    let own = served.server.own_chat();
    let contacts = whole(&*own, KeptPart::Contacts).await;
    assert!(contacts.len() == 1 && contacts[0].0 == "bob@example.org", "{contacts:?}");
    assert!(contacts[0].1.contains("subscription='both'"), "{contacts:?}");
    assert!(whole(&*own, KeptPart::Card).await.iter().any(|(_, card)| card.contains("<NOTE>me</NOTE>")));
    let nodes = whole(&*own, KeptPart::Nodes).await;
    let of = |node: &str, text: &str| {
        nodes
            .iter()
            .filter(|(name, it)| name == node && it.contains(text))
            .map(|(_, it)| it.clone())
            .collect()
    };
    let (items, rules): (Vec<String>, Vec<String>) = (of("mood", "<m xmlns='x'/>"), of("mood", "max_items"));
    assert_eq!((items.len(), rules.len()), (120, 1), "{nodes:?}");
    assert!((0..120).all(|at| items[at].contains(&format!("id='{at:03}'"))), "each once, {items:?}");
    let next: Vec<String> = of("next", "id='007'");
    assert_eq!(next.len(), 1, "{nodes:?}");
    assert_eq!(whole(&*own, KeptPart::Private).await.len(), 1);
    let pushes = whole(&*own, KeptPart::Pushes).await;
    assert!(pushes.len() == 1 && pushes[0].1.contains("jid='push.example.net' node='n'"), "{pushes:?}");
    let rooms = whole(&*own, KeptPart::Rooms).await;
    assert!(rooms.len() == 1 && rooms[0].0 == "own@conference.example.org", "{rooms:?}");
    assert!(rooms[0].1.contains("affiliation='owner' jid='alice@example.org'"), "{rooms:?}");
    let waiting = whole(&*own, KeptPart::Waiting).await;
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    assert!(waiting[0].1.contains("<body>later</body>"), "the oldest first, {waiting:?}");
    let preferences = whole(&*own, KeptPart::Preferences).await;
    assert!(preferences.contains(&("callers".to_owned(), "everybody".to_owned())), "{preferences:?}");
    assert!(whole(&*own, KeptPart::Certificates).await.is_empty());
}

#[tokio::test]
async fn who_is_blocked_from_outside_is_on_the_list_that_clients_have() {
    let served = serve().await;
    let own = served.server.own_chat();
    let mut phone = Client::online(&served, "alice", "phone").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    befriend(&mut phone, &mut bob).await;
    let list = "<blocklist xmlns='urn:xmpp:blocking'/>";
    assert!(!phone.ask("get", "", list).await.contains("<item"));
    own.set_blocked(&alice(), "bob@example.org", true).await.unwrap();
    phone.expect(&["<block xmlns='urn:xmpp:blocking'><item jid='bob@example.org'/>"]).await;
    bob.expect(&["<presence", "type='unavailable'", "from='alice@example.org/phone'"]).await;
    assert_eq!(own.blocked(&alice()).await.unwrap(), ["bob@example.org"]);
    let caller: BareJid = "bob@example.org".parse().unwrap();
    assert_eq!(
        served.server.availability().may_ring(&alice(), CalledBy::Shown(&caller)).await,
        MayRing::Blocked
    );
    own.set_blocked(&alice(), "bob@example.org", false).await.unwrap();
    phone.expect(&["<unblock xmlns='urn:xmpp:blocking'><item jid='bob@example.org'/>"]).await;
    bob.expect(&["<presence", "from='alice@example.org/phone'"]).await;
    assert!(matches!(own.set_blocked(&alice(), "@", true).await, Err(OwnChatError::Refused(_))));
    assert!(own.blocked(&alice()).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_is_not_to_be_disturbed_is_so_with_every_client_and_after_a_restart() {
    let served = serve().await;
    let own = served.server.own_chat();
    let mut phone = Client::online(&served, "alice", "phone").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    befriend(&mut phone, &mut bob).await;
    own.set_undisturbed(&alice(), true).await.unwrap();
    bob.expect(&["<presence", "from='alice@example.org/phone'", "<show>dnd</show>"]).await;
    phone.expect(&["<presence", "from='alice@example.org/phone'", "<show>dnd</show>"]).await;
    assert_eq!(
        served.server.availability().may_ring(&alice(), CalledBy::Unknown).await,
        MayRing::DoNotDisturb
    );
    phone.send("<presence><show>chat</show></presence>").await;
    bob.expect(&["from='alice@example.org/phone'", "<show>dnd</show>"]).await;
    served.shutdown.begin();
    let served = serve_again(&served, Config::default()).await;
    let own = served.server.own_chat();
    assert_eq!(
        served.server.availability().may_ring(&alice(), CalledBy::Unknown).await,
        MayRing::DoNotDisturb
    );
    assert!(own.is_undisturbed(&alice()).await.unwrap());
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut phone = Client::online(&served, "alice", "phone").await;
    bob.expect(&["from='alice@example.org/phone'", "<show>dnd</show>"]).await;
    own.set_undisturbed(&alice(), false).await.unwrap();
    let shown = bob.expect(&["<presence", "from='alice@example.org/phone'"]).await;
    assert!(!shown.contains("<show>"), "{shown}");
    phone.expect(&["<presence", "from='alice@example.org/phone'"]).await;
    assert_eq!(served.server.availability().may_ring(&alice(), CalledBy::Unknown).await, MayRing::Yes);
}

#[tokio::test]
async fn preferences_are_one_record_and_a_session_ends_from_outside() {
    let served = serve().await;
    let own = served.server.own_chat();
    let mut phone = Client::online(&served, "alice", "phone").await;
    let mut desk = Client::online(&served, "alice", "desk").await;
    let wish = Archiving {
        otherwise: Archived::Contacts,
        always: vec!["bob@example.org".to_owned()],
        never: vec!["carol@example.org".to_owned(), "Carol@example.org".to_owned()],
        version: own.archiving(&alice()).await.unwrap().version,
    };
    own.set_archiving(&alice(), wish.clone()).await.unwrap();
    assert_eq!(own.set_archiving(&alice(), wish).await, Err(OwnChatError::Changed), "it was read before");
    let prefs = phone.ask("get", "", "<prefs xmlns='urn:xmpp:mam:2'/>").await;
    let parts =
        ["default='roster'", "<always><jid>bob@example.org", "<never><jid>carol@example.org</jid></never>"];
    assert!(parts.iter().all(|part| prefs.contains(part)), "{prefs}");
    let set = "<prefs xmlns='urn:xmpp:mam:2' default='never'><always/><never/></prefs>";
    phone.ask("set", "", set).await;
    assert_eq!(own.archiving(&alice()).await.unwrap().otherwise, Archived::Never);
    assert_eq!(own.end_session(&alice(), "nobody").await, Err(OwnChatError::Nothing));
    own.end_session(&alice(), "desk").await.unwrap();
    desk.expect(&["policy-violation", "its owner ended the session"]).await;
    phone.expect(&["type='unavailable'", "from='alice@example.org/desk'"]).await;
}

#[tokio::test]
async fn a_mailbox_is_opened_and_closed_from_outside_where_messages_can_be_kept() {
    let served = serve().await;
    let own = served.server.own_chat();
    assert_eq!(own.mailbox(&alice()).await, Ok(None), "there is nowhere to keep them");
    assert_eq!(own.set_mailbox(&alice(), true).await, Err(OwnChatError::Unavailable));
    let _routes = served.server.open_uploads("https://localhost");
    assert!(!own.mailbox(&alice()).await.unwrap().unwrap().is_wanted);
    own.set_mailbox(&alice(), true).await.unwrap();
    assert!(own.mailbox(&alice()).await.unwrap().unwrap().is_wanted);
    assert!(served.server.voice_messages().wants(&alice()).await);
    own.set_mailbox(&alice(), false).await.unwrap();
    assert!(!served.server.voice_messages().wants(&alice()).await);
}

#[tokio::test]
async fn clients_are_seen_and_lose_their_access_from_outside() {
    let served = serve().await;
    let own = served.server.own_chat();
    let card = served.auth.directory.by_jid(&alice()).await.unwrap().unwrap();
    let word = served.auth.book.add_app_password(card.account, "PHONE", 0).await.unwrap();
    let desk = Client::online(&served, "alice", "desk").await;
    let mut phone = device(&served, "alice+PHONE", &word, "phone").await;
    let clients = own.clients(&alice()).await.unwrap();
    let find = |name: &str| {
        clients.iter().find(|client| client.name.contains(name) && client.is_connected).cloned().unwrap()
    };
    assert!(!find("desk").is_revocable && find("phone").is_revocable, "{clients:?}");
    let refused = own.revoke_client(&alice(), &find("desk").id).await;
    assert!(matches!(refused, Err(OwnChatError::Refused(_))), "{refused:?}");
    assert_eq!(own.revoke_client(&alice(), "nobody").await, Err(OwnChatError::Nothing));
    own.revoke_client(&alice(), &find("phone").id).await.unwrap();
    phone.expect(&["not-authorized", "revoked"]).await;
    let word = served.auth.book.add_app_password(card.account, "TABLET", 0).await.unwrap();
    let mut tablet = device(&served, "alice+TABLET", &word, "tablet").await;
    served.auth.book.remove_app_password(card.account, "TABLET").await.unwrap();
    tablet.expect(&["not-authorized", "revoked"]).await;
    drop(desk);
}

#[tokio::test]
async fn a_device_that_ended_unheard_is_made_up_for() {
    let served = serve().await;
    let card = served.auth.directory.by_jid(&alice()).await.unwrap().unwrap();
    let mut words = Vec::new();
    for name in ["PHONE", "TABLET"] {
        words.push(served.auth.book.add_app_password(card.account, name, 0).await.unwrap());
    }
    let mut phone = device(&served, "alice+PHONE", &words[0], "phone").await;
    let mut tablet = device(&served, "alice+TABLET", &words[1], "tablet").await;
    let mut desk = Client::online(&served, "alice", "desk").await;
    // Nobody else runs between these two, and more facts come than are kept for who does not listen.
    served.auth.book.remove_app_password(card.account, "PHONE").await.unwrap();
    for _ in 0..10_000 {
        let account = shared_model::AccountId(1);
        let changed = shared_model::AccountEvent::Changed { account };
        served.bus.publish(shared_model::Fact::new(shared_model::Correlation::of_account(account), changed));
    }
    phone.expect(&["not-authorized", "revoked"]).await;
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    for other in [&mut tablet, &mut desk] {
        assert!(other.ask("get", "example.org", ping).await.contains("type='result'"));
    }
}
