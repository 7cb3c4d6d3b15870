//! What failed proofs slow, and what datagrams have to show.

use shared_model::Protocol;

use super::{LOCALHOST, SIP, XMPP, answer, house, last_of_scram, plain};
use crate::{Channel, Denied, Origin, Proof, ScramHash, Tried};

#[tokio::test]
async fn guesses_are_throttled_over_all_protocols_and_challenges_are_not_guesses() {
    let house = house().await;
    let authenticator = &house.auth.authenticator;
    for _ in 0..50 {
        authenticator.challenges("phones.example.org", false, LOCALHOST);
    }
    let page = Origin { protocol: Protocol::Provisioning, ..XMPP };
    for _ in 0..12 {
        assert!(authenticator.verify(plain("alice@phones.example.org", "wrong"), page).await.is_err());
    }
    let challenge = authenticator.challenges("phones.example.org", false, LOCALHOST).remove(0);
    let denied = authenticator.verify(Proof::Digest(answer(&challenge, "alice", "pencil", 1)), SIP).await;
    assert!(matches!(denied, Err(Denied::Throttled(_))), "{denied:?}");
    let urgent = Origin { is_urgent: true, ..SIP };
    let looked_at =
        authenticator.verify(Proof::Digest(answer(&challenge, "alice", "pencil", 1)), urgent).await;
    assert!(looked_at.is_ok(), "who is in need does not wait: {looked_at:?}");
}

#[tokio::test]
async fn a_datagram_shows_a_nonce_that_was_sent_to_its_address_before_anything_is_looked_at() {
    let house = house().await;
    let authenticator = &house.auth.authenticator;
    let datagram = Origin { is_seen: false, ..SIP };
    let elsewhere = "192.0.2.9".parse().unwrap();
    for (to, origin, expected) in [
        (elsewhere, datagram, Err(Denied::OthersNonce)),
        (LOCALHOST, datagram, Ok(())),
        (elsewhere, SIP, Ok(())),
    ] {
        let challenge = authenticator.challenges("phones.example.org", false, to).remove(0);
        let forged =
            authenticator.verify(Proof::Digest(answer(&challenge, "alice", "wrong", 1)), origin).await;
        assert_eq!(forged.err(), expected.clone().err().or(Some(Denied::WrongProof)), "{to}");
        let right =
            authenticator.verify(Proof::Digest(answer(&challenge, "alice", "pencil", 1)), origin).await;
        assert_eq!(right.map(drop), expected, "{to}");
    }
}

/// RFC 6120 §6.4.5: a client tries a mistyped password by one mechanism after the other.
#[tokio::test]
async fn one_mistake_by_every_mechanism_of_a_stream_is_one_for_the_account_too() {
    let house = house().await;
    let authenticator = &house.auth.authenticator;
    let by_scram = async |hash| {
        Proof::Scram(last_of_scram(&house, "wonder", "pencl", hash, &Channel::default()).await.unwrap().0)
    };
    let is_slowed = || authenticator.slowed_accounts().of(&["wonder@example.org"]).is_some();
    for at in 1..=8 {
        let mut tried = Tried::default();
        for hash in [ScramHash::Sha512, ScramHash::Sha256, ScramHash::Sha1] {
            assert!(authenticator.verify_on(by_scram(hash).await, XMPP, &mut tried).await.is_err());
        }
        assert!(authenticator.verify_on(plain("wonder", "pencl"), XMPP, &mut tried).await.is_err());
        assert!(!is_slowed(), "after {at}");
    }
    // By the same mechanism, and about somebody else in between, it is another.
    let mut tried = Tried::default();
    for (name, is_tenth) in [("wonder", false), ("nobody", false), ("wonder", true)] {
        assert!(authenticator.verify_on(plain(name, "pencl"), XMPP, &mut tried).await.is_err());
        assert_eq!(is_slowed(), is_tenth, "{name}");
    }
}
