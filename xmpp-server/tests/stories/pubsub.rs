//! Personal events and pubsub — XEP-0163, XEP-0060, XEP-0115, XEP-0223: who is told, who may read, what is kept.

use crate::common::{Client, DOMAIN, Served, befriend, serve, serve_again};
use xmpp_server::Config;

const SERVICE: &str = "pubsub.example.org";

fn pubsub(inner: &str) -> String {
    format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{inner}</pubsub>")
}

fn owner(inner: &str) -> String {
    format!("<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>{inner}</pubsub>")
}

fn publish(node: &str, id: &str, text: &str) -> String {
    format!("<publish node='{node}'><item id='{id}'><t xmlns='urn:t'>{text}</t></item></publish>")
}

fn options(fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='pubsub#{var}'><value>{value}</value></field>"))
        .collect();
    format!(
        "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>\
         http://jabber.org/protocol/pubsub#publish-options</value></field>{fields}</x></publish-options>"
    )
}

fn items(node: &str) -> String {
    pubsub(&format!("<items node='{node}'/>"))
}

/// A client that wants to hear of a node, and says so when it is asked.
pub(crate) async fn interested(served: &Served, user: &str, resource: &str, node: &str) -> Client {
    let mut client = Client::login(served, user, resource).await;
    client.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    client.send(&format!("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:c' ver='{node}='/></presence>")).await;
    let question = client.expect(&["disco#info", &format!("node='urn:c#{node}='")]).await;
    let id = question.split(" id='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    client
        .send(&format!(
            "<iq type='result' id='{id}' to='{DOMAIN}'><query xmlns='http://jabber.org/protocol/disco#info'>\
             <feature var='{node}+notify'/></query></iq>"
        ))
        .await;
    client
}

#[tokio::test]
async fn items_that_are_too_much_for_one_answer_are_a_page() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    for n in 0..8 {
        let item = publish("urn:much", &format!("i{n}"), &"x".repeat(200_000));
        alice.ask("set", "", &pubsub(&format!("{item}{}", options(&[("max_items", "20")])))).await;
    }
    let all = alice.ask("get", "", &items("urn:much")).await;
    assert_eq!(all.matches("<item ").count(), 5);
    assert!(all.contains("<last>i4</last><count>8</count>"), "{}", &all[all.len() - 300..]);
    let rsm = "<set xmlns='http://jabber.org/protocol/rsm'><after>i4</after></set>";
    let rest = alice.ask("get", "", &pubsub(&format!("<items node='urn:much'/>{rsm}"))).await;
    assert!(rest.contains("<first index='5'>i5</first><last>i7</last>") && rest.contains("id='i7'"));
    let newest = alice.ask("get", "", &pubsub("<items node='urn:much' max_items='7'/>")).await;
    assert!(newest.contains("<first>i3</first><last>i7</last>") && !newest.contains("id='i2'"));
    let few = alice.ask("get", "", &pubsub("<items node='urn:much' max_items='2'/>")).await;
    assert!(few.contains("id='i7'") && !few.contains("<set"));
}

#[tokio::test]
async fn contacts_that_are_interested_hear_of_it_and_get_the_last_later() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = interested(&served, "bob", "b", "urn:mood").await;
    befriend(&mut alice, &mut bob).await;
    let mut carol = interested(&served, "carol", "c", "urn:mood").await;
    let mut plain = Client::online(&served, "bob", "plain").await;
    let answer = alice.ask("set", "", &pubsub(&publish("urn:mood", "1", "glad"))).await;
    assert!(answer.contains("<publish node='urn:mood'><item id='1'/>"), "{answer}");
    let event = bob.expect(&["pubsub#event"]).await;
    for part in
        ["type='headline'", "from='alice@example.org'", "to='bob@example.org/b'", "<item id='1'", "glad"]
    {
        assert!(event.contains(part), "{part}: {event}");
    }
    plain.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    carol.expect_nothing().await;
    assert!(bob.ask("get", "alice@example.org", &items("urn:mood")).await.contains("glad"));
    let refused = carol.ask("get", "alice@example.org", &items("urn:mood")).await;
    assert!(
        refused.contains("not-authorized") && refused.contains("presence-subscription-required"),
        "{refused}"
    );
    assert!(bob.ask("get", "alice@example.org", &items("urn:none")).await.contains("item-not-found"));
    assert!(
        bob.ask("set", "alice@example.org", &pubsub(&publish("urn:mood", "2", "x")))
            .await
            .contains("forbidden")
    );
    assert!(
        bob.ask("set", "alice@example.org", &pubsub(&publish("urn:new", "2", "x")))
            .await
            .contains("item-not-found")
    );
    // A resource that comes later gets the last item; an item more takes the place of the first.
    let mut later = interested(&served, "bob", "later", "urn:mood").await;
    later.expect(&["pubsub#event", "glad"]).await;
    alice.ask("set", "", &pubsub(&publish("urn:mood", "2", "sad"))).await;
    bob.expect(&["pubsub#event", "sad"]).await;
    let all = bob.ask("get", "alice@example.org", &items("urn:mood")).await;
    assert!(all.contains("sad") && !all.contains("glad"), "{all}");
    // Retracted, all hear of it.
    let gone = pubsub("<retract node='urn:mood' notify='true'><item id='2'/></retract>");
    assert!(alice.ask("set", "", &gone).await.contains("type='result'"));
    bob.expect(&["pubsub#event", "<retract id='2'/>"]).await;
    assert!(alice.ask("set", "", &gone).await.contains("item-not-found"));
}

