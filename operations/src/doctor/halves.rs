//! Accounts whose halves are unequal — RFC 7081 §7: a telephone without encryption beside chat, which has it always.
//!
//! In    bindings as they are now. Out whose telephones say that their way is not TLS.
//! Not here: who has one half alone, which the own page says (chat sessions are in no store); media, whose keys the ends agree on.

use std::collections::BTreeSet;

use shared_runtime::unix_millis;
use shared_store::is_protected;

use super::{Findings, Ward};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    if ward.running.is_none() {
        return found.no_server();
    }
    let Ok((_, store)) = &ward.auth else { return found.unchecked("not checked: the store does not open") };
    match store.bindings.ending(unix_millis(), i64::MAX, MOST).await {
        Ok(bindings) => {
            let all = bindings.iter().map(|binding| (binding.aor.as_str(), binding.contact.as_str()));
            judge(all, found);
        }
        Err(error) => found.unchecked(format!("bindings cannot be read: {error}")),
    }
}

fn judge<'a>(all: impl Iterator<Item = (&'a str, &'a str)>, found: &mut Findings) {
    let mut telephones = 0;
    let open: BTreeSet<&str> = all
        .inspect(|_| telephones += 1)
        .filter(|(_, contact)| !is_protected(contact))
        .map(|(aor, _)| aor)
        .collect();
    if open.is_empty() {
        return found.ok(format!("all {telephones} telephones that are registered are protected as chat is"));
    }
    let named = open.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = if open.len() > NAMED { ", …" } else { "" };
    found.note(
        format!("{} accounts have a telephone without encryption, while their chat is encrypted: {named}{more}", open.len()),
        "set these up again by the files and codes for devices, which say TLS; without sip.udp and sip.tcp there is no other way",
    );
}

/// Bindings that are looked at.
const MOST: usize = 10_000;
/// Accounts that are named.
const NAMED: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Finding, Severity};

    fn of(all: &[(&str, &str)]) -> Finding {
        let mut found = Findings { check: "halves", all: Vec::new() };
        judge(all.iter().copied(), &mut found);
        found.all.remove(0)
    }

    #[test]
    fn telephones_in_the_clear_are_named_once_an_account() {
        let well = of(&[("a@b", "sip:a@192.0.2.1;transport=TLS"), ("c@b", "sips:c@192.0.2.1")]);
        assert_eq!(well.severity, Severity::Ok);
        let ill = of(&[
            ("a@b", "sip:a@192.0.2.1"),
            ("a@b", "sip:a@192.0.2.2;transport=udp"),
            ("c@b", "sip:c@d;transport=ws"),
        ]);
        assert_eq!(ill.severity, Severity::Note);
        assert!(ill.text.starts_with("1 accounts") && ill.text.ends_with(": a@b"), "{}", ill.text);
        let names: Vec<String> = (0..12).map(|n| format!("u{n:02}@b")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), "sip:x@192.0.2.1")).collect();
        assert!(of(&many).text.ends_with("u09@b, …"));
    }
}
