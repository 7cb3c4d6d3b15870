//! A room's call from outside: who is called into it, and who has it recorded, by programs and by the page.

use std::time::Duration;

use crate::common::rooms::ROOM;
use crate::common::{House, house, sign_in};
use shared_auth::{Holder, Profile};
use shared_runtime::unix_millis;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// A token of alice.
async fn token(house: &House, scopes: &[&str]) -> String {
    let (holder, hour) = ((house.alice, Holder::Person), Duration::from_secs(3600));
    house.auth.bearers.issue(holder, "test", scopes, hour, unix_millis()).await.unwrap().0
}

#[tokio::test]
async fn people_are_called_into_a_room_and_its_call_is_recorded() {
    let house = house("room-calls").await;
    let own = token(&house, &["account:write"]).await;
    let path = format!("POST /api/v1/rooms/{ROOM}/conference");
    let long = "1".repeat(257);
    for (callee, status, said) in [
        ("bob@example.org", 200, "in"),
        ("+33 (1) 55-0", 200, "in"),
        ("busy@example.org", 409, ""),
        ("slow@example.org", 200, "ringing"),
        ("nobody", 422, ""),
        ("", 422, ""),
        (&long, 422, ""),
    ] {
        let (told, answer) = house.call(&own, &path, &format!("{{\"callee\":\"{callee}\"}}")).await;
        assert_eq!(
            (told, answer["state"].as_str().unwrap_or_default()),
            (status, said),
            "{callee}: {answer}"
        );
    }
    let asked = house.calls.1.lock().unwrap().clone();
    let expected =
        ["sip:bob@example.org", "sip:+331550@example.org", "sip:busy@example.org", "sip:slow@example.org"];
    assert_eq!(asked, expected.map(|callee| format!("{callee} for wonder@example.org")));

    let path = format!("PUT /api/v1/rooms/{ROOM}/conference/recording");
    assert_eq!(
        house.call(&own, &path, "{\"on\":true}").await.0,
        409,
        "who only has an account needs the room's right"
    );
    let operator = Profile { admin: true, ..Profile::default() };
    house.auth.book.set_profile(house.alice, operator).await.unwrap();
    let reader = token(&house, &["admin:read"]).await;
    assert_eq!(house.call(&reader, &path, "{\"on\":true}").await.0, 403);
    let both = token(&house, &["account:write", "admin:write", "admin:read"]).await;
    assert_eq!(house.call(&both, &path, "{\"on\":true}").await.0, 204);
    let (_, shown) = house.call(&both, &format!("GET /api/v1/rooms/{ROOM}"), "").await;
    assert_eq!(shown["recorded"], true);
    let (_, audit) = house.call(&both, "GET /api/v1/audit?max=1", "").await;
    let change = &audit["changes"][0];
    assert_eq!(
        (&change["what"], &change["before"], &change["after"]),
        (&"recording of a room".into(), &false.into(), &true.into())
    );

    let (cookie, key) = sign_in(&house).await;
    let page = house.send(&format!("GET /admin/rooms?room={ROOM}"), &cookie, "").await;
    assert!(page.contains("The call is being recorded.") && page.contains("End the recording"), "{page}");
    let headers = format!("{cookie}{FORM}");
    let fields = format!("key={key}&back=/admin/rooms?room={ROOM}&path.room={ROOM}");
    let done = house.send("POST /do/record", &headers, &format!("{fields}&on=false")).await;
    assert!(done.contains(&format!("location: /admin/rooms?done=record&room={ROOM}")), "{done}");
    assert_eq!(house.calls.1.lock().unwrap().last().unwrap(), "end false");
    let done =
        house.send("POST /do/callInto", &headers, &format!("{fields}&callee=carol%40example.org")).await;
    assert!(done.contains(&format!("location: /admin/rooms?done=callInto&room={ROOM}")), "{done}");
    let wrong = house.send("POST /do/callInto", &headers, &format!("{fields}&callee=nobody")).await;
    assert!(wrong.contains("neither an address nor a number"), "{wrong}");
}
