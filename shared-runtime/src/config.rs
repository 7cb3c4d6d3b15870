//! Loading configuration: a TOML text, overridden by environment variables, into a tree of the crates' own structs.
//!
//! In    the text, the environment, and the table of every key that exists.
//! Out   the typed tree, or every fault that was found, each naming its key.
//! Errors [`Fault`]: an unknown key names the nearest known one; nothing is ignored in silence.
//!
//! A crate states its part twice: as a struct with `#[serde(default)]`, and as `KEYS`, from which `cusax config
//! print` and the nearest-key search live. A test in `cusax` holds the two against each other.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

/// One key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Dotted path, such as `sip.timers.b`.
    pub path: &'static str,
    /// The default as TOML, or empty if the key has none.
    pub default: &'static str,
    /// What it means, with its unit.
    pub meaning: &'static str,
}

impl Key {
    /// A key with its default as TOML and its meaning.
    pub const fn new(path: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self { path, default, meaning }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Not TOML; the text says where.
    Syntax(String),
    /// No such key; perhaps another was meant.
    UnknownKey {
        /// What was written.
        path: String,
        /// The nearest key that exists, if one is near.
        nearest: Option<&'static str>,
    },
    /// The key exists and its value is not of its kind.
    BadValue(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(text) => write!(f, "not TOML: {text}"),
            Self::UnknownKey { path, nearest: Some(nearest) } => {
                write!(f, "unknown key `{path}`; did you mean `{nearest}`?")
            }
            Self::UnknownKey { path, nearest: None } => write!(f, "unknown key `{path}`"),
            Self::BadValue(text) => f.write_str(text),
        }
    }
}

/// Reads `text`, lays the variables over it, and types it. `variables` are those of the environment; those that do not
/// begin with [`PREFIX`] are passed over, and one that does and is no key is a fault.
pub fn load<T: DeserializeOwned>(
    text: &str,
    variables: impl IntoIterator<Item = (String, String)>,
    keys: &[Key],
) -> Result<T, Vec<Fault>> {
    let mut tree: toml::Table = toml::from_str(text).map_err(|e| vec![Fault::Syntax(e.to_string())])?;
    let mut faults = Vec::new();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let path: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        let dotted = path.join(".");
        match keys.iter().find(|key| key.path == dotted) {
            Some(key) => set(&mut tree, &path, value_of(&value, key)),
            None => faults.push(unknown(dotted, keys)),
        }
    }
    keys.iter().filter(|key| wants_list(key)).for_each(|key| widen(&mut tree, key.path));
    let mut strangers = Vec::new();
    let typed = serde_ignored::deserialize(toml::Value::Table(tree), |path| strangers.push(path.to_string()));
    faults.extend(strangers.into_iter().map(|path| unknown(path, keys)));
    match typed {
        Ok(typed) if faults.is_empty() => Ok(typed),
        Ok(_) => Err(faults),
        Err(error) => {
            faults.push(Fault::BadValue(error.to_string().trim().replace('\n', " ")));
            Err(faults)
        }
    }
}

/// The nearest of `names` to what was written, if it is near enough to be meant.
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(written, name), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .map(|(_, name)| name)
}

/// Lengths of time in configuration: `"32s"`, `"5m"`, `"1h 30m"`. For `#[serde(with = …)]`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Reads a length of time, which is not negative.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_duration(&text).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is not a length of time such as \"32s\" or \"5m\""))
        })
    }

    /// Writes seconds.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}s", duration.as_secs_f64()))
    }
}

/// Reads `"32s"`, `"5m"`, `"1h 30m"`, `"7d"`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Some(days) = text.strip_suffix('d') {
        return days.parse().ok().and_then(|days: u32| Duration::from_secs(86_400).checked_mul(days));
    }
    text.parse::<jiff::SignedDuration>().ok().and_then(|length| Duration::try_from(length).ok())
}

/// What variables begin with; `CUSAX_SIP__UDP` is `sip.udp`.
pub const PREFIX: &str = "CUSAX_";

/// What was meant: a table of nearly this name, or in the same table a key that begins so, or the nearest of its keys, or
/// the nearest of all.
fn unknown(path: String, keys: &[Key]) -> Fault {
    let paths = || keys.iter().map(|key| key.path);
    let nearest = match path.rsplit_once('.') {
        None => nearest(&path, paths().map(|path| path.split('.').next().unwrap_or(path))),
        Some((table, name)) => {
            let siblings =
                || paths().filter_map(|path| Some((path, path.strip_prefix(table)?.strip_prefix('.')?)));
            let begins = |(_, sibling): &(&str, &str)| sibling.starts_with(name) || name.starts_with(sibling);
            let begun =
                siblings().filter(begins).min_by_key(|(_, sibling)| sibling.len()).map(|(path, _)| path);
            let near = || {
                let name = nearest(name, siblings().map(|(_, sibling)| sibling))?;
                siblings().find(|(_, sibling)| *sibling == name).map(|(path, _)| path)
            };
            begun.or_else(near).or_else(|| nearest(&path, paths()))
        }
    };
    Fault::UnknownKey { path, nearest }
}

