//! Accounts that are made, changed and ended in the client, and the links by which somebody is invited — XEP-0077, XEP-0401,
//! XEP-0379.

use std::time::Duration;

use shared_auth::{Opens, Profile};
use shared_model::{BareJid, Domains};
use shared_store::Store;
use xmpp_server::{Config, Invitations, InviteLinks};

use crate::common::{Client, DOMAIN, PASSWORD, Served, attribute, serve, serve_with};

fn query(inner: &str) -> String {
    format!("<query xmlns='jabber:iq:register'>{inner}</query>")
}

fn named(user: &str, password: &str) -> String {
    query(&format!("<username>{user}</username><password>{password}</password>"))
}

fn execute(node: &str) -> String {
    format!(
        "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#{node}' action='execute'/>"
    )
}

/// The value of a field of a form.
fn field(form: &str, var: &str) -> String {
    let rest = form.split(&format!("var='{var}'")).nth(1).unwrap_or_else(|| panic!("no {var} in {form}"));
    rest.split("<value>").nth(1).unwrap().split('<').next().unwrap().to_owned()
}

fn token(uri: &str) -> String {
    uri.split("preauth=").nth(1).unwrap().split(';').next().unwrap().to_owned()
}

fn open_invitations(served: &Served, by_everybody: bool) {
    let links = |text: &str, invite: &shared_auth::Invite| {
        let Opens::Account { user, .. } = &invite.opens else { panic!("{invite:?}") };
        let user = user.clone().unwrap_or_default();
        InviteLinks {
            uri: format!("xmpp:{user}@{DOMAIN}?roster;preauth={text};ibr=y"),
            page: format!("https://x/{text}"),
        }
    };
    served.server.open_invitations(Invitations { by_everybody, links: Box::new(links) });
}

async fn make_admin(served: &Served, user: &str) {
    let jid: BareJid = format!("{user}@{DOMAIN}").parse().unwrap();
    let card = served.auth.directory.by_jid(&jid).await.unwrap().unwrap();
    served.auth.book.set_profile(card.account, Profile { admin: true, ..Profile::default() }).await.unwrap();
}

