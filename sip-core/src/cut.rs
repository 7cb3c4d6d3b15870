//! Dividing text at a byte of ASCII. The standard library's search for a character is made for long texts; headers are
//! short, and each message is divided some hundred times.

/// Where the byte stands first.
#[inline]
pub(crate) fn find(text: &str, byte: u8) -> Option<usize> {
    debug_assert!(byte.is_ascii());
    memchr::memchr(byte, text.as_bytes())
}

/// What stands before the byte and after it.
#[inline]
pub(crate) fn once(text: &str, byte: u8) -> Option<(&str, &str)> {
    find(text, byte).map(|at| (&text[..at], &text[at + 1..]))
}

/// What stands before the byte, and the rest that begins with it; all and nothing without it.
#[inline]
pub(crate) fn before(text: &str, byte: u8) -> (&str, &str) {
    find(text, byte).map_or((text, ""), |at| text.split_at(at))
}

/// Whether there is neither space nor control character, angle bracket or quote, as in every URI. No byte ends the loop
/// early, so that many are looked at in one step.
#[inline]
pub(crate) fn is_clean(text: &str) -> bool {
    let is_bad =
        |byte: u8| (byte <= b' ') | (byte == b'<') | (byte == b'>') | (byte == b'"') | (byte == 0x7f);
    !text.bytes().fold(false, |is_found, byte| is_found | is_bad(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divides_at_the_first() {
        assert_eq!(once("a:b:c", b':'), Some(("a", "b:c")));
        assert_eq!((once("a", b':'), before("a;b", b';'), before("a", b';')), (None, ("a", ";b"), ("a", "")));
        assert!(is_clean("sip:\u{f6}@x") && !is_clean("sip: x") && !is_clean("a\u{7f}"));
    }
}