#[tokio::test]
async fn options_make_a_node_and_then_are_its_preconditions() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    // As bookmarks are kept (XEP-0402), and private data at all (XEP-0223).
    let private = [
        ("persist_items", "true"),
        ("max_items", "max"),
        ("access_model", "whitelist"),
        ("send_last_published_item", "never"),
    ];
    for n in 0..3 {
        let set = publish("urn:xmpp:bookmarks:1", &format!("r{n}@x"), "b") + &options(&private);
        assert!(alice.ask("set", "", &pubsub(&set)).await.contains("type='result'"));
    }
    let all = alice.ask("get", "", &items("urn:xmpp:bookmarks:1")).await;
    assert!(["r0@x", "r1@x", "r2@x"].iter().all(|id| all.contains(id)), "{all}");
    let refused = bob.ask("get", "alice@example.org", &items("urn:xmpp:bookmarks:1")).await;
    assert!(refused.contains("not-allowed") && refused.contains("closed-node"), "{refused}");
    // A client that says nothing of it wants nobody else to read them either.
    for n in 0..2 {
        assert!(
            bob.ask("set", "", &pubsub(&publish("urn:xmpp:bookmarks:1", &format!("b{n}@x"), "b")))
                .await
                .contains("result")
        );
    }
    let own = bob.ask("get", "", &items("urn:xmpp:bookmarks:1")).await;
    assert!(own.contains("b0@x") && own.contains("b1@x"), "{own}");
    let refused = alice.ask("get", "bob@example.org", &items("urn:xmpp:bookmarks:1")).await;
    assert!(refused.contains("closed-node"), "{refused}");
    let open = publish("urn:xmpp:bookmarks:1", "r", "b") + &options(&[("access_model", "open")]);
    let refused = alice.ask("set", "", &pubsub(&open)).await;
    assert!(refused.contains("conflict") && refused.contains("precondition-not-met"), "{refused}");
    // OMEMO: a node that is open to all, strangers too.
    let open = publish("urn:xmpp:omemo:2:devices", "current", "d") + &options(&[("access_model", "open")]);
    assert!(alice.ask("set", "", &pubsub(&open)).await.contains("type='result'"));
    assert!(bob.ask("get", "alice@example.org", &items("urn:xmpp:omemo:2:devices")).await.contains(">d<"));
    let info =
        alice.ask("get", "alice@example.org", "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(
        info.contains("category='pubsub' type='pep'") && info.contains("pubsub#publish-options"),
        "{info}"
    );
    // The domain says for all its accounts that they have this, and has no nodes.
    let info = alice.ask("get", DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    for feature in ["", "#publish", "#access-whitelist", "#access-open"] {
        let feature = format!("<feature var='http://jabber.org/protocol/pubsub{feature}'/>");
        assert!(info.contains(&feature), "{feature}: {info}");
    }
    assert!(!info.contains("category='pubsub'"), "it is no service of that kind: {info}");
    for nobodys in [publish("urn:t", "1", "x"), "<create node='urn:t'/>".to_owned()] {
        let refused = alice.ask("set", DOMAIN, &pubsub(&nobodys)).await;
        assert!(refused.contains("<item-not-found"), "{refused}");
    }
    served.shutdown.begin();
    let served = serve_again(&served, Config::default()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let one = pubsub("<items node='urn:xmpp:bookmarks:1'><item id='r1@x'/></items>");
    let one = alice.ask("get", "", &one).await;
    assert!(one.contains("r1@x") && !one.contains("r2@x"), "{one}");
    let page = "<items node='urn:xmpp:bookmarks:1'/><set xmlns='http://jabber.org/protocol/rsm'><max>2</max><before/></set>";
    let page = alice.ask("get", "", &pubsub(page)).await;
    assert!(
        !page.contains("id='r0@x'") && page.contains("<first index='1'>r1@x") && page.contains("<count>3"),
        "{page}"
    );
}

#[tokio::test]
async fn the_service_has_nodes_with_owners_and_subscribers() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let items_of_domain =
        alice.ask("get", DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#items'/>").await;
    assert!(items_of_domain.contains(SERVICE), "{items_of_domain}");
    let info = alice.ask("get", SERVICE, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains("category='pubsub' type='service'"), "{info}");
    assert!(alice.ask("set", SERVICE, &pubsub("<create node='news'/>")).await.contains("type='result'"));
    assert!(bob.ask("set", SERVICE, &pubsub("<create node='news'/>")).await.contains("conflict"));
    let subscribe = pubsub("<subscribe node='news' jid='bob@example.org'/>");
    let answer = bob.ask("set", SERVICE, &subscribe).await;
    assert!(answer.contains("subscription='subscribed'"), "{answer}");
    let foreign = pubsub("<subscribe node='news' jid='carol@example.org'/>");
    assert!(bob.ask("set", SERVICE, &foreign).await.contains("invalid-jid"));
    assert!(bob.ask("set", SERVICE, &pubsub(&publish("news", "1", "x"))).await.contains("forbidden"));
    alice.ask("set", SERVICE, &pubsub(&publish("news", "1", "first"))).await;
    bob.expect(&["pubsub#event", "from='pubsub.example.org'", "first"]).await;
    let nodes = bob.ask("get", SERVICE, "<query xmlns='http://jabber.org/protocol/disco#items'/>").await;
    assert!(nodes.contains("node='news'"), "{nodes}");
    assert!(bob.ask("get", SERVICE, &owner("<configure node='news'/>")).await.contains("forbidden"));
    let form = alice.ask("get", SERVICE, &owner("<configure node='news'/>")).await;
    assert!(form.contains("pubsub#access_model") && form.contains("<value>open</value>"), "{form}");
    let closed = "<configure node='news'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#node_config</value></field><field var='pubsub#access_model'><value>whitelist</value></field></x></configure>";
    assert!(alice.ask("set", SERVICE, &owner(closed)).await.contains("type='result'"));
    assert!(bob.ask("get", SERVICE, &items("news")).await.contains("closed-node"));
    let member = "<affiliations node='news'><affiliation jid='bob@example.org' affiliation='publisher'/></affiliations>";
    assert!(alice.ask("set", SERVICE, &owner(member)).await.contains("type='result'"));
    bob.send(&format!(
        "<iq type='set' id='p2' to='{SERVICE}'>{}</iq>",
        pubsub(&publish("news", "2", "second"))
    ))
    .await;
    bob.expect(&["pubsub#event", "second"]).await;
    bob.expect(&["id='p2'", "type='result'"]).await;
    let listed = alice.ask("get", SERVICE, &owner("<affiliations node='news'/>")).await;
    assert!(listed.contains("jid='bob@example.org' affiliation='publisher'"), "{listed}");
    let none =
        "<affiliations node='news'><affiliation jid='alice@example.org' affiliation='none'/></affiliations>";
    assert!(alice.ask("set", SERVICE, &owner(none)).await.contains("not-acceptable"), "a node has an owner");
    assert!(alice.ask("set", SERVICE, &owner("<delete node='news'/>")).await.contains("type='result'"));
    bob.expect(&["pubsub#event", "<delete node='news'/>"]).await;
    assert!(bob.ask("get", SERVICE, &items("news")).await.contains("item-not-found"));
}

#[tokio::test]
async fn a_node_that_keeps_and_carries_nothing_says_that_something_happened() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let create = |node: &str, keeps: &str| {
        pubsub(&format!(
            "<create node='{node}'/><configure><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#node_config</value></field>\
             <field var='pubsub#persist_items'><value>{keeps}</value></field>\
             <field var='pubsub#deliver_payloads'><value>0</value></field></x></configure>"
        ))
    };
    for (node, keeps) in [("bell", "0"), ("list", "1")] {
        assert!(alice.ask("set", SERVICE, &create(node, keeps)).await.contains("type='result'"));
        let subscribe = pubsub(&format!("<subscribe node='{node}' jid='bob@example.org'/>"));
        assert!(bob.ask("set", SERVICE, &subscribe).await.contains("subscribed"));
    }
    let rung = alice.ask("set", SERVICE, &pubsub("<publish node='bell'/>")).await;
    assert!(rung.contains("type='result'"), "{rung}");
    let event = bob.expect(&["pubsub#event"]).await;
    assert!(event.contains("<items node='bell'/>"), "{event}");
    for inner in ["<item/>", "<item id='1'><t xmlns='urn:t'>x</t></item>"] {
        let refused =
            alice.ask("set", SERVICE, &pubsub(&format!("<publish node='bell'>{inner}</publish>"))).await;
        assert!(refused.contains("<bad-request") && refused.contains("<item-forbidden"), "{refused}");
    }
    assert!(bob.ask("set", SERVICE, &pubsub("<publish node='bell'/>")).await.contains("<forbidden"));
    // One that keeps what it does not carry takes items without payload.
    let kept = alice.ask("set", SERVICE, &pubsub("<publish node='list'><item id='1'/></publish>")).await;
    assert!(kept.contains("type='result'") && kept.contains("<item id='1'/>"), "{kept}");
    let event = bob.expect(&["pubsub#event"]).await;
    assert!(event.contains("<items node='list'><item id='1'"), "{event}");
    alice.ask("set", SERVICE, &pubsub(&publish("list", "2", "payload"))).await;
    let event = bob.expect(&["pubsub#event", "id='2'"]).await;
    assert!(!event.contains("payload"), "{event}");
    let all = bob.ask("get", SERVICE, &items("list")).await;
    assert!(all.contains("<item id='1'/>") && all.contains("payload"), "{all}");
    let none = alice.ask("set", SERVICE, &pubsub("<publish node='list'/>")).await;
    assert!(none.contains("<item-required"), "{none}");
    // Payloads are wanted where nothing else is said, and nothing is made by what is refused.
    for (inner, why) in [("", "item-required"), ("<item id='1'/>", "payload-required")] {
        let refused =
            alice.ask("set", SERVICE, &pubsub(&format!("<publish node='new'>{inner}</publish>"))).await;
        assert!(refused.contains(&format!("<{why}")), "{refused}");
        assert!(alice.ask("get", SERVICE, &items("new")).await.contains("item-not-found"));
    }
}

