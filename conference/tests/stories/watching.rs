//! Who watches a conference of many: what one document does not hold comes in the next.

use crate::house::{House, occupant};
use shared_model::Role;
use sip_core::Name;

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_by_datagrams_hears_of_a_room_that_one_does_not_hold() {
    let house = House::start().await;
    let everybody = || (0..400).map(|n| occupant(&format!("occupant-{n}"), Role::Participant));
    house.occupants(everybody().collect());
    let mut watcher = house.watch("carol").await;
    let (mut told, mut count) = (Vec::new(), 0);
    while count < 400 {
        let document = watcher.document().await;
        assert!(document.len() < 50_000, "{}", document.len());
        assert!(document.contains("<user-count>400</user-count>"));
        count += document.matches("<user entity=").count();
        told.push(document);
    }
    assert_eq!(count, 400, "each once");
    assert!(told.len() > 2 && told[0].contains("state=\"full\" version=\"0\""));
    for (n, document) in told.iter().enumerate().skip(1) {
        assert!(document.contains(&format!("state=\"partial\" version=\"{n}\"")), "RFC 4575 §4.6");
    }
    // One NOTIFY is all that a fetch gets, so that it holds what fits.
    let mut fetcher = house.silent_phone("bob").await;
    let fetched = fetcher.send("SUBSCRIBE", &[("Event", "conference"), ("Expires", "0")]).await;
    assert_eq!(fetched.status(), 200);
    let last = fetcher.request("NOTIFY").await;
    assert_eq!(last.value(Name::SubscriptionState), Some("terminated;reason=timeout"));
    let text = String::from_utf8_lossy(last.body()).into_owned();
    assert!(text.len() < 50_000 && text.contains("<user-count>400</user-count>"), "{}", text.len());
    house.stop().await;
}
