//! Users come from another server and go to one — XEP-0227: nothing is lost, nobody is in the way of others.

use std::path::{Path, PathBuf};

use shared_auth::Profile;
use shared_model::Domains;
use shared_store::Entry;

use crate::common::{Client, PASSWORD, Served, serve};
use xmpp_server::transfer::{Layout, Report, export, import};

const ROMEO: &str = "<user name='romeo' password='correct horse'>
  <query xmlns='jabber:iq:roster'>
    <item jid='juliet@capulet.com' name='Juliet' subscription='both'><group>Friends</group></item>
    <item jid='romeo@example.org' subscription='none'/><item jid='@@' subscription='both'/>
  </query>
  <presence xmlns='jabber:client' type='subscribe' from='mercutio@montague.net'><nick xmlns='http://jabber.org/protocol/nick'>M</nick></presence>
  <presence type='subscribe' from='benvolio@montague.net'/>
  <offline-messages>
    <message xmlns='jabber:client' from='juliet@capulet.com/b' to='romeo@example.org' type='chat'><body>first</body>
      <delay xmlns='urn:xmpp:delay' from='example.org' stamp='2024-07-21T00:32:29Z'/></message>
    <message xmlns='jabber:client' from='juliet@capulet.com/b' to='romeo@example.org' type='chat'><body>first</body>
      <delay xmlns='urn:xmpp:delay' from='example.org' stamp='2024-07-21T00:32:29Z'/></message>
  </offline-messages>
  <query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'><nick>R</nick></exodus>
    <storage xmlns='storage:bookmarks'><conference jid='dev@conference.example.org' autojoin='1'><nick>Ro</nick></conference></storage></query>
  <query xmlns='jabber:iq:privacy'><default name='d'/><list name='d'><item type='jid' value='tybalt@capulet.com' action='deny' order='1'/>
    <item type='jid' value='nurse@capulet.com' action='deny' order='2'><presence-out/></item></list></query>
  <vCard xmlns='vcard-temp'><FN>Romeo</FN><TEL><NUMBER>sip:juliet@example.org</NUMBER></TEL><TEL><NUMBER>sip:dev@conference.example.org</NUMBER></TEL><TEL><CELL/><NUMBER>+49 151 1234567</NUMBER></TEL><PHOTO><TYPE>image/png</TYPE><BINVAL>eA==</BINVAL></PHOTO></vCard>
  <pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/nick'>
    <item id='current'><nick xmlns='http://jabber.org/protocol/nick'>Romy</nick></item></items></pubsub>
  <pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='http://jabber.org/protocol/nick'>
    <x xmlns='jabber:x:data' type='form'><field var='pubsub#access_model'><value>open</value></field><field var='their#own'><value>1</value></field></x>
    </configure></pubsub>
  <archive xmlns='urn:xmpp:pie:0#mam'>
    <result xmlns='urn:xmpp:mam:2' id='a1'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2020-07-10T23:08:25Z'/>
      <message xmlns='jabber:client' to='romeo@example.org/o' from='juliet@capulet.com/b' type='chat'><body>Call me but love</body></message></forwarded></result>
    <result xmlns='urn:xmpp:mam:2' id='a2'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2020-07-10T23:09:25Z'/>
      <message xmlns='jabber:client' from='romeo@example.org/o' to='juliet@capulet.com/b' type='chat'><body>I never will be Romeo</body></message></forwarded></result>
  </archive>
  <mystery xmlns='urn:x'/>
</user>";

fn document(users: &str) -> String {
    format!(
        "<?xml version='1.0'?><server-data xmlns='urn:xmpp:pie:0'><host jid='example.org'>{users}</host></server-data>"
    )
}

