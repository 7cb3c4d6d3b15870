//! The configuration: a tree of the crates' own, and the few keys that belong to nobody else.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Deserializer};
use shared_runtime::config::Key;
use shared_runtime::{telemetry, tls};

/// Everything that can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    /// The domain of addresses of record and JIDs.
    pub(crate) domain: String,
    /// Where the store, keys and the local CA live.
    pub(crate) data_dir: PathBuf,
    pub(crate) store: StoreConfig,
    pub(crate) tls: tls::Config,
    pub(crate) sip: sip_server::Config,
    pub(crate) xmpp: xmpp_server::Config,
    pub(crate) conference: conference::Config,
    pub(crate) http: HttpConfig,
    pub(crate) operations: OperationsConfig,
    pub(crate) auth: shared_auth::Config,
    pub(crate) telemetry: telemetry::Config,
}

/// `[store]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StoreConfig {
    /// `sqlite:///…`, `postgres://…` or `memory:`; none: SQLite in the data folder.
    pub(crate) url: Option<String>,
}

/// `[http]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct HttpConfig {
    /// HTTPS listeners.
    pub(crate) https: Vec<SocketAddr>,
}

/// `[operations]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct OperationsConfig {
    /// Where metrics and health are served, in the clear.
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) listen: Vec<SocketAddr>,
}

const OWN_KEYS: &[Key] = &[
    Key::new("domain", "\"localhost\"", "domain of addresses of record and JIDs"),
    Key::new("data_dir", "\"/var/lib/cusax\"", "where the store, keys and the local CA live"),
    Key::new("store.url", "", "sqlite:///…, postgres://… or memory: (forgets all); none: SQLite in data_dir"),
    Key::new("http.https", "[\"0.0.0.0:8443\"]", "HTTPS listeners"),
    Key::new(
        "operations.listen",
        "\"127.0.0.1:9478\"",
        "/metrics, /healthz, /readyz, in the clear; [] closes it",
    ),
];

/// Every key that there is.
pub(crate) fn keys() -> Vec<Key> {
    [
        OWN_KEYS,
        tls::KEYS,
        sip_server::KEYS,
        xmpp_server::KEYS,
        conference::KEYS,
        shared_auth::KEYS,
        telemetry::KEYS,
    ]
    .concat()
}

impl Default for Config {
    fn default() -> Self {
        Self {
            domain: "localhost".to_owned(),
            data_dir: PathBuf::from("/var/lib/cusax"),
            store: StoreConfig::default(),
            tls: tls::Config::default(),
            sip: sip_server::Config::default(),
            xmpp: xmpp_server::Config::default(),
            conference: conference::Config::default(),
            http: HttpConfig::default(),
            operations: OperationsConfig::default(),
            auth: shared_auth::Config::default(),
            telemetry: telemetry::Config::default(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { https: vec![SocketAddr::from(([0, 0, 0, 0], 8443))] }
    }
}

impl Default for OperationsConfig {
    fn default() -> Self {
        Self { listen: vec![SocketAddr::from(([127, 0, 0, 1], 9478))] }
    }
}

impl Config {
    /// The host of rooms and their calls.
    pub(crate) fn rooms_domain(&self) -> String {
        self.conference.domain.clone().unwrap_or_else(|| format!("conference.{}", self.domain))
    }

    /// Where the store is.
    pub(crate) fn store_url(&self) -> String {
        let default = || format!("sqlite://{}", self.data_dir.join("cusax.db").display());
        self.store.url.clone().unwrap_or_else(default)
    }
}

/// Reads the file, if one is given, and the environment.
pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    let text = match file {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        None => String::new(),
    };
    read(&text)
}

fn read(text: &str) -> anyhow::Result<Config> {
    shared_runtime::config::load(text, std::env::vars(), &keys()).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("configuration: {}", faults.join("; "))
    })
}

/// `cusax config check`.
pub(crate) fn check(file: Option<&Path>) -> anyhow::Result<()> {
    let config = load(file)?;
    if config.domain.is_empty() {
        bail!("configuration: `domain` is empty");
    }
    println!("the configuration is well formed");
    Ok(())
}

/// `cusax config print`: a file that can be used as it is.
pub(crate) fn print(json: bool) -> anyhow::Result<()> {
    if json {
        for key in keys() {
            let line = serde_json::json!({ "key": key.path, "default": key.default, "meaning": key.meaning });
            println!("{line}");
        }
        return Ok(());
    }
    print!("{}", sample());
    Ok(())
}

/// Every key with its default, table by table.
fn sample() -> String {
    let mut keys = keys();
    let table_of = |key: &Key| key.path.rsplit_once('.').map_or("", |(table, _)| table);
    keys.sort_by_key(|key| table_of(key));
    let mut out = String::new();
    let mut table = "";
    for key in &keys {
        if table_of(key) != table {
            table = table_of(key);
            out.push_str(&format!("\n[{table}]\n"));
        }
        let name = key.path.rsplit('.').next().unwrap_or(key.path);
        match key.default {
            "" => out.push_str(&format!("# {}\n# {name} =\n", key.meaning)),
            default => out.push_str(&format!("# {}\n{name} = {default}\n", key.meaning)),
        }
    }
    out
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(SocketAddr),
        Many(Vec<SocketAddr>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(address) => vec![address],
        OneOrMany::Many(addresses) => addresses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_what_holds_without_a_file() {
        let printed = read(&sample()).unwrap();
        assert_eq!(format!("{printed:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn no_key_is_told_twice() {
        let mut paths: Vec<_> = keys().iter().map(|key| key.path).collect();
        let all = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = read("[sip]\nudpp = []").unwrap_err().to_string();
        assert_eq!(error, "configuration: unknown key `sip.udpp`; did you mean `sip.udp`?");
    }
}
