//! A directory of people — LDAP: RFC 4511 (bind, search, StartTLS), RFC 4513 (simple bind), RFC 4515 (filters), RFC 2696 (pages).
//!
//! In    `[auth.ldap]`; a user name and a password.
//! Out   everybody who may have an account, and which entries cannot; the one whose password it is, by bind.
//! State none: a connection lives for one question, at most [`MOST_AT_ONCE`] at a time.
//! Errors [`LdapError`]; a wrong password and an unknown name are `None`, after the same number of questions.
//! Not here: referrals, which are not followed; what becomes of accounts ([`sync`], [`Registry`](super::Registry)).

mod config;
mod entry;
pub(crate) mod sync;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{LdapConnAsync, LdapConnSettings, Scope, SearchEntry, SearchOptions, dn_escape, ldap_escape};
use shared_runtime::tls::TlsPolicy;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

pub(crate) use config::LDAP_KEYS;
pub use config::{LdapConfig, Missing};

use super::Person;
use crate::hash;

/// Asks the directory.
pub(crate) struct Ldap {
    config: LdapConfig,
    url: String,
    settings: LdapConnSettings,
    password: Zeroizing<String>,
    under_way: Semaphore,
}

/// Why the directory was not asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LdapError {
    /// The file with the password cannot be read.
    #[error("auth.ldap.bind_password_file: {0}")]
    PasswordFile(std::io::Error),
    /// RFC 4513 §5.1.2: without a password a bind proves nothing, and the directory may let us read half.
    #[error("auth.ldap.bind_password_file is empty")]
    EmptyPassword,
    /// It did not answer, or not as it should.
    #[error("the directory: {0}")]
    Directory(ldap3::LdapError),
    /// Not in time.
    #[error("the directory is too slow")]
    TooSlow,
    /// It has a limit on what it gives us (RFC 4511 §4.1.9), and people are beyond it.
    #[error("the directory gives no more than its limit lets it (result {0})")]
    Limited(u32),
    /// It tells of more people than are borne.
    #[error("the directory tells of more than {MOST_PEOPLE} people")]
    TooMany,
}

impl From<ldap3::LdapError> for LdapError {
    fn from(error: ldap3::LdapError) -> Self {
        match error {
            ldap3::LdapError::LdapResult { result }
                if matches!(result.rc, TIME_LIMIT | SIZE_LIMIT | ADMIN_LIMIT) =>
            {
                Self::Limited(result.rc)
            }
            other => Self::Directory(other),
        }
    }
}

/// What a reading found.
#[derive(Debug, Default)]
pub struct Everybody {
    /// Who may have an account.
    pub(crate) people: Vec<Person>,
    /// How many entries there are.
    pub entries: usize,
    /// How many have a user name that no account can have.
    pub unfit: usize,
    /// The first of these.
    pub unfit_names: Vec<String>,
    /// How many have nothing that tells them from others of their name.
    pub without_id: usize,
}

impl Everybody {
    /// How many may have an account.
    pub fn people(&self) -> usize {
        self.people.len()
    }
}

