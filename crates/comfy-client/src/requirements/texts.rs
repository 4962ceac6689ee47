//! The texts within a value of a node: some inputs hold rows of objects, and a text may stand anywhere in them.

use serde_json::Value;

/// A text within a value, and the key that it stands under.
pub(super) struct Text<'a> {
    pub(super) key: &'a str,
    pub(super) text: &'a str,
}

/// All texts of a value that is called `key`. A row that is switched off needs nothing.
pub(super) fn texts<'a>(key: &'a str, value: &'a Value) -> Vec<Text<'a>> {
    match value {
        Value::String(text) => vec![Text { key, text }],
        Value::Array(items) => items.iter().flat_map(|item| texts(key, item)).collect(),
        Value::Object(fields) if fields.get("on") != Some(&Value::Bool(false)) => {
            fields.iter().flat_map(|(key, field)| texts(key, field)).collect()
        }
        _ => Vec::new(),
    }
}
