//! Invitations over real HTTPS, as browsers, crawlers and liars use them.

use std::time::Duration;

use crate::common::{House, house, house_with};
use shared_auth::Opens;
use shared_runtime::unix_millis;

const WEEK: Duration = Duration::from_secs(7 * 86_400);

async fn invite(house: &House, name: &str, contact: Option<&str>) -> String {
    let contact = contact.map(|jid| jid.parse().unwrap());
    let opens = Opens::Account { user: None, domain: None, name: name.to_owned(), admin: false, contact };
    house
        .auth
        .invites
        .create(&shared_model::Domains::new("example.org", []), opens, None, WEEK, unix_millis())
        .await
        .unwrap()
        .0
}

#[tokio::test]
async fn looking_spends_nothing_and_filling_in_the_form_makes_the_account() {
    let house = house("invite").await;
    let token = invite(&house, "", Some("wonder@example.org")).await;
    for _ in 0..3 {
        let page = house.ask(&format!("GET /invite/{token}"), "").await;
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("<svg"), "{page}");
        assert!(page.contains(&format!("xmpp:wonder@example.org?roster;preauth={token};ibr=y")), "{page}");
        assert!(house.ask(&format!("HEAD /invite/{token}"), "").await.starts_with("HTTP/1.1 200"));
    }
    let path = format!("POST /invite/{token}");
    for (form, field, rule) in [
        ("user=bob&password=password1", "password", "among the first that are guessed"),
        ("user=b%2Bb&password=correct-horse-battery", "user", "letters a to z"),
        ("user=postmaster&password=correct-horse-battery", "user", "kept for the operator"),
        ("user=alice&password=correct-horse-battery", "user", "somebody has this name already"),
        ("", "user", "a user name is missing"),
    ] {
        let page = house.ask(&path, form).await;
        assert!(page.starts_with("HTTP/1.1 422") && page.contains(rule), "{form}: {page}");
        let input = page.split(&format!("<input id=\"{field}\"")).nth(1).unwrap().split('>').next().unwrap();
        assert!(input.contains("aria-invalid=\"true\"") && !page.contains("correct-horse"), "{input}");
    }
    for foreign in ["Origin: https://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        let headers = format!("Content-Type: application/x-www-form-urlencoded\r\n{foreign}");
        let page = house.send(&path, &headers, "user=eve&password=correct-horse-battery").await;
        assert!(page.starts_with("HTTP/1.1 403"), "{page}");
    }
    let done = house.ask(&path, "user=bob&name=Bob&password=correct-horse-battery").await;
    assert!(done.starts_with("HTTP/1.1 200") && done.contains("bob@example.org"), "{done}");
    assert!(done.contains("https://localhost:") && done.contains("/provision/linphone.xml?token="), "{done}");
    let bob = house.auth.directory.by_aor(&"bob@example.org".parse().unwrap()).await.unwrap().unwrap();
    let (_, change) = house.auth.audit.page(None, 1).await.unwrap().remove(0);
    assert_eq!(change["what"], "account created by invitation");
    assert!(change["before"].is_null() && change["after"]["name"] == "Bob", "{change}");
    assert_eq!(
        house.auth.invites.take_contact(bob.account).await.unwrap().unwrap().as_str(),
        "wonder@example.org"
    );
    let spent = house.ask(&path, "user=eve&password=correct-horse-battery").await;
    let forged = house.ask("GET /invite/abcdefghijkmnpqrstuvwxyz23", "").await;
    let body = |answer: &str| answer.split("\r\n\r\n").nth(1).map(str::to_owned);
    assert!(spent.starts_with("HTTP/1.1 404") && body(&spent) == body(&forged), "{spent}\n{forged}");
    let domains = shared_model::Domains::new("example.org", []);
    let opens = Opens::Account { user: None, domain: None, name: String::new(), admin: false, contact: None };
    let before = unix_millis() - 2 * i64::try_from(WEEK.as_millis()).unwrap();
    let (old, _) = house.auth.invites.create(&domains, opens, None, WEEK, before).await.unwrap();
    let expired = house.ask(&format!("GET /invite/{old}"), "").await;
    assert!(expired.starts_with("HTTP/1.1 404") && body(&expired) == body(&forged), "{expired}\n{forged}");
}

