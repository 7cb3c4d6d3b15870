//! Commands for administrators, and the directory — XEP-0050, XEP-0133, XEP-0055.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{
    Client, DOMAIN, Everybody, PASSWORD, Served, attribute, befriend, serve, serve_again, serve_with,
};
use shared_auth::{Opens, Profile};
use shared_model::{Aor, BareJid, Domains, FoundBy};
use shared_store::Store;
use xmpp_server::Config;

const COMMANDS: &str = "http://jabber.org/protocol/commands";
const ADMIN: &str = "http://jabber.org/protocol/admin";

/// Alice administers the service.
async fn admin(served: &Served) -> Client {
    let jid: BareJid = "alice@example.org".parse().unwrap();
    let card = served.auth.directory.by_jid(&jid).await.unwrap().unwrap();
    let profile = Profile { name: card.name, numbers: card.numbers, video: card.video, admin: true };
    served.auth.book.set_profile(card.account, profile).await.unwrap();
    Client::online(served, "alice", "a").await
}

fn execute(node: &str) -> String {
    format!("<command xmlns='{COMMANDS}' node='{ADMIN}#{node}' action='execute'/>")
}

fn submit(node: &str, session: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect();
    format!(
        "<command xmlns='{COMMANDS}' node='{ADMIN}#{node}' sessionid='{session}'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>{ADMIN}</value></field>{fields}</x></command>"
    )
}

/// Runs a command with one form.
async fn run(client: &mut Client, node: &str, fields: &[(&str, &str)]) -> String {
    let form = client.ask("set", DOMAIN, &execute(node)).await;
    assert!(form.contains("status='executing'") && form.contains("<complete/>"), "{form}");
    let session = attribute(&form, "command", "sessionid");
    client.ask("set", DOMAIN, &submit(node, &session, fields)).await
}

#[tokio::test]
async fn commands_are_listed_for_those_who_may_run_them() {
    let served = serve().await;
    let mut alice = admin(&served).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let items = format!("<query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/>");
    let listed = alice.ask("get", DOMAIN, &items).await;
    for node in ["add-user", "delete-user", "end-user-session", "announce", "get-online-users-num"] {
        assert!(listed.contains(&format!("node='{ADMIN}#{node}'")), "{node}: {listed}");
    }
    let listed = bob.ask("get", DOMAIN, &items).await;
    assert!(
        !listed.contains(ADMIN)
            && listed.contains("urn:cusax:directory:0#lookup")
            && listed.contains("urn:cusax:voicemail:0"),
        "{listed}"
    );
    let info = format!("<query xmlns='http://jabber.org/protocol/disco#info' node='{ADMIN}#add-user'/>");
    assert!(alice.ask("get", DOMAIN, &info).await.contains("command-node"));
    assert!(bob.ask("get", DOMAIN, &info).await.contains("forbidden"));
    let info = alice.ask("get", DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains(&format!("var='{COMMANDS}'")));
    assert!(bob.ask("set", DOMAIN, &execute("add-user")).await.contains("forbidden"));
    assert!(alice.ask("set", DOMAIN, &execute("nothing")).await.contains("item-not-found"));
}

#[tokio::test]
async fn a_form_is_handed_in_once_and_by_who_was_shown_it() {
    let served = serve().await;
    let mut alice = admin(&served).await;
    let mut desk = Client::online(&served, "alice", "desk").await;
    let form = alice.ask("set", DOMAIN, &execute("announce")).await;
    let session = attribute(&form, "command", "sessionid");
    let fields = [("announcement", "hello")];
    let theirs = desk.ask("set", DOMAIN, &submit("announce", &session, &fields)).await;
    assert!(theirs.contains("<bad-sessionid"), "{theirs}");
    let empty = alice.ask("set", DOMAIN, &submit("announce", &session, &[])).await;
    assert!(empty.contains("<bad-payload"), "{empty}");
    let back = submit("announce", &session, &fields).replace("<command ", "<command action='prev' ");
    assert!(alice.ask("set", DOMAIN, &back).await.contains("<bad-action"));
    let odd = back.replace("'prev'", "'dance'");
    assert!(alice.ask("set", DOMAIN, &odd).await.contains("<malformed-action"));
    let cancel = back.replace("'prev'", "'cancel'");
    assert!(alice.ask("set", DOMAIN, &cancel).await.contains("status='canceled'"));
    let late = alice.ask("set", DOMAIN, &submit("announce", &session, &fields)).await;
    assert!(late.contains("not-allowed") && late.contains("<session-expired"), "{late}");
}

