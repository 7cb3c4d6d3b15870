//! Cards of accounts as text — RFC 6350 (4.0), and RFC 2426 with RFC 4770 (3.0), which address books ask for.
//!
//! The AOR stands in TEL as RFC 7081 §3.1 wants it and in IMPP where liblinphone looks; the JID in IMPP beside it.

use shared_auth::AccountCard;

use crate::profile::shown_name;

/// Which grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Three,
    Four,
}

/// The card, with CRLF and folded lines.
pub(super) fn print(card: &AccountCard, version: Version) -> String {
    let mut out = String::new();
    let mut line = |text: String| fold(&mut out, &text);
    let (name, sip, xmpp) = (escape(shown_name(card)), card.aor.to_sip_uri(), card.jid.to_xmpp_uri());
    line("BEGIN:VCARD".to_owned());
    line(format!("VERSION:{}", if version == Version::Three { "3.0" } else { "4.0" }));
    line(format!("UID:urn:cusax:account:{}", card.account));
    line(format!("FN:{name}"));
    line(format!("N:;{name};;;"));
    let tel = |kind: &str, value: &str| match version {
        Version::Three => format!("TEL;TYPE=WORK,{}:{value}", kind.to_uppercase()),
        Version::Four => format!("TEL;VALUE=uri;TYPE=\"work,{kind}\":{value}"),
    };
    line(tel("voice", &sip));
    if card.video {
        line(tel("video", &sip));
    }
    for number in &card.numbers {
        line(match version {
            Version::Three => tel("voice", number),
            Version::Four => tel("voice", &format!("tel:{number}")),
        });
    }
    line(format!("IMPP:{sip}"));
    line(format!("IMPP:{xmpp}"));
    line("END:VCARD".to_owned());
    out
}

/// §3.4: commas, semicolons, backslashes and line ends inside a text.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ',' | ';' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// §3.2: at most 75 bytes a line, and no character divided.
fn fold(out: &mut String, line: &str) {
    let mut length = 0;
    for c in line.chars() {
        if length + c.len_utf8() > 75 {
            out.push_str("\r\n ");
            length = 1;
        }
        out.push(c);
        length += c.len_utf8();
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use shared_model::AccountId;

    use super::*;

    fn card(name: &str) -> AccountCard {
        AccountCard {
            account: AccountId(7),
            aor: "alice@example.org".parse().unwrap(),
            jid: "wonder@example.org".parse().unwrap(),
            name: name.to_owned(),
            numbers: vec!["+33123456789".to_owned()],
            video: true,
            admin: false,
            enabled: true,
        }
    }

    #[test]
    fn both_addresses_are_where_each_reader_looks() {
        let four = print(&card("Alice"), Version::Four);
        for line in [
            "VERSION:4.0",
            "TEL;VALUE=uri;TYPE=\"work,voice\":sip:alice@example.org",
            "TEL;VALUE=uri;TYPE=\"work,video\":sip:alice@example.org",
            "TEL;VALUE=uri;TYPE=\"work,voice\":tel:+33123456789",
            "IMPP:sip:alice@example.org",
            "IMPP:xmpp:wonder@example.org",
        ] {
            assert!(four.split("\r\n").any(|it| it == line), "{line}: {four}");
        }
        assert!(print(&card("Alice"), Version::Three).contains("TEL;TYPE=WORK,VOICE:+33123456789\r\n"));
    }

    #[test]
    fn a_name_cannot_begin_a_line_and_long_ones_are_folded() {
        let text = print(&card("a\r\nTEL:+1;,\\"), Version::Four);
        assert!(text.contains("FN:a\\nTEL:+1\\;\\,\\\\\r\n"), "{text}");
        let long = print(&card(&"é".repeat(100)), Version::Four);
        assert!(long.split("\r\n").all(|line| line.len() <= 75), "{long}");
        assert!(long.replace("\r\n ", "").contains(&format!("FN:{}", "é".repeat(100))));
    }
}
