//! Forms that are refused: what was typed stays, but for passwords, and the field at fault is marked.

use crate::common::{House, house, sign_in};
use shared_auth::{Opens, Profile};
use shared_runtime::unix_millis;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// Sends a form that is refused, and reads the page that comes back.
async fn refused(house: &House, cookie: &str, operation: &str, form: &str) -> String {
    let page = house.send(&format!("POST /do/{operation}"), &format!("{cookie}{FORM}"), form).await;
    assert!(page.starts_with("HTTP/1.1 422"), "{operation}: {page}");
    page
}

/// The tag that has this id.
fn tag<'a>(page: &'a str, id: &str) -> &'a str {
    let rest = page.split(&format!("id=\"{id}\"")).nth(1).unwrap_or_else(|| panic!("no {id}: {page}"));
    rest.split('>').next().unwrap()
}

#[tokio::test]
async fn what_was_typed_into_an_own_form_stays_when_it_is_refused() {
    let house = house("forms").await;
    let (cookie, key) = sign_in(&house).await;
    let many: String = (0..65).map(|at| format!("a{at}@b.example%0A")).collect();
    let form = format!("key={key}&back=/account&otherwise=never&always={many}&never=c%40d.example");
    let page = refused(&house, &cookie, "setArchiving", &form).await;
    assert!(
        page.contains(">a0@b.example\na1@b.example\n") && page.contains("a64@b.example\n</textarea>"),
        "{page}"
    );
    assert!(page.contains(">c@d.example</textarea>"), "{page}");
    assert!(page.contains("<option value=\"never\" selected>"), "{page}");
    assert!(tag(&page, "archive-always").contains("aria-invalid=\"true\""), "{page}");
    assert!(!tag(&page, "archive-never").contains("aria-invalid"), "{page}");

    for (operation, name, typed, id) in
        [("addDevice", "name", "my phone!", "device"), ("renameAccount", "name", "a\u{202e}b", "name")]
    {
        let page =
            refused(&house, &cookie, operation, &format!("key={key}&back=/account&{name}={typed}")).await;
        let tag = tag(&page, id);
        assert!(
            tag.contains(&format!("value=\"{typed}\"")) && tag.contains("aria-invalid=\"true\""),
            "{tag}"
        );
    }

    let form = format!("key={key}&back=/account&current=pencil&password=short12");
    let page = refused(&house, &cookie, "changePassword", &form).await;
    assert!(!page.contains("pencil") && !page.contains("short12"), "{page}");
    assert!(tag(&page, "new").contains("aria-invalid=\"true\""), "{page}");
}

#[tokio::test]
async fn what_was_typed_into_an_administrators_form_stays_when_it_is_refused() {
    let house = house("admin-forms").await;
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (cookie, key) = sign_in(&house).await;
    let form = format!("key={key}&back=/admin&address=bob%40example.org&name=Bob&numbers=12%0A34&video=on");
    let page = refused(&house, &cookie, "createAccount", &form).await;
    assert!(tag(&page, "address").contains("value=\"bob@example.org\""), "{page}");
    assert!(tag(&page, "name").contains("value=\"Bob\""), "{page}");
    assert!(page.contains(">12\n34</textarea>"), "{page}");
    assert!(page.contains("name=\"video\" checked") && !page.contains("name=\"admin\" checked"), "{page}");
    assert!(tag(&page, "numbers").contains("aria-invalid=\"true\""), "{page}");

    let form = format!(
        "key={key}&back=/admin?edit=alice@example.org&path.address=alice%40example.org&name=Alice&numbers=nine&video=true&admin=true"
    );
    let page = refused(&house, &cookie, "changeAccount", &form).await;
    assert!(
        tag(&page, "edit-name").contains("value=\"Alice\"") && page.contains(">nine</textarea>"),
        "{page}"
    );
    assert!(tag(&page, "edit-numbers").contains("aria-invalid=\"true\""), "{page}");

    let form = format!("key={key}&back=/admin/rooms&room=x@@y&name=Club&owners=&password=1234&hidden=on");
    let page = refused(&house, &cookie, "createRoom", &form).await;
    assert!(
        tag(&page, "room").contains("value=\"x@@y\"") && tag(&page, "room-name").contains("Club"),
        "{page}"
    );
    assert!(page.contains("name=\"hidden\" checked") && !page.contains("1234"), "{page}");

    let form =
        format!("key={key}&back=/admin/groups&path.layer=domain:example.org&settings={{\"listed\":\"zz\"}}");
    let page = refused(&house, &cookie, "setProfile", &form).await;
    assert_eq!(page.matches("&quot;zz&quot;").count(), 1, "the layer that it was for, and no other: {page}");
}

