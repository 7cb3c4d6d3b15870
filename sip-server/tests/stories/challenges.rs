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
