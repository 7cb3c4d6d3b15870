//! Slots for files — XEP-0363 1.2.0, sections 3 (disco), 4 (request), 5.1 and 5.3 (purposes), 6 (errors).
//!
//! In    `<request/>` at `upload.<domain>`, of an account of this service, or of a user of a domain that the operator named.
//! Out   a slot that is good for five minutes (`upload`).
//! Errors section 6; `forbidden` to others; `bad-request` without name or size.

use shared_model::{Spec, idn};
use shared_store::StoreError;
use xmpp_core::payload::delay::{date_time, parse_date_time};
use xmpp_core::payload::disco::Info;
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::{Answered, Feature, Request, Target, store_failed};
use crate::server::Server;
use crate::upload::{Refusal, Wish};

pub(super) const FEATURE: Feature = Feature {
    specs: &[Spec::xep(363, "1.2.0").complete()],
    takes: &[("request", ns::UPLOAD)],
    server: &[],
    account: &[],
    answer: |server, request| Box::pin(answer(server, request)),
};

/// What the service says of itself (§3).
pub(super) fn info(server: &Server) -> Info {
    let most = server.uploads.config.max_bytes.to_string();
    let form = Form::new("result", ns::UPLOAD).with(Field::new("max-file-size", "", "", most));
    Info {
        identities: vec![("store", "file", "Files".to_owned())],
        features: vec![ns::DISCO_INFO, ns::DISCO_ITEMS, ns::UPLOAD, ns::PING, MESSAGE, EPHEMERAL],
        forms: vec![form.to_element()],
    }
}

async fn answer(server: &Server, request: &Request) -> Answered {
    if request.target != Target::Upload || request.is_set {
        return Err(ErrorKind::ServiceUnavailable.into());
    }
    if !may_leave(server, &request.from).await.map_err(|error| store_failed(&error))? {
        let why = "only accounts of this service leave files here";
        return Err(StanzaError::because(ErrorKind::Forbidden, why));
    }
    let asked = &request.payload;
    let name = file_name(asked.attribute("filename").unwrap_or_default()).ok_or(ErrorKind::BadRequest)?;
    let size: u64 =
        asked.attribute("size").and_then(|size| size.parse().ok()).ok_or(ErrorKind::BadRequest)?;
    let most = server.uploads.config.max_bytes;
    if size > most {
        let why = format!("File too large. The maximum file size is {most} bytes");
        let large = Element::new("file-too-large", ns::UPLOAD).text_child("max-file-size", most.to_string());
        return Err(StanzaError::because(ErrorKind::NotAcceptable, why).with(large));
    }
    if size == 0 {
        return Err(StanzaError::because(ErrorKind::NotAcceptable, "a file without content is none"));
    }
    let media_type = asked.attribute("content-type").filter(|text| is_media_type(text)).map(str::to_owned);
    let before = match asked.find("ephemeral", PURPOSE) {
        Some(ephemeral) => {
            let stamp = ephemeral.attribute("expire-before").and_then(parse_date_time);
            Some(stamp.ok_or(ErrorKind::BadRequest)?)
        }
        None => None,
    };
    let owner = request.from.bare_str().to_owned();
    let random = server.new_id() + &server.new_id()[..8];
    let is_foreign = !server.is_home(request.from.domain());
    let wish = Wish { owner, name, size, media_type, before, is_foreign };
    let offer = server.uploads.offer(wish, &random).await;
    let offer = offer.map_err(|refusal| match refusal {
        Refusal::NoRoomUntil(at) => {
            let retry = Element::new("retry", ns::UPLOAD).with("stamp", date_time(at));
            StanzaError::because(ErrorKind::ResourceConstraint, "there is no room for it now").with(retry)
        }
        Refusal::Store(error) => store_failed(&error),
    })?;
    let header =
        Element::new("header", ns::UPLOAD).with("name", "Authorization").text_node(offer.authorization);
    let put = Element::new("put", ns::UPLOAD).with("url", offer.put).child(header);
    let get = Element::new("get", ns::UPLOAD).with("url", offer.get);
    Ok(Element::new("slot", ns::UPLOAD).child(put).child(get).into())
}

/// Whether somebody may leave files: accounts, and users of domains that are named.
async fn may_leave(server: &Server, user: &Jid) -> Result<bool, StoreError> {
    if !server.is_home(user.domain()) {
        let mut foreign = server.uploads.config.foreign_domains.iter();
        return Ok(foreign.any(|domain| idn::to_unicode(domain).as_deref() == Some(user.domain())));
    }
    Ok(server.account(user).await?.is_some_and(|account| account.enabled))
}

/// The last part of what a client calls a file, if that is a name.
fn file_name(text: &str) -> Option<String> {
    let name = text.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let is_name = !name.is_empty() && name.len() <= LONGEST && !name.chars().all(|c| c == '.');
    (is_name && !name.chars().any(char::is_control)).then(|| name.to_owned())
}

/// `type/subtype`, possibly with parameters, and nothing that could end a header.
fn is_media_type(text: &str) -> bool {
    text.len() <= LONGEST && text.contains('/') && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

const PURPOSE: &str = "urn:xmpp:http:upload:purpose:0";
const MESSAGE: &str = "urn:xmpp:http:upload:purpose:0#message";
const EPHEMERAL: &str = "urn:xmpp:http:upload:purpose:0#ephemeral";
/// Bytes of a name, and of a media type.
const LONGEST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path() {
        assert_eq!(file_name("très cool.jpg").as_deref(), Some("très cool.jpg"));
        assert_eq!(file_name("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(file_name("C:\\a\\b.txt").as_deref(), Some("b.txt"));
        for none in ["", "..", "a/", "a\nb", &"x".repeat(256)] {
            assert_eq!(file_name(none), None, "{none:?}");
        }
    }
}
