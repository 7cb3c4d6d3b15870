//! Contacts that the service gives — shared groups of the domain in the roster (RFC 6121 §2, §2.6).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared_model::{Groups, Member, Pending, Unavailable};
use shared_store::Store;
use xmpp_server::Config;

use crate::common::{Client, Served, attribute, serve_with};

/// Who is in which group, as the test says.
#[derive(Default)]
struct Said(Mutex<Vec<Member>>);

impl Said {
    fn say(&self, all: &[(&str, &[&str])]) {
        let member = |name: &str, groups: &[&str]| Member {
            aor: format!("{name}@sip.example.org").parse().unwrap(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        *self.0.lock().unwrap() = all.iter().map(|(name, groups)| member(name, groups)).collect();
    }
}

impl Groups for Said {
    fn members<'a>(&'a self, _: &'a [String], most: usize) -> Pending<'a, Result<Vec<Member>, Unavailable>> {
        let said: Vec<_> = self.0.lock().unwrap().iter().take(most).cloned().collect();
        Box::pin(async move { Ok(said) })
    }
}

async fn serve_groups(said: &Arc<Said>) -> Served {
    let shared_groups = vec!["Sales".to_owned(), "Board".to_owned()];
    let config =
        Config { shared_groups, shared_groups_round: Duration::from_millis(20), ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    served.server.attach_groups(Arc::clone(said) as _);
    served
}

const ROSTER: &str = "<query xmlns='jabber:iq:roster' ver=''/>";

#[tokio::test]
async fn members_of_a_group_see_each_other_and_nobody_takes_one_out() {
    let said = Arc::new(Said::default());
    let served = serve_groups(&said).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let before = alice.ask("get", "", ROSTER).await;
    said.say(&[
        ("alice", &["Sales", "Board", "Hidden"]),
        ("bob", &["Sales", "Hidden"]),
        ("carol", &["Hidden"]),
    ]);

    // Both hear of it while they are here, and see each other.
    let push = alice.expect(&["jabber:iq:roster", "jid='bob@example.org'"]).await;
    assert!(push.contains("subscription='both'") && push.contains("<group>Sales</group>"), "{push}");
    assert!(push.contains("name='bob'") && !push.contains("Hidden") && !push.contains("Board"), "{push}");
    alice.expect(&["<presence", "from='bob@example.org/b'"]).await;
    bob.expect(&["<presence", "from='alice@example.org/a'"]).await;
    bob.send("<presence><show>dnd</show></presence>").await;
    alice.expect(&["<presence", "<show>dnd"]).await;

    // Versions are of what is shown.
    let after = alice.ask("get", "", ROSTER).await;
    assert!(after.contains("bob@example.org") && !after.contains("carol"), "{after}");
    let version = attribute(&after, "query", "ver");
    assert_ne!(version, attribute(&before, "query", "ver"));
    let same = alice.ask("get", "", &ROSTER.replace("ver=''", &format!("ver='{version}'"))).await;
    assert!(!same.contains("<query"), "nothing changed: {same}");

    // Whoever comes later sees who is here.
    let mut again = Client::login(&served, "alice", "later").await;
    again.send("<presence/>").await;
    again.expect(&["<presence", "from='bob@example.org/b'", "<show>dnd"]).await;

    let item =
        |inner: &str| format!("<query xmlns='jabber:iq:roster'><item jid='bob@example.org'{inner}/></query>");
    for inner in [" subscription='remove'", " name='Robert'"] {
        assert!(alice.ask("set", "", &item(inner)).await.contains("<not-allowed"), "{inner}");
    }
    for type_ in ["unsubscribe", "unsubscribed", "subscribe"] {
        alice.send(&format!("<presence type='{type_}' to='bob@example.org'/>")).await;
    }
    alice.ask("get", "example.org", "<ping xmlns='urn:xmpp:ping'/>").await;
    bob.send("<presence><show>xa</show></presence>").await;
    alice.expect(&["<presence", "<show>xa"]).await;

    said.say(&[("alice", &["Sales"]), ("bob", &["Board"])]);
    alice.expect(&["jabber:iq:roster", "jid='bob@example.org'", "subscription='remove'"]).await;
    alice.expect(&["<presence", "from='bob@example.org/b'", "type='unavailable'"]).await;
    assert!(!alice.ask("get", "", ROSTER).await.contains("bob@example.org"));
}

#[tokio::test]
async fn what_two_had_before_they_shared_a_group_is_there_again_afterwards() {
    let said = Arc::new(Said::default());
    let served = serve_groups(&said).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    crate::common::befriend(&mut alice, &mut bob).await;
    let item = "<item jid='bob@example.org' name='Bobby'><group>Friends</group></item>";
    alice.ask("set", "", &format!("<query xmlns='jabber:iq:roster'>{item}</query>")).await;
    said.say(&[("alice", &["Sales"]), ("bob", &["Sales"])]);
    let push = alice.expect(&["jid='bob@example.org'", "<group>Sales</group>"]).await;
    assert!(push.contains("name='Bobby'") && push.contains("<group>Friends</group>"), "{push}");
    said.say(&[]);
    let push = alice.expect(&["type='set'", "jid='bob@example.org'"]).await;
    assert!(push.contains("subscription='both'") && !push.contains("Sales"), "{push}");
    bob.send("<presence><show>dnd</show></presence>").await;
    let shown = alice.expect(&["<presence", "from='bob@example.org/b'"]).await;
    assert!(shown.contains("<show>dnd"), "they are friends still: {shown}");
}

#[tokio::test]
async fn of_several_fellows_the_last_push_alone_has_the_version_of_the_whole() {
    let said = Arc::new(Said::default());
    let served = serve_groups(&said).await;
    let mut alice = Client::online(&served, "alice", "a").await;
    said.say(&[("alice", &["Sales"]), ("bob", &["Sales"]), ("carol", &["Sales"])]);
    let first = alice.expect(&["type='set'", "jid='bob@example.org'"]).await;
    let second = alice.expect(&["type='set'", "jid='carol@example.org'"]).await;
    let [first, second] = [first, second].map(|push| attribute(&push, "query", "ver"));
    let roster = alice.ask("get", "", ROSTER).await;
    assert_eq!(second, attribute(&roster, "query", "ver"));
    // Who missed the second one is not up to date.
    assert_ne!(first, second);
    let missed = alice.ask("get", "", &ROSTER.replace("ver=''", &format!("ver='{first}'"))).await;
    assert!(missed.contains("carol@example.org"), "{missed}");
}
