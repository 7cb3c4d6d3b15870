//! Several domains in one service: whoever has the same name in two of them is two people.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use shared_auth::{Keepers, LdapConfig, NewAccount, OidcConfig, Opens, Profile};
use shared_model::{Aor, BareJid, FoundBy};
use xmpp_server::{Config, Invitations, InviteLinks, PlainFor};

use crate::common::{Client, DOMAIN, Everybody, PASSWORD, ROOMS, Served, Site, serve_site};

const OTHER: &str = "example.net";
const SECRET: &str = "another pencil";

/// alice, bob and carol of the main domain, and one more bob of another.
async fn serve() -> Served {
    let served = serve_site(Site { others: vec![OTHER], ..Site::default() }).await;
    let (aor, jid) = (Aor::new("bob", OTHER).unwrap(), BareJid::new("bob", OTHER).unwrap());
    let profile = Profile { name: "Robert".to_owned(), ..Profile::default() };
    served.auth.book.create(NewAccount { aor, jid, profile }, SECRET).await.unwrap();
    served
}

async fn bob_of_other(served: &Served) -> Client {
    let mut bob = Client::connect(served).await.to(OTHER);
    bob.authenticate("bob", SECRET).await;
    bob.bind("there").await;
    bob.send("<presence/>").await;
    bob.expect(&["<presence", "from='bob@example.net/there'"]).await;
    bob
}