#[tokio::test]
async fn where_the_operator_wants_it_anybody_makes_an_account_but_not_many() {
    let config = Config { registration: true, invitations: false, registrations: 2, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut dave = Client::connect_tls(&served).await;
    let features = dave.open().await;
    assert!(features.contains("features/iq-register") && !features.contains("ibr-token"), "{features}");
    let form = dave.ask("get", DOMAIN, &query("")).await;
    assert!(form.contains("<username") && form.contains("<password"), "{form}");
    for (user, password, why) in [
        ("dave", "", "not-acceptable"),
        ("dave", "password", "not-acceptable"),
        ("admin", PASSWORD, "not-acceptable"),
        ("d@ve", PASSWORD, "not-acceptable"),
        ("alice", PASSWORD, "conflict"),
    ] {
        let refused = dave.ask("set", DOMAIN, &named(user, password)).await;
        assert!(refused.contains(&format!("<{why}")), "{user}: {refused}");
    }
    assert!(dave.ask("set", DOMAIN, &named("dave", PASSWORD)).await.contains("type='result'"));
    let noted = served.store.archive.page("audit", &shared_store::Query::default()).await.unwrap();
    let noted: serde_json::Value = serde_json::from_slice(&noted.entries[0].body).unwrap();
    assert_eq!(
        (&noted["what"], &noted["from"], &noted["after"]["jid"]),
        (&"account created by registration".into(), &"127.0.0.1".into(), &"dave@example.org".into())
    );
    assert!(
        dave.ask("set", DOMAIN, &named("eve", PASSWORD)).await.contains("<not-acceptable"),
        "one a stream"
    );
    dave.prove("dave", PASSWORD).await;
    dave.bind("d").await;
    for (user, what) in [("erin", "type='result'"), ("frank", "<resource-constraint")] {
        let mut client = Client::connect_tls(&served).await;
        client.open().await;
        let answer = client.ask("set", DOMAIN, &named(user, PASSWORD)).await;
        assert!(answer.contains(what), "{user}: {answer}");
    }
}

/// XEP-0401 §6.2.
#[tokio::test]
async fn a_name_in_an_invitation_is_nobody_elses() {
    let config = Config { registration: true, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let opens = Opens::Account {
        user: Some("dave".to_owned()),
        domain: None,
        name: String::new(),
        admin: false,
        contact: None,
    };
    let (invites, domains) = (&served.auth.invites, Domains::new(DOMAIN, []));
    let (minute, now) = (Duration::from_secs(60), shared_runtime::unix_millis());
    let (_, invite) = invites.create(&domains, opens, None, minute, now).await.unwrap();
    let mut dave = Client::connect_tls(&served).await;
    dave.open().await;
    let refused = dave.ask("set", DOMAIN, &named("dave", PASSWORD)).await;
    assert!(refused.contains("<conflict"), "{refused}");
    assert!(invites.revoke(&invite.id).await.unwrap());
    assert!(dave.ask("set", DOMAIN, &named("dave", PASSWORD)).await.contains("type='result'"));
}

#[tokio::test]
async fn nobody_makes_an_account_uninvited_unless_the_operator_says_so() {
    let served = serve_with(Config { invitations: false, ..Config::default() }, Store::in_memory()).await;
    let mut dave = Client::connect_tls(&served).await;
    assert!(!dave.open().await.contains("iq-register"));
    dave.send(&format!("<iq type='set' id='1'>{}</iq>", named("dave", PASSWORD))).await;
    dave.expect_stream_error("not-authorized").await;
}

#[tokio::test]
async fn an_account_changes_its_password_and_ends_itself() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    crate::common::befriend(&mut alice, &mut bob).await;
    let said = alice.ask("get", "", &query("")).await;
    assert!(
        said.contains("<registered") && said.contains("<username>alice<") && !said.contains(PASSWORD),
        "{said}"
    );
    for (payload, why) in [
        (named("alice", ""), "bad-request"),
        (query("<password>another horse</password>"), "bad-request"),
        (named("bob", "another horse"), "forbidden"),
        (named("alice", "password"), "not-acceptable"),
        (query("<remove/><username>alice</username>"), "bad-request"),
    ] {
        let refused = alice.ask("set", DOMAIN, &payload).await;
        assert!(refused.contains(&format!("<{why}")), "{payload}: {refused}");
    }
    let mut thief = Client::online(&served, "alice", "elsewhere").await;
    let mut late = Client::connect(&served).await;
    late.authenticate("alice", PASSWORD).await;
    assert!(alice.ask("set", DOMAIN, &named("alice", "another horse")).await.contains("type='result'"));
    let noted = served.store.archive.page("audit", &shared_store::Query::default()).await.unwrap();
    let noted: serde_json::Value = serde_json::from_slice(&noted.entries[0].body).unwrap();
    assert_eq!(
        (&noted["what"], &noted["who"]),
        (&"password changed".into(), &"alice@sip.example.org".into())
    );
    thief.expect_stream_error("not-authorized").await;
    late.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").await;
    late.expect_stream_error("not-authorized").await;
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    assert!(alice.ask("get", DOMAIN, ping).await.contains("type='result'"), "who changed it goes on");
    let mut again = Client::connect(&served).await;
    again.authenticate("alice", "another horse").await;

    let jid: BareJid = "alice@example.org".parse().unwrap();
    let card = served.auth.directory.by_jid(&jid).await.unwrap().unwrap();
    let app = served.auth.book.add_app_password(card.account, "PHONE", 0).await.unwrap();
    let mut phone = Client::connect(&served).await;
    phone.authenticate("alice+PHONE", &app).await;
    phone.bind("p").await;
    for payload in [named("alice", "stolen horse"), query("<remove/>")] {
        assert!(
            phone.ask("set", DOMAIN, &payload).await.contains("<forbidden"),
            "an app password is not the account"
        );
    }
    assert!(alice.ask("set", "", &query("<remove/>")).await.contains("type='result'"));
    alice.expect_stream_error("not-authorized").await;
    bob.expect(&["<presence", "type='unsubscribed'", "from='alice@example.org'"]).await;
    assert!(served.auth.directory.by_jid(&jid).await.unwrap().is_none());
}

#[tokio::test]
async fn accounts_are_not_changed_in_band_where_the_operator_does_not_want_it() {
    let served = serve_with(Config { account_changes: false, ..Config::default() }, Store::in_memory()).await;
    let mut alice = Client::login(&served, "alice", "a").await;
    for payload in [named("alice", "another horse"), query("<remove/>")] {
        assert!(alice.ask("set", DOMAIN, &payload).await.contains("<not-allowed"));
    }
}

#[tokio::test]
async fn a_link_makes_contacts_of_who_has_an_account_and_of_who_makes_one() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    assert!(
        alice.ask("set", DOMAIN, &execute("invite")).await.contains("<item-not-found"),
        "nobody serves the pages"
    );
    open_invitations(&served, true);
    let items =
        "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>";
    let listed = alice.ask("get", DOMAIN, items).await;
    assert!(
        listed.contains("urn:xmpp:invite#invite") && !listed.contains("invite#create-account"),
        "{listed}"
    );
    let done = alice.ask("set", DOMAIN, &execute("invite")).await;
    assert!(done.contains("status='completed'") && done.contains("urn:xmpp:invite#invitation"), "{done}");
    assert!(field(&done, "expire").ends_with('Z'));
    let uri = field(&done, "uri");
    assert_eq!(field(&done, "landing-url"), format!("https://x/{}", token(&uri)));

    // Bob has an account.
    let mut bob = Client::online(&served, "bob", "b").await;
    let ask = |to: &str, token: &str| {
        format!(
            "<presence type='subscribe' to='{to}'><preauth xmlns='urn:xmpp:pars:0' token='{token}'/></presence>"
        )
    };
    bob.send("<presence type='subscribed' to='alice@example.org'/>").await;
    bob.send(&ask("alice@example.org", &token(&uri))).await;
    bob.expect(&["jid='alice@example.org'", "subscription='both'"]).await;
    alice.expect(&["jid='bob@example.org'", "subscription='both'"]).await;
    // It is spent, and a token is for whom it is.
    let mut carol = Client::online(&served, "carol", "c").await;
    carol.send(&ask("alice@example.org", &token(&uri))).await;
    alice.expect(&["<presence", "type='subscribe'", "from='carol@example.org'"]).await;
    let another = token(&field(&alice.ask("set", DOMAIN, &execute("invite")).await, "uri"));
    carol.send(&ask("bob@example.org", &another)).await;
    bob.expect(&["<presence", "type='subscribe'", "from='carol@example.org'"]).await;

    // Dave has none yet.
    let mut dave = Client::connect_tls(&served).await;
    dave.open().await;
    let show = format!("<preauth xmlns='urn:xmpp:pars:0' token='{another}'/>");
    assert!(dave.ask("set", DOMAIN, &show).await.contains("type='result'"), "it was not spent by that");
    assert!(dave.ask("set", DOMAIN, &named("dave", PASSWORD)).await.contains("type='result'"));
    dave.prove("dave", PASSWORD).await;
    dave.bind("d").await;
    dave.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    alice.expect(&["jid='dave@example.org'", "subscription='both'"]).await;
}

