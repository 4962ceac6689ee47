//! `Content-Range` and the judgement of an answer to a range request: what is accepted is what was asked for.

use downloader::fuzzing::{Answer, LARGEST_FILE, content_range, judge_answer};

use crate::input::Input;

/// `status % 4`, the asked range, then header lines.
pub(crate) fn check(bytes: &[u8]) {
    check_parser(bytes);
    check_judgement(bytes);
}

fn check_parser(value: &[u8]) {
    let prefixed = [b"bytes ", value].concat();
    for value in [value, &prefixed] {
        assert_eq!(content_range(value), naive(value), "{:?}", String::from_utf8_lossy(value));
    }
}

fn check_judgement(bytes: &[u8]) {
    let mut input = Input(bytes);
    let status = [200, 206, 206, 416][usize::from(input.byte() % 4)];
    let (start, length) = (input.u64() >> (input.byte() % 64), input.u64() >> (input.byte() % 64));
    let end = start.checked_add(length).filter(|end| *end > start);
    let lines = input.0.split(|byte| *byte == b'\n').map(|line| {
        let (name, value) = line.split_first().unwrap_or((&0, b""));
        (HEADERS[usize::from(*name) % HEADERS.len()], value)
    });
    let headers: Vec<(&str, &[u8])> = lines.collect();
    let answer = judge_answer(status, &headers, start, end);
    let is_http = |value: &[u8]| value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 127));
    let sent = headers.iter().filter(|(name, value)| *name == "content-range" && is_http(value));
    let ranges: Vec<&[u8]> = sent.map(|(_, value)| *value).collect();
    match answer {
        Some(Answer::Part { start: from, end: to, total }) => {
            assert_eq!(status, 206, "only a 206 is a part");
            let asked = end.expect("a part was asked for");
            assert!(from == start && from < to && to <= asked, "{from}-{to} is not within {start}-{asked}");
            assert!(total.is_none_or(|total| to <= total && total <= LARGEST_FILE));
            assert_eq!(ranges.len(), 1, "two Content-Ranges contradict each other");
            assert_eq!(naive(ranges[0]), Some((from, to, total)));
        }
        Some(Answer::Whole(length)) => {
            assert_ne!(status, 206);
            assert!(length.is_none_or(|length| length <= LARGEST_FILE));
        }
        None => {}
    }
}

const HEADERS: [&str; 6] =
    ["content-range", "content-length", "content-type", "content-encoding", "content-disposition", "etag"];

/// RFC 9110, 14.4, by hand: start, end (exclusive) and total.
fn naive(value: &[u8]) -> Option<(u64, u64, Option<u64>)> {
    if !value.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\t') {
        return None;
    }
    let value = std::str::from_utf8(value).ok()?.trim();
    let unit = value.get(..6)?;
    if !unit.eq_ignore_ascii_case("bytes ") {
        return None;
    }
    let [numbers, total] = two(value[6..].trim(), '/')?;
    let [first, last] = two(numbers, '-')?;
    let (first, last) = (number(first)?, number(last)?);
    let total = if total == "*" { None } else { Some(number(total)?) };
    let possible = first <= last && last < u64::MAX && total.is_none_or(|total| total > last);
    possible.then(|| (first, last + 1, total))
}

fn two(text: &str, separator: char) -> Option<[&str; 2]> {
    let at = text.find(separator)?;
    Some([&text[..at], &text[at + 1..]])
}

/// Digits alone, and no more than 64 bits hold.
fn number(digits: &str) -> Option<u64> {
    let mut number = 0_u128;
    for digit in digits.chars() {
        number = number * 10 + u128::from(digit.to_digit(10)?);
        if number > u128::from(u64::MAX) {
            return None;
        }
    }
    (!digits.is_empty()).then_some(number as u64)
}
