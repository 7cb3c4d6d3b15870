//! An account that is removed, by whomever, leaves nothing to who has its names next.

use std::time::Duration;

use crate::common::failing::failing_records;
use crate::common::rooms::{ROOM, configure, item, room};
use crate::common::{Client, Served, befriend, serve, serve_again, serve_over};
use shared_auth::{NewAccount, Opens, Profile};
use shared_model::{AccountId, Aor, BareJid};
use shared_runtime::unix_millis;
use shared_store::{Binding, BindingUpdate, BoundBy};
use xmpp_server::{Config, RoomOptions};

const CONTACT: &str = "sip:alice@192.0.2.1:5060;transport=tls";

fn aor() -> Aor {
    "alice@sip.example.org".parse().unwrap()
}

async fn alice(served: &Served) -> AccountId {
    let jid: BareJid = "alice@example.org".parse().unwrap();
    served.auth.directory.by_jid(&jid).await.unwrap().unwrap().account
}

/// Alice has a friend, said something, and has a telephone.
async fn live(served: &Served) -> (Client, Client) {
    let mut alices = Client::online(served, "alice", "a").await;
    let mut bob = Client::online(served, "bob", "b").await;
    befriend(&mut alices, &mut bob).await;
    alices.send("<message to='bob@example.org' type='chat' id='m'><body>secret</body></message>").await;
    bob.expect(&["<message", "secret"]).await;
    let now = unix_millis();
    let binding = Binding {
        account: alice(served).await,
        aor: aor(),
        key: CONTACT.into(),
        contact: CONTACT.into(),
        instance: String::new(),
        reg_id: None,
        parameters: String::new(),
        path: Vec::new(),
        flow: String::new(),
        received: None,
        call_id: "r1".into(),
        cseq: 7,
        q: 1000,
        expires: now + 600_000,
        node: String::new(),
        user_agent: String::new(),
        updated: now,
        by: BoundBy::Password,
        name: String::new(),
    };
    let update =
        BindingUpdate { call_id: "r1".into(), cseq: 7, set: vec![binding], limit: 9, ..Default::default() };
    served.store.bindings.commit(&aor(), &update, now).await.unwrap();
    (alices, bob)
}

async fn is_erased(served: &Served) {
    let erased = async {
        while !served.auth.gone.list().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), erased).await.unwrap();
}

/// Alice is made anew, and nothing is there.
async fn begin_anew(served: &Served) {
    let profile = Profile { name: "Another".to_owned(), ..Profile::default() };
    let jid = "alice@example.org".parse().unwrap();
    served.auth.book.create(NewAccount { aor: aor(), jid, profile }, crate::common::PASSWORD).await.unwrap();
    let mut alices = Client::online(served, "alice", "a").await;
    let roster = alices.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    assert!(!roster.contains("<item"), "{roster}");
    let archive = alices.ask("set", "", "<query xmlns='urn:xmpp:mam:2'/>").await;
    assert!(archive.contains("complete='true'") && archive.contains("<count>0"), "{archive}");
    let bound = served.store.bindings.by_aor(&aor(), unix_millis()).await.unwrap();
    assert!(bound.is_empty(), "{bound:?}");
}

#[tokio::test]
async fn an_account_that_is_made_anew_finds_nothing() {
    let served = serve().await;
    let (mut alices, mut bob) = live(&served).await;
    served.auth.book.remove(alice(&served).await).await.unwrap();
    alices.expect_stream_error("not-authorized").await;
    bob.expect(&["type='unsubscribed'", "from='alice@example.org'"]).await;
    is_erased(&served).await;
    begin_anew(&served).await;
}

#[tokio::test]
async fn what_was_removed_while_nobody_served_is_erased_at_the_start() {
    let served = serve().await;
    drop(live(&served).await);
    assert!(served.shutdown.finish(Duration::from_secs(10)).await);
    served.auth.book.remove(alice(&served).await).await.unwrap();
    let served = serve_again(&served, Config::default()).await;
    is_erased(&served).await;
    begin_anew(&served).await;
}

