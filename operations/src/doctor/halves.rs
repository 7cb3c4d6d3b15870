//! Accounts whose halves are unequal — RFC 7081 §7: a telephone without encryption beside chat, which has it always; and such as have
//! neither, since nobody serves their domain.
//!
//! In    bindings as they are now; what the running server counts of how both halves are protected. Out whose telephones say that their way
//!       is not TLS, and of how many accounts one half logs in by less than the other (S-44).
//! Not here: who has one half alone, which the own page says (chat sessions are in no store); media, whose keys the ends agree on.

use std::collections::BTreeSet;
use std::time::Duration;

use shared_runtime::unix_millis;
use shared_store::is_protected;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Findings, Ward, unserved};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    if ward.running.is_none() {
        return found.no_server();
    }
    let Ok((auth, store)) = &ward.auth else {
        return found.unchecked("not checked: the store does not open");
    };
    match unserved(auth, &ward.domains).await {
        Ok(some) if some.is_empty() => {}
        Ok(some) => {
            let named = some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            found.warning(
                format!("accounts are of domains that are not served: {named}"),
                "put their domain into `[[domains]]` again, or remove them (cusax user remove)",
            );
        }
        Err(error) => found.unchecked(format!("accounts cannot be read: {error}")),
    }
    match store.bindings.ending(unix_millis(), i64::MAX, MOST).await {
        Ok(bindings) => {
            let all = bindings.iter().map(|binding| (binding.aor.as_str(), binding.contact.as_str()));
            judge(all, found);
        }
        Err(error) => found.unchecked(format!("bindings cannot be read: {error}")),
    }
    // Where nothing listens for operators, or another process has the pages, each account's own page says it.
    if let Ok(Some(told)) = tokio::time::timeout(PATIENCE, metrics(ward)).await {
        judge_counts(&told, found);
    }
}

/// What the running server tells in figures.
async fn metrics(ward: &Ward) -> Option<String> {
    let address = ward.reach("operations.listen")?;
    let mut socket = TcpStream::connect(address).await.ok()?;
    let ask = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(ask.as_bytes()).await.ok()?;
    let mut told = Vec::new();
    socket.take(LONGEST).read_to_end(&mut told).await.ok()?;
    Some(String::from_utf8_lossy(&told).into_owned())
}

fn judge_counts(told: &str, found: &mut Findings) {
    let counts = told.lines().filter_map(|line| {
        let (kind, count) =
            line.strip_prefix("provisioning_unequal_accounts{finding=\"")?.split_once("\"} ")?;
        Some((kind, count.trim().parse::<u64>().ok()?))
    });
    let counts: Vec<(&str, u64)> = counts.collect();
    for (kind, what, remedy) in UNEQUAL {
        if let Some((_, count)) = counts.iter().find(|(known, count)| known == kind && *count > 0) {
            found.note(what.replacen("{}", &count.to_string(), 1), *remedy);
        }
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

/// What the metric calls it, what it is, and what mends it. Telephones without TLS are named above.
const UNEQUAL: &[(&str, &str, &str)] = &[
    (
        "chat_unprotected",
        "{} accounts have a chat client that is connected without encryption",
        "set tls.require = true; where it is, they come from this machine, by a proxy that forwards in the clear",
    ),
    (
        "phone_md5",
        "{} accounts have a telephone that logs in by Digest with MD5, while their chat answers by a sound hash",
        "set these telephones up again, of makes that know SHA-256 (RFC 8760); without MD5 in auth.algorithms there is no other way",
    ),
    (
        "chat_plain",
        "{} accounts have a chat client that logs in by PLAIN, while their telephones never show the password",
        "SCRAM is the client's to choose; whose password a directory keeps needs an app password for it",
    ),
    (
        "phone_without_certificate",
        "{} accounts have a telephone that logs in by a password, while their chat has a certificate",
        "a telephone may show a certificate of tls.client_ca; others need an app password of their own",
    ),
    (
        "chat_without_certificate",
        "{} accounts have a chat client that logs in by a password, while their telephone has a certificate",
        "a chat client may log in by EXTERNAL with the same certificate; others need an app password of their own",
    ),
    (
        "phone_older",
        "{} accounts have a telephone whose TLS is older than that of their chat",
        "update these telephones",
    ),
    (
        "chat_older",
        "{} accounts have a chat client whose TLS is older than that of their telephones",
        "update these clients",
    ),
];
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of the figures.
const LONGEST: u64 = 4 << 20;
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
    fn what_the_server_counts_is_said_with_what_mends_it() {
        let told = "# HELP provisioning_unequal_accounts x\nprovisioning_unequal_accounts{finding=\"chat_plain\"} 0\n\
                    provisioning_unequal_accounts{finding=\"phone_md5\"} 3\nother{finding=\"chat_older\"} 9\n";
        let mut found = Findings { check: "halves", all: Vec::new() };
        judge_counts(told, &mut found);
        assert_eq!(found.all.len(), 1);
        let told = &found.all[0];
        assert!(
            told.severity == Severity::Note && told.text.starts_with("3 accounts have a telephone"),
            "{}",
            told.text
        );
        assert!(told.remedy.contains("auth.algorithms"), "{}", told.remedy);
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
