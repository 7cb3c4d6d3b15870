//! The binary, on free ports, in a folder of its own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) const DOMAIN: &str = "localhost";
pub(crate) const PASSWORD: &str = "correct-horse-battery";

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// One running `cusax serve`.
pub(crate) struct Service {
    domain: String,
    folder: PathBuf,
    process: Child,
    ports: HashMap<String, u16>,
    keys: &'static [(&'static str, &'static str)],
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_at(DOMAIN)
    }

    pub(crate) fn start_at(domain: &str) -> Self {
        Self::start_with(domain, &[])
    }

    /// With further keys, as environment variables.
    pub(crate) fn start_with(domain: &str, keys: &'static [(&'static str, &'static str)]) -> Self {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("cusax-story-{}-{serial}", std::process::id()));
        let (process, ports) = serve(&folder, domain, keys);
        Self { domain: domain.to_owned(), folder, process, ports, keys }
    }

    /// SIGKILL, and a new server over the same data.
    pub(crate) fn kill_and_start(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        (self.process, self.ports) = serve(&self.folder, &self.domain, self.keys);
    }

    /// SIGTERM, without waiting.
    pub(crate) fn tell_to_stop(&self) {
        let told = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(told.success());
    }

    /// It ends well.
    pub(crate) fn has_stopped(&mut self) {
        assert!(self.process.wait().unwrap().success());
    }

    pub(crate) fn port(&self, listener: &str) -> u16 {
        self.ports[listener]
    }

    /// Where it listens by what it tells commands beside it, if it runs.
    pub(crate) fn told_port(&self, listener: &str) -> Option<u16> {
        let told = std::fs::read(self.folder.join("cusax.running")).ok()?;
        let told: serde_json::Value = serde_json::from_slice(&told).ok()?;
        let bound = told["listeners"].as_array()?.iter().find(|bound| bound["listener"] == listener)?;
        bound["address"].as_str()?.parse().map(|address: std::net::SocketAddr| address.port()).ok()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// What a command beside it prints.
    pub(crate) fn says(&self, words: &[&str]) -> String {
        let output = self.command().args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// A command with another data folder, or the same.
    pub(crate) fn beside(&self, folder: &std::path::Path) -> Command {
        command(&folder.to_owned(), &self.domain)
    }

    fn command(&self) -> Command {
        command(&self.folder, &self.domain)
    }

    /// `alice`, or `alice@` a spelling of the domain.
    pub(crate) fn add_account(&self, name: &str) {
        let address = if name.contains('@') { name.to_owned() } else { format!("{name}@{}", self.domain) };
        let mut child = self
            .command()
            .args(["user", "add", &address, "--password-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// `lounge`, or `lounge=alice` with an owner.
    pub(crate) fn add_room(&self, room: &str) {
        let (name, owner) = room.split_once('=').map_or((room, None), |(name, owner)| (name, Some(owner)));
        let mut add = self.command();
        add.args(["room", "add", &format!("{name}@conference.{}", self.domain)]).stdout(Stdio::null());
        if let Some(owner) = owner {
            add.args(["--owner", &format!("{owner}@{}", self.domain)]);
        }
        assert!(add.status().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn command(folder: &PathBuf, domain: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
    command.env("CUSAX_DOMAIN", domain).env("CUSAX_DATA_DIR", folder).env("CUSAX_TELEMETRY__LEVEL", "error");
    for listener in [
        "SIP__UDP",
        "SIP__TCP",
        "SIP__TLS",
        "XMPP__C2S",
        "XMPP__C2S_TLS",
        "XMPP__S2S",
        "HTTP__HTTPS",
        "OPERATIONS__LISTEN",
        "CONFERENCE__MEDIA",
    ] {
        command.env(format!("CUSAX_{listener}"), "127.0.0.1:0");
    }
    command
}

fn serve(folder: &PathBuf, domain: &str, keys: &[(&str, &str)]) -> (Child, HashMap<String, u16>) {
    let mut process = command(folder, domain)
        .envs(keys.iter().copied())
        .args(["serve", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ports = HashMap::new();
    for line in BufReader::new(process.stdout.take().unwrap()).lines() {
        let told: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let listener = told["listener"].as_str().unwrap().to_owned();
        let address: std::net::SocketAddr = told["address"].as_str().unwrap().parse().unwrap();
        let is_last = listener == "operations.listen";
        ports.insert(listener, address.port());
        if is_last {
            break;
        }
    }
    assert!(ports.contains_key("operations.listen"), "the service started");
    (process, ports)
}
