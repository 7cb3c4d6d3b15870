//! Passwords of accounts that have keys of SCRAM alone.

use super::*;

/// An account as another server kept it: `dave@example.org` with keys of SCRAM alone.
async fn moved(house: &House) -> AccountId {
    let address = "dave@example.org";
    let (aor, jid) = (address.parse().unwrap(), address.parse().unwrap());
    let new = NewAccount { aor, jid, profile: Profile::default() };
    let dave = house.auth.book.create_locked(new).await.unwrap().account;
    let key = crate::password::scram_verifier(ScramHash::Sha1, b"pencil", &[9; 16], 4096);
    assert_eq!(house.auth.book.adopt(dave, vec![key]).await.unwrap(), 1);
    dave
}

#[tokio::test]
async fn a_password_of_which_scram_alone_has_keys_opens_every_door_once_it_is_typed() {
    let house = house().await;
    let dave = moved(&house).await;
    let authenticator = &house.auth.authenticator;
    let by_digest = async || {
        let challenge = authenticator.challenges("example.org", false, super::LOCALHOST).remove(0);
        authenticator.verify(Proof::Digest(answer(&challenge, "dave", "pencil", 1)), SIP).await
    };
    assert_eq!(by_digest().await, Err(Denied::WrongProof), "there is nothing to compare with");
    assert_eq!(authenticator.verify(plain("dave", "wrong"), XMPP).await, Err(Denied::WrongProof));
    assert_eq!(authenticator.verify(plain("dave+PHONE", "pencil"), XMPP).await, Err(Denied::WrongProof));
    assert_eq!(by_digest().await, Err(Denied::WrongProof), "a wrong password makes nothing");
    let proved = authenticator.verify(plain("dave", "pencil"), XMPP).await.unwrap();
    assert_eq!((proved.account, proved.how, &proved.app), (dave, How::Plain, &None));
    assert!(house.auth.book.is_main(&proved, "pencil").await.unwrap());
    assert!(by_digest().await.is_ok());
    assert!(scram(&house, "dave", "pencil", ScramHash::Sha1, &Channel::default()).await.is_ok());
    assert_eq!(authenticator.verify(plain("dave", "wrong"), XMPP).await, Err(Denied::WrongProof));
}

#[tokio::test]
async fn time_does_not_tell_who_has_keys_of_scram_alone() {
    let throttle_exempt = vec!["127.0.0.1".parse().unwrap()];
    let house = house_with(Config { iterations: 4096, throttle_exempt, ..Config::default() }).await;
    moved(&house).await;
    let names = ["dave", "wonder", "nobody"].map(|name| move || plain(name, "x"));
    let medians = medians(&house, [&names[0], &names[1], &names[2]], XMPP).await;
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(*most < 2 * *least, "{medians:?}");
}

#[tokio::test]
async fn a_crowd_of_guesses_at_keys_is_counted_one_by_one() {
    let house = house().await;
    moved(&house).await;
    let guess = || house.auth.authenticator.verify(plain("dave", "x"), XMPP);
    let guesses = futures_util::future::join_all((0..64).map(|_| guess())).await;
    let looked_at = guesses.iter().filter(|guess| **guess == Err(Denied::WrongProof)).count();
    assert!(looked_at <= 12, "{looked_at}: ten are free, and two were under way");
}

#[tokio::test(start_paused = true)]
async fn who_never_had_a_turn_has_not_guessed() {
    let house = house().await;
    moved(&house).await;
    let authenticator = &house.auth.authenticator;
    let from = |last| Origin { ip: std::net::Ipv4Addr::new(192, 0, last, 1).into(), ..XMPP };
    let turns = authenticator
        .derivations
        .acquire_many(crate::authenticator::keys_alone::AT_ONCE as u32)
        .await
        .unwrap();
    for at in 0..40 {
        let lost = authenticator.verify(plain("dave", "pencil"), from(at)).await;
        assert!(matches!(lost, Err(Denied::Throttled(_))), "{lost:?}");
        let guessed = authenticator.verify(plain("wonder", "x"), from(at)).await;
        assert!(matches!(guessed, Err(Denied::Throttled(_))), "{guessed:?}");
    }
    drop(turns);
    assert!(authenticator.verify(plain("dave", "pencil"), from(100)).await.is_ok());
    let guesser = authenticator.verify(plain("wonder", "pencil"), from(100)).await;
    assert!(matches!(guesser, Err(Denied::Throttled(_))), "{guesser:?}");
}
