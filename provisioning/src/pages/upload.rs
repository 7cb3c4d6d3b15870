//! A form with a file, as browsers send it — RFC 7578, RFC 2046 §5.1.1 (the boundary).
//!
//! In    a media type with its boundary, a body that was read whole within its bound.
//! Out   its fields, the file's bytes. Errors `None` for what is no such form.

use axum::http::{HeaderMap, header};

/// One field of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) name: String,
    pub(super) value: &'a [u8],
}

/// The fields of a form, in their order.
pub(super) fn parts<'a>(headers: &HeaderMap, body: &'a [u8]) -> Option<Vec<Part<'a>>> {
    let media_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (kind, parameters) = media_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("boundary="))?;
    let boundary = boundary.trim_matches('"');
    if boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    let delimiter = format!("\r\n--{boundary}");
    // The first has no line before it.
    let mut rest = body.strip_prefix(&delimiter.as_bytes()[2..])?;
    let mut parts = Vec::new();
    while let Some(inside) = rest.strip_prefix(b"\r\n") {
        let end = find(inside, delimiter.as_bytes())?;
        let part = &inside[..end];
        let head = find(part, b"\r\n\r\n")?;
        if parts.len() == MOST_PARTS {
            return None;
        }
        parts.push(Part { name: name(std::str::from_utf8(&part[..head]).ok()?)?, value: &part[head + 4..] });
        rest = &inside[end + delimiter.len()..];
    }
    rest.starts_with(b"--").then_some(parts)
}

/// The name that Content-Disposition gives (RFC 7578 §4.2).
fn name(head: &str) -> Option<String> {
    let is_meant =
        |line: &&str| line.get(..20).is_some_and(|start| start.eq_ignore_ascii_case("content-disposition:"));
    let line = head.lines().find(is_meant)?;
    let quoted = line.split("; name=\"").nth(1)?;
    Some(quoted.split('"').next()?.to_owned())
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// Fields of one form.
const MOST_PARTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(media_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, media_type.parse().unwrap())])
    }

    const BODY: &[u8] = b"--X\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--X\r\n\
        Content-Disposition: form-data; name=\"picture\"; filename=\"a\\\"b\"\r\nContent-Type: text/html\r\n\r\n\r\n--Y\0\xff\r\n--X--\r\n";

    #[test]
    fn a_form_with_a_file_is_read_byte_by_byte() {
        let headers = headers("multipart/form-data; boundary=X");
        let parts = parts(&headers, BODY).unwrap();
        let read: Vec<(&str, &[u8])> = parts.iter().map(|part| (part.name.as_str(), part.value)).collect();
        assert_eq!(read, [("key", &b"k"[..]), ("picture", &b"\r\n--Y\0\xff"[..])]);
    }

    #[test]
    fn what_is_no_such_form_is_none_wherever_it_is_cut() {
        for media_type in ["text/plain", "multipart/form-data", "multipart/form-data; boundary=\"\""] {
            assert_eq!(parts(&headers(media_type), BODY), None, "{media_type}");
        }
        let good = headers("multipart/form-data; boundary=X");
        for end in 0..BODY.len() - 3 {
            assert_eq!(parts(&good, &BODY[..end]), None, "{end}");
        }
        let many = [&b"--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nk\r\n"[..]; 17].concat();
        assert_eq!(parts(&good, &[&many[..], b"--X--"].concat()), None);
    }
}
