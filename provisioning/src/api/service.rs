//! The service itself, for administrators: profiles, and the audit of changes.

use axum::http::Method;
use serde_json::{Value, json};

use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, operation};
use crate::{Face, Layer, Settings};

pub(super) const TABLE: &[Operation] = &[
    Operation {
        id: "showProfile",
        method: Method::GET,
        path: "/profiles/{layer}",
        scope: Scope::AdminRead,
        takes: &[],
        gives: "Profile",
        summary: "A layer's settings for clients",
        run: operation!(show_profile),
    },
    Operation {
        id: "setProfile",
        method: Method::PUT,
        path: "/profiles/{layer}",
        scope: Scope::AdminWrite,
        gives: "Profile",
        takes: &[Field::needed("settings", Kind::Object, "all settings of the layer; {} removes it")],
        summary: "Replaces a layer's settings for clients",
        run: operation!(set_profile),
    },
    Operation {
        id: "listChanges",
        method: Method::GET,
        path: "/audit",
        scope: Scope::AdminRead,
        gives: "Changes",
        takes: &[
            Field::open("before", Kind::Text, "the id of an entry: older ones only"),
            Field::open("max", Kind::Number, "how many at most; 50 by default, 500 at most"),
        ],
        summary: "Who changed what, the newest first",
        run: operation!(changes),
    },
];

async fn show_profile(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let layer = layer(ask)?;
    let settings = face.profiles.read(&layer).await?;
    Ok(json!({ "layer": layer.to_string(), "settings": settings }))
}

async fn set_profile(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (layer, given) = (layer(ask)?, ask.fields.get("settings").cloned().unwrap_or_default());
    let settings: Settings =
        serde_json::from_value(given).map_err(|error| Problem::field("settings", error.to_string()))?;
    if let Some(fault) = settings.fault() {
        return Err(Problem::field("settings", fault));
    }
    let (before, expected) = face.profiles.read_to_change(&layer).await?;
    face.profiles.replace(&layer, &settings, expected).await?;
    face.listed.forget();
    let (before, after) = (json!(before), json!(settings));
    face.auth.audit.change(ask.by(), "profile changed", &layer, before, after).await;
    Ok(json!({ "layer": layer.to_string(), "settings": settings }))
}

async fn changes(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let before = ask.text("before").filter(|before| !before.is_empty()).map(str::to_owned);
    let max = ask.number("max").map_or(50, |max| max.clamp(1, 500) as usize);
    let all = face.auth.audit.page(before, max).await?;
    let all = all.into_iter().map(|(id, mut change)| {
        change["id"] = id.into();
        change
    });
    Ok(json!({ "changes": all.collect::<Vec<_>>() }))
}

fn layer(ask: &Ask) -> Result<Layer, Problem> {
    ask.part("layer").parse().map_err(|error| Problem::field("layer", format!("{error}")))
}
