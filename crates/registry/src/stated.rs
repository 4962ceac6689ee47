//! What registries write for people: sizes such as `4.8GB`, `~15GB`, `9.31GB (9536MB)`, and text that looks like a number.
//!
//! Must not refuse anything: what cannot be read is simply not stated.

use serde_json::Value;

/// The bytes that a size in words stands for. `GB` is 10^9 and `GiB` 2^30; the first figure counts.
pub(crate) fn size_in_bytes(text: &str) -> Option<u64> {
    let text = text.trim_start_matches(['~', '≈', '<', '>', ' ']);
    let figure_ends = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (figure, rest) = text.split_at(figure_ends);
    let figure: f64 = figure.parse().ok()?;
    let unit: String = rest.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        "tib" => 1_099_511_627_776.0,
        _ => return None,
    };
    whole_bytes(figure * factor)
}

/// A number of bytes that a document gives as a number of any kind.
pub(crate) fn whole_bytes(bytes: f64) -> Option<u64> {
    let plausible = bytes.is_finite() && bytes > 0.0 && bytes < 1e18;
    plausible.then(|| bytes.round() as u64)
}

/// Text, or the number that YAML makes of unquoted text such as `1.0`.
pub(crate) fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::size_in_bytes;

    #[test]
    fn sizes_in_words_become_bytes() {
        let table = [
            ("4.8GB", Some(4_800_000_000)),
            ("538MB", Some(538_000_000)),
            ("~15GB", Some(15_000_000_000)),
            ("9.31GB (9536MB)", Some(9_310_000_000)),
            ("14 gb", Some(14_000_000_000)),
            ("1.5GiB", Some(1_610_612_736)),
            ("2048", Some(2048)),
            ("", None),
            ("large", None),
            ("5 parsecs", None),
            ("1.2.3GB", None),
            ("0GB", None),
            ("-4GB", None),
            ("99999999999TB", None),
        ];
        for (text, bytes) in table {
            assert_eq!(size_in_bytes(text), bytes, "{text:?}");
        }
    }
}
