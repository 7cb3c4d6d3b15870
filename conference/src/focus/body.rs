//! Which body of a message describes its media — RFC 3261 §8.2.3, §20.11 (Content-Disposition), RFC 5621 §4.2 (multipart), §8.1. Pure.
//!
//! In    INVITE, UPDATE and ACK, and answers to calls of ours, as they came.
//! Out   the same message whose body is its session description, or none; [`Unread`] says why that cannot be had.
//! Errors a part that nobody here reads is passed over, unless its sender says that it must be read.
//! Not here: Content-Transfer-Encoding other than that of SIP, binary (RFC 5621 §3.2); early sessions (RFC 3959).

use bytes::Bytes;
use sip_core::Message;
use sip_core::header::{Name, Params};

/// Why a body is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is of a type that we do not know.
    Type,
    /// It is encoded.
    Encoding,
    /// It is several, and not well formed.
    Malformed,
}

impl Unread {
    /// What the sender is told (RFC 3261 §8.2.3).
    pub(super) fn answer(self, request: &Message) -> Message {
        match self {
            Self::Type => {
                let mut response = Message::response(request, 415, "");
                response.push(Name::Accept, ACCEPT);
                response
            }
            Self::Encoding => {
                let mut response = Message::response(request, 415, "");
                response.push_other("Accept-Encoding", "identity");
                response
            }
            Self::Malformed => Message::response(request, 400, "Malformed Multipart Body"),
        }
    }
}

/// Leaves the session description of a message as its whole body.
pub(super) fn describe_only(message: &mut Message) -> Result<(), Unread> {
    if message.body().is_empty() {
        return Ok(());
    }
    let kind = message.value(Name::ContentType).unwrap_or(SDP).to_owned();
    let encoding = message.value(Name::ContentEncoding).unwrap_or_default().to_owned();
    let disposition = message.other_values("Content-Disposition").next().unwrap_or_default().to_owned();
    if !is_plain(&encoding) {
        return Err(Unread::Encoding);
    }
    match media_type(&kind).as_str() {
        SDP if is_session(&disposition) => Ok(()),
        of if of.starts_with("multipart/") => {
            let found = description(message.body(), &kind, 0)?.map(<[u8]>::to_vec);
            message.set_body(SDP, found.unwrap_or_default().into());
            Ok(())
        }
        // §20.11: what may be passed over is as if it were not there.
        _ if is_optional(&disposition) => {
            message.set_body(SDP, Bytes::new());
            Ok(())
        }
        _ => Err(Unread::Type),
    }
}

/// The session description of an answer; empty if there is none.
pub(super) fn described(answer: &Message) -> String {
    let mut answer = answer.clone();
    match describe_only(&mut answer) {
        Ok(()) => String::from_utf8_lossy(answer.body()).into_owned(),
        Err(_) => String::new(),
    }
}

/// The first session description among the parts, and the parts of these.
fn description<'a>(body: &'a [u8], kind: &str, depth: usize) -> Result<Option<&'a [u8]>, Unread> {
    if depth == DEEPEST {
        return Err(Unread::Malformed);
    }
    let is_choice = media_type(kind) == "multipart/alternative";
    let mut found = None;
    for part in parts(body, kind).ok_or(Unread::Malformed)? {
        let (head, content) = split(part).ok_or(Unread::Malformed)?;
        let of = |name: &str| field(head, name).unwrap_or_default();
        let kind = Some(of("Content-Type")).filter(|kind| !kind.is_empty()).unwrap_or("text/plain");
        let disposition = of("Content-Disposition");
        if media_type(kind).starts_with("multipart/") {
            found = found.or(description(content, kind, depth + 1)?);
            continue;
        }
        let is_ours = media_type(kind) == SDP && is_session(disposition);
        if is_ours && !is_plain(of("Content-Encoding")) {
            return Err(Unread::Encoding);
        }
        if is_ours && found.is_none() {
            found = Some(content);
        } else if !is_ours && !is_choice && handling(disposition).eq_ignore_ascii_case("required") {
            // By §8.1 each is that unless it says otherwise; but what carriers put beside SDP says nothing, and nobody misses it.
            return Err(Unread::Type);
        }
    }
    Ok(found)
}

/// What stands between the boundaries, without the line break before each.
fn parts<'a>(body: &'a [u8], kind: &str) -> Option<Vec<&'a [u8]>> {
    let params = Params(&kind[kind.find(';')?..]);
    let boundary = params.value("boundary")?;
    if boundary.is_empty() || boundary.len() > LONGEST_BOUNDARY {
        return None;
    }
    let line = format!("--{boundary}");
    let mut parts = Vec::new();
    let (mut begin, mut at): (Option<usize>, usize) = (None, 0);
    while at < body.len() {
        let end = body[at..].iter().position(|octet| *octet == b'\n').map_or(body.len(), |to| at + to + 1);
        let text = body[at..end].trim_ascii_end();
        let is_last = text.strip_prefix(line.as_bytes()) == Some(b"--");
        if text == line.as_bytes() || is_last {
            if let Some(begin) = begin {
                let part = &body[begin..at];
                parts.push(part.strip_suffix(b"\r\n").or(part.strip_suffix(b"\n")).unwrap_or(part));
            }
            if is_last || parts.len() == MOST_PARTS {
                return Some(parts);
            }
            begin = Some(end);
        }
        at = end;
    }
    None
}

