//! Whether a value has the shape of an example: directly, or by what a schema promises.

use serde_json::Value;

/// Keys whose fact always exists.
const NEVER_NULL: [&str; 13] = [
    "id",
    "name",
    "status",
    "path",
    "progress",
    "total",
    "count",
    "active",
    "files",
    "validated",
    "deleted",
    "code",
    "type",
];
/// Keys whose value is a map: its keys are data.
const MAPS: [&str; 4] = ["by_type", "categories", "workflow", "details"];

/// Where a value is not as the example; nothing where it is.
pub(super) fn differs(example: &Value, actual: &Value, at: &str) -> Vec<String> {
    let key = at.rsplit('.').next().unwrap_or(at);
    if actual.is_null() && !example.is_array() && !NEVER_NULL.contains(&key) {
        return Vec::new();
    }
    match (example, actual) {
        (Value::Object(_), Value::Object(_)) if MAPS.contains(&key) => Vec::new(),
        (Value::Object(wanted), Value::Object(_)) => wanted
            .iter()
            .flat_map(|(key, wanted)| {
                let place = format!("{at}.{key}");
                match actual.get(key) {
                    None => vec![format!("{place} is missing")],
                    // The example's own null has no type to compare.
                    Some(_) if wanted.is_null() => Vec::new(),
                    Some(actual) => differs(wanted, actual, &place),
                }
            })
            .collect(),
        (Value::Array(wanted), Value::Array(items)) => match (wanted.first(), items.as_slice()) {
            (None, _) => Vec::new(),
            // Of several items, some may have less to say.
            (Some(_), []) if at.contains("[]") => Vec::new(),
            (Some(_), []) => vec![format!("{at} is empty, and the example is not")],
            (Some(wanted), items) => items.iter().flat_map(|item| differs(wanted, item, &format!("{at}[]"))).collect(),
        },
        _ if std::mem::discriminant(example) == std::mem::discriminant(actual) => Vec::new(),
        _ => vec![format!("{at} is {actual}, the example has {example}")],
    }
}

/// What a schema does not promise of an example. Of an answer every key is promised, of a request none need be there.
pub(super) fn lacks(document: &Value, schema: &Value, example: &Value, is_answer: bool, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
        return lacks(document, target, example, is_answer, at);
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[key].as_array() {
            let tried: Vec<_> = choices.iter().map(|choice| lacks(document, choice, example, is_answer, at)).collect();
            return tried.into_iter().min_by_key(Vec::len).unwrap_or_default();
        }
    }
    match example {
        Value::Object(members) => {
            let mut faults = Vec::new();
            for (key, value) in members {
                let place = format!("{at}.{key}");
                match property(document, schema, key) {
                    Some((_, false)) if is_answer => faults.push(format!("{place} is not promised")),
                    Some((schema, _)) => faults.extend(lacks(document, schema, value, is_answer, &place)),
                    None if is_open(schema) => {}
                    None => faults.push(format!("{place} is not in the document")),
                }
            }
            faults
        }
        Value::Array(items) => items
            .first()
            .map(|item| lacks(document, &schema["items"], item, is_answer, &format!("{at}[]")))
            .unwrap_or_default(),
        _ => crate::world::schema::faults(document, schema, example, at),
    }
}

/// The schema of a key, and whether it is required.
fn property<'a>(document: &'a Value, schema: &'a Value, key: &str) -> Option<(&'a Value, bool)> {
    if let Some(reference) = schema["$ref"].as_str() {
        return property(document, document.pointer(reference.trim_start_matches('#'))?, key);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().find_map(|part| property(document, part, key));
    }
    let found = schema["properties"].get(key)?;
    let is_required = schema["required"].as_array().is_some_and(|required| required.iter().any(|name| name == key));
    Some((found, is_required))
}

/// A schema of any object, or of a map.
fn is_open(schema: &Value) -> bool {
    schema["properties"].is_null() && schema["allOf"].is_null()
}
