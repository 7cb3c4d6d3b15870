//! Whether providers of OpenID Connect describe themselves — OpenID Connect Discovery 1.0 §4 (document), RFC 7517 (keys).
//!
//! In    `[auth.oidc]` of each domain. Out whether its document and its keys can be read and used.
//! Not here: whether the provider knows us, which it says to who comes back from it with a code.

use std::time::Instant;

use shared_auth::{Looked, OidcError};

use super::directories::{PATIENCE, WITHOUT_TLS};
use super::{Findings, Ward};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    let all = ward.keepers(|keepers| keepers.oidc.issuer.is_some(), found);
    if all.is_empty() {
        return found.note("no provider of OpenID Connect keeps people of ours", "");
    }
    let Ok(Some(tls)) = &ward.tls else { return found.unchecked(WITHOUT_TLS) };
    let until = Instant::now() + PATIENCE;
    for keepers in all {
        if Instant::now() > until {
            return found.unchecked("the rest is not asked: those before took too long");
        }
        if let Some(looked) = keepers.look_at_provider(tls).await {
            judge(keepers.domain, looked, found);
        }
    }
}

fn judge(domain: &str, looked: Result<Looked, OidcError>, found: &mut Findings) {
    match looked {
        Ok(Looked { keys: 0, .. }) => found.error(
            format!("the provider of {domain} shows no key whose signature is believed: nobody signs in by it"),
            "let it sign with RS256, PS256, ES256, ES384 or EdDSA",
        ),
        Ok(Looked { are_unwatched_taken: true, .. }) => found.note(
            format!("{domain}: sign-ins are taken for which the provider gives no refresh token: whom it ends goes on here"),
            "leave out auth.oidc.unwatched, and see that everybody gets in: the provider may have to allow this client offline_access",
        ),
        Ok(Looked { knows_no_lasting: true, .. }) => found.warning(
            format!("the provider of {domain} says nothing of offline_access: a sign-in without a refresh token is refused"),
            "ask for refresh tokens as the provider says (auth.oidc.parameters, such as access_type = \"offline\" of Google)",
        ),
        Ok(_) => found.ok(format!("the provider of {domain} says where it is asked, and by which keys it signs")),
        Err(error @ OidcError::SecretFile(_)) => {
            found.error(format!("{domain}: {error}"), "let this user read the file, or leave the key out for a public client");
        }
        Err(error @ OidcError::OtherIssuer(_)) => {
            found.error(format!("{domain}: {error}"), "write auth.oidc.issuer as the provider does, to the letter");
        }
        Err(error) => found.error(
            format!("{domain}: {error}: nobody signs in by it"),
            "see whether its /.well-known/openid-configuration and its jwks_uri are read from this machine, over TLS, by a certificate of \
             a CA that is trusted (tls.trust)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn a_provider_is_well_that_shows_keys_that_can_be_used() {
        let well = Looked { keys: 2, are_unwatched_taken: false, knows_no_lasting: false };
        for (looked, severity, key) in [
            (Ok(well), Severity::Ok, ""),
            (Ok(Looked { keys: 0, ..well }), Severity::Error, "RS256"),
            (Ok(Looked { are_unwatched_taken: true, ..well }), Severity::Note, "auth.oidc.unwatched"),
            (Ok(Looked { knows_no_lasting: true, ..well }), Severity::Warning, "auth.oidc.parameters"),
            (Err(OidcError::OtherIssuer("https://x".to_owned())), Severity::Error, "auth.oidc.issuer"),
            (Err(OidcError::Document("key set")), Severity::Error, "jwks_uri"),
        ] {
            let mut found = Findings { check: "providers", all: Vec::new() };
            judge("example.org", looked, &mut found);
            let one = found.all.remove(0);
            assert!(one.severity == severity && one.remedy.contains(key), "{one:?}");
        }
    }
}