#[tokio::test]
async fn owners_approve_who_subscribes() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let service = "pubsub.example.org";
    let create = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='news'/><configure><x xmlns='jabber:x:data' type='submit'>\
                  <field var='pubsub#access_model'><value>authorize</value></field></x></configure></pubsub>";
    assert!(alice.ask("set", service, create).await.contains("type='result'"));
    let items = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='news'/></pubsub>";
    assert!(bob.ask("get", service, items).await.contains("<not-subscribed"));
    let subscribe = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='news' jid='bob@example.org'/></pubsub>";
    assert!(bob.ask("set", service, subscribe).await.contains("subscription='pending'"));
    let form = alice.expect(&["<message", "subscribe_authorization"]).await;
    assert!(form.contains("bob@example.org") && form.contains("from='pubsub.example.org'"), "{form}");
    let decide = |allow: &str| {
        format!(
            "<message to='{service}'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field>\
             <field var='pubsub#node'><value>news</value></field><field var='pubsub#allow'><value>{allow}</value></field>\
             <field var='pubsub#subscriber_jid'><value>bob@example.org</value></field></x></message>"
        )
    };
    bob.send(&decide("1")).await; // he is no owner
    assert!(bob.ask("get", service, items).await.contains("<not-subscribed"));
    alice.send(&decide("1")).await;
    bob.expect(&["<message", "<event", "subscription='subscribed'"]).await;
    assert!(bob.ask("get", service, items).await.contains("type='result'"));
    // Another who waits is refused by way of the list.
    let mut carol = Client::online(&served, "carol", "c").await;
    let subscribe = subscribe.replace("bob@", "carol@");
    assert!(carol.ask("set", service, &subscribe).await.contains("subscription='pending'"));
    let list =
        "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><subscriptions node='news'/></pubsub>";
    assert!(alice.ask("get", service, list).await.contains("jid='carol@example.org' subscription='pending'"));
    let refuse = list.replace(
        "node='news'/>",
        "node='news'><subscription jid='carol@example.org' subscription='none'/></subscriptions>",
    );
    assert!(alice.ask("set", service, &refuse).await.contains("type='result'"));
    carol.expect(&["<message", "<event", "subscription='none'"]).await;
}

