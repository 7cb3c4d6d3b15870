//! `cusax calls export`.

use std::io::Write;
use std::time::Duration;

use operations::doctor::is_patient;
use shared_runtime::unix_millis;
use shared_store::Store;
use sip_server::records::{CallRecord, page};

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A line of names, and a line a row (RFC 4180).
    Csv,
    /// One JSON object a line.
    Json,
}

/// Prints the rows of calls that began within `since`, oldest first, a page at a time; those of the doctor with itself are nobody's.
pub(crate) async fn export(store: &Store, since: Option<Duration>, form: Form) -> anyhow::Result<()> {
    let since = since.map(|since| unix_millis() - i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if form == Form::Csv {
        writeln!(out, "{}", CallRecord::COLUMNS.join(","))?;
    }
    let mut after = None;
    loop {
        let (rows, more) = page(&*store.archive, since, after).await?;
        let is_trial = |row: &&CallRecord| is_patient(&row.from) && is_patient(&row.to);
        for row in rows.iter().filter(|row| !is_trial(row)) {
            match form {
                Form::Csv => writeln!(out, "{}", row.columns().map(|text| quoted(&text)).join(","))?,
                Form::Json => writeln!(out, "{}", serde_json::to_string(row)?)?,
            }
        }
        if more.is_none() {
            return Ok(out.flush()?);
        }
        after = more;
    }
}

/// A field as a spreadsheet reads it: what strangers wrote (a Call-ID) is no formula; a telephone number is none.
fn quoted(text: &str) -> String {
    let is_number = |text: &str| text.len() > 1 && text[1..].bytes().all(|byte| byte.is_ascii_digit());
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number(text);
    let safe = if is_formula { format!("'{text}") } else { text.to_owned() };
    let text = safe.as_str();
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_divide_is_quoted() {
        assert_eq!(quoted("sip:a@x"), "sip:a@x");
        assert_eq!(quoted("sip:a,\"b\"@x"), "\"sip:a,\"\"b\"\"@x\"");
        assert_eq!(quoted("=HYPER(1)\"x"), "\"'=HYPER(1)\"\"x\"", "no spreadsheet computes it");
        assert_eq!(
            (quoted("+15550100"), quoted("-5"), quoted("-")),
            ("+15550100".into(), "-5".into(), "'-".into())
        );
    }
}
