//! What `cusax config check` says and what `cusax serve` does are one: neither refuses what the other takes.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct House(PathBuf);

impl House {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("cusax-checked-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("junk.pem"), "junk\n").unwrap();
        std::fs::create_dir_all(folder.join("client")).unwrap();
        for file in ["converse.min.js", "converse.min.css"] {
            std::fs::write(folder.join("client").join(file), "").unwrap();
        }
        Self(folder)
    }

    fn command(&self, words: &[&str], lines: &str) -> Command {
        let file = self.0.join("cusax.toml");
        std::fs::write(&file, lines.replace("FOLDER", &self.0.display().to_string())).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
        command.arg("--config").arg(file).args(words).env("CUSAX_DOMAIN", "example.org");
        let free =
            ["SIP__UDP", "SIP__TCP", "SIP__TLS", "XMPP__C2S", "XMPP__C2S_TLS", "XMPP__S2S", "HTTP__HTTPS"];
        let free = free.into_iter().chain(["OPERATIONS__LISTEN", "CONFERENCE__MEDIA"]);
        for key in free.filter(|key| !lines.contains(&format!("# {key}"))) {
            command.env(format!("CUSAX_{key}"), "127.0.0.1:0");
        }
        if !lines.contains("data_dir") {
            command.env("CUSAX_DATA_DIR", self.0.join("data"));
        }
        command
    }

    /// What it is refused with; nothing if it is well.
    fn check(&self, lines: &str) -> Option<String> {
        let told = self.command(&["config", "check"], lines).output().unwrap();
        (!told.status.success()).then(|| String::from_utf8_lossy(&told.stderr).into_owned())
    }

    /// The same of a start; one that is well is ended.
    fn serve(&self, lines: &str) -> Option<String> {
        let mut served = self.command(&["serve"], lines);
        let mut served = served.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 1];
        let is_up = served.stdout.take().unwrap().read(&mut first).unwrap() > 0;
        if is_up {
            served.kill().unwrap();
        }
        let told = end(&mut served);
        (!is_up).then_some(told)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn end(served: &mut Child) -> String {
    let begun = Instant::now();
    while served.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it goes on, and says nothing");
        std::thread::yield_now();
    }
    let mut told = String::new();
    served.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    told
}

#[test]
fn what_a_start_refuses_the_check_refuses() {
    let house = House::new();
    let port = std::net::TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let meets =
        |one: &str, other: &str| format!("# XMPP__C2S\n[xmpp]\nc2s = [\"{one}:{port}\", \"{other}:{port}\"]");
    for lines in [
        "[conference]\ndomain = \"example.org\"",
        "[conference]\ndomain = \"pubsub.example.org\"",
        "[sip.stir]\nkey = \"FOLDER/junk.pem\"\ncertificate_url = \"https://a.example/c\"",
        "[sip.stir]\ntrust = \"FOLDER/junk.pem\"\nverify = \"tell\"",
        "[[domains]]\nname = \"b.example\"\ncertificate = \"FOLDER/junk.pem\"\nkey = \"FOLDER/junk.pem\"",
        "data_dir = \"FOLDER/junk.pem\"",
        "data_dir = \"FOLDER/junk.pem/below\"",
        "[store]\nurl = \"sqlite://FOLDER\"",
        "[store]\nurl = \"sqlite://FOLDER/junk.pem\"",
        "# CONFERENCE__MEDIA\n[conference]\nmedia = \"192.0.2.7:0\"",
        "# HTTP__HTTPS\n[http]\nhttps = [\"192.0.2.9:0\"]",
        "[provisioning]\nweb_client_files = \"FOLDER\"",
        "[provisioning]\nweb_client_files = \"FOLDER/client\"\nweb_client = \"https://Example.org:9443/chat/\"",
        "[provisioning]\nweb_client_files = \"FOLDER/client\"\nweb_client = \"https://chat.example.org/?jid={jid}\"",
        "[sip]\nthreads = 5000",
        "[conference]\nthreads = 100000",
        &meets("0.0.0.0", "127.0.0.1"),
    ] {
        assert!(house.serve(lines).is_some(), "a start takes {lines}");
        let told = house.check(lines);
        assert!(
            told.as_ref().is_some_and(|told| told.contains('`') || told.contains(": ")),
            "{lines}: {told:?}"
        );
    }
    let both = [meets("0.0.0.0", "[::]"), meets("[::]", "0.0.0.0")];
    let apart = "[provisioning]\nweb_client_files = \"FOLDER/client\"\nweb_client = \"https://chat.example.org/chat/#jid={jid}\"";
    for lines in both.iter().map(String::as_str).chain([apart, ""]) {
        assert_eq!((house.check(lines), house.serve(lines)), (None, None), "{lines}");
    }
}
