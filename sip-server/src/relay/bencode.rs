//! Bencode, in which a relay is spoken to — the ng protocol of rtpengine: numbers, texts, lists and dictionaries. Pure.
//!
//! ```text
//! i42e     4:text     l…e     d4:name…e
//! ```
//! Errors what is cut off, deeper than [`DEEPEST`], or followed by something is nothing.

use std::collections::BTreeMap;

/// A value; dictionaries have their keys in order, as the form wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Number(i64),
    Text(Vec<u8>),
    List(Vec<Value>),
    Dictionary(Dictionary),
}

pub(super) type Dictionary = BTreeMap<Vec<u8>, Value>;

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

impl Value {
    /// The text, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    /// Behind what is there.
    pub(super) fn print(&self, out: &mut Vec<u8>) {
        let text = |out: &mut Vec<u8>, text: &[u8]| {
            out.extend(format!("{}:", text.len()).as_bytes());
            out.extend(text);
        };
        match self {
            Self::Number(number) => out.extend(format!("i{number}e").as_bytes()),
            Self::Text(words) => text(out, words),
            Self::List(list) => {
                out.push(b'l');
                list.iter().for_each(|value| value.print(out));
                out.push(b'e');
            }
            Self::Dictionary(dictionary) => {
                out.push(b'd');
                for (key, value) in dictionary {
                    text(out, key);
                    value.print(out);
                }
                out.push(b'e');
            }
        }
    }

    /// The whole of what was read.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (value, rest) = read(bytes, 0)?;
        rest.is_empty().then_some(value)
    }
}

fn read(bytes: &[u8], depth: usize) -> Option<(Value, &[u8])> {
    let (first, rest) = bytes.split_first().filter(|_| depth < DEEPEST)?;
    match first {
        b'i' => {
            let end = rest.iter().position(|byte| *byte == b'e')?;
            let number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
            Some((Value::Number(number), &rest[end + 1..]))
        }
        b'l' => {
            let (mut list, mut rest) = (Vec::new(), rest);
            loop {
                if let Some(rest) = rest.strip_prefix(b"e") {
                    return Some((Value::List(list), rest));
                }
                let (value, after) = read(rest, depth + 1)?;
                list.push(value);
                rest = after;
            }
        }
        b'd' => {
            let (mut dictionary, mut rest) = (Dictionary::new(), rest);
            loop {
                if let Some(rest) = rest.strip_prefix(b"e") {
                    return Some((Value::Dictionary(dictionary), rest));
                }
                let (key, after) = text(rest)?;
                let (value, after) = read(after, depth + 1)?;
                dictionary.insert(key.to_vec(), value);
                rest = after;
            }
        }
        _ => text(bytes).map(|(text, rest)| (Value::Text(text.to_vec()), rest)),
    }
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = bytes.iter().take(LONGEST_LENGTH).position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
    bytes[colon + 1..].split_at_checked(length)
}

const DEEPEST: usize = 16;
/// Digits of a length, and the colon.
const LONGEST_LENGTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_read() {
        let dictionary: Dictionary = [
            (b"sdp".to_vec(), Value::from("v=0\r\n")),
            (b"replace".to_vec(), Value::List(vec![Value::from("origin"), Value::Number(-7)])),
        ]
        .into();
        let (value, mut bytes) = (Value::Dictionary(dictionary), Vec::new());
        value.print(&mut bytes);
        assert_eq!(bytes, b"d7:replacel6:origini-7ee3:sdp5:v=0\r\ne");
        assert_eq!(Value::read(&bytes), Some(value));
        for length in 0..bytes.len() {
            assert_eq!(Value::read(&bytes[..length]), None, "{length}");
        }
    }

    #[test]
    fn no_octets_harm() {
        for wrong in
            ["", "i", "ie", "ixe", "4:abc", "99999999999:x", "d", "di1ei2ee", "l", "1:ab", "-1:x", ":"]
        {
            assert_eq!(Value::read(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(Value::read("l".repeat(100_000).as_bytes()), None, "too deep");
    }
}
