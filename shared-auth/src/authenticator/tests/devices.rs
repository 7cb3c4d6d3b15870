//! Passwords of devices: which halves they open, and for how long.

use super::*;

#[tokio::test]
async fn app_passwords_open_each_door_until_removed() {
    let house = house().await;
    let authenticator = &house.auth.authenticator;
    let password = house.auth.book.add_app_password(house.alice, "PHONE", 0).await.unwrap();
    assert!(authenticator.verify(plain("wonder", &password), XMPP).await.is_ok());
    assert!(authenticator.verify(plain("wonder+PHONE", &password), XMPP).await.is_ok());
    assert_eq!(authenticator.verify(plain("wonder+PHONE", "pencil"), XMPP).await, Err(Denied::WrongProof));
    let by_scram = scram(&house, "wonder+PHONE", &password, ScramHash::Sha256, &Channel::default()).await;
    assert!(by_scram.is_ok(), "{by_scram:?}");
    let challenge = authenticator.challenges("phones.example.org", false, LOCALHOST).remove(0);
    let proof = Proof::Digest(answer(&challenge, "alice", &password, 1));
    assert!(authenticator.verify(proof, SIP).await.is_ok());
    house.auth.book.remove_app_password(house.alice, "PHONE").await.unwrap();
    assert_eq!(authenticator.verify(plain("wonder", &password), XMPP).await, Err(Denied::WrongProof));
}

#[tokio::test]
async fn the_password_of_a_device_that_calls_opens_no_chat() {
    let house = house().await;
    let authenticator = &house.auth.authenticator;
    let password = house.auth.book.add_calls_password(house.alice, "DESK", 0).await.unwrap();
    for name in ["wonder", "wonder+DESK"] {
        assert_eq!(
            authenticator.verify(plain(name, &password), XMPP).await,
            Err(Denied::CallsAlone),
            "{name}"
        );
    }
    let by_scram = scram(&house, "wonder+DESK", &password, ScramHash::Sha256, &Channel::default()).await;
    assert_eq!(by_scram, Err(Denied::CallsAlone));
    assert_eq!(Denied::CallsAlone.on_wire(), OnWire::Refused, "as any other refusal");
    for (nc, challenge) in (1..).zip(authenticator.challenges("phones.example.org", false, LOCALHOST)) {
        let proof = Proof::Digest(answer(&challenge, "alice", &password, nc));
        let identity = authenticator.verify(proof, SIP).await.unwrap();
        assert_eq!(identity.app.as_deref(), Some("DESK"));
    }
    let main = authenticator.verify(plain("wonder", "pencil"), XMPP).await;
    assert!(main.is_ok(), "{main:?}");
    house.auth.book.add_app_password(house.alice, "TABLET", 0).await.unwrap();
    let listed = house.auth.book.app_passwords(house.alice).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|device| (device.name.as_str(), device.opens_chat)).collect();
    assert_eq!(listed, [("DESK", false), ("TABLET", true)]);
}

#[tokio::test]
async fn an_exchange_that_is_held_open_over_a_change_proves_nothing() {
    let house = house().await;
    let (book, authenticator) = (&house.auth.book, &house.auth.authenticator);
    let device = book.add_app_password(house.alice, "PHONE", 0).await.unwrap();
    let channel = Channel::default();
    let (main, _) = last_of_scram(&house, "wonder", "pencil", ScramHash::Sha256, &channel).await.unwrap();
    let (app, _) = last_of_scram(&house, "wonder+PHONE", &device, ScramHash::Sha256, &channel).await.unwrap();
    let who = authenticator.verify(plain("wonder", "pencil"), XMPP).await.unwrap();
    book.remove_app_password(house.alice, "PHONE").await.unwrap();
    book.set_password(house.alice, "another pencil").await.unwrap();
    // XEP-0480: nor does it leave a key of its own.
    let upgrade = book.begin_upgrade(&who, ScramHash::Sha512);
    assert_eq!(book.finish_upgrade(upgrade, &[7; 64]).await.unwrap(), None);
    for held in [main, app] {
        assert_eq!(authenticator.verify(Proof::Scram(held), XMPP).await, Err(Denied::WrongProof));
    }
}
