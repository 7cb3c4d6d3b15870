//! Picture, archive, block list, disturbance, sessions: by programs and by pages, over real HTTPS.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use shared_auth::Holder;
use shared_model::{
    AccountEvent, Archived, Correlation, Fact, ProtectedEvent, Protection, Proved, SessionEvent, Strength,
};
use shared_runtime::bus::Heard;
use shared_runtime::unix_millis;
use shared_store::{Binding, BindingUpdate};

use crate::common::{House, house, sign_in};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

async fn token(house: &House) -> String {
    let (holder, scopes) = ((house.alice, Holder::Person), ["account:read", "account:write", "admin:read"]);
    let hour = Duration::from_secs(3600);
    house.auth.bearers.issue(holder, "test", &scopes, hour, unix_millis()).await.unwrap().0
}

/// A PNG of this size, its points left out.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend(b"\x08\x02\0\0\0\0\0\0\0\0\0\0\0IEND\xaeB`\x82");
    bytes
}

/// A form as browsers send one with a file.
fn upload(key: &str, file: &[u8]) -> Vec<u8> {
    let field = |name: &str| format!("--XYZ\r\nContent-Disposition: form-data; name=\"{name}\"");
    let start = format!(
        "{}\r\n\r\n{key}\r\n{}\r\n\r\n/account\r\n{}; filename=\"me.png\"\r\nContent-Type: text/html\r\n\r\n",
        field("key"),
        field("back"),
        field("picture")
    );
    [start.as_bytes(), file, b"\r\n--XYZ--\r\n"].concat()
}

#[tokio::test]
async fn a_picture_is_judged_by_its_bytes_and_shown() {
    let house = house("picture").await;
    let token = token(&house).await;
    assert_eq!(house.call(&token, "GET /api/v1/account/picture", "").await.0, 404);
    let set = |bytes: &[u8]| format!("{{\"picture\":\"{}\"}}", BASE64_STANDARD.encode(bytes));
    let good = png(96, 96);
    for (body, rule) in [
        (set(b"<svg/>"), "PNG, JPEG, GIF or WebP"),
        (set(&png(4096, 1)), "at most 1024 points"),
        (set(&good[..40]), "not whole"),
        (set(&[&good[..], b"<script>"].concat()), "not whole"),
        ("{\"picture\":\"%\"}".to_owned(), "not Base64"),
        (set(&[&png(9, 9)[..], &[0; 65_536]].concat()), "at most 64 KiB"),
    ] {
        let (status, problem) = house.call(&token, "PUT /api/v1/account/picture", &body).await;
        assert_eq!((status, &problem["field"]), (422, &"picture".into()), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(rule), "{problem}");
    }
    let huge = set(&[0; 100_000]);
    assert_eq!(house.call(&token, "PUT /api/v1/account/picture", &huge).await.0, 413);
    assert_eq!(house.call(&token, "PUT /api/v1/account/picture", &set(&good)).await.0, 204);
    let (_, shown) = house.call(&token, "GET /api/v1/account/picture", "").await;
    assert_eq!(shown["media_type"], "image/png");
    assert_eq!(BASE64_STANDARD.decode(shown["picture"].as_str().unwrap()).unwrap(), good);
    assert_eq!(house.call(&token, "DELETE /api/v1/account/picture", "").await.0, 204);
    assert!(house.chat.0.lock().unwrap().picture.is_none());
}

