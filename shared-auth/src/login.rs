//! Whom a proof is about, and what it comes to.
//!
//! In    a name as it was sent; an account, and whether the proof was right.
//! Out   the name read: by AOR, or by JID for XMPP, with the app password that it means; an [`Identity`], or why there is none.
//! Not here: the proofs themselves (`authenticator`, `outside`).

use shared_model::{Aor, BareJid, Protocol};
use shared_store::{Account, Credentials};

use crate::cache::Name;
use crate::identity::{Denied, How, Identity, Proof};

/// A name to log in with, read.
pub(crate) struct Login {
    /// As it was sent, with a domain.
    pub(crate) text: String,
    /// What the throttle counts it by: without the app password's name.
    pub(crate) key: String,
    pub(crate) name: Name,
    pub(crate) app: Option<String>,
}

impl Login {
    /// Reads `alice`, `alice@example.org`, `alice+PHONE` or `alice+PHONE@example.org`.
    pub(crate) fn read(name: &str, domain: &str, protocol: Protocol) -> Option<Self> {
        let (local, domain) = name.split_once('@').unwrap_or((name, domain));
        // A leading plus is part of a name that is a number.
        let plus = local.char_indices().skip(1).find(|(_, c)| *c == '+').map(|(at, _)| at);
        let (local, app) = plus.map_or((local, None), |at| (&local[..at], Some(local[at + 1..].to_owned())));
        let name = match protocol {
            Protocol::Xmpp => Name::Jid(BareJid::new(local, domain).ok()?),
            _ => Name::Aor(Aor::new(local, domain).ok()?),
        };
        let key = match &name {
            Name::Jid(jid) => jid.to_string(),
            Name::Aor(aor) => aor.to_string(),
            Name::Id(_) | Name::Number(_) => return None,
        };
        let suffix = app.as_ref().map_or(String::new(), |app| format!("+{app}"));
        Some(Self { text: format!("{local}{suffix}@{domain}"), key, name, app })
    }

    /// The one password that SCRAM proves, and its name if it is an app password.
    pub(crate) fn password_for_scram<'a>(
        &self,
        account: &'a Account,
    ) -> Option<(Option<&'a str>, &'a Credentials)> {
        all_credentials(account).find(|(app, _)| app.is_some() == self.app.is_some() && self.means(*app))
    }

    /// Whether this may mean the password with this name. A login that names none may mean any.
    pub(crate) fn means(&self, app: Option<&str>) -> bool {
        match (&self.app, app) {
            (None, _) => true,
            (Some(wanted), Some(app)) => app.eq_ignore_ascii_case(wanted),
            (Some(_), None) => false,
        }
    }
}

impl Proof {
    /// Whom the proof is about, as far as its words say.
    pub(crate) fn login(&self, protocol: Protocol) -> Option<Login> {
        match self {
            Self::Plain { name, domain, .. } => Login::read(name, domain, protocol),
            // The HA1 is of the bare name and the realm, so a name with a domain must name the realm.
            Self::Digest(proof) => Login::read(&proof.username, &proof.realm, protocol),
            Self::Scram(last) => {
                last.exchange.login.as_ref().and_then(|login| Login::read(login, "", protocol))
            }
            Self::Certificate { name } | Self::OwnCertificate { name, .. } => Login::read(name, "", protocol),
            Self::Fast(last) => last.login.as_ref().and_then(|login| Login::read(login, "", protocol)),
            Self::Token { .. } | Self::Code(_) | Self::Bearer { .. } => None,
        }
    }

    /// The mechanism by which it proves a password on a stream.
    pub(crate) fn mechanism(&self) -> Option<&'static str> {
        match self {
            Self::Plain { .. } => Some(How::Plain.as_str()),
            Self::Scram(last) => Some(last.exchange.start.how().as_str()),
            _ => None,
        }
    }
}

/// What failed on one stream: a client whose password is mistyped tries it by one mechanism after the other (RFC 6120 §6.4.5), which is
/// one mistake.
#[derive(Debug, Default)]
pub struct Tried {
    /// Whose password it was, and by what.
    name: String,
    by: Vec<&'static str>,
    /// Whether it was held against anything.
    is_guessed: bool,
}

/// What a refusal is beside those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// It cannot be the password of before.
    pub(crate) is_another: bool,
    /// It was held against something, which that of before was not.
    pub(crate) is_guess: bool,
}

impl Tried {
    /// Notes that a password was refused: held against something (`is_guess`), or lacking a key.
    pub(crate) fn note(&mut self, name: &str, by: &'static str, is_guess: bool) -> Mistake {
        if self.name != name {
            *self = Self { name: name.to_owned(), ..Self::default() };
        }
        let is_another = self.by.is_empty() || self.by.contains(&by);
        if !self.by.contains(&by) {
            self.by.push(by);
        }
        let mistake = Mistake { is_another, is_guess: is_guess && (is_another || !self.is_guessed) };
        self.is_guessed |= is_guess;
        mistake
    }
}

/// Says who a proof is of, or why it is of nobody. Disabled accounts are told apart in the log alone.
pub(crate) fn identify(
    account: Option<&Account>,
    is_right: bool,
    authzid: &str,
    how: How,
) -> Result<Identity, Denied> {
    let account = account.ok_or(Denied::UnknownAccount)?;
    if !is_right {
        return Err(Denied::WrongProof);
    }
    if !account.enabled {
        return Err(Denied::Disabled);
    }
    if !authzid.is_empty() && authzid.parse::<BareJid>().as_ref() != Ok(&account.jid) {
        return Err(Denied::ForeignAuthzid);
    }
    Ok(Identity {
        account: account.id,
        version: account.version,
        aor: account.aor.clone(),
        jid: account.jid.clone(),
        how,
        app: None,
        token: None,
    })
}

/// The passwords of an account, with the names that app passwords have.
pub(crate) fn all_credentials(account: &Account) -> impl Iterator<Item = (Option<&str>, &Credentials)> {
    let apps = account.app_passwords.iter().map(|app| (Some(app.name.as_str()), &app.credentials));
    std::iter::once((None, &account.credentials)).chain(apps)
}
