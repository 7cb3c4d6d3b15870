//! `[auth.ldap]`: where the directory is, and which of its words mean what here.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use shared_runtime::config::Key;

/// `[auth.ldap]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LdapConfig {
    /// `ldaps://…` or `ldap://…`. Default: none, and no directory is asked.
    pub url: Option<String>,
    /// Whether `ldap:` turns to TLS before anything is said (RFC 4511 §4.14). Default true; false is for loopback alone.
    pub starttls: bool,
    /// Who reads the directory. Default: anonymous.
    pub bind_dn: String,
    /// The file with the password of `bind_dn`.
    pub bind_password_file: Option<PathBuf>,
    /// Under which name people are.
    pub base: String,
    /// Which entries are people who may have an account (RFC 4515). Default `(objectClass=person)`.
    pub filter: String,
    /// The attribute with the user name. Default `uid`.
    pub user: String,
    /// The attribute with the name to show. Default `cn`.
    pub name: String,
    /// The attribute with telephone numbers. Default `telephoneNumber`.
    pub numbers: String,
    /// The attribute with the groups. Default `memberOf`.
    pub groups: String,
    /// The attribute that no other entry ever has the value of. Default `entryUUID`.
    pub id: String,
    /// Whose members administer the service. Default: nobody's.
    pub admin_group: String,
    /// How often the directory is read, at most 45 s. Default 30 s.
    #[serde(with = "shared_runtime::config::duration")]
    pub interval: Duration,
    /// How long an answer may take. Default 5 s.
    #[serde(with = "shared_runtime::config::duration")]
    pub timeout: Duration,
    /// What becomes of the account of somebody who is gone: `disable` or `remove`. Default `disable`.
    pub missing: Missing,
    /// Whether more than half of ten or more accounts may end at once. Default no: most likely the directory is at fault.
    pub many_missing: bool,
}

/// What becomes of the account of somebody who is gone elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// It is disabled, and theirs again if they are back.
    Disable,
    /// It is removed, with all its data.
    Remove,
}

impl Default for LdapConfig {
    fn default() -> Self {
        Self {
            url: None,
            starttls: true,
            bind_dn: String::new(),
            bind_password_file: None,
            base: String::new(),
            filter: "(objectClass=person)".to_owned(),
            user: "uid".to_owned(),
            name: "cn".to_owned(),
            numbers: "telephoneNumber".to_owned(),
            groups: "memberOf".to_owned(),
            id: "entryUUID".to_owned(),
            admin_group: String::new(),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            missing: Missing::Disable,
            many_missing: false,
        }
    }
}

impl LdapConfig {
    /// What is wrong, each in words that begin with the key.
    pub fn faults(&self) -> Vec<String> {
        let Some(url) = &self.url else { return Vec::new() };
        let mut faults = Vec::new();
        let host =
            url.strip_prefix("ldap://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        if host.is_none() && !url.starts_with("ldaps://") {
            faults.push(format!("`auth.ldap.url`: `{url}` begins with neither ldaps:// nor ldap://"));
        }
        if !self.starttls && host.is_some_and(|host| !is_loopback(host)) {
            faults.push(
                "`auth.ldap.starttls` is false: passwords would go in the clear to another machine"
                    .to_owned(),
            );
        }
        // It stands inside another one when somebody logs in.
        if !self.filter.starts_with('(') || ldap3::parse_filter(&self.filter).is_err() {
            faults.push(format!(
                "`auth.ldap.filter`: `{}` is not a filter in parentheses (RFC 4515)",
                self.filter
            ));
        }
        let names = [
            ("user", &self.user),
            ("name", &self.name),
            ("numbers", &self.numbers),
            ("groups", &self.groups),
            ("id", &self.id),
        ];
        for (key, name) in names {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.;".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_name) {
                faults.push(format!("`auth.ldap.{key}`: `{name}` is not the name of an attribute"));
            }
        }
        if self.interval.is_zero() || self.interval > SLOWEST {
            faults.push("`auth.ldap.interval` is not between 1s and 45s".to_owned());
        }
        if self.timeout.is_zero() {
            faults.push("`auth.ldap.timeout` is zero: nothing can happen in no time".to_owned());
        }
        if self.bind_dn.is_empty() != self.bind_password_file.is_none() {
            faults.push(
                "`auth.ldap.bind_dn` and `auth.ldap.bind_password_file` go together; only one is given"
                    .to_owned(),
            );
        }
        match self.bind_password_file.as_ref().map(std::fs::read) {
            Some(Err(error)) => {
                faults.push(format!("`auth.ldap.bind_password_file`: cannot read it: {error}"));
            }
            Some(Ok(text)) if text.iter().all(|byte| b"\r\n".contains(byte)) => {
                faults.push("`auth.ldap.bind_password_file` is empty (RFC 4513 §5.1.2)".to_owned());
            }
            _ => {}
        }
        faults
    }
}

