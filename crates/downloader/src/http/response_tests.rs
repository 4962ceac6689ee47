//! Verdicts on answers, by hand.

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().expect("a header value"));
    }
    headers
}

fn partial(range: &str) -> Result<Body, String> {
    judge(StatusCode::PARTIAL_CONTENT, &headers(&[("content-range", range)]), 10, Some(20))
}

#[test]
fn a_part_is_taken_only_when_it_is_the_one_asked_for() {
    let asked = ContentRange { start: 10, end: 20, total: Some(100) };
    assert_eq!(partial("bytes 10-19/100"), Ok(Body::Part(asked)));
    assert_eq!(partial("bytes 10-14/100"), Ok(Body::Part(ContentRange { end: 15, ..asked })));
    assert_eq!(partial("bytes 10-14/15"), Ok(Body::Part(ContentRange { end: 15, total: Some(15), ..asked })));
    assert_eq!(partial("bytes 10-19/*"), Ok(Body::Part(ContentRange { total: None, ..asked })));
    let wrong = [
        "bytes 9-19/100",
        "bytes 11-19/100",
        "bytes 10-20/100",
        "bytes 0-99/100",
        "bytes 10-19/15",
        "bytes 19-10/100",
        "bytes -10/100",
        "bytes 10-/100",
        "bytes */100",
        "bytes 10-19",
        "10-19/100",
        "bytes 10-19/",
        "bytes +10-19/100",
        "bytes 10-18446744073709551615/*",
        "octets 10-19/100",
        "",
        "bytes 10 - 19/100",
        "bytes 0xa-19/100",
    ];
    for range in wrong {
        assert!(partial(range).is_err(), "{range:?} was taken");
    }
}

#[test]
fn doubled_missing_and_contradicting_headers_are_refused() {
    let judge = |pairs: &[(&'static str, &str)]| judge(StatusCode::PARTIAL_CONTENT, &headers(pairs), 10, Some(20));
    let range = ("content-range", "bytes 10-19/100");
    assert!(judge(&[range, range]).is_err());
    assert!(judge(&[]).is_err());
    assert!(judge(&[range, ("content-length", "9")]).is_err());
    assert!(judge(&[range, ("content-type", "multipart/byteranges; boundary=x")]).is_err());
    assert!(judge(&[range, ("content-encoding", "gzip")]).is_err());
    assert!(judge(&[range, ("content-encoding", "identity"), ("content-length", "10")]).is_ok());
}

#[test]
fn a_200_is_the_whole_file() {
    let whole = judge(StatusCode::OK, &headers(&[("content-length", "7")]), 10, Some(20));
    assert_eq!(whole, Ok(Body::Whole(Some(7))));
    assert_eq!(judge(StatusCode::OK, &headers(&[]), 0, None), Ok(Body::Whole(None)));
}

#[test]
fn only_64_hex_digits_of_x_linked_etag_are_a_hash() {
    let of = |etag: &str| {
        let mut facts = Facts::default();
        hugging_face_facts(&headers(&[("x-linked-etag", etag), ("x-linked-size", "9")]), &mut facts);
        facts.sha256.is_some()
    };
    assert!(of(&format!("\"{}\"", "ab".repeat(32))));
    assert!(!of(&format!("\"{}\"", "ab".repeat(20))));
    assert!(!of("\"\""));
}

#[test]
fn pages_messages_and_pointers_are_no_weight_files() {
    let table = [
        ("x.safetensors", Some("text/html; charset=utf-8"), &b"anything"[..], Some("an HTML page")),
        ("x.safetensors", None, b"\n <!DOCTYPE HTML><p>", Some("an HTML page")),
        ("x.safetensors", Some("application/json"), b"{\"error\":1}", Some("a JSON message")),
        ("x.bin", None, b"version https://git-lfs.github.com/spec/v1\n", Some("a Git LFS pointer")),
        ("x.bin", Some("application/xml"), b"<Error>", Some("an XML message")),
        ("config.json", Some("application/json"), b"{}", None),
        ("page.html", Some("text/html"), b"<html>", None),
        ("x.safetensors", Some("application/octet-stream"), b"\x10\0\0\0\0\0\0\0{\"a\"", None),
        ("x.safetensors", Some("application/json"), b"\x10\0\0\0", None),
        ("x.safetensors", Some("text/plain"), b"\x10\0\0\0", None),
    ];
    for (name, kind, bytes, expected) in table {
        assert_eq!(not_a_file(name, kind, bytes), expected, "{name} {kind:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_content_range_is_read_without_a_panic(value in "[ -~]{0,40}", first in 0..u64::MAX, last in 0..u64::MAX, total in 0..u64::MAX) {
        for value in [value.clone(), format!("bytes {value}"), format!("bytes {first}-{last}/{total}")] {
            if let Some(range) = parse_content_range(&value) {
                proptest::prop_assert!(range.start < range.end && range.total.is_none_or(|total| range.end <= total));
            }
        }
    }
}
