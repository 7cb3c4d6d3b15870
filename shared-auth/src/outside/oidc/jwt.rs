//! Signed tokens — RFC 7515 (JWS, compact), RFC 7517 (keys), RFC 7518 (RS256, PS256, ES256, ES384), RFC 7519 (claims),
//! RFC 8037 (EdDSA), with the advice of RFC 8725.
//!
//! ```text
//! base64url(header) . base64url(claims) . base64url(signature)
//! ```
//!
//! In    a token, and the keys of whom it must be from. Out its claims, if the signature holds.
//! Errors [`JwtError`]. `none`, and MACs by a key that everybody knows, are no algorithms here.
//! Not here: encryption; keys inside a token, which are anybody's.

use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a token says.
pub(super) type Claims = Map<String, Value>;

/// Keys of one issuer.
#[derive(Debug, Default)]
pub(super) struct JwkSet(Vec<Jwk>);

/// RFC 7517 §4, as far as it is of use here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: String,
    n: String,
    e: String,
    x: String,
    y: String,
}

/// A token with a signature that holds.
#[derive(Debug)]
pub(super) struct Jwt {
    /// `typ` of its header, in lower case.
    pub(super) kind: String,
    pub(super) claims: Claims,
}

/// Who says that they issued a token, which is yet to be proved.
pub(crate) fn issuer(token: &str) -> Option<String> {
    let [_, claims, _] = token.split('.').collect::<Vec<_>>()[..] else { return None };
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    text(&claims, "iss").map(str::to_owned)
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not a signed token at all.
    #[error("not a signed token")]
    Malformed,
    /// `alg` is none that is believed, or `crit` asks for what is not known.
    #[error("signed in a way that is not known here")]
    Algorithm,
    /// None of the issuer's keys has its `kid`; it may have new ones.
    #[error("signed by a key that the issuer does not show")]
    UnknownKey,
    /// The signature is not of that key.
    #[error("the signature is wrong")]
    Signature,
    /// A claim is missing or another than it must be.
    #[error("the claim {0} is missing or wrong")]
    Claim(&'static str),
    /// It is over.
    #[error("it is over, or the clocks differ")]
    Expired,
    /// It is not yet valid.
    #[error("it is not valid yet: the clocks differ")]
    TooEarly,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default)]
    typ: String,
    crit: Option<Value>,
}

impl JwkSet {
    /// Reads a key set; keys of unknown kinds are left out.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut all: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let Some(Value::Array(keys)) = all.remove("keys") else { return None };
        Some(Self(
            keys.into_iter().take(MOST_KEYS).filter_map(|key| serde_json::from_value(key).ok()).collect(),
        ))
    }

    /// How many of the keys could have signed a token that is believed.
    pub(super) fn usable(&self) -> usize {
        let all = [Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa];
        let signs = |key: &&Jwk| key.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        self.0.iter().filter(signs).filter(|key| all.iter().any(|algorithm| algorithm.fits(key))).count()
    }

    /// What the token says, if one of the keys signed it.
    pub(super) fn verify(&self, token: &str) -> Result<Jwt, JwtError> {
        if token.len() > LONGEST {
            return Err(JwtError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtError::Malformed)?;
        let header: Header = part(header)?;
        let algorithm =
            Algorithm::parse(&header.alg).filter(|_| header.crit.is_none()).ok_or(JwtError::Algorithm)?;
        let signature = bytes(signature)?;
        let mut candidates = self
            .0
            .iter()
            .filter(|key| header.kid.is_none() || key.kid == header.kid)
            .filter(|key| key.purpose.as_deref().is_none_or(|purpose| purpose == "sig"))
            .filter(|key| key.alg.as_ref().is_none_or(|alg| *alg == header.alg))
            .filter(|key| algorithm.fits(key))
            .peekable();
        candidates.peek().ok_or(JwtError::UnknownKey)?;
        if !candidates.any(|key| algorithm.verify(key, signed.as_bytes(), &signature).is_some()) {
            return Err(JwtError::Signature);
        }
        Ok(Jwt { kind: header.typ.to_ascii_lowercase(), claims: part(claims)? })
    }
}

