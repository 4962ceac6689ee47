//! Origins: what a browser says about the page that asks. Ours, listed by the operator, or foreign.

use actix_web::http::header::HeaderMap;
use url::Url;

/// The origins that the operator allows beside our own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AllowedOrigins {
    /// None is named: any origin, but only for what carries its own key or needs none.
    #[default]
    Unlisted,
    /// These, with cookies and trust, as `scheme://host[:port]`.
    Listed(Vec<String>),
}

impl AllowedOrigins {
    /// Whether the operator named this origin.
    pub fn lists(&self, origin: &str) -> bool {
        match self {
            Self::Unlisted => false,
            Self::Listed(origins) => origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin)),
        }
    }
}

/// Whether the host and port of the origin are those that the request was sent to. The scheme is not compared: proxies end TLS.
pub(crate) fn is_ours(origin: &str, host: &str) -> bool {
    let Ok(origin) = Url::parse(origin) else { return false };
    let Ok(asked) = Url::parse(&format!("{}://{host}", origin.scheme())) else { return false };
    let is_bare = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.path() == "/"
            && url.query().is_none()
    };
    is_bare(&origin)
        && is_bare(&asked)
        && origin.host() == asked.host()
        && origin.port_or_known_default() == asked.port_or_known_default()
}

/// Whether the text is an origin that can be listed.
pub(crate) fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.origin().ascii_serialization().eq_ignore_ascii_case(text)
    })
}

/// The only value of a header; `None` where it is missing, doubled or no text.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_ours_when_host_and_port_are_those_of_the_request() {
        let rows = [
            ("http://127.0.0.1:8082", "127.0.0.1:8082", true),
            ("http://LOCALHOST:8082", "localhost:8082", true),
            ("https://pod.example", "pod.example", true),
            ("https://pod.example", "pod.example:443", true),
            ("http://[::1]:8082", "[::1]:8082", true),
            ("http://localhost:8082", "127.0.0.1:8082", false),
            ("http://localhost:8083", "localhost:8082", false),
            ("http://localhost", "localhost:8082", false),
            ("http://localhost:8082.evil.example", "localhost:8082", false),
            ("http://evil.example", "localhost:8082", false),
            ("null", "localhost:8082", false),
            ("file://", "localhost:8082", false),
            ("", "localhost:8082", false),
        ];
        for (origin, host, ours) in rows {
            assert_eq!(is_ours(origin, host), ours, "{origin} asks {host}");
        }
    }
}
