//! Who forgot a password.

use std::time::Duration;

use crate::common::{House, house, house_with};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const ASK: &str = "POST /sign-in/forgotten";

fn timeless(answer: &str) -> String {
    answer.lines().filter(|line| !line.starts_with("date:")).collect()
}

/// What the service said by chat, once it said so much.
async fn told(house: &House, many: usize) -> Vec<(String, String)> {
    let all = async {
        loop {
            let told = house.chat.0.lock().unwrap().told.clone();
            if told.len() >= many {
                return told;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("nothing was said")
}

#[tokio::test]
async fn who_forgot_a_password_reads_whom_to_ask_and_may_get_a_link_by_chat() {
    let house = house_with("forgotten", |parts| {
        parts.config.reset_by_chat = true;
        parts.config.contact = "the help desk <1>".to_owned();
    })
    .await;
    let page = house.send("GET /sign-in", "", "").await;
    assert!(page.contains("href=\"/sign-in/forgotten\""), "{page}");
    let page = house.send("GET /sign-in/forgotten", "", "").await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("the help desk &lt;1&gt;"), "{page}");
    let nobody = house.ask(ASK, "user=nobody").await;
    let somebody = house.ask(ASK, "user=alice").await;
    assert_eq!(timeless(&nobody), timeless(&somebody));
    assert!(somebody.starts_with("HTTP/1.1 200") && !somebody.contains("/invite/"), "{somebody}");
    let (to, text) = told(&house, 1).await.remove(0);
    assert_eq!(to, "wonder@example.org");
    let path = text.split_once("https://localhost:").unwrap().1.split_once('/').unwrap().1;
    let path = format!("/{}", path.split(' ').next().unwrap());
    // Neither by another name nor once more in this hour.
    house.ask(ASK, "user=wonder%40example.org").await;
    house.ask(ASK, "user=alice%40example.org").await;
    let done = house.ask(&format!("POST {path}"), "password=correct-horse-battery").await;
    assert!(done.starts_with("HTTP/1.1 200"), "{done}");
    assert!(
        house
            .ask("POST /sign-in", "user=alice&password=correct-horse-battery")
            .await
            .starts_with("HTTP/1.1 303")
    );
    assert_eq!(told(&house, 1).await.len(), 1);
    let changes = house.auth.audit.page(None, 10).await.unwrap();
    assert!(changes.iter().any(|(_, change)| change["what"] == "reset link sent to the chat"));
    let foreign = house.send(ASK, &format!("{FORM}Sec-Fetch-Site: cross-site\r\n"), "user=alice").await;
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
}

#[tokio::test]
async fn the_chat_gets_no_link_where_its_operator_does_not_say_so() {
    let house = house("no-reset").await;
    let page = house.send("GET /sign-in/forgotten", "", "").await;
    assert!(page.contains("whoever runs this service") && !page.contains("<form"), "{page}");
    assert!(house.ask(ASK, "user=alice").await.starts_with("HTTP/1.1 200"));
    let open = house.auth.invites.list(shared_runtime::unix_millis()).await.unwrap();
    assert!(open.is_empty() && house.chat.0.lock().unwrap().told.is_empty());
}

#[tokio::test]
async fn who_asks_for_many_is_told_to_wait() {
    let house = house("many-forgotten").await;
    let mut last = String::new();
    for n in 0..24 {
        last = house.ask(ASK, &format!("user=nobody{n}")).await;
    }
    assert!(last.starts_with("HTTP/1.1 429") && last.contains("retry-after"), "{last}");
}
