//! Who goes astray: a mistyped address, a slash too many, a form sent again by a reload, a request that is not understood.

use crate::common::{house, sign_in};
use shared_auth::Profile;

const HTML: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
const GERMAN: &str = "Accept: text/html\r\nAccept-Language: de\r\n";

#[tokio::test]
async fn a_browser_that_goes_astray_is_shown_a_page_and_a_program_a_status() {
    let house = house("nowhere").await;
    for path in ["/nonexistent", "/account/nope", "/admin/nope", "/assets/nope.css"] {
        let page = house.send(&format!("GET {path}"), HTML, "").await;
        assert!(
            page.starts_with("HTTP/1.1 404") && page.contains("<h1>There is nothing here</h1>"),
            "{page}"
        );
        assert!(page.contains("content-security-policy: ") && page.contains("no-store"), "{page}");
        let page = house.send(&format!("GET {path}"), GERMAN, "").await;
        assert!(page.starts_with("HTTP/1.1 404") && page.contains("<h1>Hier ist nichts</h1>"), "{page}");
        let bare = house.send(&format!("GET {path}"), "Accept: */*\r\n", "").await;
        assert!(bare.starts_with("HTTP/1.1 404") && bare.ends_with("\r\n\r\n"), "{bare}");
    }
    let again = house.send("GET /do/addDevice", HTML, "").await;
    assert!(again.starts_with("HTTP/1.1 405") && again.contains("allow: POST"), "{again}");
    assert!(again.contains("There is nothing here") && again.contains("href=\"/account\""), "{again}");
    for path in ["/sign-in/oidc?domain=a&domain=b", "/sign-in/oidc/callback?code=x&code=y"] {
        let page = house.send(&format!("GET {path}"), HTML, "").await;
        assert!(
            page.starts_with("HTTP/1.1 400") && page.contains("This request is not understood"),
            "{page}"
        );
        let bare = house.send(&format!("GET {path}"), "", "").await;
        assert!(bare.starts_with("HTTP/1.1 400") && !bare.contains("deserialize"), "{bare}");
    }
    let form = house.send("POST /sign-in", &format!("{HTML}Content-Type: text/plain\r\n"), "user=a").await;
    assert!(form.starts_with("HTTP/1.1 415") && !form.contains("Form requests"), "{form}");
}

#[tokio::test]
async fn a_slash_at_the_end_leads_to_the_page() {
    let house = house("slash").await;
    for (path, to) in [
        ("/account/", "/account"),
        ("/admin/", "/admin"),
        ("/sign-in/", "/sign-in"),
        ("/invite/abcdefghij/", "/invite/abcdefghij"),
        ("/admin/rooms/?after=x", "/admin/rooms?after=x"),
    ] {
        let led = house.send(&format!("GET {path}"), HTML, "").await;
        assert!(led.starts_with("HTTP/1.1 308") && led.contains(&format!("location: {to}\r\n")), "{led}");
    }
    for path in ["//evil.example/", "//account/", "/elsewhere/"] {
        let led = house.send(&format!("GET {path}"), HTML, "").await;
        assert!(led.starts_with("HTTP/1.1 404") && !led.contains("location: "), "{led}");
    }
}

#[tokio::test]
async fn the_style_is_kept_for_good_under_a_name_that_its_content_has() {
    let house = house("assets").await;
    let page = house.send("GET /sign-in", HTML, "").await;
    for (before, ending) in [("<link rel=\"stylesheet\" href=\"", ".css"), ("<script src=\"", ".js")] {
        let path = page.split(before).nth(1).unwrap().split('"').next().unwrap();
        assert!(path.starts_with("/assets/cusax-") && path.ends_with(ending), "{path}");
        let asset = house.ask(&format!("GET {path}"), "").await;
        assert!(asset.contains("cache-control: public, max-age=31536000, immutable\r\n"), "{asset}");
        let other = house.ask(&format!("GET /assets/cusax-0000000000000000{ending}"), "").await;
        assert!(
            other.starts_with("HTTP/1.1 200") && other.contains("cache-control: no-cache\r\n"),
            "{other}"
        );
    }
}

#[tokio::test]
async fn an_account_that_is_not_there_is_said() {
    let house = house("no-account").await;
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (cookie, _) = sign_in(&house).await;
    let page = house.send("GET /admin?edit=nobody@example.org", &cookie, "").await;
    assert!(page.contains("There is no account nobody@example.org."), "{page}");
}