#[tokio::test]
async fn who_has_the_name_next_owns_no_room_of_the_former_owner_and_gets_no_contact_of_an_old_invitation() {
    let served = serve().await;
    let (mut alices, mut bob) = room(&served).await;
    let kept = configure(&[("persistentroom", "1")]);
    assert!(alices.ask("set", ROOM, &kept).await.contains("type='result'"));
    assert!(
        alices.ask("set", ROOM, &item("jid='bob@example.org' affiliation='owner'")).await.contains("result")
    );
    let node = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='theirs'/></pubsub>";
    assert!(alices.ask("set", "pubsub.example.org", node).await.contains("type='result'"));
    // A node of bob's own, whose readers he names.
    let publish = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:diary'><item id='1'><x xmlns='u'/></item></publish></pubsub>";
    assert!(bob.ask("set", "", publish).await.contains("type='result'"));
    for (jid, affiliation) in [("alice@example.org", "publisher"), ("carol@example.org", "outcast")] {
        let named = format!(
            "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><affiliations node='urn:diary'>\
             <affiliation jid='{jid}' affiliation='{affiliation}'/></affiliations></pubsub>"
        );
        assert!(bob.ask("set", "", &named).await.contains("type='result'"));
    }
    let contact = Some("alice@example.org".parse().unwrap());
    let opens = Opens::Account { user: None, domain: None, name: String::new(), admin: false, contact };
    let now = unix_millis();
    let served_domains = shared_model::Domains::new("example.org", []);
    served.auth.invites.create(&served_domains, opens, None, Duration::from_secs(86_400), now).await.unwrap();
    served.auth.book.remove(alice(&served).await).await.unwrap();
    bob.expect(&["<presence", "/Alice'", "type='unavailable'"]).await;
    is_erased(&served).await;
    begin_anew(&served).await;
    let owners = bob.ask("get", ROOM, &item("affiliation='owner'").replace("<reason>why</reason>", "")).await;
    assert!(owners.contains("bob@example.org") && !owners.contains("alice@example.org"), "{owners}");
    let mut other = Client::online(&served, "alice", "new").await;
    let form = "<query xmlns='http://jabber.org/protocol/muc#owner'/>";
    assert!(other.ask("get", ROOM, form).await.contains("forbidden"));
    let named =
        "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><affiliations node='urn:diary'/></pubsub>";
    let named = bob.ask("get", "", named).await;
    assert!(named.contains("carol@example.org") && !named.contains("alice@example.org"), "{named}");
    let owned = "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='theirs'/></pubsub>";
    assert!(other.ask("get", "pubsub.example.org", owned).await.contains("forbidden"));
    assert!(served.auth.invites.list(unix_millis()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_name_is_not_free_while_a_room_that_it_owned_cannot_be_stored() {
    let before = serve().await;
    let (store, fault) = failing_records(&before.store);
    let served = serve_over(&before, Config::default(), store).await;
    let (mut alices, mut bob) = room(&served).await;
    assert!(alices.ask("set", ROOM, &configure(&[("persistentroom", "1")])).await.contains("type='result'"));
    fault.set(true);
    served.auth.book.remove(alice(&served).await).await.unwrap();
    bob.expect(&["<presence", "/Alice'", "type='unavailable'"]).await;
    let owned = async || {
        let room = served.store.records.get("conference.example.org", "rooms", "dev").await.unwrap().unwrap();
        String::from_utf8(room.value).unwrap().contains("alice@example.org")
    };
    tokio::time::timeout(Duration::from_secs(20), fault.met()).await.unwrap();
    assert!(owned().await && !served.auth.gone.list().await.unwrap().is_empty());
    fault.set(false);
    // Whoever is removed next, all are tried again.
    let carol = "carol@example.org".parse().unwrap();
    let carol = served.auth.directory.by_jid(&carol).await.unwrap().unwrap().account;
    served.auth.book.remove(carol).await.unwrap();
    is_erased(&served).await;
    assert!(!owned().await);
}

/// `cusax room add` beside the server.
#[tokio::test]
async fn a_room_that_another_process_made_keeps_no_owner_who_is_removed() {
    let served = serve().await;
    let beside = serve_again(&served, Config::default()).await;
    let carol: BareJid = "carol@example.org".parse().unwrap();
    let options = RoomOptions { owners: vec![carol.clone()], ..RoomOptions::default() };
    beside.server.rooms().create(&ROOM.parse().unwrap(), options).await.unwrap();
    assert!(beside.shutdown.finish(Duration::from_secs(10)).await);
    let account = served.auth.directory.by_jid(&carol).await.unwrap().unwrap().account;
    served.auth.book.remove(account).await.unwrap();
    is_erased(&served).await;
    let room = served.store.records.get("conference.example.org", "rooms", "dev").await.unwrap().unwrap();
    assert!(!String::from_utf8(room.value).unwrap().contains("carol"));
}