#[tokio::test]
async fn an_administrator_adds_changes_disables_and_deletes_a_user() {
    let served = serve().await;
    let mut alice = admin(&served).await;
    let new = [
        ("accountjid", "dave@example.org"),
        ("password", "the first battery"),
        ("password-verify", "the first battery"),
        ("given_name", "Dave"),
    ];
    let mut weak = new;
    (weak[1].1, weak[2].1) = ("dave1234", "dave1234");
    let refused = run(&mut alice, "add-user", &weak).await;
    assert!(refused.contains("type='error'") && refused.contains("password"), "{refused}");
    let added = run(&mut alice, "add-user", &new).await;
    assert!(added.contains("status='completed'") && !added.contains("<note"), "{added}");
    let again = run(&mut alice, "add-user", &new).await;
    assert!(again.contains("<note type='error'>"), "{again}");
    let mut held = new;
    held[0].1 = "held@example.org";
    let opens = Opens::Account {
        user: Some("held".to_owned()),
        domain: None,
        name: String::new(),
        admin: false,
        contact: None,
    };
    let (domains, minute) = (Domains::new(DOMAIN, []), Duration::from_secs(60));
    let now = shared_runtime::unix_millis();
    served.auth.invites.create(&domains, opens, None, minute, now).await.unwrap();
    let kept = run(&mut alice, "add-user", &held).await;
    assert!(kept.contains("type='error'") && kept.contains("an open invitation keeps this name"), "{kept}");
    let mut differ = new;
    differ[2].1 = "second";
    assert!(run(&mut alice, "add-user", &differ).await.contains("differ"));
    let foreign = [("accountjid", "x@y.example"), ("password", "p"), ("password-verify", "p")];
    assert!(run(&mut alice, "add-user", &foreign).await.contains("type='error'"));
    let weak = [("accountjid", "dave@example.org"), ("password", "password")];
    assert!(run(&mut alice, "change-user-password", &weak).await.contains("type='error'"));
    let changed = [("accountjid", "dave@example.org"), ("password", "the second battery")];
    assert!(!run(&mut alice, "change-user-password", &changed).await.contains("<note"));
    let mut dave = Client::connect(&served).await;
    dave.authenticate("dave", "the second battery").await;
    dave.bind("d").await;
    dave.send("<presence/>").await;
    let mut bob = Client::online(&served, "bob", "b").await;
    bob.send("<presence type='subscribe' to='dave@example.org'/>").await;
    dave.expect(&["type='subscribe'"]).await;
    dave.send("<presence type='subscribed' to='bob@example.org'/>").await;
    bob.expect(&["type='subscribed'"]).await;
    let daves = [("accountjids", "dave@example.org")];
    assert!(!run(&mut alice, "disable-user", &daves).await.contains("<note"));
    dave.expect_stream_error("not-authorized").await;
    assert!(run(&mut alice, "get-disabled-users-list", &[]).await.contains("dave@example.org"));
    assert!(!run(&mut alice, "reenable-user", &daves).await.contains("<note"));
    assert!(!run(&mut alice, "delete-user", &daves).await.contains("<note"));
    bob.expect(&["type='unsubscribed'", "from='dave@example.org'"]).await;
    assert!(run(&mut alice, "delete-user", &daves).await.contains("there is no account"));
    assert!(served.store.records.list("dave@example.org", "roster", None, 9).await.unwrap().is_empty());
    // Each is in the audit, with who did it, and what was there before and after.
    let noted: Vec<serde_json::Value> = audit(&served).await;
    let told: Vec<_> = noted.iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(
        told,
        ["account created", "password changed", "account changed", "account changed", "account removed"],
        "and what was refused is not: {noted:?}"
    );
    assert!(noted.iter().all(|one| one["who"] == "alice@sip.example.org" && one["on"] == "dave@example.org"));
    let state = |at: usize, when: &str| noted[at][when]["enabled"].as_bool();
    assert_eq!((state(0, "before"), state(0, "after")), (None, Some(true)));
    assert_eq!((state(1, "before"), state(1, "after")), (None, None), "nothing of a password");
    assert_eq!((state(2, "before"), state(2, "after")), (Some(true), Some(false)));
    assert_eq!((state(3, "before"), state(3, "after")), (Some(false), Some(true)));
    assert_eq!((state(4, "before"), state(4, "after")), (Some(true), None));
}

