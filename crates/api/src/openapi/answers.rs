//! What the document says of every answer: each key is there, `null` where its fact does not exist. The derive cannot know
//! that, since it takes every optional value for one that may be missing, as it may in a request.

use std::collections::BTreeSet;

use serde_json::Value;
use utoipa::openapi::{OpenApi, RefOr, schema::Schema};

const SCHEMAS: &str = "#/components/schemas/";

/// Requires every key of each schema that no request is made of.
pub(super) fn require_every_key(document: &mut OpenApi) {
    let asked = schemas_of_requests(document);
    let Some(components) = &mut document.components else { return };
    for (name, schema) in &mut components.schemas {
        if let RefOr::T(schema) = schema
            && !asked.contains(name)
        {
            require_keys_of(schema);
        }
    }
}

fn require_keys_of(schema: &mut Schema) {
    let parts = match schema {
        Schema::Object(object) => {
            object.required = object.properties.keys().cloned().collect();
            return;
        }
        Schema::AllOf(all) => &mut all.items,
        _ => return,
    };
    for part in parts {
        if let RefOr::T(part) = part {
            require_keys_of(part);
        }
    }
}

/// The schemas that requests are made of, and those that these refer to.
fn schemas_of_requests(document: &OpenApi) -> BTreeSet<String> {
    let json = serde_json::to_value(document).unwrap_or_default();
    let mut waiting = Vec::new();
    for item in json["paths"].as_object().into_iter().flat_map(|paths| paths.values()) {
        for operation in item.as_object().into_iter().flat_map(|item| item.values()) {
            references(&operation["requestBody"], &mut waiting);
        }
    }
    let mut found = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        references(&json["components"]["schemas"][&name], &mut waiting);
        waiting.retain(|other| *other != name && !found.contains(other));
        found.insert(name);
    }
    found
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let name = members.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix(SCHEMAS));
            found.extend(name.map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
