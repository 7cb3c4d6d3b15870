//! The API as OpenAPI 3.1 says it, printed from the table of operations; the shapes of answers are in `schemas.json`.

use serde_json::{Map, Value, json};

use super::caller::Scope;
use super::{Field, Kind, Operation, table};

/// The document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for operation in table() {
        let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
        methods[operation.method.as_str().to_lowercase()] = of(operation);
    }
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    let scopes: Vec<String> =
        Scope::ALL.iter().map(|(word, _, about)| format!("`{word}`: {about}")).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cusax", "version": "1",
            "description": format!("Accounts, invitations and the state of a cusax service. Scopes of tokens: {}.", scopes.join("; ")),
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": "__Host-cusax" },
            },
            "schemas": schemas,
        },
    })
}

fn of(operation: &Operation) -> Value {
    let is_get = operation.method == axum::http::Method::GET;
    let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }))
        .collect();
    if is_get {
        parameters.extend(operation.takes.iter().map(|field| {
            json!({
                "name": field.name, "in": "query", "required": field.needed, "schema": schema(field),
                "description": field.about,
            })
        }));
    }
    let problem = json!({
        "description": "what went wrong",
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    let done = match operation.gives {
        "" => json!({ "204": { "description": "done" } }),
        name => json!({ "200": {
            "description": "done",
            "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } },
        } }),
    };
    let mut responses = done;
    for status in ["400", "401", "403", "404", "409", "413", "415", "422", "429", "503"] {
        responses[status] = problem.clone();
    }
    let limit = match is_get {
        true => {
            "failed proofs from this network, or an account that asks the directory more than 120 times a minute"
        }
        false => {
            "more than 60 changes of this account in a minute, of which 60 may come at once, or failed proofs from this network"
        }
    };
    responses["429"]["description"] =
        format!("too many: {limit}; Retry-After says for how long to wait").into();
    let mut whole = json!({
        "operationId": operation.id, "summary": operation.summary, "parameters": parameters, "responses": responses,
        "description": format!("Needs the scope `{}`.", operation.scope.as_str()),
    });
    if !is_get && !operation.takes.is_empty() {
        let needed: Vec<&str> =
            operation.takes.iter().filter(|field| field.needed).map(|field| field.name).collect();
        let properties: Map<String, Value> =
            operation.takes.iter().map(|field| (field.name.to_owned(), schema(field))).collect();
        whole["requestBody"] = json!({
            "required": !needed.is_empty(),
            "content": { "application/json": { "schema": {
                "type": "object", "required": needed, "properties": properties, "additionalProperties": false,
            } } },
        });
    }
    whole
}

fn schema(field: &Field) -> Value {
    let mut schema = match field.kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Number => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Kind::List => json!({ "type": "array", "items": { "type": "string" }, "maxItems": 64 }),
        Kind::Object => json!({ "$ref": "#/components/schemas/Settings" }),
    };
    schema["description"] = field.about.into();
    schema
}

const SCHEMAS: &str = include_str!("schemas.json");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_a_shape_and_every_operation_a_name_of_its_own() {
        let schemas: Value = serde_json::from_str(SCHEMAS).unwrap();
        let mut ids: Vec<&str> = table().map(|operation| operation.id).collect();
        for operation in table() {
            assert!(operation.gives.is_empty() || schemas.get(operation.gives).is_some(), "{}", operation.id);
        }
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn every_object_says_its_fields_and_every_list_what_it_holds() {
        fn bare(schema: &Value, at: &str, found: &mut Vec<String>) {
            let is = |word: &str| match &schema["type"] {
                Value::Array(all) => all.contains(&word.into()),
                one => one == word,
            };
            let has = |name: &str| schema.get(name).is_some();
            if is("object") && !has("properties") && !has("additionalProperties")
                || is("array") && !has("items")
            {
                found.push(at.to_owned());
            }
            if let Value::Object(parts) = schema {
                parts.iter().for_each(|(name, part)| bare(part, &format!("{at}/{name}"), found));
            }
        }
        let mut found = Vec::new();
        bare(&document(), "", &mut found);
        assert_eq!(found, [""; 0]);
    }
}
