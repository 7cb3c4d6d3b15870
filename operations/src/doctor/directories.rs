//! Whether directories answer as a login needs it — RFC 4513 §5.1 (bind), RFC 4511 §4.5 (search).
//!
//! In    `[auth.ldap]` of each domain. Out whether it binds, and whether somebody of it could have an account.
//! Not here: whose password it is, which nobody tells the doctor; what became of accounts, which the log says.

use std::time::{Duration, Instant};

use shared_auth::LdapError;

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

fn judge(domain: &str, looked: Result<(usize, usize), LdapError>, found: &mut Findings) {
    match looked {
        Ok((0, 0)) => found.error(
            format!("the directory of {domain} answers, and names nobody: nobody of it can log in"),
            "see whether auth.ldap.base and auth.ldap.filter are right, and whether auth.ldap.bind_dn may read what is there",
        ),
        // There are more, and those may be people: a directory has its machines first.
        Ok((0, all)) if all >= FEW => found.note(
            format!("the directory of {domain} answers, and none of the first {all} entries can have an account"),
            "let auth.ldap.filter leave out what is no person",
        ),
        Ok((0, all)) => found.error(
            format!("the directory of {domain} answers, and none of the {all} entries that were looked at can have an account"),
            "see whether auth.ldap.user and auth.ldap.id name attributes that people have, and that auth.ldap.bind_dn may read",
        ),
        Ok(_) => found.ok(format!("the directory of {domain} answers, and names people who can have accounts")),
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

/// Entries that a look asks for, at most.
const FEW: usize = 20;
/// How long directories, or providers, may take all together.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// What others hear as well whose connections are protected.
pub(super) const WITHOUT_TLS: &str =
    "not asked: our certificates cannot be read, and with them whom we trust";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Finding, Severity};

    fn of(looked: Result<(usize, usize), LdapError>) -> Finding {
        let mut found = Findings { check: "directories", all: Vec::new() };
        judge("example.org", looked, &mut found);
        found.all.remove(0)
    }

    #[test]
    fn a_directory_is_well_that_names_people_who_can_have_accounts() {
        assert_eq!(of(Ok((3, 20))).severity, Severity::Ok);
        assert_eq!(of(Ok((0, 20))).severity, Severity::Note);
        for (looked, key) in [
            (Ok((0, 0)), "auth.ldap.base"),
            (Ok((0, 5)), "auth.ldap.user"),
            (Err(LdapError::EmptyPassword), "auth.ldap.bind_dn"),
            (Err(LdapError::TooSlow), "auth.ldap.url"),
        ] {
            let ill = of(looked);
            assert!(ill.severity == Severity::Error && ill.remedy.contains(key), "{ill:?}");
        }
    }
}
