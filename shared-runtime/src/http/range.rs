//! Which part of something is asked for — RFC 9110 §13.1.2 (If-None-Match), §13.1.5 (If-Range), §14.2 (Range).
//!
//! In    a request's method and headers; the tag and the size, in bytes, of what is there. Out all of it, one part, or none; whether whoever
//!       asks has it already.
//! Errors several ranges, other units and what is no range are as if nothing was asked; so are ranges of what is not GET.

use axum::http::{HeaderMap, Method, header};

/// Whether a request says that it has what has this tag, or whatever is there: 304.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let all = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let strong = |tag: &str| tag.trim().strip_prefix("W/").unwrap_or(tag.trim()).to_owned();
    // No tag of ours has a comma inside its quotes.
    all.flat_map(|value| value.split(',')).any(|known| known.trim() == "*" || strong(known) == strong(tag))
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// All of it.
    Whole,
    /// First and last byte.
    Part(u64, u64),
    /// What is not there: 416.
    Nowhere,
}

impl Range {
    /// What of `size` bytes a request asks for; a part of another version, which has another tag, is of no use.
    pub fn asked(method: &Method, headers: &HeaderMap, tag: &str, size: u64) -> Self {
        let is_same = headers.get(header::IF_RANGE).is_none_or(|known| known.as_bytes() == tag.as_bytes());
        let is_asked = is_same && *method == Method::GET;
        let text = headers.get(header::RANGE).filter(|_| is_asked).and_then(|value| value.to_str().ok());
        let range =
            text.and_then(|text| text.split_once('=')).filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"));
        let Some((first, last)) = range.and_then(|(_, range)| range.trim().split_once('-')) else {
            return Self::Whole;
        };
        match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first > last => Self::Whole,
            (Ok(first), _) if first >= size && (last.is_empty() || last.parse::<u64>().is_ok()) => {
                Self::Nowhere
            }
            (Ok(first), Ok(last)) => Self::Part(first, last.min(size - 1)),
            (Ok(first), Err(_)) if last.is_empty() => Self::Part(first, size - 1),
            (Err(_), Ok(length)) if first.is_empty() && length.min(size) == 0 => Self::Nowhere,
            (Err(_), Ok(length)) if first.is_empty() => Self::Part(size.saturating_sub(length), size - 1),
            _ => Self::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        let range = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            Range::asked(&Method::GET, &headers, "\"t\"", 10)
        };
        assert_eq!(range("bytes=0-3"), Range::Part(0, 3));
        assert_eq!(range("Bytes=4-"), Range::Part(4, 9));
        assert_eq!(range("bytes=-3"), Range::Part(7, 9));
        assert_eq!(range("bytes=-30"), Range::Part(0, 9));
        assert_eq!(range("bytes=5-99"), Range::Part(5, 9));
        assert_eq!(range("bytes=10-"), Range::Nowhere);
        assert_eq!(range("bytes=-0"), Range::Nowhere);
        for odd in ["bytes=3-1", "bytes=0-1,3-4", "bytes=a-b", "lines=1-2", "bytes=-"] {
            assert_eq!(range(odd), Range::Whole, "{odd}");
        }
    }

    #[test]
    fn of_nothing_there_is_no_part() {
        let mut headers = HeaderMap::new();
        for text in ["bytes=0-0", "bytes=0-", "bytes=-1"] {
            headers.insert(header::RANGE, text.parse().unwrap());
            assert_eq!(Range::asked(&Method::GET, &headers, "\"t\"", 0), Range::Nowhere, "{text}");
            assert_eq!(Range::asked(&Method::HEAD, &headers, "\"t\"", 0), Range::Whole, "{text}");
        }
    }

    #[test]
    fn who_has_it_says_so_by_any_of_its_tags() {
        let knows = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, text.parse().unwrap());
            is_known(&headers, "\"t\"")
        };
        assert!(["\"t\"", "W/\"t\"", "\"a\", \"t\"", "*"].into_iter().all(knows));
        assert!(!["\"a\"", "t", "\"a\",W/\"b\"", ""].into_iter().any(knows));
    }
}
