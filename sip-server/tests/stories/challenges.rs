//! Who proves nothing costs nothing — RFC 3261 §26.3.2.4: the first challenge is given without a transaction.

use crate::common::{DOMAIN, Phone, serve};
use sip_core::Message;
use sip_core::header::Name;

#[tokio::test]
async fn a_request_without_proof_is_challenged_anew_each_time_it_comes() {
    let served = serve().await;
    let (alice, bob) = (Phone::new("alice", &served).await, Phone::registered("bob", &served).await);
    let bobs = format!("sip:bob@{DOMAIN}");
    for (method, uri, status, header) in [
        ("REGISTER", format!("sip:{DOMAIN}"), "401", Name::WwwAuthenticate),
        ("INVITE", bobs.clone(), "407", Name::ProxyAuthenticate),
        ("SUBSCRIBE", bobs.clone(), "407", Name::ProxyAuthenticate),
    ] {
        let request = alice.request(method, &uri, &uri);
        alice.send(&request).await;
        let first = alice.expect(status).await;
        alice.send(&request).await;
        let second = alice.expect(status).await;
        assert_ne!(
            first.value(header),
            second.value(header),
            "{method}: a nonce of its own, so no transaction"
        );
        assert_eq!(first.to_tag(), second.to_tag(), "{method}: §8.2.7");
        if method == "INVITE" {
            alice.send(&Message::ack(&request, &second)).await;
        }
    }
    // What is wrong with it beside is said first, and nothing of all this reached bob.
    let mut request = alice.request("INVITE", &bobs, &bobs);
    request.push(Name::ProxyRequire, "nothing-known");
    alice.send(&request).await;
    alice.expect("420").await;
    bob.send(&bob.request("OPTIONS", &format!("sip:{DOMAIN}"), &bobs)).await;
    bob.expect("200").await;
}

#[tokio::test]
async fn credentials_are_good_once_even_over_a_restart_and_nobody_asks_for_the_password() {
    let served = serve().await;
    let mut alice = Phone::new("alice", &served).await;
    let register = |alice: &Phone| alice.request("REGISTER", &format!("sip:{DOMAIN}"), &alice.aor());
    alice.send(&register(&alice)).await;
    let challenge = alice.expect("401").await;
    alice.send(&alice.proving(register(&alice), &challenge)).await;
    alice.expect("200").await;
    // RFC 7616 §3.3: anything but stale=TRUE says that the password is wrong.
    let is_stale = |response: &Message| {
        response.values(Name::WwwAuthenticate).all(|challenge| challenge.contains("stale=true"))
    };
    alice.send(&alice.proving(register(&alice), &challenge)).await;
    let again = alice.expect("401").await;
    assert!(is_stale(&again), "{again:?}");
    alice.send(&alice.proving(register(&alice), &again)).await;
    alice.expect("200").await;
    // No process ends and begins in the millisecond in which a nonce was made.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let served = served.restart().await;
    alice.move_to(&served);
    alice.send(&alice.proving(register(&alice), &again)).await;
    let after = alice.expect("401").await;
    assert!(is_stale(&after), "{after:?}");
    alice.send(&alice.proving(register(&alice), &after)).await;
    alice.expect("200").await;
}
