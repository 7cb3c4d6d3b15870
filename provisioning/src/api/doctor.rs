//! Whether the service is well, for administrators.
//!
//! In    nothing but who asks; a look makes accounts and a call, so that it is a change. Out every finding, and a note in the audit.
//! Errors 429 while another look is under way, 503 where nobody can look.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared_model::NotLooked;

use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Operation, operation};
use crate::Face;

pub(super) const TABLE: &[Operation] = &[Operation {
    id: "diagnose",
    method: Method::POST,
    path: "/doctor",
    scope: Scope::AdminWrite,
    gives: "Diagnosis",
    takes: &[],
    summary: "Tries the service as `cusax doctor` does, with accounts and a call that it makes and removes; takes some seconds, one \
              look at a time",
    run: operation!(diagnose),
}];

async fn diagnose(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let nobody = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "nobody can look at the service here now");
    let doctor = face.doctor.as_ref().ok_or_else(nobody)?;
    let (findings, is_well) = doctor.look().await.map_err(|why| match why {
        NotLooked::UnderWay => {
            let detail = "another look is under way; ask again when it is through";
            Problem { wait: Some(WAIT), ..Problem::new(StatusCode::TOO_MANY_REQUESTS, detail) }
        }
        NotLooked::BrokeOff => nobody(),
    })?;
    face.auth.audit.note(ask.by(), "service looked at", face.domains.main()).await;
    let findings = findings.into_iter().map(|found| {
        json!({ "check": found.check, "severity": found.severity, "text": found.text, "remedy": found.remedy })
    });
    Ok(json!({ "well": is_well, "findings": findings.collect::<Vec<_>>() }))
}

/// Seconds that a look takes, about.
const WAIT: u64 = 10;
