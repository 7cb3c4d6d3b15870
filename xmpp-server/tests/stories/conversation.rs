//! What becomes of conversation that is more than words: archived, kept for who is away, copied — XEP-0334, and XEP-0085,
//! 0184, 0308, 0333, 0424, 0444, 0461 for what they say of it; XEP-0490 and XEP-0492 on nodes.

use crate::common::failing::failing_archive;
use crate::common::rooms::{INFO, ROOM, configure, room};
use crate::common::{Client, DOMAIN, Served, attribute, serve, serve_with};
use shared_store::{Query, Store};
use xmpp_server::Config;

/// What follows from a message to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fate {
    archived: bool,
    kept: bool,
    copied: bool,
}

const ALL: Fate = Fate { archived: true, kept: true, copied: true };

async fn archived(served: &Served, owner: &str) -> usize {
    let query = Query { max: 100, ..Query::default() };
    served.store.archive.page(owner, &query).await.unwrap().entries.len()
}

#[tokio::test]
async fn each_kind_of_message_has_its_fate() {
    let served = serve().await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut other = Client::online(&served, "bob", "other").await;
    assert!(other.ask("set", "", "<enable xmlns='urn:xmpp:carbons:2'/>").await.contains("result"));
    let hint = |name: &str| format!("<{name} xmlns='urn:xmpp:hints'/>");
    let body = "<body>x</body>";
    let cases: [(String, Fate); 14] = [
        (body.to_owned(), ALL),
        (body.to_owned() + &hint("no-store"), Fate { archived: false, kept: false, copied: true }),
        (body.to_owned() + &hint("no-permanent-store"), Fate { archived: false, kept: true, copied: true }),
        (body.to_owned() + &hint("no-copy"), Fate { archived: true, kept: true, copied: false }),
        (
            body.to_owned() + &hint("no-copy") + &hint("no-store"),
            Fate { archived: false, kept: false, copied: false },
        ),
        (
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>".into(),
            Fate { archived: false, kept: false, copied: true },
        ),
        ("<active xmlns='http://jabber.org/protocol/chatstates'/>".to_owned() + &hint("store"), ALL),
        ("<received xmlns='urn:xmpp:receipts' id='m'/>".into(), ALL),
        ("<displayed xmlns='urn:xmpp:chat-markers:0' id='m'/>".into(), ALL),
        ("<reactions xmlns='urn:xmpp:reactions:0' id='m'><reaction>!</reaction></reactions>".into(), ALL),
        ("<retract xmlns='urn:xmpp:message-retract:1' id='m'/>".into(), ALL),
        (body.to_owned() + "<replace xmlns='urn:xmpp:message-correct:0' id='m'/>", ALL),
        (body.to_owned() + "<reply xmlns='urn:xmpp:reply:0' to='alice@example.org' id='m'/>", ALL),
        ("<x xmlns='urn:y'/>".to_owned() + &hint("store"), ALL),
    ];
    for (inside, expected) in cases {
        let before = archived(&served, "alice@example.org").await;
        let waiting = archived(&served, "alice@example.org#offline").await;
        bob.send(&format!("<message to='alice@example.org' type='chat' id='m1'>{inside}</message>")).await;
        bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
        other.send(&format!("<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
        let next = other.next().await.unwrap();
        let is_copied = next.contains("urn:xmpp:carbons:2");
        if is_copied {
            other.expect(&["id='p'"]).await;
        }
        let fate = Fate {
            archived: archived(&served, "alice@example.org").await > before,
            kept: archived(&served, "alice@example.org#offline").await > waiting,
            copied: is_copied,
        };
        assert_eq!(fate, expected, "{inside}");
    }
}

#[tokio::test]
async fn an_author_retracts_in_a_room_and_a_tombstone_stays() {
    let served = serve().await;
    let (mut alice, mut bob) = room(&served).await;
    alice.ask("set", ROOM, &configure(&[("persistentroom", "1")])).await;
    assert!(alice.ask("get", ROOM, INFO).await.contains("urn:xmpp:message-retract:1#tombstone"));
    bob.say("regretted").await;
    let id = attribute(&alice.expect(&["regretted"]).await, "stanza-id", "id");
    let retract = |name: &str| {
        format!(
            "<message type='groupchat' to='{ROOM}' id='{name}'><retract xmlns='urn:xmpp:message-retract:1' id='{id}'/>\
             <body>/me retracted</body></message>"
        )
    };
    alice.send(&retract("r1")).await;
    assert!(alice.expect(&["id='r1'", "type='error'"]).await.contains("forbidden"), "she did not write it");
    bob.send(&retract("r2")).await;
    assert!(alice.expect(&["<retract", "/Bob'"]).await.contains(&id));
    let kept = served.store.archive.entry(ROOM, &id).await.unwrap().unwrap();
    let kept = String::from_utf8(kept.body).unwrap();
    assert!(kept.contains("<retracted") && kept.contains("id='r2'") && !kept.contains("regretted"), "{kept}");
    let mut carol = Client::online(&served, "carol", "c").await;
    carol.knock("Carol").await;
    carol.expect(&["code='110'"]).await;
    let history = carol.expect(&["<message"]).await;
    assert!(history.contains("<retracted") && !history.contains("regretted"), "{history}");
}

/// XEP-0424 §4, XEP-0425 §3: what nobody who enters is shown any more is retracted in the archive.
#[tokio::test]
async fn a_message_is_retracted_that_the_archive_alone_holds() {
    let config = Config { room_history: 1, s2s: Vec::new(), ..Config::default() };
    let (store, fault) = failing_archive(&Store::in_memory());
    let served = serve_with(config, store).await;
    let (mut alice, mut bob) = room(&served).await;
    alice.ask("set", ROOM, &configure(&[("persistentroom", "1")])).await;
    let mut ids = Vec::new();
    for text in ["regretted", "unwanted", "newest"] {
        bob.say(text).await;
        ids.push(attribute(&alice.expect(&[text]).await, "stanza-id", "id"));
    }
    let retract = |id: &str| format!("<retract xmlns='urn:xmpp:message-retract:1' id='{id}'/>");
    alice
        .send(&format!("<message type='groupchat' to='{ROOM}' id='r1'>{}</message>", retract(&ids[0])))
        .await;
    assert!(alice.expect(&["id='r1'", "type='error'"]).await.contains("forbidden"), "she did not write it");
    bob.send(&format!("<message type='groupchat' to='{ROOM}' id='r2'>{}</message>", retract(&ids[0]))).await;
    alice.expect(&["<retract", "/Bob'", &ids[0]]).await;
    let moderate = |id: &str| {
        format!(
            "<moderate xmlns='urn:xmpp:message-moderate:1' id='{id}'><retract xmlns='urn:xmpp:message-retract:1'/>\
             <reason>rude</reason></moderate>"
        )
    };
    // While the archive cannot be read, nobody is told that something is retracted, and who may not ask hears that.
    fault.set(true);
    assert!(bob.ask("set", ROOM, &moderate(&ids[1])).await.contains("forbidden"));
    assert!(alice.ask("set", ROOM, &moderate(&ids[1])).await.contains("resource-constraint"));
    alice
        .send(&format!("<message type='groupchat' to='{ROOM}' id='r3'>{}</message>", retract(&ids[1])))
        .await;
    assert!(alice.expect(&["id='r3'", "type='error'"]).await.contains("resource-constraint"));
    fault.set(false);
    bob.send(&format!("<message type='groupchat' to='{ROOM}' id='r4'><body>since</body></message>")).await;
    loop {
        let next = alice.next().await.unwrap();
        assert!(!next.contains(&ids[1]), "{next}");
        if next.contains("<body>since</body>") {
            break;
        }
    }
    assert!(alice.ask("set", ROOM, &moderate(&ids[1])).await.contains("type='result'"));
    bob.expect(&["<retract", "<moderated", &ids[1]]).await;
    for (id, gone) in [(&ids[0], "regretted"), (&ids[1], "unwanted")] {
        let kept = served.store.archive.entry(ROOM, id).await.unwrap().unwrap();
        let kept = String::from_utf8(kept.body).unwrap();
        assert!(kept.contains("<retracted") && !kept.contains(gone), "{kept}");
    }
    assert!(alice.ask("set", ROOM, &moderate("unknown")).await.contains("item-not-found"));
}

#[tokio::test]
async fn what_was_displayed_and_who_may_interrupt_is_shared_among_ones_clients() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let field = |var: &str, value: &str| format!("<field var='pubsub#{var}'><value>{value}</value></field>");
    let options = format!(
        "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>\
         http://jabber.org/protocol/pubsub#publish-options</value></field>{}{}{}{}</x></publish-options>",
        field("persist_items", "true"),
        field("max_items", "max"),
        field("send_last_published_item", "never"),
        field("access_model", "whitelist"),
    );
    let publish = |node: &str, id: &str, payload: &str| {
        format!(
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'><item id='{id}'>{payload}</item>\
             </publish>{options}</pubsub>"
        )
    };
    let displayed = "<displayed xmlns='urn:xmpp:mds:displayed:0'><stanza-id xmlns='urn:xmpp:sid:0' by='alice@example.org' id='7'/></displayed>";
    for contact in ["bob@example.org", "carol@example.org"] {
        let answer = alice.ask("set", "", &publish("urn:xmpp:mds:displayed:0", contact, displayed)).await;
        assert!(answer.contains("type='result'"), "{answer}");
    }
    let settings = "<conference xmlns='urn:xmpp:bookmarks:1' name='Dev' autojoin='true'><extensions>\
                    <notify xmlns='urn:xmpp:notification-settings:1'><on-mention/></notify></extensions></conference>";
    assert!(
        alice
            .ask("set", "", &publish("urn:xmpp:bookmarks:1", ROOM, settings))
            .await
            .contains("type='result'")
    );
    let mut phone = Client::online(&served, "alice", "phone").await;
    let items = |node: &str| {
        format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='{node}'/></pubsub>")
    };
    let all = phone.ask("get", "", &items("urn:xmpp:mds:displayed:0")).await;
    assert!(all.contains("id='bob@example.org'") && all.contains("id='carol@example.org'"), "{all}");
    let bookmarks = phone.ask("get", "", &items("urn:xmpp:bookmarks:1")).await;
    assert!(
        bookmarks.contains("<notify xmlns='urn:xmpp:notification-settings:1'><on-mention/>"),
        "{bookmarks}"
    );
    let mut bob = Client::online(&served, "bob", "b").await;
    let theirs = bob.ask("get", "alice@example.org", &items("urn:xmpp:mds:displayed:0")).await;
    assert!(theirs.contains("type='error'"), "{theirs}");
}
