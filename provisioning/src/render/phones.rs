//! Desk phones: they fetch a file by their hardware address, from a folder whose name only they were told.
//!
//! ```text
//! /provision/phone/<token>/001565aabbcc.cfg      Yealink        /provision/phone/<token>/cfg000b82aabbcc.xml   Grandstream
//! /provision/phone/<token>/snom-000413aabbcc.xml Snom           /provision/phone/<token>/0004f2aabbcc.cfg      Polycom
//! ```
//!
//! `directory.xml` in the same folder is the phone book; Polycom asks for `<mac>-directory.xml`, Grandstream for `phonebook.xml`.
//!
//! In    a token that is of one make and one address (`cusax phone add`). Out the file, with a password that is made anew
//!       each time, so that a file that was copied is of no use after the phone asks again.
//!       `HEAD` makes nothing.
//! Errors 404 for all that does not fit; a token that never was one counts against its network, as failed proofs do.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use shared_auth::Bearers;
use shared_runtime::http::Peer;
use shared_runtime::unix_millis;

use super::{Needs, Renderer, grandstream, polycom, snom, yealink};
use crate::access::Proved;
use crate::answer::{private, unkept};
use crate::{Face, directory, profile};

/// The makes of desk phones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// Yealink.
    Yealink,
    /// Snom.
    Snom,
    /// Grandstream.
    Grandstream,
    /// Polycom, Poly.
    Polycom,
}

/// A hardware address as files name it: twelve lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mac(String);

/// What the folder of one phone is issued for.
pub const PHONE_SCOPE: &str = "phone";

impl Make {
    const ALL: [(&'static str, Self); 4] = [
        ("yealink", Self::Yealink),
        ("snom", Self::Snom),
        ("grandstream", Self::Grandstream),
        ("polycom", Self::Polycom),
    ];

    /// The word in commands and tokens.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, make)| *make == self).map_or("", |(word, _)| word)
    }

    /// The files of this make and who renders them.
    fn files(self, mac: &Mac) -> Vec<(String, &'static Renderer)> {
        let mac = &mac.0;
        match self {
            Self::Yealink => vec![(format!("{mac}.cfg"), &YEALINK)],
            Self::Snom => vec![(format!("snom-{mac}.xml"), &SNOM)],
            Self::Grandstream => vec![(format!("cfg{mac}.xml"), &GRANDSTREAM)],
            Self::Polycom => {
                vec![(format!("{mac}.cfg"), &POLYCOM_FIRST), (format!("{mac}-cusax.cfg"), &POLYCOM)]
            }
        }
    }
}

impl FromStr for Make {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|(word, _)| *word == text).map(|(_, make)| *make);
        known.ok_or("a make is yealink, snom, grandstream or polycom")
    }
}

impl Mac {
    /// Twelve lower-case hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Mac {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare: String = text.chars().filter(|c| !":-.".contains(*c)).collect();
        let is_mac = bare.len() == 12 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_mac {
            Ok(Self(bare.to_ascii_lowercase()))
        } else {
            Err("an address is written 00:15:65:aa:bb:cc")
        }
    }
}

/// What is typed into a phone of this make, so that it finds its file: the folder, or where the phone asks for nothing in it, the
/// file.
pub fn phone_url(
    public_url: Option<&str>,
    host: &str,
    port: Option<u16>,
    (make, token): (Make, &str),
) -> String {
    let file = if make == Make::Snom { "snom-{mac}.xml" } else { "" };
    profile::link(public_url, host, port, &format!("/provision/phone/{token}/{file}"))
}

/// The name of a phone's password among an account's app passwords.
pub fn phone_device(mac: &Mac) -> String {
    format!("phone-{}", mac.0)
}

pub(crate) async fn answer(
    method: Method,
    State(face): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path((token, file)): Path<(String, String)>,
) -> Response {
    let Ok(found) = face.auth.bearers.find(&token, unix_millis()).await else {
        return unkept(StatusCode::SERVICE_UNAVAILABLE.into_response());
    };
    let phone = found.and_then(|(bearer, card)| match bearer.scopes.as_slice() {
        [scope, make, mac] if scope == PHONE_SCOPE => {
            Some((card, make.parse::<Make>().ok()?, mac.parse::<Mac>().ok()?))
        }
        _ => None,
    });
    let Some((card, make, mac)) = phone else {
        let ip = peer.address.ip().to_canonical();
        if face.auth.authenticator.wait(ip).is_some() {
            return unkept(StatusCode::TOO_MANY_REQUESTS.into_response());
        }
        // A phone that was taken back asks for years, and others of its network are not to suffer.
        if !Bearers::is_well_formed(&token) {
            face.auth.authenticator.suspect(ip);
        }
        return unkept(StatusCode::NOT_FOUND.into_response());
    };
    // Phones ask for addresses in the case that they like, and for many files that nobody has.
    let file = file.to_ascii_lowercase();
    if is_book(&file) {
        return match directory::phone_book(&face, &card, make).await {
            Ok(book) => private("application/xml", book),
            Err(_) => unkept(StatusCode::SERVICE_UNAVAILABLE.into_response()),
        };
    }
    let Some((_, renderer)) = make.files(&mac).into_iter().find(|(name, _)| *name == file) else {
        return unkept(StatusCode::NOT_FOUND.into_response());
    };
    if method == Method::HEAD {
        return super::head(renderer);
    }
    let device = Some(phone_device(&mac));
    let proved = Proved { card, password: None, device, token: None };
    let folder = face.url(&format!("/provision/phone/{token}"));
    super::fill(&face, renderer, &proved, (mac.as_str(), &folder)).await
}

/// The names under which makes ask for a phone book.
fn is_book(file: &str) -> bool {
    file == "directory.xml" || file == "phonebook.xml" || file.ends_with("-directory.xml")
}

pub(super) const YEALINK: Renderer =
    Renderer::new("yealink.cfg", "Yealink", super::TEXT, Needs::Password, yealink::render);
pub(super) const SNOM: Renderer =
    Renderer::new("snom.xml", "Snom", "application/xml", Needs::Password, snom::render);
pub(super) const GRANDSTREAM: Renderer =
    Renderer::new("grandstream.xml", "Grandstream", "application/xml", Needs::Password, grandstream::render);
pub(super) const POLYCOM_FIRST: Renderer =
    Renderer::new("polycom-first.cfg", "Polycom", "application/xml", Needs::Nothing, polycom::first);
pub(super) const POLYCOM: Renderer =
    Renderer::new("polycom.cfg", "Polycom", "application/xml", Needs::Password, polycom::render);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_however_they_are_written() {
        for text in ["00:15:65:AA:BB:CC", "00-15-65-aa-bb-cc", "0015.65aa.bbcc", "001565aabbcc"] {
            assert_eq!(text.parse::<Mac>().unwrap().as_str(), "001565aabbcc");
        }
        assert!("00:15:65:aa:bb".parse::<Mac>().is_err() && "00:15:65:aa:bb:cg".parse::<Mac>().is_err());
    }
}
