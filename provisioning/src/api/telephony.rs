//! Trunks and the number plan, for administrators: what is so now, and where a number would go.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use shared_model::{Aor, Meaning, Telephony, TrunkState};

use super::accounts::address;
use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, operation};
use crate::Face;

pub(super) const TABLE: &[Operation] = &[
    Operation {
        id: "listTrunks",
        method: Method::GET,
        path: "/trunks",
        scope: Scope::AdminRead,
        takes: &[],
        gives: "Trunks",
        summary: "Trunks as they are now: whether they answer, whether they know us, how they failed last",
        run: operation!(trunks),
    },
    Operation {
        id: "showPlan",
        method: Method::GET,
        path: "/numbers/plan",
        scope: Scope::AdminRead,
        takes: &[],
        gives: "Plan",
        summary: "How people here dial, and what it costs, as configured",
        run: operation!(plan),
    },
    Operation {
        id: "lookUpNumber",
        method: Method::GET,
        path: "/numbers/lookup",
        scope: Scope::AdminRead,
        gives: "NumberRoute",
        takes: &[
            Field::needed("dialled", Kind::Text, "a number as people dial it, an extension, a name, a URI"),
            Field::open(
                "caller",
                Kind::Text,
                "the address of whoever dials, whose rules are held against it",
            ),
        ],
        summary: "Where something that is dialled would lead, by ENUM or by which trunks, and what it would cost",
        run: operation!(look_up),
    },
];

async fn trunks(face: &Face, _: &Ask) -> Result<Value, Problem> {
    let trunks: Vec<Value> = telephony(face)?.trunks().iter().map(trunk).collect();
    Ok(json!({ "trunks": trunks }))
}

fn trunk(state: &TrunkState) -> Value {
    let failed = state.failed.as_ref().map(|(time, how)| json!({ "time": time, "how": how }));
    json!({
        "name": state.name, "server": state.server, "addresses": state.addresses, "prefixes": state.prefixes,
        "emergency": state.takes_emergency, "priority": state.priority, "weight": state.weight, "up": state.is_up,
        "registered": state.is_registered, "probed": state.is_probed, "answered": state.answered, "failed": failed,
        "calls_out": state.calls.0, "calls_in": state.calls.1,
    })
}

async fn plan(face: &Face, _: &Ask) -> Result<Value, Problem> {
    let parts = telephony(face)?.plan().into_iter().map(|(name, says)| (name.to_owned(), says.into()));
    Ok(Value::Object(parts.collect::<Map<_, _>>()))
}

async fn look_up(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let dialled = ask.text("dialled").unwrap_or_default();
    if dialled.trim().is_empty() || dialled.len() > LONGEST {
        return Err(Problem::field("dialled", format!("`dialled` has 1 to {LONGEST} bytes")));
    }
    let caller = match ask.text("caller").filter(|caller| !caller.is_empty()) {
        Some(caller) => Some(Aor(address(face, "caller", caller)?)),
        None => None,
    };
    let route = telephony(face)?.look_up(dialled, caller.as_ref()).await;
    let route =
        route.map_err(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer"))?;
    let (kind, to) = match &route.meaning {
        Meaning::Number(number) => ("number", Some(number)),
        Meaning::Emergency(number) => ("emergency", Some(number)),
        Meaning::Ours(address) => ("ours", Some(address)),
        Meaning::Name => ("name", None),
    };
    let price = route.price.as_ref().map(|price| {
        json!({
            "class": price.class, "setup": price.setup, "minute": price.minute, "step": price.step,
            "currency": price.currency,
        })
    });
    Ok(json!({
        "kind": kind, "to": to, "account": route.account, "elsewhere": route.elsewhere,
        "trunks": route.trunks, "price": price,
        "allowed": route.is_allowed,
    }))
}

fn telephony(face: &Face) -> Result<&Arc<dyn Telephony>, Problem> {
    face.telephony
        .as_ref()
        .ok_or_else(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "calls are not served by this process"))
}

/// Bytes of what is dialled.
const LONGEST: usize = 256;
