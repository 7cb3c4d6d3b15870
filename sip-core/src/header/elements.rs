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
    // Most values have one element.
    if memchr::memchr(b',', text.as_bytes()).is_none() {
        return (text, "");
    }
    let (mut is_quoted, mut is_escaped, mut depth) = (false, false, 0_u32);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'<' => depth += 1,
            b'>' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
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
