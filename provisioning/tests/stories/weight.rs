//! Pages are light on the wire, and what is compressed tells no secret by its length.

use crate::common::{House, house, sign_in};
use shared_auth::{NewAccount, Profile};
use tokio::io::AsyncReadExt;

const GZIP: &str = "Accept-Encoding: gzip, deflate, br\r\n";

/// How many bytes an answer has behind its head, which is the second.
async fn weight(house: &House, path: &str, headers: &str) -> (usize, String) {
    let port = house.port;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{headers}\r\n");
    let mut answer = Vec::new();
    // Whole even where the other side ends without close_notify.
    let _ = house.open(request.as_bytes()).await.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    (answer.len() - end - 4, String::from_utf8(answer[..end + 2].to_vec()).unwrap())
}

#[tokio::test]
async fn fifty_accounts_are_a_light_page() {
    let house = house("weight").await;
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    for at in 0..60 {
        let address: shared_model::Address = format!("person-{at}.of-the-house@example.org").parse().unwrap();
        let profile = Profile {
            name: format!("Person {at}"),
            numbers: vec![format!("+3316666{at:04}")],
            ..Profile::default()
        };
        let new = NewAccount {
            aor: shared_model::Aor(address.clone()),
            jid: shared_model::BareJid(address),
            profile,
        };
        house.auth.book.create(new, "pencil").await.unwrap();
    }
    let (cookie, _) = sign_in(&house).await;
    let (plain, head) = weight(&house, "/admin", &format!("{cookie}{GZIP}")).await;
    assert!(head.contains("vary: accept-encoding") && !head.contains("content-encoding"), "{head}");
    assert!(plain < 56 * 1024, "{plain}");
}

#[tokio::test]
async fn what_a_browser_loads_cold_is_short() {
    let house = house("cold").await;
    let (cookie, _) = sign_in(&house).await;
    let page = house.send("GET /sign-in", "", "").await;
    let style = page.split("<link rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    for (path, cookie) in [("/sign-in", ""), (style, ""), (style, cookie.as_str())] {
        let (plain, head) = weight(&house, path, cookie).await;
        assert!(head.contains("vary: accept-encoding") && !head.contains("content-encoding"), "{head}");
        let (short, head) = weight(&house, path, &format!("{cookie}{GZIP}")).await;
        assert!(
            head.contains("content-encoding: gzip\r\n")
                && head.contains(&format!("content-length: {short}\r\n"))
                && head.contains("vary: accept-encoding"),
            "{head}"
        );
        assert!(short < plain * 3 / 5, "{path}: {short} of {plain}");
        let (_, refused) = weight(&house, path, &format!("{cookie}Accept-Encoding: gzip;q=0\r\n")).await;
        assert!(!refused.contains("content-encoding"), "{refused}");
    }
}

/// BREACH: a page that holds the key of forms, what a link says, or what is shown once, has the length that it has.
#[tokio::test]
async fn what_a_link_can_put_words_into_and_what_is_shown_once_is_not_compressed() {
    let house = house("breach").await;
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (cookie, key) = sign_in(&house).await;
    for path in
        ["/account", "/admin/timeline", "/admin?text=a", "/account?blocked=a", "/admin/timeline?about=a"]
    {
        let (_, head) = weight(&house, path, &format!("{cookie}{GZIP}")).await;
        assert!(head.starts_with("HTTP/1.1 200") && !head.contains("content-encoding"), "{path}: {head}");
    }
    let headers = format!("{cookie}{GZIP}Content-Type: application/x-www-form-urlencoded\r\n");
    let form = format!("key={key}&back=/account&name=PHONE");
    let shown = house.send("POST /do/addDevice", &headers, &form).await;
    assert!(shown.contains("This is shown once") && !shown.contains("content-encoding"), "{shown}");
}