#[tokio::test]
async fn the_owner_of_an_accounts_node_approves_too() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let ask_first = options(&[("access_model", "authorize")]);
    let published = alice.ask("set", "", &pubsub(&(publish("news", "1", "x") + &ask_first))).await;
    assert!(published.contains("type='result'"), "{published}");
    let subscribe = pubsub("<subscribe node='news' jid='bob@example.org'/>");
    assert!(bob.ask("set", "alice@example.org", &subscribe).await.contains("subscription='pending'"));
    alice.expect(&["subscribe_authorization", "from='alice@example.org'"]).await;
    let decision = "<message to='alice@example.org'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field>\
         <field var='pubsub#node'><value>news</value></field><field var='pubsub#allow'><value>1</value></field>\
         <field var='pubsub#subscriber_jid'><value>bob@example.org</value></field></x></message>";
    bob.send(decision).await; // he is no owner
    assert!(bob.ask("get", "alice@example.org", &items("news")).await.contains("<not-subscribed"));
    alice.send(decision).await;
    bob.expect(&["<message", "<event", "subscription='subscribed'"]).await;
    assert!(bob.ask("get", "alice@example.org", &items("news")).await.contains("type='result'"));
}

#[tokio::test]
async fn what_is_refused_is_refused_as_the_text_says() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let create = pubsub(
        "<create node='fleeting'/><configure><x xmlns='jabber:x:data' type='submit'><field var='pubsub#persist_items'>\
         <value>0</value></field></x></configure>",
    );
    assert!(alice.ask("set", SERVICE, &create).await.contains("type='result'"));
    let two = publish("fleeting", "1", "x").replace("</publish>", "<item id='2'/></publish>");
    for (kind, asked, condition, reason) in [
        ("set", owner("<purge node='fleeting'/>"), "feature-not-implemented", "feature='persistent-items'"),
        ("set", pubsub(&two), "not-allowed", "max-items-exceeded"),
        ("set", pubsub("<unsubscribe node='fleeting' jid='bob@example.org'/>"), "forbidden", "type='auth'"),
        (
            "set",
            pubsub("<unsubscribe node='fleeting' jid='alice@example.org'/>"),
            "unexpected-request",
            "not-subscribed",
        ),
        ("get", pubsub("<default/>"), "feature-not-implemented", "feature='retrieve-default-sub'"),
    ] {
        let answer = alice.ask(kind, SERVICE, &asked).await;
        assert!(answer.contains(condition) && answer.contains(reason), "{asked}: {answer}");
    }
}

