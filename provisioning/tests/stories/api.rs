//! The API and the pages over real HTTPS: who may do what, what is noted, and what other sites cannot do.

use std::time::Duration;

use crate::common::{House, house, sign_in};
use shared_auth::{Holder, NewAccount, Profile};
use shared_runtime::unix_millis;
use tokio::io::AsyncReadExt;

const HOUR: Duration = Duration::from_secs(3600);
const GOOD: &str = "correct-horse-battery";

async fn token(house: &House, scopes: &[&str]) -> String {
    let holder = (house.alice, Holder::Person);
    house.auth.bearers.issue(holder, "test", scopes, HOUR, unix_millis()).await.unwrap().0
}

async fn make_admin(house: &House) {
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_an_administrators_only_while_it_is_one() {
    let house = house("scopes").await;
    let reader = token(&house, &["account:read"]).await;
    assert_eq!(house.call(&reader, "GET /api/v1/account", "").await.1["jid"], "wonder@example.org");
    assert_eq!(house.call(&reader, "PATCH /api/v1/account", "{\"name\":\"A\"}").await.0, 403);
    let admin = token(&house, &["admin:read", "admin:write"]).await;
    assert_eq!(house.call(&admin, "GET /api/v1/accounts", "").await.0, 403);
    make_admin(&house).await;
    assert_eq!(
        house.call(&admin, "GET /api/v1/accounts", "").await.1["accounts"][0]["aor"],
        "alice@example.org"
    );
    for forged in ["", "cusax_0_x", "pencil"] {
        assert_eq!(house.call(forged, "GET /api/v1/account", "").await.0, 401);
    }
    let nothing = house.send("GET /api/v1/account", "", "").await;
    assert!(
        nothing.contains("www-authenticate: Bearer") && nothing.contains("application/problem+json"),
        "{nothing}"
    );
}

#[tokio::test]
async fn requests_that_break_a_rule_are_told_the_field_and_the_rule() {
    let house = house("rules").await;
    let token = token(&house, &["account:read", "account:write"]).await;
    for (head, body, status, field) in [
        ("PATCH /api/v1/account", "{\"name\":1}", 422, "name"),
        ("PATCH /api/v1/account", "{}", 422, "name"),
        ("PATCH /api/v1/account", "{\"name\":\"a\\u202eb\"}", 422, "name"),
        ("PATCH /api/v1/account", "{\"nom\":\"x\"}", 422, ""),
        ("PATCH /api/v1/account", "[", 400, ""),
        (
            "PUT /api/v1/account/password",
            "{\"current\":\"pen\",\"password\":\"correct-horse-battery\"}",
            403,
            "current",
        ),
        (
            "PUT /api/v1/account/password",
            "{\"current\":\"pencil\",\"password\":\"password\"}",
            422,
            "password",
        ),
        ("POST /api/v1/account/devices", "{\"name\":\"a b\"}", 422, "name"),
        ("POST /api/v1/account/tokens", "{\"name\":\"x\",\"scopes\":[\"admin:write\"]}", 422, "scopes"),
        ("DELETE /api/v1/account/devices/none", "", 404, ""),
        ("DELETE /api/v1/account", "{\"current\":\"wrong\"}", 403, "current"),
    ] {
        let (told, problem) = house.call(&token, head, body).await;
        assert_eq!(
            (told, problem["field"].as_str().unwrap_or_default()),
            (status, field),
            "{head} {body}: {problem}"
        );
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
    let text = house
        .send(
            "PATCH /api/v1/account",
            &format!("Authorization: Bearer {token}\r\nContent-Type: text/plain\r\n"),
            "{}",
        )
        .await;
    assert!(text.starts_with("HTTP/1.1 415"), "{text}");
}

#[tokio::test]
async fn an_administrator_makes_changes_and_removes_accounts_and_each_change_is_noted() {
    let house = house("admin").await;
    make_admin(&house).await;
    let token = token(&house, &["admin:read", "admin:write", "account:read", "account:write"]).await;
    let body = "{\"address\":\"bob@example.org\",\"name\":\"Bob\",\"numbers\":[\"+33 123456789\"]}";
    let (status, made) = house.call(&token, "POST /api/v1/accounts", body).await;
    assert_eq!((status, &made["account"]["numbers"][0]), (200, &"+33123456789".into()));
    let link = made["link"].as_str().unwrap();
    assert!(
        house
            .ask(&format!("GET {}", &link[link.find("/invite").unwrap()..]), "")
            .await
            .contains("bob@example.org")
    );
    assert_eq!(house.call(&token, "POST /api/v1/accounts", body).await.0, 409);
    let foreign = "{\"address\":\"eve@other.org\"}";
    assert_eq!(house.call(&token, "POST /api/v1/accounts", foreign).await.1["field"], "address");
    let path = "/api/v1/accounts/bob@example.org";
    let (_, off) = house.call(&token, &format!("PATCH {path}"), "{\"enabled\":false}").await;
    assert!(off["enabled"] == false && off["name"] == "Bob", "what is not given stays: {off}");
    assert_eq!(
        house.call(&token, "PATCH /api/v1/accounts/alice@example.org", "{\"admin\":false}").await.0,
        409
    );
    let own = ["account:bob@example.org", "device:bob@example.org/PHONE"];
    for layer in own {
        let settings = "{\"settings\":{\"srtp\":\"required\"}}";
        assert_eq!(
            house
                .call(&token, &format!("PUT /api/v1/profiles/{}", layer.replace('/', "%2F")), settings)
                .await
                .0,
            200
        );
    }
    assert_eq!(house.call(&token, &format!("DELETE {path}"), "").await.0, 204);
    assert_eq!(house.call(&token, &format!("GET {path}"), "").await.0, 404);
    for layer in own {
        let profile =
            house.call(&token, &format!("GET /api/v1/profiles/{}", layer.replace('/', "%2F")), "").await.1;
        assert!(profile["settings"]["srtp"].is_null(), "it went with the account: {profile}");
    }
    assert_eq!(house.call(&token, "POST /api/v1/accounts", body).await.0, 409, "its data are to erase first");
    let (_, invite) = house.call(&token, "POST /api/v1/invites", "{\"user\":\"carol\",\"days\":1}").await;
    let kept = house.call(&token, "POST /api/v1/accounts", "{\"address\":\"carol@example.org\"}").await;
    assert_eq!(kept.0, 409);
    assert!(kept.1["detail"].as_str().unwrap().contains("an open invitation keeps this name"), "{}", kept.1);
    let id = invite["invite"]["id"].as_str().unwrap();
    assert_eq!(house.call(&token, &format!("DELETE /api/v1/invites/{id}"), "").await.0, 204);
    let settings = "{\"settings\":{\"srtp\":\"required\"}}";
    assert_eq!(house.call(&token, "PUT /api/v1/profiles/group:sales", settings).await.0, 200);
    assert_eq!(house.call(&token, "PUT /api/v1/profiles/nothing", settings).await.0, 422);
    let (_, own) = house.call(&token, "POST /api/v1/account/invites", "").await;
    assert!(own["xmpp"].as_str().unwrap().starts_with("xmpp:wonder@example.org?roster;preauth="), "{own}");
    let (_, audit) = house.call(&token, "GET /api/v1/audit?max=100", "").await;
    let changes = audit["changes"].as_array().unwrap();
    let changed = changes.iter().find(|change| change["what"] == "account changed").unwrap();
    assert_eq!((&changed["who"], &changed["on"]), (&"alice@example.org".into(), &"bob@example.org".into()));
    assert!(changed["before"]["enabled"] == true && changed["after"]["enabled"] == false);
    let older = house
        .call(&token, &format!("GET /api/v1/audit?before={}", changes[0]["id"].as_str().unwrap()), "")
        .await
        .1;
    assert_eq!(older["changes"][0]["id"], changes[1]["id"]);
}

#[tokio::test]
async fn people_change_their_own_account_by_forms_and_no_other_site_can() {
    let house = house("forms").await;
    let (cookie, key) = sign_in(&house).await;
    let send = |deed: &str, extra: &str, body: String| {
        let (head, headers) = (format!("POST /do/{deed}"), format!("{FORM}{cookie}{extra}"));
        let house = &house;
        async move { house.send(&head, &headers, &body).await }
    };
    let renamed = send("renameAccount", "", format!("key={key}&back=/account&name=Alice+%3Cb%3E")).await;
    assert!(renamed.contains("location: /account?done=renameAccount"), "{renamed}");
    let page = house.send("GET /account?done=renameAccount", &cookie, "").await;
    assert!(
        page.contains("Alice &lt;b&gt;") && page.contains("role=\"status\"") && page.len() < 60 * 1024,
        "{page}"
    );
    for (extra, body) in [
        ("", "name=Eve".to_owned()),
        ("", "key=forged&name=Eve".to_owned()),
        ("Origin: https://evil.example\r\n", format!("key={key}&name=Eve")),
        ("Sec-Fetch-Site: cross-site\r\n", format!("key={key}&name=Eve")),
    ] {
        assert!(send("renameAccount", extra, body).await.starts_with("HTTP/1.1 403"));
    }
    let json = format!("{cookie}Content-Type: application/json\r\n");
    let by_cookie = house.send("PATCH /api/v1/account", &json, "{\"name\":\"Eve\"}").await;
    assert!(by_cookie.starts_with("HTTP/1.1 403"), "a cookie alone changes nothing: {by_cookie}");
    let with_key = house
        .send("PATCH /api/v1/account", &format!("{json}X-CSRF-Key: {key}\r\n"), "{\"name\":\"A\"}")
        .await;
    assert!(with_key.starts_with("HTTP/1.1 200"), "{with_key}");
    let device = send("addDevice", "", format!("key={key}&back=/account&name=PHONE")).await;
    let password = device
        .split("<code class=\"value\"")
        .nth(1)
        .unwrap()
        .split('>')
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    assert_eq!(password.split('-').count(), 4, "{device}");
    assert!(device.contains("wonder+PHONE@example.org"), "chat clients say which password: {device}");
    let by_device = house.ask("POST /sign-in", &format!("user=alice&password={password}")).await;
    assert!(
        by_device.starts_with("HTTP/1.1 401") && by_device.contains("password of one device"),
        "{by_device}"
    );
    let weak =
        send("changePassword", "", format!("key={key}&back=/account&current=pencil&password=short")).await;
    assert!(weak.starts_with("HTTP/1.1 422") && weak.contains("at least 8 characters"), "{weak}");
    assert!(send("listAccounts", "", format!("key={key}")).await.starts_with("HTTP/1.1 403"));
    let changed = send("changePassword", "", format!("key={key}&current=pencil&password={GOOD}")).await;
    assert!(changed.contains("set-cookie: __Host-cusax=cusax_"), "who changed it goes on: {changed}");
    let gone = house.send("GET /account", &cookie, "").await;
    assert!(gone.starts_with("HTTP/1.1 303") && gone.contains("location: /sign-in"), "{gone}");
}

#[tokio::test]
async fn the_password_of_a_stolen_session_is_guessed_no_faster_than_any() {
    let house = house("guesses").await;
    let token = token(&house, &["account:read", "account:write"]).await;
    let device = house.auth.book.add_app_password(house.alice, "PHONE", 0).await.unwrap();
    let by_device = format!("{{\"current\":\"{device}\",\"password\":\"{GOOD}\"}}");
    assert_eq!(house.call(&token, "PUT /api/v1/account/password", &by_device).await.0, 403);
    let mut last = 0;
    for guess in 0..20 {
        let body = format!("{{\"current\":\"{guess}\"}}");
        last = house.call(&token, "DELETE /api/v1/account", &body).await.0;
        if last != 403 {
            break;
        }
    }
    assert_eq!(last, 429);
    let right = format!("{{\"current\":\"pencil\",\"password\":\"{GOOD}\"}}");
    assert_eq!(house.call(&token, "PUT /api/v1/account/password", &right).await.0, 429);
}

#[tokio::test]
async fn a_program_changes_no_more_than_so_often_and_a_dead_token_is_no_guess() {
    let house = house("often").await;
    let token = token(&house, &["account:write"]).await;
    let mut last = 0;
    for _ in 0..=60 {
        last = house.call(&token, "PATCH /api/v1/account", "{\"name\":\"A\"}").await.0;
    }
    assert_eq!(last, 429);
    house.auth.bearers.forget(house.alice).await.unwrap();
    for _ in 0..15 {
        assert_eq!(house.call(&token, "GET /api/v1/account", "").await.0, 401);
        let phone = house.ask(&format!("GET /provision/phone/{token}/001565aabbcc.cfg"), "").await;
        assert!(phone.starts_with("HTTP/1.1 404"), "{phone}");
        assert!(phone.contains("x-content-type-options: nosniff"), "{phone}");
        assert!(!phone.contains("strict-transport"), "a port beside which somebody else may listen: {phone}");
    }
    for _ in 0..15 {
        last = house.call("cusax_1_x", "GET /api/v1/account", "").await.0;
    }
    assert_eq!(last, 429);
    let good = self::token(&house, &["account:read"]).await;
    assert_eq!(house.call(&good, "GET /api/v1/account", "").await.0, 200, "others of the network guess");
}

/// What was said to alice, so many times in so many bytes.
async fn said(house: &House, times: i64, bytes: usize) {
    let body = format!("<message>{}</message>", "\u{e9}".repeat(bytes / 2)).into_bytes();
    let entries: Vec<_> = (0..times)
        .map(|at| shared_store::Entry {
            owner: "wonder@example.org".to_owned(),
            id: format!("{at:05}"),
            with: "bob@example.org".to_owned(),
            time: at,
            kind: "chat".to_owned(),
            body: body.clone(),
        })
        .collect();
    for some in entries.chunks(100) {
        house.archive.append(some).await.unwrap();
    }
}

#[tokio::test]
async fn an_export_has_all_that_both_halves_keep() {
    let house = house("export").await;
    said(&house, 2_100, 0).await;
    let token = token(&house, &["account:read"]).await;
    let (status, export) = house.call(&token, "GET /api/v1/account/export", "").await;
    let said = export["archive"].as_array().unwrap();
    assert_eq!((status, said.len()), (200, 2_100));
    assert_eq!((&said[0]["id"], &said[2_099]["id"]), (&"02099".into(), &"00000".into()), "the newest first");
    let happened = export["timeline"].as_array().unwrap();
    assert_eq!((happened.len(), &happened[149]["text"]), (150, &"calls number 0".into()));
    let contacts: Vec<&str> =
        export["contacts"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(contacts, ["Contacts0", "Contacts1", "Contacts2"], "page by page");
    for part in ["card", "nodes", "private", "rooms", "preferences", "certificates", "pushes", "waiting"] {
        assert_eq!(export[part][0]["text"], "<item name='\"'/>", "{part}");
    }
    assert_eq!(export["account"]["aor"], "alice@example.org");
    assert_eq!((&export["complete"], &export["left_out"]), (&true.into(), &serde_json::json!([])));
}

#[tokio::test]
async fn an_export_says_what_nobody_could_tell() {
    let house = crate::common::house_with("export-alone", |parts| parts.own_chat = None).await;
    let token = token(&house, &["account:read"]).await;
    let (_, export) = house.call(&token, "GET /api/v1/account/export", "").await;
    let left_out: Vec<&str> =
        export["left_out"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert!(
        ["blocked", "contacts", "nodes", "voice_messages"].iter().all(|it| left_out.contains(it)),
        "{export}"
    );
    assert!(!["calls", "timeline", "archive"].iter().any(|it| left_out.contains(it)), "{export}");
    assert_eq!((&export["contacts"], &export["complete"]), (&serde_json::Value::Null, &false.into()));
}

#[tokio::test]
async fn an_account_is_given_one_export_at_a_time_and_no_more_than_there_is_room_for() {
    let house = house("exports").await;
    // 72 MB of what was said.
    said(&house, 1_200, 60_000).await;
    let token = token(&house, &["account:read"]).await;
    let request = format!(
        "GET /api/v1/account/export HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: Bearer {token}\r\n\r\n",
        house.port
    );
    let mut first = house.open(request.as_bytes()).await;
    let mut head = [0; 12];
    first.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    // It is not read on, so that it is not at its end.
    let headers = format!("Authorization: Bearer {token}\r\n");
    let second = house.send("GET /api/v1/account/export", &headers, "").await;
    assert!(second.starts_with("HTTP/1.1 429") && second.contains("retry-after: 10\r\n"), "{second:.300}");
    drop(first);
    let mut asked = 0;
    let export = loop {
        let (status, export) = house.call(&token, "GET /api/v1/account/export", "").await;
        if status == 200 {
            break export;
        }
        asked += 1;
        assert!(status == 429 && asked < 200, "{status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let said = export["archive"].as_array().unwrap();
    assert_eq!(said[0]["id"], "01199");
    assert!(said.len() < 1_200 && export.to_string().len() <= 65 * 1024 * 1024, "{}", said.len());
    assert_eq!((&export["complete"], &export["left_out"]), (&false.into(), &serde_json::json!(["archive"])));
}

#[tokio::test]
async fn administrators_have_pages_and_others_are_told_so() {
    let house = house("pages").await;
    let new = |name: &str| NewAccount {
        aor: format!("{name}@example.org").parse().unwrap(),
        jid: format!("{name}@example.org").parse().unwrap(),
        profile: Profile { name: "<script>alert(1)</script>".to_owned(), ..Profile::default() },
    };
    house.auth.book.create(new("mallory"), GOOD).await.unwrap();
    let (cookie, key) = sign_in(&house).await;
    assert!(house.send("GET /admin", &cookie, "").await.starts_with("HTTP/1.1 403"));
    make_admin(&house).await;
    for path in ["/admin", "/admin/invites", "/admin/service", "/account", "/account/setup"] {
        let page = house.send(&format!("GET {path}"), &cookie, "").await;
        assert!(
            page.starts_with("HTTP/1.1 200") && page.contains("content-security-policy"),
            "{path}: {page}"
        );
        assert!(!page.contains("<script>") && page.len() < 60 * 1024, "{path}");
        assert!(house.send(&format!("GET {path}"), "", "").await.contains("location: /sign-in"));
    }
    let form = format!("key={key}&back=/admin/invites&user=&name=&days=2");
    let made = house.send("POST /do/createInvite", &format!("{FORM}{cookie}"), &form).await;
    assert!(made.starts_with("HTTP/1.1 200") && made.contains("/invite/") && made.contains("<svg"), "{made}");
    let form = format!("key={key}&back=https://evil.example&path.address=mallory@example.org&enabled=false");
    let done = house.send("POST /do/changeAccount", &format!("{FORM}{cookie}"), &form).await;
    assert!(done.contains("location: /account?done=changeAccount"), "{done}");
    let page = house.send("GET /admin?edit=mallory@example.org", &cookie, "").await;
    assert!(page.contains("id=\"edit-numbers\"") && !page.contains("<script>"), "{page}");
    let form = format!(
        "key={key}&back=/admin&path.address=mallory@example.org&name=&numbers=%2B33123456789%0A&video=true&admin=false"
    );
    let done = house.send("POST /do/changeAccount", &format!("{FORM}{cookie}"), &form).await;
    assert!(done.contains("location: /admin?done=changeAccount"), "{done}");
    let mallory =
        house.auth.directory.by_aor(&"mallory@example.org".parse().unwrap()).await.unwrap().unwrap();
    assert!(mallory.name.is_empty() && mallory.video && mallory.numbers == ["+33123456789"], "{mallory:?}");
    let wrong =
        house.send("POST /do/changeAccount", &format!("{FORM}{cookie}"), &form.replace("%2B33", "33")).await;
    assert!(wrong.starts_with("HTTP/1.1 422") && wrong.contains("E.164"), "{wrong}");
    let out = house.send("POST /sign-out", &format!("{FORM}{cookie}"), &format!("key={key}")).await;
    assert!(out.contains("Max-Age=0"), "{out}");
    assert!(house.send("GET /account", &cookie, "").await.contains("location: /sign-in"));
    assert!(house.send("GET /", "", "").await.contains("location: /account"));
}

#[tokio::test]
async fn the_document_names_every_operation() {
    let house = house("document").await;
    let answer = house.send("GET /api/v1/openapi.json", "", "").await;
    let document: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let account = &document["paths"]["/account"]["patch"];
    assert_eq!(account["requestBody"]["content"]["application/json"]["schema"]["required"][0], "name");
}

#[tokio::test]
async fn what_an_account_left_here_is_forgotten_whoever_removes_it() {
    let house = house("left").await;
    let layer: provisioning::Layer = "device:alice@example.org/PHONE".parse().unwrap();
    let profiles = provisioning::Profiles::new(house.records.clone());
    let settings =
        provisioning::Settings { listed: Some(shared_model::FoundBy::Domain), ..Default::default() };
    profiles.write(&layer, &settings).await.unwrap();
    house.auth.book.remove(house.alice).await.unwrap();
    let is_forgotten = async {
        while profiles.read(&layer).await.unwrap() == settings {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_forgotten).await.expect("the profile is still there");
}

#[tokio::test]
async fn names_of_tokens_can_be_shown_and_pages_are_bounded_by_one_name() {
    let house = house("names").await;
    let token = token(&house, &["account:read", "account:write"]).await;
    for name in ["a\\u0001b".to_owned(), "x".repeat(5_000)] {
        let body = format!("{{\"name\":\"{name}\",\"scopes\":[\"account:read\"]}}");
        let (status, problem) = house.call(&token, "POST /api/v1/account/tokens", &body).await;
        assert_eq!((status, &problem["field"]), (422, &"name".into()), "{problem}");
    }
    for (query, status) in
        [("max=1", 200), ("most=1", 200), ("max=0", 422), ("most=501", 422), ("max=2&most=999", 200)]
    {
        let (answered, _) = house.call(&token, &format!("GET /api/v1/account/calls?{query}"), "").await;
        assert_eq!(answered, status, "{query}");
    }
}

#[tokio::test]
async fn people_choose_which_of_their_numbers_they_call_with() {
    let house = house("number").await;
    let (cookie, key) = sign_in(&house).await;
    assert!(
        !house.send("GET /account", &cookie, "").await.contains("setCallingNumber"),
        "there is no choice"
    );
    let numbers = ["+33100000001", "+33100000002", "+33100000003"].map(str::to_owned).to_vec();
    let profile = Profile { numbers, ..Profile::default() };
    house.auth.book.set_profile(house.alice, profile).await.unwrap();
    let page = house.send("GET /account", &cookie, "").await;
    assert!(page.contains("action=\"/do/setCallingNumber\""), "{page}");
    let fields = |number: &str| format!("key={key}&back=/account&number={number}");
    let done =
        house.send("POST /do/setCallingNumber", &format!("{cookie}{FORM}"), &fields("%2B33100000003")).await;
    assert!(done.starts_with("HTTP/1.1 303"), "{done}");
    let card = house.auth.directory.by_id(house.alice).await.unwrap().unwrap();
    assert_eq!(card.numbers, ["+33100000003", "+33100000001", "+33100000002"]);
    let new = NewAccount {
        aor: "bob@example.org".parse().unwrap(),
        jid: "bob@example.org".parse().unwrap(),
        profile: Profile { numbers: vec!["+33100000009".to_owned()], ..Profile::default() },
    };
    house.auth.book.create(new, "pencil").await.unwrap();
    let others =
        house.send("POST /do/setCallingNumber", &format!("{cookie}{FORM}"), &fields("%2B33100000009")).await;
    assert!(others.starts_with("HTTP/1.1 422"), "{others}");
    let (_, change) = house.auth.audit.page(None, 1).await.unwrap().remove(0);
    assert_eq!(
        (&change["before"]["numbers"][0], &change["after"]["numbers"][0]),
        (&"+33100000001".into(), &"+33100000003".into())
    );
}
