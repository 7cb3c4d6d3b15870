//! Which of an account's passwords a proof is of, by the HA1s that are kept of them.

use shared_model::AccountId;
use shared_store::{Account, DigestAlgorithm};

use super::Authenticator;
use crate::book;
use crate::login::{Login, all_credentials};

/// Which password a proof is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit<'a> {
    /// The main one, or an app password by its name.
    Password(Option<&'a str>),
    /// None that is kept. It may be the main one, of which there is no HA1.
    NoKey,
    /// None.
    None,
}

impl<'a> Fit<'a> {
    /// Its name; `Some(None)` is the main one.
    pub(super) fn app(self) -> Option<Option<&'a str>> {
        match self {
            Self::Password(app) => Some(app),
            Self::NoKey | Self::None => None,
        }
    }
}

impl Authenticator {
    /// Which of the passwords that `login` may mean has an HA1 that `fits`. A refusal costs as much as for an account
    /// with all the app passwords that one may have, whoever is asked for; a success need not hide, so it ends the search.
    pub(super) fn which_fits<'a>(
        &self,
        account: Option<&'a Account>,
        login: Option<&Login>,
        algorithm: DigestAlgorithm,
        fits: impl Fn(&[u8]) -> bool,
    ) -> Fit<'a> {
        let meant = account.into_iter().flat_map(|account| {
            let meant =
                all_credentials(account).filter(|(app, _)| login.is_some_and(|login| login.means(*app)));
            meant.map(|(app, credentials)| (account.id, app, credentials))
        });
        let (mut tried, mut otherwise) = (0, Fit::None);
        for (id, app, credentials) in meant {
            let sealed = credentials.ha1.iter().find(|ha1| ha1.algorithm == algorithm);
            match sealed.and_then(|ha1| self.keys.open_sealed(id, &ha1.sealed)) {
                Some(ha1) if fits(&ha1) => return Fit::Password(app),
                Some(_) => tried += 1,
                // Whose password a directory keeps has no key here at all: what does not fit is a guess.
                None if app.is_none() && credentials.has_keys() => otherwise = Fit::NoKey,
                None => {}
            }
        }
        for _ in tried..MOST_PASSWORDS {
            let nobody = self.keys.open_sealed(NOBODY, &self.ha1_of_nobody);
            std::hint::black_box(nobody.is_some_and(|ha1| fits(&ha1)));
        }
        otherwise
    }
}

/// Passwords that a refusal costs the time of.
const MOST_PASSWORDS: usize = 1 + book::MOST_APP_PASSWORDS;
/// Whose HA1 is opened where somebody has no more of them.
pub(super) const NOBODY: AccountId = AccountId(0);
