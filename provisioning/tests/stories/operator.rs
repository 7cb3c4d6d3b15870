//! Rooms, calls, trunks, numbers, bans, groups: what administrators see and do, by programs and by pages.

use std::net::IpAddr;
use std::time::Duration;

use crate::common::rooms::ROOM;
use crate::common::{House, house, sign_in};
use shared_auth::{Holder, Origin, Profile, Proof};
use shared_model::{Deed, Protocol};
use shared_runtime::unix_millis;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// Alice administers, and this is her token.
async fn admin(house: &House) -> String {
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (holder, scopes) = ((house.alice, Holder::Person), ["admin:read", "admin:write"]);
    let hour = Duration::from_secs(3600);
    house.auth.bearers.issue(holder, "test", &scopes, hour, unix_millis()).await.unwrap().0
}

/// Fourteen wrong passwords at once: who is told to wait is refused slowly, and his delay would be over.
async fn guess(house: &House, name: &str, from: impl Fn(u8) -> IpAddr) {
    let wrong = (0..14).map(|at| {
        let (name, domain, password) = (name.to_owned(), "example.org".to_owned(), "wrong".to_owned());
        let proof = Proof::Plain { name, domain, password, authzid: String::new() };
        house.auth.authenticator.verify(proof, Origin::new(Protocol::Sip, from(at)))
    });
    futures_util::future::join_all(wrong).await;
}

#[tokio::test]
async fn rooms_are_seen_and_moderated_as_their_law_lets_it() {
    let house = house("rooms").await;
    let token = admin(&house).await;
    let (_, listed) = house.call(&token, "GET /api/v1/rooms", "").await;
    let room = &listed["rooms"][0];
    assert_eq!((&room["room"], &room["in_call"], &room["hidden"]), (&ROOM.into(), &2.into(), &true.into()));
    assert_eq!(listed["more"], false);
    assert_eq!(house.call(&token, "GET /api/v1/rooms?after=x", "").await.1["field"], "after");
    let (_, shown) = house.call(&token, &format!("GET /api/v1/rooms/{ROOM}"), "").await;
    let heard =
        |at: usize| (shown["participants"][at]["hears"].clone(), shown["participants"][at]["speaks"].clone());
    assert_eq!((heard(0), heard(1)), ((true.into(), true.into()), (true.into(), false.into())));
    let path = format!("POST /api/v1/rooms/{ROOM}/moderation");
    for (body, status) in [
        ("{\"deed\":\"mute\",\"nick\":\"Bob <b>\"}", 204),
        ("{\"deed\":\"kick\",\"call\":\"leg-1\"}", 204),
        ("{\"deed\":\"unmute\",\"call\":\"leg-2\"}", 204),
        ("{\"deed\":\"quieter\",\"call\":\"leg-1\"}", 204),
        ("{\"deed\":\"mute\",\"nick\":\"owner\"}", 409),
        ("{\"deed\":\"mute\",\"nick\":\"nobody\"}", 404),
        ("{\"deed\":\"mute\",\"call\":\"leg-3\"}", 404),
        ("{\"deed\":\"ban\",\"nick\":\"Bob\"}", 422),
        ("{\"deed\":\"mute\"}", 422),
        ("{\"deed\":\"mute\",\"nick\":\"a\",\"call\":\"b\"}", 422),
    ] {
        let (told, problem) = house.call(&token, &path, body).await;
        assert_eq!(told, status, "{body}: {problem}");
    }
    // Whoever is in the chat is dealt with by the room, too; who is in the call by the focus.
    let bob = "Bob <b>".to_owned();
    assert_eq!(*house.rooms.0.lock().unwrap(), [(bob.clone(), Deed::Mute), (bob, Deed::Kick)]);
    let calls = [("leg-1", Deed::Kick), ("leg-2", Deed::Unmute), ("leg-1", Deed::Gain(-3))];
    let calls = calls.map(|(leg, deed)| (leg.to_owned(), deed));
    assert_eq!(*house.calls.0.lock().unwrap(), calls);
    let (cookie, key) = sign_in(&house).await;
    let page = house.send("GET /admin/rooms", &cookie, "").await;
    assert!(page.contains(&format!("/admin/rooms?room={ROOM}")) && page.contains("(hidden)"), "{page}");
    let page = house.send(&format!("GET /admin/rooms?room={ROOM}"), &cookie, "").await;
    assert!(page.contains("Bob &lt;b&gt;") && page.contains("hears and speaks"), "{page}");
    let of_leg = |deed: &str| page.matches(&format!("value=\"{deed}\"")).count();
    assert!(of_leg("mute") > 1 && of_leg("mute") == of_leg("unmute"), "{page}");
    assert!(of_leg("louder") == 2 && of_leg("quieter") == 2, "of each leg of the call alone: {page}");
    assert!(page.contains("hears +6 dB"), "{page}");
    let fields = format!("key={key}&back=/admin/rooms?room={ROOM}&path.room={ROOM}&call=leg-2&deed=mute");
    let done = house.send("POST /do/moderate", &format!("{cookie}{FORM}"), &fields).await;
    assert!(done.contains(&format!("location: /admin/rooms?done=moderate&room={ROOM}")), "{done}");
    let evil =
        fields.replace("deed=mute", "deed=kick").replace("back=/admin/rooms?room=", "back=//evil?room=");
    let done = house.send("POST /do/moderate", &format!("{cookie}{FORM}"), &evil).await;
    assert!(done.contains("location: /account?done=moderate"), "{done}");
    let gone = house.send("GET /admin/rooms?room=none@conference.example.org", &cookie, "").await;
    assert!(gone.contains("no such room any more"), "{gone}");
    let (_, audit) = house.call(&token, "GET /api/v1/audit?max=1", "").await;
    assert_eq!(audit["changes"][0]["what"], "kick in a room");
}