#[tokio::test]
async fn any_device_ends_what_another_subscribed() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut phone = Client::online(&served, "alice", "phone").await;
    assert!(alice.ask("set", SERVICE, &pubsub("<create node='n'/>")).await.contains("type='result'"));
    let named = |what: &str| pubsub(&format!("<{what} node='n' jid='alice@example.org/phone'/>"));
    assert!(phone.ask("set", SERVICE, &named("subscribe")).await.contains("subscription='subscribed'"));
    assert!(alice.ask("set", SERVICE, &named("unsubscribe")).await.contains("type='result'"));
}

#[tokio::test]
async fn bookmarks_of_pages_are_kept_beside_those_of_rooms() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let private = |inner: &str| {
        format!(
            "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'>{inner}</storage></query>"
        )
    };
    let (room, page) = (
        "<conference jid='r@conference.example.org' name='R'/>",
        "<url name='u' url='https://example.com/'/>",
    );
    assert!(alice.ask("set", "", &private(&format!("{room}{page}"))).await.contains("type='result'"));
    let kept = alice.ask("get", "", &private("")).await;
    assert!(kept.contains("r@conference") && kept.contains("https://example.com/"), "{kept}");
    assert!(alice.ask("get", "", &items("storage:bookmarks")).await.contains("https://example.com/"));
    // A new client adds a room, and an old one takes the page out.
    let other = "<publish node='urn:xmpp:bookmarks:1'><item id='s@conference.example.org'>\
                 <conference xmlns='urn:xmpp:bookmarks:1'/></item></publish>";
    assert!(alice.ask("set", "", &pubsub(other)).await.contains("type='result'"));
    let kept = alice.ask("get", "", &private("")).await;
    assert!(kept.contains("s@conference") && kept.contains("https://example.com/"), "{kept}");
    assert!(alice.ask("set", "", &private(room)).await.contains("type='result'"));
    let kept = alice.ask("get", "", &private("")).await;
    assert!(kept.contains("r@conference") && !kept.contains("https://example.com/"), "{kept}");
}