impl Jwt {
    /// RFC 7519 §4.1: who made it, for whom, and until when. `now` in seconds since 1970.
    pub(super) fn check(&self, issuer: &str, audiences: &[&str], now: i64) -> Result<(), JwtError> {
        if text(&self.claims, "iss") != Some(issuer) {
            return Err(JwtError::Claim("iss"));
        }
        if !is_for(&self.claims, audiences) {
            return Err(JwtError::Claim("aud"));
        }
        if text(&self.claims, "sub").is_none_or(|sub| sub.is_empty() || sub.len() > 255) {
            return Err(JwtError::Claim("sub"));
        }
        let time = |name| self.claims.get(name).and_then(Value::as_f64).map(|seconds| seconds as i64);
        if time("exp").ok_or(JwtError::Claim("exp"))? <= now - SKEW {
            return Err(JwtError::Expired);
        }
        match ["nbf", "iat"].into_iter().filter_map(time).any(|from| from > now + SKEW) {
            true => Err(JwtError::TooEarly),
            false => Ok(()),
        }
    }
}

/// Whether nobody but these is meant (OpenID Connect Core 1.0 §3.1.3.7, step 3).
pub(super) fn is_for_none_but(claims: &Claims, audiences: &[&str]) -> bool {
    let is_known = |value: &Value| value.as_str().is_some_and(|one| audiences.contains(&one));
    claims.get("aud").and_then(Value::as_array).is_none_or(|all| all.iter().all(is_known))
}

/// Whether a token is made for one of these.
pub(super) fn is_for(claims: &Claims, audiences: &[&str]) -> bool {
    let is_ours = |value: &Value| value.as_str().is_some_and(|one| audiences.contains(&one));
    match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().any(is_ours),
        Some(one) => is_ours(one),
        None => false,
    }
}

/// A claim that is a text.
pub(super) fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

#[derive(Clone, Copy)]
enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "RS256" => Self::Rs256,
            "PS256" => Self::Ps256,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    fn fits(self, key: &Jwk) -> bool {
        let (kind, curve) = match self {
            Self::Rs256 | Self::Ps256 => ("RSA", ""),
            Self::Es256 => ("EC", "P-256"),
            Self::Es384 => ("EC", "P-384"),
            Self::EdDsa => ("OKP", "Ed25519"),
        };
        key.kty == kind && key.crv == curve
    }

    fn verify(self, key: &Jwk, signed: &[u8], signature: &[u8]) -> Option<()> {
        let rsa = |algorithm| {
            let (n, e) = (bytes(&key.n).ok()?, bytes(&key.e).ok()?);
            RsaPublicKeyComponents { n, e }.verify(algorithm, signed, signature).ok()
        };
        let point = |size: usize| {
            let (x, y) = (bytes(&key.x).ok()?, bytes(&key.y).ok()?);
            (x.len() == size && y.len() == size).then(|| [&[4], &x[..], &y[..]].concat())
        };
        let plain = |algorithm: &'static dyn signature::VerificationAlgorithm, key: Vec<u8>| {
            signature::UnparsedPublicKey::new(algorithm, key).verify(signed, signature).ok()
        };
        match self {
            Self::Rs256 => rsa(&RSA_PKCS1_2048_8192_SHA256),
            Self::Ps256 => rsa(&RSA_PSS_2048_8192_SHA256),
            Self::Es256 => plain(&ECDSA_P256_SHA256_FIXED, point(32)?),
            Self::Es384 => plain(&ECDSA_P384_SHA384_FIXED, point(48)?),
            Self::EdDsa => plain(&ED25519, bytes(&key.x).ok()?),
        }
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, JwtError> {
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtError::Malformed)
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, JwtError> {
    serde_json::from_slice(&bytes(text)?).map_err(|_| JwtError::Malformed)
}

