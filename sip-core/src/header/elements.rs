//! The elements of a list — RFC 3261 §7.3.1: commas divide them, but not inside quotes or angle brackets.

/// Goes through the elements of one header's value; empty elements are passed over.
#[derive(Debug, Clone)]
pub struct Elements<'a>(&'a str);

impl<'a> Elements<'a> {
    /// The elements of `value`.
    pub fn new(value: &'a str) -> Self {
        Self(value)
    }

    /// What has not been gone through, without leading white space.
    pub fn rest(&self) -> &'a str {
        self.0.trim_ascii()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            if self.0.is_empty() {
                return None;
            }
            let (element, rest) = split(self.0);
            self.0 = rest;
            let element = element.trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

fn split(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let Some(comma) = memchr::memchr(b',', bytes) else { return (text, "") };
    // Most commas have neither quotes nor brackets before them.
    if memchr::memchr2(b'"', b'<', &bytes[..comma]).is_none() {
        return (&text[..comma], &text[comma + 1..]);
    }
    let (mut at, mut depth) = (0, 0_u32);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_quote(bytes, at),
            b'<' => depth += 1,
            b'>' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
        at += 1;
    }
    (text, "")
}

/// Where the quote ends that begins here, or else the last byte.
fn end_of_quote(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at;
        }
        at += 2;
    }
    bytes.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_divide_nothing() {
        let list = r#""A, \"B" <sip:a,b@x>;q=1 , ,<sip:c>"#;
        assert_eq!(Elements::new(list).collect::<Vec<_>>(), [r#""A, \"B" <sip:a,b@x>;q=1"#, "<sip:c>"]);
    }
}
