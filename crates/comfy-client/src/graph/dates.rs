//! `%date:yyyy-MM-dd%` in the names of files to save, which the page fills in when it makes a prompt.
//!
//! Apart from the rest of the conversion, which knows no clock.

use serde_json::{Map, Value};

/// A moment as the clock on the wall shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// With all its digits.
    pub year: i32,
    /// From 1.
    pub month: u32,
    /// From 1.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59.
    pub second: u32,
}

/// Fills the date patterns in every `filename_prefix` of a prompt: `yyyy`, `yy`, `MM`, `dd`, `hh`, `mm`, `ss` and the
/// short forms without a leading zero.
pub fn fill_dates(prompt: &mut Map<String, Value>, now: LocalTime) {
    for node in prompt.values_mut() {
        let prefix = node.get_mut("inputs").and_then(|inputs| inputs.get_mut("filename_prefix"));
        if let Some(Value::String(text)) = prefix {
            *text = filled(text, now);
        }
    }
}

fn filled(text: &str, now: LocalTime) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("%date:") {
        let pattern = &rest[open + "%date:".len()..];
        let Some(close) = pattern.find('%') else { break };
        out.push_str(&rest[..open]);
        out.push_str(&formatted(&pattern[..close], now));
        rest = &pattern[close + 1..];
    }
    out + rest
}

/// Replaces runs of a letter that stands for a part of the date; everything else is kept.
fn formatted(pattern: &str, now: LocalTime) -> String {
    let mut out = String::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        let part = match letter {
            'M' => now.month,
            'd' => now.day,
            'h' => now.hour,
            'm' => now.minute,
            's' => now.second,
            'y' => 0,
            other => {
                out.push(other);
                continue;
            }
        };
        let longest = if letter == 'y' { 4 } else { 2 };
        let mut run = 1;
        while run < longest && letters.next_if_eq(&letter).is_some() {
            run += 1;
        }
        match (letter, run) {
            ('y', 4) => out.push_str(&now.year.to_string()),
            ('y', 2) => out.push_str(&format!("{:02}", now.year.rem_euclid(100))),
            ('y', _) => out.extend(std::iter::repeat_n('y', run)),
            (_, 2) => out.push_str(&format!("{part:02}")),
            _ => out.push_str(&part.to_string()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_patterns_are_filled_and_all_else_is_kept() {
        let now = LocalTime { year: 2026, month: 3, day: 9, hour: 7, minute: 5, second: 30 };
        let cases = [
            ("%date:yyyy-MM-dd%/img", "2026-03-09/img"),
            ("a_%date:yyMd%_%date:hhmmss%", "a_2639_070530"),
            ("%date:d.M.yyyy h:m:s%", "9.3.2026 7:5:30"),
            ("%width%_%date:yyyy", "%width%_%date:yyyy"),
            ("plain", "plain"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(filled(pattern, now), expected);
        }
    }
}
