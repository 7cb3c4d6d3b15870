//! Several domains behind one face: who is invited to one is of that one, and a name without a domain is of the one that was asked.

use std::time::Duration;

use crate::common::{House, basic, house, sign_in};
use shared_auth::{Holder, NewAccount, Opens, Profile};
use shared_model::AccountId;
use shared_runtime::unix_millis;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const THERE: &str = "Host: Example.Net\r\n";
const GOOD: &str = "correct-horse-battery";

/// An alice of the other domain, who is somebody else.
async fn alice_of_other(house: &House) -> AccountId {
    let new = NewAccount {
        aor: "alice@example.net".parse().unwrap(),
        jid: "alice@example.net".parse().unwrap(),
        profile: Profile::default(),
    };
    house.auth.book.create(new, "crayon").await.unwrap().account
}

async fn token(house: &House, account: AccountId, scopes: &[&str]) -> String {
    let (holder, hour) = ((account, Holder::Person), Duration::from_secs(3600));
    house.auth.bearers.issue(holder, "test", scopes, hour, unix_millis()).await.unwrap().0
}

async fn is_there(house: &House, address: &str) -> bool {
    house.auth.directory.by_aor(&address.parse().unwrap()).await.unwrap().is_some()
}

#[tokio::test]
async fn an_invitation_says_of_which_domain_the_account_will_be() {
    let house = house("domains-invite").await;
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let admin = token(&house, house.alice, &["admin:read", "admin:write"]).await;
    let ask = "{\"user\":\"bob\",\"domain\":\"Example.net\"}";
    let (status, made) = house.call(&admin, "POST /api/v1/invites", ask).await;
    assert_eq!((status, &made["invite"]["domain"]), (200, &"example.net".into()), "{made}");
    let xmpp = made["xmpp"].as_str().unwrap();
    assert!(xmpp.starts_with("xmpp:bob@example.net?register;preauth="), "{xmpp}");
    let text = xmpp.split("preauth=").nth(1).unwrap();
    let page = house.ask(&format!("GET /invite/{text}"), "").await;
    assert!(page.contains("Welcome to example.net") && page.contains("bob@example.net"), "{page}");
    let done = house.ask(&format!("POST /invite/{text}"), &format!("user=bob&password={GOOD}")).await;
    assert!(done.starts_with("HTTP/1.1 200") && done.contains("bob@example.net"), "{done}");
    assert!(is_there(&house, "bob@example.net").await && !is_there(&house, "bob@example.org").await);
    let (status, problem) = house.call(&admin, "POST /api/v1/invites", "{\"domain\":\"example.com\"}").await;
    assert_eq!((status, &problem["field"]), (422, &"domain".into()), "{problem}");
    let (_, main) = house.call(&admin, "POST /api/v1/invites", "{\"user\":\"bob\",\"domain\":\"\"}").await;
    assert!(main["xmpp"].as_str().unwrap().starts_with("xmpp:bob@example.org?register"), "{main}");

    // Whoever invites a contact has them beside them.
    let other = alice_of_other(&house).await;
    let own = token(&house, other, &["account:write"]).await;
    let (_, made) = house.call(&own, "POST /api/v1/account/invites", "").await;
    assert!(made["xmpp"].as_str().unwrap().starts_with("xmpp:alice@example.net?roster;preauth="), "{made}");
    assert_eq!(made["invite"]["domain"], "example.net");

    // One to a domain that is served no more is good for nothing.
    let opens = Opens::Account {
        user: None,
        domain: Some("gone.example".to_owned()),
        name: String::new(),
        admin: false,
        contact: None,
    };
    let day = Duration::from_secs(86_400);
    let (text, _) = house
        .auth
        .invites
        .create(&shared_model::Domains::new("example.org", []), opens, None, day, unix_millis())
        .await
        .unwrap();
    for head in ["GET", "POST"] {
        let page = house.ask(&format!("{head} /invite/{text}"), &format!("user=eve&password={GOOD}")).await;
        assert!(page.starts_with("HTTP/1.1 404"), "{page}");
    }
}

#[tokio::test]
async fn an_administrator_chooses_the_domain_by_a_form() {
    let house = house("domains-form").await;
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (cookie, key) = sign_in(&house).await;
    let page = house.send("GET /admin/invites", &cookie, "").await;
    assert!(page.contains("<option value=\"example.net\">"), "{page}");
    assert!(page.contains("<option value=\"example.org\" selected>"), "{page}");
    let form = format!("key={key}&back=/admin/invites&user=&name=&days=2&domain=example.net");
    let done = house.send("POST /do/createInvite", &format!("{FORM}{cookie}"), &form).await;
    assert!(done.contains("xmpp:example.net?register;preauth="), "{done}");
}

