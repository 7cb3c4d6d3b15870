//! A binding as the file and the memory hold it: a version, the expiry, then the other fields, all but the AOR.
//!
//! ```text
//! | version u8 = 3 | expires i64, little-endian | fields (postcard) | what proved it (postcard) | display name |
//! ```
//! The display name is what is left; older releases pass it over. Version 2 ends with the fields. Older files hold JSON, which begins with a brace; it is read, and written anew when the binding is refreshed.

use serde::{Deserialize, Serialize};
use shared_model::{AccountId, Aor};

use crate::{Binding, BoundBy, StoreError};

/// The fields that have no place of their own. What repeats another field is left empty.
#[derive(Serialize, Deserialize)]
struct Fields<'a> {
    account: u128,
    key: &'a str,
    contact: &'a str,
    instance: &'a str,
    reg_id: Option<u32>,
    parameters: &'a str,
    path: Vec<String>,
    flow: &'a str,
    received: Option<std::net::SocketAddr>,
    call_id: &'a str,
    cseq: u32,
    q: u16,
    node: &'a str,
    user_agent: &'a str,
    updated: i64,
}

/// The bytes of a binding.
pub(super) fn pack(binding: &Binding) -> Result<Box<[u8]>, StoreError> {
    let key = if binding.key == binding.contact { "" } else { &binding.key };
    let fields = Fields {
        account: binding.account.0,
        key,
        contact: &binding.contact,
        instance: &binding.instance,
        reg_id: binding.reg_id,
        parameters: &binding.parameters,
        path: binding.path.clone(),
        flow: &binding.flow,
        received: binding.received,
        call_id: &binding.call_id,
        cseq: binding.cseq,
        q: binding.q,
        node: &binding.node,
        user_agent: &binding.user_agent,
        updated: binding.updated,
    };
    let mut body = Vec::with_capacity(USUAL_SIZE);
    body.push(VERSION);
    body.extend_from_slice(&binding.expires.to_le_bytes());
    let mut body = postcard::to_extend(&(fields, &binding.by), body)
        .map_err(|error| StoreError::Backend(error.to_string()))?;
    body.extend_from_slice(binding.name.as_bytes());
    Ok(body.into_boxed_slice())
}

/// The binding of an AOR that `body` holds.
pub(super) fn unpack(aor: &Aor, body: &[u8]) -> Result<Binding, StoreError> {
    let Some((version @ (VERSION | WITHOUT_PROOF), rest)) =
        body.split_first().map(|(version, rest)| (*version, rest))
    else {
        return crate::sql::read(body);
    };
    let damaged = |_| StoreError::Backend("a stored binding is damaged".to_owned());
    let (_, fields) = rest.split_at_checked(8).ok_or(()).map_err(damaged)?;
    let (fields, proof) = postcard::take_from_bytes::<Fields<'_>>(fields).map_err(|_| ()).map_err(damaged)?;
    let (by, name) = match version {
        WITHOUT_PROOF => (BoundBy::Unsaid, &[][..]),
        _ => postcard::take_from_bytes(proof).map_err(|_| ()).map_err(damaged)?,
    };
    let name = std::str::from_utf8(name).map_err(|_| ()).map_err(damaged)?;
    let key = if fields.key.is_empty() { fields.contact } else { fields.key };
    Ok(Binding {
        account: AccountId(fields.account),
        aor: aor.clone(),
        key: key.to_owned(),
        contact: fields.contact.to_owned(),
        instance: fields.instance.to_owned(),
        reg_id: fields.reg_id,
        parameters: fields.parameters.to_owned(),
        path: fields.path,
        flow: fields.flow.to_owned(),
        received: fields.received,
        call_id: fields.call_id.to_owned(),
        cseq: fields.cseq,
        q: fields.q,
        expires: expires(body),
        node: fields.node.to_owned(),
        user_agent: fields.user_agent.to_owned(),
        updated: fields.updated,
        by,
        name: name.to_owned(),
    })
}

/// When a packed binding ends; what cannot be read has ended.
pub(super) fn expires(body: &[u8]) -> i64 {
    match body {
        [VERSION | WITHOUT_PROOF, rest @ ..] => {
            rest.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
        }
        json => crate::sql::read::<Binding>(json).map_or(0, |binding| binding.expires),
    }
}

const VERSION: u8 = 3;
/// It does not say what proved the REGISTER.
const WITHOUT_PROOF: u8 = 2;
/// Bytes of most packed bindings.
const USUAL_SIZE: usize = 320;
