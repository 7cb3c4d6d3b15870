//! SASL mechanisms of a client's stream — RFC 6120 §6, RFC 5802 and RFC 7677 (SCRAM), RFC 4616 (PLAIN), XEP-0440,
//! XEP-0474; tokens by HT-SHA-256 (XEP-0484) and of a provider ([`oauth`](super::oauth)); EXTERNAL with a certificate of the client (XEP-0178 1.2, section 2),
//! which the client's account may have given (XEP-0257 0.3, section 3).
//!
//! In    responses in base64. Out challenges, an identity, or a failure by the names of RFC 6120 §6.5.
//! State one exchange; it is gone with the first failure.
//! Errors a stranger learns but what `Denied::on_wire` says: unknown users and wrong passwords look alike.
//! Not here: verifying (`shared-auth`), which connections may carry passwords (`c2s`).

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_auth::{
    Channel, Denied, FastStart, Ht, Identity, OnWire, Origin, Plus, Proof, ScramExchange, ScramHash,
    ScramStart, Tried,
};
use shared_model::Protocol;
use xmpp_core::Jid;
use xmpp_core::stream::SaslFailure;
use xmpp_core::stream::inline::Inline;

use super::binding::Binding;
use super::oauth;
use crate::guests::Seat;
use crate::server::Server;

/// What is offered, most wanted first.
pub(crate) fn mechanisms(
    binding: Option<&Binding>,
    hashes: &[ScramName],
    takes_plain: bool,
    takes_tokens: bool,
) -> Vec<&'static str> {
    let is_bindable = binding.is_some_and(|binding| !binding.channel().bindings.is_empty());
    let passwords = SCRAM
        .iter()
        .filter(|(_, hash, plus)| {
            (is_bindable || *plus == Plus::No) && hashes.iter().any(|name| name.0 == *hash)
        })
        .map(|(name, ..)| *name)
        .chain(takes_plain.then_some("PLAIN"));
    let is_certified = binding.is_some_and(|binding| binding.is_certified);
    // RFC 7628 §4: a token in the clear would be anybody's.
    let tokens = (takes_tokens && binding.is_some()).then_some(oauth::NAME);
    is_certified.then_some("EXTERNAL").into_iter().chain(passwords).chain(tokens).collect()
}

impl Server {
    /// Whether tokens of a provider are taken, for some domain: what is offered is offered before one is named.
    pub(crate) fn takes_tokens(&self) -> bool {
        self.auth.authenticator.providers().next().is_some()
    }

    /// The hashes of SCRAM that are offered to a domain: none where a directory keeps its passwords, since a client takes SCRAM if it
    /// may, and nobody here has what would verify it.
    pub(crate) fn scram(&self, domain: &str) -> &[ScramName] {
        if self.is_kept_elsewhere(domain) { &[] } else { &self.config.scram }
    }

    /// Whether the password itself may be sent to a domain.
    pub(crate) fn takes_plain(&self, domain: &str) -> bool {
        self.config.plain == PlainFor::Always || self.is_kept_elsewhere(domain)
    }

    fn is_kept_elsewhere(&self, domain: &str) -> bool {
        self.auth.authenticator.kept_elsewhere().iter().any(|kept| **kept == *domain)
    }
}

/// The mechanisms for tokens, most wanted first: on TLS alone (XEP-0484 §6).
pub(crate) fn fast_mechanisms(binding: Option<&Binding>) -> Vec<&'static str> {
    let Some(binding) = binding else { return Vec::new() };
    let is_there = |ht: &Ht| *ht == Ht::None || !data_of(*ht, binding).is_empty();
    [Ht::Expr, Ht::Endp, Ht::None].into_iter().filter(is_there).map(Ht::name).collect()
}

/// What a token's mechanism is bound to.
fn data_of(ht: Ht, binding: &Binding) -> Vec<u8> {
    match ht {
        Ht::None => Vec::new(),
        Ht::Expr => binding.exporter.clone().unwrap_or_default(),
        Ht::Endp => binding.end_point.clone(),
    }
}

/// The names of the channel bindings (XEP-0440 §3).
pub(crate) fn channel_bindings(binding: Option<&Binding>) -> Vec<&'static str> {
    binding
        .map(|binding| binding.channel().bindings.into_iter().map(|(name, _)| name).collect())
        .unwrap_or_default()
}

/// A proof under way.
pub(crate) struct Exchange {
    state: State,
    channel: Channel,
    origin: Origin,
    /// Whose account it can be.
    domain: String,
}

