//! Legs of both families of addresses (RFC 8866 §5.7: `IN IP6`), on loopback.

use std::net::IpAddr;

use crate::house::{Hands, House, URI, talk};
use conference::Config;

const SIX: [u16; 8] = [0, 0, 0, 0, 0, 0, 0, 1];
const FOUR: [u8; 4] = [127, 0, 0, 1];

async fn house(media: &str) -> House {
    House::start_with(Config { media: media.parse().unwrap(), prompts: false, ..Config::default() }).await
}

fn all_hear_all<const N: usize>(heard: &[[bool; N]]) {
    for (at, ear) in heard.iter().enumerate() {
        assert!(ear.iter().enumerate().all(|(of, hears)| *hears == (of != at)), "{heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telephones_and_browsers_on_six_hear_one_another() {
    let house = house("[::1]:0").await;
    let mut phones = [
        house.phone_at("alice", 440.0, SIX.into()).await,
        house.phone_at("bob", 700.0, SIX.into()).await,
        house.phone_at("carol", 1_100.0, SIX.into()).await,
    ];
    let response = phones[0].invite(URI).await;
    assert_eq!(response.status(), 200);
    assert!(String::from_utf8_lossy(response.body()).contains("c=IN IP6 ::1\r\n"));
    phones[1].uri = URI.to_owned();
    let mut hands = Hands::new("active");
    hands.address = "::1";
    phones[1].offer_hands(&hands, "sendrecv").await;
    phones[1].shake_hands(&hands, true);
    phones[2].call_as_browser(URI).await;
    talk::<3>(&mut phones, 25);
    all_hear_all(&talk::<3>(&mut phones, 30));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_on_both_families_has_legs_of_both() {
    let house = house("[::]:0").await;
    let mut phones = [
        house.phone_at("alice", 440.0, SIX.into()).await,
        house.phone_at("bob", 700.0, FOUR.into()).await,
        house.phone_at("carol", 1_100.0, FOUR.into()).await,
    ];
    for (phone, ip) in phones.iter_mut().zip([IpAddr::from(SIX), IpAddr::from(FOUR)]) {
        assert_eq!(phone.invite(URI).await.status(), 200);
        assert_eq!(phone.mixer.unwrap().ip(), ip, "where it can reach it");
    }
    phones[2].call_as_browser(URI).await;
    talk::<3>(&mut phones, 25);
    all_hear_all(&talk::<3>(&mut phones, 30));
    house.stop().await;
}
