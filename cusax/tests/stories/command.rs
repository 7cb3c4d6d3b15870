//! Commands as an operator types them: what they refuse, with which exit code, and who reads their output.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::service::Service;

struct House(PathBuf);

impl House {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("cusax-command-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
        command.args(words).env("CUSAX_DOMAIN", "example.org").env("CUSAX_DATA_DIR", &self.0);
        command.env("CUSAX_AUTH__ITERATIONS", "4096");
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// It is refused, with these words.
    fn refuses(&self, words: &[&str], why: &str) {
        let output = self.run(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.contains(why)), (Some(1), true), "{words:?}: {said}");
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn accounts_and_rooms_that_make_no_sense_are_refused() {
    let house = House::new("sense");
    house.refuses(&["user", "add", "eve@other.org"], "is not of example.org");
    house.refuses(&["user", "add", "x@conference.example.org"], "is not of example.org");
    house.refuses(&["user", "add", "eve@example.org", "--jid", "eve@other.org"], "is not of example.org");
    let room = ["room", "add", "dev@conference.example.org"];
    house.refuses(&[&room[..], &["--owner", "nobody@example.org"]].concat(), "there is no account nobody@");
    house.refuses(&[&room[..], &["--pin", "abc"]].concat(), "a PIN is 4 to 16 digits");
    assert!(house.run(&["user", "add", "eve@example.org"]).status.success());
    let owned = house.run(&[&room[..], &["--owner", "eve@example.org", "--pin", "1234"]].concat());
    assert!(owned.status.success(), "{}", String::from_utf8_lossy(&owned.stderr));
}

#[test]
fn what_a_removed_account_had_is_not_the_next_ones() {
    let house = House::new("removed");
    assert!(house.run(&["user", "add", "eve@example.org"]).status.success());
    let layer = "account:eve@example.org";
    assert!(house.run(&["profile", "set", layer, "{\"srtp\":\"required\"}"]).status.success());
    let shown = || String::from_utf8(house.run(&["profile", "show", layer]).stdout).unwrap();
    assert!(shown().contains("required"));
    assert!(house.run(&["user", "remove", "eve@example.org"]).status.success());
    assert!(!shown().contains("required"), "{}", shown());
    house.refuses(&["user", "add", "eve@example.org"], "the data of the former owner");
}

#[test]
fn a_reader_that_has_enough_is_no_fault_and_a_full_disk_is_one() {
    let house = House::new("pipe");
    assert!(house.run(&["user", "add", "eve@example.org"]).status.success());
    let mut listing = house.command(&["user", "list"]);
    let mut listing = listing.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(listing.stdout.take());
    let output = listing.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = house.command(&["user", "list"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"));
}

#[test]
fn name_servers_are_told_what_listens() {
    let house = House::new("zone");
    let output = house
        .command(&["config", "zone", "--address", "192.0.2.1"])
        .env("CUSAX_SIP__UDP", "[]")
        .output()
        .unwrap();
    let zone = String::from_utf8(output.stdout).unwrap();
    for line in [
        "example.org. IN A 192.0.2.1",
        "example.org. IN NAPTR 10 0 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.example.org.",
        "_sips._tcp.conference.example.org. IN SRV 0 5 5061 example.org.",
        "_xmpp-client._tcp.example.org. IN SRV 10 5 5222 example.org.",
        "_xmpp-server._tcp.pubsub.example.org. IN SRV 10 5 5269 example.org.",
    ] {
        assert!(zone.lines().any(|it| it == line), "{line}: {zone}");
    }
    assert!(!zone.contains("_sip._udp"), "{zone}");
}

#[test]
fn a_zone_has_no_host_that_is_none_and_none_of_another_zone() {
    let house = House::new("zone-host");
    for bad in ["bad host", "", "-x.example.org", "192.0.2.1"] {
        house.refuses(&["config", "zone", &format!("--host={bad}")], "is not the name of a host");
    }
    let zone = |host: &str| {
        let output = house.run(&["config", "zone", "--address", "192.0.2.1", "--host", host]);
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(zone("sip.example.org").contains("\nsip.example.org. IN A 192.0.2.1\n"));
    let foreign = zone("h.example.net");
    assert!(foreign.contains("; of another zone: h.example.net. IN A 192.0.2.1\n"), "{foreign}");
    assert!(!foreign.lines().any(|line| line.starts_with("h.example.net")), "{foreign}");
    assert!(foreign.contains("SRV 0 5 5061 h.example.net.\n"), "{foreign}");
}

#[test]
fn an_address_is_taken_as_commands_print_it() {
    let house = House::new("schemes");
    assert!(house.run(&["user", "add", "sip:jörg@example.org", "--number", "+33155501980"]).status.success());
    let listed = String::from_utf8(house.run(&["user", "list"]).stdout).unwrap();
    let printed: Vec<&str> = listed.split_whitespace().take(2).collect();
    assert_eq!(printed, ["sip:j%C3%B6rg@example.org", "xmpp:jörg@example.org"]);
    for written in [printed[0], printed[1], "sips:j%C3%B6rg@example.org", "jörg@example.org"] {
        assert!(house.run(&["user", "show", written]).status.success(), "{written}");
        assert!(house.run(&["trace", written]).status.success(), "{written}");
    }
    assert!(house.run(&["trace", "tel:+33155501980"]).status.success());
    house.refuses(
        &["trace", "dave"],
        "nothing is known of `dave`: no account has it, and no timeline names it",
    );
}

#[test]
fn renewing_a_key_that_is_the_stores_own_changes_nothing() {
    let house = House::new("renewed");
    let said = |words: &[&str]| String::from_utf8(house.run(words).stdout).unwrap();
    house.run(&["user", "add", "eve@example.org"]);
    assert!(said(&["renew-key"]).contains("is the store's own already: nothing is changed"));
    let json = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    assert_eq!(json(said(&["--json", "renew-key"])), serde_json::json!({ "on": "auth.key", "done": "kept" }));
    std::fs::write(house.0.join("auth.key"), [7; 32]).unwrap();
    let renewed = json(said(&["--json", "renew-key"]));
    assert_eq!(renewed, serde_json::json!({ "on": "auth.key", "done": "renewed" }));
}

#[test]
fn a_value_of_another_kind_is_shown_with_its_place() {
    let house = House::new("kinds");
    let file = house.0.join("cusax.toml");
    std::fs::write(&file, "domain = \"example.org\"\n[http]\nhttps = [\"0.0.0.0:1\", \"here\"]\n").unwrap();
    let config = file.to_str().unwrap();
    let place = "in `http.https` (line 3: [\"0.0.0.0:1\", \"here\"])";
    house.refuses(&["--config", config, "config", "check"], place);
    let output = house.command(&["config", "check"]).env("CUSAX_SIP__UDP", "5").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("(CUSAX_SIP__UDP: 5)"), "{said}");
}

#[test]
fn a_link_has_the_port_of_the_server_that_chose_it() {
    let house = House::new("chosen");
    let command = |words: &[&str]| {
        let mut command = house.command(words);
        command.env("CUSAX_HTTP__HTTPS", "127.0.0.1:0");
        command
    };
    house.run(&["user", "add", "eve@example.org"]);
    let refused = command(&["invite", "create"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("none answers: start it first"), "{said}");
    assert!(house.run(&["invite", "list"]).stdout.is_empty(), "no link is lost");
    let service = Service::start();
    service.add_account("alice");
    let port = service.port("http.https");
    for words in [
        &["invite", "create"][..],
        &["user", "reset-link", "alice@localhost"],
        &["phone", "add", "alice@localhost", "--mac", "00:15:65:aa:bb:cc", "--make", "yealink"],
    ] {
        let link = service.says(words);
        assert!(link.starts_with(&format!("https://localhost:{port}/")), "{words:?}: {link}");
    }
}

#[test]
fn an_import_names_the_file_of_who_did_not_come_and_ends_with_a_summary() {
    let house = House::new("import");
    let folder = house.0.join("come");
    std::fs::create_dir_all(&folder).unwrap();
    let document = |name: &str| {
        format!(
            "<server-data xmlns='urn:xmpp:pie:0'><host jid='example.org'><user name='{name}' password='correct-horse'/></host></server-data>"
        )
    };
    for (file, name) in [("good.xml", "eve"), ("bad.xml", ""), ("turned.xml", "a\u{202e}b")] {
        std::fs::write(folder.join(file), document(name)).unwrap();
    }
    let output = house.run(&["import", folder.to_str().unwrap()]);
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}{failed}");
    let is_named = |file: &str| said.contains(&format!("(of {})", folder.join(file).display()));
    assert!(is_named("bad.xml") && is_named("turned.xml") && !is_named("good.xml"), "{said}");
    assert!(!said.contains('\u{202e}'), "{said}");
    assert!(said.ends_with("1 came, 2 not, or not whole\n"), "{said}");
}

#[test]
fn a_store_that_comes_back_without_its_key_is_refused_and_nothing_is_made() {
    let house = House::new("key");
    assert!(house.run(&["user", "add", "eve@example.org"]).status.success());
    let key = house.0.join("auth.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    for command in [&["serve"][..], &["user", "list"]] {
        house.refuses(command, "auth.key is missing");
    }
    assert!(!key.exists());
    std::fs::write(&key, [7; 32]).unwrap();
    house.refuses(&["serve"], "is not the one that the accounts in the store were written with");
    std::fs::write(&key, kept).unwrap();
    assert!(house.run(&["user", "list"]).status.success());
    std::fs::remove_file(&key).unwrap();
    assert!(house.run(&["renew-key"]).status.success());
    assert!(house.run(&["user", "password", "eve@example.org"]).status.success());
}

#[test]
fn a_store_that_was_stopped_is_one_file() {
    let mut service = Service::start();
    service.add_account("alice");
    service.tell_to_stop();
    service.has_stopped();
    let copy = service.folder().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for file in ["cusax.db", "auth.key"] {
        std::fs::copy(service.folder().join(file), copy.join(file)).unwrap();
    }
    let list = service.beside(&copy).args(["user", "list"]).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("alice@localhost"), "{list}");
}

#[test]
fn what_is_mistyped_is_said_and_makes_nothing() {
    let house = House::new("mistyped");
    for reading in
        [&["user", "list"][..], &["invite", "list"], &["calls", "export"], &["profile", "show", "service"]]
    {
        house.refuses(reading, "there is no store at ");
    }
    assert!(!house.0.join("cusax.db").exists(), "reading makes no store");
    house.refuses(&["user", "add", "eve@example.org", "--name", "a\nb"], "characters that cannot be shown");
    assert!(house.run(&["user", "add", "eve@example.org", "--admin"]).status.success());
    let listed = house.run(&["user", "list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("(administrator)"));
    house.refuses(&["invite", "create", "--user", "eve"], "somebody has this user name");
    house.refuses(&["invite", "create", "--name", "a\u{7}b"], "characters that cannot be shown");
    assert!(house.run(&["invite", "create", "--user", "held"]).status.success());
    house.refuses(&["invite", "create", "--user", "held"], "an open invitation keeps it");
    house.refuses(&["user", "add", "held@example.org"], "an open invitation keeps this name");
    house.refuses(
        &["user", "add", "other@example.org", "--jid", "held@example.org"],
        "an open invitation keeps this name",
    );
    assert!(house.run(&["user", "reset-link", "eve@example.org"]).status.success());
    let open = String::from_utf8(house.run(&["invite", "list"]).stdout).unwrap();
    assert!(open.contains("a new password of eve@example.org"), "{open}");
    house.refuses(&["phone", "remove", "eve@example.org", "00:15:65:aa:bb:cc"], "has no phone");
    house.refuses(&["profile", "set", "account:nobody@example.org", "{}"], "there is no account nobody@");
    house.refuses(&["profile", "set", "domain:nope.org", "{}"], "no accounts of nope.org");
    let empty = house.0.join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    house.refuses(&["import", &empty.display().to_string()], "no user was found in ");
    let page = house.0.join("page.html");
    std::fs::write(&page, "<html><body>no users</body></html>").unwrap();
    house.refuses(&["import", &page.display().to_string()], "no user was found in ");
    let snom =
        house.run(&["phone", "add", "eve@example.org", "--mac", "00:04:13:aa:bb:cc", "--make", "snom"]);
    assert!(String::from_utf8_lossy(&snom.stdout).trim_end().ends_with("/snom-{mac}.xml"));
}

#[test]
fn a_configuration_that_could_not_be_served_is_not_well_formed() {
    let house = House::new("check");
    let check = |name: &str, value: &str, why: &str| {
        let output = house.command(&["config", "check"]).env(name, value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{name}: {said}");
    };
    assert!(house.run(&["config", "check"]).status.success());
    check("CUSAX_TELEMETRY__LEVEL", "blah==", "telemetry.level");
    check("CUSAX_SIP__CONTACTS", "0", "`sip.contacts` is 0");
    check("CUSAX_SIP__TCP", "0.0.0.0:5222", "`sip.tcp` and `xmpp.c2s` both listen on 0.0.0.0:5222");
    let (certificate, key) = (house.0.join("c.pem"), house.0.join("k.pem"));
    std::fs::write(&certificate, "no PEM").unwrap();
    std::fs::write(&key, "no PEM").unwrap();
    let output = house
        .command(&["config", "check"])
        .env("CUSAX_TLS__CERTIFICATE", &certificate)
        .env("CUSAX_TLS__KEY", &key)
        .output()
        .unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_port_of_browsers_that_is_taken_ends_the_start() {
    let house = House::new("media");
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut serve = house.command(&["serve", "--run", "conference"]);
    serve.env("CUSAX_CONFERENCE__MEDIA", taken.local_addr().unwrap().to_string());
    serve.env("CUSAX_OPERATIONS__LISTEN", "127.0.0.1:0").env("CUSAX_HTTP__HTTPS", "127.0.0.1:0");
    let output = serve.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("conference.media: cannot listen on {}", taken.local_addr().unwrap())),
        "{said}"
    );
}

#[test]
fn what_is_printed_for_programs_is_json_and_what_was_done_is_said() {
    let house = House::new("json");
    let run = |words: &[&str]| {
        let output = house.run(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let json = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    assert_eq!(json(&run(&["--json", "config", "check"]))["well_formed"], true);
    let zone = run(&["--json", "config", "zone", "--address", "192.0.2.1"]);
    let records: Vec<_> = zone.lines().map(json).collect();
    let is_there = |name: &str, kind: &str, value: &str| {
        records
            .iter()
            .any(|record| record["name"] == name && record["type"] == kind && record["value"] == value)
    };
    assert!(is_there("example.org.", "A", "192.0.2.1"), "{zone}");
    assert!(is_there("_xmpp-client._tcp.example.org.", "SRV", "10 5 5222 example.org."), "{zone}");
    let bad = house.command(&["--json", "config", "check"]).env("CUSAX_SIP__CONTACTS", "0").output().unwrap();
    let said = json(&String::from_utf8(bad.stdout).unwrap());
    assert_eq!((bad.status.code(), &said["well_formed"]), (Some(1), &false.into()));
    assert!(said["fault"].as_str().unwrap().contains("`sip.contacts` is 0"), "{said}");

    run(&["user", "add", "eve@example.org"]);
    assert_eq!(run(&["user", "disable", "eve@example.org"]), "eve@example.org disabled\n");
    assert_eq!(json(&run(&["--json", "user", "enable", "eve@example.org"]))["done"], "enabled");
    let changed =
        ["user", "change", "eve@example.org", "--name", "Eve", "--number", "+33123456789", "--admin", "true"];
    let eve = json(&run(&[&["--json"][..], &changed].concat()));
    assert_eq!((&eve["name"], &eve["admin"]), (&"Eve".into(), &true.into()), "{eve}");
    let eve = json(&run(&["--json", "user", "change", "eve@example.org", "--no-numbers"]));
    assert_eq!(
        (&eve["name"], &eve["numbers"]),
        (&"Eve".into(), &serde_json::json!([])),
        "what is not given stays"
    );
    assert!(!house.run(&["user", "change", "eve@example.org"]).status.success(), "nothing to change");
    assert_eq!(run(&["profile", "set", "service", "{}"]), "service set\n");
    for bad in ["[]", "[true,true]", "{\"groups\":[\"a\\u0001b\"]}"] {
        house.refuses(&["profile", "set", "account:eve@example.org", bad], "cusax: ");
    }
    assert_eq!(run(&["user", "remove", "eve@example.org"]), "eve@example.org removed\n");
}

#[test]
fn the_audit_names_the_invitation_that_each_command_made() {
    let house = House::new("invited");
    assert!(house.run(&["user", "add", "eve@example.org"]).status.success());
    let make = || house.command(&["--json", "invite", "create"]).stdout(Stdio::piped()).spawn().unwrap();
    let many: Vec<_> = std::iter::repeat_with(make).take(6).collect();
    let made = many.into_iter().map(|one| {
        let output = one.wait_with_output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    });
    let mut made: Vec<String> = made.collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut told: Vec<String> = runtime.block_on(async {
        let url = format!("sqlite://{}", house.0.join("cusax.db").display());
        let store = shared_store::Store::open(&url).await.unwrap();
        let page = store.archive.page("audit", &shared_store::Query::default()).await.unwrap();
        let read = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap();
        let noted = page.entries.iter().map(|entry| read(&entry.body));
        let invited = noted.filter(|one| one["what"] == "invitation made");
        invited
            .map(|one| {
                assert_eq!((&one["on"], &one["who"]), (&one["after"]["id"], &"command line".into()));
                one["on"].as_str().unwrap().to_owned()
            })
            .collect()
    });
    made.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, made);
}

#[test]
fn what_commands_do_while_no_server_runs_is_in_the_timeline_and_the_audit() {
    let house = House::new("while-down");
    for words in [
        &["user", "add", "eve@example.org"][..],
        &["app-password", "add", "eve@example.org", "PHONE"],
        &["user", "disable", "eve@example.org"],
    ] {
        assert!(house.run(words).status.success(), "{words:?}");
    }
    let trace = house.run(&["--json", "trace", "eve@example.org"]);
    let told: Vec<String> = String::from_utf8(trace.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned()
        })
        .collect();
    for event in ["account_created", "device_password_made", "account_disabled"] {
        assert_eq!(told.iter().filter(|it| *it == event).count(), 1, "{event}: {told:?}");
    }
}

#[test]
fn the_help_names_what_there_is() {
    let house = House::new("help");
    let said = |words: &[&str]| String::from_utf8(house.run(words).stdout).unwrap();
    let doctor = said(&["doctor", "--help"]);
    assert!(["directories", "providers", "ports"].iter().all(|name| doctor.contains(name)), "{doctor}");
    assert!(said(&["room", "add", "--help"]).contains("keys in"));
    assert!(said(&["ban", "add", "--help"]).contains("+33123456789"));
}

#[test]
fn the_demo_tells_programs_what_it_tells_people() {
    let house = House::new("demo");
    let mut demo =
        house.command(&["--json", "demo"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    let mut out = std::io::BufReader::new(demo.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    let stopped = Command::new("kill").arg(demo.id().to_string()).status().unwrap();
    assert!(stopped.success() && demo.wait().unwrap().success());
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["accounts"][0], "alice@localhost", "{told}");
    assert!(told["invitation"].as_str().unwrap().starts_with("https://localhost:"), "{told}");
}
