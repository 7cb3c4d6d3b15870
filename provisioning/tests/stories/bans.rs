//! Administrators keep networks, addresses and domains out, on the page and by the API.

use std::time::Duration;

use serde_json::{Value, json};
use shared_auth::{Holder, Profile};
use shared_model::{Event, ProvisioningEvent};
use shared_runtime::bus::Heard;
use shared_runtime::unix_millis;

use crate::common::{House, house, sign_in};

async fn admin(house: &House) -> String {
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (holder, hour) = ((house.alice, Holder::Person), Duration::from_secs(3600));
    let scopes = ["admin:read", "admin:write"];
    house.auth.bearers.issue(holder, "test", &scopes, hour, unix_millis()).await.unwrap().0
}

fn ban(who: &str, reason: &str, hours: u64) -> String {
    json!({ "who": who, "reason": reason, "hours": hours }).to_string()
}

#[tokio::test]
async fn a_ban_is_made_told_and_lifted_by_the_api() {
    let house = house("ban-made").await;
    let token = admin(&house).await;
    let mut facts = house.bus.subscribe();
    let make = "POST /api/v1/bans";
    let (status, made) = house.call(&token, make, &ban("192.0.2.0/24", "floods <b>", 24)).await;
    assert_eq!((status, &made["who"], &made["reason"]), (200, &"192.0.2.0/24".into(), &"floods <b>".into()));
    assert_eq!(made["until"].as_i64().unwrap() - made["since"].as_i64().unwrap(), 24 * 3_600_000);
    assert!(house.auth.bans.keeps_out("192.0.2.9".parse().unwrap()), "at once");
    let told = async {
        loop {
            if let Some(Heard::Fact(fact)) = facts.next().await
                && let Event::Provisioning(ProvisioningEvent::Banned { account, who }) = fact.event
            {
                return (account, who);
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    assert_eq!(told, (Some(house.alice), "192.0.2.0/24".to_owned()));

    // One that is there gives way, and the audit has both.
    assert_eq!(house.call(&token, make, &ban("192.0.2.0/24", "still", 48)).await.0, 200);
    let (_, change) = house.auth.audit.page(None, 1).await.unwrap().remove(0);
    assert_eq!(change["what"], "banned");
    assert_eq!(
        (&change["before"]["reason"], &change["after"]["reason"]),
        (&"floods <b>".into(), &"still".into())
    );
    assert_eq!(
        house.call(&token, make, &ban("sip:Eve@Elsewhere.example", "threats", 1)).await.1["who"],
        "eve@elsewhere.example"
    );
    assert!(house.auth.bans.refuses("eve", "elsewhere.example"));

    let (_, listed) = house.call(&token, "GET /api/v1/bans", "").await;
    let who: Vec<&str> =
        listed["made"].as_array().unwrap().iter().map(|ban| ban["who"].as_str().unwrap()).collect();
    assert_eq!(who, ["192.0.2.0/24", "eve@elsewhere.example"]);
    for (who, status) in
        [("192.0.2.0%2F24", 204), ("192.0.2.0%2F24", 404), ("eve@elsewhere.example", 204), ("%20", 404)]
    {
        assert_eq!(house.call(&token, &format!("DELETE /api/v1/bans/{who}"), "").await.0, status, "{who}");
    }
    assert!(!house.auth.bans.keeps_out("192.0.2.9".parse().unwrap()));
    let (_, change) = house.auth.audit.page(None, 1).await.unwrap().remove(0);
    assert_eq!(
        (&change["what"], &change["before"]["reason"], &change["after"]),
        (&"ban lifted".into(), &"threats".into(), &Value::Null)
    );
}

#[tokio::test]
async fn what_cannot_be_banned_says_which_field_and_why() {
    let house = house("ban-faults").await;
    let token = admin(&house).await;
    for (body, field, rule) in [
        (ban("10.0.0.0/8", "x", 1), "who", "no wider than /16"),
        (ban("127.0.0.1", "x", 1), "who", "you come from there yourself"),
        (ban("::1", "x", 1), "who", "loopback"),
        (ban("bob@example.org", "x", 1), "who", "disabled instead"),
        (ban("conference.example.org", "x", 1), "who", "disabled instead"),
        (ban("203.0.113.0/24", "x", 1), "who", "this machine itself has an address there"),
        (ban("what", "x", 1), "who", "is not a network"),
        (ban("192.0.2.1", " ", 1), "reason", "1 to 200"),
        (ban("192.0.2.1", "x", 0), "hours", "from a minute to a year"),
        (ban("192.0.2.1", "x", 9000), "hours", "from a minute to a year"),
    ] {
        let (status, problem) = house.call(&token, "POST /api/v1/bans", &body).await;
        assert_eq!((status, &problem["field"]), (422, &field.into()), "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(rule), "{body}: {problem}");
    }
    assert_eq!(house.call(&token, "GET /api/v1/bans", "").await.1["made"], json!([]));
}

#[tokio::test]
async fn the_page_bans_and_lifts() {
    let house = house("ban-page").await;
    admin(&house).await;
    let (cookie, key) = sign_in(&house).await;
    let headers = format!("{cookie}{FORM}");
    let form = format!("key={key}&back=/admin/bans&who=198.51.100.0%2F24&reason=a+%3Cb%3Ebot&hours=24");
    let done = house.send("POST /do/makeBan", &headers, &form).await;
    assert!(done.contains("location: /admin/bans?done=makeBan"), "{done}");
    let page = house.send("GET /admin/bans", &cookie, "").await;
    assert!(page.contains("198.51.100.0/24") && page.contains("a &lt;b&gt;bot"), "{page}");
    let wrong = format!("key={key}&back=/admin/bans&who=nonsense&reason=x&hours=1");
    let refused = house.send("POST /do/makeBan", &headers, &wrong).await;
    assert!(refused.contains("is not a network") && refused.contains("value=\"nonsense\""), "{refused}");
    let form = format!("key={key}&back=/admin/bans&path.who=198.51.100.0%2F24");
    let done = house.send("POST /do/removeBan", &headers, &form).await;
    assert!(done.contains("location: /admin/bans?done=removeBan"), "{done}");
    assert!(!house.auth.bans.keeps_out("198.51.100.9".parse().unwrap()));
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[tokio::test]
async fn no_account_gets_a_number_that_is_banned() {
    let house = house("ban-number").await;
    let token = admin(&house).await;
    assert_eq!(house.call(&token, "POST /api/v1/bans", &ban("+33123456789", "floods", 24)).await.0, 200);
    let change = "PATCH /api/v1/accounts/alice@example.org";
    let (status, problem) = house.call(&token, change, r#"{"numbers":["+33 1 23 45 67 89"]}"#).await;
    assert_eq!((status, &problem["field"]), (422, &"numbers".into()), "{problem}");
    assert_eq!(problem["detail"], "the number +33123456789 is banned: lift its ban first");
    assert_eq!(house.call(&token, "DELETE /api/v1/bans/+33123456789", "").await.0 / 100, 2);
    assert_eq!(house.call(&token, change, r#"{"numbers":["+33123456789"]}"#).await.0, 200);
}
