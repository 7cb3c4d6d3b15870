//! The directory over real HTTPS: exact addresses for accounts, lists of those who want to be listed, nothing for strangers.

use std::time::Duration;

use crate::common::{House, basic, house};
use shared_auth::{Holder, NewAccount, Profile};

async fn add(house: &House, name: &str, shown: &str) {
    let new = NewAccount {
        aor: format!("{name}@example.org").parse().unwrap(),
        jid: format!("{name}.chat@example.org").parse().unwrap(),
        profile: Profile {
            name: shown.to_owned(),
            numbers: vec!["+33123456789".to_owned()],
            ..Profile::default()
        },
    };
    house.auth.book.create(new, "pencil").await.unwrap();
}

/// By the API, so that it holds at once.
async fn list(house: &House, layer: &str, by: &str) {
    let admin = Profile { admin: true, ..Profile::default() };
    house.auth.book.set_profile(house.alice, admin).await.unwrap();
    let (holder, hour) = ((house.alice, Holder::Person), Duration::from_secs(3600));
    let now = shared_runtime::unix_millis();
    let token = house.auth.bearers.issue(holder, "test", &["admin:write"], hour, now).await.unwrap().0;
    let put = format!("PUT /api/v1/profiles/{layer}");
    let done = house.call(&token, &put, &format!(r#"{{"settings":{{"listed":"{by}"}}}}"#)).await;
    assert!((200..300).contains(&done.0), "{done:?}");
}

#[tokio::test]
async fn an_account_finds_whose_address_it_is_both_ways_and_a_stranger_finds_nothing() {
    let house = house("lookup").await;
    add(&house, "bob", "Bob <b>").await;
    list(&house, "service", "domain").await;
    let mut found = Vec::new();
    for path in ["aor/bob@example.org", "jid/bob.chat@example.org", "number/+33123456789"] {
        let answer = house.ask(&format!("GET /directory/{path} @BASIC@"), "").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("no-store"), "{path}: {answer}");
        found.push(answer.split_once("\r\n\r\n").unwrap().1.to_owned());
        assert!(house.ask(&format!("GET /directory/{path}"), "").await.starts_with("HTTP/1.1 401"));
    }
    assert!(found.iter().all(|it| *it == found[0]));
    let record: serde_json::Value = serde_json::from_str(&found[0]).unwrap();
    assert_eq!(
        (&record["aor"], &record["jid"]),
        (&"sip:bob@example.org".into(), &"bob.chat@example.org".into())
    );
    let card = record["card"].as_str().unwrap();
    let card = house.ask(&format!("GET {} @BASIC@", &card[card.find("/directory").unwrap()..]), "").await;
    assert!(card.contains("IMPP:xmpp:bob.chat@example.org") && card.contains("text/vcard"), "{card}");
    // What `Call-Info` with `purpose=card` leads to.
    let by_aor = house.ask("GET /directory/bob@example.org.vcf @BASIC@", "").await;
    assert_eq!(by_aor.split_once("\r\n\r\n").unwrap().1, card.split_once("\r\n\r\n").unwrap().1);
    let bob = house.auth.directory.by_aor(&"bob@example.org".parse().unwrap()).await.unwrap().unwrap();
    house.auth.book.set_enabled(bob.account, false).await.unwrap();
    let off = house.ask("GET /directory/aor/bob@example.org @BASIC@", "").await;
    let none = house.ask("GET /directory/aor/nobody@example.org @BASIC@", "").await;
    let timeless =
        |answer: &str| answer.lines().filter(|line| !line.starts_with("date:")).collect::<String>();
    assert!(off.starts_with("HTTP/1.1 404") && timeless(&off) == timeless(&none));
}

/// By number and in lists; who knows an address finds its owner whatever that one wants.
#[tokio::test]
async fn whom_nobody_shall_find_nobody_does_but_who_knows_the_address() {
    let house = house("visible").await;
    add(&house, "bob", "Bob").await;
    list(&house, "account:alice@example.org", "nobody").await;
    let ask = async |path: &str| house.ask(&format!("GET {path} @BASIC@"), "").await;
    let finds = async || {
        let (number, place) = (ask("/directory/number/+33123456789").await, "/directory/dav/people/");
        let fields = format!("{}Depth: 1\r\n", basic("alice:pencil"));
        let book = house.send(&format!("PROPFIND {place}"), &fields, "").await;
        let is_listed = book.contains(".vcf");
        assert_eq!(number.starts_with("HTTP/1.1 200"), is_listed, "{number}{book}");
        is_listed
    };
    let session = {
        let found = house.auth.directory.by_aor(&"bob@example.org".parse().unwrap()).await.unwrap().unwrap();
        let (holder, hour) = ((found.account, Holder::Person), Duration::from_secs(3600));
        let (scopes, now) = (["account:read", "account:write"], shared_runtime::unix_millis());
        house.auth.bearers.issue(holder, "test", &scopes, hour, now).await.unwrap().0
    };
    let (is_now, _) = house.call(&session, "GET /api/v1/account/listing", "").await;
    assert_eq!(is_now, 200);
    assert!(finds().await, "by default its domain");
    for (wish, strangers, contacts) in
        [("contacts", false, true), ("nobody", false, false), ("domain", true, true)]
    {
        let body = format!(r#"{{"listed":"{wish}"}}"#);
        let done = house.call(&session, "PUT /api/v1/account/listing", &body).await;
        assert_eq!((done.0, &done.1["listed"]), (200, &wish.into()));
        assert_eq!(finds().await, strangers, "{wish}");
        house.chat.0.lock().unwrap().contacts = vec!["bob.chat@example.org".parse().unwrap()];
        assert_eq!(finds().await, contacts, "{wish}");
        house.chat.0.lock().unwrap().contacts.clear();
        for path in [
            "/directory/aor/bob@example.org",
            "/directory/aor/sip:bob@example.org",
            "/directory/bob@example.org.vcf",
        ] {
            assert!(ask(path).await.starts_with("HTTP/1.1 200"), "{wish}: {path}");
        }
    }
    let wrong = house.call(&session, "PUT /api/v1/account/listing", r#"{"listed":"all"}"#).await;
    assert_eq!((wrong.0, &wrong.1["field"]), (422, &"listed".into()));
    let changes = house.auth.audit.page(None, 10).await.unwrap();
    let change = &changes.iter().find(|(_, change)| change["what"] == "listing changed").unwrap().1;
    assert_eq!(
        (&change["before"]["listed"], &change["after"]["listed"]),
        (&"nobody".into(), &"domain".into())
    );
}

#[tokio::test]
async fn who_tries_all_numbers_is_told_to_wait() {
    let house = house("numbers").await;
    let mut last = String::new();
    for n in 0..121 {
        last = house.ask(&format!("GET /directory/number/+3312345{n:04} @BASIC@"), "").await;
    }
    assert!(last.starts_with("HTTP/1.1 429") && last.contains("retry-after"), "{last}");
}

#[tokio::test]
async fn an_address_book_holds_those_who_are_listed_and_cannot_be_written() {
    let house = house("carddav").await;
    add(&house, "bob", "Bob </d:href>").await;
    let dav = |method: &str, path: &str, body: &str| {
        let (head, body) = (format!("{method} {path}"), body.to_owned());
        let house = &house;
        async move { house.send(&head, &format!("{}Depth: 1\r\n", basic("alice:pencil")), &body).await }
    };
    let led = dav("PROPFIND", "/.well-known/carddav", "").await;
    assert!(led.starts_with("HTTP/1.1 301") && led.contains("location: /directory/dav/"), "{led}");
    let deep = async |depth: &str| {
        let headers = format!("{}Depth: {depth}\r\n", basic("alice:pencil"));
        house.send("PROPFIND /directory/dav/people/", &headers, "").await
    };
    let (all, odd) = (deep("infinity").await, deep("x").await);
    assert!(all.starts_with("HTTP/1.1 403") && all.contains("<d:propfind-finite-depth/>"), "{all}");
    assert!(odd.starts_with("HTTP/1.1 400"), "{odd}");
    let home = dav("PROPFIND", "/directory/dav/", "").await;
    assert!(home.starts_with("HTTP/1.1 207") && home.contains("addressbook-home-set"), "{home}");
    list(&house, "service", "nobody").await;
    assert!(!dav("PROPFIND", "/directory/dav/people/", "").await.contains(".vcf"));
    list(&house, "account:bob@example.org", "domain").await;
    let book = dav(
        "PROPFIND",
        "/directory/dav/people/",
        "<propfind xmlns='DAV:'><prop><getetag/><getcontentlength/></prop></propfind>",
    )
    .await;
    assert_eq!(book.matches(".vcf</d:href>").count(), 1, "{book}");
    let place = book
        .split("/directory/dav/people/")
        .find(|it| it.contains(".vcf<"))
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    let body = format!(
        "<c:addressbook-multiget xmlns:c='urn:ietf:params:xml:ns:carddav' xmlns='DAV:'><prop><getetag/><c:address-data/></prop>\
         <href>/directory/dav/people/{place}</href>{}</c:addressbook-multiget>",
        // Some clients ask for all that is new at once.
        (0..2_000).map(|n| format!("<href>/directory/dav/people/none{n}.vcf</href>")).collect::<String>()
    );
    let cards = dav("REPORT", "/directory/dav/people/", &body).await;
    assert!(cards.contains("FN:Bob &lt;/d:href&gt;&#13;") && cards.contains("404 Not Found"), "{cards}");
    let card = dav("GET", &format!("/directory/dav/people/{place}"), "").await;
    let length = card.split("\r\n\r\n").nth(1).unwrap().len();
    assert!(book.contains(&format!("<d:getcontentlength>{length}</d:getcontentlength>")), "{book}");
    assert!(
        card.contains("VERSION:3.0") && card.contains("TEL;TYPE=WORK,VOICE:sip:bob@example.org"),
        "{card}"
    );
    let bob = house.auth.directory.by_aor(&"bob@example.org".parse().unwrap()).await.unwrap().unwrap();
    house.auth.book.set_enabled(bob.account, false).await.unwrap();
    let is_gone = async { while dav("PROPFIND", "/directory/dav/people/", "").await.contains(".vcf") {} };
    tokio::time::timeout(Duration::from_secs(10), is_gone).await.expect("who may not log in is listed");
    for method in ["PUT", "DELETE", "MKCOL", "PROPPATCH"] {
        assert!(
            dav(method, &format!("/directory/dav/people/{place}"), "x").await.starts_with("HTTP/1.1 403"),
            "{method}"
        );
    }
    let filter = "<c:addressbook-query xmlns:c='urn:ietf:params:xml:ns:carddav'><c:filter><c:prop-filter name='FN'/></c:filter></c:addressbook-query>";
    assert!(dav("REPORT", "/directory/dav/people/", filter).await.contains("supported-filter"));
    let changes = "<sync-collection xmlns='DAV:'><sync-token/><prop><getetag/></prop></sync-collection>";
    assert!(dav("REPORT", "/directory/dav/people/", changes).await.contains("<d:supported-report/>"));
    let foreign = "<propfind xmlns='DAV:'><prop><resourcetype/><foo xmlns='urn:x'/></prop></propfind>";
    let told = dav("PROPFIND", "/directory/dav/", foreign).await;
    assert!(told.contains("<foo xmlns=\"urn:x\"/></d:prop><d:status>HTTP/1.1 404"), "{told}");
    assert!(dav("PROPFIND", "/directory/dav/", "<x").await.starts_with("HTTP/1.1 400"));
    assert!(house.send("PROPFIND /directory/dav/", "", "").await.contains("www-authenticate: Basic"));
    assert!(house.send("OPTIONS /directory/dav/", "", "").await.contains("addressbook"));
}