/// A part's headers and its content.
fn split(part: &[u8]) -> Option<(&str, &[u8])> {
    // A part without headers begins with the empty line.
    if let Some(content) = part.strip_prefix(b"\r\n") {
        return Some(("", content));
    }
    let at = part.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&part[..at]).ok()?, &part[at + 4..]))
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(known, _)| known.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_plain(encoding: &str) -> bool {
    encoding.is_empty() || encoding.trim().eq_ignore_ascii_case("identity")
}

/// §20.11: a description of a session, which SDP is if nobody says otherwise.
fn is_session(disposition: &str) -> bool {
    matches!(media_type(disposition).as_str(), "" | "session")
}

fn handling(disposition: &str) -> &str {
    let params = disposition.find(';').map(|at| Params(&disposition[at..]));
    params.and_then(|params| params.value("handling")).unwrap_or_default()
}

fn is_optional(disposition: &str) -> bool {
    handling(disposition).eq_ignore_ascii_case("optional")
}

/// What descriptions of sessions are.
const SDP: &str = "application/sdp";
/// What bodies may be.
pub(super) const ACCEPT: &str = "application/sdp, multipart/mixed, multipart/alternative";
/// RFC 2046 §5.1.1.
const LONGEST_BOUNDARY: usize = 70;
const MOST_PARTS: usize = 16;
/// Parts in parts in parts.
const DEEPEST: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, headers: &[(&str, &str)], body: &str) -> Result<String, Unread> {
        let mut message = Message::request("INVITE", "sip:dev@x");
        message.set_body(kind, body.to_owned().into());
        for (name, value) in headers {
            match Name::of(name.as_bytes()) {
                Name::Other => message.push_other(name, value),
                known => message.push(known, value),
            }
        }
        describe_only(&mut message)?;
        Ok(String::from_utf8(message.body().to_vec()).unwrap())
    }

    #[test]
    fn a_description_is_read_and_nothing_else() {
        assert_eq!(of("application/sdp", &[], "v=0"), Ok("v=0".to_owned()));
        assert_eq!(of("Application/SDP;charset=utf-8", &[], "v=0"), Ok("v=0".to_owned()));
        assert_eq!(of("text/plain", &[], "v=0"), Err(Unread::Type));
        assert_eq!(of("application/sdp", &[("Content-Encoding", "gzip")], "v=0"), Err(Unread::Encoding));
        assert_eq!(of("application/sdp", &[("e", "identity")], "v=0"), Ok("v=0".to_owned()));
        let disposed = |value| of("application/sdp", &[("Content-Disposition", value)], "v=0");
        assert_eq!(disposed("session;handling=required"), Ok("v=0".to_owned()));
        assert_eq!(disposed("foo;handling=required"), Err(Unread::Type));
        assert_eq!(disposed("foo"), Err(Unread::Type), "§20.11: required if it does not say");
        assert_eq!(disposed("foo;handling=optional"), Ok(String::new()));
    }

    #[test]
    fn the_description_among_several_parts_is_found() {
        let mixed = |body: &str| of("multipart/mixed;boundary=\"b1\"", &[], body);
        let sdp = "Content-Type: application/sdp\r\n\r\nv=0\r\no=-\r\n";
        let isup = "Content-Type: application/ISUP;version=nxv3\r\nContent-Disposition: signal;handling=optional\r\n\r\n\u{1}";
        assert_eq!(
            mixed(&format!("--b1\r\n{sdp}\r\n--b1\r\n{isup}\r\n--b1--\r\n")),
            Ok("v=0\r\no=-\r\n".to_owned())
        );
        assert_eq!(
            mixed(&format!("preamble\r\n--b1\r\n{isup}\r\n--b1\r\n{sdp}\r\n--b1--")),
            Ok("v=0\r\no=-\r\n".to_owned())
        );
        assert_eq!(
            mixed("--b1\r\n\r\nplain text\r\n--b1--\r\n"),
            Ok(String::new()),
            "an offer is wanted of us"
        );
        let choice =
            format!("Content-Type: multipart/alternative;boundary=b2\r\n\r\n--b2\r\n{sdp}\r\n--b2--");
        assert_eq!(
            mixed(&format!("--b1\r\n{isup}\r\n--b1\r\n{choice}\r\n--b1--")),
            Ok("v=0\r\no=-\r\n".to_owned())
        );
        let needed = isup.replace("optional", "required");
        assert_eq!(mixed(&format!("--b1\r\n{sdp}\r\n--b1\r\n{needed}\r\n--b1--")), Err(Unread::Type));
        for broken in
            [format!("--b1\r\n{sdp}"), "--b1\r\nContent-Type: x\r\n--b1--".to_owned(), String::from("x")]
        {
            assert_eq!(mixed(&broken), Err(Unread::Malformed), "{broken}");
        }
        assert_eq!(of("multipart/mixed", &[], "x"), Err(Unread::Malformed));
    }
}
