//! The wire in the log, at `trace`: what comes and goes, for who has a telephone before them that is refused, over TLS too.
//!
//! In    a message as bytes. Out a line with its head, without what proves who somebody is, and without its body.

use std::borrow::Cow;
use std::fmt::{self, Write};

use shared_runtime::Redacted;

use crate::flow::Flow;
use crate::tap::Way;

/// Writes a line, if anybody wants such.
pub(crate) fn note(way: Way, flow: &Flow, bytes: &[u8]) {
    tracing::trace!(
        target: "sip_wire",
        ?way,
        transport = flow.transport.as_via(),
        peer = %Redacted(flow.remote),
        head = %Redacted(Head(bytes)),
    );
}

/// The head of a message, in one line: who sends it may not begin others.
struct Head<'a>(&'a [u8]);

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.0[..self.0.len().min(LONGEST)]);
        let mut is_secret = false;
        for (n, line) in text.lines().take_while(|line| !line.is_empty()).enumerate() {
            // A line that is folded (RFC 3261 §7.3.1) goes with the one before it.
            is_secret = if line.starts_with([' ', '\t']) { is_secret } else { is_of_proof(line) };
            f.write_str(if n == 0 { "" } else { " | " })?;
            match line.split_once(':').filter(|_| is_secret) {
                Some((name, _)) => write!(f, "{name}: …")?,
                None if is_secret => f.write_str("…")?,
                None => shown(line)
                    .chars()
                    .try_for_each(|c| f.write_char(if c.is_control() { '\u{fffd}' } else { c }))?,
            }
        }
        Ok(())
    }
}

/// Whether a header proves who sends it, or what could be tried as their password.
fn is_of_proof(line: &str) -> bool {
    let name = line.split_once(':').map_or("", |(name, _)| name.trim());
    PROOFS.iter().any(|proof| name.eq_ignore_ascii_case(proof))
}

/// A line without what wakes a device (RFC 8599 §4): who has it may.
fn shown(line: &str) -> Cow<'_, str> {
    let Some(at) = line.to_ascii_lowercase().find("pn-prid=") else { return Cow::Borrowed(line) };
    let (before, value) = line.split_at(at + "pn-prid=".len());
    let after = value.find([';', '>', '?', ',', ' ']).map_or("", |end| &value[end..]);
    Cow::Owned(format!("{before}…{}", shown(after)))
}

const PROOFS: [&str; 4] = ["Authorization", "Proxy-Authorization", "Authentication-Info", "Identity"];
/// Bytes of a head that are shown.
const LONGEST: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_one_line_without_proof_or_body() {
        let message = b"REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nproxy-authorization : Digest a=b,\r\n response=\"0\"\r\n\
            Subject: \x1b[2J\r\nContact: <sip:a;PN-PRID=t0ken;pn-param=1>\r\n\r\na=crypto:1 secret";
        let shown = Head(message).to_string();
        assert_eq!(
            shown,
            "REGISTER sip:x SIP/2.0 | Via: SIP/2.0/UDP a | proxy-authorization : … | … | Subject: \u{fffd}[2J \
             | Contact: <sip:a;PN-PRID=…;pn-param=1>"
        );
    }
}