#[tokio::test]
async fn a_password_is_reset_by_link_and_nothing_else_is_made_by_it() {
    let house = house("reset").await;
    let opens = Opens::Password { account: house.alice };
    let (token, _) = house
        .auth
        .invites
        .create(&shared_model::Domains::new("example.org", []), opens, None, WEEK, unix_millis())
        .await
        .unwrap();
    assert!(
        house.ask(&format!("GET /invite/{token}"), "").await.contains("A new password for alice@example.org")
    );
    let done = house.ask(&format!("POST /invite/{token}"), "user=eve&password=correct-horse-battery").await;
    assert!(done.starts_with("HTTP/1.1 200"), "{done}");
    assert!(house.ask("GET /provision/cusax.json @BASIC@", "").await.starts_with("HTTP/1.1 401"));
    assert!(house.auth.directory.by_aor(&"eve@example.org".parse().unwrap()).await.unwrap().is_none());
}

#[tokio::test]
async fn pages_hold_nothing_that_others_wrote_and_nothing_from_elsewhere() {
    let house = house("hostile").await;
    let name = "</dd><script>alert(1)</script>\" onload='x' ${jndi:x}";
    let token = invite(&house, name, None).await;
    let page = house.ask(&format!("GET /invite/{token}"), "").await;
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
    let form = "user=%3Cscript%3E&name=%22%3E%3Cscript%3E&password=x";
    let page = house.ask(&format!("POST /invite/{token}"), form).await;
    assert!(page.starts_with("HTTP/1.1 422") && !page.contains("<script>"), "{page}");
    for guard in [
        "content-security-policy: default-src 'none'",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "x-frame-options: DENY",
        "referrer-policy: same-origin",
        "cache-control: no-store",
    ] {
        assert!(page.contains(guard), "{guard}");
    }
    assert!(page.len() < 60 * 1024);
    for path in ["/invite/%3Cscript%3E", "/invite/..%2f..%2fetc%2fpasswd", "/invite/%00"] {
        let page = house.ask(&format!("GET {path}"), "").await;
        assert!(page.starts_with("HTTP/1.1 404") && !page.contains("<script>"), "{page}");
    }
    let at = page.split("<link rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let style = house.ask(&format!("GET {at}"), "").await;
    assert!(style.contains("public, max-age") && !style.contains("http:"), "{style}");
}

#[tokio::test]
async fn who_guesses_invitations_is_told_to_wait() {
    let house = house("guess").await;
    let mut last = String::new();
    for _ in 0..12 {
        last = house.ask("GET /invite/guess", "").await;
    }
    assert!(last.starts_with("HTTP/1.1 429") && last.contains("retry-after"), "{last}");
    // Whoever has one, in the same network, does not.
    let token = invite(&house, "", None).await;
    let page = house.ask(&format!("GET /invite/{token}"), "").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
}

#[tokio::test]
async fn an_invitation_does_not_tell_of_many_names_whether_they_are_taken() {
    let house = house("names").await;
    let mut last = String::new();
    let token = invite(&house, "", None).await;
    for _ in 0..12 {
        last = house.ask(&format!("POST /invite/{token}"), "user=alice&password=correct-horse-battery").await;
    }
    assert!(last.starts_with("HTTP/1.1 429"), "{last}");
}

#[tokio::test]
async fn who_invited_takes_an_open_invitation_back_and_nobody_elses() {
    let house = house("taken-back").await;
    let token = |scopes: &'static [&'static str]| {
        let holder = (house.alice, shared_auth::Holder::Person);
        let bearers = house.auth.bearers.clone();
        async move { bearers.issue(holder, "test", scopes, WEEK, unix_millis()).await.unwrap().0 }
    };
    let (reads, writes) = (token(&["account:read"]).await, token(&["account:read", "account:write"]).await);
    let (status, made) = house.call(&writes, "POST /api/v1/account/invites", "{}").await;
    assert_eq!(status, 200, "{made}");
    let link = made["link"].as_str().unwrap();
    let page = format!("GET {}", &link[link.find("/invite/").unwrap()..]);
    assert!(house.ask(&page, "").await.starts_with("HTTP/1.1 200"));
    invite(&house, "the operator's", None).await;
    let all = house.auth.invites.list(unix_millis()).await.unwrap();
    let others = all.iter().find(|invite| invite.by.is_none()).unwrap();
    let path = |id: &str| format!("DELETE /api/v1/account/invites/{id}");
    let own = made["invite"]["id"].as_str().unwrap();

    assert_eq!(house.call(&writes, &path(&others.id), "").await.0, 404, "it is not hers");
    assert_eq!(house.call(&reads, &path(own), "").await.0, 403);
    let (cookie, key) = crate::common::sign_in(&house).await;
    let account = house.send("GET /account", &cookie, "").await;
    assert!(account.contains(own) && !account.contains(&others.id), "{account}");
    assert!(account.contains("example.org wonder@example.org</td>"), "{account}");
    assert_eq!(house.call(&writes, &path(own), "").await.0, 204);
    assert_eq!(house.call(&writes, &path(own), "").await.0, 404);
    assert!(house.ask(&page, "").await.starts_with("HTTP/1.1 404"), "the link is of no use");
    assert_eq!(house.auth.invites.list(unix_millis()).await.unwrap(), std::slice::from_ref(others));

    // The same by the button.
    let (_, made) = house.call(&writes, "POST /api/v1/account/invites", "{}").await;
    let own = made["invite"]["id"].as_str().unwrap();
    let form = format!("key={key}&back=/account&path.id={own}&sure=yes");
    let headers = format!("{cookie}Content-Type: application/x-www-form-urlencoded\r\n");
    let done = house.send("POST /do/revokeOwnInvite", &headers, &form).await;
    assert!(done.contains("location: /account?done=revokeOwnInvite"), "{done}");
    assert_eq!(house.auth.invites.list(unix_millis()).await.unwrap(), std::slice::from_ref(others));
    house
        .auth
        .book
        .set_profile(house.alice, shared_auth::Profile { admin: true, ..Default::default() })
        .await
        .unwrap();
    let admin = token(&["admin:read"]).await;
    let (_, audit) = house.call(&admin, "GET /api/v1/audit?max=1", "").await;
    let entry = &audit["changes"][0];
    assert_eq!((&entry["what"], &entry["on"]), (&"invitation taken back".into(), &own.into()), "{audit}");
    assert_eq!(entry["before"]["kind"], "account", "{audit}");
}

