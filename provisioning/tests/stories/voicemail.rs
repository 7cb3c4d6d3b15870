//! What callers said: listed, played, marked and removed, by programs and by pages.

use std::time::Duration;

use shared_auth::Holder;
use shared_model::KeptMessage;
use shared_runtime::unix_millis;

use crate::common::{House, house, sign_in};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn message(id: &str) -> KeptMessage {
    KeptMessage {
        id: id.to_owned(),
        caller: "Eve <script>".to_owned(),
        duration: Duration::from_millis(12_340),
        at: 1_000,
        until: i64::MAX,
        is_heard: false,
    }
}

fn heard(house: &House) -> Vec<bool> {
    house.chat.0.lock().unwrap().messages.iter().map(|message| message.is_heard).collect()
}

#[tokio::test]
async fn a_message_is_played_on_the_page_which_says_that_it_was_heard() {
    let house = house("voicemail").await;
    house.chat.0.lock().unwrap().messages = vec![message("one"), message("two")];
    let (cookie, key) = sign_in(&house).await;
    let page = house.send("GET /account", &cookie, "").await;
    assert!(page.contains("media-src 'self'"), "{page}");
    assert!(page.contains("<audio controls preload=\"none\" src=\"/account/voicemail/one\""), "{page}");
    assert!(page.contains("Eve &lt;script&gt;") && !page.contains("Eve <script>"), "{page}");
    assert!(page.contains("Mark as heard") && !page.contains("Mark as new"), "{page}");
    assert_eq!(heard(&house), [false, false], "to look is not to hear");
    let get = |path: &str, headers: String| {
        let head = format!("GET /account/voicemail/{path}");
        let house = &house;
        async move { house.send(&head, &headers, "").await }
    };
    assert!(get("one", String::new()).await.starts_with("HTTP/1.1 303"), "not for strangers");
    assert!(get("three", cookie.clone()).await.starts_with("HTTP/1.1 404"));
    let nowhere = get("one", format!("{cookie}Range: bytes=10-\r\n")).await;
    assert!(
        nowhere.starts_with("HTTP/1.1 416") && nowhere.contains("content-range: bytes */10"),
        "{nowhere}"
    );
    assert!(house.send("HEAD /account/voicemail/one", &cookie, "").await.starts_with("HTTP/1.1 200"));
    assert_eq!(heard(&house), [false, false]);
    let part = get("one", format!("{cookie}Range: bytes=5-\r\n")).await;
    assert!(part.starts_with("HTTP/1.1 206") && part.ends_with("\r\n\r\nsound"), "{part}");
    assert!(part.contains("content-range: bytes 5-9/10") && part.contains("accept-ranges: bytes"), "{part}");
    assert!(part.contains("content-type: audio/ogg; codecs=opus") && part.contains("nosniff"), "{part}");
    assert_eq!(heard(&house), [true, false]);
    let whole = get("two", cookie.clone()).await;
    assert!(whole.starts_with("HTTP/1.1 200") && whole.ends_with("OggS-sound"), "{whole}");
    // A form says that it is to wait again, and one that it is to go.
    let headers = format!("{cookie}{FORM}");
    let fields = format!("key={key}&back=/account&path.id=two&heard=false");
    let done = house.send("POST /do/setVoiceMessage", &headers, &fields).await;
    assert!(done.contains("done=setVoiceMessage"), "{done}");
    assert_eq!(heard(&house), [true, false]);
    let forged = house.send("POST /do/removeVoiceMessage", &headers, "key=x&back=/account&path.id=two").await;
    assert!(forged.starts_with("HTTP/1.1 403"), "{forged}");
    let fields = format!("key={key}&back=/account&path.id=two");
    let asked = house.send("POST /do/removeVoiceMessage", &headers, &fields).await;
    assert!(asked.contains("Erase this voice message for good?"), "{asked}");
    let fields = format!("{fields}&sure=yes");
    assert!(house.send("POST /do/removeVoiceMessage", &headers, &fields).await.contains("done="));
    let again = house.send("POST /do/removeVoiceMessage", &headers, &fields).await;
    assert!(again.starts_with("HTTP/1.1 404") && again.contains("no such message"), "{again}");
    assert_eq!(heard(&house), [true]);
}

#[tokio::test]
async fn programs_list_fetch_mark_and_remove_messages() {
    let house = house("voicemail-api").await;
    house.chat.0.lock().unwrap().messages = vec![message("one")];
    let (holder, hour) = ((house.alice, Holder::Person), Duration::from_secs(3600));
    let issue =
        |scopes: &'static [&'static str]| house.auth.bearers.issue(holder, "t", scopes, hour, unix_millis());
    let token = issue(&["account:read", "account:write"]).await.unwrap().0;
    let reads = issue(&["account:read"]).await.unwrap().0;
    let (_, listed) = house.call(&token, "GET /api/v1/account/voicemail/messages", "").await;
    let one = &listed["messages"][0];
    assert_eq!(
        (&one["id"], &one["seconds"], &one["heard"], &one["caller"]),
        (&"one".into(), &12.into(), &false.into(), &"Eve <script>".into())
    );
    let path = "/api/v1/account/voicemail/messages/one";
    let (_, sound) = house.call(&reads, &format!("GET {path}"), "").await;
    assert_eq!(sound["sound"], "T2dnUy1zb3VuZA==");
    assert_eq!(heard(&house), [false], "a program says itself what was heard");
    assert_eq!(house.call(&reads, &format!("PUT {path}"), "{\"heard\":true}").await.0, 403);
    let (status, problem) = house.call(&token, &format!("PUT {path}"), "{}").await;
    assert_eq!((status, &problem["field"]), (422, &"heard".into()));
    assert_eq!(house.call(&token, &format!("PUT {path}"), "{\"heard\":true}").await.0, 204);
    assert_eq!(heard(&house), [true]);
    let (_, export) = house.call(&reads, "GET /api/v1/account/export", "").await;
    let message = &export["voice_messages"][0];
    assert_eq!(
        (&message["id"], &message["heard"], &export["complete"]),
        (&"one".into(), &true.into(), &true.into())
    );
    assert_eq!((&message["sound"], &message["media_type"]), (&sound["sound"], &sound["media_type"]));
    assert_eq!(house.call(&token, &format!("DELETE {path}"), "").await.0, 204);
    assert_eq!(house.call(&token, &format!("GET {path}"), "").await.0, 404);
    let page = house.archive.page("audit", &shared_store::Query::default()).await.unwrap();
    let noted: Vec<String> =
        page.entries.iter().map(|entry| String::from_utf8_lossy(&entry.body).into_owned()).collect();
    for what in ["voice message heard", "voice message removed"] {
        assert!(
            noted.iter().any(|note| note.contains(what) && note.contains("alice@example.org one")),
            "{noted:?}"
        );
    }
}