#[tokio::test]
async fn trunks_and_numbers_are_shown_as_they_are() {
    let house = house("operator-numbers").await;
    let token = admin(&house).await;
    let (_, trunks) = house.call(&token, "GET /api/v1/trunks", "").await;
    assert_eq!(
        (&trunks["trunks"][0]["up"], &trunks["trunks"][1]["failed"]["how"]),
        (&true.into(), &"OPTIONS got 503".into())
    );
    assert_eq!(house.call(&token, "GET /api/v1/numbers/plan", "").await.1["country"][0], "33");
    let (_, route) = house.call(&token, "GET /api/v1/numbers/lookup?dialled=0155501980", "").await;
    assert_eq!((&route["to"], &route["trunks"][0]), (&"+33155501980".into(), &"near".into()));
    let refused = house.call(&token, "GET /api/v1/numbers/lookup?dialled=%20", "").await;
    assert_eq!((refused.0, &refused.1["field"]), (422, &"dialled".into()));
    let (cookie, _) = sign_in(&house).await;
    let page =
        house.send("GET /admin/numbers?dialled=0155501980&caller=alice@example.org", &cookie, "").await;
    for part in [
        "+33155501980",
        "near, far",
        "pstn: 0.10 + 0.02 EUR / min",
        "not allowed for who dials",
        "OPTIONS got 503",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let (_, route) = house.call(&token, "GET /api/v1/numbers/lookup?dialled=01555000", "").await;
    assert_eq!(route["elsewhere"], "sip:<b>@elsewhere.example");
    let page = house.send("GET /admin/numbers?dialled=01555000", &cookie, "").await;
    assert!(page.contains("sip:&lt;b&gt;@elsewhere.example"), "{page}");
    let wrong = house.send("GET /admin/numbers?dialled=1&caller=nobody", &cookie, "").await;
    assert!(wrong.contains("local@domain"), "{wrong}");
}

#[tokio::test]
async fn who_is_disabled_or_slowed_down_is_told_and_lifted() {
    let house = house("bans").await;
    let token = admin(&house).await;
    let body = "{\"address\":\"bob@example.org\",\"password\":\"correct-horse-battery\"}";
    house.call(&token, "POST /api/v1/accounts", body).await;
    let ip: IpAddr = "192.0.2.7".parse().unwrap();
    for _ in 0..14 {
        house.auth.authenticator.suspect(ip);
    }
    // From many networks, so that the account is slowed down too.
    guess(&house, "bob", |at| [198, 51, 100, at].into()).await;
    house.call(&token, "PATCH /api/v1/accounts/bob@example.org", "{\"enabled\":false}").await;
    let (_, bans) = house.call(&token, "GET /api/v1/bans", "").await;
    assert_eq!(bans["accounts"][0]["networks"], serde_json::json!([]), "of each of them once");
    let networks = bans["networks"].as_array().unwrap();
    assert_eq!((networks.len(), &networks[0]["network"]), (1, &"192.0.2.7/32".into()), "{bans}");
    let account = &bans["accounts"][0];
    assert_eq!(
        (&account["account"]["aor"], &account["account"]["enabled"]),
        (&"bob@example.org".into(), &false.into())
    );
    assert!(
        account["seconds"].as_u64().is_some_and(|seconds| seconds > 0) && bans["after"].is_null(),
        "{bans}"
    );
    let (cookie, key) = sign_in(&house).await;
    let page = house.send("GET /admin/bans", &cookie, "").await;
    assert!(page.contains("192.0.2.7/32") && page.contains("bob@example.org"), "{page}");
    let form = format!("key={key}&back=/admin/bans&network=192.0.2.7%2F32");
    let done = house.send("POST /do/liftBan", &format!("{cookie}{FORM}"), &form).await;
    assert!(done.contains("location: /admin/bans?done=liftBan"), "{done}");
    let lift = "POST /api/v1/bans/lift";
    assert_eq!(house.call(&token, lift, "{\"address\":\"bob@example.org\"}").await.0, 204);
    assert_eq!(house.call(&token, lift, "{\"network\":\"192.0.2.7/32\"}").await.0, 404);
    assert_eq!(house.call(&token, lift, "{\"network\":\"home\"}").await.1["field"], "network");
    assert_eq!(house.call(&token, lift, "{}").await.0, 422);
    assert_eq!(house.auth.authenticator.wait(ip), None);
    let (_, bans) = house.call(&token, "GET /api/v1/bans", "").await;
    assert!(
        bans["networks"].as_array().unwrap().is_empty() && bans["accounts"][0]["seconds"].is_null(),
        "{bans}"
    );
}

#[tokio::test]
async fn an_account_that_is_slowed_in_one_network_alone_is_told_with_it() {
    let house = house("ban-here").await;
    let token = admin(&house).await;
    guess(&house, "alice", |_| [192, 0, 2, 7].into()).await;
    let (_, bans) = house.call(&token, "GET /api/v1/bans", "").await;
    let account = &bans["accounts"][0];
    assert_eq!(
        (&account["account"]["aor"], &account["seconds"]),
        (&"alice@example.org".into(), &serde_json::Value::Null)
    );
    assert_eq!(account["networks"][0]["network"], "192.0.2.7/32", "{bans}");
    let (cookie, key) = sign_in(&house).await;
    let page = house.send("GET /admin/bans", &cookie, "").await;
    assert!(page.contains("alice@example.org") && page.contains("192.0.2.7/32: slowed down ("), "{page}");
    let form = format!("key={key}&back=/admin/bans&address=alice%40example.org");
    let done = house.send("POST /do/liftBan", &format!("{cookie}{FORM}"), &form).await;
    assert!(done.contains("location: /admin/bans?done=liftBan"), "{done}");
    let (_, bans) = house.call(&token, "GET /api/v1/bans", "").await;
    assert!(
        bans["accounts"].as_array().unwrap().is_empty() && bans["networks"].as_array().unwrap().is_empty(),
        "{bans}"
    );
}

#[tokio::test]
async fn groups_have_members_and_settings_and_domains_are_listed() {
    let house = house("groups").await;
    let token = admin(&house).await;
    let path = "PUT /api/v1/accounts/alice@example.org/groups";
    let (status, own) = house.call(&token, path, "{\"groups\":[\"sales\",\"board\",\"sales\"]}").await;
    assert_eq!((status, own["groups"].as_array().unwrap().len()), (200, 2));
    assert_eq!(own["elsewhere"], serde_json::json!([]));
    assert_eq!(house.call(&token, path, "{\"groups\":[\"\"]}").await.1["field"], "groups");
    let many =
        format!("{{\"groups\":[{}]}}", (0..17).map(|n| format!("\"g{n}\"")).collect::<Vec<_>>().join(","));
    assert_eq!(house.call(&token, path, &many).await.0, 422);
    house.call(&token, "PUT /api/v1/profiles/group:sales", "{\"settings\":{\"video\":false}}").await;
    let (_, groups) = house.call(&token, "GET /api/v1/groups", "").await;
    assert_eq!((&groups["groups"][0]["group"], &groups["more"]), (&"board".into(), &false.into()));
    let sales = &groups["groups"][1];
    assert_eq!(
        (&sales["settings"]["video"], &sales["members"][0]),
        (&false.into(), &"alice@example.org".into())
    );
    let (_, domains) = house.call(&token, "GET /api/v1/domains", "").await;
    assert_eq!(
        (&domains["domains"][1]["domain"], &domains["domains"][2]["serves"]),
        (&"example.org".into(), &"rooms".into())
    );
    let (cookie, key) = sign_in(&house).await;
    let page = house.send("GET /admin/groups", &cookie, "").await;
    assert!(page.contains("<h3>sales</h3>") && page.contains("{&quot;video&quot;:false}"), "{page}");
    for at in 0..11 {
        let layer = format!("PUT /api/v1/profiles/group:a{at:02}");
        house.call(&token, &layer, "{\"settings\":{\"video\":false}}").await;
    }
    let page = house.send("GET /admin/groups", &cookie, "").await;
    assert!(page.contains("/admin/groups?after=a09") && !page.contains("<h3>a10</h3>"), "{page}");
    let page = house.send("GET /admin/groups?after=a09", &cookie, "").await;
    assert!(page.contains("<h3>a10</h3>") && page.contains("<h3>sales</h3>"), "{page}");
    let page = house.send("GET /admin?edit=alice@example.org", &cookie, "").await;
    assert!(page.contains(">sales\nboard</textarea>"), "the form shows what is there: {page}");
    let form = format!("key={key}&back=/admin?edit=alice@example.org&path.address=alice@example.org&groups=");
    let done = house.send("POST /do/setGroups", &format!("{cookie}{FORM}"), &form).await;
    assert!(done.contains("location: /admin?done=setGroups&edit=alice@example.org"), "{done}");
    let (_, own) = house.call(&token, "GET /api/v1/accounts/alice@example.org/groups", "").await;
    assert!(own["groups"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn timelines_are_searched_and_the_service_is_looked_at() {
    let house = house("timeline").await;
    let token = admin(&house).await;
    let search = async |query: &str| house.call(&token, &format!("GET /api/v1/timeline?{query}"), "").await;
    let (status, first) = search("about=alice@example.org").await;
    assert_eq!(
        (status, first["entries"].as_array().unwrap().len(), &first["more"]),
        (200, 100, &true.into())
    );
    assert_eq!(
        (&first["entries"][0]["call_id"], &first["entries"][0]["room"]),
        (&"149".into(), &serde_json::Value::Null)
    );
    let (_, last) = search("about=alice@example.org&page=1").await;
    assert_eq!((last["entries"].as_array().unwrap().len(), &last["more"]), (50, &false.into()));
    let (_, found) = search("about=alice@example.org&text=number+77").await;
    assert_eq!(found["entries"][0]["time"], 77);
    assert_eq!(search("about=nobody@example.org").await.0, 404);
    assert_eq!(search("about=alice@example.org&since=long").await.1["field"], "since");
    assert_eq!((search("text=x").await.0, search("about=+").await.1["field"].clone()), (422, "about".into()));
    let (_, call) = search("about=c7%40x").await;
    assert_eq!(call["account"], serde_json::Value::Null);
    let whose: Vec<_> = call["entries"].as_array().unwrap().iter().map(|entry| &entry["account"]).collect();
    assert_eq!(whose, [&serde_json::Value::from("alice@example.org"), &serde_json::Value::Null]);
    assert_eq!(search("about=c7%40x&text=rings&since=1h").await.1["entries"][0]["time"], 2);
    assert_eq!((search("about=down%40x").await.0, search("about=192.0.2.9").await.0), (503, 404));
    assert_eq!(search("about=alice@example.org&page=4294967295").await.1["entries"], serde_json::json!([]));

    let (_, part) = search("about=alice@example.org&max=7&page=2").await;
    assert_eq!((part["entries"].as_array().unwrap().len(), &part["entries"][0]["time"]), (7, &135.into()));

    let (_, found) = house.call(&token, "POST /api/v1/doctor", "").await;
    assert_eq!((&found["well"], &found["findings"][0]["remedy"]), (&false.into(), &"wind it up".into()));

    let (holder, hour) = ((house.alice, Holder::Person), Duration::from_secs(3600));
    let own =
        house.auth.bearers.issue(holder, "own", &["account:read"], hour, unix_millis()).await.unwrap().0;
    assert_eq!(house.call(&own, "GET /api/v1/timeline?about=alice@example.org", "").await.0, 403);
    assert_eq!(house.call(&own, "POST /api/v1/doctor", "").await.0, 403);
    let reader =
        house.auth.bearers.issue(holder, "reader", &["admin:read"], hour, unix_millis()).await.unwrap().0;
    assert_eq!(house.call(&reader, "POST /api/v1/doctor", "").await.0, 403, "a look makes accounts");
    let (_, changes) = house.call(&token, "GET /api/v1/audit", "").await;
    assert_eq!(changes["changes"][0]["what"], "service looked at");
    let (mut texts, mut path) = (Vec::new(), "GET /api/v1/account/timeline?max=40".to_owned());
    loop {
        let (status, part) = house.call(&own, &path, "").await;
        assert_eq!(status, 200, "{part}");
        let entries = part["entries"].as_array().unwrap();
        texts.extend(entries.iter().map(|entry| entry["text"].as_str().unwrap().to_owned()));
        assert_eq!(part["more"], part["before"].is_string());
        let Some(before) = part["before"].as_str() else { break };
        path = format!("GET /api/v1/account/timeline?max=40&before={before}");
    }
    assert_eq!(texts, (0..150).rev().map(|n| format!("calls number {n}")).collect::<Vec<_>>());
    let (status, gone) = house.call(&own, "GET /api/v1/account/timeline?before=x", "").await;
    assert_eq!((status, &gone["field"]), (422, &"before".into()));
}

#[tokio::test]
async fn pages_show_what_happened_and_whether_the_service_is_well() {
    let house = house("timeline-pages").await;
    admin(&house).await;
    let (cookie, key) = sign_in(&house).await;
    let own = house.send("GET /account", &cookie, "").await;
    assert!(own.contains("calls number 149<") && own.contains("calls number 135<"), "{own}");
    assert!(own.contains("/account?happened=135#happened") && !own.contains("calls number 134<"), "{own}");
    let older = house.send("GET /account?happened=135", &cookie, "").await;
    assert!(older.contains("calls number 134<") && !older.contains("calls number 135<"), "{older}");
    let oldest = house.send("GET /account?happened=10", &cookie, "").await;
    assert!(oldest.contains("calls number 0<") && !oldest.contains("/account?happened="), "{oldest}");

    let page = house.send("GET /admin/timeline", &cookie, "").await;
    assert!(page.contains("name=\"since\"") && !page.contains("calls number"), "{page}");
    let of_alice = "/admin/timeline?about=alice@example.org";
    let page = house.send(&format!("GET {of_alice}"), &cookie, "").await;
    assert!(page.contains("calls number 110") && !page.contains("calls number 109<"), "{page}");
    assert!(page.contains("1970-01-01 00:00:00"), "{page}");
    let rest = page.split("href=\"/admin/timeline?about=").nth(1).unwrap().split('&').next().unwrap();
    assert_eq!(rest.len(), 16, "the whole correlation: {rest}");
    let page = house.send(&format!("GET {of_alice}&text=number+1&page=1"), &cookie, "").await;
    assert!(page.contains("calls number 109") && page.contains("value=\"number 1\""), "{page}");
    let call = house.send("GET /admin/timeline?about=c7%40x", &cookie, "").await;
    let of_call = shared_model::Correlation::of_call("c7@x");
    assert!(call.contains(&format!("href=\"/admin/timeline?about={of_call}&amp;")), "{call}");
    assert!(call.contains(&format!(">{of_call}</a>")), "what is shown can be typed: {call}");
    assert!(call.contains("<span class=\"hint\">alice@example.org</span><br>it rings"), "{call}");
    let newest = "What is shown is the newest of it";
    let office = house.send("GET /admin/timeline?about=office%40x", &cookie, "").await;
    assert!(office.contains(newest) && !call.contains(newest), "{office}");
    let wrong = house.send(&format!("GET {of_alice}&since=long"), &cookie, "").await;
    assert!(wrong.contains("a length of time is written") && wrong.contains("aria-invalid"), "{wrong}");
    let nobody = house.send("GET /admin/timeline?about=nobody@example.org", &cookie, "").await;
    assert!(nobody.contains("role=\"alert\""), "{nobody}");
    let evil = house.send("GET /admin/timeline?about=%3Cb%3E@example.org", &cookie, "").await;
    assert!(evil.contains("value=\"&lt;b&gt;@example.org\"") && !evil.contains("<b>"), "{evil}");

    let page = house.send("GET /admin/doctor", &cookie, "").await;
    assert!(page.contains("/do/diagnose") && !page.contains("wind it up"), "{page}");
    let headers = format!("{cookie}{FORM}");
    let forged = house.send("POST /do/diagnose", &headers, "back=/admin/doctor").await;
    assert!(!forged.contains("wind it up"), "without the form's key nobody looks: {forged}");
    let looked = house.send("POST /do/diagnose", &headers, &format!("key={key}&back=/admin/doctor")).await;
    assert!(
        looked.contains("<span class=\"error\">error</span>") && looked.contains("wind it up"),
        "{looked}"
    );
}

#[tokio::test]
async fn no_account_gets_a_password_that_is_guessed_first() {
    let house = house("weak").await;
    let token = admin(&house).await;
    for weak in ["1234", "password", "a"] {
        let body = format!("{{\"address\":\"w@example.org\",\"password\":\"{weak}\"}}");
        let (status, problem) = house.call(&token, "POST /api/v1/accounts", &body).await;
        assert_eq!((status, &problem["field"]), (422, &"password".into()), "{weak}");
    }
    assert_eq!(house.call(&token, "GET /api/v1/accounts/w@example.org", "").await.0, 404);
}

#[tokio::test]
async fn a_page_that_goes_on_from_nothing_begins_again() {
    let house = house("parts").await;
    let token = admin(&house).await;
    let (cookie, key) = sign_in(&house).await;
    let form = format!("key={key}&back=/account&address=eve@elsewhere.example");
    let done = house.send("POST /do/block", &format!("{cookie}{FORM}"), &form).await;
    assert!(done.contains("location: /account?done=block"), "{done}");
    let group = r#"{"groups":["sales"]}"#;
    assert_eq!(house.call(&token, "PUT /api/v1/accounts/alice@example.org/groups", group).await.0, 200);
    for (page, shown) in [
        ("/admin?after=zz", "alice@example.org</a>"),
        ("/admin?after=zz@example.org", "alice@example.org</a>"),
        ("/admin/rooms?after=zz", "dev@conference.example.org</a>"),
        ("/admin/rooms?after=zz@conference.example.org", "dev@conference.example.org</a>"),
        ("/admin/groups?after=zz", "<h3>sales</h3>"),
        ("/account?blocked=zz", ">eve@elsewhere.example<"),
        ("/admin/bans?after=%00", ""),
        ("/admin/service?before=zz", ""),
    ] {
        let answer = house.send(&format!("GET {page}"), &cookie, "").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(shown), "{page}: {answer}");
    }
    for path in ["accounts?after=zz", "rooms?after=zz", "affiliations?address=bob@example.org&after=zz"] {
        let (status, problem) = house.call(&token, &format!("GET /api/v1/{path}"), "").await;
        assert_eq!((status, &problem["field"]), (422, &"after".into()), "{path}: {problem}");
    }
    // Who pages on from what was removed meanwhile comes to the end as from what is there.
    for (path, list) in [
        ("accounts?after=alice@example.org", "accounts"),
        ("accounts?after=zz@example.org", "accounts"),
        ("rooms?after=dev@conference.example.org", "rooms"),
        ("rooms?after=zz@conference.example.org", "rooms"),
        ("rooms/dev@conference.example.org/affiliations?after=zz@example.org", "affiliations"),
    ] {
        let (status, part) = house.call(&token, &format!("GET /api/v1/{path}"), "").await;
        assert_eq!(
            (status, &part[list], &part["more"]),
            (200, &serde_json::json!([]), &false.into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_account_is_found_by_the_uri_that_names_it() {
    let house = house("by-uri").await;
    let token = admin(&house).await;
    for written in
        ["alice@example.org", "sip:alice@example.org", "SIPS:alice@example.org", "xmpp:wonder@example.org"]
    {
        let (status, shown) = house.call(&token, &format!("GET /api/v1/accounts/{written}"), "").await;
        assert_eq!((status, &shown["aor"]), (200, &"alice@example.org".into()), "{written}");
    }
    assert_eq!(house.call(&token, "GET /api/v1/accounts/mailto:alice@example.org", "").await.0, 404);
}
