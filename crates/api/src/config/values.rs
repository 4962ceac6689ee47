//! Values of settings as text: sizes, time spans, addresses, lists. Each parser says what it takes.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::SignedDuration;
use service::PrivateSources;
use url::Url;

use crate::origin;

/// Units of sizes, longest names first so that none hides another.
const UNITS: [(&str, u64); 9] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
];

/// A list of origins.
#[derive(Debug, Clone)]
pub struct Origins(pub Vec<String>);

/// A list of networks.
#[derive(Debug, Clone)]
pub struct Networks(pub Vec<IpNet>);

/// A list of words.
#[derive(Debug, Clone, Default)]
pub struct Words(pub Vec<String>);

/// A secret: it is never shown.
#[derive(Clone)]
pub struct SecretText(pub String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SecretText(...)")
    }
}

/// A size: bytes, or a number with a unit.
pub fn size(text: &str) -> Result<u64, String> {
    let takes = "it takes bytes, or a number with a unit such as 500MB or 1GiB";
    let lower = text.trim().to_ascii_lowercase();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, bytes)| lower.strip_suffix(name).map(|number| (number.trim(), *bytes)))
        .unwrap_or((lower.as_str(), 1));
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit).ok_or_else(|| takes.to_owned());
    }
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match number.parse::<f64>() {
        Ok(part) if is_plain && part * (unit as f64) < u64::MAX as f64 => Ok((part * unit as f64) as u64),
        _ => Err(takes.to_owned()),
    }
}

/// A time span; `0` is none.
pub fn span(text: &str) -> Result<Duration, String> {
    let takes = "it takes a time span such as 30s, 5m, 6h or 30d, or 0";
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if let Some(days) = text.strip_suffix('d').and_then(|days| days.trim().parse::<u32>().ok()) {
        return Ok(Duration::from_secs(u64::from(days) * 24 * 3600));
    }
    let span: SignedDuration = text.parse().map_err(|_| takes.to_owned())?;
    Duration::try_from(span).map_err(|_| takes.to_owned())
}

/// A time span that is more than none.
pub fn positive_span(text: &str) -> Result<Duration, String> {
    match span(text) {
        Ok(Duration::ZERO) | Err(_) => Err("it takes a time span above 0 such as 30s, 5m or 6h".to_owned()),
        Ok(span) => Ok(span),
    }
}

/// An http or https address.
pub fn http_url(text: &str) -> Result<Url, String> {
    let takes = "it takes an address such as https://example.org";
    match Url::parse(text.trim()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(takes.to_owned()),
    }
}

/// A yes or no.
pub fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("it takes 1 or 0".to_owned()),
    }
}

/// Origins, separated by commas.
pub fn origins(text: &str) -> Result<Origins, String> {
    let listed: Vec<String> = words(text).0.into_iter().map(|word| word.trim_end_matches('/').to_owned()).collect();
    match listed.iter().find(|word| !origin::is_origin(word)) {
        None if !listed.is_empty() => Ok(Origins(listed)),
        _ => Err("it takes origins such as https://app.example.org, separated by commas".to_owned()),
    }
}

/// Networks, separated by commas.
pub fn networks(text: &str) -> Result<Networks, String> {
    let parsed: Option<Vec<IpNet>> = words(text).0.iter().map(|word| network(word)).collect();
    parsed.map(Networks).ok_or_else(|| "it takes networks such as 10.0.0.0/8, separated by commas".to_owned())
}

/// Which private addresses may be asked for files.
pub fn private_sources(text: &str) -> Result<PrivateSources, String> {
    match flag(text) {
        Ok(true) => Ok(PrivateSources::All),
        Ok(false) => Ok(PrivateSources::None),
        Err(_) => networks(text)
            .map(|networks| PrivateSources::Networks(networks.0))
            .map_err(|_| "it takes 0, 1, or networks such as 10.0.0.0/8, separated by commas".to_owned()),
    }
}

/// Words, separated by commas.
pub fn words(text: &str) -> Words {
    Words(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

/// Where a SQLite database is: `sqlite://PATH`, or the path alone.
pub fn database(text: &str) -> Result<std::path::PathBuf, String> {
    let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or(text);
    let path = path.split('?').next().unwrap_or_default();
    if path.is_empty() || path.contains("://") || path == ":memory:" {
        return Err("it takes sqlite:// and the path of a file".to_owned());
    }
    Ok(path.into())
}

fn network(word: &str) -> Option<IpNet> {
    word.parse().ok().or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_bytes_and_units_of_both_kinds() {
        let rows = [
            ("1048576", Some(1 << 20)),
            ("1GiB", Some(1 << 30)),
            ("1.5 gib", Some(3 << 29)),
            ("500MB", Some(500_000_000)),
            ("0", Some(0)),
            ("-1", None),
            ("1e9", None),
            ("lots", None),
            ("", None),
            ("99999999TiB", None),
        ];
        for (text, bytes) in rows {
            assert_eq!(size(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn spans_need_a_unit_unless_they_are_none() {
        assert_eq!(span("6h"), Ok(Duration::from_secs(21_600)));
        assert_eq!(span("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("0"), Ok(Duration::ZERO));
        assert!(span("30").is_err());
        assert!(span("-5s").is_err());
        assert!(positive_span("0").is_err());
    }

    #[test]
    fn origins_are_bare_and_networks_may_be_single_addresses() {
        assert!(origins("https://a.example, http://localhost:3000/").is_ok());
        assert!(origins("*").is_err());
        assert!(origins("https://a.example/path").is_err());
        assert!(networks("10.0.0.0/8,127.0.0.1").is_ok());
        assert!(networks("10.0.0.0/64").is_err());
    }

    #[test]
    fn a_database_is_a_file() {
        assert_eq!(database("sqlite:///data/a.db").ok(), Some("/data/a.db".into()));
        assert_eq!(database("a.db").ok(), Some("a.db".into()));
        assert!(database("postgres://host/db").is_err());
        assert!(database("sqlite::memory:").is_err());
    }
}