/// Whether this is the machine itself, with or without a port, and nothing before or behind.
fn is_loopback(host: &str) -> bool {
    let is_port = |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(is_number);
    LOOPBACK.iter().any(|name| host.strip_prefix(name).is_some_and(is_port))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Every key of `[auth.ldap]`.
pub(crate) const LDAP_KEYS: &[Key] = &[
    Key::new(
        "auth.ldap.url",
        "",
        "ldaps://… or ldap://… of a directory of accounts; none: no directory is asked",
    ),
    Key::new("auth.ldap.starttls", "true", "whether ldap: turns to TLS first; false is for loopback alone"),
    Key::new("auth.ldap.bind_dn", "\"\"", "who reads the directory; empty: anonymous"),
    Key::new("auth.ldap.bind_password_file", "", "file with the password of bind_dn"),
    Key::new("auth.ldap.base", "\"\"", "under which name people are, such as ou=people,dc=example,dc=org"),
    Key::new("auth.ldap.filter", "\"(objectClass=person)\"", "which entries may have an account (RFC 4515)"),
    Key::new("auth.ldap.user", "\"uid\"", "attribute with the user name"),
    Key::new("auth.ldap.name", "\"cn\"", "attribute with the name to show"),
    Key::new("auth.ldap.numbers", "\"telephoneNumber\"", "attribute with telephone numbers, E.164"),
    Key::new("auth.ldap.groups", "\"memberOf\"", "attribute with the groups"),
    Key::new("auth.ldap.id", "\"entryUUID\"", "attribute that never changes and is never another's"),
    Key::new("auth.ldap.admin_group", "\"\"", "whose members administer the service; empty: nobody's"),
    Key::new("auth.ldap.interval", "\"30s\"", "how often the directory is read, at most 45s"),
    Key::new("auth.ldap.timeout", "\"5s\"", "how long an answer may take"),
    Key::new(
        "auth.ldap.missing",
        "\"disable\"",
        "what becomes of accounts of people who are gone: disable or remove",
    ),
    Key::new(
        "auth.ldap.many_missing",
        "false",
        "whether more than half of ten or more accounts may end at once, which most likely is a fault of the directory",
    ),
];

/// The longest time between two readings: with the second look, what ends there ends here within a minute.
const SLOWEST: Duration = Duration::from_secs(45);
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_go_in_the_clear_or_never_work_is_a_fault() {
        assert!(LdapConfig::default().faults().is_empty());
        let at = |url: &str| LdapConfig { url: Some(url.to_owned()), ..LdapConfig::default() };
        assert!(at("ldaps://d.example").faults().is_empty() && at("ldap://d.example").faults().is_empty());
        let told = |config: LdapConfig, what: &str| {
            let faults = config.faults().join("; ");
            assert!(faults.contains(what), "{faults}");
        };
        told(at("http://x"), "neither ldaps:// nor");
        told(LdapConfig { starttls: false, ..at("ldap://d.example") }, "in the clear");
        told(LdapConfig { starttls: false, ..at("ldap://localhost.example") }, "in the clear");
        for fooled in ["localhost:1@evil", "localhost:x", "localhost:", "localhost@evil", "127.0.0.1.evil"] {
            told(LdapConfig { starttls: false, ..at(&format!("ldap://{fooled}")) }, "in the clear");
        }
        let (bind_dn, file) = ("cn=x".to_owned(), Some(PathBuf::from("/dev/null")));
        told(LdapConfig { bind_dn, bind_password_file: file, ..at("ldaps://x") }, "is empty");
        assert!(LdapConfig { starttls: false, ..at("ldap://127.0.0.1:389") }.faults().is_empty());
        told(LdapConfig { filter: "(uid=".to_owned(), ..at("ldaps://x") }, "not a filter");
        told(LdapConfig { filter: "uid=*".to_owned(), ..at("ldaps://x") }, "not a filter");
        told(LdapConfig { user: "uid)(x".to_owned(), ..at("ldaps://x") }, "not the name of an attribute");
        told(LdapConfig { interval: Duration::from_secs(46), ..at("ldaps://x") }, "between 1s and 45s");
        told(LdapConfig { bind_dn: "cn=x".to_owned(), ..at("ldaps://x") }, "go together");
    }
}
