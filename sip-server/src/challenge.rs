//! Which Digest challenges a client sees, and in which order — RFC 8760 §2.4.
//!
//! In    the challenges that `auth.algorithms` makes; the request, and what it came over.
//! Out   those that the first matching rule of `sip.challenges` names, in its order; without a rule all of them, or MD5
//! alone for clients that are known to give up at the first header that they do not know.
//! Errors none: a rule that leaves nothing to ask with is passed over, for nobody could answer.

use serde::Deserialize;
use shared_auth::{Challenge, DigestAlgorithm};
use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};
use sip_endpoint::Flow;

/// What the configuration says of challenges.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChallengePolicy<'a> {
    /// `sip.challenges`.
    pub(crate) rules: &'a [ChallengeRule],
    /// `sip.first_challenge_only`.
    pub(crate) first_challenge_only: &'a [String],
}

/// One rule; what is absent matches everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChallengeRule {
    /// `udp`, `tcp`, `tls`, …
    pub listener: Option<String>,
    /// A part of the User-Agent.
    pub user_agent: Option<String>,
    /// The user part of From.
    pub account: Option<String>,
    /// What is asked for, in this order.
    pub algorithms: Vec<DigestAlgorithm>,
}

impl ChallengePolicy<'_> {
    /// The challenges that this client sees.
    pub(crate) fn choose(&self, all: Vec<Challenge>, request: &Message, flow: &Flow) -> Vec<Challenge> {
        let user_agent = request.value(Name::UserAgent).unwrap_or_default().to_ascii_lowercase();
        let is_named = |part: &str| user_agent.contains(&part.to_ascii_lowercase());
        let wanted = self
            .rules
            .iter()
            .find(|rule| {
                rule.listener.as_ref().is_none_or(|word| word.eq_ignore_ascii_case(flow.transport.as_param()))
                    && rule.user_agent.as_deref().is_none_or(is_named)
                    && rule.account.as_deref().is_none_or(|account| is_from(request, account))
            })
            .map(|rule| rule.algorithms.as_slice());
        let is_simple = self.first_challenge_only.iter().any(|part| is_named(part));
        let wanted = wanted.or(is_simple.then_some(&[DigestAlgorithm::Md5]));
        let Some(wanted) = wanted else { return all };
        let chosen: Vec<Challenge> = wanted
            .iter()
            .filter_map(|algorithm| all.iter().find(|challenge| challenge.algorithm == *algorithm).cloned())
            .collect();
        if chosen.is_empty() { all } else { chosen }
    }
}

fn is_from(request: &Message, account: &str) -> bool {
    let from =
        NameAddr::parse(request.value(Name::From).unwrap_or_default()).and_then(|from| Uri::parse(from.uri));
    from.is_some_and(|from| from.user_unescaped() == account)
}

#[cfg(test)]
mod tests {
    use sip_endpoint::Transport;

    use super::*;

    fn seen(rules: &[ChallengeRule], transport: Transport, user_agent: &str) -> Vec<&'static str> {
        let challenge = |algorithm| Challenge {
            realm: "x".to_owned(),
            nonce: "n".to_owned(),
            algorithm,
            qop: "auth",
            stale: false,
        };
        let all = [DigestAlgorithm::Sha512_256, DigestAlgorithm::Sha256, DigestAlgorithm::Md5]
            .map(challenge)
            .to_vec();
        let mut request = Message::request("REGISTER", "sip:x");
        request.push(Name::UserAgent, user_agent);
        request.push(Name::From, "<sip:%61lice@x>;tag=1");
        let nowhere = ([192, 0, 2, 1], 5060).into();
        let flow = Flow { transport, id: 0, local: nowhere, remote: nowhere };
        let first_challenge_only = &["baresip v1".to_owned()];
        ChallengePolicy { rules, first_challenge_only }
            .choose(all, &request, &flow)
            .iter()
            .map(|challenge| challenge.algorithm.as_str())
            .collect()
    }

    fn rule(
        listener: &str,
        user_agent: &str,
        account: &str,
        algorithms: &[DigestAlgorithm],
    ) -> ChallengeRule {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        ChallengeRule {
            listener: given(listener),
            user_agent: given(user_agent),
            account: given(account),
            algorithms: algorithms.to_vec(),
        }
    }

    #[test]
    fn who_reads_one_header_is_asked_for_md5() {
        assert_eq!(seen(&[], Transport::Udp, "Phone"), ["SHA-512-256", "SHA-256", "MD5"]);
        assert_eq!(seen(&[], Transport::Udp, "Baresip v1.0.0"), ["MD5"]);
    }

    #[test]
    fn the_first_rule_that_matches_decides_the_order() {
        let (md5, sha) = (DigestAlgorithm::Md5, DigestAlgorithm::Sha256);
        let rules =
            [rule("tls", "", "", &[sha]), rule("", "Old", "", &[md5, sha]), rule("", "", "alice", &[])];
        assert_eq!(seen(&rules, Transport::Tls, "Oldphone"), ["SHA-256"]);
        assert_eq!(seen(&rules, Transport::Udp, "Oldphone"), ["MD5", "SHA-256"]);
        assert_eq!(seen(&rules, Transport::Udp, "New").len(), 3, "a rule that asks for nothing");
    }
}
