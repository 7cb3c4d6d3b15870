//! Where pushes go: whoever speaks with push services.
//!
//! In    a device, and why it is woken.
//! Out   a POST with `{"provider", "param", "prid", "why", "seconds"}`; 2xx is a push that was sent.
//! Errors [`PushError`]: 404 and 410 say that the device is no more, all else that the push did not go out.
//! Not here: what each service wants (tokens, HTTP/2, payloads), which is the gateway's. No name goes along: who is woken
//! learns from its REGISTER's answer what there is.

use std::sync::Arc;

use serde::Serialize;
use shared_model::Pending;
use shared_runtime::fetch::{FetchError, Fetcher};

use super::device::PushTarget;

/// Sends pushes.
pub(crate) trait PushGateway: Send + Sync {
    /// Sends one.
    fn push<'a>(&'a self, push: &'a Push) -> Pending<'a, Result<(), PushError>>;
}

/// One push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Push {
    /// To which device.
    pub(crate) target: PushTarget,
    /// Why.
    pub(crate) why: Why,
    /// How long it is of use.
    pub(crate) seconds: u64,
}

/// Why a device is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Why {
    /// Somebody calls.
    Call,
    /// Another request waits.
    Request,
    /// Its binding ends soon.
    Refresh,
}

/// Why a push did not go out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PushError {
    /// The service does not know the device any more.
    #[error("the device is no more")]
    Gone,
    /// The gateway refused it.
    #[error("the gateway answered {0}")]
    Refused(u16),
    /// The gateway does not answer.
    #[error(transparent)]
    Silent(#[from] FetchError),
    /// Too many pushes are under way.
    #[error("too many pushes are under way")]
    Busy,
}

/// A gateway that takes JSON over HTTP.
pub(crate) struct HttpGateway {
    pub(crate) fetcher: Fetcher,
    pub(crate) url: String,
    /// The value of `Authorization`.
    pub(crate) authorization: Option<Arc<str>>,
}

#[derive(Serialize)]
struct Wire<'a> {
    provider: &'a str,
    param: &'a str,
    prid: &'a str,
    why: Why,
    seconds: u64,
}

impl HttpGateway {
    async fn post(&self, push: &Push) -> Result<(), PushError> {
        let PushTarget { provider, param, prid } = &push.target;
        let wire = Wire { provider, param, prid, why: push.why, seconds: push.seconds };
        // Strings and a number are always JSON.
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(self.authorization.as_deref().map(|value| ("authorization", value)));
        match self.fetcher.post(&self.url, &headers, body.into()).await? {
            answer if answer.is_success() => Ok(()),
            answer if matches!(answer.status, 404 | 410) => Err(PushError::Gone),
            answer => Err(PushError::Refused(answer.status)),
        }
    }
}

impl PushGateway for HttpGateway {
    fn push<'a>(&'a self, push: &'a Push) -> Pending<'a, Result<(), PushError>> {
        Box::pin(self.post(push))
    }
}