/// What was noted, the oldest first.
async fn audit(served: &Served) -> Vec<serde_json::Value> {
    let page = served.store.archive.page("audit", &shared_store::Query::default()).await.unwrap();
    page.entries.iter().map(|entry| serde_json::from_slice(&entry.body).unwrap()).collect()
}

#[tokio::test]
async fn sessions_end_and_users_are_counted_and_listed() {
    let served = serve().await;
    let mut alice = admin(&served).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let mut phone = Client::online(&served, "bob", "phone").await;
    befriend(&mut alice, &mut bob).await;
    bob.send("<inactive xmlns='urn:xmpp:csi:0'/>").await;
    phone.send("<inactive xmlns='urn:xmpp:csi:0'/>").await;
    bob.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    phone.ask("get", DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    for (node, var, number) in [
        ("get-registered-users-num", "registeredusersnum", "3"),
        ("get-disabled-users-num", "disabledusersnum", "0"),
        ("get-online-users-num", "onlineusersnum", "2"),
        ("get-active-users-num", "activeusersnum", "1"),
        ("get-idle-users-num", "idleusersnum", "1"),
    ] {
        let said = alice.ask("set", DOMAIN, &execute(node)).await;
        let field = format!("var='{var}' type='text-single' label='Number'><value>{number}</value>");
        assert!(said.contains(&field) && said.contains("status='completed'"), "{node}: {said}");
    }
    let online = run(&mut alice, "get-online-users-list", &[("max_items", "1")]).await;
    assert!(online.contains("<value>alice@example.org<") && !online.contains("bob@"), "{online}");
    assert!(run(&mut alice, "get-idle-users", &[]).await.contains("<value>bob@example.org<"));
    assert!(run(&mut alice, "get-registered-users-list", &[]).await.contains("carol@example.org"));
    let bobs = run(&mut alice, "user-stats", &[("accountjid", "bob@example.org")]).await;
    for part in ["<value>1</value>", "<value>b</value>", "<value>phone</value>"] {
        assert!(bobs.contains(part), "{part}: {bobs}");
    }
    let one = [("accountjids", "bob@example.org/phone")];
    assert!(run(&mut alice, "end-user-session", &one).await.contains("1 sessions end"));
    phone.expect_stream_error("policy-violation").await;
    let all = [("accountjids", "bob@example.org")];
    run(&mut alice, "end-user-session", &all).await;
    bob.expect_stream_error("policy-violation").await;
    alice.expect(&["<presence", "type='unavailable'", "from='bob@example.org/b'"]).await;
    assert!(run(&mut alice, "end-user-session", &all).await.contains("type='error'"));
    let last = run(&mut alice, "get-user-lastlogin", &all).await;
    assert!(last.contains("T") && last.contains("Z</value>"), "{last}");
}

#[tokio::test]
async fn rosters_are_shown_as_their_owners_see_them() {
    let served = serve().await;
    let mut alice = admin(&served).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let item = "<query xmlns='jabber:iq:roster'><item jid='romeo@example.net' name='Romeo'><group>Lovers</group></item></query>";
    bob.ask("set", "", item).await;
    let all = format!("bob@{DOMAIN}</value><value>alice@{DOMAIN}");
    let shown = run(&mut alice, "get-user-roster", &[("accountjids", &all)]).await;
    for part in [
        "<value>bob@example.org</value><value>alice@example.org</value>",
        "name='Romeo'",
        "<group>Lovers</group>",
        "subscription='none'",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(shown.matches("jabber:iq:roster").count(), 2, "{shown}");
    let nobody = run(&mut alice, "get-user-roster", &[("accountjids", "nobody@example.org")]).await;
    assert!(nobody.contains("there is no account"), "{nobody}");
    assert!(bob.ask("set", DOMAIN, &execute("get-user-roster")).await.contains("forbidden"));
}

#[tokio::test]
async fn administrators_shut_the_service_down_where_the_operator_lets_them() {
    let served = serve().await;
    let mut alice = admin(&served).await;
    assert!(alice.ask("set", DOMAIN, &execute("shutdown")).await.contains("item-not-found"));
    let config = Config { admins_may_stop: true, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = admin(&served).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    assert!(bob.ask("set", DOMAIN, &execute("shutdown")).await.contains("forbidden"));
    assert!(run(&mut alice, "shutdown", &[("delay", "3601")]).await.contains("bad-payload"));
    let done = run(&mut alice, "shutdown", &[("delay", "0"), ("announcement", "good night")]).await;
    assert!(done.contains("stops in 0 s"), "{done}");
    bob.expect(&["good night"]).await;
    bob.expect_stream_error("system-shutdown").await;
    served.shutdown.ended().await;
    assert!(!served.shutdown.starts_anew());
}

#[tokio::test]
async fn administrators_edit_whom_the_service_keeps_out() {
    let served = serve().await;
    let mut alice = admin(&served).await;
    let number = "+33123456780".parse().unwrap();
    served.auth.bans.make(number, "spam", Duration::from_secs(3600)).await.unwrap();
    let mut edit = async |list: &[&str]| {
        let form = alice.ask("set", DOMAIN, &execute("edit-blacklist")).await;
        let session = attribute(&form, "command", "sessionid");
        let values: String = list.iter().map(|who| format!("<value>{who}</value>")).collect();
        let done = format!(
            "<command xmlns='{COMMANDS}' node='{ADMIN}#edit-blacklist' sessionid='{session}'>\
             <x xmlns='jabber:x:data' type='submit'><field var='blacklistjids'>{values}</field></x></command>"
        );
        (form, alice.ask("set", DOMAIN, &done).await)
    };
    let (form, done) = edit(&["eve@elsewhere.example", "spam.example"]).await;
    assert!(!form.contains("<value>+33"), "numbers are not on it: {form}");
    assert!(done.contains("status='completed'") && !done.contains("<note"), "{done}");
    let refuses = |local, domain| served.auth.bans.refuses(local, domain);
    assert!(refuses("eve", "elsewhere.example") && refuses("anybody", "spam.example"));
    for (wrong, why) in [("192.0.2.0/24", "neither"), ("a b", "is not")] {
        let (_, not) = edit(&["new.example", wrong]).await;
        assert!(not.contains("type='error'") && not.contains(why), "{wrong}: {not}");
        assert!(!refuses("anybody", "new.example"), "nothing is changed");
    }
    let (form, _) = edit(&["spam.example"]).await;
    assert!(form.contains("<value>eve@elsewhere.example</value><value>spam.example</value>"), "{form}");
    assert!(!refuses("eve", "elsewhere.example") && refuses("anybody", "spam.example"));
    assert_eq!(served.auth.bans.all().await.unwrap().len(), 2, "the number is still there");
}

#[tokio::test]
async fn administrators_restart_the_service_if_it_would_start() {
    let config = Config { admins_may_stop: true, ..Config::default() };
    let served = serve_with(config, Store::in_memory()).await;
    let mut alice = admin(&served).await;
    let none = alice.ask("set", DOMAIN, &execute("restart")).await;
    assert!(none.contains("item-not-found"), "nobody would start it: {none}");
    let fault =
        "not TOML: TOML parse error at line 7, column 12\n  |\n7 | password = hunter2\n  |            ^";
    let faults = Arc::new(std::sync::Mutex::new(vec![fault.to_owned()]));
    let still = Arc::clone(&faults);
    served.server.attach_restart(move || still.lock().unwrap().pop().map_or(Ok(()), Err));
    let not = run(&mut alice, "restart", &[("delay", "0")]).await;
    assert!(not.contains("type='error'") && not.contains("at line 7, column 12"), "{not}");
    assert!(!not.contains("hunter2"), "a line of the file: {not}");
    assert!(!served.shutdown.is_begun());
    assert!(run(&mut alice, "restart", &[("delay", "0")]).await.contains("restarts in 0 s"));
    served.shutdown.ended().await;
    assert!(served.shutdown.starts_anew());
}

#[tokio::test]
async fn an_announcement_reaches_who_is_online() {
    let served = serve().await;
    let mut alice = admin(&served).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    let words = [("subject", "Soon"), ("announcement", "we stop at ten")];
    assert!(run(&mut alice, "announce", &words).await.contains("2 users"));
    let told = bob.expect(&["we stop at ten"]).await;
    for part in ["<subject>Soon", &format!("from='{DOMAIN}'"), "to='bob@example.org'", "type='headline'"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[tokio::test]
async fn the_directory_finds_and_is_not_read_through() {
    let served = serve().await;
    served.server.attach_visibility(Arc::new(Everybody(FoundBy::Domain)));
    let mut alice = Client::online(&served, "alice", "a").await;
    let directory = format!("directory.{DOMAIN}");
    let items = alice.ask("get", DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#items'/>").await;
    assert!(items.contains(&directory), "{items}");
    let info = alice.ask("get", &directory, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains("jabber:iq:search") && info.contains("category='directory'"), "{info}");
    let fields = alice.ask("get", &directory, "<query xmlns='jabber:iq:search'/>").await;
    assert!(fields.contains("<nick/>") && fields.contains("jabber:x:data"), "{fields}");
    let search = |fields: &str| format!("<query xmlns='jabber:iq:search'>{fields}</query>");
    let found = alice.ask("set", &directory, &search("<nick>CAR*</nick>")).await;
    assert!(found.contains("<item jid='carol@example.org'>") && !found.contains("bob@"), "{found}");
    let form = "<x xmlns='jabber:x:data' type='submit'><field var='first'><value>bob</value></field></x>";
    let found = alice.ask("set", &directory, &search(form)).await;
    assert!(found.contains("<reported>") && found.contains("<value>bob@example.org</value>"), "{found}");
    assert!(found.contains("<value>sip:bob@sip.example.org</value>"), "both addresses are shown: {found}");
    for short in ["<nick>ca</nick>", "<first>b</first><nick>***</nick>"] {
        assert!(alice.ask("set", &directory, &search(short)).await.contains("not-acceptable"), "{short}");
    }
    for empty in ["", "<nick>***</nick>", "<last/>"] {
        let none = alice.ask("set", &directory, &search(empty)).await;
        assert!(
            none.contains("type='result'") && none.contains("<query") && !none.contains("<item"),
            "{none}"
        );
    }
    let form = "<x xmlns='jabber:x:data' type='submit'><field var='first'><value/></field></x>";
    let none = alice.ask("set", &directory, &search(form)).await;
    assert!(none.contains("<reported><field") && !none.contains("<item"), "{none}");
    assert!(!alice.ask("set", &directory, &search("<last>nobody</last>")).await.contains("<item"));
    let mut answer = String::new();
    for _ in 0..20 {
        answer = alice.ask("set", &directory, &search("<nick>bob</nick>")).await;
    }
    assert!(answer.contains("resource-constraint"), "{answer}");
}

#[tokio::test]
async fn who_finds_many_is_told_that_there_are_more_and_goes_on() {
    let served = serve().await;
    let mut alice = Client::online(&served, "alice", "a").await;
    for at in 0..60 {
        let address: BareJid = format!("dora{at:02}@example.org").parse().unwrap();
        let profile = Profile { name: format!("Dora {at}"), ..Default::default() };
        let new = shared_auth::NewAccount { aor: Aor(address.0.clone()), jid: address, profile };
        served.auth.book.create(new, PASSWORD).await.unwrap();
    }
    let directory = format!("directory.{DOMAIN}");
    let set = |set: &str| format!("<set xmlns='http://jabber.org/protocol/rsm'>{set}</set>");
    let search = |more: &str| format!("<query xmlns='jabber:iq:search'><nick>dora</nick>{more}</query>");
    let first = alice.ask("set", &directory, &search("")).await;
    assert_eq!(first.matches("<item ").count(), 50, "{first}");
    let last = first.rsplit("<last>").next().and_then(|rest| rest.split('<').next()).unwrap();
    assert!(!last.contains("dora"), "who was looked at last may be somebody who is not found: {first}");
    let on = search(&set(&format!("<after>{last}</after>")));
    let mut bob = Client::online(&served, "bob", "b").await;
    assert!(bob.ask("set", &directory, &on).await.contains("item-not-found"), "another's search");
    let rest = alice.ask("set", &directory, &on).await;
    assert_eq!(rest.matches("<item ").count(), 10, "{rest}");
    assert!(rest.contains("jid='dora50@example.org'") && !rest.contains("<set "), "{rest}");
    let part = alice.ask("set", &directory, &search(&set("<max>7</max>"))).await;
    assert_eq!((part.matches("<item ").count(), part.contains("<set ")), (7, true), "{part}");
    let form = "<x xmlns='jabber:x:data' type='submit'><field var='nick'><value>dora</value></field></x>";
    let form = format!("<query xmlns='jabber:iq:search'>{form}</query>");
    let shown = alice.ask("set", &directory, &form).await;
    assert!(shown.contains("<instructions>There may be more"), "{shown}");
    for (bad, condition) in
        [("<before/>", "feature-not-implemented"), ("<after>x@y</after>", "item-not-found")]
    {
        assert!(alice.ask("set", &directory, &search(&set(bad))).await.contains(condition), "{bad}");
    }
}

#[tokio::test]
async fn what_everybody_is_told_they_are_told_once() {
    let served = serve().await;
    let mut alice = admin(&served).await;
    let mut bob = Client::online(&served, "bob", "b").await;
    assert!(bob.ask("set", DOMAIN, &execute("set-motd")).await.contains("forbidden"));
    assert!(run(&mut alice, "set-motd", &[("motd", "")]).await.contains("bad-payload"));
    assert!(run(&mut alice, "set-motd", &[("motd", "new telephones today")]).await.contains("completed"));
    let told = bob.expect(&["<message", "new telephones today"]).await;
    assert!(told.contains("from='example.org'") && told.contains("type='headline'"), "{told}");
    bob.send("<presence type='unavailable'/><presence/>").await;
    bob.expect(&["<presence", "type='unavailable'"]).await;
    bob.expect(&["<presence", "from='bob@example.org/b'"]).await;
    bob.expect_nothing().await;
    // A correction is for those who were not told yet; a restart changes nothing.
    assert!(run(&mut alice, "edit-motd", &[("motd", "new telephones tomorrow")]).await.contains("completed"));
    let mut carol = Client::login(&served, "carol", "c").await;
    carol.send("<presence/>").await;
    carol.expect(&["<message", "new telephones tomorrow"]).await;
    let again = serve_again(&served, Config::default()).await;
    let mut bob = Client::online(&again, "bob", "b").await;
    bob.expect_nothing().await;
    let mut alice = Client::online(&again, "alice", "a").await;
    let form = alice.ask("set", DOMAIN, &execute("edit-motd")).await;
    assert!(form.contains("new telephones tomorrow"), "{form}");
    assert!(alice.ask("set", DOMAIN, &execute("delete-motd")).await.contains("completed"));
    assert!(alice.ask("set", DOMAIN, &execute("edit-motd")).await.contains("there is no message of the day"));
    // New accounts find a welcome.
    assert!(run(&mut alice, "set-welcome", &[("welcome", "ask 100 for help")]).await.contains("completed"));
    let new = [("accountjid", "dora@example.org"), ("password", PASSWORD), ("password-verify", PASSWORD)];
    assert!(run(&mut alice, "add-user", &new).await.contains("completed"));
    // It comes when the account is made, or a moment later.
    let mut dora = Client::login(&again, "dora", "d").await;
    dora.send("<presence/>").await;
    dora.expect(&["<message", "ask 100 for help"]).await;
}