#[tokio::test]
async fn a_stream_is_for_the_domain_that_it_names() {
    let served = serve().await;
    let mut namesake = Client::connect(&served).await.to(OTHER);
    namesake.open().await;
    let proof = BASE64_STANDARD.encode(format!("\0bob\0{PASSWORD}")); // of the main domain
    namesake
        .send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>"))
        .await;
    namesake.expect(&["<failure", "not-authorized"]).await;
    let mut nowhere = Client::connect(&served).await.to("example.com");
    nowhere.send("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>").await;
    nowhere.expect(&["host-unknown"]).await;
    let mut bob = bob_of_other(&served).await;
    // After the proof there is no other domain.
    bob.send("<iq type='get' id='p' to='example.net'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    bob.expect(&["id='p'", "type='result'", "from='example.net'"]).await;
    bob.send(
        "<iq type='get' id='d' to='example.net'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    )
    .await;
    bob.expect(&["id='d'", "from='example.net'", ROOMS]).await;
}

#[tokio::test]
async fn neighbours_talk_and_see_each_other_without_leaving_the_service() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut namesake = Client::online(&served, "bob", "here").await;
    let mut bob = bob_of_other(&served).await;
    alice.send("<message to='bob@example.net' type='chat' id='1'><body>to there</body></message>").await;
    bob.expect(&["from='alice@example.org/a'", "to there"]).await;
    bob.send("<message to='alice@example.org' type='chat' id='2'><body>and back</body></message>").await;
    alice.expect(&["from='bob@example.net/there'", "and back"]).await;
    alice.send("<presence type='subscribe' to='bob@example.net'/>").await;
    bob.expect(&["type='subscribe'", "from='alice@example.org'"]).await;
    bob.send("<presence type='subscribed' to='alice@example.org'/>").await;
    alice.expect(&["<presence", "from='bob@example.net/there'"]).await;
    alice
        .send("<message to='bob@example.org' type='chat' id='3'><body>first of yours</body></message>")
        .await;
    let first = namesake.expect(&["<message"]).await;
    assert!(first.contains("first of yours"), "nothing of the other bob's came here: {first}");
}

#[tokio::test]
async fn everybody_meets_in_the_rooms_of_the_main_domain() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = bob_of_other(&served).await;
    let join = |nick: &str| {
        format!("<presence to='club@{ROOMS}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    };
    alice.send(&join("alice")).await;
    alice.expect(&["<presence", "code='110'"]).await;
    alice.send(&format!("<iq type='set' id='o' to='club@{ROOMS}'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")).await;
    alice.expect(&["id='o'", "type='result'"]).await;
    bob.send(&join("robert")).await;
    bob.expect(&["<presence", "code='110'"]).await;
    bob.send(&format!("<message to='club@{ROOMS}' type='groupchat'><body>all of us</body></message>")).await;
    alice.expect(&["groupchat", "all of us"]).await;
}

#[tokio::test]
async fn a_directory_shows_people_of_ones_own_domain() {
    let served = serve().await;
    served.server.attach_visibility(Arc::new(Everybody(FoundBy::Domain)));
    let mut alice = Client::online(&served, "alice", "a").await;
    let mut bob = bob_of_other(&served).await;
    for (asker, finds, passes_over) in
        [(&mut alice, "bob@example.org", "bob@example.net"), (&mut bob, "bob@example.net", "bob@example.org")]
    {
        asker
            .send(&format!(
                "<iq type='set' id='s' to='directory.{DOMAIN}'><query xmlns='jabber:iq:search'><x xmlns='jabber:x:data' type='submit'>\
                 <field var='nick'><value>bob</value></field></x></query></iq>"
            ))
            .await;
        let found = asker.expect(&["id='s'"]).await;
        assert!(found.contains(finds) && !found.contains(passes_over), "{found}");
    }
}

#[tokio::test]
async fn an_invitation_makes_an_account_of_its_domain_and_is_none_in_another() {
    let served = serve().await;
    let links = |text: &str, invite: &shared_auth::Invite| {
        let Opens::Account { domain, .. } = &invite.opens else { panic!("{invite:?}") };
        InviteLinks { uri: text.to_owned(), page: domain.clone().unwrap_or_default() }
    };
    served.server.open_invitations(Invitations { by_everybody: true, links: Box::new(links) });
    let mut bob = bob_of_other(&served).await;
    let command = "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite' action='execute'/>";
    let done = bob.ask("set", OTHER, command).await;
    let value = |var: &str| {
        let rest = done.split(&format!("var='{var}'")).nth(1).unwrap_or_else(|| panic!("no {var} in {done}"));
        rest.split("<value>").nth(1).unwrap().split('<').next().unwrap().to_owned()
    };
    assert_eq!(value("landing-url"), OTHER);
    let show = format!("<preauth xmlns='urn:xmpp:pars:0' token='{}'/>", value("uri"));
    let make = format!(
        "<query xmlns='jabber:iq:register'><username>dave</username><password>{PASSWORD}</password></query>"
    );
    let mut astray = Client::connect_tls(&served).await;
    astray.open().await;
    assert!(astray.ask("set", DOMAIN, &show).await.contains("<item-not-found"));
    let mut dave = Client::connect_tls(&served).await.to(OTHER);
    dave.open().await;
    assert!(dave.ask("set", OTHER, &show).await.contains("type='result'"));
    assert!(dave.ask("set", OTHER, &make).await.contains("type='result'"));
    let is_there =
        async |jid: &str| served.auth.directory.by_jid(&jid.parse().unwrap()).await.unwrap().is_some();
    assert!(is_there("dave@example.net").await && !is_there("dave@example.org").await);
}

/// Mechanisms are offered before a name is: so by the domain that the stream is for.
#[tokio::test]
async fn a_directory_takes_scram_from_its_own_domain_alone() {
    let served = serve().await;
    let nowhere = LdapConfig { url: Some("ldap://127.0.0.1:1".to_owned()), ..LdapConfig::default() };
    let keepers = [
        Keepers { domain: DOMAIN, ldap: &LdapConfig::default(), oidc: &OidcConfig::default() },
        Keepers { domain: OTHER, ldap: &nowhere, oidc: &OidcConfig::default() },
    ];
    let _changes = served.auth.look_outside(DOMAIN, &keepers, &served.tls, &served.shutdown).unwrap();
    let offered = async |domain: &str| Client::connect(&served).await.to(domain).open().await;
    let (ours, theirs) = (offered(DOMAIN).await, offered(OTHER).await);
    assert!(ours.contains("<mechanism>SCRAM-SHA-256</mechanism>"), "{ours}");
    assert!(!theirs.contains("SCRAM-") && theirs.contains("<mechanism>PLAIN</mechanism>"), "{theirs}");
    // Where the password itself may be sent to a directory alone, its domain is that.
    let config = Config { plain: PlainFor::Directory, ..Config::default() };
    let strict = serve_site(Site {
        others: vec![OTHER],
        config: Config { s2s: Vec::new(), ..config },
        ..Site::default()
    })
    .await;
    let _changes = strict.auth.look_outside(DOMAIN, &keepers, &strict.tls, &strict.shutdown).unwrap();
    let offered = async |domain: &str| Client::connect(&strict).await.to(domain).open().await;
    let (ours, theirs) = (offered(DOMAIN).await, offered(OTHER).await);
    assert!(ours.contains("<mechanism>SCRAM-SHA-256</mechanism>") && !ours.contains("PLAIN"), "{ours}");
    assert!(!theirs.contains("SCRAM-") && theirs.contains("<mechanism>PLAIN</mechanism>"), "{theirs}");
    // Who is ours alone there has the password that they had.
    let _bob = bob_of_other(&served).await;
}
