//! Being told that somebody signed out at the provider — OpenID Connect Back-Channel Logout 1.0, sections 2.4 (the token), 2.6 (what it
//! must be), 2.7 (what ends).
//!
//! In    a logout token. Out who signed out, and when at the latest, as clocks may differ: sessions that began later are not meant, so
//!       that a token that is shown again ends nothing.
//! State none. Errors [`JwtError`].
//! Not here: `sid` alone, since a session here does not know its name there; sessions of chat, which end with the account or the password.

use serde_json::Value;

use super::OidcError;
use super::jwt::{Jwt, JwtError, is_for, text};
use crate::Denied;

/// What a logout token says: the subject, and the second in which it was made.
pub(super) fn read<'a>(
    jwt: &'a Jwt,
    issuer: &str,
    client: &str,
    now: i64,
) -> Result<(&'a str, i64), JwtError> {
    let claims = &jwt.claims;
    if text(claims, "iss") != Some(issuer) {
        return Err(JwtError::Claim("iss"));
    }
    if !is_for(claims, &[client]) {
        return Err(JwtError::Claim("aud"));
    }
    // RFC 8725 §3.11: what says who signs in, or lets somebody in, signs nobody out.
    if !matches!(jwt.kind.strip_prefix("application/").unwrap_or(&jwt.kind), "logout+jwt" | "jwt" | "") {
        return Err(JwtError::Claim("typ"));
    }
    let is_meant = claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object);
    if !is_meant || claims.contains_key("nonce") {
        return Err(JwtError::Claim("events"));
    }
    let time = |name| claims.get(name).and_then(Value::as_f64).map(|seconds| seconds as i64);
    let made = time("iat").ok_or(JwtError::Claim("iat"))?;
    if made > now + SKEW {
        return Err(JwtError::TooEarly);
    }
    if made < now - OLDEST || time("exp").is_some_and(|until| until <= now - SKEW) {
        return Err(JwtError::Expired);
    }
    let subject = text(claims, "sub").filter(|sub| !sub.is_empty()).ok_or(JwtError::Claim("sub"))?;
    // A clock that is behind there would spare whoever signed in a moment before.
    Ok((subject, (made + SKEW).min(now)))
}

/// How that is told: what the provider signed is no guess, whatever is wrong with it, such as its clock.
pub(super) fn denied(error: OidcError) -> Denied {
    match error {
        OidcError::Token(JwtError::Claim(name)) => Denied::Malformed(name),
        OidcError::Token(JwtError::Expired | JwtError::TooEarly) => Denied::Expired,
        error => error.into(),
    }
}

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Seconds by which clocks may differ.
const SKEW: i64 = 60;
/// Seconds for which a provider may try to tell us.
const OLDEST: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_made_to_sign_out_signs_out() {
        let good = serde_json::json!({
            "iss": "i", "aud": "us", "sub": "alice", "iat": 1000, "jti": "x", "events": { EVENT: {} },
        });
        let read = |name: &str, value: Value, kind: &str, now: i64| {
            let mut claims = good.as_object().unwrap().clone();
            match value {
                Value::Null => claims.remove(name),
                value => claims.insert(name.to_owned(), value),
            };
            let jwt = Jwt { kind: kind.to_owned(), claims };
            super::read(&jwt, "i", "us", now).map(|(sub, made)| (sub.to_owned(), made))
        };
        let said = Ok(("alice".to_owned(), 1000));
        for kind in ["logout+jwt", "application/logout+jwt", "jwt", ""] {
            assert_eq!(read("jti", Value::Null, kind, 1000), said, "{kind}");
        }
        assert_eq!(read("aud", serde_json::json!(["us"]), "jwt", 1000), said);
        assert_eq!(read("x", 1.into(), "at+jwt", 1000), Err(JwtError::Claim("typ")));
        for (name, value) in [
            ("iss", Value::from("other")),
            ("aud", "them".into()),
            ("sub", Value::Null),
            ("sub", "".into()),
            ("iat", Value::Null),
        ] {
            assert_eq!(read(name, value, "jwt", 1000), Err(JwtError::Claim(name)));
        }
        for (name, value) in
            [("events", Value::Null), ("events", serde_json::json!({})), ("nonce", "n".into())]
        {
            assert_eq!(read(name, value, "jwt", 1000), Err(JwtError::Claim("events")));
        }
        assert_eq!(read("x", 1.into(), "jwt", 1000 + OLDEST + 1), Err(JwtError::Expired));
        assert_eq!(read("exp", 1010.into(), "jwt", 1100), Err(JwtError::Expired));
        assert_eq!(read("iat", 2000.into(), "jwt", 1000), Err(JwtError::TooEarly));
        for (now, when) in [(1000, 1000), (1001, 1001), (1000 + SKEW + 1, 1000 + SKEW)] {
            assert_eq!(read("x", 1.into(), "jwt", now), Ok(("alice".to_owned(), when)), "clocks differ");
        }
    }

    #[test]
    fn what_the_provider_signed_is_no_guess() {
        use JwtError::{Algorithm, Claim, Expired, Malformed, Signature, TooEarly, UnknownKey};
        let is_guess = |error: JwtError| denied(error.into()).is_failed_proof();
        assert!([Malformed, Algorithm, UnknownKey, Signature].into_iter().all(is_guess));
        assert!(![Claim("aud"), Expired, TooEarly].into_iter().any(is_guess));
    }
}
