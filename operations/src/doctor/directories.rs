//! Whether directories answer as a login needs it — RFC 4513 §5.1 (bind), RFC 4511 §4.5 (search).
//!
//! In    `[auth.ldap]` of each domain. Out whether it binds and gives all of itself, and who of it cannot have an account.
//! Not here: whose password it is, which nobody tells the doctor; what became of accounts, which the log says.

use std::time::{Duration, Instant};

use shared_auth::{Everybody, LdapError};

use super::{Findings, Ward};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    let all = ward.keepers(|keepers| keepers.ldap.url.is_some(), found);
    if all.is_empty() {
        return found.note("no directory keeps people of ours", "");
    }
    let Ok(Some(tls)) = &ward.tls else { return found.unchecked(WITHOUT_TLS) };
    let until = Instant::now() + PATIENCE;
    for keepers in all {
        if Instant::now() > until {
            return found.unchecked("the rest is not asked: those before took too long");
        }
        if let Some(looked) = keepers.look_at_directory(tls).await {
            judge(keepers.domain, looked, found);
        }
    }
}

fn judge(domain: &str, looked: Result<Everybody, LdapError>, found: &mut Findings) {
    match looked {
        Ok(Everybody { entries: 0, .. }) => found.error(
            format!("the directory of {domain} answers, and names nobody: nobody of it can log in"),
            "see whether auth.ldap.base and auth.ldap.filter are right, and whether auth.ldap.bind_dn may read what is there",
        ),
        Ok(all) if all.people() == 0 => found.error(
            format!(
                "the directory of {domain} answers, and none of its {} entries can have an account",
                all.entries
            ),
            "see whether auth.ldap.user and auth.ldap.id name attributes that people have, and that auth.ldap.bind_dn may read",
        ),
        Ok(all) => {
            found.ok(format!(
                "the directory of {domain} answers, and names {} people who can have accounts",
                all.people()
            ));
            if all.unfit > 0 {
                found.note(
                    format!(
                        "{} entries of the directory of {domain} have a user name that no account can have: {}",
                        all.unfit,
                        all.unfit_names.join("; ")
                    ),
                    "a user name is made of the letters a to z, digits, and . - _ between them; give them another, or let \
                     auth.ldap.filter leave them out",
                );
            }
            if all.without_id > 0 {
                found.note(
                    format!("{} entries of the directory of {domain} lack what auth.ldap.id names", all.without_id),
                    "name an attribute that each entry has and that never changes",
                );
            }
        }
        Err(error @ LdapError::Limited(_)) => found.error(
            format!("{domain}: {error}: nobody new has an account, and nobody ends who left"),
            "let the directory give auth.ldap.bind_dn all entries (OpenLDAP: `limits dn.exact=\"…\" size=unlimited time=unlimited`)",
        ),
        Err(error @ (LdapError::PasswordFile(_) | LdapError::EmptyPassword)) => {
            found.error(format!("{domain}: {error}"), "let the file hold the password of auth.ldap.bind_dn, and let this user read it");
        }
        Err(error) => found.error(
            format!("{domain}: {error}: nobody logs in whose password it keeps"),
            "see whether it runs at auth.ldap.url, whether its certificate is of that name and of a CA that is trusted (tls.trust), \
             and whether it takes auth.ldap.bind_dn with that password",
        ),
    }
}

/// How long directories, or providers, may take all together.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// What others hear as well whose connections are protected.
pub(super) const WITHOUT_TLS: &str =
    "not asked: our certificates cannot be read, and with them whom we trust";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Finding, Severity};

    fn of(looked: Result<Everybody, LdapError>) -> Finding {
        let mut found = Findings { check: "directories", all: Vec::new() };
        judge("example.org", looked, &mut found);
        found.all.remove(0)
    }

    #[test]
    fn a_directory_is_ill_that_names_nobody_who_can_have_an_account() {
        let entries = |number| {
            let mut all = Everybody::default();
            all.entries += number;
            all
        };
        for (looked, key) in [
            (Ok(entries(0)), "auth.ldap.base"),
            (Ok(entries(5)), "auth.ldap.user"),
            (Err(LdapError::EmptyPassword), "auth.ldap.bind_dn"),
            (Err(LdapError::TooSlow), "auth.ldap.url"),
            (Err(LdapError::Limited(4)), "size=unlimited"),
        ] {
            let ill = of(looked);
            assert!(ill.severity == Severity::Error && ill.remedy.contains(key), "{ill:?}");
        }
    }
}