#[tokio::test]
async fn administrators_invite_to_accounts_of_a_name() {
    let served = serve().await;
    open_invitations(&served, false);
    let mut bob = Client::login(&served, "bob", "b").await;
    assert!(bob.ask("set", DOMAIN, &execute("invite")).await.contains("<item-not-found"), "not everybody");
    assert!(bob.ask("set", DOMAIN, &execute("create-account")).await.contains("<forbidden"));
    make_admin(&served, "alice").await;
    let mut alice = Client::login(&served, "alice", "a").await;
    let mut create = async |user: &str| {
        let form = alice.ask("set", DOMAIN, &execute("create-account")).await;
        let session = attribute(&form, "command", "sessionid");
        let submit = format!(
            "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#create-account' sessionid='{session}'>\
             <x xmlns='jabber:x:data' type='submit'><field var='username'><value>{user}</value></field></x></command>"
        );
        alice.ask("set", DOMAIN, &submit).await
    };
    assert!(create("bob").await.contains("type='error'"), "there is one");
    assert!(create("no name").await.contains("type='error'"));
    let uri = field(&create("juliet").await, "uri");
    assert!(uri.starts_with("xmpp:juliet@"), "{uri}");
    assert!(create("juliet").await.contains("type='error'"), "the invitation keeps the name");
    let mut juliet = Client::connect_tls(&served).await;
    juliet.open().await;
    juliet.ask("set", DOMAIN, &format!("<preauth xmlns='urn:xmpp:pars:0' token='{}'/>", token(&uri))).await;
    let other = juliet.ask("set", DOMAIN, &named("mallory", PASSWORD)).await;
    assert!(other.contains("<not-acceptable") && other.contains("juliet"), "{other}");
    assert!(juliet.ask("set", DOMAIN, &named("juliet", PASSWORD)).await.contains("type='result'"));
    juliet.prove("juliet", PASSWORD).await;
}