#[tokio::test]
async fn where_people_do_not_invite_there_is_no_form_and_no_operation() {
    let house = house_with("policy", |parts| parts.config.users_invite = false).await;
    let (holder, scopes) = ((house.alice, shared_auth::Holder::Person), ["account:write"]);
    let (token, _) = house.auth.bearers.issue(holder, "test", &scopes, WEEK, unix_millis()).await.unwrap();
    let (status, refused) = house.call(&token, "POST /api/v1/account/invites", "{}").await;
    assert_eq!((status, &refused["detail"]), (403, &"only administrators invite here".into()), "{refused}");
    let (cookie, key) = crate::common::sign_in(&house).await;
    let page = house.send("GET /account", &cookie, "").await;
    assert!(!page.contains("/do/inviteContact"), "{page}");
    let headers = format!("{cookie}Content-Type: application/x-www-form-urlencoded\r\n");
    let refused = house.send("POST /do/inviteContact", &headers, &format!("key={key}&back=/account")).await;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    assert!(house.auth.invites.list(unix_millis()).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_authority_of_the_services_own_is_on_the_page_that_sets_devices_up() {
    let pem = "-----BEGIN CERTIFICATE-----";
    let with = house_with("authority", |parts| parts.ca = Some(pem.to_owned())).await;
    let without = house("public-authority").await;
    for (house, is_named) in [(&with, true), (&without, false)] {
        let token = invite(house, "", None).await;
        let form = "user=bob&password=correct-horse-battery";
        let welcome = house.ask(&format!("POST /invite/{token}"), form).await;
        let (cookie, _) = crate::common::sign_in(house).await;
        let setup = house.send("GET /account/setup", &cookie, "").await;
        for page in [welcome, setup] {
            assert!(page.starts_with("HTTP/1.1 200"), "{page}");
            assert_eq!(page.contains("<a href=\"/provision/ca.pem\""), is_named, "{page}");
        }
    }
    assert!(with.send("GET /provision/ca.pem", "", "").await.ends_with(pem));
}
