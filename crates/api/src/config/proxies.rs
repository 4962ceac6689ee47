//! The hosts of the proxies that the usual variables name. The HTTP client reads these variables itself; here it is only decided
//! that such a host may have a private address, since whoever sets them is the operator.

use url::Url;

const VARIABLES: [&str; 6] = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

pub(super) fn hosts() -> Vec<String> {
    VARIABLES.into_iter().filter_map(|name| host_of(&std::env::var(name).ok()?)).collect()
}

/// As the client reads it: a proxy may be written without its scheme.
fn host_of(proxy: &str) -> Option<String> {
    let url = Url::parse(proxy).ok().filter(Url::has_host).or_else(|| Url::parse(&format!("http://{proxy}")).ok());
    url?.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn a_proxy_is_known_by_its_host_however_it_is_written() {
        let table = [
            ("http://proxy.internal:3128", Some("proxy.internal")),
            ("https://user:secret@proxy.internal/", Some("proxy.internal")),
            ("socks5h://10.0.0.1:1080", Some("10.0.0.1")),
            ("proxy.internal:3128", Some("proxy.internal")),
            ("localhost:3128", Some("localhost")),
            ("user:secret@proxy.internal", Some("proxy.internal")),
            ("", None),
        ];
        for (proxy, host) in table {
            assert_eq!(host_of(proxy).as_deref(), host, "{proxy:?}");
        }
    }
}