#[tokio::test]
async fn a_name_without_a_domain_is_of_the_domain_that_was_asked() {
    let house = house("domains-names").await;
    alice_of_other(&house).await;
    let json = "GET /provision/cusax.json";
    let fetch = async |host: &str, pair: &str| house.send(json, &format!("{host}{}", basic(pair)), "").await;
    let hers = fetch("", "alice:pencil").await;
    assert!(hers.contains("sip:alice@example.org"), "{hers}");
    assert!(fetch("", "alice:crayon").await.starts_with("HTTP/1.1 401"));
    let there = fetch(THERE, "alice:crayon").await;
    assert!(
        there.contains("sip:alice@example.net") && there.contains("\"realm\":\"example.net\""),
        "{there}"
    );
    assert!(fetch("Host: example.net:8443\r\n", "alice:crayon").await.starts_with("HTTP/1.1 200"));
    assert!(fetch("", "alice@example.net:crayon").await.contains("sip:alice@example.net"));
    assert!(fetch(THERE, "alice:pencil").await.starts_with("HTTP/1.1 401"));
    for nobodys in ["Host: example.com\r\n", "Host: [::1]:8443\r\n", "Host: \r\n"] {
        assert!(fetch(nobodys, "alice:pencil").await.contains("sip:alice@example.org"), "{nobodys}");
    }
    let page = house.send("GET /sign-in", THERE, "").await;
    assert!(page.contains("alice@example.net"), "{page}");
    let entered = house.send("POST /sign-in", &format!("{FORM}{THERE}"), "user=alice&password=crayon").await;
    assert!(entered.starts_with("HTTP/1.1 303"), "{entered}");
    let cookie = entered.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    let page = house.send("GET /account", &format!("{THERE}{cookie}"), "").await;
    assert!(page.contains("alice@example.net"), "{page}");
}

#[tokio::test]
async fn who_is_looked_for_is_found_in_their_domain() {
    let house = house("domains-finger").await;
    alice_of_other(&house).await;
    let finger = async |resource: &str, proof: &str| {
        house.send(&format!("GET /.well-known/webfinger?resource={resource}"), proof, "").await
    };
    for domain in ["example.org", "example.net"] {
        assert!(finger(&format!("acct:x@{domain}"), "").await.contains("urn:cusax:provisioning"));
    }
    assert!(finger("acct:alice@example.com", "").await.starts_with("HTTP/1.1 404"));
    let there = finger("acct:alice@example.net", &basic("alice:crayon")).await;
    assert!(there.contains("xmpp:alice@example.net"), "the name is of the resource's domain: {there}");
    let foreign = finger("acct:alice@example.net", &basic("alice@example.org:pencil")).await;
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
    let meta = house.send("GET /.well-known/host-meta", THERE, "").await;
    assert!(meta.contains("/.well-known/webfinger?resource={uri}"), "{meta}");
}

#[tokio::test]
async fn no_link_holds_a_host_that_is_not_ours() {
    let house = house("domains-evil").await;
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (cookie, key) = sign_in(&house).await;
    let headers = format!("{FORM}{cookie}Host: evil.example\r\n");
    let admin = token(&house, house.alice, &["admin:read", "admin:write"]).await;
    let bearer =
        format!("Authorization: Bearer {admin}\r\nContent-Type: application/json\r\nHost: evil.example\r\n");
    for (head, headers, body) in [
        ("GET /sign-in", &headers, ""),
        ("GET /account", &headers, ""),
        ("GET /account/setup", &headers, ""),
        ("GET /nowhere", &headers, ""),
        ("POST /do/createInvite", &headers, &*format!("key={key}&back=/admin/invites&user=&name=&days=2")),
        ("POST /api/v1/invites", &bearer, "{}"),
        ("GET /.well-known/host-meta", &headers, ""),
        ("GET /.well-known/host-meta.json", &headers, ""),
        ("GET /.well-known/webfinger?resource=acct:alice@example.org", &headers, ""),
    ] {
        let answer = house.send(head, headers, body).await;
        assert!(answer.starts_with("HTTP/1.1 ") && !answer.contains("evil.example"), "{head}: {answer}");
    }
}
