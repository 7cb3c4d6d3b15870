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
    let by_scram = async |hash| scram(&house, "dave", "pencil", hash, &Channel::default()).await;
    assert_eq!(by_digest().await, Err(Denied::NoKey), "there is nothing to compare with");
    assert_eq!(by_scram(ScramHash::Sha256).await, Err(Denied::NoKey));
    assert_eq!(authenticator.verify(plain("dave", "wrong"), XMPP).await, Err(Denied::WrongProof));
    assert_eq!(authenticator.verify(plain("dave+PHONE", "pencil"), XMPP).await, Err(Denied::WrongProof));
    assert_eq!(by_digest().await, Err(Denied::NoKey), "a wrong password makes nothing");
    let proved = authenticator.verify(plain("dave", "pencil"), XMPP).await.unwrap();
    assert_eq!((proved.account, proved.how, &proved.app), (dave, How::Plain, &None));
    assert!(house.auth.book.is_main(&proved, "pencil").await.unwrap());
    assert!(by_digest().await.is_ok());
    for hash in [ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512] {
        assert!(by_scram(hash).await.is_ok(), "{hash:?}");
    }
    assert_eq!(authenticator.verify(plain("dave", "wrong"), XMPP).await, Err(Denied::WrongProof));
}

/// As an account whose password a directory keeps.
#[tokio::test]
async fn who_has_no_key_at_all_is_guessed_at() {
    let house = house().await;
    let address = "dave@example.org";
    let (aor, jid) = (address.parse().unwrap(), address.parse().unwrap());
    let new = NewAccount { aor, jid, profile: Profile::default() };
    let dave = house.auth.book.create_locked(new).await.unwrap().account;
    house.auth.book.add_app_password(dave, "PHONE", 0).await.unwrap();
    let challenge = house.auth.authenticator.challenges("example.org", false, super::LOCALHOST).remove(0);
    let by_digest = answer(&challenge, "dave", "guess", 1);
    let denied = house.auth.authenticator.verify(Proof::Digest(by_digest), SIP).await;
    assert_eq!(denied, Err(Denied::WrongProof));
    let denied = scram(&house, "dave", "guess", ScramHash::Sha1, &Channel::default()).await;
    assert_eq!(denied, Err(Denied::WrongProof));
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

#[tokio::test]
async fn who_lacks_a_key_has_not_guessed_and_nobody_hears_that() {
    let house = house().await;
    moved(&house).await;
    let authenticator = &house.auth.authenticator;
    let wire = |said: Result<Identity, Denied>| match said.unwrap_err().on_wire() {
        OnWire::TryLater(_) => "later",
        OnWire::Refused => "refused",
        other => panic!("{other:?}"),
    };
    let is_slowed = |name: &str| authenticator.slowed_accounts().of(&[name]).is_some();
    // A telephone and a client with the right password, on and on: they sound as somebody's who is not there.
    let mut heard = [Vec::new(), Vec::new()];
    for (name, heard) in ["dave", "nobody"].into_iter().zip(&mut heard) {
        for _ in 0..8 {
            let challenge = authenticator.challenges("example.org", false, LOCALHOST).remove(0);
            let proof = Proof::Digest(answer(&challenge, name, "pencil", 1));
            heard.push(wire(authenticator.verify(proof, SIP).await));
            heard.push(wire(scram(&house, name, "pencil", ScramHash::Sha256, &Channel::default()).await));
        }
        heard.push(wire(authenticator.verify(plain(name, "wrong"), XMPP).await));
    }
    assert_eq!(heard[0], heard[1]);
    assert!(heard[0].contains(&"refused") && heard[0].ends_with(&["later", "later"]), "{heard:?}");
    assert!(is_slowed("nobody@example.org") && !is_slowed("dave@example.org"), "nothing was guessed");
    // Guesses meanwhile are counted, and the right password is heard until they are too many.
    let by_key = async || scram(&house, "dave", "pencil", ScramHash::Sha1, &Channel::default()).await;
    assert!(by_key().await.is_ok());
    for _ in 0..12 {
        assert!(authenticator.verify(plain("dave", "wrong"), XMPP).await.is_err());
    }
    assert!(is_slowed("dave@example.org"));
    assert!(matches!(by_key().await, Err(Denied::Throttled(_))));
}

/// What an account has by an earlier sign-in is not all that another mechanism needs.
#[tokio::test]
async fn keys_of_scram_that_an_account_lacks_are_made_of_a_password_that_is_typed() {
    let house = house().await;
    let id = moved(&house).await;
    let authenticator = &house.auth.authenticator;
    let proved = authenticator.verify(plain("dave", "pencil"), XMPP).await.unwrap();
    assert_eq!(house.auth.book.lacking(&proved).await.unwrap(), []);
    // As it was before the other hashes were made along with the HA1s.
    let mut account = authenticator.cache.store().by_id(id).await.unwrap().unwrap();
    account.credentials.scram.retain(|key| key.hash == ScramHash::Sha1);
    authenticator.cache.store().update(&account).await.unwrap();
    authenticator.cache.clear();
    assert_eq!(house.auth.book.lacking(&proved).await.unwrap().len(), 2);
    assert_eq!(authenticator.verify(plain("dave", "pencil"), XMPP).await.unwrap().account, id);
    assert_eq!(house.auth.book.lacking(&proved).await.unwrap(), []);
}

/// What a stranger hears late he hears as late of everybody, and no more is looked at meanwhile.
#[tokio::test(start_paused = true)]
async fn while_strangers_are_told_to_wait_a_refusal_comes_at_one_pace_and_one_proof_is_looked_at() {
    let house = house().await;
    moved(&house).await;
    let authenticator = &house.auth.authenticator;
    let guess = async |name| {
        let challenge = authenticator.challenges("example.org", false, LOCALHOST).remove(0);
        let begun = tokio::time::Instant::now();
        let said = authenticator.verify(Proof::Digest(answer(&challenge, name, "x", 1)), SIP).await;
        (said.unwrap_err().on_wire(), begun.elapsed())
    };
    for (name, is_guess) in [("nobody", true), ("dave", false)] {
        assert_eq!(guess(name).await, (OnWire::Refused, Duration::ZERO));
        for _ in 0..20 {
            let (key, mistake) = (format!("{name}@example.org"), Mistake { is_another: true, is_guess });
            authenticator.throttle.refused(Before::NOTHING, mistake, Some(&key), LOCALHOST, Instant::now());
        }
        let (said, after) = guess(name).await;
        assert!(matches!(said, OnWire::TryLater(_)), "{name}: {said:?}");
        assert_eq!(after, PACE, "{name}");
    }
    let mut heard = house.bus.subscribe();
    let crowd = futures_util::future::join_all((0..20).map(|_| guess("dave"))).await;
    assert!(crowd.iter().all(|(said, _)| matches!(said, OnWire::TryLater(_))));
    let mut reasons = Vec::new();
    for _ in 0..20 {
        let Heard::Fact(fact) = heard.next().await.unwrap() else { panic!("missed") };
        if let Event::Login(LoginEvent::Denied { reason, .. }) = fact.event {
            reasons.push(reason);
        }
    }
    assert_eq!(reasons.iter().filter(|reason| **reason == "no-key").count(), 1, "{reasons:?}");
}

/// RFC 6120 §6.4.5: the client goes on by a mechanism for which there is a key.
#[tokio::test]
async fn a_guess_behind_a_key_that_lacks_is_one() {
    let house = house().await;
    moved(&house).await;
    let authenticator = &house.auth.authenticator;
    let is_slowed = || authenticator.slowed_accounts().of(&["dave@example.org"]).is_some();
    for at in 1..=10 {
        let mut tried = Tried::default();
        let (last, _) =
            last_of_scram(&house, "dave", "x", ScramHash::Sha256, &Channel::default()).await.unwrap();
        let lacking = authenticator.verify_on(Proof::Scram(last), XMPP, &mut tried).await;
        assert_eq!(lacking, Err(Denied::NoKey), "{at}");
        assert!(!is_slowed(), "{at}");
        let guess = authenticator.verify_on(plain("dave", "x"), XMPP, &mut tried).await;
        assert!(guess.is_err(), "{at}: {guess:?}"); // at the tenth strangers are told to wait
    }
    assert!(is_slowed());
}
