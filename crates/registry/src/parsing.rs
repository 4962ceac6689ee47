//! From text to a value: JSON or YAML, and nothing that costs far more than its length.
//!
//! Must not know what a registry is made of.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How many values a text may have, those included that a YAML alias repeats. A value of one character takes a hundred bytes in
/// memory; 56 presets have some 4,000.
const MOST_VALUES: usize = 1_000_000;

/// How many lists and maps of a text may lie in each other.
const MOST_LEVELS: usize = 64;

/// A text or key counts as one more value for each so many bytes: a long one that is repeated costs its length each time.
const BYTES_A_VALUE: usize = 256;

/// How many brackets of a YAML text may be open at once; its scanner's time grows with their square.
const MOST_OPEN_BRACKETS: usize = 100;

/// The value that `text` spells: JSON where it starts with a brace, else YAML.
pub(crate) fn parse_value(text: &str) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    let text = text.trim_start_matches('\u{FEFF}');
    // Before YAML is parsed at all: its events take more memory than its values.
    if text.bytes().filter(|byte| matches!(byte, b',' | b'\n')).count() > MOST_VALUES {
        return Err(format!("it has more than {MOST_VALUES} values").into());
    }
    let mut left = MOST_VALUES;
    let counted = Counted { left: &mut left, levels: MOST_LEVELS };
    if text.trim_start().starts_with('{') {
        let mut json = serde_json::Deserializer::from_str(text);
        let value = counted.deserialize(&mut json)?;
        json.end()?;
        return Ok(value);
    }
    if most_open_brackets(text) > MOST_OPEN_BRACKETS {
        return Err(format!("it has more than {MOST_OPEN_BRACKETS} brackets open at once").into());
    }
    Ok(counted.deserialize(serde_norway::Deserializer::from_str(text))?)
}

/// Builds a value and counts its parts while it is read. Counting separators of the text instead would miss what aliases of YAML
/// repeat: a text of `n` bytes can spell `n * n` values.
struct Counted<'a> {
    left: &'a mut usize,
    /// Levels that may follow.
    levels: usize,
}

impl Counted<'_> {
    fn again(&mut self) -> Counted<'_> {
        Counted { left: self.left, levels: self.levels }
    }

    /// For what lies one level further in.
    fn inner<E: Error>(&mut self) -> Result<Counted<'_>, E> {
        let levels = self.levels.checked_sub(1);
        let levels = levels.ok_or_else(|| E::custom(format!("it has more than {MOST_LEVELS} levels")))?;
        Ok(Counted { left: self.left, levels })
    }
}

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        spend(self.left, 1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value that JSON can spell")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        spend(self.left, value.len() / BYTES_A_VALUE)?;
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        let mut inner = self.inner()?;
        while let Some(element) = elements.next_element_seed(inner.again())? {
            list.push(element);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut inner = self.inner()?;
        while let Some(key) = members.next_key::<String>()? {
            spend(inner.left, key.len() / BYTES_A_VALUE)?;
            map.insert(key, members.next_value_seed(inner.again())?);
        }
        Ok(map.into())
    }
}

/// Takes so many values from what is left.
fn spend<E: Error>(left: &mut usize, values: usize) -> Result<(), E> {
    let rest = left.checked_sub(values).ok_or_else(|| E::custom(format!("it has more than {MOST_VALUES} values")))?;
    *left = rest;
    Ok(())
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn limits_of_values_and_levels_are_exact() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(parse_value(&nested(MOST_LEVELS)).is_ok());
        let refused = parse_value(&nested(MOST_LEVELS + 1)).unwrap_err().to_string();
        assert!(refused.contains("more than 64 levels"), "{refused}");
        let block = |levels: usize| {
            (0..levels).map(|level| format!("{}a:\n", " ".repeat(level))).collect::<String>()
                + &" ".repeat(levels)
                + "1"
        };
        assert!(parse_value(&block(MOST_LEVELS)).is_ok());
        let refused = parse_value(&block(MOST_LEVELS + 1)).unwrap_err().to_string();
        assert!(refused.contains("more than 64 levels"), "{refused}");
        // The map and the list are values too.
        let wide = |values: usize| format!("{{\"a\":[{}0]}}", "0,".repeat(values - 3));
        assert!(parse_value(&wide(MOST_VALUES)).is_ok());
        let refused = parse_value(&wide(MOST_VALUES + 1)).unwrap_err().to_string();
        assert!(refused.contains("more than 1000000 values"), "{refused}");
    }
}
