//! What went wrong, for programs and for people — RFC 9457: a status, a sentence, and the field that it is about.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use shared_auth::{BookError, InviteError};
use shared_store::StoreError;

use crate::answer::unkept;

/// Why a request did not do what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// The field of the request that it is about, possibly empty.
    pub(crate) field: &'static str,
    pub(crate) detail: String,
    /// Seconds after which to try again.
    pub(crate) wait: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, field: "", detail: detail.into(), wait: None }
    }

    /// A field that breaks a rule.
    pub(crate) fn field(field: &'static str, detail: impl Into<String>) -> Self {
        Self { field, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// There is nothing of that name.
    pub(crate) fn nothing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }

    /// Somebody asks too often.
    pub(crate) fn slow(wait: std::time::Duration) -> Self {
        let detail = "too many requests; try again later";
        Self { wait: Some(wait.as_secs().max(1)), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchAccount => Self::nothing("account"),
            StoreError::NoSuchEntry => Self::nothing("entry"),
            StoreError::Taken(taken) => {
                Self::new(StatusCode::CONFLICT, format!("the {taken} belongs to another account"))
            }
            StoreError::Conflict => Self::new(StatusCode::CONFLICT, "somebody else changed it meanwhile"),
            error => {
                tracing::warn!(%error, "a request failed");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "the service cannot do this now; try again")
            }
        }
    }
}

impl From<BookError> for Problem {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Store(error) => error.into(),
            BookError::Password(_) => Self::field("password", error.to_string()),
            BookError::BadNumber(_) => Self::field("numbers", error.to_string()),
            BookError::BadAppName => Self::field("name", error.to_string()),
            BookError::StillErased | BookError::Invited | BookError::KeptElsewhere(_) | BookError::Spent => {
                Self::new(StatusCode::CONFLICT, error.to_string())
            }
            BookError::AppNameTaken | BookError::TooManyApps => {
                Self { status: StatusCode::CONFLICT, ..Self::field("name", error.to_string()) }
            }
            BookError::NoSuchApp => Self::nothing("device"),
            BookError::BadName | BookError::TrialName => Self::field("address", error.to_string()),
        }
    }
}

impl From<InviteError> for Problem {
    fn from(error: InviteError) -> Self {
        match error {
            InviteError::Book(error) => error.into(),
            InviteError::Spent => Self::nothing("invitation"),
            InviteError::Name(_) => Self::field("user", error.to_string()),
            InviteError::Weak(_) => Self::field("password", error.to_string()),
            InviteError::TooMany => Self::new(StatusCode::CONFLICT, error.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank", "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(), "detail": self.detail,
        });
        if !self.field.is_empty() {
            body["field"] = self.field.into();
        }
        let media_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = unkept((self.status, media_type, body.to_string()).into_response());
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"cusax\""));
        }
        if let Some(wait) = self.wait {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        response
    }
}
