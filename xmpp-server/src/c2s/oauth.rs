//! OAUTHBEARER — RFC 7628, sections 3.1 (the client's message), 3.2.2 (the error), 3.2.3 (the client's last word).
//!
//! ```text
//! n,a=alice@example.org,^Ahost=example.org^Aport=5222^Aauth=Bearer TOKEN^A^A
//! ```
//!
//! In    the one message of the client. Out a proof, or what tells a client where good tokens come from.
//! Errors [`Denied::Malformed`] for what is not of the grammar; a bound channel (`p=`) is none that this mechanism has.
//! Not here: whether the token is good (`shared-auth`); `host` and `port`, by which nothing is decided here.

use serde_json::json;
use shared_auth::{Denied, Oidc, Proof};
use shared_model::Spec;

/// RFC 7628.
pub(crate) const SPEC: Spec = Spec::rfc(7628).note("OAUTHBEARER on TLS; not OAUTH10A");

/// The mechanism's name.
pub(crate) const NAME: &str = "OAUTHBEARER";

/// Reads the client's message to a domain.
pub(super) fn parse(message: &[u8], domain: &str) -> Result<Proof, Denied> {
    let malformed = |why| Err(Denied::Malformed(why));
    let Ok(text) = std::str::from_utf8(message) else { return malformed("not UTF-8") };
    let Some((header, pairs)) = text.split_once('\u{1}') else { return malformed("no pairs") };
    let mut header = header.split(',');
    let (Some(flag), Some(authzid), Some(""), None) =
        (header.next(), header.next(), header.next(), header.next())
    else {
        return malformed("the header has three parts");
    };
    if flag != "n" && flag != "y" {
        return malformed("no channel is bound");
    }
    let authzid = match authzid.strip_prefix("a=") {
        Some(name) => unescape(name).ok_or(Denied::Malformed("a wrong escape"))?,
        None if authzid.is_empty() => String::new(),
        None => return malformed("not a name to act as"),
    };
    let Some(pairs) = pairs.strip_suffix("\u{1}\u{1}") else { return malformed("no end") };
    let mut tokens = pairs.split('\u{1}').filter_map(|pair| pair.strip_prefix("auth="));
    let (Some(value), None) = (tokens.next(), tokens.next()) else { return malformed("one token is needed") };
    let Some((scheme, token)) = value.split_once(' ') else { return malformed("no token") };
    // RFC 6750 §2.1.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || !token.bytes().all(is_token) {
        return malformed("not a bearer token");
    }
    Ok(Proof::Bearer { token: token.to_owned(), domain: domain.to_owned(), authzid })
}

/// §3.2.2: what a client without a good token is told before it is refused.
pub(super) fn error(provider: &Oidc) -> String {
    let (scope, document) = provider.hint();
    json!({ "status": "invalid_token", "scope": scope, "openid-configuration": document }).to_string()
}

/// RFC 5801 §4: a comma and an equals sign of a name are written otherwise.
fn unescape(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('=') {
        out.push_str(before);
        let (code, after) = after.split_at_checked(2)?;
        out.push(match code {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Result<(String, String), Denied> {
        match parse(message.as_bytes(), "example.org")? {
            Proof::Bearer { token, authzid, .. } => Ok((token, authzid)),
            _ => unreachable!("it is a bearer"),
        }
    }

    #[test]
    fn the_example_of_section_4_1_is_read() {
        let message = "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}\
                       auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\u{1}\u{1}";
        let (token, authzid) = read(message).unwrap();
        assert_eq!(
            (token.as_str(), authzid.as_str()),
            ("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "user@example.com")
        );
        assert_eq!(read("y,,\u{1}auth=bearer x\u{1}\u{1}").unwrap().1, "");
        assert_eq!(read("n,a=a=2Cb=3D,\u{1}auth=Bearer x\u{1}\u{1}").unwrap().1, "a,b=");
    }

    #[test]
    fn what_is_not_of_the_grammar_is_malformed() {
        for wrong in [
            "",
            "\u{1}",
            "n,,",
            "n,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,,,\u{1}auth=Bearer x\u{1}\u{1}",
            "p=tls-exporter,,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,b=x,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,a=x=,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,a=x=ü,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer x\u{1}",
            "n,,\u{1}auth=Bearer \u{1}\u{1}",
            "n,,\u{1}auth=Basic x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer x y\u{1}\u{1}",
            "n,,\u{1}auth=Bearer x\u{1}auth=Bearer y\u{1}\u{1}",
            "n,,\u{1}host=x\u{1}\u{1}",
        ] {
            assert!(matches!(read(wrong), Err(Denied::Malformed(_))), "{wrong:?}");
        }
    }
}
