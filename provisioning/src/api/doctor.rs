//! Whether the service is well, for administrators.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Operation, operation};
use crate::Face;

pub(super) const TABLE: &[Operation] = &[Operation {
    id: "diagnose",
    method: Method::GET,
    path: "/doctor",
    scope: Scope::AdminRead,
    gives: "Diagnosis",
    takes: &[],
    summary: "Tries the service as `cusax doctor` does, one look at a time; takes some seconds",
    run: operation!(diagnose),
}];

async fn diagnose(face: &Face, _ask: &Ask) -> Result<Value, Problem> {
    let not_now = || {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "another look is under way, or none is possible here")
    };
    let doctor = face.doctor.as_ref().ok_or_else(not_now)?;
    let (findings, is_well) = doctor.look().await.map_err(|_| not_now())?;
    let findings = findings.into_iter().map(|found| {
        json!({ "check": found.check, "severity": found.severity, "text": found.text, "remedy": found.remedy })
    });
    Ok(json!({ "well": is_well, "findings": findings.collect::<Vec<_>>() }))
}
