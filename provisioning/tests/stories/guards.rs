//! What every answer says to browsers, whatever it is: it is what it says, it is in no frame, and what is private is kept nowhere.

use std::time::Duration;

use crate::common::{basic, house_with, sign_in};
use shared_auth::{Opens, Profile};
use shared_runtime::unix_millis;

#[tokio::test]
async fn each_answer_has_its_guards() {
    let house = house_with("guards", |parts| parts.ca = Some("-----BEGIN CERTIFICATE-----".to_owned())).await;
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (cookie, _) = sign_in(&house).await;
    let opens = Opens::Account { user: None, domain: None, name: String::new(), admin: false, contact: None };
    let (domains, day) = (shared_model::Domains::new("example.org", []), Duration::from_secs(86_400));
    let (token, _) = house.auth.invites.create(&domains, opens, None, day, unix_millis()).await.unwrap();
    let page = house.send("GET /sign-in", "", "").await;
    let asset = |before: &str| page.split(before).nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (style, script) = (asset("<link rel=\"stylesheet\" href=\""), asset("<script src=\""));
    let (invite, proof, long) = (format!("/invite/{token}"), basic("alice:pencil"), "x".repeat(9000));
    let (private, public) = (true, false);
    for (head, headers, body, status, is_private) in [
        ("GET /sign-in", "", "", "200", private),
        (&*format!("GET {invite}"), "", "", "200", private),
        ("GET /invite/forged", "", "", "404", private),
        ("GET /account", &cookie, "", "200", private),
        ("GET /account/setup", &cookie, "", "200", private),
        ("GET /account", "", "", "303", private),
        ("GET /admin", &cookie, "", "200", private),
        (&*format!("GET {style}"), "", "", "200", public),
        (&*format!("GET {script}"), "", "", "200", public),
        ("POST /do/x", &cookie, "", "4", private),
        ("GET /api/v1/account", "", "", "401", private),
        ("GET /api/v1/openapi.json", "", "", "200", public),
        ("GET /provision/cusax.json", "", "", "401", private),
        ("GET /provision/cusax.json", &proof, "", "200", private),
        ("GET /provision/ca.pem", "", "", "200", public),
        ("GET /.well-known/webfinger?resource=acct:alice@example.org", "", "", "200", public),
        ("PROPFIND /directory/dav/", "", "", "401", public),
        ("GET /nowhere", "Accept: text/html\r\n", "", "404", public),
        ("POST /sign-in", "", &long, "413", public),
    ] {
        let answer = house.send(head, headers, body).await;
        let (top, _) = answer.split_once("\r\n\r\n").unwrap();
        assert!(top.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {top}");
        assert!(
            top.contains("x-content-type-options: nosniff") && !top.contains("\nserver:"),
            "{head}: {top}"
        );
        assert!(!is_private || top.contains("cache-control: no-store"), "{head}: {top}");
        if top.contains("content-type: text/html") {
            assert!(top.contains("content-security-policy: default-src 'none'"), "{head}: {top}");
            assert!(top.contains("x-frame-options: DENY"), "{head}: {top}");
        }
    }
}
