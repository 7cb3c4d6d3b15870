//! Commands as an operator types them: what they refuse, with which exit code, and who reads their output.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

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
fn what_is_not_there_is_said() {
    let house = House::new("absent");
    assert!(house.run(&["user", "add", "eve@example.org"]).status.success());
    house.refuses(&["phone", "remove", "eve@example.org", "00:15:65:aa:bb:cc"], "has no phone");
    let empty = house.0.join("empty");
    std::fs::create_dir(&empty).unwrap();
    house.refuses(&["import", empty.to_str().unwrap()], "nobody was found");
    house.refuses(&["user", "add", "bob@example.org", "--name", "a\nb"], "cannot be shown");
    house.refuses(&["invite", "create", "--name", "a\u{202e}b"], "cannot be shown");
}