enum State {
    /// What a token is bound to, which installation shows it, and whether it is to end.
    Fast {
        ht: Ht,
        binding: Vec<u8>,
        client: String,
        invalidate: bool,
    },
    Plain,
    Anonymous,
    /// What the certificate names, and what names it, if its account alone stands behind it.
    External(Vec<String>, Option<String>),
    ScramFirst(ScramHash, Plus),
    ScramLast(Box<ScramExchange>),
    Bearer,
    /// A token was refused; the client has the last word (RFC 7628 §3.2.3).
    Refused(SaslFailure),
}

/// What a response led to.
pub(crate) enum Step {
    /// Send this and wait.
    Challenge(Box<Exchange>, String),
    /// Somebody proved who they are; send this with the success, and a token for this mechanism.
    Proven(Identity, Option<String>, Option<Ht>),
    /// Somebody showed a certificate, which may allow one resource alone.
    Certified(Identity, Option<String>),
    /// Nobody proved anything: a guest, and its place.
    Guest(Identity, Seat),
    /// They did not.
    Failed(SaslFailure),
}

impl Exchange {
    /// Begins a mechanism that was offered; `inline` is what was asked for beside it.
    pub(crate) fn begin(
        mechanism: &str,
        binding: Option<&Binding>,
        inline: Option<&Inline>,
        (ip, domain): (IpAddr, &str),
        server: &Server,
    ) -> Self {
        let mechanisms =
            || mechanisms(binding, server.scram(domain), server.takes_plain(domain), server.takes_tokens());
        let domain = domain.to_owned();
        let origin = Origin::new(Protocol::Xmpp, ip);
        let fast = inline.and_then(|inline| inline.fast).zip(Ht::parse(mechanism)).zip(binding);
        if let Some(((fast, ht), binding)) = fast {
            let client = inline.and_then(|inline| inline.user_agent.as_ref()).map(|agent| agent.id.clone());
            let client = client.unwrap_or_default();
            let binding = data_of(ht, binding);
            let state = State::Fast { ht, binding, client, invalidate: fast.invalidate };
            return Self { state, channel: Channel::default(), origin, domain };
        }
        if mechanism == ANONYMOUS {
            return Self { state: State::Anonymous, channel: Channel::default(), origin, domain };
        }
        if let Some(binding) = binding.filter(|_| mechanism == "EXTERNAL") {
            let state = State::External(binding.names.clone(), binding.own.clone());
            return Self { state, channel: Channel::default(), origin, domain };
        }
        if mechanism == oauth::NAME {
            return Self { state: State::Bearer, channel: Channel::default(), origin, domain };
        }
        let scram = SCRAM.iter().find(|(name, ..)| *name == mechanism);
        let state = scram.map_or(State::Plain, |(_, hash, plus)| State::ScramFirst(*hash, *plus));
        let mut channel = binding.map(Binding::channel).unwrap_or_default();
        channel.mechanisms = mechanisms();
        Self { state, channel, origin, domain }
    }

    /// Takes a response; `tried` is what failed on the stream before.
    pub(crate) async fn step(self, server: &Server, text: &str, tried: &mut Tried) -> Step {
        let Ok(message) = STANDARD.decode(text) else { return Step::Failed(SaslFailure::IncorrectEncoding) };
        match self.advance(server, &message, tried).await {
            Ok(step) => step,
            Err(denied) => Step::Failed(failure(&denied)),
        }
    }