impl Ldap {
    /// As configured; `None` if no directory is.
    pub(crate) fn open(config: &LdapConfig, tls: &TlsPolicy) -> Result<Option<Self>, LdapError> {
        let Some(url) = config.url.clone() else { return Ok(None) };
        let password = match &config.bind_password_file {
            Some(file) => {
                let text = Zeroizing::new(std::fs::read_to_string(file).map_err(LdapError::PasswordFile)?);
                Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            None => Zeroizing::default(),
        };
        if password.is_empty() && !config.bind_dn.is_empty() {
            return Err(LdapError::EmptyPassword);
        }
        let settings = LdapConnSettings::new()
            .set_config(tls.client(&[]))
            .set_starttls(config.starttls && url.starts_with("ldap://"))
            .set_conn_timeout(config.timeout);
        let under_way = Semaphore::new(MOST_AT_ONCE);
        Ok(Some(Self { config: config.clone(), url, settings, password, under_way }))
    }

    /// Whose name and password these are: search, then bind as what was found. An unknown name is bound for as well.
    pub(crate) async fn prove(&self, user: &str, password: &str) -> Result<Option<Person>, LdapError> {
        // RFC 4513 §5.1.2: a bind without a password succeeds and proves nothing.
        if password.is_empty() || password.len() > LONGEST_PASSWORD {
            return Ok(None);
        }
        let asked = async {
            let _place = self.under_way.acquire().await.map_err(|_| LdapError::TooSlow)?;
            let mut ldap = self.connect().await?;
            let filter = format!("(&{}({}={}))", self.config.filter, self.config.user, ldap_escape(user));
            let options = SearchOptions::new().sizelimit(2);
            let found = ldap
                .with_search_options(options)
                .search(&self.config.base, Scope::Subtree, &filter, self.wanted())
                .await?;
            // Two of one name: nobody knows whose password it would be.
            let (entries, _) = match found.success() {
                Err(ldap3::LdapError::LdapResult { result }) if result.rc == SIZE_LIMIT => {
                    (Vec::new(), result)
                }
                other => other?,
            };
            let mut people = entries.into_iter().map(SearchEntry::construct);
            let one = match (people.next(), people.next()) {
                (Some(one), None) => Some(one),
                _ => None,
            };
            let nobody = || {
                format!(
                    "{}={},{}",
                    self.config.user,
                    dn_escape(hash::random_letters::<26>()),
                    self.config.base
                )
            };
            let name = one.as_ref().map_or_else(nobody, |one| one.dn.clone());
            let bound = ldap.simple_bind(&name, password).await?;
            // Whether it hears of the end or not, the answer is here.
            let _ = ldap.unbind().await;
            match bound.rc {
                0 => Ok(one.and_then(|one| entry::read(&self.config, &one).ok())),
                INVALID_CREDENTIALS | INAPPROPRIATE_AUTH | NO_SUCH_OBJECT | UNWILLING | INVALID_DN => {
                    Ok(None)
                }
                _ => Err(ldap3::LdapError::LdapResult { result: bound }.into()),
            }
        };
        tokio::time::timeout(self.config.timeout, asked).await.unwrap_or(Err(LdapError::TooSlow))
    }

    /// Everybody who may have an account.
    pub(crate) async fn everybody(&self) -> Result<Everybody, LdapError> {
        let asked = async {
            let mut ldap = self.connect().await?;
            let adapters: Vec<Box<dyn Adapter<'_, _, _>>> =
                vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE))];
            let (base, filter) = (&self.config.base, &self.config.filter);
            let mut stream =
                ldap.streaming_search_with(adapters, base, Scope::Subtree, filter, self.wanted()).await?;
            let mut all = Everybody::default();
            while let Some(entry) = stream.next().await? {
                let entry = SearchEntry::construct(entry);
                all.entries += 1;
                match entry::read(&self.config, &entry) {
                    Ok(person) => all.people.push(person),
                    Err(entry::Nobody::NoId) => all.without_id += 1,
                    Err(entry::Nobody::NoName) => {}
                    Err(entry::Nobody::BadName) => {
                        all.unfit += 1;
                        if all.unfit_names.len() < MOST_NAMED {
                            all.unfit_names.push(entry.dn);
                        }
                    }
                }
                if all.people.len() > MOST_PEOPLE {
                    return Err(LdapError::TooMany);
                }
            }
            stream.finish().await.success()?;
            // Whether it hears of the end or not, the answer is here.
            let _ = ldap.unbind().await;
            Ok(all)
        };
        // A page is an answer; all of them may take longer.
        tokio::time::timeout(self.config.timeout * 4, asked).await.unwrap_or(Err(LdapError::TooSlow))
    }

    async fn connect(&self) -> Result<ldap3::Ldap, LdapError> {
        let (connection, mut ldap) = LdapConnAsync::with_settings(self.settings.clone(), &self.url).await?;
        // It ends with the last handle; what fails on it is told to who asked.
        tokio::spawn(connection.drive());
        if !self.config.bind_dn.is_empty() {
            ldap.simple_bind(&self.config.bind_dn, &self.password).await?.success()?;
        }
        Ok(ldap)
    }

    fn wanted(&self) -> Vec<String> {
        let config = &self.config;
        [&config.user, &config.name, &config.numbers, &config.groups, &config.id].map(String::clone).into()
    }
}

/// Result codes of RFC 4511 §4.1.9 that mean that a name and a password do not fit.
const INVALID_CREDENTIALS: u32 = 49;
const INAPPROPRIATE_AUTH: u32 = 48;
const NO_SUCH_OBJECT: u32 = 32;
const INVALID_DN: u32 = 34;
const UNWILLING: u32 = 53;
/// More entries than were asked for, or than we may have.
const SIZE_LIMIT: u32 = 4;
const TIME_LIMIT: u32 = 3;
const ADMIN_LIMIT: u32 = 11;
/// Entries that are named of those whose names are unfit.
const MOST_NAMED: usize = 20;
/// Questions by people who log in, at once; the others wait, and no longer than for an answer.
const MOST_AT_ONCE: usize = 16;
/// Bytes of a password.
const LONGEST_PASSWORD: usize = 1024;
/// Entries in a page.
const PAGE: i32 = 500;
/// People in a directory.
const MOST_PEOPLE: usize = 200_000;
