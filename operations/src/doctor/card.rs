//! Whether cards say how to call — RFC 7081 §3.1: the `tel` of one's card is one's SIP address, whoever wrote the rest of it.
//!
//! In    a temporary account and the listener `xmpp.c2s_tls`. Out its card (XEP-0054), as every contact gets it.
//! Errors the step that did not happen.

use shared_model::idn::to_ascii;

use super::chat::{PATIENCE, Talk};
use super::patient::{Ill, Patient, Trial};
use super::{Findings, Ward};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    CARD.carry_out(ward, found).await;
}

const CARD: Trial = Trial {
    listener: "xmpp.c2s_tls",
    without: "cards are read there",
    done: "has a card that says the address by which it is called",
    patience: PATIENCE,
    run: |ward, patient| {
        Box::pin(async {
            let card = read(ward, patient).await?;
            tells(&card, patient.aor.as_str()).then_some(()).ok_or_else(|| Ill {
                what: "the card of an account does not say the address by which it is called: contacts cannot call whom they chat with"
                    .to_owned(),
                remedy: "see that chat and calls are of one release and one configuration (domain, [[domains]])",
            })
        })
    },
};

async fn read(ward: &Ward, patient: &Patient) -> Result<String, String> {
    let mut line = Talk::log_in(ward, patient).await?;
    line.say("<iq type='get' id='c'><vCard xmlns='vcard-temp'/></iq>").await?;
    line.until("</iq>", "the card did not come").await?;
    let card = line.heard().to_owned();
    line.say("</stream:stream>").await?;
    Ok(card)
}

/// Whether a number of the card is the address, as a URI.
fn tells(card: &str, address: &str) -> bool {
    // SIP has domains in A-labels.
    let (user, domain) = address.split_once('@').unwrap_or(("", address));
    let wanted = format!("sip:{user}@{}", to_ascii(domain));
    let numbers = card.split("<NUMBER>").skip(1).filter_map(|rest| rest.split('<').next());
    numbers.map(str::trim).any(|number| number.eq_ignore_ascii_case(&wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_address_and_not_a_part_of_it() {
        let card = |number: &str| {
            format!("<vCard><FN>sip:a@b</FN><TEL><WORK/><NUMBER>{number}</NUMBER></TEL></vCard>")
        };
        assert!(tells(&card("sip:a@b"), "a@b"));
        assert!(tells(&card("sip:a@xn--mnchen-3ya.example"), "a@münchen.example"));
        for wrong in ["a@b", "sip:a@bc", "sip:aa@b", ""] {
            assert!(!tells(&card(wrong), "a@b"), "{wrong}");
        }
    }
}