/// A variable's text as a value: TOML if it is TOML, otherwise a string; a list may be written with commas alone.
fn value_of(text: &str, key: &Key) -> toml::Value {
    let wants_list = wants_list(key);
    let parsed =
        toml::from_str::<toml::Table>(&format!("v = {text}")).ok().and_then(|mut table| table.remove("v"));
    // A number where text belongs is text: a country code, a PIN.
    let wants_text = key.default.starts_with('"');
    match parsed {
        Some(value) if wants_text && !value.is_str() => toml::Value::String(text.to_owned()),
        Some(value) if !wants_list || value.is_array() => value,
        _ if wants_list => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            toml::Value::Array(items.map(|item| toml::Value::String(item.to_owned())).collect())
        }
        _ => toml::Value::String(text.to_owned()),
    }
}

fn wants_list(key: &Key) -> bool {
    key.default.starts_with('[')
}

/// One text where a list belongs is a list of one.
fn widen(tree: &mut toml::Table, path: &str) {
    let found = match path.split_once('.') {
        Some((table, rest)) => match tree.get_mut(table) {
            Some(toml::Value::Table(inner)) => return widen(inner, rest),
            _ => None,
        },
        None => tree.get_mut(path),
    };
    if let Some(value @ toml::Value::String(_)) = found {
        *value = toml::Value::Array(vec![value.clone()]);
    }
}

fn set(tree: &mut toml::Table, path: &[String], value: toml::Value) {
    let Some((last, tables)) = path.split_last() else { return };
    let mut table = tree;
    for name in tables {
        let entry = table.entry(name.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if !entry.is_table() {
            *entry = toml::Value::Table(toml::Table::new());
        }
        let toml::Value::Table(inner) = entry else { return };
        table = inner;
    }
    table.insert(last.clone(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Tree {
        domain: String,
        sip: Sip,
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Sip {
        udp: Vec<String>,
        #[serde(with = "duration")]
        timer: Duration,
    }

    const KEYS: &[Key] =
        &[Key::new("domain", "", ""), Key::new("sip.udp", "[]", ""), Key::new("sip.timer", "\"32s\"", "")];

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Tree, Vec<Fault>> {
        load(text, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())), KEYS)
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let faults = read("[sip]\nupd = []", &[]).unwrap_err();
        assert_eq!(faults[0].to_string(), "unknown key `sip.upd`; did you mean `sip.udp`?");
        assert_eq!(read("x.y.zzzzzz = 1", &[]).unwrap_err()[0].to_string(), "unknown key `x`");
    }

    #[test]
    fn what_was_meant_is_of_the_same_table_and_begins_alike() {
        let keys =
            ["tls.certificate", "tls.key", "sip.tcp", "sip.timers.b"].map(|path| Key::new(path, "", ""));
        for (written, meant) in [
            ("tls.cert", Some("tls.certificate")),
            ("tls.kye", Some("tls.key")),
            ("sipp", Some("sip")),
            ("sip.timers.bb", Some("sip.timers.b")),
            ("sips.tcp", Some("sip.tcp")),
            ("xyzzy", None),
        ] {
            let expected = Fault::UnknownKey { path: written.to_owned(), nearest: meant };
            assert_eq!(unknown(written.to_owned(), &keys), expected);
        }
        assert_eq!(read("", &[("CUSAX_XYZZY", "1")]).unwrap_err()[0].to_string(), "unknown key `xyzzy`");
    }

    #[test]
    fn a_variable_wins_over_the_file() {
        let tree =
            read("[sip]\nudp = [\"a\"]", &[("CUSAX_SIP__UDP", "b,c"), ("CUSAX_DOMAIN", "x.org")]).unwrap();
        assert_eq!((tree.sip.udp, tree.domain.as_str()), (vec!["b".to_owned(), "c".to_owned()], "x.org"));
        assert_eq!(read("", &[("CUSAX_SIP__UDP", "[]")]).unwrap().sip.udp, Vec::<String>::new());
        assert!(read("", &[("CUSAX_SIP__UPD", "b")]).is_err());
    }

    #[test]
    fn digits_are_text_where_text_belongs() {
        let keys = [Key::new("domain", "\"x\"", "")];
        let tree: Tree = load("", [("CUSAX_DOMAIN".to_owned(), "33".to_owned())], &keys).unwrap();
        assert_eq!(tree.domain, "33");
    }

    #[test]
    fn one_text_is_a_list_of_one() {
        assert_eq!(read("[sip]\nudp = \"a\"", &[]).unwrap().sip.udp, ["a"]);
    }

    #[test]
    fn lengths_of_time_have_units() {
        assert_eq!(read("sip.timer = \"5m\"", &[]).unwrap().sip.timer, Duration::from_secs(300));
        assert_eq!(parse_duration("7d"), Some(Duration::from_secs(7 * 86_400)));
        let fault = read("sip.timer = \"soon\"", &[]).unwrap_err()[0].to_string();
        assert!(fault.contains("not a length of time"), "{fault}");
        assert!(read("sip.timer = \"-5s\"", &[]).is_err());
    }

    #[test]
    fn what_is_not_toml_says_where() {
        assert!(
            matches!(&read("domain = ", &[]).unwrap_err()[0], Fault::Syntax(text) if text.contains("line 1"))
        );
    }
}
