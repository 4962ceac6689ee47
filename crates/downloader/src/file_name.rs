//! File names as servers and URLs give them, made into one safe path component. Pure.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::destination::name_problem;

/// The name in a `Content-Disposition`, `filename*` before `filename`; `None` when there is none that is safe.
pub(crate) fn from_content_disposition(value: &str) -> Option<String> {
    let parameters = split_parameters(value);
    let find = |wanted: &str| {
        let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        Some(found.1.as_str())
    };
    let extended = find("filename*").and_then(|value| {
        let (charset, rest) = value.split_once('\'')?;
        let (_, encoded) = rest.split_once('\'')?;
        let bytes: Vec<u8> = percent_decode_str(encoded).collect();
        match charset.to_ascii_lowercase().as_str() {
            "utf-8" => String::from_utf8(bytes).ok(),
            "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
            _ => None,
        }
    });
    extended.as_deref().and_then(safe).or_else(|| find("filename").and_then(safe))
}

/// The last segment of a URL's path, decoded.
pub(crate) fn from_url(url: &Url) -> Option<String> {
    let last = url.path_segments()?.rfind(|segment| !segment.is_empty())?;
    safe(&percent_decode_str(last).decode_utf8().ok()?)
}

/// Keeps what follows the last separator, and refuses what is no plain name.
fn safe(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).next()?.trim().trim_end_matches(['.', ' ']);
    let plain =
        name_problem(name).is_none() && !name.starts_with('.') && !name.contains([':', '*', '?', '"', '<', '>', '|']);
    plain.then(|| name.to_owned())
}

/// `attachment; a=b; c="d;e"` as pairs.
fn split_parameters(value: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once(';') {
        let Some((name, value)) = after.split_once('=') else { break };
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted_string(quoted),
            None => {
                let end = value.find(';').unwrap_or(value.len());
                (value[..end].trim().to_owned(), &value[end..])
            }
        };
        pairs.push((name.trim().to_owned(), value));
        rest = after;
    }
    pairs
}

fn quoted_string(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            _ => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_all_their_forms() {
        let table = [
            ("attachment; filename=\"a b.bin\"", Some("a b.bin")),
            ("attachment; filename=a.bin; size=3", Some("a.bin")),
            ("attachment; filename=\"x.bin\"; filename*=UTF-8''%C3%A4.bin", Some("ä.bin")),
            ("attachment; filename*=iso-8859-1'en'%E4.bin", Some("ä.bin")),
            ("inline; filename=\"a;b\\\"c.bin\"", None),
            ("attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            ("attachment; filename=\"..\\\\..\\\\evil.bin\"", Some("evil.bin")),
            ("attachment; filename=\"..\"", None),
            ("attachment; filename=\"\"", None),
            ("attachment; filename=\".bashrc\"", None),
            ("attachment; filename*=UTF-8''%2e%2e%2fevil.bin", Some("evil.bin")),
            ("attachment; filename*=UTF-8''a%00b", None),
            ("attachment", None),
        ];
        for (value, expected) in table {
            assert_eq!(from_content_disposition(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn the_last_segment_of_a_url_is_a_name() {
        let of = |text: &str| from_url(&Url::parse(text).expect("a URL"));
        assert_eq!(of("https://h/a/b%20c.bin?x=1").as_deref(), Some("b c.bin"));
        assert_eq!(of("https://h/a/..%2fevil.bin").as_deref(), Some("evil.bin"));
        assert_eq!(of("https://h/"), None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_server_sends_the_name_is_one_plain_component(value in "\\PC{0,60}", raw in ".{0,40}") {
            for header in [value.clone(), format!("attachment; filename=\"{raw}\""), format!("a; filename*=UTF-8''{value}")] {
                if let Some(name) = from_content_disposition(&header) {
                    proptest::prop_assert!(name_problem(&name).is_none() && !name.contains('/'), "{:?}", name);
                }
            }
        }
    }
}