#[tokio::test]
async fn a_form_whose_value_is_none_is_refused_by_its_field() {
    let house = house("bogus").await;
    let (cookie, key) = sign_in(&house).await;
    for (operation, field, value, rule) in [
        ("setDisturbance", "undisturbed", "bogus", "`undisturbed` is not true or false"),
        ("setDisturbance", "undisturbed", "", "`undisturbed` is not true or false"),
        ("setVoicemail", "wanted", "1", "`wanted` is not true or false"),
        ("setListing", "listed", "bogus", ""),
        ("setArchiving", "otherwise", "bogus", ""),
    ] {
        let page =
            refused(&house, &cookie, operation, &format!("key={key}&back=/account&{field}={value}")).await;
        assert!(page.contains(rule) && page.contains("role=\"alert\""), "{operation}: {page}");
        // What holds is chosen still, and the hint is heard beside the fault.
        if operation == "setListing" {
            let chosen = ["nobody", "contacts", "domain"]
                .map(|word| page.contains(&format!("<option value=\"{word}\" selected>")));
            assert_eq!(chosen.into_iter().filter(|is| *is).count(), 1, "{page}");
            assert!(tag(&page, "listed").contains("aria-describedby=\"listed-hint listed-about\""), "{page}");
        }
    }
    assert!(!house.chat.0.lock().unwrap().is_undisturbed);
}

