//! A chat client for browsers, served from a folder.

use crate::common::{House, house, house_with, sign_in};

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("cusax-web-client-{name}-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("dist/images")).unwrap();
    for (file, text) in [
        ("secret.js", "secret"),
        ("dist/converse.min.js", &"export default {};\n".repeat(99)),
        ("dist/converse.min.css", "body {}"),
        ("dist/converse.min.js.map", "{}"),
        ("dist/README", "words"),
        ("dist/images/a.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ] {
        std::fs::write(folder.join(file), text).unwrap();
    }
    // It is there already where another test of this process made it.
    let _ = std::os::unix::fs::symlink("../secret.js", folder.join("dist/linked.js"));
    folder
}

/// A house that serves the client, and where its page finds the files.
async fn served(name: &str) -> (House, String) {
    let dist = folder(name).join("dist");
    let house = house_with(name, |parts| parts.config.web_client_files = Some(dist)).await;
    let page = house.send("GET /chat/", "", "").await;
    let prefix = page.split("data-files=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    (house, prefix)
}

#[tokio::test]
async fn a_folder_with_a_client_is_served_and_set_up_for_this_service() {
    let (house, prefix) = served("client-page").await;
    let page = house.send("GET /chat/", "Accept-Language: de\r\n", "").await;
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/html"), "{head}");
    let policy = head.lines().find(|line| line.starts_with("content-security-policy: ")).unwrap();
    let port = house.port;
    for part in [
        &format!(
            "script-src https://localhost:{port}/chat/files/ https://localhost:{port}/assets/ 'wasm-unsafe-eval';"
        ),
        &format!(
            "connect-src wss://localhost:{port}/xmpp-websocket https://localhost:{port}/http-bind https://localhost:{port}/chat/files/ https://files.example.org/upload/;"
        ),
        "default-src 'none'",
        "object-src 'none'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{part}: {policy}");
    }
    assert!(!policy.contains("'self'"), "what is uploaded to this host is of it too: {policy}");
    let strange = house.send("GET /chat/", "Host: a;script-src *\r\n", "").await;
    assert!(!strange.contains("script-src *"), "{strange}");
    assert!(head.contains("x-frame-options: DENY") && head.contains("cache-control: no-store"), "{head}");
    for part in [
        "<html lang=\"de\">",
        "data-domain=\"example.org\"",
        "data-rooms=\"conference.example.org\"",
        &format!("src=\"{prefix}converse.min.js\""),
        &format!("href=\"{prefix}converse.min.css\""),
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert!(
        !body.contains("data-alone") && !body.contains("<script>"),
        "two domains, and no script of its own: {body}"
    );
    let start = body.split("src=\"/assets/chat-").nth(1).unwrap().split('"').next().unwrap();
    let start = house.send(&format!("GET /assets/chat-{start}"), "", "").await;
    assert!(start.contains("immutable") && start.contains("converse.initialize"), "{start}");
    assert!(house.send("GET /chat", "", "").await.contains("location: /chat/"));
}

#[tokio::test]
async fn its_files_are_kept_for_good_by_their_version_and_nothing_else_is_served() {
    let (house, prefix) = served("client-files").await;
    let file = house.send(&format!("GET {prefix}converse.min.js"), "", "").await;
    assert!(
        file.contains("content-type: text/javascript; charset=utf-8")
            && file.contains("immutable")
            && file.contains("nosniff"),
        "{file}"
    );
    assert!(file.ends_with("export default {};\n"));
    let short = house.send(&format!("GET {prefix}converse.min.js"), "Accept-Encoding: gzip\r\n", "").await;
    assert!(short.contains("content-encoding: gzip") && short.len() < file.len() / 2, "{}", short.len());
    let picture = house.send(&format!("GET {prefix}images/a.svg"), "", "").await;
    assert!(picture.contains("content-type: image/svg+xml"), "{picture}");
    let other = house.send("GET /chat/files/0123456789abcdef/converse.min.js", "", "").await;
    assert!(other.contains("cache-control: no-cache") && other.contains("export default"), "{other}");
    for path in [
        "",
        "linked.js",
        "images",
        "images/",
        "README",
        "converse.min.js.map",
        "../secret.js",
        "..%2Fsecret.js",
        "%2e%2e/secret.js",
        "images/../../secret.js",
        "%2Fetc%2Fpasswd",
        "/etc/passwd",
        "images%2F..%2F..%2Fsecret.js",
        "converse.min.js%00",
    ] {
        let answer = house.send(&format!("GET {prefix}{path}"), "", "").await;
        assert!(answer.starts_with("HTTP/1.1 404") && !answer.contains("secret\n"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn pages_and_configurations_lead_to_it_with_the_accounts_name() {
    let (house, _) = served("client-links").await;
    let link = format!("https://localhost:{}/chat/#jid=wonder%40example.org", house.port);
    let (cookie, _) = sign_in(&house).await;
    for path in ["/account", "/account/setup"] {
        let page = house.send(&format!("GET {path}"), &cookie, "").await;
        assert!(
            page.contains(&format!("href=\"{link}\"")) && !page.contains("No client at hand?"),
            "{path}: {page}"
        );
    }
    let whole = house.ask("GET /provision/cusax.json @BASIC@", "").await;
    assert!(whole.contains(&format!("\"web_client\":\"{link}\"")), "{whole}");
}

#[tokio::test]
async fn a_host_of_its_own_has_the_client_and_no_pages() {
    let dist = folder("client-apart").join("dist");
    let house = house_with("client-apart", |parts| {
        parts.config.web_client_files = Some(dist);
        parts.config.web_client = Some("https://chat.example.org/chat/#jid={jid}".to_owned());
    })
    .await;
    let there = "Host: chat.example.org\r\n";
    for (path, is_there) in
        [("/chat/", true), ("/account", false), ("/sign-in", false), ("/do/setPicture", false)]
    {
        let (one, other) = (
            house.send(&format!("GET {path}"), there, "").await,
            house.send(&format!("GET {path}"), "", "").await,
        );
        assert_eq!(
            (one.contains("HTTP/1.1 404"), other.contains("HTTP/1.1 404")),
            (!is_there, is_there),
            "{path}: {one} {other}"
        );
    }
    let page = house.send("GET /chat/", there, "").await;
    assert!(page.contains("script-src https://chat.example.org/chat/files/ "), "{page}");
    let (cookie, _) = sign_in(&house).await;
    let page = house.send("GET /account", &cookie, "").await;
    assert!(page.contains("href=\"https://chat.example.org/chat/#jid=wonder%40example.org\""), "{page}");
}

#[tokio::test]
async fn where_there_is_none_or_no_chat_nothing_leads_to_it() {
    let without = house("client-none").await;
    let nowhere = std::env::temp_dir().join("cusax-web-client-nowhere");
    let gone = house_with("client-gone", |parts| parts.config.web_client_files = Some(nowhere)).await;
    let dist = folder("elsewhere").join("dist");
    let elsewhere = house_with("client-elsewhere", |parts| {
        parts.config.web_client_files = Some(dist);
        parts.ports.xmpp = None;
    })
    .await;
    for house in [without, gone, elsewhere] {
        for path in ["/chat/", "/chat/files/0/converse.min.js"] {
            assert!(house.send(&format!("GET {path}"), "", "").await.starts_with("HTTP/1.1 404"), "{path}");
        }
        assert!(house.ask("GET /provision/cusax.json @BASIC@", "").await.contains("\"web_client\":null"));
    }
}

#[test]
fn a_folder_that_lacks_files_says_how_to_get_them() {
    let folder = folder("lacks");
    assert!(provisioning::web_client_fault(&folder.join("dist")).is_none());
    let fault = provisioning::web_client_fault(&folder).unwrap().to_string();
    assert!(fault.contains("converse.min.js") && fault.contains("npm pack converse.js"), "{fault}");
}
