//! The doctor: whether a service is well, and what to do where it is not.
//!
//! In    the service as it is configured and as it answers ([`Ward`]).
//! Out   findings, each with its severity, what it is, and what to do. One check is one file and one line of [`TABLE`].
//! State none; what a check makes (an account, a binding) it removes. Without a running server nothing is made: checks look alone.
//! Errors a check that cannot be carried out is a finding of its own: `unchecked`.

mod call;
mod card;
mod certificates;
mod chat;
mod clock;
mod configuration;
mod directories;
mod halves;
mod listeners;
mod names;
mod naptr;
mod patient;
mod plan;
mod providers;
mod provisioning;
mod relays;
mod running;
mod store;
mod unserved;
mod ward;

use std::future::Future;
use std::pin::Pin;

pub use patient::{Patients, is_patient, sweep};
pub use plan::{Planned, firewall, plan};
pub use running::{Bound, RUNNING, Running};
pub use store::{is_full, seen_by_others};
pub use unserved::unserved;
pub use ward::{Face, NotOpen, Ward, is_loopback_domain};

/// How much something matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It holds.
    Ok,
    /// It holds, and one should know.
    Note,
    /// It could not be looked at.
    Unchecked,
    /// It will fail, or fails for some.
    Warning,
    /// It fails.
    Error,
}

impl Severity {
    /// The word that is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Unchecked => "unchecked",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Whether a service of which nothing worse is found is well.
    pub fn is_well(self) -> bool {
        self <= Self::Note
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check that found it.
    pub check: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub text: String,
    /// What to do; empty if nothing is to be done.
    pub remedy: String,
}

impl Finding {
    /// An object for programs.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "check": self.check, "severity": self.severity.as_str(), "text": self.text, "remedy": self.remedy,
        })
    }
}

/// What a check writes its findings into.
pub(crate) struct Findings {
    check: &'static str,
    all: Vec<Finding>,
}

impl Findings {
    fn put(&mut self, severity: Severity, text: impl Into<String>, remedy: impl Into<String>) {
        let finding = Finding { check: self.check, severity, text: text.into(), remedy: remedy.into() };
        self.all.push(finding);
    }

    pub(crate) fn ok(&mut self, text: impl Into<String>) {
        self.put(Severity::Ok, text, "");
    }

    pub(crate) fn note(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.put(Severity::Note, text, remedy);
    }

    pub(crate) fn warning(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.put(Severity::Warning, text, remedy);
    }

    pub(crate) fn error(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.put(Severity::Error, text, remedy);
    }

    pub(crate) fn unchecked(&mut self, text: impl Into<String>) {
        self.put(Severity::Unchecked, text, "");
    }

    /// What every check says that needs a running server.
    pub(crate) fn no_server(&mut self) {
        self.put(
            Severity::Unchecked,
            "not checked: the server does not answer",
            "start it (cusax serve) and ask again",
        );
    }
}

type Carried<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One check.
pub struct Check {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it looks at.
    pub about: &'static str,
    run: for<'a> fn(&'a Ward, &'a mut Findings) -> Carried<'a>,
}

/// Every check, in the order of the report.
pub const TABLE: &[Check] = &[
    Check {
        name: "configuration",
        about: "both halves are protected alike",
        run: |ward, found| Box::pin(async { configuration::check(ward, found) }),
    },
    Check {
        name: "store",
        about: "it opens, writes, and has room",
        run: |ward, found| Box::pin(store::check(ward, found)),
    },
    Check {
        name: "clock",
        about: "it goes forwards",
        run: |ward, found| Box::pin(async { clock::check(ward, found) }),
    },
    Check {
        name: "listeners",
        about: "our listeners answer, or are free",
        run: |ward, found| Box::pin(listeners::check(ward, found)),
    },
    Check {
        name: "certificates",
        about: "each listener's chain, name and time for each domain, as clients see it",
        run: |ward, found| Box::pin(certificates::check(ward, found)),
    },
    Check {
        name: "dns",
        about: "each domain leads to our ports",
        run: |ward, found| Box::pin(names::check(ward, found)),
    },
    Check {
        name: "naptr",
        about: "each domain's NAPTR records lead to our ways of calls",
        run: |ward, found| Box::pin(naptr::check(ward, found)),
    },
    Check {
        name: "directories",
        about: "each directory (LDAP) takes our bind and names people",
        run: |ward, found| Box::pin(directories::check(ward, found)),
    },
    Check {
        name: "providers",
        about: "each provider of OpenID Connect describes itself and shows its keys",
        run: |ward, found| Box::pin(providers::check(ward, found)),
    },
    Check {
        name: "halves",
        about: "telephones are protected as chat is",
        run: |ward, found| Box::pin(halves::check(ward, found)),
    },
    Check {
        name: "call",
        about: "somebody of each domain registers, calls themself and hears themself",
        run: |ward, found| Box::pin(call::check(ward, found)),
    },
    Check {
        name: "chat",
        about: "somebody of each domain logs in and writes to themself",
        run: |ward, found| Box::pin(chat::check(ward, found)),
    },
    Check {
        name: "card",
        about: "cards say how to call",
        run: |ward, found| Box::pin(card::check(ward, found)),
    },
    Check {
        name: "relays",
        about: "STUN and TURN servers that clients are told of give them a place",
        run: |ward, found| Box::pin(relays::check(ward, found)),
    },
    Check {
        name: "provisioning",
        about: "somebody of each domain fetches the configuration of a client",
        run: |ward, found| Box::pin(provisioning::check(ward, found)),
    },
];

/// Carries out the check of that name, or all; what a look that was killed left is taken away first.
pub async fn examine(ward: &Ward, only: Option<&str>) -> Vec<Finding> {
    let mut all = Vec::new();
    if let (Some(_), Ok((auth, _))) = (&ward.running, &ward.auth) {
        // A store that does not answer is a finding of its own.
        let _ = sweep(auth).await;
    }
    for check in TABLE.iter().filter(|check| only.is_none_or(|only| only == check.name)) {
        let mut findings = Findings { check: check.name, all: Vec::new() };
        (check.run)(ward, &mut findings).await;
        all.append(&mut findings.all);
    }
    all
}
