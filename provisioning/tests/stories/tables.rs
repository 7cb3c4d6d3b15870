//! Tables stay tables where the style shows their rows as blocks: some browsers forget it of those whose `display` is another.

use crate::common::{house, sign_in};
use shared_auth::Profile;

#[tokio::test]
async fn each_part_of_a_table_says_what_it_is() {
    let house = house("tables").await;
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (cookie, _) = sign_in(&house).await;
    for path in ["/account", "/admin", "/admin/rooms?room=dev@conference.example.org"] {
        let page = house.send(&format!("GET {path}"), &cookie, "").await;
        for (part, role) in [
            ("table", "table"),
            ("thead", "rowgroup"),
            ("tbody", "rowgroup"),
            ("tr", "row"),
            ("th", "columnheader"),
            ("td", "cell"),
        ] {
            let all = page.matches(&format!("<{part}>")).count() + page.matches(&format!("<{part} ")).count();
            assert!(all > 0, "{path} has no {part}: {page}");
            assert_eq!(page.matches(&format!("<{part} role=\"{role}\"")).count(), all, "{path}: {part}");
        }
    }
}

#[tokio::test]
async fn what_a_value_is_stands_beside_it_where_the_head_is_out_of_sight() {
    let house = house("labels").await;
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (cookie, _) = sign_in(&house).await;
    for (path, labels) in [
        ("/account", &["Last seen"][..]),
        ("/admin/rooms?room=dev@conference.example.org", &["Role", "Sound"]),
    ] {
        let page = house.send(&format!("GET {path}"), &cookie, "").await;
        for label in labels {
            assert!(page.contains(&format!("<td role=\"cell\" data-label=\"{label}\">")), "{label}: {page}");
        }
    }
}
