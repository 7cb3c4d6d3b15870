//! What administrators look for, and rooms that they make, fill and end; by programs and by pages, with what the audit says of it.

use crate::common::rooms::ROOM;
use crate::common::{House, house, sign_in};
use shared_auth::{Holder, NewAccount, Profile};
use shared_model::{Address, Affiliation, Aor, BareJid};
use shared_runtime::unix_millis;
use std::time::Duration;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// Alice administers, and this is her token.
async fn admin(house: &House) -> String {
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (holder, scopes) = ((house.alice, Holder::Person), ["admin:read", "admin:write"]);
    let hour = Duration::from_secs(3600);
    house.auth.bearers.issue(holder, "test", &scopes, hour, unix_millis()).await.unwrap().0
}

#[tokio::test]
async fn accounts_are_found_by_name_address_number_and_group_page_by_page() {
    let house = house("search-accounts").await;
    let token = admin(&house).await;
    for at in 0..60 {
        let address: Address = format!("dora{at:02}@example.org").parse().unwrap();
        let (aor, jid) = (Aor(address.clone()), BareJid(address));
        let numbers = vec![format!("+3315550{at:02}")];
        let profile = Profile { name: format!("Élise {at}"), numbers, ..Profile::default() };
        house.auth.book.create(NewAccount { aor, jid, profile }, "correct-horse-battery").await.unwrap();
    }
    let found = async |query: &str| {
        let (status, found) = house.call(&token, &format!("GET /api/v1/accounts?{query}"), "").await;
        assert_eq!(status, 200, "{query}: {found}");
        let all = found["accounts"].as_array().unwrap().iter();
        (all.map(|it| it["aor"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), found["after"].clone())
    };
    assert_eq!(found("text=%C3%A9LISE%2017").await.0, ["dora17@example.org"]);
    assert_eq!(found("text=DORA03").await.0, ["dora03@example.org"]);
    assert_eq!(found("text=%2B33+1+555+042").await.0, ["dora42@example.org"]);
    assert!(found("text=nobody").await.0.is_empty());
    let (first, after) = found("text=dora&max=50").await;
    assert_eq!((first.len(), &after), (50, &"dora49@example.org".into()));
    let (rest, after) = found("text=dora&max=50&after=dora49@example.org").await;
    assert_eq!((rest.len(), after.is_null()), (10, true));
    for who in ["dora05", "dora50", "dora55"] {
        let path = format!("PUT /api/v1/accounts/{who}@example.org/groups");
        assert_eq!(house.call(&token, &path, "{\"groups\":[\"sales\"]}").await.0, 200);
    }
    assert_eq!(found("group=sales").await.0.len(), 3);
    assert_eq!(found("group=sales&text=5550").await.0.len(), 3);
    assert_eq!(found("group=sales&text=dora5").await.0, ["dora50@example.org", "dora55@example.org"]);
    let (one, after) = found("group=sales&max=1").await;
    assert_eq!((one, after), (vec!["dora05@example.org".to_owned()], "dora05@example.org".into()));
    assert_eq!(found("group=sales&max=2&after=dora05@example.org").await.0.len(), 2);
    assert!(found("group=none").await.0.is_empty());
    let (cookie, _) = sign_in(&house).await;
    let page = house.send("GET /admin?text=dora&group=", &cookie, "").await;
    assert!(page.contains("dora49@example.org") && !page.contains("dora50@example.org"), "{page}");
    assert!(page.contains("/admin?after=dora49@example.org&amp;text=dora&amp;group="), "{page}");
    let page = house.send("GET /admin?text=%22%3E%3Cb%3E", &cookie, "").await;
    assert!(page.contains("Nothing is found.") && !page.contains("\"><b>"), "{page}");
}

#[tokio::test]
async fn rooms_are_searched_made_filled_and_ended() {
    let house = house("search-rooms").await;
    let token = admin(&house).await;
    let search = async |text: &str| {
        let (_, found) = house.call(&token, &format!("GET /api/v1/rooms?text={text}"), "").await;
        found["rooms"].as_array().unwrap().len()
    };
    assert_eq!((search("dev").await, search("sales").await), (1, 0));
    let make = async |body: &str| house.call(&token, "POST /api/v1/rooms", body).await;
    let (status, made) =
        make("{\"room\":\"board\",\"name\":\"Board\",\"hidden\":true,\"password\":\"12345\"}").await;
    assert_eq!((status, &made["room"]), (200, &"board@conference.example.org".into()), "{made}");
    assert_eq!(made["call"], "sip:board@conference.example.org");
    let alice = house.auth.directory.by_id(house.alice).await.unwrap().unwrap();
    let new = house.rooms.1.lock().unwrap().made[0].clone();
    assert!(new.hidden && !new.members_only && new.password.as_deref() == Some("12345"), "{new:?}");
    assert_eq!(new.owners, [alice.jid], "who makes it");
    for (body, status, field) in [
        ("{\"room\":\"board\"}", 409, "room"),
        ("{\"room\":\"x@other.example\"}", 409, "room"),
        ("{\"room\":\"a b@c\"}", 422, "room"),
        ("{\"room\":\"new\",\"password\":\"secret\"}", 422, "password"),
        ("{\"room\":\"new\",\"owners\":[\"nobody@example.org\"]}", 422, "owners"),
        ("{}", 422, "room"),
    ] {
        let (told, problem) = make(body).await;
        assert_eq!((told, &problem["field"]), (status, &field.into()), "{body}: {problem}");
    }
    let path = format!("PUT /api/v1/rooms/{ROOM}/affiliations");
    for (body, status) in [
        ("{\"address\":\"bob@example.org\",\"affiliation\":\"owner\"}", 204),
        ("{\"address\":\"bad.example\",\"affiliation\":\"outcast\",\"reason\":\"<i>spam</i>\"}", 204),
        ("{\"address\":\"bad.example\",\"affiliation\":\"member\"}", 409),
        ("{\"address\":\"bob@example.org\",\"affiliation\":\"king\"}", 422),
    ] {
        assert_eq!(house.call(&token, &path, body).await.0, status, "{body}");
    }
    let list = format!("GET /api/v1/rooms/{ROOM}/affiliations");
    let (_, all) = house.call(&token, &list, "").await;
    assert_eq!((all["affiliations"].as_array().unwrap().len(), &all["more"]), (2, &false.into()));
    let (_, banned) = house.call(&token, &format!("{list}?affiliation=outcast&max=1"), "").await;
    assert_eq!(banned["affiliations"][0]["reason"], "<i>spam</i>");
    let (_, first) = house.call(&token, &format!("{list}?max=1"), "").await;
    assert_eq!((&first["affiliations"][0]["address"], &first["more"]), (&"bad.example".into(), &true.into()));
    let (_, next) = house.call(&token, &format!("{list}?max=1&after=bad.example"), "").await;
    assert_eq!(next["affiliations"][0]["address"], "bob@example.org");
    let (_, of) = house.call(&token, "GET /api/v1/affiliations?address=bad.example", "").await;
    assert_eq!((&of["rooms"][0]["room"], &of["rooms"][0]["affiliation"]), (&ROOM.into(), &"outcast".into()));
    let (_, shown) = house.call(&token, &format!("GET /api/v1/rooms/{ROOM}"), "").await;
    assert_eq!((&shown["persistent"], &shown["owners"][0]), (&true.into(), &"bob@example.org".into()));

    let (cookie, key) = sign_in(&house).await;
    let page = house.send(&format!("GET /admin/rooms?room={ROOM}"), &cookie, "").await;
    for part in [
        "What &lt;b&gt;we&lt;/b&gt; make",
        "&lt;i&gt;spam&lt;/i&gt;",
        "stays when empty, hidden",
        "Owners: bob@example.org",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let page = house.send("GET /admin/bans?address=bad.example", &cookie, "").await;
    assert!(
        page.contains(&format!("/admin/rooms?room={ROOM}"))
            && page.contains("name=\"affiliation\" value=\"none\""),
        "{page}"
    );
    let form = format!("key={key}&back=/admin/bans&path.room={ROOM}&address=bad.example&affiliation=none");
    let done = house.send("POST /do/setAffiliation", &format!("{cookie}{FORM}"), &form).await;
    assert!(done.contains("location: /admin/bans?done=setAffiliation"), "{done}");
    let form = format!("key={key}&back=/admin/rooms&room=board&name=&owners=&password=");
    let refused = house.send("POST /do/createRoom", &format!("{cookie}{FORM}"), &form).await;
    assert!(refused.contains("there is such a room already"), "{refused}");
    let (_, audit) = house.call(&token, "GET /api/v1/audit?max=1", "").await;
    let change = &audit["changes"][0];
    assert_eq!(
        (&change["what"], &change["on"]),
        (&"affiliation changed".into(), &format!("{ROOM} bad.example").into())
    );
    assert_eq!(
        (&change["before"]["affiliation"], &change["after"]["affiliation"]),
        (&"outcast".into(), &"none".into())
    );
    assert_eq!(change["from"], "127.0.0.1", "by a page, from where the browser is");
    assert_eq!(house.call(&token, &format!("DELETE /api/v1/rooms/{ROOM}"), "").await.0, 204);
    assert_eq!(house.call(&token, "DELETE /api/v1/rooms/none@conference.example.org", "").await.0, 404);
    let (_, audit) = house.call(&token, "GET /api/v1/audit?max=1", "").await;
    let change = &audit["changes"][0];
    assert_eq!(
        (&change["what"], &change["who"], &change["from"]),
        (&"room ended".into(), &"alice@example.org".into(), &"127.0.0.1".into())
    );
    assert_eq!(change["before"]["owners"][0], "bob@example.org");
    let page = house.send("GET /admin/service", &cookie, "").await;
    assert!(page.contains("127.0.0.1"), "the page shows from where: {page}");
    assert_eq!(house.rooms.1.lock().unwrap().known.values().next().map(|it| it.0), Some(Affiliation::Owner));
}
