//! How many values and levels a JSON text has, counted in one pass over its bytes before any of it is parsed: a parsed value
//! takes up to a hundred times its bytes. The text need not be valid; who parses it says what is wrong with it.

use crate::Error;

/// Most values of a JSON text that a client sent or saved.
pub const MAX_VALUES: usize = 200_000;
/// Most levels of it.
pub const MAX_LEVELS: usize = 64;

/// What a JSON text has too many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooComplex {
    /// More than [`MAX_VALUES`] values.
    Values,
    /// More than [`MAX_LEVELS`] levels.
    Levels,
}

impl TooComplex {
    /// The most that is accepted.
    pub const fn limit(self) -> usize {
        match self {
            Self::Values => MAX_VALUES,
            Self::Levels => MAX_LEVELS,
        }
    }

    /// The word for what is counted.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Levels => "levels",
        }
    }
}

/// Refuses a text of more values or levels than are accepted. Keys are not counted, the values behind them are.
pub fn check(text: &[u8]) -> Result<(), TooComplex> {
    let (mut values, mut levels, mut is_first) = (0_usize, 0_usize, true);
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b']' | b'}' => {
                levels = levels.saturating_sub(1);
                is_first = false;
                continue;
            }
            b',' => {
                is_first = true;
                continue;
            }
            _ => {}
        }
        // The first byte of a document, an element or a member; a member's key stands for its value.
        values += usize::from(std::mem::replace(&mut is_first, false));
        match byte {
            b'"' => at = end_of_string(text, at),
            b'[' | b'{' => {
                levels += 1;
                is_first = true;
            }
            _ => {}
        }
        if values > MAX_VALUES {
            return Err(TooComplex::Values);
        }
        if levels > MAX_LEVELS {
            return Err(TooComplex::Levels);
        }
    }
    Ok(())
}

/// Where the string ends that begins before `at`.
fn end_of_string(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    text.len()
}

/// Refuses a text that is too complex, as an error of the service: `what` names it, as in "The workflow".
pub(crate) fn require(what: &'static str, text: &[u8]) -> Result<(), Error> {
    check(text).map_err(|excess| Error::TooComplex { what, excess })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use serde_json::Value;

    use super::*;

    fn array_of(values: usize) -> String {
        format!("[{}]", vec!["0"; values - 1].join(","))
    }

    #[test]
    fn the_limit_is_exact_for_values() {
        assert_eq!(check(array_of(MAX_VALUES).as_bytes()), Ok(()));
        assert_eq!(check(array_of(MAX_VALUES + 1).as_bytes()), Err(TooComplex::Values));
        let object = format!("{{{}}}", vec![r#""a":{}"#; MAX_VALUES - 1].join(","));
        assert_eq!(check(object.as_bytes()), Ok(()));
        let one_more = format!("{{{}}}", vec![r#""a":{}"#; MAX_VALUES].join(" , "));
        assert_eq!(check(one_more.as_bytes()), Err(TooComplex::Values));
        assert_eq!(check("[[0],".repeat(MAX_VALUES).as_bytes()), Err(TooComplex::Levels));
        assert_eq!(check(format!("[{}", "[0],".repeat(MAX_VALUES / 2 + 1)).as_bytes()), Err(TooComplex::Values));
    }

    #[test]
    fn the_limit_is_exact_for_levels() {
        let nested = |levels| format!("{}{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        assert_eq!(check(nested(MAX_LEVELS).as_bytes()), Ok(()));
        assert_eq!(check(nested(MAX_LEVELS + 1).as_bytes()), Err(TooComplex::Levels));
        assert_eq!(check("[],".repeat(1000).as_bytes()), Ok(()), "levels that were left");
        assert_eq!(check("[".repeat(1_000_000).as_bytes()), Err(TooComplex::Levels));
    }

    #[test]
    fn what_stands_in_strings_is_no_structure() {
        let text = format!(r#"["{}", "\\", "{}\"[[[", "\u005b"]"#, "[,{".repeat(MAX_VALUES), ",".repeat(MAX_VALUES));
        assert!(serde_json::from_str::<Value>(&text).is_ok());
        assert_eq!(check(text.as_bytes()), Ok(()));
        assert_eq!(check(br#""no end \"#), Ok(()));
    }

    #[test]
    fn the_count_is_that_of_the_parsed_value() {
        fn count(value: &Value) -> usize {
            match value {
                Value::Array(values) => 1 + values.iter().map(count).sum::<usize>(),
                Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
                _ => 1,
            }
        }
        for unit in ["0", "{}", "[]", " [ ] ", r#"{"a" : [1, "x,y", {"b": null}], "c": true}"#, r#""text""#, "-1.5e3"] {
            let each = count(&serde_json::from_str(unit).unwrap());
            let most = (MAX_VALUES - 1) / each;
            let (fits, exceeds) = (vec![unit; most].join(","), vec![unit; most + 1].join(","));
            assert_eq!(check(format!("[{fits}]").as_bytes()), Ok(()), "{unit}");
            let is_beyond = 1 + (most + 1) * each > MAX_VALUES;
            assert_eq!(check(format!("[{exceeds}]").as_bytes()).is_err(), is_beyond, "{unit}");
        }
    }
}
