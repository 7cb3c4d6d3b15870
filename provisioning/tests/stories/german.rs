//! Pages in German: by what the browser asks for, by the link on each page, down to the rules of forms.

use crate::common::{House, house, sign_in};
use shared_auth::Profile;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const GERMAN: &str = "Accept-Language: de-AT, en;q=0.5\r\n";

async fn page(house: &House, path: &str, headers: &str) -> String {
    let page = house.send(&format!("GET {path}"), headers, "").await;
    assert!(page.contains("<html lang=\""), "{path}: {page}");
    page
}

#[tokio::test]
async fn who_asks_for_german_reads_german_everywhere() {
    let house = house("german").await;
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (cookie, key) = sign_in(&house).await;
    let german = format!("{cookie}{GERMAN}");
    for path in [
        "/sign-in",
        "/sign-in/forgotten",
        "/account",
        "/account/setup",
        "/admin",
        "/admin?edit=alice@example.org",
        "/admin/invites",
        "/admin/groups",
        "/admin/rooms",
        "/admin/rooms?room=dev@conference.example.org",
        "/admin/numbers",
        "/admin/bans",
        "/admin/service",
        "/admin/timeline?about=alice@example.org",
        "/admin/doctor",
        "/invite/nothing",
    ] {
        // Who is signed in has no need to.
        let headers = if path.starts_with("/sign-in") { GERMAN } else { &german };
        let page = page(&house, path, headers).await;
        assert!(page.contains("<html lang=\"de\">"), "{path}: {page}");
        assert!(page.contains("<a href=\"/language/en\" lang=\"en\""), "{path} leads to English: {page}");
        // What everybody would notice.
        for english in [
            ">Save<",
            ">Remove<",
            ">Search<",
            ">Sign in",
            ">Password",
            ">Address<",
            ">More<",
            "Nothing that",
            " you ",
        ] {
            assert!(!page.contains(english), "{path}: {english}: {page}");
        }
    }
    let account = page(&house, "/account", &german).await;
    assert!(account.contains("Passwort ändern") && account.contains("Nicht stören"), "{account}");
    let form = format!("key={key}&back=/account&current=pencil&password=short");
    let refused = house.send("POST /do/changePassword", &format!("{german}{FORM}"), &form).await;
    assert!(refused.contains("ein Passwort hat mindestens 8 Zeichen"), "{refused}");
    assert!(!refused.contains("a password has"), "{refused}");
    let form = format!("key={key}&back=/admin&address=bob&name=&numbers=");
    let refused = house.send("POST /do/createAccount", &format!("{german}{FORM}"), &form).await;
    assert!(refused.contains("eine Adresse wird name@domain geschrieben"), "{refused}");
    let done = house
        .send(
            "POST /do/renameAccount",
            &format!("{german}{FORM}"),
            &format!("key={key}&back=/account&name=A"),
        )
        .await;
    assert!(done.contains("location: /account?done=renameAccount"), "{done}");
    let service = page(&house, "/admin/service", &german).await;
    assert!(service.contains("Name geändert"), "{service}");
}

#[tokio::test]
async fn the_language_is_chosen_on_the_page_and_kept() {
    let house = house("language").await;
    let from = format!("Referer: https://localhost:{}/sign-in?x=1\r\n", house.port);
    let chosen = house.send("GET /language/de", &from, "").await;
    assert!(chosen.contains("location: /sign-in?x=1\r\n"), "{chosen}");
    assert!(
        chosen.contains("__Host-cusax-language=de; Path=/; Max-Age=31536000; Secure; HttpOnly"),
        "{chosen}"
    );
    let cookie = "Cookie: __Host-cusax-language=de\r\nAccept-Language: en\r\n";
    assert!(page(&house, "/sign-in", cookie).await.contains("<html lang=\"de\">"));
    let other = "Cookie: __Host-cusax-language=xx\r\n";
    assert!(page(&house, "/sign-in", other).await.contains("<html lang=\"en\">"));
    for (from, to) in [
        ("Referer: https://localhost/do/setPicture\r\n", "/account"),
        ("Referer: https://evil.example//evil.example\r\n", "/account"),
        ("", "/account"),
    ] {
        let chosen = house.send("GET /language/xx", from, "").await;
        assert!(chosen.contains(&format!("location: {to}\r\n")), "{from}: {chosen}");
        assert!(!chosen.contains("__Host-cusax-language"), "{chosen}");
    }
}