#[tokio::test]
async fn an_invitation_marks_the_field_that_is_at_fault() {
    let house = house("blame").await;
    let opens = Opens::Account { user: None, domain: None, name: String::new(), admin: false, contact: None };
    let (domains, week) =
        (shared_model::Domains::new("example.org", []), std::time::Duration::from_secs(604_800));
    let (token, _) = house.auth.invites.create(&domains, opens, None, week, unix_millis()).await.unwrap();
    let long = "x".repeat(65);
    for (user, name, wrong, right) in [
        ("bob", long.as_str(), "name", "user"),
        ("bob", "a%E2%80%AEb", "name", "user"),
        (long.as_str(), "Bob", "user", "name"),
    ] {
        let form = format!("user={user}&name={name}&password=correct-horse-battery");
        let page = house.ask(&format!("POST /invite/{token}"), &form).await;
        assert!(page.starts_with("HTTP/1.1 422"), "{page}");
        assert!(tag(&page, wrong).contains("aria-invalid=\"true\""), "{user} {name}: {page}");
        assert!(!tag(&page, right).contains("aria-invalid"), "{user} {name}: {page}");
        assert!(tag(&page, "user").contains(&format!("value=\"{user}\"")), "{page}");
    }
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_asked_about_without_a_script() {
    let house = house("asked").await;
    house.auth.book.set_profile(house.alice, Profile { admin: true, ..Profile::default() }).await.unwrap();
    let (cookie, key) = sign_in(&house).await;
    let send = async |operation: &str, form: &str| {
        house.send(&format!("POST /do/{operation}"), &format!("{cookie}{FORM}"), form).await
    };
    let bob = "bob@example.org".parse().unwrap();
    send("createAccount", &format!("key={key}&back=/admin&address=bob%40example.org")).await;
    send("addDevice", &format!("key={key}&back=/account&name=PHONE")).await;
    for (operation, field, question, button, back) in [
        (
            "removeOneAccount",
            "path.address=bob%40example.org",
            "Remove bob@example.org for good?",
            "Remove",
            "/admin",
        ),
        (
            "destroyRoom",
            "path.room=dev%40conference.example.org",
            "End dev@conference.example.org for good",
            "End the room",
            "/admin/rooms",
        ),
        ("removeDevice", "path.name=PHONE", "Take the password of PHONE back?", "Remove", "/account"),
        (
            "revokeInvite",
            "path.id=abcdefghijklmnop",
            "Take the invitation abcdefghijklmnop back?",
            "Remove",
            "/admin/invites",
        ),
        ("removeVoiceMessage", "path.id=two", "Erase this voice message for good?", "Remove", "/account"),
    ] {
        let asked = send(operation, &format!("key={key}&back={back}&{field}")).await;
        assert!(asked.starts_with("HTTP/1.1 200") && asked.contains(question), "{asked}");
        assert!(asked.contains(&format!("<form method=\"post\" action=\"/do/{operation}\">")), "{asked}");
        assert!(asked.contains(&format!("<button class=\"grave\">{button}</button>")), "{asked}");
        assert!(asked.contains(&format!("<a href=\"{back}\">No, go back</a>")), "{asked}");
        assert!(asked.contains("name=\"sure\" value=\"yes\""), "{asked}");
        let strange = send(operation, &format!("key=x&back={back}&{field}")).await;
        assert!(strange.starts_with("HTTP/1.1 403"), "{strange}");
    }
    let apps = || house.auth.book.app_passwords(house.alice);
    assert!(house.auth.directory.by_aor(&bob).await.unwrap().is_some() && apps().await.unwrap().len() == 1);

    let form = format!("key={key}&back=/admin&path.address=bob%40example.org&sure=yes");
    let done = send("removeOneAccount", &form).await;
    assert!(done.contains("location: /admin?done=removeOneAccount"), "{done}");
    assert!(house.auth.directory.by_aor(&bob).await.unwrap().is_none());
    let done = send("removeDevice", &format!("key={key}&back=/account&path.name=PHONE&sure=yes")).await;
    assert!(done.contains("done=removeDevice") && apps().await.unwrap().is_empty(), "{done}");
    // The script's dialogs.
    for (path, many) in [("/admin", 1), ("/admin/rooms?room=dev@conference.example.org", 1)] {
        let page = house.send(&format!("GET {path}"), &cookie, "").await;
        assert_eq!(page.matches("data-ask=").count(), many, "{path}: {page}");
    }
}

#[tokio::test]
async fn an_account_is_removed_by_its_owner_with_the_password() {
    let house = house("leaves").await;
    let (cookie, key) = sign_in(&house).await;
    let send = async |current: &str| {
        let form = format!("key={key}&back=/account&current={current}");
        house.send("POST /do/removeAccount", &format!("{cookie}{FORM}"), &form).await
    };
    let wrong = send("crayon").await;
    assert!(wrong.starts_with("HTTP/1.1 403") && !wrong.contains("crayon"), "{wrong}");
    assert!(house.auth.directory.by_id(house.alice).await.unwrap().is_some());
    let done = send("pencil").await;
    assert!(done.starts_with("HTTP/1.1 303") && done.contains("location: /sign-in\r\n"), "{done}");
    assert!(done.contains("set-cookie: __Host-cusax=;") && done.contains("Max-Age=0"), "{done}");
    assert!(house.auth.directory.by_id(house.alice).await.unwrap().is_none());
    let page = house.send("GET /account", &cookie, "").await;
    assert!(page.contains("location: /sign-in"), "{page}");
    let changes = house.auth.audit.page(None, 10).await.unwrap();
    assert!(changes.iter().any(|(_, it)| it["what"] == "account removed by its owner"), "{changes:?}");
}
