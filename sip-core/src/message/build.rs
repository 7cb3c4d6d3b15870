//! Making messages of our own — RFC 3261 §8.1.1 (requests), §8.2.6 (responses), §9.1 (CANCEL), §17.1.1.3 (ACK).

use bytes::Bytes;
use bytestring::ByteString;

use super::edit::new_field;
use super::field::Field;
use super::{Message, Piece, Start};
use crate::fnv::Fnv;
use crate::header::Name;
use crate::status;

impl Message {
    /// A request with nothing but its start line.
    pub fn request(method: &str, uri: &str) -> Self {
        let piece = |text: &str| Piece::Own(text.into());
        let start = Start::Request { method: piece(method), uri: piece(uri) };
        Self { head: ByteString::new(), start, fields: Vec::new(), body: Bytes::new() }
    }

    /// The response to `request`: Via, From, To, Call-ID and CSeq as they came, in order (§8.2.6.2), an empty body.
    pub fn response(request: &Self, status: u16, reason: &str) -> Self {
        let reason = if reason.is_empty() { status::reason(status) } else { reason };
        let reason = Piece::Own(reason.into());
        let mut fields = Vec::with_capacity(USUAL_HEADERS);
        for field in &request.fields {
            let is_kept = match field.name {
                Name::Via => true,
                // Of what a request has twice and should not, the answer has the first.
                name @ (Name::From | Name::To | Name::CallId | Name::CSeq) => {
                    fields.iter().all(|kept: &Field| kept.name != name)
                }
                _ => false,
            };
            if is_kept {
                fields.push(field.clone());
            }
        }
        let mut response = Self {
            head: request.head.clone(),
            start: Start::Response { status, reason },
            fields,
            body: Bytes::new(),
        };
        if status >= 200 && !request.is_in_dialog() {
            // The tag is a hash of what identifies the request, so that a stateless answer says the same again
            // (§8.2.7).
            response.ensure_to_tag(&stateless_tag(request));
        }
        if status == 100
            && let Some(timestamp) = request.value(Name::Timestamp)
        {
            response.push(Name::Timestamp, timestamp);
        }
        response.push(Name::ContentLength, "0");
        response
    }

    /// Whether it acknowledges an answer that was given without a transaction: its To has the tag that only such an answer
    /// gave, since the ACK of a 2xx has a branch of its own (§17.1.1.3, §13.2.2.4).
    pub(crate) fn acknowledges_stateless_answer(&self) -> bool {
        let looks_so = |tag: &str| tag.len() == STATELESS_TAG && tag.starts_with('s');
        self.to_tag().is_some_and(|tag| looks_so(tag) && tag == stateless_tag(self))
    }

    /// The CANCEL of a request that was sent (§9.1): same Request-URI, Call-ID, To, From, top Via and Route.
    pub fn cancel(sent: &Self) -> Self {
        sent.hop_by_hop("CANCEL", sent)
    }

    /// The ACK of a final response other than 2xx (§17.1.1.3): To is the response's.
    pub fn ack(sent: &Self, response: &Self) -> Self {
        sent.hop_by_hop("ACK", response)
    }

    fn hop_by_hop(&self, method: &str, to: &Self) -> Self {
        let mut message = Self::request(method, self.uri());
        if let Some(via) = self.elements(Name::Via).next() {
            message.fields.push(new_field(Name::Via, via));
        }
        let carry = |from: &Self, name: Name, most: usize, fields: &mut Vec<Field>| {
            let found = from.fields.iter().filter(|field| field.name == name).take(most);
            fields.extend(found.map(|field| field.carried(&from.head)));
        };
        carry(self, Name::Route, usize::MAX, &mut message.fields);
        message.fields.push(new_field(Name::MaxForwards, "70"));
        carry(self, Name::From, 1, &mut message.fields);
        carry(to, Name::To, 1, &mut message.fields);
        carry(self, Name::CallId, 1, &mut message.fields);
        let number = self.cseq().map_or(1, |(number, _)| number);
        message.fields.push(new_field(Name::CSeq, &format!("{number} {method}")));
        message.fields.push(new_field(Name::ContentLength, "0"));
        message
    }
}

/// Bytes of the tag of a stateless answer.
const STATELESS_TAG: usize = 17;
/// Headers of most responses.
const USUAL_HEADERS: usize = 12;

/// The same for a request, its retransmissions, and the ACK of its answer.
fn stateless_tag(request: &Message) -> String {
    let number = request.cseq().map_or(0, |(number, _)| number).to_be_bytes();
    let via = || request.elements(Name::Via).next().unwrap_or_default();
    let branch = request.top_branch().unwrap_or_else(via);
    let parts = [request.call_id(), request.from_tag().unwrap_or_default(), branch];
    parts.into_iter().fold(Fnv::new(), |hash, part| hash.and(part.as_bytes())).and(&number).digits("s")
}
