//! Who finds the own account without its address: in address books, by search, by its number. It is the key `listed` of its profile,
//! which its owner writes here and an administrator as any other.

use axum::http::Method;
use serde_json::{Value, json};
use shared_model::FoundBy;

use super::caller::Scope;
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, operation};
use crate::profile::Settings;
use crate::{Face, Layer};

const SHOW: Operation = Operation {
    id: "showListing",
    method: Method::GET,
    path: "/account/listing",
    scope: Scope::AccountRead,
    takes: &[],
    gives: "Listing",
    summary: "Who finds the own account in address books, by search and by its number",
    run: operation!(show),
};

pub(super) const TABLE: &[Operation] = &[
    SHOW,
    Operation {
        id: "setListing",
        method: Method::PUT,
        scope: Scope::AccountWrite,
        takes: &[Field::needed("listed", Kind::Text, "who finds it: nobody, contacts or domain")],
        summary: "Is found by these from now on; who knows the address reaches it all the same",
        run: operation!(set),
        ..SHOW
    },
];

async fn show(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let listed = face.profiles.of(&ask.caller.card, None).await?.listed.unwrap_or_default();
    Ok(json!({ "listed": listed }))
}

async fn set(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, wish) = (&ask.caller.card, ask.fields.get("listed").cloned().unwrap_or_default());
    let wish: FoundBy = serde_json::from_value(wish)
        .map_err(|_| Problem::field("listed", "an account is found by nobody, contacts or domain"))?;
    let before = show(face, ask).await?;
    let layer = Layer::Account(card.aor.clone());
    let (settings, expected) = face.profiles.read_to_change(&layer).await?;
    face.profiles.replace(&layer, &Settings { listed: Some(wish), ..settings }, expected).await?;
    face.listed.forget();
    let after = json!({ "listed": wish });
    face.auth.audit.change(ask.by(), "listing changed", &card.aor, before, after.clone()).await;
    Ok(after)
}
