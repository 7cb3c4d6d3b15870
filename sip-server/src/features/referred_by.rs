//! Referred-By — RFC 3892 §2.1: who asks the focus to call somebody is who sent the REFER, and whoever is called believes it.
//!
//! In    a REFER to an endpoint of ours, and whose it is: by their proof, or by the side of the dialog that they are.
//! Out   the same, with a Referred-By that names nobody but them; none of who is not known, such as in a dialog of before a restart.
//! Not here: REFERs between phones, whose matter it is; tokens (§5), which nobody here can judge.

use shared_model::{Aor, Domains, Spec};
use sip_core::header::{Name, NameAddr};
use sip_core::privacy::is_nobody;
use sip_core::{Message, Uri};

use super::{Destination, Passage};

/// RFC 3892.
pub const SPEC: Spec = Spec::rfc(3892).note("towards the focus; no tokens");

/// Mends what a REFER to the focus says of its sender.
pub fn apply(request: &mut Message, passage: &Passage<'_>) {
    if request.method() != "REFER" || passage.to != Destination::Trusted || passage.is_ours {
        return;
    }
    let Some(said) = request.value(Name::ReferredBy) else { return };
    let sender = passage.caller.map(|caller| &caller.aor).or(passage.sender);
    if !passage.is_anonymous && is_true(said, sender, passage.domains) {
        return;
    }
    request.remove(Name::ReferredBy);
    if let Some(sender) = sender.filter(|_| !passage.is_anonymous) {
        request.push(Name::ReferredBy, &format!("<{}>", sender.to_sip_uri()));
    }
}

/// Whether somebody may say this of themselves, as in From: nobody is everybody's.
fn is_true(said: &str, sender: Option<&Aor>, domains: &Domains) -> bool {
    let Some(uri) = NameAddr::parse(said).and_then(|said| Uri::parse(said.uri)) else { return false };
    let own = |sender: &Aor| {
        domains.find(uri.host).is_some_and(|domain| {
            Aor::new(&uri.user_unescaped(), domain).is_ok_and(|said| uri.is_sip() && said == *sender)
        })
    };
    is_nobody(&uri) || sender.is_some_and(own)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{alice, passage};
    use super::*;

    fn seen(said: &str, passage: Passage<'_>) -> Option<String> {
        let mut refer = Message::request("REFER", "sip:room@focus");
        refer.push(Name::ReferredBy, said);
        apply(&mut refer, &passage);
        refer.value(Name::ReferredBy).map(str::to_owned)
    }

    #[test]
    fn a_sender_names_themselves_or_nobody() {
        let (alice, domains) = (alice(), Domains::new("example.org", []));
        let proved = Passage { to: Destination::Trusted, domains: &domains, ..passage(Some(&alice)) };
        let inside = Passage { caller: None, sender: Some(&alice.aor), ..proved };
        let stranger = Passage { caller: None, ..proved };
        let own = Some("<sip:100@example.org>".to_owned());
        for of in [proved, inside] {
            for said in ["\"A\" <sip:100@EXAMPLE.org>;x", "<sip:anonymous@anonymous.invalid>"] {
                assert_eq!(seen(said, of).as_deref(), Some(said));
                assert_eq!(seen(said, Passage { is_anonymous: true, ..of }), None, "{said}");
            }
            for said in ["<sip:200@example.org>", "<sip:100@far>", "<tel:+1>", "nonsense"] {
                assert_eq!(seen(said, of), own, "{said}");
                assert_eq!(seen(said, Passage { is_anonymous: true, ..of }), None, "{said}");
            }
        }
        // Not by an address of ours in place of our domain either.
        for said in ["<sip:100@example.org>", "<sip:100@192.0.2.1>", "<tel:+1>", "<sip:far@far>"] {
            assert_eq!(seen(said, stranger), None, "{said}");
        }
        let to_phone = Passage { to: Destination::Device, ..proved };
        assert_eq!(seen("<sip:200@example.org>", to_phone).as_deref(), Some("<sip:200@example.org>"));
    }
}
