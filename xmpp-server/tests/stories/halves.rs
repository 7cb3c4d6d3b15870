//! Two halves of one account: who loses a telephone is told, or ends; presence waits for calls; who calls is shown so, and asks
//! who somebody is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{Client, DOMAIN, Everybody, Served, attribute, befriend, serve, serve_again, serve_with};
use shared_model::{
    AccountId, Aor, BindingChange, BindingEvent, CallEvent, CallOutcome, Correlation, Fact, FoundBy,
};
use shared_runtime::unix_millis;
use shared_store::{Binding, BindingUpdate, Store};
use xmpp_server::{BothOrNothing, Config};

static SERIAL: AtomicU32 = AtomicU32::new(1);
const CONTACT: &str = "sip:alice@192.0.2.1:5060;transport=tls";

async fn account(served: &Served, name: &str) -> AccountId {
    let jid = format!("{name}@example.org").parse().unwrap();
    served.auth.directory.by_jid(&jid).await.unwrap().unwrap().account
}

/// A telephone, in the words of the registrar.
struct Telephone<'a> {
    served: &'a Served,
    account: AccountId,
    aor: Aor,
}

impl<'a> Telephone<'a> {
    async fn of(served: &'a Served, name: &str) -> Self {
        let aor = format!("{name}@sip.example.org").parse().unwrap();
        Self { served, account: account(served, name).await, aor }
    }

    async fn register(&self) {
        let now = unix_millis();
        let binding = Binding {
            account: self.account,
            aor: self.aor.clone(),
            key: CONTACT.into(),
            contact: CONTACT.into(),
            instance: String::new(),
            reg_id: None,
            parameters: String::new(),
            path: Vec::new(),
            flow: String::new(),
            received: None,
            call_id: format!("r{}", SERIAL.fetch_add(1, Ordering::Relaxed)),
            cseq: 1,
            q: 1000,
            expires: now + 600_000,
            node: String::new(),
            user_agent: String::new(),
            updated: now,
            by: shared_store::BoundBy::Password,
            name: String::new(),
        };
        let call_id = binding.call_id.clone();
        let update =
            BindingUpdate { call_id, cseq: 1, set: vec![binding], limit: 9, ..BindingUpdate::default() };
        self.served.store.bindings.commit(&self.aor, &update, now).await.unwrap();
        let (account, aor, contact) = (self.account, self.aor.clone(), CONTACT.to_owned());
        self.tell(BindingEvent::Bound {
            account,
            aor,
            contact,
            expires_seconds: 600,
            change: BindingChange::Made,
        });
    }

    fn suspend(&self) {
        let (account, aor, contact) = (self.account, self.aor.clone(), CONTACT.to_owned());
        self.tell(BindingEvent::Suspended { account, aor, contact });
    }

    fn tell(&self, event: BindingEvent) {
        self.served.bus.publish(Fact::new(Correlation::of_call("r"), event));
    }
}

