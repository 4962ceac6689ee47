//! From text to a value: JSON or YAML, and nothing that costs far more than its length.
//!
//! Must not know what a registry is made of.

use serde_json::Value;

/// How many values a text may have. A value of one character takes a hundred bytes in memory; 56 presets have some 4,000.
const MOST_VALUES: usize = 300_000;

/// How many brackets of a YAML text may be open at once; its scanner's time grows with their square.
const MOST_OPEN_BRACKETS: usize = 100;

/// The value that `text` spells: JSON where it starts with a brace, else YAML.
pub(crate) fn parse_value(text: &str) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    let text = text.trim_start_matches('\u{FEFF}');
    if text.bytes().filter(|byte| matches!(byte, b',' | b'\n')).count() > MOST_VALUES {
        return Err(format!("it has more than {MOST_VALUES} values").into());
    }
    if text.trim_start().starts_with('{') {
        return Ok(serde_json::from_str(text)?);
    }
    if most_open_brackets(text) > MOST_OPEN_BRACKETS {
        return Err(format!("it has more than {MOST_OPEN_BRACKETS} brackets open at once").into());
    }
    Ok(serde_norway::from_str(text)?)
}

/// Counts brackets inside of words too, where they are few and mostly closed.
fn most_open_brackets(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}