#[tokio::test]
async fn the_last_of_a_node_comes_once_and_with_its_time() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    for node in ["urn:one", "urn:two"] {
        assert!(alice.ask("set", "", &pubsub(&publish(node, "1", node))).await.contains("type='result'"));
    }
    let mut other = interested(&served, "alice", "b", "urn:one").await;
    let last = other.expect(&["<event", "urn:one"]).await;
    assert!(last.contains("<delay xmlns='urn:xmpp:delay'") && last.contains(" id='"), "{last}");
    // It is interested in one more, and hears of that alone.
    other.send("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:c' ver='more='/></presence>").await;
    let question = other.expect(&["disco#info", "node='urn:c#more='"]).await;
    let id = question.split(" id='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    let answer = format!(
        "<iq type='result' id='{id}' to='{DOMAIN}'><query xmlns='http://jabber.org/protocol/disco#info'>\
         <feature var='urn:one+notify'/><feature var='urn:two+notify'/></query></iq>"
    );
    other.send(&answer).await;
    let heard = other.expect(&["<event"]).await;
    assert!(heard.contains("urn:two") && !heard.contains("urn:one"), "{heard}");
    // Who goes and comes back gets both.
    other.send("<presence type='unavailable'/>").await;
    other.send("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:c' ver='more='/></presence>").await;
    let question = other.expect(&["disco#info"]).await;
    let again = question.split(" id='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    other.send(&answer.replace(&format!("id='{id}'"), &format!("id='{again}'"))).await;
    other.expect(&["<event", "urn:one"]).await;
}

/// XEP-0390 §5.4, §5.5: a client that says what it is capable of in the new way alone.
#[tokio::test]
async fn who_is_known_by_the_new_hash_alone_hears_of_what_it_wants() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    assert!(alice.ask("set", "", &pubsub(&publish("urn:mood", "1", "glad"))).await.contains("type='result'"));
    let presence = "<presence><c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>\
                    5x7+9z59bSRkpHbwW8MtIS+HgKDOu2HIkThxedYNxII=</hash></c></presence>";
    let mut other = Client::login(&served, "alice", "b").await;
    other.send(presence).await;
    let node = "urn:xmpp:caps#sha-256.5x7+9z59bSRkpHbwW8MtIS+HgKDOu2HIkThxedYNxII=";
    let question = other.expect(&["disco#info", &format!("node='{node}'")]).await;
    let id = crate::common::attribute(&question, "iq", "id");
    other
        .send(&format!(
            "<iq type='result' id='{id}' to='{DOMAIN}'><query xmlns='http://jabber.org/protocol/disco#info' node='{node}'>\
             <identity category='client' type='pc' name='x'/><feature var='urn:mood+notify'/></query></iq>"
        ))
        .await;
    other.expect(&["<event", "glad"]).await;
    // What was checked is known of the next one like it, which is not asked.
    let mut third = Client::login(&served, "alice", "c").await;
    third.send(presence).await;
    third.expect(&["<event", "glad"]).await;
}