#[tokio::test]
async fn a_browser_uploads_a_picture_without_a_script() {
    let house = house("upload").await;
    let (cookie, key) = sign_in(&house).await;
    let form = format!("{cookie}Content-Type: multipart/form-data; boundary=XYZ\r\n");
    let send = |body: Vec<u8>| {
        let form = form.clone();
        let house = &house;
        async move { house.send_bytes("POST /do/setPicture", &form, &body).await }
    };
    let foreign = send(upload("forged", &png(96, 96))).await;
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
    let wrong = send(upload(&key, b"GIF89a<script>")).await;
    assert!(wrong.starts_with("HTTP/1.1 422") && wrong.contains("not whole"), "{wrong}");
    let long = send(upload(&key, &[7; 200_000])).await;
    assert!(long.starts_with("HTTP/1.1 413") && long.contains("64 KiB"), "{long}");
    assert!(long.contains("content-security-policy"), "{long}");
    for broken in [&b"--XYZ"[..], b"--XYZ--", b""] {
        let answer = send(broken.to_vec()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert!(house.chat.0.lock().unwrap().picture.is_none());
    let done = send(upload(&key, &png(96, 96))).await;
    assert!(done.contains("location: /account?done=setPicture"), "{done}");
    let page = house.send("GET /account", &cookie, "").await;
    assert!(page.contains("<img class=\"portrait\" src=\"/account/picture\""), "{page}");
    let shown = house.send_bytes("GET /account/picture", &cookie, b"").await;
    assert!(shown.contains("content-type: image/png") && shown.contains("nosniff"), "{shown}");
    assert!(
        house.send("GET /account/picture", "", "").await.starts_with("HTTP/1.1 303"),
        "not for strangers"
    );
    // What a chat client set is not served as what it says that it is.
    house.chat.0.lock().unwrap().picture =
        Some(shared_model::Picture { media_type: "text/html".to_owned(), bytes: b"<script>".to_vec() });
    assert!(house.send("GET /account/picture", &cookie, "").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn archive_block_list_and_disturbance_are_changed_by_programs_and_by_forms() {
    let house = house("kept").await;
    let token = token(&house).await;
    let (cookie, key) = sign_in(&house).await;
    let form = |fields: &str| format!("key={key}&back=/account&{fields}");
    let headers = format!("{cookie}{FORM}");
    let body = "{\"otherwise\":\"contacts\",\"never\":[\"carol@example.org\"]}";
    let (status, kept) = house.call(&token, "PUT /api/v1/account/archiving", body).await;
    assert_eq!(
        (status, &kept["otherwise"], &kept["never"][0]),
        (200, &"contacts".into(), &"carol@example.org".into())
    );
    let wrong = house.call(&token, "PUT /api/v1/account/archiving", "{\"otherwise\":\"roster\"}").await;
    assert_eq!((wrong.0, &wrong.1["field"]), (422, &"otherwise".into()));
    let fields = form("otherwise=never&always=bob%40example.org%0D%0A&never=");
    let done = house.send("POST /do/setArchiving", &headers, &fields).await;
    assert!(done.contains("done=setArchiving"), "{done}");
    {
        let kept = house.chat.0.lock().unwrap();
        assert_eq!((kept.archiving.otherwise, kept.archiving.never.len()), (Archived::Never, 0));
        assert_eq!(kept.archiving.always, ["bob@example.org"]);
    }
    let refused = house.send("POST /do/block", &headers, &form("address=%40")).await;
    assert!(
        refused.starts_with("HTTP/1.1 422") && refused.contains("neither an address nor a domain"),
        "{refused}"
    );
    let done = house.send("POST /do/block", &headers, &form("address=spam.example")).await;
    assert!(done.contains("done=block"), "{done}");
    assert_eq!(house.call(&token, "GET /api/v1/account/blocked", "").await.1["blocked"][0], "spam.example");
    let page = house.send("GET /account", &cookie, "").await;
    assert!(page.contains("<td role=\"cell\">spam.example</td>"), "{page}");
    assert_eq!(house.call(&token, "DELETE /api/v1/account/blocked/other.example", "").await.0, 404);
    assert_eq!(house.call(&token, "DELETE /api/v1/account/blocked/spam.example", "").await.0, 204);
    let done = house.send("POST /do/setDisturbance", &headers, &form("undisturbed=true")).await;
    assert!(done.contains("done=setDisturbance"), "{done}");
    assert_eq!(house.call(&token, "GET /api/v1/account/undisturbed", "").await.1["undisturbed"], true);
    assert!(house.send("GET /account", &cookie, "").await.contains("Let calls ring again"));
    let done = house.send("POST /do/setVoicemail", &headers, &form("wanted=true")).await;
    assert!(done.contains("done=setVoicemail"), "{done}");
    let (_, mailbox) = house.call(&token, "GET /api/v1/account/voicemail", "").await;
    assert_eq!((&mailbox["wanted"], &mailbox["new"]), (&true.into(), &2.into()));
    assert!(house.send("GET /account", &cookie, "").await.contains("Take no messages any more"));
    let (_, export) = house.call(&token, "GET /api/v1/account/export", "").await;
    assert_eq!((&export["undisturbed"], &export["archiving"]["otherwise"]), (&true.into(), &"never".into()));
}

#[tokio::test]
async fn people_end_chat_sessions_and_registrations_of_their_own() {
    let house = house("ends").await;
    let token = token(&house).await;
    let (now, aor) = (unix_millis(), "alice@example.org".parse().unwrap());
    let binding = Binding {
        account: house.alice,
        aor: "alice@example.org".parse().unwrap(),
        key: "sip:alice@192.0.2.1;transport=tls".to_owned(),
        contact: "sip:alice@192.0.2.1;transport=tls".to_owned(),
        instance: String::new(),
        reg_id: None,
        parameters: String::new(),
        path: Vec::new(),
        flow: String::new(),
        received: None,
        call_id: "c".to_owned(),
        cseq: 1,
        q: 1000,
        expires: now + 60_000,
        node: String::new(),
        user_agent: "Desk <b>phone</b>".to_owned(),
        updated: now,
        by: shared_store::BoundBy::Password,
        name: String::new(),
    };
    let (call_id, set) = ("c".to_owned(), vec![binding]);
    let update = BindingUpdate { call_id, cseq: 1, set, limit: 9, ..BindingUpdate::default() };
    house.bindings.commit(&aor, &update, now).await.unwrap();
    let jid = "wonder@example.org".parse().unwrap();
    let (resource, stream) = ("lap/top".to_owned(), String::new());
    let bound = SessionEvent::Bound { account: house.alice, jid, resource, stream };
    let at = Correlation::of_account(house.alice);
    house.bus.publish(Fact::new(at, bound));
    let protection = |version| Protection { version, suite: "TLS_X" };
    let (account, resource) = (house.alice, "lap/top".to_owned());
    let key = "sip:alice@192.0.2.1;transport=tls".to_owned();
    let phone = |key: &String, by, strength| {
        let (key, protection) = (key.clone(), Some(protection("TLS 1.2")));
        let proved = Proved { by, strength: Some(strength) };
        let event = ProtectedEvent::Phone { account, key, protection, is_open: false, proved };
        house.bus.publish(Fact::new(at, event));
    };
    phone(&key, "Digest MD5", Strength::Md5);
    let proved = Proved { by: "SCRAM-SHA-512", strength: Some(Strength::Answer) };
    let protection = Some(protection("TLS 1.3"));
    house.bus.publish(Fact::new(
        at,
        ProtectedEvent::Chat { account, resource, protection, is_open: false, proved },
    ));
    let contact = key.clone();
    let (cookie, key) = sign_in(&house).await;
    let mut page = String::new();
    for _ in 0..200 {
        page = house.send("GET /account", &cookie, "").await;
        if page.contains("(TLS 1.3, TLS_X, SCRAM-SHA-512)") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        page.contains("Desk &lt;b&gt;phone") && page.contains("name=\"path.resource\" value=\"lap/top\""),
        "{page}"
    );
    assert!(
        page.contains("(TLS 1.2, TLS_X, Digest MD5)") && page.contains("older TLS than your chats"),
        "{page}"
    );
    assert!(page.contains("A phone of yours logs in by MD5") && page.contains("RFC 8760"), "{page}");
    let german = house.send("GET /account", &format!("{cookie}Accept-Language: de\r\n"), "").await;
    assert!(german.contains("Eins deiner Telefone meldet sich mit MD5 an"), "{german}");
    let (_, state) = house.call(&token, "GET /api/v1/account/state", "").await;
    assert_eq!(state["phones"][0]["tls"], serde_json::json!({ "version": "TLS 1.2", "suite": "TLS_X" }));
    assert_eq!(state["chats"][0]["tls"]["version"], "TLS 1.3");
    assert_eq!(state["chats"][0]["protected"], true);
    assert_eq!([&state["phones"][0]["login"], &state["chats"][0]["login"]], ["Digest MD5", "SCRAM-SHA-512"]);
    let kinds = |state: &serde_json::Value| {
        let all = state["findings"].as_array().unwrap().iter();
        all.map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&state), ["phone_older", "phone_md5"]);
    let affected = || {
        let all = house.registry.gather();
        let md5 = all[0].get_metric().iter().find(|one| one.get_label()[0].value() == "phone_md5");
        (all[0].name().to_owned(), md5.unwrap().get_gauge().get_value())
    };
    assert_eq!(affected(), ("provisioning_unequal_accounts".to_owned(), 1.0));
    // Set up anew, the phone answers by SHA-256.
    phone(&contact, "Digest SHA-256", Strength::Answer);
    for _ in 0..200 {
        if affected().1 == 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(affected().1, 0.0);
    let (_, after) = house.call(&token, "GET /api/v1/account/state", "").await;
    assert_eq!(
        (kinds(&after), &after["phones"][0]["login"]),
        (vec!["phone_older".to_owned()], &"Digest SHA-256".into())
    );
    let id = state["phones"][0]["id"].as_str().unwrap();
    assert_eq!(house.call(&token, "DELETE /api/v1/account/phones/0", "").await.0, 404);
    assert_eq!(house.call(&token, &format!("DELETE /api/v1/account/phones/{id}"), "").await.0, 204);
    assert!(house.bindings.by_aor(&aor, now).await.unwrap().is_empty());
    assert_eq!(house.call(&token, "DELETE /api/v1/account/chats/lap%2Ftop", "").await.0, 204);
    let fields = format!("key={key}&back=/account&path.resource=lap%2Ftop");
    let done = house.send("POST /do/endChat", &format!("{cookie}{FORM}"), &fields).await;
    assert!(done.contains("done=endChat"), "{done}");
    assert_eq!(house.chat.0.lock().unwrap().ended, ["wonder@example.org/lap/top"; 2]);
}

#[tokio::test]
async fn chat_apps_lose_their_access_and_a_devices_sessions_go_with_its_password() {
    let house = house("clients").await;
    let token = token(&house).await;
    let (_, listed) = house.call(&token, "GET /api/v1/account/clients", "").await;
    assert_eq!(
        (&listed["clients"][0]["revocable"], &listed["clients"][1]["revocable"]),
        (&true.into(), &false.into())
    );
    for (id, status) in [("token", 204), ("password", 409), ("nobody", 404)] {
        assert_eq!(
            house.call(&token, &format!("DELETE /api/v1/account/clients/{id}"), "").await.0,
            status,
            "{id}"
        );
    }
    let (devices, desk) = ("/api/v1/account/devices", "{\"name\":\"DESK\",\"calls_alone\":true}");
    let (status, made) = house.call(&token, &format!("POST {devices}"), desk).await;
    assert!(status == 200 && made["chats_as"].is_null() && made["calls_as"] == "alice", "{made}");
    house.call(&token, &format!("POST {devices}"), "{\"name\":\"PHONE\"}").await;
    let (_, listed) = house.call(&token, &format!("GET {devices}"), "").await;
    let opens: Vec<_> =
        listed["devices"].as_array().unwrap().iter().map(|one| (&one["name"], &one["opens_chat"])).collect();
    assert_eq!(opens, [(&"DESK".into(), &false.into()), (&"PHONE".into(), &true.into())]);
    let mut facts = house.bus.subscribe();
    assert_eq!(house.call(&token, "DELETE /api/v1/account/devices/PHONE", "").await.0, 204);
    let told = AccountEvent::DeviceEnded { account: house.alice, device: "PHONE".to_owned() };
    assert!(matches!(facts.next().await, Some(Heard::Fact(fact)) if fact.event == told.into()));
    assert_eq!(house.chat.0.lock().unwrap().ended, ["token"]);
    let (cookie, _) = sign_in(&house).await;
    house.chat.0.lock().unwrap().blocked = (0..65).map(|at| format!("b{at:02}@example.net")).collect();
    let page = house.send("GET /account?blocked=b00@example.net", &cookie, "").await;
    assert!(page.contains("b64@example.net") && !page.contains("b00@example.net"), "{page}");
    let page = house.send("GET /account", &cookie, "").await;
    assert!(page.contains("/account?blocked=b63@example.net") && !page.contains("b64@example.net"));
    assert!(
        page.contains("App &lt;token&gt;") && page.contains("has it until the password is another"),
        "{page}"
    );
}

#[tokio::test]
async fn calls_are_paged_from_the_own_history_alone() {
    let house = house("calls").await;
    let token = token(&house).await;
    let call = |owner: String, at: i64| {
        let (from, to) = (format!("sip:<b>{at}@example.net"), "sip:alice@example.org");
        let body = serde_json::json!({
            "time": "2026-01-01T00:00:00.000Z", "from": from, "to": to, "outgoing": false, "result": "no_answer", "seconds": 0,
        });
        let (id, kind, with) = (format!("{at:012x}"), "call seen".to_owned(), from);
        shared_store::Entry { owner, id, with, time: at, kind, body: serde_json::to_vec(&body).unwrap() }
    };
    let mut entries: Vec<_> = (0..45).map(|at| call(house.alice.call_history(), at)).collect();
    entries.push(call(shared_model::AccountId(7).call_history(), 99));
    house.archive.append(&entries).await.unwrap();
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let (status, page) =
            house.call(&token, &format!("GET /api/v1/account/calls?most=20{before}"), "").await;
        assert_eq!(status, 200, "{page}");
        let calls = page["calls"].as_array().unwrap().clone();
        seen.extend(calls.iter().map(|call| call["from"].as_str().unwrap().to_owned()));
        match page["before"].as_str() {
            Some(id) => before = format!("&before={id}"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..45).rev().map(|at| format!("sip:<b>{at}@example.net")).collect();
    assert_eq!(seen, expected);
    for (query, field) in [("before=none", "before"), ("most=0", "most"), ("most=501", "most")] {
        let (status, problem) = house.call(&token, &format!("GET /api/v1/account/calls?{query}"), "").await;
        assert_eq!((status, &problem["field"]), (422, &field.into()), "{query}");
    }
    let (cookie, _) = sign_in(&house).await;
    let page = house.send("GET /account", &cookie, "").await;
    assert!(page.contains("sip:&lt;b&gt;44@") && page.contains("sip:&lt;b&gt;25@"), "{page}");
    assert!(!page.contains("sip:&lt;b&gt;24@") && !page.contains("<b>4"), "{page}");
    let link = page.split("href=\"/account?calls=").nth(1).unwrap().split('#').next().unwrap();
    let page = house.send(&format!("GET /account?calls={link}"), &cookie, "").await;
    assert!(page.contains("sip:&lt;b&gt;24@") && !page.contains("sip:&lt;b&gt;25@"), "{page}");
    let page = house.send("GET /account?calls=gone", &cookie, "").await;
    assert!(page.contains("sip:&lt;b&gt;44@"), "a link that is old leads to the newest");
}
