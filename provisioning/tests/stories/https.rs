//! The face over real HTTPS: who proves an account gets its configuration, and strangers learn nothing.

use std::time::Duration;

use crate::common::{basic, house, house_behind, house_with, sign_in};
use provisioning::{Calls, Layer, PURPOSE, Profiles, Settings};
use shared_auth::Profile;
use shared_runtime::unix_millis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LINPHONE: &str = "User-Agent: LinphoneAndroid/5.2.5\r\nX-Linphone-Provisioning: 1\r\n";

#[tokio::test]
async fn a_password_opens_both_halves_and_nothing_else_does() {
    let house = house("password").await;
    let whole = house.ask("GET /provision/cusax.json @BASIC@", "").await;
    assert!(whole.starts_with("HTTP/1.1 200") && whole.contains("no-store"), "{whole}");
    assert!(whole.contains("sip:alice@example.org") && whole.contains("wonder@example.org"), "{whole}");
    let refused = house.ask("GET /provision/cusax.json", "").await;
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("www-authenticate: Basic"), "{refused}");
}

#[tokio::test]
async fn the_least_tls_that_programs_are_told_is_the_least_that_is_taken() {
    let house = house("tls").await;
    let told = house.ask("GET /provision/cusax.json @BASIC@", "").await;
    assert!(told.contains("\"tls_minimum\":\"1.2\""), "{told}");
    // RFC 8446 §4.1.2, appendix D.1: a ClientHello of TLS 1.`minor` (RFC 5246 §7.4.1.2) with ECDHE-ECDSA and ECDHE-RSA by AES-GCM and by
    // AES-CBC; supported groups and signature algorithms.
    for (minor, answers) in [(1, 0x15), (2, 0x16)] {
        let extensions = [
            &[0, 10, 0, 6, 0, 4, 0, 29, 0, 23][..],
            &[0, 11, 0, 2, 1, 0],
            &[0, 13, 0, 8, 0, 6, 4, 3, 8, 4, 4, 1],
            &[0, 23, 0, 0],
        ]
        .concat();
        let suites = [0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x09, 0xc0, 0x13];
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
        let body = [
            &[3, 1 + minor][..],
            &[7; 32],
            &[0],
            &length(&suites),
            &suites,
            &[1, 0],
            &length(&extensions),
            &extensions,
        ]
        .concat();
        let hello = [&[1, 0][..], &length(&body), &body].concat();
        let record = [&[0x16, 3, 1][..], &length(&hello), &hello].concat();
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", house.port)).await.unwrap();
        stream.write_all(&record).await.unwrap();
        let mut first = [0; 7];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(first[0], answers, "TLS 1.{minor}: {first:?}");
        // §6.2: protocol_version.
        assert!(minor == 2 || first[6] == 70, "{first:?}");
    }
}