/// Seconds by which clocks may differ.
const SKEW: i64 = 60;
/// Bytes of a token.
const LONGEST: usize = 16 * 1024;
/// Keys of one issuer.
const MOST_KEYS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515 appendix A.3 (ES256) and A.2 (RS256): key, and token.
    const ES256: (&str, &str) = (
        r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );

    #[test]
    fn the_example_of_rfc_7515_a_3_holds_and_nothing_near_it() {
        let keys = JwkSet::read(ES256.0.as_bytes()).unwrap();
        let jwt = keys.verify(ES256.1).unwrap();
        assert_eq!(text(&jwt.claims, "iss"), Some("joe"));
        let (signed, signature) = ES256.1.rsplit_once('.').unwrap();
        let claims = signed.split_once('.').unwrap().1;
        let none = format!("{}.{claims}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
        let mac = format!("{}.{claims}.{signature}", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#));
        let critical = format!(
            "{}.{claims}.{signature}",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","crit":["x"]}"#)
        );
        for forged in [none, mac, critical] {
            assert_eq!(keys.verify(&forged).unwrap_err(), JwtError::Algorithm, "{forged}");
        }
        let other = format!("{signed}.{}", signature.replacen('D', "E", 1));
        assert_eq!(keys.verify(&other).unwrap_err(), JwtError::Signature);
        let rsa = format!("{}.{claims}.{signature}", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#));
        assert_eq!(keys.verify(&rsa).unwrap_err(), JwtError::UnknownKey);
        let named =
            format!("{}.{claims}.{signature}", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"x"}"#));
        assert_eq!(keys.verify(&named).unwrap_err(), JwtError::UnknownKey);
        for broken in ["", ".", "..", "a.b.c", &"a".repeat(LONGEST + 1), ES256.1.trim_end_matches('Q')] {
            assert!(keys.verify(broken).is_err(), "{broken}");
        }
        assert!(JwkSet::read(b"{}").is_none() && JwkSet::read(b"[]").is_none());
    }

    #[test]
    fn a_token_for_somebody_else_as_well_is_not_for_us_alone() {
        let claims = |text: &str| serde_json::from_str::<Claims>(text).unwrap();
        for ours in [r#"{"aud":"us"}"#, r#"{"aud":["us"]}"#, r#"{"aud":["api","us"]}"#] {
            assert!(is_for_none_but(&claims(ours), &["us", "api"]), "{ours}");
        }
        for other in [r#"{"aud":["us","them"]}"#, r#"{"aud":["us",1]}"#] {
            assert!(!is_for_none_but(&claims(other), &["us", "api"]), "{other}");
        }
    }

    #[test]
    fn claims_say_who_for_whom_and_until_when() {
        let jwt = |claims: Value| Jwt { kind: String::new(), claims: claims.as_object().unwrap().clone() };
        let check = |claims| jwt(claims).check("https://i", &["us"], 1_000);
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(
            check(json(r#"{"iss":"https://i","aud":["x","us"],"sub":"s","exp":1001,"iat":1050}"#)),
            Ok(())
        );
        assert_eq!(
            check(json(r#"{"iss":"https://i","aud":"us","sub":"s","exp":945}"#)),
            Ok(()),
            "clocks differ"
        );
        for (wrong, why) in [
            (r#"{"iss":"https://j","aud":"us","sub":"s","exp":2000}"#, JwtError::Claim("iss")),
            (r#"{"iss":"https://i","aud":"them","sub":"s","exp":2000}"#, JwtError::Claim("aud")),
            (r#"{"iss":"https://i","sub":"s","exp":2000}"#, JwtError::Claim("aud")),
            (r#"{"iss":"https://i","aud":"us","exp":2000}"#, JwtError::Claim("sub")),
            (r#"{"iss":"https://i","aud":"us","sub":"s"}"#, JwtError::Claim("exp")),
            (r#"{"iss":"https://i","aud":"us","sub":"s","exp":"2000"}"#, JwtError::Claim("exp")),
            (r#"{"iss":"https://i","aud":"us","sub":"s","exp":940}"#, JwtError::Expired),
            (r#"{"iss":"https://i","aud":"us","sub":"s","exp":2000,"nbf":1061}"#, JwtError::TooEarly),
        ] {
            assert_eq!(check(json(wrong)), Err(why), "{wrong}");
        }
    }
}