#[tokio::test]
async fn who_waits_for_an_owner_asks_once() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let configure = |what: &str, access: &str| {
        format!(
            "<{what} node='news'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/pubsub#node_config</value></field>\
             <field var='pubsub#access_model'><value>{access}</value></field></x></{what}>"
        )
    };
    assert!(alice.ask("set", SERVICE, &pubsub("<create node='news'/>")).await.contains("type='result'"));
    let ask_first = owner(&configure("configure", "authorize"));
    assert!(alice.ask("set", SERVICE, &ask_first).await.contains("type='result'"));
    let subscribe = |jid: &str| pubsub(&format!("<subscribe node='news' jid='{jid}'/>"));
    let answer = bob.ask("set", SERVICE, &subscribe("bob@example.org")).await;
    assert!(answer.contains("subscription='pending'"), "{answer}");
    alice.expect(&["subscribe_authorization"]).await;
    for jid in ["bob@example.org", "bob@example.org/b"] {
        let answer = bob.ask("set", SERVICE, &subscribe(jid)).await;
        assert!(answer.contains("<not-authorized") && answer.contains("<pending-subscription"), "{answer}");
    }
    alice.send("<message to='alice@example.org' id='end'><body>end</body></message>").await;
    let heard = alice.expect(&["<message"]).await;
    assert!(heard.contains("id='end'"), "no owner is asked again: {heard}");
    // The node is open now: who waited subscribes, and waits no more.
    let open = owner(&configure("configure", "open"));
    assert!(alice.ask("set", SERVICE, &open).await.contains("type='result'"));
    let answer = bob.ask("set", SERVICE, &subscribe("bob@example.org")).await;
    assert!(answer.contains("subscription='subscribed'"), "{answer}");
    let list = alice.ask("get", SERVICE, &owner("<subscriptions node='news'/>")).await;
    assert!(list.contains("subscription='subscribed'") && !list.contains("pending"), "{list}");
}

#[tokio::test]
async fn old_bookmarks_are_shown_to_nobody_else() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let old = "storage:bookmarks";
    let open = "<configure><x xmlns='jabber:x:data' type='submit'><field var='pubsub#access_model'><value>open</value></field></x></configure>";
    let create = pubsub(&format!("<create node='{old}'/>{open}"));
    assert!(alice.ask("set", "", &create).await.contains("type='result'"));
    assert!(bob.ask("get", "alice@example.org", &items(old)).await.contains("type='result'"), "it is open");
    let set = "<publish node='urn:xmpp:bookmarks:1'><item id='r@conference.example.org'>\
               <conference xmlns='urn:xmpp:bookmarks:1' name='Secret'/></item></publish>";
    assert!(alice.ask("set", "", &pubsub(set)).await.contains("type='result'"));
    let refused = bob.ask("get", "alice@example.org", &items(old)).await;
    assert!(refused.contains("closed-node") && !refused.contains("Secret"), "{refused}");
    assert!(alice.ask("get", "", &items(old)).await.contains("Secret"));
    // Options are looked at before anything changes.
    let none = format!("<publish node='{old}'><item id='current'><storage xmlns='{old}'/></item></publish>");
    let refused =
        alice.ask("set", "", &pubsub(&(none.clone() + &options(&[("access_model", "open")])))).await;
    assert!(refused.contains("conflict") && refused.contains("precondition-not-met"), "{refused}");
    assert!(alice.ask("get", "", &items("urn:xmpp:bookmarks:1")).await.contains("Secret"));
    let done = alice.ask("set", "", &pubsub(&(none + &options(&[("access_model", "whitelist")])))).await;
    assert!(done.contains("type='result'"), "{done}");
    assert!(!alice.ask("get", "", &items("urn:xmpp:bookmarks:1")).await.contains("Secret"));
}

#[tokio::test]
async fn who_becomes_a_contact_gets_the_last_of_what_they_want() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let node = "http://jabber.org/protocol/mood";
    let publish = format!(
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'><item id='now'>\
         <mood xmlns='{node}'><happy/></mood></item></publish></pubsub>"
    );
    assert!(alice.ask("set", "", &publish).await.contains("type='result'"));
    let mut bob = interested(&served, "bob", "b", node).await;
    bob.expect_nothing().await;
    bob.send("<presence type='subscribe' to='alice@example.org'/>").await;
    alice.expect(&["type='subscribe'"]).await;
    alice.send("<presence type='subscribed' to='bob@example.org'/>").await;
    let event = bob.expect(&["<message", "pubsub#event"]).await;
    assert!(event.contains("<happy/>") && event.contains("from='alice@example.org'"), "{event}");
}
