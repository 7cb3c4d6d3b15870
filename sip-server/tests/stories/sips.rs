//! Calls by `sips:` URIs — RFC 5630 §5.3: TLS on every hop, or 480 with Warning 380.

use crate::common::{DOMAIN, Line, PASSWORD, Phone, Served, serve};
use sip_core::header::Name;

/// bob over TLS, with a contact of this scheme.
async fn bob(served: &Served, scheme: &str) -> Phone {
    let line = Line::tls(served.server.bound().tls[0], served.roots.clone(), None).await;
    let phone = Phone::over("bob", served, line);
    let mut request = phone.request("REGISTER", &format!("{scheme}:{DOMAIN}"), &phone.aor());
    request.set(Name::Contact, &format!("<{scheme}:bob@{}>", phone.line.local()));
    assert_eq!(phone.ask(request, PASSWORD).await.status(), 200);
    phone
}

/// A call that bob refuses; what he was asked by.
async fn call(alice: &Phone, bob: &Phone, scheme: &str) -> String {
    let uri = format!("{scheme}:bob@{DOMAIN}");
    let (busy, uri) = tokio::join!(alice.ask(alice.request("INVITE", &uri, &uri), PASSWORD), async {
        let invite = bob.expect("INVITE").await;
        bob.respond(&invite, 486).await;
        bob.expect("ACK").await;
        invite.uri().to_owned()
    });
    assert_eq!(busy.status(), 486);
    uri
}

#[tokio::test]
async fn a_call_that_asks_for_tls_goes_to_no_device_without() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let plain = Phone::registered("bob", &served).await;
    let uri = format!("sips:bob@{DOMAIN}");
    let refused = alice.ask(alice.request("INVITE", &uri, &uri), PASSWORD).await;
    assert_eq!(refused.status(), 480);
    assert_eq!(refused.other_values("Warning").next(), Some("380 example.org \"SIPS Not Allowed\""));
    let secure = bob(&served, "sips").await;
    assert_eq!(call(&alice, &secure, "sips").await, format!("sips:bob@{}", secure.line.local()));
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(100), plain.receive()).await.is_err(),
        "no device without TLS hears of it"
    );
}

#[tokio::test]
async fn a_device_with_a_sips_contact_is_called_by_sip_over_its_tls() {
    let served = serve().await;
    let alice = Phone::new("alice", &served).await;
    let bob = bob(&served, "sips").await;
    assert_eq!(call(&alice, &bob, "sip").await, format!("sip:bob@{}", bob.line.local()));
}

#[tokio::test]
async fn a_sips_contact_is_not_bound_without_tls() {
    let served = serve().await;
    let bob = Phone::new("bob", &served).await;
    let mut request = bob.request("REGISTER", &format!("sip:{DOMAIN}"), &bob.aor());
    request.set(Name::Contact, "<sips:bob@192.0.2.7>");
    assert_eq!(bob.ask(request, PASSWORD).await.status(), 400);
}