    async fn advance(self, server: &Server, message: &[u8], tried: &mut Tried) -> Result<Step, Denied> {
        let authenticator = &server.auth.authenticator;
        match self.state {
            State::Plain => {
                let proof = parse_plain(message, &self.domain)?;
                Ok(Step::Proven(authenticator.verify_on(proof, self.origin, tried).await?, None, None))
            }
            // What a guest says of itself is looked at by nobody (XEP-0175 §3).
            State::Anonymous => server
                .guests
                .admit(server, self.origin.ip)
                .map(|(identity, seat)| Step::Guest(identity, seat)),
            State::Bearer => {
                let provider = authenticator.provider(&self.domain).ok_or(Denied::NoVerifier)?;
                match authenticator.verify(oauth::parse(message, &self.domain)?, self.origin).await {
                    Ok(identity) => Ok(Step::Proven(identity, None, None)),
                    Err(denied) if denied.on_wire() == OnWire::Refused => {
                        let state = State::Refused(failure(&denied));
                        let told = STANDARD.encode(oauth::error(provider));
                        Ok(Step::Challenge(Box::new(Self { state, ..self }), told))
                    }
                    Err(denied) => Err(denied),
                }
            }
            State::Refused(failure) => Ok(Step::Failed(failure)),
            State::External(names, own) => {
                let jid = certified(&names, message, &self.domain, own.is_some())?;
                let name = jid.bare_str().to_owned();
                let proof = match own {
                    Some(fingerprint) => Proof::OwnCertificate { name, fingerprint },
                    None => Proof::Certificate { name },
                };
                let identity = authenticator.verify(proof, self.origin).await?;
                Ok(Step::Certified(identity, jid.resource().map(str::to_owned)))
            }
            State::ScramFirst(hash, plus) => {
                let start = ScramStart::parse(message, hash, plus, &self.channel)?;
                let exchange = authenticator.begin_scram(start, &self.domain, self.origin).await?;
                let challenge = STANDARD.encode(exchange.server_first());
                Ok(Step::Challenge(
                    Box::new(Self { state: State::ScramLast(Box::new(exchange)), ..self }),
                    challenge,
                ))
            }
            State::ScramLast(exchange) => {
                let last = exchange.finish(message)?;
                let answer = STANDARD.encode(last.server_final());
                let identity = authenticator.verify_on(Proof::Scram(last), self.origin, tried).await?;
                Ok(Step::Proven(identity, Some(answer), None))
            }
            State::Fast { ht, binding, client, invalidate } => {
                if client.is_empty() {
                    return Err(Denied::Malformed("a token needs the id of a user agent")); // XEP-0484 §4.1
                }
                let (name, mac) = FastStart::parse(message)?;
                let domain = self.domain;
                let start = FastStart { name, domain, client, mechanism: ht, binding, mac, invalidate };
                let last = authenticator.begin_fast(start, self.origin).await?;
                let (answer, due) = (STANDARD.encode(last.answer()), last.due());
                let identity = authenticator.verify(Proof::Fast(last), self.origin).await?;
                Ok(Step::Proven(identity, Some(answer), due))
            }
        }
    }
}

/// XEP-0178 §2, steps 9 to 11: the one address of this domain that the certificate names, or the one of several that the client
/// wants to be; with the resource if it is a whole address (XEP-0257 §3). The owner of one that names nobody says who they are.
fn certified(names: &[String], authzid: &[u8], domain: &str, is_own: bool) -> Result<Jid, Denied> {
    let ours = names.iter().filter_map(|name| name.parse::<Jid>().ok()).filter(|jid| jid.domain() == domain);
    let ours: Vec<Jid> = ours.collect();
    if authzid.is_empty() {
        return match &ours[..] {
            [one] => Ok(one.clone()),
            _ => Err(Denied::ForeignAuthzid),
        };
    }
    let wanted = std::str::from_utf8(authzid).map_err(|_| Denied::Malformed("not UTF-8"))?;
    let wanted = wanted.parse::<Jid>().map_err(|_| Denied::Malformed("no address"))?;
    match &ours[..] {
        [] if is_own && wanted.domain() == domain => Ok(wanted.to_bare()),
        [one] if one.bare_str() == wanted.bare_str() => Ok(one.clone()),
        several if several.contains(&wanted) => Ok(wanted),
        several if several.iter().any(|one| one.bare_str() == wanted.bare_str()) => Ok(wanted.to_bare()),
        _ => Err(Denied::ForeignAuthzid),
    }
}

/// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
fn parse_plain(message: &[u8], domain: &str) -> Result<Proof, Denied> {
    let text = std::str::from_utf8(message).map_err(|_| Denied::Malformed("not UTF-8"))?;
    let mut parts = text.split('\0');
    let (Some(authzid), Some(name), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Denied::Malformed("PLAIN has three parts"));
    };
    let (authzid, name, password) = (authzid.to_owned(), name.to_owned(), password.to_owned());
    Ok(Proof::Plain { name, domain: domain.to_owned(), password, authzid })
}

/// RFC 6120 §6.5.
fn failure(denied: &Denied) -> SaslFailure {
    match denied {
        Denied::ForeignAuthzid => SaslFailure::InvalidAuthzid, // §6.5.6; the password was right
        Denied::Expired => SaslFailure::CredentialsExpired,    // §6.5.3; the token was right
        denied => match denied.on_wire() {
            OnWire::Malformed => SaslFailure::MalformedRequest,
            OnWire::TryLater(_) | OnWire::TemporaryFailure => SaslFailure::TemporaryAuthFailure,
            OnWire::Refused | OnWire::ChallengeAgain | OnWire::ChallengeStale => SaslFailure::NotAuthorized,
        },
    }
}