fn file(served: &Served, name: &str, text: &str) -> PathBuf {
    let path = served.folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

async fn come(served: &Served, path: &Path) -> Vec<Report> {
    let mut reports = Vec::new();
    let tell = |report: &Report| {
        reports.push(report.clone());
        Ok(())
    };
    let domains = Domains::new("example.org", ["example.net"]);
    let domains = (&domains, "conference.example.org");
    import(path, domains, &served.auth, &served.store, tell).await.unwrap();
    reports
}

async fn go(served: &Served, folder: &Path, layout: Layout) -> Vec<Report> {
    let mut reports = Vec::new();
    let tell = |report: &Report| {
        reports.push(report.clone());
        Ok(())
    };
    let domains = Domains::new("example.org", []);
    export(folder, layout, &domains, &served.auth, &served.store, tell).await.unwrap();
    reports
}

/// Romeo finds all that is his.
async fn look(served: &Served) {
    let mut romeo = Client::login(served, "romeo", "r").await;
    let roster = romeo.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    assert!(roster.contains("jid='juliet@capulet.com' name='Juliet' subscription='both'"), "{roster}");
    assert_eq!(roster.matches("<item").count(), 1, "{roster}");
    romeo.send("<presence/>").await;
    let own = romeo.expect(&["<presence", "from='romeo@example.org/r'"]).await;
    assert!(own.contains("<photo>11f6ad8ec52a2984abaafd7c3b516503785c2072</photo>"), "{own}");
    for asker in ["benvolio@montague.net", "mercutio@montague.net"] {
        romeo.expect(&["<presence", "type='subscribe'", &format!("from='{asker}'")]).await;
    }
    for _ in 0..2 {
        romeo.expect(&["<message", "<body>first</body>", "2024-07-21T00:32:29"]).await;
    }
    let private =
        romeo.ask("get", "", "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>").await;
    assert!(private.contains("<nick>R</nick>"), "{private}");
    let bookmarks = "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>";
    let bookmarks = romeo.ask("get", "", bookmarks).await;
    assert!(
        bookmarks.contains("jid='dev@conference.example.org'") && bookmarks.contains("<nick>Ro</nick>"),
        "{bookmarks}"
    );
    let blocked = romeo.ask("get", "", "<blocklist xmlns='urn:xmpp:blocking'/>").await;
    assert!(blocked.contains("jid='tybalt@capulet.com'") && !blocked.contains("nurse"), "{blocked}");
    let card = romeo.ask("get", "romeo@example.org", "<vCard xmlns='vcard-temp'/>").await;
    assert!(card.contains("<FN>Romeo</FN>") && !card.contains("juliet@example.org"), "{card}");
    assert!(!card.contains("dev@conference"), "{card}");
    assert!(card.contains("<CELL/><NUMBER>+491511234567</NUMBER>"), "{card}");
    romeo.send("<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'/></iq>").await;
    romeo.expect(&["id='a1'", "2020-07-10T23:08:25", "Call me but love"]).await;
    romeo.expect(&["id='a2'", "I never will be Romeo"]).await;
    romeo.expect(&["id='mam'", "complete='true'"]).await;
    let mut alice = Client::online(served, "alice", "a").await;
    let nick = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/nick'/></pubsub>";
    let nick = alice.ask("get", "romeo@example.org", nick).await;
    assert!(nick.contains("Romy"), "open to everybody: {nick}");
    drop(romeo);
}

#[tokio::test]
async fn a_user_comes_with_all_that_is_theirs_and_twice_is_once() {
    let served = serve().await;
    let path = file(&served, "in.xml", &document(ROMEO));
    let reports = come(&served, &path).await;
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert!(report.done && report.created && report.card, "{report:?}");
    assert_eq!((report.contacts, report.offline, report.archive, report.nodes), (3, 2, 2, 2), "{report:?}");
    assert_eq!((report.private, report.credentials), (1, "password"), "{report:?}");
    for what in ["mystery", "juliet@example.org", "privacy lists"] {
        assert!(report.remarks.iter().any(|remark| remark.contains(what)), "{what}: {report:?}");
    }
    let again = come(&served, &path).await;
    assert!(again[0].done && !again[0].created && again[0].credentials == "kept", "{again:?}");
    look(&served).await;
}

#[tokio::test]
async fn what_goes_comes_again_with_its_password() {
    for layout in [Layout::Included, Layout::Each] {
        let served = serve().await;
        come(&served, &file(&served, "in.xml", &document(ROMEO))).await;
        let folder = served.folder.join("out");
        let reports = go(&served, &folder, layout).await;
        assert_eq!(reports.len(), 4, "alice, bob, carol and romeo: {reports:?}");
        let other = serve().await;
        let back = come(&other, &folder).await;
        let romeo = back.iter().find(|report| report.user == "romeo@example.org").unwrap();
        assert!(romeo.done && romeo.credentials == "scram", "{romeo:?}");
        assert_eq!((romeo.contacts, romeo.offline, romeo.archive, romeo.nodes), (3, 2, 2, 2), "{romeo:?}");
        let id = other.auth.directory.by_jid(&"romeo@example.org".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(other.auth.book.verifiers(id.account).await.unwrap().len(), 3);
        other.auth.book.set_password(id.account, PASSWORD).await.unwrap(); // these clients speak PLAIN
        look(&other).await;
    }
}

/// What the XEP has no word for.
#[tokio::test]
async fn who_was_disabled_or_kept_nothing_is_so_where_they_come_to() {
    let (served, other) = (serve().await, serve().await);
    come(&served, &file(&served, "in.xml", &document("<user name='erin' password='correct horse'/>"))).await;
    let erin = |served: &Served| {
        let directory = served.auth.directory.clone();
        async move { directory.by_jid(&"erin@example.org".parse().unwrap()).await.unwrap().unwrap() }
    };
    let numbers = vec!["+15550177".to_owned()];
    let profile = Profile { name: "Erin".to_owned(), numbers, video: false, admin: true };
    served.auth.book.set_profile(erin(&served).await.account, profile).await.unwrap();
    let prefs = "<prefs xmlns='urn:xmpp:mam:2' default='roster'><always/><never><jid>carol@example.org</jid></never></prefs>";
    let mut client = Client::login(&served, "erin", "e").await;
    client.ask("set", "", prefs).await;
    drop(client);
    served.auth.book.set_enabled(erin(&served).await.account, false).await.unwrap();
    let folder = served.folder.join("out");
    go(&served, &folder, Layout::Each).await;
    let back = come(&other, &folder).await;
    let report = back.iter().find(|report| report.user == "erin@example.org").unwrap();
    for what in ["is disabled", "does not administer"] {
        assert!(report.remarks.iter().any(|remark| remark.contains(what)), "{what}: {report:?}");
    }
    let card = erin(&other).await;
    assert_eq!((card.enabled, card.admin, card.video, card.name.as_str()), (false, false, false, "Erin"));
    assert_eq!(card.numbers, ["+15550177"]);
    other.auth.book.set_enabled(card.account, true).await.unwrap();
    other.auth.book.set_password(card.account, PASSWORD).await.unwrap();
    let mut client = Client::login(&other, "erin", "e").await;
    let said = client.ask("get", "", "<prefs xmlns='urn:xmpp:mam:2'/>").await;
    assert!(
        said.contains("default='roster'") && said.contains("<never><jid>carol@example.org</jid>"),
        "{said}"
    );
}

#[tokio::test]
async fn who_is_of_no_domain_here_does_not_go_and_is_named() {
    let served = serve().await;
    let domains = Domains::new("example.net", []);
    let mut left = Vec::new();
    let tell = |report: &Report| {
        left.push((report.user.clone(), report.done));
        Ok(())
    };
    export(&served.folder.join("out"), Layout::Each, &domains, &served.auth, &served.store, tell)
        .await
        .unwrap();
    let name = |user: &str| (format!("{user}@example.org"), false);
    assert_eq!(left, [name("alice"), name("bob"), name("carol")]);
}

#[tokio::test]
async fn one_who_is_broken_is_reported_and_the_others_come() {
    let served = serve().await;
    let users = "<user name='a b/c'><vCard xmlns='vcard-temp'/></user><user/>\
                 <user name='tybalt'><scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-1'><salt>!</salt></scram-credentials></user>";
    let text = document(users).replace("</host>", "</host><host jid='other.example'><user name='x'/></host>");
    file(&served, "b.xml", &text);
    file(
        &served,
        "a.xml",
        "<server-data xmlns='urn:xmpp:pie:0'><host jid='example.org'><user name='torn'><vCard xmlns='vcard-temp'><FN>",
    );
    file(&served, "z.xml", &document("<user name='paris'/>"));
    let reports = come(&served, &served.folder).await;
    let of = |user: &str| {
        reports.iter().find(|report| report.user == user).unwrap_or_else(|| panic!("{user}: {reports:?}"))
    };
    assert!(!of("a b/c@example.org").done && !of("@example.org").done && !of("x@other.example").done);
    assert!(
        !of("torn@example.org").done && of("torn@example.org").remarks[0].contains("a.xml"),
        "{reports:?}"
    );
    let tybalt = of("tybalt@example.org");
    assert!(tybalt.done && tybalt.credentials == "none" && !tybalt.remarks.is_empty(), "{tybalt:?}");
    assert!(of("paris@example.org").done);
    let stranger = served.auth.directory.by_jid(&"x@other.example".parse().unwrap()).await.unwrap();
    assert!(stranger.is_none());
}

#[tokio::test]
async fn users_with_alike_names_have_a_file_each() {
    let served = serve().await;
    come(&served, &file(&served, "in.xml", &document("<user name='al'/><user name='al.xml'/>"))).await;
    for layout in [Layout::Included, Layout::Each] {
        let folder = served.folder.join(format!("{layout:?}"));
        go(&served, &folder, layout).await;
        let back = come(&serve().await, &folder).await;
        for user in ["al@example.org", "al.xml@example.org"] {
            assert!(back.iter().any(|report| report.user == user && report.done), "{user}: {back:?}");
        }
    }
}

#[tokio::test]
async fn users_of_each_domain_come_to_it() {
    let served = serve().await;
    let host = |name: &str| format!("<host jid='{name}'><user name='al' password='pencil'/></host>");
    let data = format!(
        "<server-data xmlns='urn:xmpp:pie:0'>{}{}{}</server-data>",
        host("Example.net"),
        host("example.org"),
        host("example.edu")
    );
    let reports = come(&served, &file(&served, "in.xml", &data)).await;
    let [there, here, nowhere] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((there.user.as_str(), there.done), ("al@example.net", true));
    assert_eq!((here.user.as_str(), here.done), ("al@example.org", true));
    assert!(!nowhere.done && nowhere.remarks[0].contains("example.edu"), "{nowhere:?}");
    let found = served.auth.directory.by_jid(&"al@example.net".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(found.aor.as_str(), "al@example.net");
}

/// Messages that wait go as their user would be given them, not as they were stored.
#[tokio::test]
async fn what_waits_goes_in_the_order_of_its_coming() {
    let served = serve().await;
    let entry = |time: i64, text: &str| Entry {
        owner: "bob@example.org#offline".to_owned(),
        id: format!("{time:016x}00000000"),
        with: "alice@example.org".to_owned(),
        time,
        kind: "offline".to_owned(),
        body: format!("<message from='alice@example.org/a'><body>{text}</body></message>").into_bytes(),
    };
    served.store.archive.append(&[entry(2000, "second"), entry(1000, "first")]).await.unwrap();
    let folder = served.folder.join("out");
    go(&served, &folder, Layout::Each).await;
    let of_bob =
        std::fs::read_dir(&folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()));
    let of_bob = of_bob.map(Result::unwrap).find(|text| text.contains("second")).unwrap();
    assert!(of_bob.find("first").unwrap() < of_bob.find("second").unwrap(), "{of_bob}");
}
