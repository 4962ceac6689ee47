//! Holds an answer against the document: every key that is required is there, and every value has a type that is allowed.

use serde_json::Value;

/// Why a value is not as its schema says; nothing where it is.
pub(crate) fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
        return faults(document, target, value, at);
    }
    let parts = |key: &str| schema[key].as_array().cloned().unwrap_or_default();
    let mut found: Vec<String> = parts("allOf").iter().flat_map(|part| faults(document, part, value, at)).collect();
    let choices = parts("oneOf");
    if !choices.is_empty() && choices.iter().all(|choice| !faults(document, choice, value, at).is_empty()) {
        found.push(format!("{at} is none of the allowed: {value}"));
    }
    if !type_fits(&schema["type"], value) {
        found.push(format!("{at} is {value}, not {}", schema["type"]));
    }
    let words = parts("enum");
    if !words.is_empty() && !words.contains(value) {
        found.push(format!("{at} is {value}, none of {words:?}"));
    }
    for key in parts("required").iter().filter_map(Value::as_str) {
        if value.is_object() && value.get(key).is_none() {
            found.push(format!("{at}.{key} is missing"));
        }
    }
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(key) {
            found.extend(faults(document, schema, value, &format!("{at}.{key}")));
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(faults(document, &schema["items"], item, &format!("{at}[{index}]")));
    }
    found
}

fn type_fits(types: &Value, value: &Value) -> bool {
    let fits = |word: &str| match word {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match types {
        Value::String(word) => fits(word),
        Value::Array(words) => words.iter().filter_map(Value::as_str).any(fits),
        _ => true,
    }
}