/// The tasks by which a client gives the keys of a hash that its account lacks (XEP-0480): on TLS alone, since who hears one
/// could log in with it.
pub(crate) fn upgrades(binding: Option<&Binding>, hashes: &[ScramName]) -> Vec<&'static str> {
    let is_offered = |hash: &ScramHash| binding.is_some() && hashes.iter().any(|name| name.0 == *hash);
    UPGRADES.iter().filter(|(_, hash)| is_offered(hash)).map(|(task, _)| *task).collect()
}

/// To which domains a client may send the password itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlainFor {
    /// To all.
    Always,
    /// To those whose passwords a directory keeps, which nothing else proves.
    Directory,
}

/// A hash of SCRAM as operators write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct ScramName(ScramHash);

impl ScramName {
    /// All that are known, the strongest first.
    pub(crate) const ALL: [Self; 3] =
        [Self(ScramHash::Sha512), Self(ScramHash::Sha256), Self(ScramHash::Sha1)];
}

impl TryFrom<String> for ScramName {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match word.as_str() {
            "SHA-512" => Ok(Self(ScramHash::Sha512)),
            "SHA-256" => Ok(Self(ScramHash::Sha256)),
            "SHA-1" => Ok(Self(ScramHash::Sha1)),
            other => Err(format!("`{other}` is no hash of SCRAM here; known are SHA-512, SHA-256 and SHA-1")),
        }
    }
}

const SCRAM: &[(&str, ScramHash, Plus)] = &[
    ("SCRAM-SHA-512-PLUS", ScramHash::Sha512, Plus::Yes),
    ("SCRAM-SHA-256-PLUS", ScramHash::Sha256, Plus::Yes),
    ("SCRAM-SHA-1-PLUS", ScramHash::Sha1, Plus::Yes),
    ("SCRAM-SHA-512", ScramHash::Sha512, Plus::No),
    ("SCRAM-SHA-256", ScramHash::Sha256, Plus::No),
    ("SCRAM-SHA-1", ScramHash::Sha1, Plus::No),
];

/// The mechanism of guests.
pub(super) const ANONYMOUS: &str = "ANONYMOUS";
/// The tasks of XEP-0480 §3.
pub(super) const UPGRADES: &[(&str, ScramHash)] = &[
    ("UPGR-SCRAM-SHA-512", ScramHash::Sha512),
    ("UPGR-SCRAM-SHA-256", ScramHash::Sha256),
    ("UPGR-SCRAM-SHA-1", ScramHash::Sha1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_plus_only_where_there_is_something_to_bind_to() {
        assert_eq!(mechanisms(None, &ScramName::ALL, true, false)[0], "SCRAM-SHA-512");
        let binding = Binding { end_point: vec![1], ..Binding::default() };
        assert_eq!(mechanisms(Some(&binding), &ScramName::ALL, true, false)[0], "SCRAM-SHA-512-PLUS");
        assert_eq!(channel_bindings(Some(&binding)), ["tls-server-end-point"]);
        assert_eq!(fast_mechanisms(Some(&binding)), ["HT-SHA-256-ENDP", "HT-SHA-256-NONE"]);
        assert_eq!(mechanisms(Some(&binding), &[], true, true), ["PLAIN", "OAUTHBEARER"]);
        assert_eq!(mechanisms(None, &[], true, true), ["PLAIN"]);
        let shown = Binding { is_certified: true, ..binding };
        assert_eq!(mechanisms(Some(&shown), &ScramName::ALL, true, false)[0], "EXTERNAL");
        assert!(fast_mechanisms(None).is_empty(), "a token in the clear would be anybody's");
        let names = ["a@x".to_owned(), "b@x/s".to_owned(), "c@elsewhere".to_owned()];
        let who = |names: &[String], authzid: &str, is_own| {
            certified(names, authzid.as_bytes(), "x", is_own).map(|jid| jid.to_string()).ok()
        };
        assert_eq!(who(&names, "b@x/r", false).as_deref(), Some("b@x"));
        assert_eq!(who(&names, "b@x/s", false).as_deref(), Some("b@x/s"), "the whole address that it names");
        assert_eq!(who(&names[1..], "", false).as_deref(), Some("b@x/s"), "the one of this domain");
        assert_eq!(who(&names[1..], "b@x", true).as_deref(), Some("b@x/s"));
        assert!(who(&names, "", false).is_none() && who(&names, "c@elsewhere", false).is_none());
        assert_eq!(who(&[], "a@x/r", true).as_deref(), Some("a@x"), "its owner says who it is");
        assert!(who(&[], "a@x", false).is_none() && who(&[], "", true).is_none());
        assert!(who(&names, "d@x", true).is_none() && who(&[], "a@elsewhere", true).is_none());
        assert!(parse_plain(b"\0a", "x").is_err() && parse_plain(b"\0a\0b", "x").is_ok());
    }
}
