//! Making messages of our own — RFC 3261 §8.1.1 (requests), §8.2.6 (responses), §9.1 (CANCEL), §17.1.1.3 (ACK).

use bytes::Bytes;

use super::edit::new_field;
use super::{Message, Piece, Start};
use crate::header::Name;
use crate::status;

impl Message {
    /// A request with nothing but its start line.
    pub fn request(method: &str, uri: &str) -> Self {
        let piece = |text: &str| Piece::Other(Bytes::copy_from_slice(text.as_bytes()));
        let start = Start::Request { method: piece(method), uri: piece(uri) };
        Self { buffer: Bytes::new(), start, fields: Vec::new(), body: Bytes::new() }
    }

    /// The response to `request`: Via, From, To, Call-ID and CSeq as they came, in order (§8.2.6.2), an empty body.
    pub fn response(request: &Self, status: u16, reason: &str) -> Self {
        let reason = if reason.is_empty() { status::reason(status) } else { reason };
        let reason = Piece::Other(Bytes::copy_from_slice(reason.as_bytes()));
        let kept = [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq];
        let mut response = Self {
            buffer: request.buffer.clone(),
            start: Start::Response { status, reason },
            fields: request.fields.iter().filter(|field| kept.contains(&field.name)).cloned().collect(),
            body: Bytes::new(),
        };
        if status > 100 && (300..700).contains(&status) || status == 200 {
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
        for route in self.values(Name::Route) {
            message.fields.push(new_field(Name::Route, route));
        }
        message.fields.push(new_field(Name::MaxForwards, "70"));
        message.fields.push(new_field(Name::From, self.value(Name::From).unwrap_or_default()));
        message.fields.push(new_field(Name::To, to.value(Name::To).unwrap_or_default()));
        message.fields.push(new_field(Name::CallId, self.call_id()));
        let number = self.cseq().map_or(1, |(number, _)| number);
        message.fields.push(new_field(Name::CSeq, &format!("{number} {method}")));
        message.fields.push(new_field(Name::ContentLength, "0"));
        message
    }
}

fn stateless_tag(request: &Message) -> String {
    let parts = [
        request.call_id(),
        request.from_tag().unwrap_or_default(),
        request.value(Name::CSeq).unwrap_or_default(),
    ];
    let via = request.elements(Name::Via).next().unwrap_or_default();
    let hash =
        parts.into_iter().chain([via]).flat_map(str::bytes).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("s{hash:016x}")
}
