//! Where a value stands that is not of its kind: the line of the file, or the variable, and what is there.
//!
//! In    the sentence of the reader, which names the key; the text. Out the sentence with the place; `None` where it is not found.
//! Not here: values of secrets, which no terminal or log is to have; tables, in which there may be some; URLs that name a user.

use shared_runtime::config::PREFIX;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The sentence, and where that is.
pub(super) fn found(what: &str, text: &str) -> Option<String> {
    let path = what.rsplit_once("in `")?.1.split('`').next()?;
    let variable = format!("{PREFIX}{}", path.to_uppercase().replace('.', "__"));
    let (place, value) = match std::env::var(&variable) {
        Ok(value) => (variable, value),
        Err(_) => {
            let span = span(DeTable::parse(text).ok()?.get_ref(), path)?;
            let line = text.get(..span.start)?.matches('\n').count() + 1;
            (format!("line {line}"), text.get(span)?.to_owned())
        }
    };
    if SECRET.iter().any(|word| path.contains(word)) || !is_shown(&value) {
        return Some(format!("{what} ({place})"));
    }
    let is_long = value.chars().count() > MOST;
    let shown: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect();
    Some(format!("{what} ({place}: {shown}{})", if is_long { "…" } else { "" }))
}

/// Whether a value, as it is written, has no secret: a scalar or a list of them, and no URL with a user.
fn is_shown(value: &str) -> bool {
    let has_user = value.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
    let text = format!("it = {value}");
    let is_flat = match DeTable::parse(&text).map(|table| table.into_inner().remove("it")) {
        Ok(Some(it)) => is_flat(it.get_ref()),
        // A variable, which is a text without its marks; or what only looks like a list or a table.
        _ => !value.trim_start().starts_with(['[', '{']),
    };
    is_flat && !has_user
}

fn is_flat(value: &DeValue<'_>) -> bool {
    let is_scalar = |value: &DeValue<'_>| !(value.is_table() || value.is_array());
    match value {
        DeValue::Array(all) => all.iter().all(|one| is_scalar(one.get_ref())),
        value => is_scalar(value),
    }
}

/// Where the value of a key is.
fn span(table: &DeTable<'_>, path: &str) -> Option<std::ops::Range<usize>> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let (_, value): (_, &Spanned<DeValue<'_>>) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    match rest {
        Some(rest) => span(value.get_ref().as_table()?, rest),
        None => Some(value.span()),
    }
}

/// What keys of secrets have in their names.
const SECRET: [&str; 3] = ["password", "secret", "token"];
/// Characters of a value that are shown.
const MOST: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_not_of_its_kind_is_shown_where_it_stands() {
        let text = "domain = \"x\"\n\n[sip]\nudp = 5\nsecret = [1]\n\
            trunks = [{ server = \"x\", password = \"hunter2\", bogus = 1 }]\nhosts = [1, \"a\"]\n\
            [store]\nurl = [\"postgres://us:hunter2@db/x\"]\n[sip.timers]\nb = \"soon\"\n";
        for (what, wanted) in [
            ("invalid type: integer `5`, expected a sequence in `sip.udp`", Some("in `sip.udp` (line 4: 5)")),
            ("no length of time in `sip.timers.b`", Some("in `sip.timers.b` (line 11: \"soon\")")),
            ("unknown field `bogus` in `sip.trunks`", Some("in `sip.trunks` (line 6)")),
            ("invalid type in `sip.hosts`", Some("in `sip.hosts` (line 7: [1, \"a\"])")),
            ("invalid type: sequence in `store.url`", Some("in `store.url` (line 9)")),
            ("invalid type in `sip.secret`", Some("in `sip.secret` (line 5)")),
            ("invalid type in `sip.tcp`", None),
            ("invalid type", None),
        ] {
            let found = found(what, text);
            assert_eq!(found.is_some(), wanted.is_some(), "{what}");
            assert!(!found.iter().any(|found| found.contains("hunter2")), "{found:?}");
            assert!(found.iter().zip(wanted).all(|(found, wanted)| found.ends_with(wanted)), "{found:?}");
        }
    }

    #[test]
    fn a_variable_is_shown_where_it_is_flat() {
        for (value, wanted) in [
            ("soon", true),
            ("5", true),
            ("[\"127.0.0.1:5060\"]", true),
            ("[{ password = \"hunter2\" }]", false),
            ("[[\"hunter2\"]]", false),
            ("[{ password = ", false),
            ("postgres://us:hunter2@db/x", false),
            ("https://example.org/", true),
        ] {
            assert_eq!(is_shown(value), wanted, "{value}");
        }
    }
}
