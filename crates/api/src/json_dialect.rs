//! What other programs write for JSON and is none: Python's `NaN` and `Infinity`, a byte order mark, UTF-16. It is named, so
//! that a person knows what to change; a mark of UTF-8 is skipped.

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
/// As `json.dumps` of Python writes numbers that JSON does not have.
const CONSTANTS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];

/// The same text without the mark that some editors put before it.
pub(crate) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(UTF8_MARK).unwrap_or(body)
}

/// What is wrong with a text that is no JSON, where it is one of the known things.
pub(crate) fn explain(body: &[u8]) -> Option<String> {
    if UTF16_MARKS.iter().any(|mark| body.starts_with(mark)) {
        return Some("it is UTF-16; JSON is sent as UTF-8".to_owned());
    }
    let (name, at) = constant(body)?;
    let before = &body[..at];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    Some(format!("{name} at line {line} column {column} is no JSON, though Python writes it; send null or a number"))
}

/// The first such constant outside of texts, and where it is.
fn constant(body: &[u8]) -> Option<(&'static str, usize)> {
    let (mut in_text, mut at) = (false, 0);
    while at < body.len() {
        match body[at] {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            _ => {
                if let Some(name) = CONSTANTS.into_iter().find(|name| body[at..].starts_with(name.as_bytes())) {
                    return Some((name, at));
                }
            }
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_of_python_are_named_with_their_place() {
        let body = b"{\"a\": \"NaN \\\" Infinity\",\n \"is_changed\": [NaN]}";
        let words = explain(body).unwrap_or_default();
        assert!(words.starts_with("NaN at line 2 column 17"), "{words}");
        assert!(explain(b"[-Infinity]").is_some_and(|words| words.starts_with("-Infinity at line 1 column 2")));
        assert_eq!(explain(b"{\"a\": \"Infinity\"} trailing"), None);
        assert!(explain(b"\xff\xfe{\0}\0").is_some_and(|words| words.contains("UTF-16")));
        assert_eq!(without_mark(b"\xef\xbb\xbf{}"), b"{}");
    }
}
