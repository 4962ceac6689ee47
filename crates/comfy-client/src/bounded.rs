//! JSON of others read with a limit on what it becomes in memory, not only on its bytes: `[[0],[0],…]` takes a hundred times
//! its own size as a tree.
//!
//! A reader here never fails because something is too large: what is beyond the limit is skipped without being kept, and the
//! reader says that it happened.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Bytes of text that come with each value of a budget.
const TEXT_PER_VALUE: usize = 256;

/// How much may still be kept.
#[derive(Debug)]
pub(crate) struct Budget {
    values: usize,
    text: usize,
    /// Something was skipped.
    pub(crate) exceeded: bool,
}

impl Budget {
    /// Room for so many values (each element, each entry), and for text in proportion.
    pub(crate) fn of_values(values: usize) -> Self {
        Self { values, text: values.saturating_mul(TEXT_PER_VALUE), exceeded: false }
    }

    fn take(&mut self) -> bool {
        self.exceeded |= self.values == 0;
        let has_room = self.values > 0;
        self.values = self.values.saturating_sub(1);
        has_room
    }

    fn text(&mut self, text: &str) -> String {
        let kept = cut(text, self.text);
        self.exceeded |= kept.len() < text.len();
        self.text -= kept.len();
        kept.to_owned()
    }
}

/// The first bytes of a text, ended at a whole character.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Reads one value within a budget; `None` where there was no room for it.
pub(crate) struct Within<'a>(pub(crate) &'a mut Budget);

impl<'de> DeserializeSeed<'de> for Within<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        if self.0.take() {
            from.deserialize_any(Tree(self.0)).map(Some)
        } else {
            IgnoredAny::deserialize(from).map(|_| None)
        }
    }
}

struct Tree<'a>(&'a mut Budget);

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(self.0.text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut kept = Vec::new();
        while let Some(value) = list.next_element_seed(Within(self.0))? {
            kept.extend(value);
        }
        Ok(Value::Array(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(key) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
            match entries.next_value_seed(Within(self.0))? {
                Some(value) if key.len() <= self.0.text => {
                    self.0.text -= key.len();
                    kept.insert(key.into_owned(), value);
                }
                _ => self.0.exceeded = true,
            }
        }
        Ok(Value::Object(kept))
    }
}

/// Any JSON, at most so many values of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bounded<const VALUES: usize> {
    pub(crate) value: Value,
    /// Something was left out.
    pub(crate) is_cut: bool,
}

impl<'de, const VALUES: usize> Deserialize<'de> for Bounded<VALUES> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut budget = Budget::of_values(VALUES);
        let value = Within(&mut budget).deserialize(from)?.unwrap_or_default();
        Ok(Self { value, is_cut: budget.exceeded })
    }
}

impl<const VALUES: usize> Bounded<VALUES> {
    /// Its entries, where it is an object.
    pub(crate) fn into_object(self) -> Map<String, Value> {
        match self.value {
            Value::Object(entries) => entries,
            _ => Map::new(),
        }
    }

    /// The text that it is.
    pub(crate) fn into_text(self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// The first entries of a list or the first entries of an object; whatever else it is, it is empty.
#[derive(Debug, Clone)]
pub(crate) struct AtMost<T, const COUNT: usize>(pub(crate) Vec<T>);

impl<T, const COUNT: usize> Default for AtMost<T, COUNT> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const COUNT: usize> Deserialize<'de> for AtMost<T, COUNT> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries<T, const COUNT: usize>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const COUNT: usize> Visitor<'de> for Entries<T, COUNT> {
            type Value = AtMost<T, COUNT>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a list or an object")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(AtMost::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < COUNT {
                    match list.next_element()? {
                        Some(entry) => kept.push(entry),
                        None => return Ok(AtMost(kept)),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(AtMost(kept))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut kept = Vec::new();
                while entries.next_key::<IgnoredAny>()?.is_some() {
                    if kept.len() < COUNT {
                        kept.push(entries.next_value()?);
                    } else {
                        entries.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(AtMost(kept))
            }
        }
        from.deserialize_any(Entries(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use serde_json::json;

    use super::*;

    #[test]
    fn json_within_its_limit_is_read_as_it_is() {
        let given = json!({"a": [1, 2.5, -3, true, null, "text"], "b": {"c": []}});
        let read: Bounded<20> = serde_json::from_str(&given.to_string()).unwrap();
        assert_eq!((read.value, read.is_cut), (given, false));
    }

    #[test]
    fn json_beyond_its_limit_is_cut_and_says_so() {
        let read: Bounded<4> = serde_json::from_str("[[1], [2], [3]]").unwrap();
        assert_eq!((read.value, read.is_cut), (json!([[1], []]), true));
        let text = "é".repeat(1000);
        let read: Bounded<1> = serde_json::from_value(json!(text)).unwrap();
        assert_eq!((read.into_text().unwrap().len(), "é".len()), (256, 2));
        let read: AtMost<u8, 2> = serde_json::from_str("[1, 2, 3]").unwrap();
        assert_eq!(read.0, [1, 2]);
    }
}