#[tokio::test]
async fn a_token_opens_linphones_document_once_and_the_password_is_not_in_it() {
    let house = house("token").await;
    // Longer than a clock that is set meanwhile jumps.
    let day = Duration::from_secs(86_400);
    let token = house.auth.tokens.issue(PURPOSE, Some(house.alice), "", day, unix_millis()).await.unwrap();
    let path = format!("GET /provision/linphone.xml?token={token}");
    let head = path.replace("GET", "HEAD");
    let looked = house.ask(&head, "").await;
    assert!(looked.starts_with("HTTP/1.1 200"), "it uses nothing up: {looked}");
    let first = house.send(&path, LINPHONE, "").await;
    assert!(house.ask(&head, "").await.starts_with("HTTP/1.1 401"));
    assert!(first.starts_with("HTTP/1.1 200") && first.contains("name=\"ha1\""), "{first}");
    assert!(!first.contains("pencil"), "{first}");
    assert!(house.send(&path, LINPHONE, "").await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn a_file_that_makes_a_password_is_three_looks_and_one_change() {
    let house = house("asked").await;
    let day = Duration::from_secs(86_400);
    for file in ["linphone.xml", "baresip-accounts"] {
        let token =
            house.auth.tokens.issue(PURPOSE, Some(house.alice), "", day, unix_millis()).await.unwrap();
        house.asked.take();
        let given = house.send(&format!("GET /provision/{file}?token={token}"), LINPHONE, "").await;
        assert!(given.starts_with("HTTP/1.1 200"), "{given}");
        // The token, its account, the settings; the password, which takes the token and is announced and noted along with it.
        assert_eq!(house.asked.take(), (3, 1), "{file}");
    }
    let token = house.auth.tokens.issue(PURPOSE, Some(house.alice), "", day, unix_millis()).await.unwrap();
    house.asked.take();
    let given = house.send(&format!("GET /provision/cusax.json?token={token}"), LINPHONE, "").await;
    assert!(given.starts_with("HTTP/1.1 200"), "{given}");
    assert_eq!(house.asked.take(), (2, 1));
}

#[tokio::test]
async fn settings_wait_for_the_name_that_a_device_will_have() {
    let house = house("waiting").await;
    let of_device = Layer::Device("alice@example.org".parse().unwrap(), "linphone".to_owned());
    let required = Settings { srtp: Some(Calls::Required), ..Settings::default() };
    Profiles::new(house.records.clone()).write(&of_device, &required).await.unwrap();
    let day = Duration::from_secs(86_400);
    for mandatory in ["1", "0"] {
        let token =
            house.auth.tokens.issue(PURPOSE, Some(house.alice), "", day, unix_millis()).await.unwrap();
        let path = format!("GET /provision/linphone.xml?token={token}");
        let file = house.send(&path, LINPHONE, "").await;
        let entry = file.split("media_encryption_mandatory").nth(1).unwrap_or_default();
        let value = entry.split(['>', '<']).nth(1);
        assert_eq!(value, Some(mandatory), "the second is called linphone-2: {file}");
    }
}

#[tokio::test]
async fn previews_spend_no_link_and_see_nothing_of_its_file() {
    let house = house("previews").await;
    let day = Duration::from_secs(86_400);
    for client in [
        "",
        LINPHONE,
        "User-Agent: curl/7.88.1\r\n",
        "User-Agent: Wget/1.21.3\r\n",
        "User-Agent: Unknown\r\n",
    ] {
        let token =
            house.auth.tokens.issue(PURPOSE, Some(house.alice), "", day, unix_millis()).await.unwrap();
        let path = format!("/provision/linphone.xml?token={token}");
        for other in [
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,*/*;q=0.8\r\n",
            "User-Agent: WhatsApp/2.23.20.0\r\nAccept: */*\r\n",
            "User-Agent: TelegramBot (like TwitterBot)\r\n",
            "User-Agent: Synapse (bot; +https://github.com/matrix-org/synapse)\r\nAccept: text/html\r\n",
            "",
        ] {
            let shown = house.send(&format!("GET {path}"), other, "").await;
            let is_page = other.contains("text/html");
            assert!(shown.starts_with(if is_page { "HTTP/1.1 200" } else { "HTTP/1.1 403" }), "{shown}");
            assert_eq!(
                shown.contains("<form method=\"post\" action=\"/provision/linphone.xml\">"),
                is_page,
                "{shown}"
            );
            assert!(!shown.contains("ha1") && !shown.contains("alice"), "{shown}");
            assert!(shown.contains("no-store"), "{shown}");
        }
        assert!(house.auth.book.app_passwords(house.alice).await.unwrap().is_empty(), "no password was made");
        let fetched = if client.is_empty() {
            house.ask("POST /provision/linphone.xml", &format!("token={token}")).await
        } else {
            house.send(&format!("GET {path}"), client, "").await
        };
        assert!(
            fetched.starts_with("HTTP/1.1 200") && fetched.contains("name=\"ha1\""),
            "{client}: {fetched}"
        );
        assert!(
            fetched.contains("content-disposition: attachment; filename=\"linphone.xml\"\r\n"),
            "{fetched}"
        );
        let browser = house.send(&format!("GET {path}"), "Accept: text/html\r\n", "").await;
        assert!(browser.starts_with("HTTP/1.1 401"), "it is spent: {browser}");
        let made = house.auth.book.app_passwords(house.alice).await.unwrap();
        assert!(!made[0].opens_chat, "a client that calls gets what opens calls");
        house.auth.book.remove_app_password(house.alice, &made[0].name).await.unwrap();
    }
}

#[tokio::test]
async fn a_password_that_baresip_cannot_read_is_not_in_its_file_and_another_that_works_is() {
    let house = house("baresip").await;
    let file = "GET /provision/baresip-accounts";
    assert!(house.ask(&format!("{file} @BASIC@"), "").await.contains(";auth_pass=pencil;outbound="));
    for password in ["correct horse battery", "semi;colon-pass", "\"quoted-password\"", "-dash;regint=0;x"] {
        house.auth.book.set_password(house.alice, password).await.unwrap();
        let answer = house.send(file, &basic(&format!("alice:{password}")), "").await;
        assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains(password), "{answer}");
        let given = answer.split(";auth_pass=").nth(1).unwrap().split(";outbound=").next().unwrap();
        assert!(given.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{given}");
        let whole = house.send("GET /provision/cusax.json", &basic(&format!("alice:{given}")), "").await;
        assert!(whole.starts_with("HTTP/1.1 200"), "it is a password of the account: {whole}");
    }
    assert_eq!(house.auth.book.app_passwords(house.alice).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_user_name_that_baresip_cannot_read_is_said() {
    let house = house("semicolon").await;
    let address: shared_model::Address = "semi;regint=0@example.org".parse().unwrap();
    let (aor, jid) = (shared_model::Aor(address.clone()), shared_model::BareJid(address));
    let new = shared_auth::NewAccount { aor, jid, profile: shared_auth::Profile::default() };
    house.auth.book.create(new, "pencil").await.unwrap();
    let proof = basic("semi;regint=0:pencil");
    let answer = house.send("GET /provision/baresip-accounts", &proof, "").await;
    assert!(answer.starts_with("HTTP/1.1 409") && answer.contains("with a semicolon in it"), "{answer}");
    assert!(house.send("GET /provision/cusax.json", &proof, "").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_desk_phone_gets_a_password_by_get_alone() {
    let house = house("desk").await;
    let (scopes, now) = (["phone", "yealink", "001565aabbcc"], unix_millis());
    let holder = (house.alice, shared_auth::Holder::Device);
    let (token, _) =
        house.auth.bearers.issue(holder, "", &scopes, Duration::from_secs(3600), now).await.unwrap();
    let path = format!("/provision/phone/{token}/001565aabbcc.cfg");
    assert!(house.ask(&format!("HEAD {path}"), "").await.starts_with("HTTP/1.1 200"));
    assert!(house.auth.book.app_passwords(house.alice).await.unwrap().is_empty());
    let file = house.ask(&format!("GET {path}"), "").await;
    assert!(file.starts_with("HTTP/1.1 200") && file.contains("alice"), "{file}");
    assert_eq!(house.auth.book.app_passwords(house.alice).await.unwrap().len(), 1);
    let (_, change) = house.auth.audit.page(None, 1).await.unwrap().remove(0);
    assert_eq!(change["what"], "device password made");
    assert!(change["after"]["name"].is_string() && change["after"]["created"].is_i64(), "{change}");
}

#[tokio::test]
async fn jitsi_posts_its_form_and_a_form_too_long_is_refused() {
    let house = house("form").await;
    let path = "POST /provision/jitsi.properties";
    let keys = house.ask(path, "username=alice&password=pencil").await;
    assert!(keys.contains("cusax.XMPP_ACCOUNT_ID=acc") && keys.contains("CALLING_DISABLED=true"), "{keys}");
    let long = format!("username=alice&password={}", "x".repeat(9000));
    assert!(house.ask(path, &long).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn strangers_learn_from_webfinger_nothing_about_who_exists() {
    let house = house("webfinger").await;
    let path = "GET /.well-known/webfinger?resource=acct:";
    let known = house.ask(&format!("{path}alice@example.org"), "").await;
    let unknown = house.ask(&format!("{path}nobod@example.org"), "").await;
    let body = |answer: &str| answer.split("\r\n\r\n").nth(1).map(str::to_owned);
    assert_eq!(body(&known).map(|text| text.replace("alice", "nobod")), body(&unknown));
    let own = house.ask(&format!("{path}alice@example.org @BASIC@"), "").await;
    assert!(own.contains("xmpp:wonder@example.org"), "{own}");
    let one = house.ask(&format!("{path}alice@example.org&rel=urn:cusax:sip&rel=x @BASIC@"), "").await;
    assert!(one.contains("urn:cusax:sip") && !one.contains("urn:cusax:xmpp"), "{one}");
}

#[tokio::test]
async fn host_meta_names_the_ways_that_browsers_go() {
    let house = house("ways").await;
    let port = house.port;
    let xrd = house.ask("GET /.well-known/host-meta", "").await;
    let links = [
        format!(
            "<Link rel='urn:xmpp:alt-connections:websocket' href='wss://localhost:{port}/xmpp-websocket'/>"
        ),
        format!("<Link rel='urn:xmpp:alt-connections:xbosh' href='https://localhost:{port}/http-bind'/>"),
    ];
    assert!(links.iter().all(|link| xrd.contains(link)), "{xrd}");
    let jrd = house.ask("GET /.well-known/host-meta.json", "").await;
    assert!(jrd.contains("access-control-allow-origin: *"), "{jrd}");
    let text = jrd.split("\r\n\r\n").nth(1).unwrap();
    let jrd: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(jrd["links"][1]["href"], format!("wss://localhost:{port}/xmpp-websocket"));
    assert_eq!(jrd["links"][2]["rel"], "urn:xmpp:alt-connections:xbosh");
}

/// XEP-0487 §2.
#[tokio::test]
async fn host_meta_names_all_ways_where_its_addresses_are_known() {
    let document = async |name: &str, s2s: Option<u16>, s2s_tls: Option<u16>| {
        let house = house_with(name, |parts| {
            parts.config.addresses = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
            parts.ports.xmpp_tls = Some(5223);
            (parts.ports.xmpp_s2s, parts.ports.xmpp_s2s_tls) = (s2s, s2s_tls);
        });
        let jrd = house.await.ask("GET /.well-known/host-meta.json", "").await;
        serde_json::from_str::<serde_json::Value>(jrd.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    };
    let jrd = document("all-ways", Some(5269), Some(5270)).await;
    assert_eq!(jrd["xmpp"]["ttl"], 3600);
    let way = |rel: &str| {
        let links = jrd["links"].as_array().unwrap();
        links.iter().find(|link| link["rel"] == format!("urn:xmpp:alt-connections:{rel}")).unwrap()
    };
    for (rel, port, sni) in [
        ("tls", 5223.into(), "example.org"),
        ("s2s-tls", 5270.into(), "example.org"),
        ("websocket", serde_json::Value::Null, "localhost"),
    ] {
        let link = way(rel);
        assert_eq!((&link["port"], &link["sni"]), (&port, &sni.into()), "{rel}");
        assert_eq!(link["ips"], serde_json::json!(["192.0.2.1", "2001:db8::1"]), "{rel}");
        assert!(link["priority"].is_u64() && link["weight"].is_u64(), "{rel}");
    }
    assert!(way("websocket")["href"].as_str().unwrap().starts_with("wss://localhost:"));
    assert!(way("xbosh")["ips"].is_null());
    // Other servers would look nowhere else, and find nothing.
    assert!(document("some-ways", Some(5269), None).await["xmpp"].is_null());
    assert!(document("own-ways", None, None).await["xmpp"].is_object());
}

#[tokio::test]
async fn a_form_of_megabytes_is_told_that_it_is_too_long() {
    let house = house("megabytes").await;
    let body = "x".repeat(3 << 20);
    for path in ["/provision/jitsi.properties", "/sign-in", "/api/v1/accounts"] {
        let answer = house.ask(&format!("POST {path}"), &body).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
        let for_programs = answer.contains("content-type: application/problem+json");
        assert_eq!(for_programs, path.starts_with("/api/"), "{path}: {answer}");
    }
}

/// RFC 9110 §8.6, §10.1.1, §13.1.2, §15.5.1, §15.5.6, §15.6.2.
#[tokio::test]
async fn http_is_spoken_as_it_is_written() {
    let house = house("spoken").await;
    let head = house.ask("HEAD /provision/cusax.json @BASIC@", "").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: application/json"), "{head}");
    assert!(!head.contains("content-length"), "it is not known before the file is made: {head}");

    let token =
        format!("Content-Type: application/json\r\nAuthorization: Bearer {}\r\n", token(&house).await);
    let chunked = |body: &str| (format!("{token}Transfer-Encoding: chunked\r\n"), body.to_owned());
    let (fields, body) = chunked("2\r\n{}\r\nZZ\r\n");
    let broken = house.send_unmeasured("PATCH /api/v1/account", &fields, &body).await;
    assert!(broken.starts_with("HTTP/1.1 400"), "{broken}");
    let (fields, body) = chunked(&format!("2710\r\n{}\r\n0\r\n\r\n", "x".repeat(10_000)));
    let long = house.send_unmeasured("PATCH /api/v1/account", &fields, &body).await;
    assert!(long.starts_with("HTTP/1.1 413"), "{long}");

    let asks = "Content-Length: 10000\r\nExpect: 100-continue\r\n";
    let before = house.send_unmeasured("POST /sign-in", asks, "").await;
    assert!(before.starts_with("HTTP/1.1 413"), "nobody need send it first: {before}");

    let other = house.ask("FOO /directory/dav/people/ @BASIC@", "").await;
    assert!(other.starts_with("HTTP/1.1 501"), "{other}");
    let other = house.ask("TRACE /directory/dav/people/ @BASIC@", "").await;
    assert!(other.starts_with("HTTP/1.1 405") && other.contains("allow: OPTIONS, GET"), "{other}");
    assert!(house.ask("PUT /directory/dav/people/x.vcf @BASIC@", "").await.starts_with("HTTP/1.1 403"));
}

async fn token(house: &crate::common::House) -> String {
    let (holder, hour) = ((house.alice, shared_auth::Holder::Person), Duration::from_secs(3600));
    house.auth.bearers.issue(holder, "test", &["account:write"], hour, unix_millis()).await.unwrap().0
}

#[tokio::test]
async fn a_program_that_goes_astray_is_told_so_in_its_own_language() {
    let house = house("astray").await;
    for (path, status) in [("GET /api/v1/nothing", "404"), ("PUT /api/v1/accounts", "405")] {
        let answer = house.ask(path, "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    }
}

#[tokio::test]
async fn people_behind_a_trusted_proxy_are_slowed_each_by_their_own_address() {
    let guess = |client: &str| format!("X-Forwarded-For: {client}\r\n{}", basic("alice:wrong"));
    let right = |client: &str| format!("X-Forwarded-For: {client}\r\n{}", basic("alice:pencil"));
    let path = "GET /provision/cusax.json";

    let house = house_behind("proxied", &["127.0.0.1"], |_| {}).await;
    for _ in 0..12 {
        house.send(path, &guess("203.0.113.9, 192.0.2.1"), "").await;
    }
    assert!(house.send(path, &right("192.0.2.1"), "").await.starts_with("HTTP/1.1 429"));
    assert!(house.send(path, &right("192.0.2.2"), "").await.starts_with("HTTP/1.1 200"));

    let alone = house_behind("unproxied", &["192.0.2.0/24"], |_| {}).await;
    for _ in 0..12 {
        alone.send(path, &guess("192.0.2.1"), "").await;
    }
    let other = alone.send(path, &right("192.0.2.2"), "").await;
    assert!(other.starts_with("HTTP/1.1 429"), "anybody can write the field: {other}");
}

#[tokio::test]
async fn strangers_who_guess_at_an_account_do_not_lock_its_owner_out() {
    let house = house_behind("locked", &["127.0.0.1"], |_| {}).await;
    let ask = async |client: &str, pair: &str| {
        let fields = format!("X-Forwarded-For: {client}\r\n{}", basic(pair));
        house.send("GET /provision/cusax.json", &fields, "").await
    };
    assert!(ask("192.0.2.1", "alice:pencil").await.starts_with("HTTP/1.1 200"));
    for guess in 0..24 {
        ask(&format!("198.51.100.{guess}"), "alice:wrong").await;
    }
    assert!(
        ask("203.0.113.5", "alice:pencil").await.starts_with("HTTP/1.1 429"),
        "a guess that may be right"
    );
    assert!(ask("192.0.2.99", "alice:pencil").await.starts_with("HTTP/1.1 200"), "from where she was before");
    assert!(ask("203.0.113.6", "alice:pencil").await.starts_with("HTTP/1.1 429"), "which frees nobody");
}

#[tokio::test]
async fn a_host_that_leads_here_by_its_name_alone_is_opened_over_tls_alone() {
    let of_own =
        |parts: &mut provisioning::Parts| parts.public_url = Some("https://id.example.org".to_owned());
    let house = house_with("hsts", of_own).await;
    let page = house.send("GET /sign-in", "", "").await;
    assert!(page.contains("strict-transport-security: max-age=31536000"), "{page}");
}

#[tokio::test]
async fn a_client_for_browsers_is_linked_where_there_is_one() {
    let without = house("no-web").await;
    let (cookie, _) = sign_in(&without).await;
    for path in ["/account", "/account/setup"] {
        let page = without.send(&format!("GET {path}"), &cookie, "").await;
        assert!(!page.contains("Chat in this browser"), "{page}");
        let says =
            page.contains("No client at hand?") && page.contains(" <a href=\"/account\">My account</a>");
        assert_eq!(says, path == "/account/setup", "{page}");
        assert_eq!(page.contains("Monal"), says);
        assert!(!page.contains("provisioning.web_client"), "that is for who administers the service");
    }
    let admin = Profile { admin: true, ..Profile::default() };
    without.auth.book.set_profile(without.alice, admin).await.unwrap();
    let page = without.send("GET /account/setup", &cookie, "").await;
    assert!(page.contains("provisioning.web_client"), "{page}");
    assert!(without.ask("GET /provision/cusax.json @BASIC@", "").await.contains("\"web_client\":null"));
    let house = house_with("web", |parts| {
        parts.config.web_client = Some("https://chat.example.org/?a&jid={jid}".to_owned());
    })
    .await;
    let (cookie, _) = sign_in(&house).await;
    let link = "href=\"https://chat.example.org/?a&amp;jid=wonder%40example.org\"";
    for path in ["/account", "/account/setup"] {
        let page = house.send(&format!("GET {path}"), &cookie, "").await;
        assert!(page.contains(link) && !page.contains("No client at hand?"), "{path}: {page}");
    }
    let whole = house.ask("GET /provision/cusax.json @BASIC@", "").await;
    assert!(
        whole.contains("\"web_client\":\"https://chat.example.org/?a&jid=wonder%40example.org\""),
        "{whole}"
    );
}

#[tokio::test]
async fn the_account_says_who_gives_numbers_and_whom_to_ask() {
    let house = house("who-gives-nobody").await;
    let (cookie, _) = sign_in(&house).await;
    let page = house.send("GET /account", &cookie, "").await;
    assert!(page.contains("Telephone numbers are given and taken back by the administrators"), "{page}");
    assert!(!page.contains("Whom to ask"), "{page}");
    let house =
        house_with("who-gives-numbers", |parts| parts.config.contact = "the help desk <9>".to_owned()).await;
    let (cookie, _) = sign_in(&house).await;
    let page = house.send("GET /account", &cookie, "").await;
    assert!(page.contains("Whom to ask: the help desk &lt;9&gt;"), "{page}");
    let page = house.send("GET /account", &format!("{cookie}Accept-Language: de\r\n"), "").await;
    assert!(page.contains("Rufnummern vergeben") && page.contains("Wen man fragt: the help desk"), "{page}");
}