#[tokio::test]
async fn who_loses_the_telephone_is_told_and_told_again_when_it_is_back() {
    let half_grace = Duration::from_millis(20);
    let config = Config { half_grace, reachability: false, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let telephone = Telephone::of(&served, "alice").await;
    let mut alice = Client::online(&served, "alice", "a").await;
    telephone.register().await;
    telephone.suspend();
    let told = alice.expect(&["<message", "calls do not reach you"]).await;
    assert!(told.contains("from='example.org'"), "{told}");
    let metric = "xmpp_server_half_connected_accounts";
    let value = || {
        served.registry.gather().iter().find(|m| m.name() == metric).unwrap().get_metric()[0]
            .get_gauge()
            .get_value()
    };
    assert!((value() - 1.0).abs() < 0.1);
    telephone.register().await;
    alice.expect(&["<message", "calls reach you"]).await;
    assert!(value().abs() < 0.1);
    alice.expect_nothing().await;
}

#[tokio::test]
async fn a_telephone_that_is_back_in_time_was_not_lost() {
    let half_grace = Duration::from_millis(50);
    let config = Config { half_grace, reachability: false, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let telephone = Telephone::of(&served, "alice").await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let other = Telephone::of(&served, "bob").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    telephone.register().await;
    telephone.suspend();
    telephone.register().await;
    // Who is lost first is looked at first.
    other.suspend();
    bob.expect(&["<message", "calls do not reach you"]).await;
    alice.expect_nothing().await;
}

#[tokio::test]
async fn both_or_nothing_ends_the_sessions_of_whom_no_call_reaches() {
    let half_grace = Duration::from_millis(20);
    let config = Config { half_grace, both_or_nothing: BothOrNothing::Enforce, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let telephone = Telephone::of(&served, "alice").await;
    telephone.register().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::login(&served, "bob", "b").await;
    let error = bob.expect(&["<error", "policy-violation"]).await;
    assert!(error.contains("both or nothing"), "{error}");
    alice.expect_nothing().await;
    telephone.suspend();
    alice.expect_stream_error("policy-violation").await;
}

#[tokio::test]
async fn presence_waits_until_the_telephone_is_there() {
    let config = Config { presence_gate: Duration::from_secs(3600), ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let telephone = Telephone::of(&served, "alice").await;
    let mut alice = Client::login(&served, "alice", "a").await;
    alice.send("<presence><status>early</status></presence><presence><status>late</status></presence>").await;
    alice.expect_nothing().await;
    telephone.register().await;
    let shown = alice.expect(&["<presence", "from='alice@example.org/a'"]).await;
    assert!(shown.contains("late"), "{shown}");
    // Who is registered waits for nothing.
    let mut desk = Client::login(&served, "alice", "desk").await;
    desk.send("<presence/>").await;
    desk.expect(&["<presence", "from='alice@example.org/desk'"]).await;
}

#[tokio::test]
async fn presence_does_not_wait_for_ever() {
    let config = Config { presence_gate: Duration::from_millis(10), ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    drop(Client::online(&served, "alice", "a").await);
}

/// The facts of a call of alice to bob.
async fn call(served: &Served, id: &str, is_over: bool) {
    let call_id = id.to_owned();
    let (from, to) = (Some(account(served, "alice").await), Some(account(served, "bob").await));
    let tell = |event| served.bus.publish(Fact::new(Correlation::of_call(id), event));
    if is_over {
        return tell(CallEvent::Ended { call_id, outcome: CallOutcome::Completed, reason: None });
    }
    tell(CallEvent::Attempted {
        call_id: call_id.clone(),
        from,
        from_uri: String::new(),
        is_anonymous: false,
        to,
        to_uri: "sip:bob@sip.example.org".to_owned(),
    });
    tell(CallEvent::Answered { call_id, has_video: id.contains("video") });
}

/// Answers a command's form.
async fn command(client: &mut Client, node: &str, fields: &[(&str, &str)]) -> String {
    let asked =
        format!("<command xmlns='http://jabber.org/protocol/commands' node='{node}' action='execute'/>");
    let form = client.ask("set", DOMAIN, &asked).await;
    let session = attribute(&form, "command", "sessionid");
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect();
    let filled = format!(
        "<command xmlns='http://jabber.org/protocol/commands' node='{node}' sessionid='{session}'>\
         <x xmlns='jabber:x:data' type='submit'>{fields}</x></command>"
    );
    client.ask("set", DOMAIN, &filled).await
}

const PHONE: &str = "urn:cusax:on-the-phone:0";
const ACTIVITY: &str = "http://jabber.org/protocol/activity";

/// A client of alice's friend bob that wants to hear of activities.
async fn watcher(served: &Served, alice: &mut Client) -> Client {
    let mut bob = Client::online(served, "bob", "b").await;
    befriend(alice, &mut bob).await;
    let caps = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='t/ihxMwDl/WrStWD3FeVogQf8XY='/>";
    bob.send(&format!("<presence>{caps}</presence>")).await;
    let question = bob.expect(&["<iq", "type='get'", "disco#info"]).await;
    let id = attribute(&question, "iq", "id");
    bob.send(&format!(
        "<iq type='result' id='{id}' to='{DOMAIN}'><query xmlns='http://jabber.org/protocol/disco#info'>\
         <feature var='{ACTIVITY}+notify'/></query></iq>"
    ))
    .await;
    bob
}

fn activity(inner: &str) -> String {
    format!(
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{ACTIVITY}'><item id='mine'>\
         <activity xmlns='{ACTIVITY}'>{inner}</activity></item></publish></pubsub>"
    )
}

#[tokio::test]
async fn who_wants_it_is_shown_on_the_phone_and_afterwards_as_before() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = watcher(&served, &mut alice).await;
    alice.ask("set", "", &activity("<relaxing><reading/></relaxing>")).await;
    bob.expect(&["<message", "<reading/>"]).await;

    call(&served, "c0", false).await; // she did not say that she wants it
    call(&served, "c0", true).await;
    bob.expect(&["<message", "<body>Call"]).await;
    let done = command(&mut alice, PHONE, &[("activity", "1"), ("dnd", "1")]).await;
    assert!(done.contains("status='completed'"), "{done}");
    let asked =
        format!("<command xmlns='http://jabber.org/protocol/commands' node='{PHONE}' action='execute'/>");
    let form = alice.ask("set", DOMAIN, &asked).await;
    assert_eq!(form.matches("<value>1</value>").count(), 2, "{form}");

    call(&served, "c1", false).await;
    let busy = bob.expect(&["<presence", "from='alice@example.org/a'"]).await;
    assert!(busy.contains("<show>dnd</show>"), "{busy}");
    bob.expect(&["<message", "<on_the_phone/>"]).await;
    // What she says of herself meanwhile is heard, and still she is busy.
    alice.send("<presence><show>away</show><status>x</status></presence>").await;
    let busy = bob.expect(&["<presence", "from='alice@example.org/a'", "<status>x</status>"]).await;
    assert!(busy.contains("<show>dnd</show>") && !busy.contains("away"), "{busy}");
    call(&served, "c1", true).await;
    let free = bob.expect(&["<presence", "from='alice@example.org/a'"]).await;
    assert!(free.contains("<show>away</show>"), "{free}");
    bob.expect(&["<message", "<reading/>"]).await;

    call(&served, "video", false).await;
    bob.expect(&["<message", "<talking><on_video_phone/></talking>"]).await;
    call(&served, "video", true).await;
    bob.expect(&["<message", "<reading/>"]).await;
}

#[tokio::test]
async fn an_activity_that_could_not_be_restored_is_restored_later() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = watcher(&served, &mut alice).await;
    alice.ask("set", "", &activity("<relaxing><reading/></relaxing>")).await;
    bob.expect(&["<message", "<reading/>"]).await;
    command(&mut alice, PHONE, &[("activity", "1")]).await;
    call(&served, "c7", false).await;
    bob.expect(&["<message", "<on_the_phone/>"]).await;
    // Meanwhile the node is not hers, and nobody can publish there in her name.
    let of = |jid: &str, what: &str| {
        format!(
            "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><affiliations node='{ACTIVITY}'>\
             <affiliation jid='{jid}@example.org' affiliation='{what}'/></affiliations></pubsub>"
        )
    };
    assert!(alice.ask("set", "", &of("bob", "owner")).await.contains("type='result'"));
    assert!(bob.ask("set", "alice@example.org", &of("alice", "member")).await.contains("type='result'"));
    call(&served, "c7", true).await;
    bob.expect(&["<message", "<body>Call"]).await;
    assert!(bob.ask("set", "alice@example.org", &of("alice", "owner")).await.contains("type='result'"));
    served.shutdown.begin();
    let served = serve_again(&served, Config::default()).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let items =
        format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='{ACTIVITY}'/></pubsub>");
    let mut shown = String::new();
    for _ in 0..200 {
        shown = alice.ask("get", "", &items).await;
        if shown.contains("<reading/>") && !shown.contains("<on_the_phone/>") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{shown}");
}

#[tokio::test]
async fn what_the_user_says_is_stronger_than_the_call() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = watcher(&served, &mut alice).await;
    command(&mut alice, PHONE, &[("activity", "1"), ("dnd", "1")]).await;
    alice.send("<presence><show>dnd</show></presence>").await;
    bob.expect(&["<presence", "<show>dnd</show>"]).await;
    call(&served, "c2", false).await;
    let next = bob.expect(&["from='alice@example.org"]).await;
    assert!(next.contains("<on_the_phone/>"), "no presence is sent for a dnd of her own: {next}");
    alice.ask("set", "", &activity("<working/>")).await;
    bob.expect(&["<message", "<working/>"]).await;
    call(&served, "c2", true).await;
    let next = bob.expect(&["from='alice@example.org"]).await;
    assert!(next.contains("<body>Call"), "neither presence nor activity: {next}");
    bob.expect_nothing().await;
}

#[tokio::test]
async fn accounts_find_who_has_an_address() {
    let served = serve().await;
    served.server.attach_visibility(Arc::new(Everybody(FoundBy::Domain)));
    let mut bob = Client::online(&served, "bob", "b").await;
    let node = "urn:cusax:directory:0#lookup";
    for address in ["sip:alice@sip.example.org", "alice@example.org", "+33123456789"] {
        let found = command(&mut bob, node, &[("address", address)]).await;
        let is_whole = found.contains("alice@example.org") && found.contains("sip:alice@sip.example.org");
        assert!(is_whole, "{address}: {found}");
    }
    let none = command(&mut bob, node, &[("address", "+33123456")]).await;
    assert!(none.contains("type='error'") && none.contains("nobody here"), "{none}");
    for _ in 0..16 {
        command(&mut bob, node, &[("address", "nobody@example.org")]).await;
    }
    let limited = command(&mut bob, node, &[("address", "alice@example.org")]).await;
    assert!(limited.contains("resource-constraint"), "{limited}");
}

#[tokio::test]
async fn contacts_find_one_another_and_others_only_who_wants_to_be_found() {
    for (by, strangers, contacts) in
        [(None, true, true), (Some(FoundBy::Contacts), false, true), (Some(FoundBy::Nobody), false, false)]
    {
        let served = serve().await;
        if let Some(by) = by {
            served.server.attach_visibility(Arc::new(Everybody(by)));
        }
        let mut alice = Client::online(&served, "alice", "a").await;
        let mut bob = Client::online(&served, "bob", "b").await;
        let finds = async |alice: &mut Client| {
            let (directory, fields) = (format!("directory.{DOMAIN}"), "<nick>bob</nick>");
            let search = format!("<query xmlns='jabber:iq:search'>{fields}</query>");
            let found = alice.ask("set", &directory, &search).await.contains("jid='bob@example.org'");
            let numbered =
                command(alice, "urn:cusax:directory:0#lookup", &[("address", "+33123456780")]).await;
            assert_eq!(numbered.contains("bob@example.org"), found, "{numbered}");
            let named =
                command(alice, "urn:cusax:directory:0#lookup", &[("address", "bob@example.org")]).await;
            assert!(named.contains("sip:bob@sip.example.org"), "who knows the address: {named}");
            found
        };
        assert_eq!(finds(&mut alice).await, strangers, "{by:?}");
        // Who asks is no contact yet.
        alice.send("<presence type='subscribe' to='bob@example.org'/>").await;
        bob.expect(&["<presence", "type='subscribe'"]).await;
        assert_eq!(finds(&mut alice).await, strangers, "{by:?}");
        bob.send("<presence type='subscribed' to='alice@example.org'/>").await;
        alice.expect(&["<presence", "type='subscribed'"]).await;
        assert_eq!(finds(&mut alice).await, contacts, "{by:?}");
    }
}

#[tokio::test]
async fn contacts_see_by_which_address_somebody_is_called() {
    let served = serve().await;
    let telephone = Telephone::of(&served, "alice").await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    befriend(&mut alice, &mut bob).await;
    telephone.register().await;
    let reach = "<reach xmlns='urn:xmpp:reach:0'><addr uri='sip:alice@sip.example.org'/></reach>";
    bob.expect(&["<presence", "from='alice@example.org/a'", reach]).await;
    let callable = || {
        let families = served.registry.gather();
        let family = families.iter().find(|family| family.name() == "xmpp_server_callable_accounts");
        family.unwrap().get_metric()[0].get_gauge().get_value()
    };
    assert_eq!(callable(), 1.0, "bob has no telephone");
    alice.send("<presence><show>away</show></presence>").await;
    bob.expect(&["<presence", "<show>away", reach]).await;
    // It is refreshed, and nobody needs to hear of that.
    telephone.register().await;
    // Who comes later sees it too, and so do those who see another session.
    let mut desk = Client::login(&served, "alice", "desk").await;
    desk.send("<presence/>").await;
    bob.expect(&["<presence", "from='alice@example.org/desk'", reach]).await;
    let mut late = Client::login(&served, "bob", "late").await;
    late.send("<presence/>").await;
    late.expect(&["<presence", "from='alice@example.org/a'", reach]).await;
    // What a client says itself passes as it is.
    let own = "<reach xmlns='urn:xmpp:reach:0'><addr uri='tel:+1-303-555-1212'/></reach>";
    alice.send(&format!("<presence><status>room</status>{own}</presence>")).await;
    let said = bob.expect(&["<presence", "<status>room"]).await;
    assert!(said.contains(own) && !said.contains("sip:alice"), "{said}");
    telephone.suspend();
    loop {
        let heard = bob.expect(&["<presence", "from='alice@example.org/desk'"]).await;
        if !heard.contains("reach") {
            break;
        }
    }
    assert_eq!(callable(), 0.0);
}

/// RFC 7081 §3.1: that an address is reachable is looked at again, whatever facts were heard.
#[tokio::test]
async fn who_is_called_in_vain_is_found_without_a_fact() {
    let config = Config { reachability_period: Duration::from_millis(50), ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let telephone = Telephone::of(&served, "alice").await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    befriend(&mut alice, &mut bob).await;
    telephone.register().await;
    bob.expect(&["<presence", "from='alice@example.org/a'", "<reach"]).await;
    let call_id = "gone".to_owned();
    let update = BindingUpdate { call_id, remove_all: true, ..BindingUpdate::default() };
    served.store.bindings.commit(&telephone.aor, &update, unix_millis()).await.unwrap();
    let shown = bob.expect(&["<presence", "from='alice@example.org/a'"]).await;
    assert!(!shown.contains("<reach"), "{shown}");
    let uncallable = || {
        let families = served.registry.gather();
        let family = families.iter().find(|family| family.name() == "xmpp_server_uncallable_accounts");
        family.unwrap().get_metric()[0].get_gauge().get_value()
    };
    let both = async {
        while uncallable() < 2.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), both).await.expect("alice and bob");
}
